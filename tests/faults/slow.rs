//! Origins that are slow: when a try is given up for another one and when it is waited for, and that a request has one time for all that
//! is asked for it.
//!
//! Where an origin sleeps it is slow and nothing else: more of it, on a busy machine, changes no outcome.

use crate::link::Link;
use crate::support::{Gate, Gateway, Origin, Reply, within};
use std::time::Duration;

const NEVER_ILL: &str = "health = { failures = 0 }\n";
const AT_FIRST_ILL: &str = "health = { failures = 1, slow_start = \"0s\" }\n";

async fn pair(first: &str, second: &str, api: &str) -> Gateway {
    let text = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{first}\", \"{second}\"]\n\
         balance = \"round-robin\"\ncache = false\n{api}"
    );
    Gateway::with("", &text).await
}

/// Slow below `/slow`, and for writes.
async fn slow(name: &'static str) -> Origin {
    Origin::start(move |request| async move {
        if request.method != "GET" || request.target.starts_with("/slow") {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        Reply::ok(name)
    })
    .await
}

async fn who(gateway: &Gateway, requests: usize) -> String {
    let mut who = String::new();
    for _ in 0..requests {
        who += gateway.client().await.get("/x").await.text();
    }
    who
}

async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let line = metrics.text().lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Ten retries there are in any case; the eleventh slow try is waited for.
#[tokio::test]
async fn a_slow_try_is_waited_for_where_the_budget_has_no_room() {
    let gate = Gate::closed();
    let held = gate.clone();
    let first = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok("a")
        }
    })
    .await;
    let second = Origin::always(Reply::ok("b")).await;
    let retry = "retry = { try_timeout = \"50ms\", budget = 0 }\n";
    let gateway = pair(&first.url(), &second.url(), &format!("{retry}{NEVER_ILL}")).await;
    assert_eq!(who(&gateway, 20).await, "b".repeat(20));
    assert_eq!((first.count(), metric(&gateway, "freshgate_retries_total{").await), (10, 10));
    let mut client = gateway.client().await;
    client.send("GET", "/x", &[], "").await;
    within("a retry that the budget has no room for", async {
        while metric(&gateway, "freshgate_retries_refused_total{").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text(), first.count()), (200, "a", 11), "{answer:?}");
    assert_eq!(metric(&gateway, "freshgate_retries_total{").await, 10);
}

/// What can't be sent again is waited for, and its endpoint isn't ill for that.
#[tokio::test]
async fn a_slow_try_is_waited_for_where_its_body_is_gone() {
    let (first, second) = (slow("a").await, Origin::always(Reply::ok("b")).await);
    let retry = "retry = { try_timeout = \"50ms\", body = \"1KiB\" }\n";
    let gateway = pair(&first.url(), &second.url(), &format!("{retry}{AT_FIRST_ILL}")).await;
    let answer = gateway.client().await.put("/x", &"x".repeat(2000)).await;
    assert_eq!((answer.status, answer.text(), first.count(), second.count()), (200, "a", 1, 0), "{answer:?}");
    assert_eq!(who(&gateway, 4).await, "baba", "it is as well as before");
    // What is kept of it goes to the other one, and then the first one has failed.
    let answer = gateway.client().await.put("/x", "some").await;
    assert_eq!(answer.text(), "b");
    let answer = gateway.client().await.put("/x", "some").await;
    assert_eq!((answer.status, answer.text()), (200, "b"), "{answer:?}");
    assert_eq!(second.requests().last().unwrap().body, b"some");
    assert_eq!(who(&gateway, 4).await, "bbbb", "the first one rests");
}

#[tokio::test]
async fn a_slow_try_is_waited_for_where_no_other_endpoint_is_worth_it() {
    let (first, second) = (slow("a").await, Origin::always(Reply::ok("b")).await);
    let mut link = Link::to(second.addr).await;
    link.cut();
    let retry = "retry = { try_timeout = \"50ms\" }\n";
    let gateway = pair(&first.url(), &link.url(), &format!("{retry}{AT_FIRST_ILL}")).await;
    assert_eq!(who(&gateway, 2).await, "aa", "the second one rests");
    let answer = gateway.client().await.get("/slow").await;
    assert_eq!((answer.status, answer.text(), first.count()), (200, "a", 3), "{answer:?}");
    assert_eq!(who(&gateway, 2).await, "aa");
}

/// One alone may be many behind one address.
#[tokio::test]
async fn one_endpoint_alone_is_asked_again() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            if gate.count() == 0 {
                gate.pass().await;
            }
            Reply::ok("a")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "retry = { times = 1, try_timeout = \"50ms\", backoff = \"0s\" }\n").await;
    assert_eq!(gateway.client().await.get("/x").await.text(), "a");
    assert_eq!(origin.count(), 2);
}

/// The second question has what the first one has left, of the whole and of the time to a head.
#[tokio::test]
async fn a_304_that_names_another_tag_gives_no_more_time() {
    let rows = [
        ("total = \"none\"", 200, ""),
        ("total = \"1s\"", 504, "total-timeout"),
        ("first_byte = \"1s\", connect = \"200ms\"", 504, "first-byte-timeout"),
    ];
    for (timeouts, status, problem) in rows {
        let first = std::sync::atomic::AtomicBool::new(true);
        let origin = Origin::start(move |request| {
            let first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            async move {
                if !first {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
                match request.fields.get("if-none-match") {
                    Some(_) => Reply::status(304).field("ETag", "\"b\""),
                    None => Reply::ok("v").field("ETag", "\"a\"").field("Cache-Control", "max-age=1"),
                }
            }
        })
        .await;
        let gateway = Gateway::before(&origin, &format!("timeouts = {{ {timeouts} }}\n")).await;
        assert_eq!(gateway.client().await.get("/x").await.status, 200);
        gateway.settled().await;
        gateway.step(2);
        let answer = gateway.client().await.get("/x").await;
        assert_eq!(answer.status, status, "{timeouts}: {answer:?}");
        if status != 200 {
            assert_eq!(answer.json()["type"], format!("urn:freshgate:problem:{problem}"), "{timeouts}");
        }
    }
}

async fn waiting(gateway: &Gateway, n: u64) {
    within("those who wait", async {
        while metric(gateway, "freshgate_waiting_requests").await != n {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Who waited for another variant's answer has less time for its own.
#[tokio::test]
async fn who_joined_in_vain_gets_no_more_time() {
    for (total, status) in [("none", 200), ("1s", 504)] {
        let gate = Gate::closed();
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let gate = held.clone();
            async move {
                let reply = Reply::ok("v").field("Vary", "x-v").field("Cache-Control", "max-age=60");
                match request.fields.get("x-v") {
                    Some("0") => gate.pass().await,
                    _ => tokio::time::sleep(Duration::from_millis(700)).await,
                }
                reply
            }
        })
        .await;
        let gateway = Gateway::before(&origin, &format!("timeouts = {{ total = \"{total}\" }}\n")).await;
        let (mut one, mut other) = (gateway.client().await, gateway.client().await);
        one.send("GET", "/x", &[("x-v", "0")], "").await;
        gate.arrived(1).await;
        other.send("GET", "/x", &[("x-v", "1")], "").await;
        waiting(&gateway, 1).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        gate.open();
        let answer = other.answer().await;
        assert_eq!(answer.status, status, "{total}: {answer:?}");
    }
}

/// A purge has overtaken the question that it joined, and it joins the next one, which began later and has more time: to its head, and
/// to the end of its content.
#[tokio::test]
async fn who_joins_a_younger_question_keeps_its_own_time() {
    for has_head in [false, true] {
        let (gates, content) = ([Gate::closed(), Gate::closed()], Gate::closed());
        let (held, wait, count) = (gates.clone(), content.clone(), std::sync::atomic::AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let gate = held[count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(1)].clone();
            let reply = Reply::ok("begin ").field("Cache-Control", "max-age=60").chunked().wait(&wait).body("end");
            async move {
                gate.pass().await;
                reply
            }
        })
        .await;
        let gateway = Gateway::before(&origin, "timeouts = { total = \"2s\" }\n").await;
        let mut clients = [gateway.client().await, gateway.client().await, gateway.client().await];
        clients[0].send("GET", "/x", &[], "").await;
        gates[0].arrived(1).await;
        gateway.purge(serde_json::json!({ "tag": "other" })).await; // it begins after the question
        clients[1].send("GET", "/x", &[], "").await;
        waiting(&gateway, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        gateway.step(1);
        gateway.purge(serde_json::json!({ "all": true })).await;
        clients[2].send("GET", "/x", &[], "").await;
        gates[1].arrived(1).await;
        gates[0].open();
        assert_eq!(clients[0].answer_head().await.unwrap().status, 200);
        if has_head {
            gates[1].open();
            let answer = clients[1].answer().await;
            assert_eq!((answer.text(), answer.complete), ("begin ", false));
        } else {
            assert_eq!(clients[1].answer().await.json()["type"], "urn:freshgate:problem:total-timeout");
            gates[1].open();
        }
        content.open();
        assert_eq!(clients[2].answer().await.text(), "begin end", "it came later, and had more time");
        assert_eq!(origin.count(), 2);
    }
}
