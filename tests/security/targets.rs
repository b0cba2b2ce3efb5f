//! Paths and queries: one form, or none.

use super::row::{Row, Said, refused, says, says_refused, seen};

pub fn rows() -> Vec<Row> {
    let mut rows = malformed();
    rows.extend(hidden());
    rows.extend(forms());
    rows
}

fn malformed() -> Vec<Row> {
    let bad = |name, target: &str| says_refused(name, "RFC 9112 §3.2; RFC 3986 §3.3", Said::get(target));
    vec![
        bad("a relative path", "x"),
        bad("a path of dots", "../x"),
        bad("a query only", "?x"),
        bad("a fragment", "/x#y"),
        bad("a fragment behind the query", "/x?y#z"),
        bad("an empty fragment", "/x#"),
        bad("a fragment only", "#x"),
        bad("a backslash", "/x\\y"),
        bad("a backslash for the slash", "\\x"),
        bad("dots behind backslashes", "/x\\..\\y"),
        bad("a backslash in the query", "/x?\\"),
        bad("UTF-8 in the path", "/\u{e9}"),
        bad("UTF-8 in the query", "/x?\u{e9}"),
        bad("a soft hyphen", "/.\u{ad}./x"),
        bad("DEL", "/x\x7f"),
        bad("a control byte", "/x\x01"),
        bad("a control byte in the query", "/x?\x01"),
        bad("an escape of nothing", "/x%"),
        bad("an escape of one digit", "/x%4"),
        bad("an escape of two letters", "/x%zz"),
        bad("an escape of IIS", "/x%u002e"),
        bad("an escape with a sign", "/x%+1"),
        bad("an escape with a blank", "/x%%20"),
        bad("an escaped NUL", "/x%00"),
        bad("an escaped NUL and an ending", "/me%00.css"),
        bad("an escaped NUL, twice", "/me%2500.css"),
        bad("an escaped CRLF", "/x%0d%0aX-Evil:%20y"),
        bad("an escaped LF", "/me%0a.css"),
        bad("an escaped CR", "/x%0D"),
        bad("an escaped tab", "/x%09"),
        bad("an escaped DEL", "/x%7f"),
        refused("a fragment where none is looked for", "RFC 9112 §3.2", "GET http://a/x#y HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("raw CRLF in the target", "response splitting", "GET /x\r\nX-Evil: y HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]
}

/// `.` and `..` that only some take for a segment.
fn hidden() -> Vec<Row> {
    let bad = |name, target: &str| says_refused(name, "RFC 3986 §5.2.4; path confusion", Said::get(target));
    vec![
        bad("dots above the root", "/.."),
        bad("dots above the root, deeper", "/a/../../b"),
        bad("dots above the root, escaped", "/%2e%2e/x"),
        bad("dots above the root, half escaped", "/.%2E/x"),
        bad("dots before an escaped slash", "/a/..%2fb"),
        bad("dots behind an escaped slash", "/a%2f../b"),
        bad("dots between escaped slashes", "/a%2F..%2Fb"),
        bad("escaped dots before an escaped slash", "/a/%2e%2e%2fb"),
        bad("dots before an escaped backslash", "/a/..%5cb"),
        bad("escaped dots before an escaped backslash", "/a/%2e%2e%5Cb"),
        bad("dots behind an escaped backslash", "/a%5c../b"),
        bad("one dot before an escaped slash", "/a/.%2fb"),
        bad("dots with a parameter", "/a/..;x=y/b"),
        bad("dots with an empty parameter", "/a/..;/b"),
        bad("one dot with a parameter", "/a/.;x/b"),
        bad("dots with a parameter at the end", "/a/..;"),
        bad("dots with an escaped semicolon", "/a/..%3b/b"),
        bad("escaped dots with a parameter", "/a/%2e%2e;/b"),
        bad("dots escaped twice", "/a/%252e%252e/b"),
        bad("dots and a slash escaped twice", "/a/%252e%252e%252fb"),
        bad("dots before a slash escaped twice", "/a/..%252fb"),
        bad("dots before a backslash escaped twice", "/a/..%255cb"),
        bad("dots in two bytes", "/a/%c0%ae%c0%ae/b"),
        bad("dots before a slash in two bytes", "/a/..%c0%afb"),
        bad("dots before a backslash in two bytes", "/a/..%c1%9cb"),
        bad("wide dots", "/a/%ef%bc%8e%ef%bc%8e/b"),
        bad("dots before a wide slash", "/a/..%ef%bc%8fb"),
        bad("dots and a blank", "/a/..%20/b"),
        bad("an escaped slash behind a parameter", "/a;x%2fb"),
        bad("an escaped backslash behind an escaped semicolon", "/a%3bx%5cb"),
        bad("cache deception behind an escaped way up", "/me/..%2fstatic/x.css"),
        bad("cache deception by a way up", "/static/..%2fme"),
    ]
}

fn forms() -> Vec<Row> {
    let one =
        |name, target: &str, line: &str| says(name, "RFC 3986 §6.2.2", Said::get(target), seen(&format!("GET {line}")));
    vec![
        one("slashes", "//a///b//", "/a/b/"),
        one("a plain dot", "/a/./b", "/a/b"),
        one("plain dots", "/a/../b", "/b"),
        one("plain dots at the end", "/a/b/..", "/a/"),
        one("escaped dots", "/a/%2e%2E/b", "/b"),
        one("escapes of letters", "/%61%42%7e", "/aB~"),
        one("escapes in small letters", "/a%2fb%3a", "/a%2Fb%3A"),
        one("an escaped slash", "/a%2Fb", "/a%2Fb"),
        one("an escaped backslash", "/a%5cb", "/a%5Cb"),
        one("an escaped percent", "/100%25", "/100%25"),
        one("an escaped escape", "/a%252fb", "/a%252fb"),
        one("parameters", "/a;x=y/b;z", "/a;x=y/b;z"),
        one("dots in a name", "/.well-known/..x/a...", "/.well-known/..x/a..."),
        one("an escaped question mark", "/a%3fb", "/a%3Fb"),
        one("an escaped hash", "/a%23b", "/a%23b"),
        one("an escaped blank", "/a%20b", "/a%20b"),
        one("a plus", "/a+b", "/a+b"),
        one("UTF-8, escaped", "/%c3%a9", "/%C3%A9"),
        one("an empty query", "/x?", "/x"),
        one("two question marks", "/x?a?b", "/x?a?b"),
        one("slashes and dots in the query", "/x?a=//../%2e%2e%2f", "/x?a=//../%2e%2e%2f"),
        one("escaped CRLF in the query", "/x?a=%0d%0aX:%20y", "/x?a=%0d%0aX:%20y"),
        one("escaped NUL in the query", "/x?a=%00", "/x?a=%00"),
        one("a bad escape in the query", "/x?a=%zz", "/x?a=%zz"),
        one("a query in order", "/x?b=1&a=2&&a=1", "/x?a=2&a=1&b=1"),
        one("names written in two ways keep their order", "/x?b=1&a=2&%61=1", "/x?a=2&%61=1&b=1"),
    ]
}
