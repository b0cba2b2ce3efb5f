//! Field names and values, single fields that come twice, floods, Expect, Upgrade.

use super::row::{Row, get, post, reaches, refused, refused_with, seen};

pub fn rows() -> Vec<Row> {
    let mut rows = names_and_values();
    rows.extend(repeated());
    rows.extend(floods());
    rows.extend(expectations());
    rows.extend(upgrades());
    rows
}

fn names_and_values() -> Vec<Row> {
    vec![
        refused("a blank before the colon", "RFC 9112 §5.1", get("X : y")),
        refused("a tab before the colon", "RFC 9112 §5.1", get("X\t: y")),
        refused("a blank in a name", "RFC 9110 §5.1", get("X Y: z")),
        refused("no colon", "RFC 9112 §5", get("X")),
        refused("no colon at the end", "RFC 9112 §5", get("X: y\r\nZ")),
        refused("no name", "RFC 9110 §5.1", get(": y")),
        refused("no name and no value", "RFC 9110 §5.1", get(":")),
        refused("a name with quotes", "RFC 9110 §5.1", get("\"X\": y")),
        refused("a name with a slash", "RFC 9110 §5.1", get("X/Y: z")),
        refused("a name with @", "RFC 9110 §5.1", get("X@Y: z")),
        refused("a name with brackets", "RFC 9110 §5.1", get("X[Y]: z")),
        refused("a name with =", "RFC 9110 §5.1", get("X=Y: z")),
        refused("a name with ;", "RFC 9110 §5.1", get("X;Y: z")),
        refused("a name with ,", "RFC 9110 §5.1", get("X,Y: z")),
        refused("a name with a backslash", "RFC 9110 §5.1", get("X\\Y: z")),
        refused("a name with a NUL", "RFC 9110 §5.1", get("X\0Y: z")),
        refused("a name with a control byte", "RFC 9110 §5.1", get("X\x01: z")),
        refused("a name with DEL", "RFC 9110 §5.1", get("X\x7f: z")),
        refused("a name with a high byte", "RFC 9110 §5.1", get("X\u{e9}: z")),
        refused("a value with a NUL", "RFC 9110 §5.5", get("X: y\0z")),
        refused("a value with a bell", "RFC 9110 §5.5", get("X: y\x07z")),
        refused("a value with an escape", "RFC 9110 §5.5", get("X: \x1b[31m")),
        refused("a value with a vertical tab", "RFC 9110 §5.5", get("X: y\x0bz")),
        refused("a value with DEL", "RFC 9110 §5.5", get("X: y\x7f")),
        refused("a request line among the fields", "RFC 9112 §5", get("GET /smuggled HTTP/1.1\r\nX: y")),
        reaches("a value with a tab", "RFC 9110 §5.5", get("X: y\tz"), vec![seen("GET /x").with("x", "y\tz")]),
        reaches("an empty value", "RFC 9110 §5.5", get("X:"), vec![seen("GET /x").with("x", "")]),
        reaches(
            "a name of odd bytes",
            "RFC 9110 §5.1",
            get("!#$%&'*+-.^_`|~: y"),
            vec![seen("GET /x").with("!#$%&'*+-.^_`|~", "y")],
        ),
        reaches("colons in a value", "RFC 9112 §5", get("X::y: z"), vec![seen("GET /x").with("x", ":y: z")]),
        reaches(
            "a value that is no text",
            "RFC 9110 §5.5",
            get("X: caf\u{e9}"),
            vec![seen("GET /x").with("x", "caf\u{e9}")],
        ),
        reaches(
            "escapes of CRLF in a value",
            "RFC 9110 §5.5",
            get("X: %0d%0aY: z"),
            vec![seen("GET /x").with("x", "%0d%0aY: z").without(&["y"])],
        ),
        reaches(
            "wide forms of CRLF in a value",
            "response splitting by narrowing",
            get("X: \u{560d}\u{560a}Y: z"),
            vec![seen("GET /x").without(&["y"])],
        ),
    ]
}

fn repeated() -> Vec<Row> {
    let twice = |name: &str, a: &str, b: &str| get(&format!("{name}: {a}\r\n{name}: {b}"));
    vec![
        refused("Authorization twice", "RFC 9110 §5.3, §11.6.2", twice("Authorization", "Bearer a", "Bearer b")),
        refused("Authorization twice alike", "RFC 9110 §5.3", twice("Authorization", "Bearer a", "Bearer a")),
        refused(
            "Authorization twice, in two cases",
            "RFC 9110 §5.1",
            get("authorization: Bearer a\r\nAUTHORIZATION: Bearer b"),
        ),
        refused(
            "Content-Type twice",
            "RFC 9110 §8.3",
            post("Content-Type: text/a\r\nContent-Type: text/b\r\nContent-Length: 1", "x"),
        ),
        refused("Origin twice", "Fetch Standard 3.2", twice("Origin", "https://a.example", "https://b.example")),
        refused("If-Range twice", "RFC 9110 §13.1.5", twice("If-Range", "\"a\"", "\"b\"")),
        refused("Max-Forwards twice", "RFC 9110 §7.6.2", twice("Max-Forwards", "1", "2")),
        refused("Proxy-Authorization twice", "RFC 9110 §11.7.2", twice("Proxy-Authorization", "Basic a", "Basic b")),
        reaches(
            "Cookie twice is one",
            "RFC 9113 §8.2.3",
            twice("Cookie", "a=1", "b=2"),
            vec![seen("GET /x").with("cookie", "a=1; b=2")],
        ),
        reaches("Accept twice is a list", "RFC 9110 §5.3", twice("X-List", "a", "b"), vec![seen("GET /x")]),
    ]
}

fn floods() -> Vec<Row> {
    let long = "y".repeat(70 << 10);
    let many = |n: usize| (0..n).map(|n| format!("X-{n}: 1")).collect::<Vec<_>>().join("\r\n");
    vec![
        refused_with(431, "a long value", "RFC 6585 §5", get(&format!("X: {long}"))),
        refused_with(431, "a long name", "RFC 6585 §5", get(&format!("{long}: y"))),
        refused_with(431, "101 fields", "RFC 6585 §5", get(&many(100))),
        refused_with(431, "5000 fields", "RFC 6585 §5", get(&many(5000))),
        refused_with(431, "a long target", "RFC 9110 §15.5.15", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused_with(431, "a long method", "RFC 9112 §3", format!("{long} /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        refused_with(431, "many cookies", "RFC 6585 §5", get(&format!("Cookie: {}", "a=b; ".repeat(14_000)))),
        reaches("99 fields", "RFC 6585 §5", get(&many(98)), vec![seen("GET /x").with("x-97", "1")]),
    ]
}

fn expectations() -> Vec<Row> {
    let body = "Content-Length: 5";
    vec![
        refused(
            "100-continue of what is refused",
            "RFC 9110 §10.1.1",
            post("Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 5", ""),
        ),
        refused_with(
            413,
            "100-continue of what is too long",
            "RFC 9110 §10.1.1",
            post("Expect: 100-continue\r\nContent-Length: 65537", ""),
        ),
        reaches(
            "100-continue",
            "RFC 9110 §10.1.1",
            post(&format!("Expect: 100-continue\r\n{body}"), "hello"),
            vec![seen("POST /x").without(&["expect"]).body("hello")],
        ),
        reaches(
            "100-continue in capitals",
            "RFC 9110 §10.1.1",
            post(&format!("Expect: 100-CONTINUE\r\n{body}"), "hello"),
            vec![seen("POST /x").without(&["expect"]).body("hello")],
        ),
        reaches(
            "an obfuscated expectation",
            "HTTP/1.1 Must Die (0.CL by Expect)",
            post(&format!("Expect: y 100-continue\r\n{body}"), "hello"),
            vec![seen("POST /x").without(&["expect"]).body("hello")],
        ),
        reaches(
            "an expectation of a GET",
            "HTTP/1.1 Must Die",
            get("Expect: 100-continue"),
            vec![seen("GET /x").without(&["expect"])],
        ),
        reaches(
            "an expectation of a GET with a body",
            "HTTP/1.1 Must Die",
            [&get(&format!("Expect: 100-continue\r\n{body}"))[..], b"hello"].concat(),
            vec![seen("GET /x").without(&["expect"]).body("hello")],
        ),
        reaches(
            "two expectations",
            "RFC 9110 §10.1.1",
            post(&format!("Expect: 100-continue\r\nExpect: x\r\n{body}"), "hello"),
            vec![seen("POST /x").without(&["expect"]).body("hello")],
        ),
    ]
}

fn upgrades() -> Vec<Row> {
    let gone: &[&str] = &["upgrade", "http2-settings", "connection"];
    let upgrade = |fields: &str| get(fields);
    vec![
        reaches(
            "h2c",
            "RFC 7540 §3.2; h2c smuggling",
            upgrade("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
            vec![seen("GET /x").without(gone)],
        ),
        reaches(
            "h2c that Connection names in part",
            "h2c smuggling",
            upgrade("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
            vec![seen("GET /x").without(gone)],
        ),
        reaches(
            "h2c that Connection doesn't name",
            "h2c smuggling",
            upgrade("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
            vec![seen("GET /x").without(gone)],
        ),
        reaches(
            "a websocket where none is allowed",
            "RFC 9110 §7.8",
            upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x"),
            vec![seen("GET /x").without(gone)],
        ),
        reaches(
            "an upgrade with a body",
            "RFC 9110 §7.8",
            post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5", "hello"),
            vec![seen("POST /x").without(gone).body("hello")],
        ),
        reaches(
            "a request behind an upgrade",
            "websocket smuggling",
            [&upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777")[..], &get("X: 2")]
                .concat(),
            vec![seen("GET /x").without(gone), seen("GET /x").with("x", "2")],
        ),
    ]
}
