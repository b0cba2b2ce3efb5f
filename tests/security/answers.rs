//! Answers that are given before a request's body was read: what is in the body isn't taken for a request.

use super::row::{Row, own};

/// Looks like a request to who doesn't count.
const INNER: &str = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";

pub fn rows() -> Vec<Row> {
    let to = |host: &str, method: &str, fields: &str, body: &str| {
        format!("{method} /x HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n{body}").into_bytes()
    };
    let counted = format!("Content-Length: {}", INNER.len());
    let chunks = format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len());
    let cites = "RFC 9112 §9.3, §11.2; CL.0, Browser-Powered Desync";
    vec![
        own(404, "404 of a POST", cites, to("nobody", "POST", &counted, INNER)),
        own(404, "404 of a POST in chunks", cites, to("nobody", "POST", "Transfer-Encoding: chunked", &chunks)),
        own(404, "404 of a GET with a body", cites, to("nobody", "GET", &counted, INNER)),
        own(
            404,
            "404 of a POST that expects",
            cites,
            to("nobody", "POST", &format!("Expect: 100-continue\r\n{counted}"), INNER),
        ),
        own(
            404,
            "404 of a long body",
            cites,
            to("nobody", "POST", "Content-Length: 60000", &INNER.repeat(2000)[..60000]),
        ),
        own(401, "401 of a GET", "RFC 9110 §15.5.2", to("keyed", "GET", "X: y", "")),
        own(401, "401 of a POST", cites, to("keyed", "POST", &counted, INNER)),
        own(401, "401 of a POST in chunks", cites, to("keyed", "POST", "Transfer-Encoding: chunked", &chunks)),
        own(401, "401 of a GET with a body", cites, to("keyed", "GET", &counted, INNER)),
        own(
            401,
            "401 of a POST that expects",
            cites,
            to("keyed", "POST", &format!("Expect: 100-continue\r\n{counted}"), INNER),
        ),
        own(401, "401 of a wrong key", "RFC 9110 §15.5.2", to("keyed", "GET", "X-Api-Key: wrong", "")),
        own(
            401,
            "401 of a key that Connection names",
            "hop-by-hop abuse",
            to("keyed", "GET", "Connection: X-Api-Key\r\nX-Api-Key: wrong", ""),
        ),
        own(401, "401 of two keys", "RFC 9110 §5.3", to("keyed", "GET", "X-Api-Key: a\r\nX-Api-Key: b", "")),
        own(
            504,
            "only-if-cached with nothing stored",
            "RFC 9111 §5.2.1.7",
            to("a", "GET", "Cache-Control: only-if-cached", ""),
        ),
    ]
}
