//! What a page from elsewhere can do with the admin port through its reader's browser: nothing.

use crate::support::{Answer, Port, port, port_with, raw};

/// A request with these fields and nothing that isn't written here.
async fn ask(port: &Port, method: &str, target: &str, fields: &str) -> Answer {
    let host = if fields.contains("Host:") { "" } else { "Host: x\r\n" };
    raw(port.address, &format!("{method} {target} HTTP/1.1\r\n{host}{fields}Connection: close\r\n\r\n")).await
}

fn purged(port: &Port) -> usize {
    port.double.purges.lock().unwrap().len()
}

/// A browser adds cookies, credentials in the URL (as `Basic`) and whatever a form or a link has; none of them is a token.
#[tokio::test]
async fn a_token_is_taken_from_nowhere_but_its_own_field() {
    let port = port().await;
    let token = "administrator-secret";
    let basic = "Basic YWRtaW5pc3RyYXRvcjphZG1pbmlzdHJhdG9yLXNlY3JldA==";
    for (target, fields) in [
        ("/v1/cache", format!("Cookie: token={token}\r\n")),
        ("/v1/cache", format!("Cookie: session={token}; authorization=Bearer {token}\r\n")),
        ("/v1/cache", format!("Authorization: {basic}\r\n")),
        ("/v1/cache", format!("Proxy-Authorization: Bearer {token}\r\n")),
        ("/v1/cache", format!("X-Api-Key: {token}\r\nFreshgate-Token: {token}\r\n")),
        (&format!("/v1/cache?token={token}&access_token={token}&authorization=Bearer+{token}"), String::new()),
        (&format!("http://administrator:{token}@x/v1/cache"), String::new()),
    ] {
        let answer = ask(&port, "DELETE", target, &fields).await;
        // That there is user information in a target is refused before anybody is asked (RFC 9110 §4.2.4).
        assert!(matches!(answer.status, 400 | 401), "{target} {fields}: {answer:?}");
        assert!(!answer.body.contains(token), "{answer:?}");
    }
    let form = format!("token={token}&access_token={token}&all=true");
    let fields = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len());
    let text = format!("POST /v1/purge HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n{form}");
    assert_eq!(raw(port.address, &text).await.status, 401);
    assert_eq!(purged(&port), 0);
}

/// A page may only add `Authorization` after it has asked, and nobody says yes.
#[tokio::test]
async fn no_page_is_allowed_to_show_a_token_or_to_read() {
    for port in [port().await, port_with(true).await] {
        let asks = "Origin: https://evil.example\r\nAccess-Control-Request-Method: DELETE\r\n\
                    Access-Control-Request-Headers: authorization\r\n";
        let preflight = ask(&port, "OPTIONS", "/v1/cache", asks).await;
        preflight.problem(401, "unauthorized");
        let token = "Authorization: Bearer administrator-secret\r\nOrigin: https://evil.example\r\n";
        for (answer, status) in [
            (preflight, 401),
            (ask(&port, "OPTIONS", "/livez", asks).await, 405),
            (ask(&port, "GET", "/livez", "Origin: https://evil.example\r\n").await, 200),
            (ask(&port, "GET", "/v1/apis", "Origin: null\r\nSec-Fetch-Site: cross-site\r\n").await, 401),
            // Who has a token needn't borrow a browser; whether it is asked for by one makes no difference.
            (ask(&port, "GET", "/v1/apis", &format!("{token}Sec-Fetch-Site: cross-site\r\n")).await, 200),
        ] {
            assert_eq!(answer.status, status, "{answer:?}");
            for name in ["origin", "headers", "methods", "credentials"] {
                assert_eq!(answer.field(&format!("access-control-allow-{name}")), None, "{answer:?}");
            }
            assert_eq!(answer.field("set-cookie"), None);
        }
        assert_eq!(purged(&port), 0);
    }
}

/// A name of the attacker's that has come to mean this address (DNS rebinding) makes its page one of ours, and brings it no token.
#[tokio::test]
async fn another_name_for_this_port_opens_nothing() {
    let port = port().await;
    for host in ["evil.example", "localhost:9090", "[::1]"] {
        let same_site = format!("Host: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n");
        assert_eq!(ask(&port, "DELETE", "/v1/cache", &same_site).await.status, 401, "{host}");
        assert_eq!(ask(&port, "GET", "/metrics", &same_site).await.status, 401, "{host}");
        assert_eq!(ask(&port, "GET", "/livez", &same_site).await.status, 200, "{host}");
    }
    assert_eq!(purged(&port), 0);
}

/// A call that has no use for a body doesn't wait for one, however long it is to be; the one that has reads so much and no more
/// (`the_body_must_be_json_and_small`).
#[tokio::test]
async fn bodies_that_nobody_needs_are_not_waited_for() {
    let port = port().await;
    for (method, target, status) in
        [("DELETE", "/v1/cache", 200), ("GET", "/v1/apis", 200), ("PUT", "/v1/apis/a/v1", 415)]
    {
        for (who, status) in [("", 401), ("Authorization: Bearer administrator-secret\r\n", status)] {
            for length in ["Content-Length: 999999999999", "Transfer-Encoding: chunked"] {
                let answer = ask(&port, method, target, &format!("{who}{length}\r\n")).await;
                assert_eq!(answer.status, status, "{method} {target} {length}");
            }
        }
    }
}
