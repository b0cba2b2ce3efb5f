//! Who may do what, and what those who may not are told.

use crate::support::{Answer, bearer, call, port, port_with, probe, raw, send};
use freshgate::admin::Limits;
use std::time::Duration;

const ROLES: [&str; 3] = ["viewer", "operator", "administrator"];

/// Every call behind a token: the lowest role, and the status that it gets from a gateway that has it.
const CALLS: [(&str, &str, &str, u16); 20] = [
    ("GET", "/metrics", "viewer", 200),
    ("GET", "/v1/apis", "viewer", 200),
    ("GET", "/v1/apis/bookstore/v1", "viewer", 200),
    ("PUT", "/v1/apis/bookstore/v1", "administrator", 415),
    ("PATCH", "/v1/apis/bookstore/v1", "operator", 415),
    ("DELETE", "/v1/apis/bookstore/v1", "administrator", 204),
    ("DELETE", "/v1/apis/bookstore/v1/cache", "operator", 200),
    ("DELETE", "/v1/cache", "administrator", 200),
    ("POST", "/v1/purge", "operator", 415),
    ("GET", "/v1/entries?api=bookstore/v1", "viewer", 200),
    ("POST", "/v1/explain", "viewer", 415),
    ("POST", "/v1/events", "operator", 415),
    ("OPTIONS", "/v1/events", "operator", 400),
    ("GET", "/v1/config", "viewer", 200),
    ("POST", "/v1/config/reload", "administrator", 200),
    ("GET", "/v1/audit", "administrator", 200),
    ("GET", "/openapi.json", "viewer", 200),
    ("GET", "/session", "viewer", 200),
    ("DELETE", "/session", "viewer", 204),
    ("HEAD", "/v1/apis", "viewer", 200),
];

/// Whether an answer has what each has: nobody keeps it, and browsers are on their guard.
fn dressed(answer: &Answer) -> bool {
    let each = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-frame-options", "deny"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    each.iter().all(|(name, value)| answer.field(name) == Some(value))
}

#[tokio::test]
async fn every_call_is_for_its_role_and_above() {
    let port = port().await;
    for (method, path, lowest, status) in CALLS {
        let allowed_from = ROLES.iter().position(|role| *role == lowest).unwrap();
        for (rank, role) in ROLES.iter().enumerate() {
            let answer = call(&port, role, method, path).await;
            assert!(dressed(&answer), "{answer:?}");
            if rank >= allowed_from {
                assert_eq!(answer.status, status, "{method} {path} as {role}");
            } else {
                let detail = answer.problem(403, "forbidden");
                assert!(detail.contains(&format!("needs the role {lowest}")), "{detail}");
                assert_eq!(answer.json()["needs"], lowest);
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_told_without_a_token() {
    let port = port().await;
    let unknown =
        [("GET", "/nothing/here"), ("GET", "/v1/"), ("TRACE", "/v1/apis"), ("OPTIONS", "*"), ("GET", "/V1/APIS")];
    for (method, path) in CALLS.map(|(method, path, ..)| (method, path)).into_iter().chain(unknown) {
        let answer = call(&port, "", method, path).await;
        assert!(dressed(&answer), "{answer:?}");
        assert_eq!((answer.status, answer.field("www-authenticate")), (401, Some("bearer")), "{method} {path}");
        if method != "HEAD" {
            answer.problem(401, "unauthorized");
        }
    }
    assert!(port.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_token_is_no_token_and_is_never_repeated() {
    let port = port().await;
    for field in [
        "Bearer guess-secret",
        "Bearer viewer-secre",
        "Bearer viewer-secret2",
        "Bearer VIEWER-SECRET",
        "Bearer",
        "Basic dmlld2VyLXNlY3JldA==",
        "viewer-secret",
        "Bearer viewer-secret, Bearer viewer-secret",
        "Bearer viewer-secret\r\nAuthorization: Bearer viewer-secret",
    ] {
        let request =
            format!("GET /v1/apis HTTP/1.1\r\nHost: x\r\nAuthorization: {field}\r\nConnection: close\r\n\r\n");
        let answer = raw(port.address, &request).await;
        answer.problem(401, "unauthorized");
        assert!(!answer.body.contains("secre"), "{answer:?}");
    }
    let odd_case =
        "GET /v1/apis HTTP/1.1\r\nHost: x\r\nauthorization: bearer viewer-secret\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(port.address, odd_case).await.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart_after_the_token() {
    let port = port().await;
    for path in ["/nothing/here", "/v1/", "/v1/apis/", "/V1/APIS", "/v1/apis/bookstore"] {
        call(&port, "viewer", "GET", path).await.problem(404, "not-found");
    }
    for (method, path, allowed) in [
        ("POST", "/v1/apis", "get,head"),
        ("GET", "/v1/purge", "post"),
        ("PUT", "/v1/cache", "delete"),
        ("POST", "/v1/apis/bookstore/v1", "delete,get,head,patch,put"),
        ("BREW", "/v1/config", "get,head"),
        ("POST", "/livez", "get,head"),
        ("DELETE", "/metrics", "get,head"),
    ] {
        let answer = call(&port, "viewer", method, path).await;
        answer.problem(405, "method-not-allowed");
        assert!(dressed(&answer), "{answer:?}");
        let mut methods: Vec<_> = answer.field("allow").unwrap().split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn health_needs_no_token_and_metrics_only_when_not_public() {
    let port = port_with(true).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = call(&port, "", "GET", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(dressed(&answer), "{answer:?}");
    }
    assert_eq!(call(&port, "", "GET", "/v1/apis").await.status, 401);
}

#[tokio::test]
async fn the_probe_port_has_health_and_metrics_and_nothing_else() {
    let probe = probe().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(call(&probe, "", "GET", path).await.status, 200, "{path}");
    }
    for (method, path, ..) in CALLS.into_iter().filter(|(method, path, ..)| *path != "/metrics" && *method != "HEAD") {
        let answer = call(&probe, "administrator", method, path).await;
        answer.problem(404, "not-found");
        assert!(dressed(&answer), "{answer:?}");
    }
    assert!(probe.double.purges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn guessing_locks_the_address_out_for_a_minute() {
    let port = port().await;
    for _ in 0..40 {
        assert_eq!(call(&port, "", "GET", "/v1/apis").await.status, 401, "to show nothing is no guess");
    }
    for guess in 0..20 {
        call(&port, &format!("guess-{guess}"), "GET", "/v1/apis").await.problem(401, "unauthorized");
    }
    let right = call(&port, "viewer", "GET", "/v1/apis").await;
    right.problem(429, "too-many-failures");
    let seconds: u64 = right.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(call(&port, "", "GET", "/livez").await.status, 200);
    port.clock.step(Duration::from_secs(60));
    assert_eq!(call(&port, "viewer", "GET", "/v1/apis").await.status, 200);
}

#[tokio::test]
async fn how_many_wrong_tokens_are_too_many_is_configured() {
    let port = port().await;
    port.guard.limit(&Limits { wrong_tokens: 2, ..Limits::default() });
    call(&port, "guess", "GET", "/v1/apis").await.problem(401, "unauthorized");
    assert_eq!(call(&port, "viewer", "GET", "/v1/apis").await.status, 200);
    call(&port, "guess", "GET", "/v1/apis").await.problem(401, "unauthorized");
    call(&port, "viewer", "GET", "/v1/apis").await.problem(429, "too-many-failures");
}

#[tokio::test]
async fn an_address_that_is_locked_out_does_not_lock_out_others() {
    let port = port().await;
    for _ in 0..20 {
        send(&port, "guess", "/v1/purge", "{}").await.problem(401, "unauthorized");
    }
    call(&port, "viewer", "GET", "/v1/apis").await.problem(429, "too-many-failures");
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut socket = elsewhere.connect(port.address).await.unwrap();
    let request = format!("GET /v1/apis HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n\r\n", bearer("viewer"));
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut text).await.unwrap();
    assert_eq!(Answer::of(&text).status, 200);
}
