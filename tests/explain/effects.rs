//! To explain asks nobody, counts nothing and tells no secret.

use super::support::{Gateway, Origin, Reply};
use serde_json::{Value, json};

const SECRETS: [&str; 6] = ["s3cret", "t0ken", "c00kie", "pa55", "qu3ry", "c0ntent"];

async fn explain(gateway: &Gateway, question: Value) -> Value {
    let answer = gateway.admin("POST", "/v1/explain", &question.to_string()).await;
    assert_eq!(answer.status, 200, "{question}: {}", answer.text());
    for secret in SECRETS {
        assert!(!answer.text().contains(secret), "{secret} in {}", answer.text());
    }
    answer.json()
}

#[tokio::test]
async fn nobody_is_asked_and_nothing_is_counted() {
    let origin = Origin::always(Reply::ok("x").field("cache-control", "max-age=60, stale-while-revalidate=60")).await;
    let judge = Origin::always(Reply::ok("").field("x-user", "alice")).await;
    let auth = format!(
        "rate = {{ per_caller = {{ requests = 3, per = \"1h\" }} }}\nauth = {{ kind = \"forward\", url = \"{}\", user_header = \"x-user\", remember = \"1h\" }}",
        judge.url()
    );
    let gateway = Gateway::before(&origin, &auth).await;
    let token = json!({"authorization": "Bearer s3cret"});
    let unknown = explain(&gateway, json!({"url": "/a", "headers": token})).await;
    assert_eq!(unknown["verdict"]["decision"], "unknown", "{unknown:#}");
    let given = explain(&gateway, json!({"url": "/a", "caller": {"user": "alice"}})).await;
    assert_eq!((&given["verdict"]["decision"], &given["caller"]["user"]), (&json!("miss"), &json!("alice")));
    assert_eq!((judge.count(), origin.count()), (0, 0));
    let mut client = gateway.client().await;
    client.get_with("/a", &[("authorization", "Bearer s3cret")]).await;
    gateway.settled().await;
    gateway.step(61);
    let told = async || {
        let metrics = gateway.admin("GET", "/metrics", "").await.text().to_owned();
        // How much the store as a whole has is an estimate that lags behind.
        let kept = |line: &&str| {
            line.starts_with("freshgate_") && !line.contains("admin") && !line.starts_with("freshgate_store_")
        };
        let lines: Vec<String> = metrics.lines().filter(kept).map(String::from).collect();
        (lines, origin.count(), judge.count())
    };
    let before = told().await;
    for _ in 0..10 {
        // What the judge has said is remembered; it is stale, and would be refreshed.
        let known = explain(&gateway, json!({"url": "/a", "headers": token, "address": "127.0.0.1"})).await;
        assert_eq!(
            (&known["verdict"]["decision"], &known["caller"]["user"]),
            (&json!("stale"), &json!("alice")),
            "{known:#}"
        );
        assert_eq!(known["caller"]["partition"], "own");
        explain(&gateway, json!({"method": "PUT", "url": "/a", "headers": token})).await;
    }
    assert_eq!(told().await, before);
    for _ in 0..2 {
        assert_eq!(
            client.get_with("/a", &[("authorization", "Bearer s3cret")]).await.status,
            200,
            "no rate was used up"
        );
    }
}

#[tokio::test]
async fn no_secret_is_told() {
    let origin =
        Origin::always(Reply::ok("x").field("cache-control", "max-age=60").field("vary", "cookie, x-api-key")).await;
    let keyed = "auth = { kind = \"api-key\", query = \"k\", keys = [{ user = \"alice\", scopes = [], sha256 = \"2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90\" }] }";
    for api in ["", keyed, "key = { credentials = [\"x-mine\"] }"] {
        let gateway = Gateway::before(&origin, api).await;
        let headers = json!([
            ["authorization", "Bearer s3cret"],
            ["cookie", "a=c00kie"],
            ["x-api-key", "t0ken"],
            ["x-mine", "s3cret"],
            ["x-unknown", "pa55"],
        ]);
        let sent =
            [("cookie", "a=c00kie"), ("x-api-key", "t0ken"), ("authorization", "Bearer s3cret"), ("x-mine", "s3cret")];
        gateway.client().await.get_with("/a?k=alice", &sent).await;
        gateway.settled().await;
        let other = if api == keyed { "/a?k=qu3ry" } else { "/a?api_key=qu3ry" };
        for (url, method) in [
            ("/a?token=qu3ry", "GET"),
            (other, "GET"),
            ("/a?k=alice", "GET"),
            ("http://pa55:pa55@h/a", "GET"),
            ("/%zz?k=qu3ry", "GET"),
            (other, "QUERY"),
        ] {
            explain(&gateway, json!({"url": url, "method": method, "headers": headers, "content": "c0ntent"})).await;
            explain(&gateway, json!({"url": url, "method": method, "headers": headers})).await;
        }
    }
}
