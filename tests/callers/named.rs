//! Whose request it was, as the access log tells it.

use crate::by_key;
use crate::jwt::{Issuer, claims};
use crate::support::{Gateway, Origin, Reply, within};
use freshgate::telemetry::Lines;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Where the lines of the access log go.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    /// The line of the latest request, once there are `n`: it is written when the answer has been sent.
    async fn line(&self, n: usize) -> String {
        within("a line of the log", async {
            loop {
                let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
                if text.lines().count() >= n && text.ends_with('\n') {
                    assert_eq!(text.lines().count(), n, "{text}");
                    return text.lines().last().unwrap().to_owned();
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// A gateway that logs, and asks requests one by one for the names of their callers.
struct Logged {
    gateway: Gateway,
    page: Page,
    asked: usize,
}

impl Logged {
    async fn new(origin: &Origin, rest: &str, api: &str) -> Logged {
        let page = Page::default();
        let one = format!(
            "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{api}\n",
            origin.url()
        );
        let gateway = Gateway::logging(Lines::to(page.clone()).unwrap(), "", rest, &one).await;
        Logged { gateway, page, asked: 0 }
    }

    async fn line(&mut self, method: &str, fields: &[(&str, &str)], status: u16) -> String {
        let answer = self.gateway.client().await.request(method, "/a", fields, "").await;
        assert_eq!(answer.status, status, "{method} {fields:?}");
        self.asked += 1;
        self.page.line(self.asked).await
    }

    async fn user(&mut self, method: &str, fields: &[(&str, &str)], status: u16) -> Option<String> {
        let line: Value = serde_json::from_str(&self.line(method, fields, status).await).unwrap();
        line.get("user").map(|user| user.as_str().unwrap().to_owned())
    }
}

async fn fresh() -> Origin {
    Origin::always(Reply::ok("x").field("Cache-Control", "max-age=60")).await
}

#[tokio::test]
async fn a_caller_is_named_whatever_becomes_of_its_request_and_a_stranger_never_is() {
    let origin = fresh().await;
    let rate = "\nrate = { per_caller = { requests = 5, per = \"1h\" } }";
    let mut logged = Logged::new(&origin, "", &(by_key(", header = \"X-Key\"") + rate)).await;
    for method in ["GET", "GET", "HEAD", "PUT", "QUERY"] {
        let user = logged.user(method, &[("X-Key", "alice-secret")], 200).await;
        assert_eq!(user.as_deref(), Some("alice"), "{method}");
    }
    let user = logged.user("GET", &[("X-Key", "alice-secret")], 429).await;
    assert_eq!(user.as_deref(), Some("alice"), "who it was that asked too often");
    for (fields, status) in
        [(&[][..], 401), (&[("X-Key", "mallory")], 401), (&[("X-Key", "eve-secret")], 403), (&[("X-User", "bob")], 401)]
    {
        assert_eq!(logged.user("GET", fields, status).await, None, "{fields:?}");
    }
    assert_eq!(logged.gateway.client().await.get_with("/b", &[("X-Key", "bob-secret")]).await.status, 200);
    let line = logged.page.line(logged.asked + 1).await;
    assert!(line.contains("\"api\":\"test/v1\",\"user\":\"bob\","), "{line}");
}

#[tokio::test]
async fn a_name_that_a_token_holds_ends_no_line_and_no_column() {
    let (origin, issuer) = (fresh().await, Issuer::new(Algorithm::ES256));
    let nasty = "al ice\" [x]\n\u{1b}[2J";
    let mut json_log = Logged::new(&origin, "", &issuer.api("")).await;
    let mut combined = Logged::new(&origin, "[log]\nformat = \"combined\"\n", &issuer.api("")).await;
    let bearer = format!("Bearer {}", issuer.sign(&claims(&json_log.gateway, json!({ "sub": nasty }))));
    let fields = [("Authorization", bearer.as_str())];
    assert_eq!(json_log.user("GET", &fields, 200).await.as_deref(), Some(nasty));
    let line = combined.line("GET", &fields, 200).await;
    assert!(line.starts_with("127.0.0.1 - al\\x20ice\\\"\\x20[x]\\x0a\\x1b[2J ["), "{line}");
    let expired = format!("Bearer {}", issuer.sign(&claims(&json_log.gateway, json!({ "exp": 1 }))));
    assert!(combined.line("GET", &[("Authorization", &expired)], 401).await.starts_with("127.0.0.1 - - ["));
}

#[tokio::test]
async fn one_whom_nobody_has_named_has_no_name() {
    let (origin, judge) = (fresh().await, Origin::always(Reply::ok("")).await);
    let auth = format!("auth = {{ kind = \"forward\", url = \"{}\" }}", judge.url());
    let mut logged = Logged::new(&origin, "", &auth).await;
    for _ in 0..2 {
        assert_eq!(logged.user("GET", &[("Authorization", "Basic YTpi")], 200).await, None);
    }
}
