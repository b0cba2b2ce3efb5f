//! Where a body ends: CL.TE, TE.CL, TE.TE, CL.0, 0.CL, and lengths that not everybody reads alike.

use super::row::{Row, get, post, reaches, refused, refused_with, seen};

/// A chunked body and, to who counts, the beginning of another request.
const BOTH: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: ";
const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

pub fn rows() -> Vec<Row> {
    let mut rows = two_framings();
    rows.extend(codings());
    rows.extend(lengths());
    rows.extend(unusual_but_sound());
    rows
}

fn two_framings() -> Vec<Row> {
    let te = "Transfer-Encoding: chunked";
    vec![
        refused("CL.TE", "RFC 9112 §6.3 (3), §11.2", post(&format!("Content-Length: 5\r\n{te}"), BOTH)),
        refused("TE.CL", "RFC 9112 §6.3 (3), §11.2", post(&format!("{te}\r\nContent-Length: 5"), HELLO)),
        refused(
            "CL.TE in other cases",
            "RFC 9112 §6.3; RFC 9110 §5.1",
            post("cOnTeNt-LeNgTh: 5\r\nTRANSFER-encoding: Chunked", BOTH),
        ),
        refused("CL.TE of GET", "RFC 9112 §6.3", get(&format!("Content-Length: 4\r\n{te}"))),
        refused("TE with CL 0", "RFC 9112 §6.3", post(&format!("{te}\r\nContent-Length: 0"), HELLO)),
        refused(
            "TE between two CLs",
            "RFC 9112 §6.3",
            post(&format!("Content-Length: 5\r\n{te}\r\nContent-Length: 5"), HELLO),
        ),
        refused("TE with a CL that is no number", "RFC 9112 §6.3", post(&format!("{te}\r\nContent-Length: x"), HELLO)),
        refused("TE with an empty CL", "RFC 9112 §6.3", post(&format!("{te}\r\nContent-Length:"), HELLO)),
        refused(
            "TE far behind CL",
            "RFC 9112 §6.3",
            post(&format!("Content-Length: 5\r\n{}{te}", "A: b\r\n".repeat(30)), HELLO),
        ),
        refused(
            "TE of HTTP/1.0",
            "RFC 9112 §6.1",
            "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "TE of HTTP/1.0 with keep-alive and CL",
            "RFC 9112 §6.1",
            format!("POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n{te}\r\n\r\n{BOTH}"),
        ),
    ]
}

/// TE.TE: what one takes for chunked and another doesn't.
fn codings() -> Vec<Row> {
    let te = |line: &str| post(line, HELLO);
    vec![
        refused("TE gzip, chunked", "RFC 9112 §6.1", te("Transfer-Encoding: gzip, chunked")),
        refused("TE chunked, gzip", "RFC 9112 §6.3 (4)", te("Transfer-Encoding: chunked, gzip")),
        refused("TE chunked, chunked", "RFC 9112 §6.1", te("Transfer-Encoding: chunked, chunked")),
        refused("TE twice", "RFC 9112 §6.1", te("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        refused(
            "TE chunked, then identity",
            "HTTP Desync Attacks",
            te("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        ),
        refused(
            "TE identity, then chunked",
            "HTTP Desync Attacks",
            te("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
        ),
        refused(
            "TE cow, then chunked",
            "HTTP Desync Attacks",
            te("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
        ),
        refused("TE chunked, then x", "HTTP Desync Attacks", te("Transfer-Encoding: chunked\r\nTransfer-encoding: x")),
        refused("TE with an empty member before", "RFC 9110 §5.6.1", te("Transfer-Encoding: ,chunked")),
        refused("TE with an empty member behind", "RFC 9110 §5.6.1", te("Transfer-Encoding: chunked,")),
        refused("TE xchunked", "HTTP Desync Attacks", te("Transfer-Encoding: xchunked")),
        refused("TE chunkedx", "HTTP Desync Attacks", te("Transfer-Encoding: chunkedx")),
        refused("TE chunk", "HTTP Desync Attacks", te("Transfer-Encoding: chunk")),
        refused("TE in quotes", "HTTP Desync Attacks", te("Transfer-Encoding: \"chunked\"")),
        refused("TE in single quotes", "HTTP Desync Attacks", te("Transfer-Encoding: 'chunked'")),
        refused("TE with a parameter", "RFC 9112 §7", te("Transfer-Encoding: chunked;q=1")),
        refused("TE empty", "RFC 9112 §6.1", te("Transfer-Encoding:")),
        refused("TE identity", "RFC 9112 §6.1", te("Transfer-Encoding: identity")),
        refused("TE of two words", "HTTP Desync Attacks", te("Transfer-Encoding: chunked chunked")),
        refused("TE with a vertical tab before", "HTTP Desync Attacks", te("Transfer-Encoding: \x0bchunked")),
        refused("TE with a vertical tab behind", "HTTP Desync Attacks", te("Transfer-Encoding: chunked\x0b")),
        refused("TE with a form feed", "HTTP Desync Attacks", te("Transfer-Encoding: \x0cchunked")),
        refused("TE with a NUL", "RFC 9110 §5.5", te("Transfer-Encoding: chunked\0")),
        refused("TE with a high byte", "HTTP Desync Attacks", te("Transfer-Encoding: chunked\u{a0}")),
        refused("TE with a blank before the colon", "RFC 9112 §5.1", te("Transfer-Encoding : chunked")),
        refused("TE with a tab before the colon", "RFC 9112 §5.1", te("Transfer-Encoding\t: chunked")),
        refused("TE with a blank before the name", "RFC 9112 §2.2", te(" Transfer-Encoding: chunked")),
        refused("TE folded", "RFC 9112 §5.2", te("Transfer-Encoding:\r\n chunked")),
        refused("TE folded with a tab", "RFC 9112 §5.2", te("Transfer-Encoding:\r\n\tchunked")),
        refused("TE behind a folded line", "RFC 9112 §5.2", te("X: y\r\n Transfer-Encoding: chunked")),
        refused("TE behind a bare LF", "RFC 9112 §2.2", te("X: y\nTransfer-Encoding: chunked")),
        refused("TE behind a bare CR", "RFC 9112 §2.2", te("X: y\rTransfer-Encoding: chunked")),
        refused("TE with CR CR LF", "RFC 9112 §2.2", te("Transfer-Encoding: chunked\r")),
        refused("TE with a byte order mark", "RFC 9110 §5.1", te("\u{feff}Transfer-Encoding: chunked")),
        refused("TE with a control byte in its name", "RFC 9110 §5.1", te("Transfer-\x01Encoding: chunked")),
    ]
}

fn lengths() -> Vec<Row> {
    let cl = |value: &str| post(&format!("Content-Length: {value}"), "hello");
    vec![
        refused("two lengths", "RFC 9112 §6.3 (5)", post("Content-Length: 5\r\nContent-Length: 6", "hello!")),
        refused(
            "one length twice",
            "RFC 9112 §6.3 (5); RFC 9110 §8.6",
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ),
        refused("a list of one length", "RFC 9110 §8.6", cl("5, 5")),
        refused("a list of two lengths", "RFC 9110 §8.6", cl("5, 6")),
        refused("a length with an empty member", "RFC 9110 §8.6", cl("5,")),
        refused("a length with a sign", "RFC 9110 §8.6", cl("+5")),
        refused("a negative length", "RFC 9110 §8.6", cl("-5")),
        refused("a negative nothing", "RFC 9110 §8.6", cl("-0")),
        refused("a length in hexadecimal", "RFC 9110 §8.6", cl("0x5")),
        refused("a length with a point", "RFC 9110 §8.6", cl("5.0")),
        refused("a length with an exponent", "RFC 9110 §8.6", cl("5e0")),
        refused("a length with an underscore", "RFC 9110 §8.6", cl("1_0")),
        refused("a length of two words", "RFC 9110 §8.6", cl("5 5")),
        refused("a length in quotes", "RFC 9110 §8.6", cl("\"5\"")),
        refused("a length in other digits", "RFC 9110 §8.6", cl("\u{665}")),
        refused("no length", "RFC 9110 §8.6", cl("")),
        refused("a length of blanks", "RFC 9110 §8.6", cl(" \t ")),
        refused("a length with a semicolon", "RFC 9110 §8.6", cl("5;")),
        refused("a length with a NUL", "RFC 9110 §5.5", cl("5\0")),
        refused("a length with a vertical tab", "RFC 9110 §5.5", cl("5\x0b")),
        refused("a length beyond 64 bits", "RFC 9110 §8.6", cl("18446744073709551621")),
        refused("a length of 40 digits", "RFC 9110 §8.6", cl(&"9".repeat(40))),
        refused("a length of 300 digits", "RFC 9110 §8.6", cl(&format!("{}5", "0".repeat(300)))),
        refused_with(413, "a length at the edge of 63 bits", "RFC 9110 §15.5.14", cl("9223372036854775807")),
        refused_with(413, "a length beyond the limit", "RFC 9110 §15.5.14", cl("65537")),
        refused("a length with a blank before the colon", "RFC 9112 §5.1", post("Content-Length : 5", "hello")),
        refused("a length that is folded", "RFC 9112 §5.2", post("Content-Length:\r\n 5", "hello")),
        refused("0.CL: a length behind a bare LF", "HTTP/1.1 Must Die", post("X: y\nContent-Length: 50", "")),
        refused("0.CL: a length behind a blank", "HTTP/1.1 Must Die", get(" Content-Length: 35")),
        refused("0.CL: a length behind a folded line", "HTTP/1.1 Must Die", get("X: y\r\n Content-Length: 35")),
        refused("0.CL: a length behind CR", "HTTP/1.1 Must Die", get("X: y\rContent-Length: 35")),
    ]
}

fn unusual_but_sound() -> Vec<Row> {
    vec![
        reaches(
            "zeros before a length",
            "RFC 9110 §8.6",
            post("Content-Length: 0005", "hello"),
            vec![seen("POST /x").with("content-length", "5").body("hello")],
        ),
        reaches(
            "blanks around a length",
            "RFC 9110 §5.5",
            post("Content-Length: \t5 \t", "hello"),
            vec![seen("POST /x").with("content-length", "5").body("hello")],
        ),
        reaches("a length of 0", "RFC 9110 §8.6", post("Content-Length: 0", ""), vec![seen("POST /x").body("")]),
        reaches(
            "chunked in capitals",
            "RFC 9112 §7",
            post("TRANSFER-ENCODING:\tCHUNKED ", HELLO),
            vec![seen("POST /x").with("transfer-encoding", "chunked").without(&["content-length"]).body("hello")],
        ),
        reaches(
            "a GET with a body",
            "RFC 9110 §9.3.1",
            [&get("Content-Length: 5")[..], b"hello"].concat(),
            vec![seen("GET /x").body("hello")],
        ),
        reaches(
            "a GET with a chunked body",
            "RFC 9110 §9.3.1",
            [&get("Transfer-Encoding: chunked")[..], HELLO.as_bytes()].concat(),
            vec![seen("GET /x").body("hello")],
        ),
        reaches(
            "a DELETE with a body",
            "RFC 9110 §9.3.5",
            "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            vec![seen("DELETE /x").body("hello")],
        ),
        reaches(
            "names that only look like it",
            "RFC 9110 §5.1",
            post(
                "X-Content-Length: 9\r\nContent-Lengthy: 9\r\nX-Transfer-Encoding: chunked\r\nContent-Length: 5",
                "hello",
            ),
            vec![seen("POST /x").with("content-length", "5").without(&["transfer-encoding"]).body("hello")],
        ),
        reaches(
            "a length with an underscore in its name",
            "RFC 9110 §17.10",
            post("Content_Length: 9\r\nTransfer_Encoding: chunked\r\nContent-Length: 5", "hello"),
            vec![
                seen("POST /x")
                    .with("content-length", "5")
                    .without(&["content_length", "transfer_encoding"])
                    .body("hello"),
            ],
        ),
        reaches(
            "CL.0: a POST whose body is a request",
            "Browser-Powered Desync",
            post("Content-Length: 36", "GET /inner HTTP/1.1\r\nHost: a\r\nX: y\r\n"),
            vec![seen("POST /x").body("GET /inner HTTP/1.1\r\nHost: a\r\nX: y\r\n")],
        ),
    ]
}
