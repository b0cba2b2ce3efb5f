//! Bytes that are no proper request: refused with the client's own fault as status, the connection closed, and nothing
//! of it ever at an origin.

#![cfg(test)]

mod support;

use support::{Gateway, Origin, Reply};

/// A whole answer as bytes until the close.
async fn refused(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut client = gateway.client().await;
    client.send_raw(bytes).await;
    String::from_utf8_lossy(&client.closed().await).into_owned()
}

fn status(answer: &str) -> &str {
    let rest = answer.strip_prefix("HTTP/1.1 ").or_else(|| answer.strip_prefix("HTTP/1.0 "));
    rest.and_then(|rest| rest.get(..3)).unwrap_or("none")
}

/// Sends each request with a second, proper one behind it; gives what was answered otherwise than said.
async fn wrong(gateway: &Gateway, rows: &[(&str, &str, Vec<u8>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (what, expected, bytes) in rows {
        let follower = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = refused(gateway, &[bytes, &follower[..]].concat()).await;
        let answers = answer.matches("HTTP/1.1 ").count() + answer.matches("HTTP/1.0 ").count();
        let fields = ["application/problem+json", "via: 1.1 freshgate", "cache-status: freshgate; detail="];
        if status(&answer) != *expected || answers != 1 || !fields.iter().all(|field| answer.contains(field)) {
            wrong.push(format!("{what}: {answers} answers, expected one {expected}: {answer:?}"));
        }
    }
    wrong
}

/// A request with these lines between its first one and the empty one.
fn head(line: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    bytes.extend(b" HTTP/1.1\r\n");
    for field in fields {
        bytes.extend(*field);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes
}

fn get(target: &str) -> Vec<u8> {
    head(&format!("GET {target}"), &[b"Host: a"])
}

fn post(fields: &[&[u8]], body: &str) -> Vec<u8> {
    [head("POST /x", &[&[b"Host: a" as &[u8]], fields].concat()), body.as_bytes().to_vec()].concat()
}

async fn check(rows: &[(&str, &str, Vec<u8>)]) {
    let origin = Origin::always(Reply::ok("reached")).await;
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    // A connection that wasn't closed answers the follower, and is left to idle no longer than this.
    let gateway = Gateway::with("[server.limits]\nidle_timeout = \"1s\"", &api).await;
    let wrong = wrong(&gateway, rows).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((origin.count(), origin.faults()), (0, vec![]));
    assert_eq!(gateway.client().await.get("/fine").await.text(), "reached", "the gateway goes on");
}

#[tokio::test]
async fn a_request_has_one_valid_host() {
    let with_host = |host: &[u8]| head("GET /x", &[&[b"Host: ", host].concat()]);
    check(&[
        ("no Host", "400", head("GET /x", &[])),
        ("no Host in HTTP/1.0", "400", b"GET /x HTTP/1.0\r\n\r\n".to_vec()),
        ("two Hosts", "400", head("GET /x", &[b"Host: a", b"Host: b"])),
        ("two equal Hosts", "400", head("GET /x", &[b"Host: a", b"Host: a"])),
        ("empty Host", "400", with_host(b"")),
        ("userinfo", "400", with_host(b"user@a")),
        ("slash", "400", with_host(b"a/b")),
        ("hash", "400", with_host(b"a#b")),
        ("question mark", "400", with_host(b"a?b")),
        ("blank", "400", with_host(b"a b")),
        ("comma", "400", with_host(b"a, b")),
        ("high byte", "400", with_host(b"\xe9")),
        ("bad port", "400", with_host(b"a:port")),
        ("no name", "400", with_host(b":80")),
        ("open bracket", "400", with_host(b"[::1")),
        ("absolute form, another authority", "400", head("GET http://b/x", &[b"Host: a"])),
        ("absolute form, another port", "400", head("GET http://a:81/x", &[b"Host: a"])),
        ("absolute form, userinfo", "400", head("GET http://u@a/x", &[b"Host: a"])),
        ("absolute form, no Host", "400", head("GET http://a/x", &[])),
        ("absolute form, another scheme", "400", head("GET ftp://a/x", &[b"Host: a"])),
    ])
    .await;
}

#[tokio::test]
async fn a_body_has_one_length() {
    let both = "5\r\nhello\r\n0\r\n\r\n";
    check(&[
        ("TE, CL", "400", post(&[b"Transfer-Encoding: chunked", b"Content-Length: 5"], both)),
        ("CL, TE", "400", post(&[b"Content-Length: 5", b"Transfer-Encoding: chunked"], both)),
        ("TE, CL in lower case", "400", post(&[b"transfer-encoding: chunked", b"content-length: 5"], both)),
        ("TE, CL 0 on GET", "400", head("GET /x", &[b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 0"])),
        ("two CLs", "400", post(&[b"Content-Length: 5", b"Content-Length: 6"], "hello")),
        ("two equal CLs", "400", post(&[b"Content-Length: 5", b"Content-Length: 5"], "hello")),
        ("a list of CLs", "400", post(&[b"Content-Length: 5, 5"], "hello")),
        ("negative CL", "400", post(&[b"Content-Length: -5"], "hello")),
        ("signed CL", "400", post(&[b"Content-Length: +5"], "hello")),
        ("CL with a blank", "400", post(&[b"Content-Length: 5 5"], "hello")),
        ("hexadecimal CL", "400", post(&[b"Content-Length: 0x5"], "hello")),
        ("empty CL", "400", post(&[b"Content-Length:"], "")),
        ("CL beyond 64 bits", "400", post(&[b"Content-Length: 18446744073709551616"], "")),
        ("TE gzip", "400", post(&[b"Transfer-Encoding: gzip"], "")),
        ("TE gzip, chunked", "400", post(&[b"Transfer-Encoding: gzip, chunked"], both)),
        ("TE chunked twice", "400", post(&[b"Transfer-Encoding: chunked, chunked"], both)),
        ("two TEs", "400", post(&[b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], both)),
        ("TE of an empty member", "400", post(&[b"Transfer-Encoding: ,chunked"], both)),
        ("TE xchunked", "400", post(&[b"Transfer-Encoding: xchunked"], both)),
        ("TE identity", "400", post(&[b"Transfer-Encoding: identity"], "")),
        ("TE quoted", "400", post(&[b"Transfer-Encoding: \"chunked\""], both)),
        ("TE with a vertical tab", "400", post(&[b"Transfer-Encoding: \x0bchunked"], both)),
        (
            "TE in HTTP/1.0",
            "400",
            format!("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{both}").into(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_head_is_made_of_lines_that_everybody_reads_alike() {
    check(&[
        ("folded line", "400", head("GET /x", &[b"Host: a", b"X-A: 1", b" 2"])),
        ("first line folded", "400", head("GET /x", &[b" Host: a"])),
        ("blank before the colon", "400", head("GET /x", &[b"Host: a", b"X-A : 1"])),
        ("no colon", "400", head("GET /x", &[b"Host: a", b"X-A"])),
        ("no name", "400", head("GET /x", &[b"Host: a", b": 1"])),
        ("NUL in a value", "400", head("GET /x", &[b"Host: a", b"X-A: 1\x002"])),
        ("NUL in a name", "400", head("GET /x", &[b"Host: a", b"X\0A: 1"])),
        ("control in a value", "400", head("GET /x", &[b"Host: a", b"X-A: 1\x012"])),
        ("bare CR in a value", "400", head("GET /x", &[b"Host: a", b"X-A: 1\r2"])),
        ("bare CR at a line's end", "400", b"GET /x HTTP/1.1\r\nHost: a\rX-A: 1\r\n\r\n".to_vec()),
        ("bare LF after a field", "400", b"GET /x HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n".to_vec()),
        ("bare LF after the first line", "400", b"GET /x HTTP/1.1\nHost: a\r\n\r\n".to_vec()),
        ("bare LF at the end", "400", b"GET /x HTTP/1.1\r\nHost: a\r\n\n".to_vec()),
        ("bare LFs only", "400", b"GET /x HTTP/1.1\nHost: a\n\n".to_vec()),
        ("bare LF before the request", "400", b"\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("quote in a name", "400", head("GET /x", &[b"Host: a", b"X\"A: 1"])),
        ("high byte in a name", "400", head("GET /x", &[b"Host: a", b"X-\xe9: 1"])),
    ])
    .await;
}

#[tokio::test]
async fn a_request_line_has_three_words() {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    check(&[
        ("no version", "400", line("GET /x")),
        ("bad version", "400", line("GET /x HTTP/9.9")),
        ("version in lower case", "400", line("GET /x http/1.1")),
        ("HTTP/1.2", "400", line("GET /x HTTP/1.2")),
        ("HTTP/2.0", "400", line("GET /x HTTP/2.0")),
        ("two blanks", "400", line("GET  /x HTTP/1.1")),
        ("a tab", "400", line("GET\t/x HTTP/1.1")),
        ("a blank at the end", "400", line("GET /x HTTP/1.1 ")),
        ("four words", "400", line("GET /x y HTTP/1.1")),
        ("no method", "400", line(" /x HTTP/1.1")),
        ("a method that is no token", "400", line("G@T /x HTTP/1.1")),
        ("no target", "400", line("GET  HTTP/1.1")),
        ("TLS", "400", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ])
    .await;
}

#[tokio::test]
async fn a_target_is_an_absolute_path_without_surprises() {
    check(&[
        ("relative", "400", get("x")),
        ("backslash", "400", get("/a\\b")),
        ("fragment", "400", get("/a#b")),
        ("fragment after a query", "400", get("/a?b#c")),
        ("%00", "400", get("/a%00b")),
        ("%zz", "400", get("/a%zzb")),
        ("% at the end", "400", get("/a%")),
        ("UTF-8", "400", get("/é")),
        ("UTF-8 in the query", "400", get("/a?é")),
        ("above the root", "400", get("/../a")),
        ("encoded way above the root", "400", get("/%2e%2e/a")),
        ("DEL", "400", get("/a\x7f")),
        ("control", "400", get("/a\x01")),
        ("OPTIONS *", "400", head("OPTIONS *", &[b"Host: a"])),
        ("GET *", "400", get("*")),
        ("CONNECT", "405", head("CONNECT a:80", &[b"Host: a:80"])),
        ("TRACE", "405", head("TRACE /x", &[b"Host: a"])),
        ("authority form for GET", "400", get("a:80")),
    ])
    .await;
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let long = "y".repeat(70 << 10);
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    check(&[
        ("a long field", "431", head("GET /x", &[b"Host: a", format!("X-A: {long}").as_bytes()])),
        ("a long name", "431", head("GET /x", &[b"Host: a", format!("{long}: 1").as_bytes()])),
        ("too many fields", "431", format!("GET /x HTTP/1.1\r\nHost: a\r\n{many}\r\n").into()),
        ("a long target", "431", get(&format!("/{long}"))),
    ])
    .await;
}

#[tokio::test]
async fn what_came_before_is_answered_and_what_comes_after_is_not() {
    let origin = Origin::start(|r| async move { Reply::ok(r.target) }).await;
    let gateway = Gateway::before(&origin, "").await;
    for bad in [
        "GET /bad HTTP/1.1\nHost: a\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = gateway.client().await;
        let (first, last) = (get("/first"), get("/last"));
        client.send_raw([&first[..], bad.as_bytes(), &last].concat()).await;
        assert_eq!(client.answer().await.text(), "/first");
        assert_eq!(client.answer().await.status, 400, "{bad:?}");
        assert_eq!(client.closed().await, b"");
        assert!(origin.requests().iter().all(|r| r.target == "/first"));
    }
}

#[tokio::test]
async fn a_bad_head_is_found_however_it_is_cut() {
    let origin = Origin::always(Reply::ok("reached")).await;
    let gateway = Gateway::before(&origin, "").await;
    let bad = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for cut in (1..bad.len() - 5).step_by(7) {
        let mut client = gateway.client().await;
        client.send_raw(&bad[..cut]).await;
        tokio::task::yield_now().await;
        client.send_raw(&bad[cut..]).await;
        assert_eq!(client.answer().await.status, 400, "cut at {cut}");
        assert_eq!(client.closed().await, b"");
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn odd_but_proper_requests_pass() {
    let origin = Origin::start(|r| async move { Reply::ok(format!("{} {}", r.target, r.body.len())) }).await;
    let gateway = Gateway::before(&origin, "").await;
    let line = |text: &str| text.as_bytes().to_vec();
    for (bytes, expected) in [
        (line("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"), "/x 0"),
        (line("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), "/x 0"),
        (line("GET http://A:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), "/ 0"),
        (line("GET /x HTTP/1.1\r\nhost:a\r\nX-Empty:\r\nX-High: \u{e9}\r\n\r\n"), "/x 0"),
        (line("GET /a//b/./c/../d%7e%2f HTTP/1.1\r\nHost: a\r\n\r\n"), "/a/b/d~%2F 0"),
        (line("GET /x?a=%zz&b=c HTTP/1.1\r\nHost: a\r\n\r\n"), "/x?a=%zz&b=c 0"),
        (
            line(
                "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\n\n#\n\n\n\r\n0\r\n\r\n",
            ),
            "/x 5",
        ),
        (line("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello"), "/x 5"),
        (line("GET /x HTTP/1.0\r\nHost: a\r\n\r\n"), "/x 0"),
    ] {
        let mut client = gateway.client().await;
        client.send_raw(&bytes).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (200, expected), "{}", String::from_utf8_lossy(&bytes));
    }
    assert!(origin.faults().is_empty(), "{:?}", origin.faults());
}
