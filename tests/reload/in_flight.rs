//! Requests that are under way when another configuration comes into force.

use super::api;
use super::support::{Client, Fields, Gate, Gateway, Origin, Piece, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An origin that holds back answers to `/a/held` at a gate; each says which request it answers.
async fn holding(name: &'static str, gate: &Gate) -> Origin {
    let (gate, next) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    Origin::start(move |request| {
        let n = next.fetch_add(1, Ordering::SeqCst);
        let gate = gate.clone();
        async move {
            if request.target.contains("held") && n == 0 {
                gate.pass().await;
            }
            Reply::ok(format!("{name} {n}"))
        }
    })
    .await
}

async fn text(gateway: &Gateway, target: &str) -> (String, bool) {
    let answer = gateway.client().await.get(target).await;
    gateway.settled().await;
    (answer.text().to_owned(), answer.cache_says("hit"))
}

/// A read is held at its origin across a reload to `after`; then others read the same.
async fn across(before: &str, after: &str, gate: &Gate, held: &str, new: &str) {
    let gateway = Gateway::with("", before).await;
    let mut first = gateway.client().await;
    first.send("GET", "/a/held", &[], "").await;
    gate.arrived(1).await;
    gateway.reload(after);
    assert_eq!(text_beside(&gateway).await, (new.to_owned(), false), "it doesn't join");
    gate.open();
    assert_eq!(first.answer().await.text(), held, "it ends as it began");
    gateway.settled().await;
    assert_eq!(text(&gateway, "/a/held").await, (new.to_owned(), true), "what is found is what was asked for since");
}

/// A read that doesn't wait for the end of all recordings: one is held.
async fn text_beside(gateway: &Gateway) -> (String, bool) {
    let answer = gateway.client().await.get("/a/held").await;
    (answer.text().to_owned(), answer.cache_says("hit"))
}

#[tokio::test]
async fn a_read_across_another_key_is_nobody_elses() {
    let gate = Gate::closed();
    let origin = holding("o", &gate).await;
    let a = |more: &str| api("a", "/a", &origin, &format!("ttl = \"10m\"\n{more}"));
    across(&a(""), &a("key = { headers = [\"accept\"] }"), &gate, "o 0", "o 1").await;
}

#[tokio::test]
async fn a_read_of_what_is_removed_is_not_found_by_who_takes_its_path() {
    let gate = Gate::closed();
    let (own, every) = (holding("own", &gate).await, holding("every", &Gate::closed()).await);
    every_is_warm(&every).await;
    let all = api("all", "/", &every, "ttl = \"10m\"");
    let one = api("one", "/a", &own, "ttl = \"10m\"");
    across(&format!("{all}{one}"), &all, &gate, "own 0", "every 1").await;
}

/// A read waits for its judge across a reload to `after`, so that it asks its origin, and stores, only after everything was invalidated.
async fn asked_after(before: &str, after: &str, judge: &Gate, held: &str, new: &str) {
    let (gateway, fields) = (Gateway::with("", before).await, [("authorization", "Bearer alice")]);
    let mut first = gateway.client().await;
    first.send("GET", "/a/1", &fields, "").await;
    judge.arrived(1).await;
    gateway.reload(after);
    judge.open();
    assert_eq!(first.answer().await.text(), held, "it ends as it began");
    gateway.settled().await;
    for hit in [false, true] {
        let answer = gateway.client().await.get_with("/a/1", &fields).await;
        gateway.settled().await;
        assert_eq!((answer.text(), answer.cache_says("hit")), (new, hit));
    }
}

/// `[api.auth]` by a judge who waits at a gate; everybody is given the same.
async fn judged(gate: &Gate) -> (Origin, String) {
    let gate = gate.clone();
    let judge = Origin::start(move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Reply::ok("yes")
        }
    })
    .await;
    let url = judge.url();
    let auth =
        format!("auth = {{ kind = \"forward\", url = \"{url}/\", headers = [\"authorization\"] }}\nttl = \"10m\"\n");
    (judge, auth)
}

#[tokio::test]
async fn what_is_asked_under_another_key_after_the_invalidation_is_nobody_elses() {
    let (gate, origin) = (Gate::closed(), holding("o", &Gate::closed()).await);
    let (_judge, auth) = judged(&gate).await;
    let a = |more: &str| api("a", "/a", &origin, &format!("{auth}key = {{ share = \"assume-public\"{more} }}"));
    asked_after(&a(""), &a(", headers = [\"accept\"]"), &gate, "o 0", "o 1").await;
}

#[tokio::test]
async fn what_is_asked_of_what_is_removed_is_not_found_by_who_takes_its_path() {
    for (path, all_before) in [("/", true), ("/", false), ("/a", false)] {
        let (gate, free) = (Gate::closed(), Gate::closed());
        let (own, every) = (holding("own", &free).await, holding("every", &free).await);
        let (_judge, auth) = judged(&gate).await;
        let public = "key = { share = \"assume-public\" }";
        let all = api("all", path, &every, &format!("ttl = \"10m\"\n{public}"));
        let one = api("one", "/a", &own, &format!("{auth}{public}"));
        let before = if all_before { format!("{all}{one}") } else { one };
        asked_after(&before, &all, &gate, "own 0", "every 0").await;
    }
}

/// Its first request is behind it, so that it holds nothing.
async fn every_is_warm(origin: &Origin) {
    assert_eq!(Client::connect(origin.addr).await.get("/").await.text(), "every 0");
}

/// An origin whose reads say how many writes it has applied; writes wait at a gate before they are.
async fn written(gate: &Gate, status: u16) -> Origin {
    let (gate, version) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    Origin::start(move |request| {
        let (gate, version) = (gate.clone(), Arc::clone(&version));
        async move {
            if request.method == "GET" {
                return Reply::ok(version.load(Ordering::SeqCst).to_string());
            }
            gate.pass().await;
            version.fetch_add(1, Ordering::SeqCst);
            Reply::status(status)
        }
    })
    .await
}

/// A second API with an endpoint that is the lesser name of both: the first one's answers lie in other scopes from then on.
fn linked(origin: &Origin) -> String {
    let url = origin.url();
    format!("[[api]]\nname = \"b\"\nversion = \"v1\"\npath = \"/b\"\nupstream = [\"{url}\", \"http://0.0.0.1:1\"]\n")
}

#[tokio::test]
async fn a_write_across_a_reload_reaches_what_was_stored_since() {
    let gate = Gate::closed();
    let origin = written(&gate, 200).await;
    let a = api("a", "/a", &origin, "ttl = \"10m\"");
    for after in [
        format!("{a}{}", linked(&origin)),
        api("a", "/a", &origin, "ttl = \"10m\"\nkey = { query = \"exact\" }"),
        api("other", "/a", &origin, "ttl = \"10m\""),
        api("a", "/a", &origin, "ttl = \"10m\"\ntimeouts = { first_byte = \"7s\" }"),
    ] {
        gate.close();
        let (gateway, arrived) = (Gateway::with("", &a).await, gate.count());
        let mut writer = gateway.client().await;
        writer.send("PUT", "/a/1", &[], "x").await;
        gate.arrived(arrived + 1).await;
        gateway.reload(&after);
        let (old, _) = text(&gateway, "/a/1").await;
        assert_eq!(text(&gateway, "/a/1").await, (old.clone(), true), "{after}");
        gate.open();
        assert_eq!(writer.answer().await.status, 200);
        let (new, hit) = text(&gateway, "/a/1").await;
        assert!(
            !hit && new.parse::<usize>().unwrap() == old.parse::<usize>().unwrap() + 1,
            "{new} after {old}; {after}"
        );
    }
}

#[tokio::test]
async fn what_settles_settles_across_a_reload() {
    for reload_first in [true, false] {
        let gate = Gate::closed();
        let origin = written(&gate, 503).await;
        let a = api("a", "/a", &origin, "ttl = \"10m\"");
        let gateway = Gateway::with("", &a).await;
        let mut writer = gateway.client().await;
        writer.send("PUT", "/a/1", &[], "x").await;
        gate.arrived(1).await;
        let reload = || gateway.reload(&format!("{a}{}", linked(&origin)));
        if reload_first {
            reload();
        }
        gate.open();
        assert_eq!(writer.answer().await.status, 503, "it may still be applied");
        if !reload_first {
            reload();
        }
        for _ in 0..2 {
            assert_eq!(text(&gateway, "/a/1").await, ("1".into(), false), "{reload_first}: not kept meanwhile");
        }
        gateway.step(31);
        assert_eq!(text(&gateway, "/a/1").await, ("1".into(), false));
        assert_eq!(text(&gateway, "/a/1").await, ("1".into(), true), "{reload_first}: kept when it has settled");
    }
}

#[tokio::test]
async fn nobody_is_dropped() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::status(200).chunked().body("begun").wait(&gate).body(" and done")).await;
    let gateway = Gateway::with("", &api("a", "/a", &origin, "")).await;
    let (mut busy, mut idle) = (gateway.client().await, gateway.client().await);
    busy.send("GET", "/a/1", &[], "").await;
    assert_eq!(busy.answer_head().await.unwrap().status, 200);
    assert_eq!(busy.at_least(5).await, b"begun");
    assert_eq!(idle.get("/nowhere").await.status, 404);
    gateway.reload(&api("b", "/b", &origin, ""));
    assert_eq!(idle.get("/a/1").await.status, 404, "the same connection, under the new configuration");
    gate.open();
    assert_eq!(busy.at_least(9).await, b" and done");
    assert_eq!(busy.piece().await, Piece::End(Fields::default()));
    assert_eq!(busy.get("/b/1").await.text(), "begun and done");
}
