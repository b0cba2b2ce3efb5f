//! What callers have and what was counted of them goes on where the same is asked of them.

use super::support::{Gateway, Origin, Reply};
use super::{api, numbered};

/// SHA-256 of `alice-key` and `bob-key`.
fn keys(users: &[&str]) -> String {
    let digest = |user: &&str| {
        let mut hex = Vec::new();
        let secret = format!("{user}-key");
        freshgate::cli::hash_token::run(
            &freshgate::cli::hash_token::Args {},
            secret.as_bytes(),
            &mut hex,
            std::io::sink(),
        );
        format!("{{ user = \"{user}\", sha256 = \"{}\" }}", String::from_utf8(hex).unwrap().trim())
    };
    let all: Vec<String> = users.iter().map(digest).collect();
    format!("ttl = \"10m\"\nauth = {{ kind = \"api-key\", header = \"x-api-key\", keys = [{}] }}", all.join(", "))
}

async fn get(gateway: &Gateway, fields: &[(&str, &str)]) -> (u16, bool) {
    let answer = gateway.client().await.get_with("/a/1", fields).await;
    gateway.settled().await;
    (answer.status, answer.cache_says("hit"))
}

#[tokio::test]
async fn a_check_that_is_new_counts_at_once_and_nobody_gets_what_strangers_were_given() {
    let origin = numbered().await;
    let gateway = Gateway::with("", &api("a", "/a", &origin, "ttl = \"10m\"")).await;
    assert_eq!(get(&gateway, &[]).await, (200, false));
    gateway.reload(&api("a", "/a", &origin, &keys(&["alice"])));
    let alice = [("x-api-key", "alice-key")];
    assert_eq!(get(&gateway, &[]).await, (401, false));
    assert_eq!(get(&gateway, &alice).await, (200, false));
    assert_eq!(get(&gateway, &alice).await, (200, true));
    gateway.reload(&api("a", "/a", &origin, "ttl = \"10m\""));
    assert_eq!(get(&gateway, &[]).await, (200, false), "and nobody what alice was given");
}

#[tokio::test]
async fn keys_come_and_go_and_answers_stay() {
    let origin = numbered().await;
    let gateway = Gateway::with("", &api("a", "/a", &origin, &keys(&["alice", "bob"]))).await;
    let (alice, bob) = ([("x-api-key", "alice-key")], [("x-api-key", "bob-key")]);
    assert_eq!((get(&gateway, &alice).await, get(&gateway, &bob).await), ((200, false), (200, false)));
    gateway.reload(&api("a", "/a", &origin, &keys(&["alice"])));
    assert_eq!((get(&gateway, &alice).await, get(&gateway, &bob).await), ((200, true), (401, false)));
}

#[tokio::test]
async fn what_a_judge_has_said_is_remembered() {
    let (origin, judge) = (numbered().await, Origin::always(Reply::ok("yes").field("X-User", "alice")).await);
    let a = |more: &str| {
        let url = judge.url();
        api(
            "a",
            "/a",
            &origin,
            &format!(
                "ttl = \"10m\"\nauth = {{ kind = \"forward\", url = \"{url}/\", headers = [\"authorization\"], user_header = \"X-User\", remember = \"1m\" }}\n{more}"
            ),
        )
    };
    let gateway = Gateway::with("", &a("")).await;
    let fields = [("authorization", "Bearer alice")];
    assert_eq!(get(&gateway, &fields).await, (200, false));
    gateway.reload(&a("timeouts = { first_byte = \"7s\" }"));
    assert_eq!(get(&gateway, &fields).await, (200, true));
    assert_eq!(judge.count(), 1);
}

#[tokio::test]
async fn what_was_counted_against_a_rate_counts_on() {
    let origin = numbered().await;
    let rate = |requests: u32| format!("rate = {{ per_caller = {{ requests = {requests}, per = \"1h\" }} }}");
    let a = |more: &str| api("a", "/a", &origin, more);
    let gateway = Gateway::with("", &a(&rate(2))).await;
    assert_eq!((get(&gateway, &[]).await.0, get(&gateway, &[]).await.0), (200, 200));
    gateway.reload(&a(&format!("{}\nttl = \"1m\"", rate(2))));
    assert_eq!(get(&gateway, &[]).await.0, 429);
    gateway.reload(&a(&rate(3)));
    assert_eq!(get(&gateway, &[]).await.0, 200, "another rate begins anew");
}
