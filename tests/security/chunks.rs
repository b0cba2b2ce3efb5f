//! Chunk sizes, extensions, trailer fields.

use super::row::{Row, broken, chunked, post, reaches, seen};

const END: &str = "\r\n0\r\n\r\n";

fn size(size: &str) -> Vec<u8> {
    chunked(&format!("{size}\r\nhello{END}"))
}

pub fn rows() -> Vec<Row> {
    let mut rows = sizes();
    rows.extend(extensions());
    rows.extend(ends());
    rows.extend(trailers());
    rows
}

fn sizes() -> Vec<Row> {
    vec![
        broken("a size with 0x", "RFC 9112 §7.1", size("0x5")),
        broken("a size with a sign", "RFC 9112 §7.1", size("+5")),
        broken("a negative size", "RFC 9112 §7.1", size("-5")),
        broken("a size with an underscore", "RFC 9112 §7.1", size("0_5")),
        broken("a size behind a blank", "RFC 9112 §7.1", size(" 5")),
        broken("a size behind a tab", "RFC 9112 §7.1", size("\t5")),
        broken("a blank behind a size", "RFC 9112 §7.1.1", size("5 ")),
        broken("a tab behind a size", "RFC 9112 §7.1.1", size("5\t")),
        broken("a blank in a size", "RFC 9112 §7.1", size("0 5")),
        broken("no size", "RFC 9112 §7.1", size("")),
        broken("only an extension", "RFC 9112 §7.1", size(";x=5")),
        broken("a size that is no number", "RFC 9112 §7.1", size("g")),
        broken("a size with an h", "RFC 9112 §7.1", size("5h")),
        broken("a size with a comma", "RFC 9112 §7.1", size("5,")),
        broken("a size with a point", "RFC 9112 §7.1", size("5.0")),
        broken("a size in quotes", "RFC 9112 §7.1", size("\"5\"")),
        broken("a size with a NUL", "RFC 9112 §7.1", size("5\0")),
        broken("a size with a high byte", "RFC 9112 §7.1", size("5\u{85}")),
        broken("a size with a vertical tab", "RFC 9112 §7.1", size("5\x0b")),
        broken("a size of 17 digits that is 5 in 64 bits", "RFC 9112 §7.1 (overflow)", size("10000000000000005")),
        broken("a size of 17 digits with zeros", "RFC 9112 §7.1 (overflow)", size("00000000000000005")),
        broken("a size of 33 digits", "RFC 9112 §7.1 (overflow)", size(&format!("{}5", "f".repeat(32)))),
        broken("a size of 1000 digits", "RFC 9112 §7.1 (overflow)", size(&"0".repeat(1000))),
        broken("a size that ends in a bare LF", "RFC 9112 §2.2", chunked("5\nhello\r\n0\r\n\r\n")),
        broken("a size that ends in a bare CR", "RFC 9112 §2.2", chunked("5\rhello\r\n0\r\n\r\n")),
        broken("a size that ends in CR CR LF", "RFC 9112 §2.2", chunked("5\r\r\nhello\r\n0\r\n\r\n")),
        broken("a size that ends in LF CR", "RFC 9112 §2.2", chunked("5\n\rhello\r\n0\r\n\r\n")),
        reaches("a size of 16 digits", "RFC 9112 §7.1", size("0000000000000005"), vec![seen("POST /x").body("hello")]),
        reaches(
            "sizes in both cases",
            "RFC 9112 §7.1",
            chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n"),
            vec![seen("POST /x").body("01234567890123456789")],
        ),
    ]
}

/// What nobody reads is where one may find a line's end and another not.
fn extensions() -> Vec<Row> {
    let with = |extension: &str| chunked(&format!("5{extension}\r\nhello{END}"));
    let sound = || vec![seen("POST /x").body("hello")];
    vec![
        broken("an extension that ends in a bare LF", "Funky chunks (2025)", chunked("5;x\nhello\r\n0\r\n\r\n")),
        broken(
            "an extension with a request behind a bare LF",
            "Funky chunks (2025): TERM.EXT",
            chunked("2;\nxx\r\n4c\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"),
        ),
        broken(
            "an extension of the last chunk with a bare LF",
            "Funky chunks (2025)",
            chunked("5\r\nhello\r\n0;x\n\r\n\r\n"),
        ),
        broken("an extension with a bare CR", "Funky chunks (2025): EXT.TERM", chunked("5;x\ry\r\nhello\r\n0\r\n\r\n")),
        broken("an extension with CR CR LF", "RFC 9112 §2.2", chunked("5;x\r\r\nhello\r\n0\r\n\r\n")),
        broken("an extension with a NUL", "RFC 9112 §7.1.1", with(";x\0")),
        broken("an extension with a control byte", "RFC 9112 §7.1.1", with(";x=\x7f")),
        broken("an extension with a control byte in quotes", "RFC 9110 §5.6.4", with(";x=\"\x01\"")),
        broken("an extension without a name", "RFC 9112 §7.1.1", with(";")),
        broken("an extension without a name but a value", "RFC 9112 §7.1.1", with(";=x")),
        broken("an extension without its value", "RFC 9112 §7.1.1", with(";x=")),
        broken("an extension with a quote that isn't closed", "RFC 9112 §7.1.1", with(";x=\"y")),
        broken("an extension with a quote that ends escaped", "RFC 9110 §5.6.4", with(";x=\"y\\\"")),
        broken(
            "an extension with CRLF in quotes",
            "RFC 9110 §5.6.4",
            chunked("5;x=\"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\"\r\nhello\r\n0\r\n\r\n"),
        ),
        broken("an extension with a blank in its value", "RFC 9112 §7.1.1", with(";x=y z")),
        broken("an extension without its semicolon", "RFC 9112 §7.1.1", with(" x")),
        broken("an extension with a high byte", "RFC 9112 §7.1.1", with(";\u{e9}")),
        broken("an extension of 256 bytes", "RFC 9112 §7.1.1 (limit)", with(&format!(";{}", "x".repeat(255)))),
        broken("an extension of 100 KiB", "RFC 9112 §7.1.1 (limit)", with(&format!(";{}", "x".repeat(100 << 10)))),
        broken("200 extensions", "RFC 9112 §7.1.1 (limit)", with(&";x".repeat(200))),
        broken(
            "extensions of many chunks, 20 KiB in all",
            "RFC 9112 §7.1.1 (limit)",
            chunked(&format!("1;{}\r\nx\r\n", "y".repeat(200)).repeat(100)),
        ),
        reaches("an extension", "RFC 9112 §7.1.1", with(";x"), sound()),
        reaches("an extension with a value", "RFC 9112 §7.1.1", with(";x=y"), sound()),
        reaches("an extension with quotes", "RFC 9112 §7.1.1", with(";x=\"a;b, \\\"c\\\" = d\""), sound()),
        reaches("extensions with blanks where they may be", "RFC 9112 §7.1.1", with(" ;\tx = y ; z"), sound()),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        broken("a chunk that is longer than it says", "RFC 9112 §7.1", chunked("4\r\nhello\r\n0\r\n\r\n")),
        broken("a chunk that is shorter than it says", "RFC 9112 §7.1", chunked("6\r\nhello\r\n0\r\n\r\n")),
        broken("a chunk that ends in LF", "RFC 9112 §7.1", chunked("5\r\nhello\n0\r\n\r\n")),
        broken("a chunk that ends in CR", "RFC 9112 §7.1", chunked("5\r\nhello\r0\r\n\r\n")),
        broken(
            "a chunk that ends in two other bytes",
            "Funky chunks (2025): two-byte terminators",
            chunked("5\r\nhelloXX0\r\n\r\n"),
        ),
        broken("a chunk that ends in nothing", "RFC 9112 §7.1", chunked("5\r\nhello0\r\n\r\n")),
        broken("a chunk with an empty line more", "RFC 9112 §7.1", chunked("5\r\nhello\r\n\r\n0\r\n\r\n")),
        broken("a body that ends in a bare LF", "RFC 9112 §7.1", chunked("5\r\nhello\r\n0\r\n\n")),
        broken("a last chunk that ends in a bare LF", "RFC 9112 §7.1", chunked("5\r\nhello\r\n0\n\r\n")),
        reaches(
            "a last chunk of several zeros",
            "RFC 9112 §7.1",
            chunked("5\r\nhello\r\n0000\r\n\r\n"),
            vec![seen("POST /x").body("hello")],
        ),
        reaches("a body of nothing", "RFC 9112 §7.1", chunked("0\r\n\r\n"), vec![seen("POST /x").body("")]),
        reaches(
            "a body that has a request in it",
            "RFC 9112 §11.2",
            chunked("2b\r\n0\r\n\r\nGET /inner HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n\r\n0\r\n\r\n"),
            vec![seen("POST /x").body("0\r\n\r\nGET /inner HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")],
        ),
    ]
}

fn trailers() -> Vec<Row> {
    let with = |trailers: &str| chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n\r\n"));
    let named = |name: &str| {
        post(
            &format!("Trailer: {name}\r\nTransfer-Encoding: chunked"),
            &format!("5\r\nhello\r\n0\r\n{name}: evil\r\nX-Sum: 7\r\n\r\n"),
        )
    };
    let alone = || vec![seen("POST /x").body("hello").trailers(&[])];
    let mut rows = vec![
        broken("a trailer that ends in a bare LF", "RFC 9112 §2.2", with("X: y\nZ: z")),
        broken("a trailer with a bare CR", "RFC 9112 §2.2", with("X: y\rz")),
        broken("a trailer without a colon", "RFC 9112 §7.1.2", with("X")),
        broken("a trailer with a blank before the colon", "RFC 9112 §5.1", with("X : y")),
        broken("a trailer that is folded", "RFC 9112 §5.2", with("X: y\r\n z")),
        broken("a trailer that begins with a blank", "RFC 9112 §5.2", with(" X: y")),
        broken("a trailer with a NUL", "RFC 9110 §5.5", with("X: y\0")),
        broken("a trailer without a name", "RFC 9110 §5.1", with(": y")),
        broken("a request for a trailer", "RFC 9112 §7.1.2", chunked("0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
        broken("too many trailers", "RFC 9112 §7.1.2", with(&["X: y"; 200].join("\r\n"))),
        broken("a long trailer", "RFC 9112 §7.1.2", with(&format!("X: {}", "y".repeat(100 << 10)))),
        reaches("a trailer that nobody announced", "RFC 9110 §6.5", with("X-Sum: 7"), alone()),
        reaches(
            "a trailer that may be one",
            "RFC 9110 §6.5.1",
            post("Trailer: X-Sum\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
            vec![seen("POST /x").body("hello").trailers(&["x-sum"])],
        ),
        reaches(
            "a method that is a token of odd bytes",
            "RFC 9110 §9.1",
            "M!#$%&'*+-.^_`|~ /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".replace('#', ""),
            vec![seen("M!$%&'*+-.^_`|~ /x")],
        ),
    ];
    for (name, row) in [
        ("Host", "a trailer Host"),
        ("Content-Length", "a trailer Content-Length"),
        ("Transfer-Encoding", "a trailer Transfer-Encoding"),
        ("Authorization", "a trailer Authorization"),
        ("Cookie", "a trailer Cookie"),
        ("X-Api-Key", "a trailer X-Api-Key"),
        ("X_Api_Key", "a trailer X_Api_Key"),
        ("X-Forwarded-For", "a trailer X-Forwarded-For"),
        ("X-Forwarded-Host", "a trailer X-Forwarded-Host"),
        ("X-Original-URL", "a trailer X-Original-URL"),
        ("X_Original_URL", "a trailer X_Original_URL"),
        ("X-HTTP-Method-Override", "a trailer X-HTTP-Method-Override"),
        ("Content-Type", "a trailer Content-Type"),
        ("Content-Encoding", "a trailer Content-Encoding"),
        ("Cache-Control", "a trailer Cache-Control"),
        ("If-Match", "a trailer If-Match"),
        ("Range", "a trailer Range"),
        ("Connection", "a trailer Connection"),
        ("Via", "a trailer Via"),
        ("Expect", "a trailer Expect"),
        ("TE", "a trailer TE"),
    ] {
        rows.push(reaches(row, "RFC 9110 §6.5.1", named(name), alone()));
    }
    rows
}
