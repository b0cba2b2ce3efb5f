//! Host, absolute-form, userinfo, ports.

use super::row::{Row, Said, get, reaches, refused, says, says_refused, seen};

pub fn rows() -> Vec<Row> {
    let mut rows = lines();
    rows.extend(values());
    rows.extend(absolute());
    rows
}

fn lines() -> Vec<Row> {
    let head = |fields: &str| format!("GET /x HTTP/1.1\r\n{fields}\r\n\r\n").into_bytes();
    vec![
        refused("no Host", "RFC 9112 §3.2", "GET /x HTTP/1.1\r\n\r\n"),
        refused("no Host but other fields", "RFC 9112 §3.2", head("X: y\r\nX-Forwarded-Host: a")),
        refused("no Host in HTTP/1.0", "RFC 9112 §3.2", "GET /x HTTP/1.0\r\n\r\n"),
        refused("no Host in HTTP/1.0 but absolute-form", "RFC 9112 §3.2", "GET http://a/x HTTP/1.0\r\n\r\n"),
        refused("two Hosts", "RFC 9112 §3.2", get("Host: b")),
        refused("two Hosts alike", "RFC 9112 §3.2", get("Host: a")),
        refused("two Hosts in two cases", "RFC 9112 §3.2", get("hOST: b")),
        refused("three Hosts", "RFC 9112 §3.2", get("Host: b\r\nHost: a")),
        refused("two Hosts, one of them empty", "RFC 9112 §3.2", get("Host:")),
        refused("two Hosts far apart", "RFC 9112 §3.2", get(&format!("{}Host: b", "X: y\r\n".repeat(40)))),
        refused("a Host with a blank before the colon", "RFC 9112 §5.1", head("Host : a")),
        refused("a second Host with a blank before the colon", "Host of Troubles (2016)", get("Host : b")),
        refused("a second Host behind a blank", "Host of Troubles (2016)", get(" Host: b")),
        refused("a Host behind a blank, and another", "Host of Troubles (2016)", head(" Host: b\r\nHost: a")),
        refused("a folded second Host", "Host of Troubles (2016)", get("X: y\r\n Host: b")),
        refused("a Host behind a bare LF", "Host of Troubles (2016)", head("X: y\nHost: b\r\nHost: a")),
        reaches(
            "a Host with an underscore in no name",
            "RFC 9110 §7.2",
            head("host:\ta\t"),
            vec![seen("GET /x").with("x-forwarded-host", "a")],
        ),
    ]
}

fn values() -> Vec<Row> {
    let bad = |name, host: &str| says_refused(name, "RFC 9110 §7.2; RFC 3986 §3.2", Said::get("/x").host(host));
    let good = |name, host: &str, told: &str| {
        says(
            name,
            "RFC 9110 §7.2; RFC 3986 §6.2",
            Said::get("/x").host(host),
            seen("GET /x").with("x-forwarded-host", told),
        )
    };
    vec![
        bad("an empty Host", ""),
        bad("userinfo", "user@a"),
        bad("userinfo with a password", "user:pass@a"),
        bad("userinfo that looks like a name", "a:80@b"),
        bad("a slash", "a/b"),
        bad("a path", "a/"),
        bad("a backslash", "a\\b"),
        bad("a hash", "a#b"),
        bad("a question mark", "a?b"),
        bad("a blank", "a b"),
        bad("a tab", "a\tb"),
        bad("a comma", "a, b"),
        bad("a semicolon", "a;b"),
        bad("quotes", "\"a\""),
        bad("a star as Host", "*"),
        bad("an escape", "%61"),
        bad("an escaped CRLF", "a%0d%0ab"),
        bad("a high byte", "\u{e9}"),
        bad("a scheme", "http://a"),
        bad("an empty name", ":80"),
        bad("a port that is no number", "a:port"),
        bad("a port with a sign", "a:+80"),
        bad("a port of six digits", "a:000080"),
        bad("a port with zeros before", "a:080"),
        bad("a port of 0", "a:0"),
        bad("a port of 65536", "a:65536"),
        bad("two ports", "a:80:80"),
        bad("a port behind a path", "a/x:80"),
        bad("two dots", "a..b"),
        bad("two dots at the end", "a.."),
        bad("a dot before", ".a"),
        bad("only a dot", "."),
        bad("an open bracket", "[::1"),
        bad("a bracket and more", "[::1]a"),
        bad("a bracket with a name", "[a]"),
        bad("an address with a zone", "[fe80::1%25eth0]"),
        bad("an address without brackets", "::1"),
        bad("a name of 256 bytes", &"a".repeat(256)),
        good("a Host in capitals", "A", "a"),
        good("a dot at the end", "a.", "a"),
        good("an empty port", "a:", "a"),
        good("a dot and an empty port", "A.:", "a"),
        good("the default port is another host", "a:80", "a:80"),
        good("another port", "a:8080", "a:8080"),
    ]
}

fn absolute() -> Vec<Row> {
    let line = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let cites = "RFC 9112 §3.2.2";
    let bad = |name, target: &str| refused(name, cites, line(target, "a"));
    let good =
        |name, target: &str, path: &str| reaches(name, cites, line(target, "a"), vec![seen(&format!("GET {path}"))]);
    vec![
        bad("another authority", "http://b/x"),
        bad("another port in the target", "http://a:81/x"),
        bad("the default port in the target", "http://a:80/x"),
        bad("a subdomain", "http://b.a/x"),
        bad("userinfo in the target", "http://u@a/x"),
        bad("userinfo in the target that looks like Host", "http://a@b/x"),
        bad("userinfo in the target without a name", "http://@a/x"),
        bad("no authority", "http:///x"),
        bad("no authority but a path", "http:/x"),
        bad("a scheme that isn't HTTP", "ftp://a/x"),
        bad("a file", "file:///x"),
        bad("a script", "javascript:alert(1)"),
        bad("a URN", "urn:x"),
        bad("a scheme only", "http://"),
        bad("an authority that isn't valid", "http://a:x/x"),
        bad("a backslash in the authority", "http://a\\b/x"),
        bad("an escape in the authority", "http://%61/x"),
        bad("authority-form", "a:80"),
        bad("a host as target", "a"),
        bad("@ and a host as target", "@b/x"),
        bad("a port as target", ":80/x"),
        bad("a star as target", "*"),
        refused("OPTIONS and a star", "RFC 9112 §3.2.4", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("absolute-form without Host", cites, "GET http://a/x HTTP/1.1\r\n\r\n"),
        refused("absolute-form with two Hosts", cites, "GET http://a/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        refused("absolute-form with an empty Host", cites, line("http://a/x", "")),
        good("absolute-form", "http://a/x", "/x"),
        good("absolute-form in capitals", "HTTP://A/x", "/x"),
        good("absolute-form without a path", "http://a", "/"),
        good("absolute-form with a query only", "http://a?b=c", "/?b=c"),
        good("absolute-form with two slashes", "http://a//b/x", "/b/x"),
        good("a path that looks like an authority", "//b/x", "/b/x"),
        good("a path that looks like a URL", "/http://b/x", "/http:/b/x"),
        good("a path that looks like userinfo", "/@b/x", "/@b/x"),
    ]
}
