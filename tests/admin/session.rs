//! Who signs in with a browser, for how long, and what a page from elsewhere can make of it.

use crate::support::{Answer, Port, call, port, raw, token, tokens};
use freshgate::admin::{Role, SessionTimes};
use std::time::Duration;

/// What a signed-in browser has.
#[derive(Clone)]
struct Session {
    cookie: String,
    csrf: String,
}

impl Session {
    /// A request as the panel's page makes it.
    async fn asks(&self, port: &Port, method: &str, target: &str) -> Answer {
        let csrf = format!("X-Freshgate-CSRF: {}\r\nSec-Fetch-Site: same-origin\r\n", self.csrf);
        self.shows(port, method, target, &csrf).await
    }

    /// A request with the cookie and these fields.
    async fn shows(&self, port: &Port, method: &str, target: &str, fields: &str) -> Answer {
        ask(port, method, target, &format!("Cookie: a=b; {}; c=d\r\n{fields}", self.cookie)).await
    }
}

async fn ask(port: &Port, method: &str, target: &str, fields: &str) -> Answer {
    raw(port.address, &format!("{method} {target} HTTP/1.1\r\nHost: x:1\r\n{fields}Connection: close\r\n\r\n")).await
}

async fn post(port: &Port, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("POST /session HTTP/1.1\r\nHost: x:1\r\n{fields}Content-Length: {length}\r\nConnection: close");
    raw(port.address, &format!("{head}\r\n\r\n{body}")).await
}

const JSON: &str = "Content-Type: application/json\r\n";

async fn sign_in(port: &Port, who: &str) -> Session {
    let answer = post(port, JSON, &format!("{{\"token\":\"{who}-secret\"}}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    Session { cookie, csrf: answer.json()["csrf"].as_str().unwrap().to_owned() }
}

fn purged(port: &Port) -> usize {
    port.double.purges.lock().unwrap().len()
}

#[tokio::test]
async fn a_token_begins_a_session_of_its_role() {
    let port = port().await;
    for (who, operates, administers) in [("viewer", 403, 403), ("operator", 200, 403), ("administrator", 200, 200)] {
        let answer = post(&port, JSON, &format!("{{\"token\":\"{who}-secret\"}}")).await;
        let (id, attributes) = answer.field("set-cookie").unwrap().split_once(';').unwrap();
        assert_eq!(attributes, " path=/; httponly; samesite=strict");
        assert_eq!((id.split_once('=').unwrap().0, id.len()), ("freshgate_session", 18 + 64));
        assert!(!answer.body.contains("secret") && !answer.body.contains(&id[18..]), "{answer:?}");
        assert_eq!((answer.json()["name"].as_str(), answer.json()["role"].as_str()), (Some(who), Some(who)));
        let session = sign_in(&port, who).await;
        let whoami = session.asks(&port, "GET", "/session").await;
        assert_eq!(whoami.json(), serde_json::json!({ "name": who, "role": who, "csrf": session.csrf }));
        assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, 200);
        assert_eq!(session.asks(&port, "DELETE", "/v1/apis/bookstore/v1/cache").await.status, operates);
        assert_eq!(session.asks(&port, "DELETE", "/v1/cache").await.status, administers);
    }
}

#[tokio::test]
async fn a_wrong_token_begins_nothing_and_counts_as_a_guess() {
    let port = port().await;
    for (fields, body, status) in [
        (JSON, "{\"token\":\"viewer-secret", 400),
        (JSON, "{\"token\":\"viewer-secret\",\"more\":1}", 400),
        (JSON, "[\"viewer-secret\"]", 400),
        ("", "{\"token\":\"viewer-secret\"}", 415),
        ("Content-Type: text/plain\r\n", "{\"token\":\"viewer-secret\"}", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "token=viewer-secret", 415),
    ] {
        let answer = post(&port, fields, body).await;
        assert_eq!(answer.status, status, "{fields} {body}: {answer:?}");
        assert!(answer.field("set-cookie").is_none() && !answer.body.contains("secret"), "{answer:?}");
    }
    assert_eq!(post(&port, JSON, &format!("{{\"token\":\"{}\"}}", "x".repeat(5_000))).await.status, 413);
    for guess in 0..20 {
        let answer = post(&port, JSON, &format!("{{\"token\":\"guess-{guess}\"}}")).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.field("set-cookie"), None);
    }
    let right = post(&port, JSON, "{\"token\":\"viewer-secret\"}").await;
    right.problem(429, "too-many-failures");
    call(&port, "viewer", "GET", "/v1/apis").await.problem(429, "too-many-failures");
    port.clock.step(Duration::from_secs(60));
    sign_in(&port, "viewer").await;
}

#[tokio::test]
async fn guesses_keep_tokens_waiting_and_throw_nobody_out_who_has_signed_in() {
    let port = port().await;
    let session = sign_in(&port, "viewer").await;
    for guess in 0..20 {
        call(&port, &format!("guess-{guess}"), "GET", "/v1/apis").await.problem(401, "unauthorized");
    }
    call(&port, "viewer", "GET", "/v1/apis").await.problem(429, "too-many-failures");
    assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, 200, "nobody can have guessed its id");
    let guessed = Session { cookie: format!("freshgate_session={}", "A".repeat(43)), csrf: session.csrf };
    guessed.asks(&port, "GET", "/v1/apis").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn what_changes_something_needs_the_second_value_of_this_session() {
    let port = port().await;
    let (session, other) = (sign_in(&port, "administrator").await, sign_in(&port, "administrator").await);
    assert_ne!((&session.cookie, &session.csrf), (&other.cookie, &other.csrf));
    let id = session.cookie.split_once('=').unwrap().1.to_owned();
    for wrong in ["", &session.csrf[..63], &format!("{}0", session.csrf), &other.csrf, &id] {
        for (method, target) in [
            ("DELETE", "/v1/cache"),
            ("POST", "/v1/purge"),
            ("POST", "/v1/explain"),
            ("POST", "/v1/config/reload"),
            ("PUT", "/v1/apis/a/v1"),
            ("PATCH", "/v1/apis/a/v1"),
            ("DELETE", "/session"),
            ("BREW", "/v1/cache"),
        ] {
            let field = format!("X-Freshgate-CSRF: {wrong}\r\n");
            session.shows(&port, method, target, &field).await.problem(403, "csrf");
        }
        session.shows(&port, "DELETE", "/v1/cache", "").await.problem(403, "csrf");
    }
    assert_eq!(purged(&port), 0);
    // Alone it opens nothing.
    ask(&port, "DELETE", "/v1/cache", &format!("X-Freshgate-CSRF: {}\r\n", session.csrf))
        .await
        .problem(401, "unauthorized");
    ask(&port, "GET", "/session", &format!("X-Freshgate-CSRF: {}\r\n", session.csrf))
        .await
        .problem(401, "unauthorized");
    assert_eq!(session.asks(&port, "DELETE", "/v1/cache").await.status, 200);
    assert_eq!(purged(&port), 1);
}

#[tokio::test]
async fn another_site_s_page_can_neither_use_a_session_nor_begin_one() {
    let port = port().await;
    let session = sign_in(&port, "administrator").await;
    for fields in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: http://x:1\r\n",
        "Origin: http://x:2\r\n",
        "Origin: https://x:1\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
    ] {
        let both = format!("X-Freshgate-CSRF: {}\r\n{fields}", session.csrf);
        session.shows(&port, "DELETE", "/v1/cache", &both).await.problem(401, "unauthorized");
        session.shows(&port, "GET", "/v1/apis", fields).await.problem(401, "unauthorized");
        session.shows(&port, "GET", "/session", fields).await.problem(401, "unauthorized");
        let begun = post(&port, &format!("{JSON}{fields}"), "{\"token\":\"viewer-secret\"}").await;
        begun.problem(403, "another-site");
        assert_eq!(begun.field("set-cookie"), None);
    }
    assert_eq!(purged(&port), 0);
    // A browser that doesn't tell the site, and one whose reader has typed the address.
    for own in
        ["Origin: http://x:1\r\n", "Sec-Fetch-Site: none\r\n", "Sec-Fetch-Site: same-origin\r\nOrigin: http://x:1\r\n"]
    {
        let both = format!("X-Freshgate-CSRF: {}\r\n{own}", session.csrf);
        assert_eq!(session.shows(&port, "DELETE", "/v1/cache", &both).await.status, 200, "{own}");
    }
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_when_its_time_is_over() {
    let port = port().await;
    let (session, watched) = (sign_in(&port, "viewer").await, sign_in(&port, "viewer").await);
    let minutes = |n: u64| port.clock.step(Duration::from_secs(60 * n));
    let unattended = "X-Freshgate-Unattended: 1\r\n";
    minutes(20);
    assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, 200);
    assert_eq!(watched.shows(&port, "GET", "/v1/apis", unattended).await.status, 200);
    assert_eq!(watched.shows(&port, "GET", "/v1/apis", "Accept: text/event-stream\r\n").await.status, 200);
    minutes(29);
    assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, 200);
    watched.shows(&port, "GET", "/v1/apis", unattended).await.problem(401, "unauthorized");
    for _ in 0..30 {
        minutes(22);
        assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, 200);
    }
    minutes(11);
    let over = session.asks(&port, "GET", "/v1/apis").await;
    assert!(over.problem(401, "unauthorized").contains("sign in again"));
    let short = SessionTimes { idle: Duration::from_secs(60), lifetime: Duration::from_secs(90) };
    port.guard.sessions_last(&short);
    let session = sign_in(&port, "viewer").await;
    for (step, status) in [(59, 200), (30, 200), (1, 401)] {
        port.clock.step(Duration::from_secs(step));
        assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, status);
    }
}

#[tokio::test]
async fn a_session_ends_with_its_token_its_secret_and_its_role() {
    let port = port().await;
    let mut sessions = Vec::new();
    for who in ["viewer", "operator", "administrator"] {
        sessions.push(sign_in(&port, who).await);
    }
    let mut next = vec![token("viewer", Role::Viewer), token("operator", Role::Viewer)];
    next.push(freshgate::admin::Token { name: "administrator".into(), ..token("another", Role::Administrator) });
    port.guard.change(&next);
    for (session, status) in sessions.iter().zip([200, 401, 401]) {
        assert_eq!(session.asks(&port, "GET", "/v1/apis").await.status, status);
    }
    port.guard.change(&[]);
    port.guard.change(&tokens());
    for session in sessions {
        session.asks(&port, "GET", "/v1/apis").await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn signing_out_ends_one_session_and_takes_the_cookie_away() {
    let port = port().await;
    let (session, other) = (sign_in(&port, "operator").await, sign_in(&port, "viewer").await);
    let out = session.asks(&port, "DELETE", "/session").await;
    assert_eq!(out.status, 204, "{out:?}");
    assert_eq!(out.field("set-cookie"), Some("freshgate_session=; path=/; httponly; samesite=strict; max-age=0"));
    session.asks(&port, "GET", "/session").await.problem(401, "unauthorized");
    session.asks(&port, "DELETE", "/session").await.problem(401, "unauthorized");
    assert_eq!(other.asks(&port, "GET", "/session").await.json()["name"], "viewer");
}

#[tokio::test]
async fn a_token_beside_a_cookie_counts_and_two_cookies_are_none() {
    let port = port().await;
    let (session, other) = (sign_in(&port, "administrator").await, sign_in(&port, "viewer").await);
    let beside = |who: &str| format!("Authorization: Bearer {who}-secret\r\n");
    session.shows(&port, "DELETE", "/v1/cache", &beside("viewer")).await.problem(403, "forbidden");
    let whoami = session.shows(&port, "GET", "/session", &beside("viewer")).await.json();
    assert_eq!((whoami["name"].as_str(), whoami["csrf"].is_null()), (Some("viewer"), true));
    session.shows(&port, "GET", "/v1/apis", &beside("wrong")).await.problem(401, "unauthorized");
    assert_eq!(other.shows(&port, "DELETE", "/v1/cache", &beside("administrator")).await.status, 200);
    for two in [format!("{}; {}", session.cookie, other.cookie), format!("{0}; {0}", session.cookie)] {
        ask(&port, "GET", "/v1/apis", &format!("Cookie: {two}\r\n")).await.problem(401, "unauthorized");
    }
    // A cookie of somebody else's that isn't ASCII hides none.
    let request = format!(
        "GET /v1/apis HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=\u{e9}; {}\r\n\r\n",
        session.cookie
    );
    assert_eq!(raw(port.address, &request).await.status, 200);
    let id = session.cookie.split_once('=').unwrap().1;
    for odd in [format!("__Host-freshgate_session={id}"), format!("Freshgate_Session={id}"), format!("session={id}")] {
        ask(&port, "GET", "/v1/apis", &format!("Cookie: {odd}\r\n")).await.problem(401, "unauthorized");
    }
}
