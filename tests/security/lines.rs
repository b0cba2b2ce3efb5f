//! Lines and their ends, request lines, other versions of HTTP.

use super::row::{Row, get, reaches, refused, refused_with, seen};

pub fn rows() -> Vec<Row> {
    let mut rows = ends();
    rows.extend(request_lines());
    rows.extend(other_protocols());
    rows
}

fn ends() -> Vec<Row> {
    let raw = |text: &str| text.as_bytes().to_vec();
    vec![
        refused("bare LFs only", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\nHost: a\n\n")),
        refused("a bare LF behind the request line", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\nHost: a\r\n\r\n")),
        refused("a bare LF behind a field", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")),
        refused("a bare LF for the empty line", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\nHost: a\r\n\n")),
        refused("a bare LF before the request", "RFC 9112 §2.2", raw("\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a bare CR behind the request line", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\rHost: a\r\n\r\n")),
        refused("a bare CR behind a field", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\nHost: a\rX: y\r\n\r\n")),
        refused("a bare CR in a field's value", "RFC 9112 §2.2; RFC 9110 §5.5", get("X: a\rb")),
        refused("a bare CR at a field's end", "RFC 9112 §2.2", get("X: a\r")),
        refused("a bare CR alone in a field", "RFC 9112 §2.2", get("X:\r")),
        refused("a bare CR in a field's name", "RFC 9110 §5.1", get("X\rY: a")),
        refused("a bare CR before a field's name", "RFC 9110 §5.1", get("\rX: a")),
        refused("a bare CR in the target", "RFC 9112 §3", raw("GET /x\ry HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a bare CR for the blank", "RFC 9112 §3", raw("GET\r/x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a bare CR before the request", "RFC 9112 §2.2", raw("\rGET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("CR CR LF behind the request line", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\r\nHost: a\r\n\r\n")),
        refused("CR CR LF at the end", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n")),
        refused("LF CR", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\n\rHost: a\n\r\n\r")),
        refused("CR LF LF", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\n\nHost: a\r\n\r\n")),
        refused("a NUL before the request", "RFC 9112 §2.2", raw("\0GET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a NUL behind the version", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\0\r\nHost: a\r\n\r\n")),
        refused("a blank before the request", "RFC 9112 §2.2", raw(" GET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a line of blanks before the request", "RFC 9112 §2.2", raw(" \r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused("a blank before the first field", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\n Host: a\r\n\r\n")),
        refused("a tab before the first field", "RFC 9112 §2.2", raw("GET /x HTTP/1.1\r\n\tHost: a\r\n\r\n")),
        refused(
            "a line of blanks before the first field",
            "RFC 9112 §2.2",
            raw("GET /x HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
        ),
        refused("a line of blanks at the end", "RFC 9112 §5.2", raw("GET /x HTTP/1.1\r\nHost: a\r\n \r\n\r\n")),
        refused("a folded line", "RFC 9112 §5.2", get("X: a\r\n b")),
        refused("a line folded with a tab", "RFC 9112 §5.2", get("X: a\r\n\tb")),
        refused("a folded line of blanks", "RFC 9112 §5.2", get("X: a\r\n \r\nY: b")),
        refused("a Host that is folded", "RFC 9112 §5.2", raw("GET /x HTTP/1.1\r\nHost:\r\n a\r\n\r\n")),
        refused(
            "a byte order mark before the request",
            "RFC 9112 §3",
            raw("\u{feff}GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        reaches(
            "empty lines before the request",
            "RFC 9112 §2.2",
            raw("\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
            vec![seen("GET /x")],
        ),
    ]
}

fn request_lines() -> Vec<Row> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    vec![
        refused("no version", "RFC 9112 §3", line("GET /x")),
        refused("no version but a blank", "RFC 9112 §3", line("GET /x ")),
        refused("two blanks behind the method", "RFC 9112 §3", line("GET  /x HTTP/1.1")),
        refused("two blanks behind the target", "RFC 9112 §3", line("GET /x  HTTP/1.1")),
        refused("a blank behind the version", "RFC 9112 §3", line("GET /x HTTP/1.1 ")),
        refused("a tab behind the method", "RFC 9112 §3", line("GET\t/x HTTP/1.1")),
        refused("a tab behind the target", "RFC 9112 §3", line("GET /x\tHTTP/1.1")),
        refused("a vertical tab behind the method", "RFC 9112 §3", line("GET\x0b/x HTTP/1.1")),
        refused("a form feed behind the target", "RFC 9112 §3", line("GET /x\x0cHTTP/1.1")),
        refused("a blank in the target", "RFC 9112 §3", line("GET /x y HTTP/1.1")),
        refused("a version in the target", "RFC 9112 §3", line("GET /x HTTP/1.1 HTTP/1.1")),
        refused("a request line in the target", "RFC 9112 §3", line("GET /x HTTP/1.1/../../y HTTP/1.1")),
        refused("no method", "RFC 9112 §3", line(" /x HTTP/1.1")),
        refused("no target", "RFC 9112 §3", line("GET HTTP/1.1")),
        refused("a method with a slash", "RFC 9110 §9.1", line("GET/ /x HTTP/1.1")),
        refused("a method with @", "RFC 9110 §9.1", line("G@T /x HTTP/1.1")),
        refused("a method with a colon", "RFC 9110 §9.1", line("GET: /x HTTP/1.1")),
        refused("a method with a comma", "RFC 9110 §9.1", line("GET,POST /x HTTP/1.1")),
        refused("a method in quotes", "RFC 9110 §9.1", line("\"GET\" /x HTTP/1.1")),
        refused("a method with a high byte", "RFC 9110 §9.1", b"G\xc9T /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("a method with a NUL", "RFC 9110 §9.1", line("GE\0T /x HTTP/1.1")),
        refused("a method with DEL", "RFC 9110 §9.1", line("GE\x7fT /x HTTP/1.1")),
        refused_with(405, "CONNECT", "RFC 9110 §9.3.6", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        refused_with(405, "TRACE", "RFC 9110 §9.3.8", line("TRACE /x HTTP/1.1")),
        refused_with(
            405,
            "TRACE with a secret",
            "RFC 9110 §9.3.8",
            "TRACE /x HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\n\r\n",
        ),
        refused(
            "a method in lower case is another, and some take it for the same",
            "RFC 9110 §9.1",
            line("get /x HTTP/1.1"),
        ),
    ]
}

fn other_protocols() -> Vec<Row> {
    let line = |version: &str| format!("GET /x {version}\r\nHost: a\r\n\r\n").into_bytes();
    vec![
        refused("HTTP/0.9", "RFC 1945 §4.1", "GET /x\r\n\r\n"),
        refused("HTTP/0.9 by name", "RFC 9112 §2.3", line("HTTP/0.9")),
        refused("HTTP/1.2", "RFC 9112 §2.3", line("HTTP/1.2")),
        refused("HTTP/1.10", "RFC 9112 §2.3", line("HTTP/1.10")),
        refused("HTTP/01.1", "RFC 9112 §2.3", line("HTTP/01.1")),
        refused("HTTP/1.01", "RFC 9112 §2.3", line("HTTP/1.01")),
        refused("HTTP/1", "RFC 9112 §2.3", line("HTTP/1")),
        refused("HTTP/1,1", "RFC 9112 §2.3", line("HTTP/1,1")),
        refused("HTTP/2.0", "RFC 9112 §2.3", line("HTTP/2.0")),
        refused("HTTP/3.0", "RFC 9112 §2.3", line("HTTP/3.0")),
        refused("http/1.1", "RFC 9112 §2.3", line("http/1.1")),
        refused("HTTP 1.1", "RFC 9112 §2.3", line("HTTP 1.1")),
        refused("HTTPS/1.1", "RFC 9112 §2.3", line("HTTPS/1.1")),
        refused("ICY", "RFC 9112 §2.3", line("ICY")),
        refused("RTSP/1.0", "RFC 9112 §2.3", line("RTSP/1.0")),
        refused("PRI without the rest of its preface", "RFC 9113 §3.4", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n"),
        refused("PRI in HTTP/1.1", "RFC 9113 §11.6", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("an answer", "RFC 9112 §2.1", "HTTP/1.1 200 OK\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        refused("a TLS hello", "RFC 9112 §3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        refused(
            "the PROXY protocol",
            "RFC 9112 §3",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        reaches("HTTP/1.0 with a Host", "RFC 9112 §2.3", line("HTTP/1.0"), vec![seen("GET /x")]),
    ]
}
