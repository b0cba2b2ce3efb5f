//! Several requests on one connection.

use super::row::{Row, chunked, get, post, reaches, reaches_then_refused, refused, seen};

pub fn rows() -> Vec<Row> {
    let first = || get("X: 1");
    let then = |second: &[u8]| [&first()[..], second].concat();
    let one = || vec![seen("GET /x").with("x", "1")];
    let cites = "RFC 9112 §9.3.2, §11.2";
    vec![
        reaches(
            "two requests",
            cites,
            then(&get("X: 2")),
            vec![seen("GET /x").with("x", "1"), seen("GET /x").with("x", "2")],
        ),
        reaches(
            "a body and a request",
            cites,
            [&post("Content-Length: 5", "hello")[..], &get("X: 2")].concat(),
            vec![seen("POST /x").body("hello"), seen("GET /x").with("x", "2")],
        ),
        reaches(
            "chunks and a request",
            cites,
            [&chunked("5\r\nhello\r\n0\r\n\r\n")[..], &get("X: 2")].concat(),
            vec![seen("POST /x").body("hello"), seen("GET /x").with("x", "2")],
        ),
        reaches(
            "chunks with a trailer and a request",
            cites,
            [&chunked("5\r\nhello\r\n0\r\nX: y\r\n\r\n")[..], &get("X: 2")].concat(),
            vec![seen("POST /x").body("hello"), seen("GET /x").with("x", "2")],
        ),
        reaches(
            "an empty line between two",
            "RFC 9112 §2.2",
            then(&[b"\r\n", &get("X: 2")[..]].concat()),
            vec![seen("GET /x").with("x", "1"), seen("GET /x").with("x", "2")],
        ),
        reaches(
            "three that differ in all",
            cites,
            then(&[&post("Content-Length: 2", "hi")[..], b"DELETE /y HTTP/1.1\r\nHost: a\r\n\r\n"].concat()),
            vec![seen("GET /x").with("x", "1"), seen("POST /x").body("hi"), seen("DELETE /y")],
        ),
        reaches(
            "a GET body that is a request",
            "CL.0",
            [&get("Content-Length: 33")[..], b"GET /inner HTTP/1.1\r\nHost: a\r\nX: "].concat(),
            vec![seen("GET /x").body("GET /inner HTTP/1.1\r\nHost: a\r\nX: ")],
        ),
        reaches_then_refused("a bad one behind a good one", cites, then(b"GET /bad HTTP/1.1\nHost: a\r\n\r\n"), one()),
        reaches_then_refused("two Hosts behind a good one", cites, then(&get("Host: b")), one()),
        reaches_then_refused(
            "two framings behind a good one",
            cites,
            then(&post("Content-Length: 1\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
            one(),
        ),
        reaches_then_refused(
            "a fragment behind a good one",
            cites,
            then(b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n"),
            one(),
        ),
        reaches_then_refused("junk behind a good one", cites, then(b"\x00\x01\x02\r\n\r\n"), one()),
        reaches_then_refused(
            "a bare CR behind a good one",
            cites,
            then(b"\rGET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
            one(),
        ),
        reaches_then_refused(
            "a body that is longer than its length",
            "RFC 9112 §6.3",
            post("Content-Length: 5", "hello, this is no request\r\n\r\n"),
            vec![seen("POST /x").body("hello")],
        ),
        reaches_then_refused("bad chunks behind a good one", cites, then(&chunked("5;x\nhello\r\n0\r\n\r\n")), one()),
        reaches_then_refused(
            "a bad one behind chunks",
            cites,
            [&chunked("5\r\nhello\r\n0\r\n\r\n")[..], b"GET /x HTTP/1.1\nHost: a\r\n\r\n"].concat(),
            vec![seen("POST /x").body("hello")],
        ),
        reaches_then_refused(
            "a bad one behind chunks with an extension",
            cites,
            [&chunked("5;x=\"\\\"\"\r\nhello\r\n0\r\n\r\n")[..], &get("Host: b")].concat(),
            vec![seen("POST /x").body("hello")],
        ),
        refused("a good one behind a bad one", cites, [&get("Host: b")[..], &first()].concat()),
        refused(
            "a prefix that swallows the next one",
            "HTTP Desync Attacks (prefix poison)",
            [&get("Transfer-Encoding: chunked\r\nContent-Length: 3")[..], b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nX: "]
                .concat(),
        ),
    ]
}
