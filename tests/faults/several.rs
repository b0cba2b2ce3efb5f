//! Several endpoints, of which some fail: who is asked instead, who is left alone, and how it comes back.

use crate::link::{Fault, Link};
use crate::support::{Gate, Gateway, Origin, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Two origins, each behind a link, and a gateway that asks them in turn.
struct Pair {
    origins: [Origin; 2],
    links: [Link; 2],
    gateway: Gateway,
}

async fn named(name: &'static str) -> Origin {
    Origin::always(Reply::ok(name)).await
}

async fn pair(api: &str) -> Pair {
    of([named("a").await, named("b").await], api).await
}

async fn of(origins: [Origin; 2], api: &str) -> Pair {
    let links = [Link::to(origins[0].addr).await, Link::to(origins[1].addr).await];
    let text = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\", \"{}\"]\n{api}\n",
        links[0].url(),
        links[1].url()
    );
    Pair { origins, links, gateway: Gateway::with("", &text).await }
}

impl Pair {
    /// Who answers so many requests in a row, each over a connection of its own.
    async fn who(&self, requests: usize) -> String {
        let mut who = String::new();
        for _ in 0..requests {
            let answer = self.gateway.client().await.get("/x").await;
            who += if answer.status == 200 { answer.text() } else { "-" };
        }
        who
    }
}

/// Its age began with the try that was given up, so that what is fresh for a moment was stale when it came.
#[tokio::test]
async fn an_answer_is_as_old_as_the_try_that_it_answers() {
    let (gate, second) = (Gate::closed(), Origin::always(Reply::ok("b").field("cache-control", "max-age=2")).await);
    let held = gate.clone();
    let first = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok("a")
        }
    })
    .await;
    let pair = of([first, second], &format!("{IN_TURN}retry.try_timeout = \"100ms\"\n")).await;
    let mut client = pair.gateway.client().await;
    client.send("GET", "/x", &[], "").await;
    gate.arrived(1).await;
    pair.gateway.step(3);
    let answer = client.answer().await;
    assert_eq!((answer.text(), answer.get("age")), ("b", None), "{answer:?}");
    pair.gateway.settled().await;
    assert!(client.get("/x").await.cache_says("hit"));
}

const IN_TURN: &str = "balance = \"round-robin\"\n";

#[tokio::test]
async fn what_one_endpoint_does_not_answer_another_one_does() {
    // Fault, and for GET, PUT and POST: the status, and what each origin has seen of a request that meets the fault.
    type Row = (&'static str, Fault, [(u16, [usize; 2]); 3]);
    let rows: &[Row] = &[
        ("closed before a byte", Fault::Close(0), [(200, [1, 1]), (200, [1, 1]), (502, [1, 0])]),
        ("reset before a byte", Fault::Reset(0), [(200, [1, 1]), (200, [1, 1]), (502, [1, 0])]),
        ("inside the head", Fault::Reset(20), [(502, [1, 0]), (502, [1, 0]), (502, [1, 0])]),
        ("nothing ever comes", Fault::Hang, [(200, [1, 1]), (200, [1, 1]), (504, [1, 0])]),
    ];
    for (why, fault, seen) in rows {
        for ((method, body), (status, requests)) in [("GET", ""), ("PUT", "some"), ("POST", "some")].iter().zip(seen) {
            let limits = "retry = { try_timeout = \"100ms\" }\ntimeouts = { first_byte = \"1s\" }\n";
            let pair = pair(&format!("{IN_TURN}{limits}")).await;
            pair.links[0].set(*fault);
            let answer = pair.gateway.client().await.request(method, "/x", &[], body).await;
            assert_eq!(answer.status, *status, "{method}, {why}: {answer:?}");
            assert_eq!(pair.origins.each_ref().map(Origin::count), *requests, "{method}, {why}");
            let bodies = pair.origins.iter().flat_map(Origin::requests).map(|request| request.body);
            assert!(bodies.into_iter().all(|got| got == body.as_bytes()), "{method}, {why}");
        }
    }
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again() {
    for status in [500, 502, 503, 504] {
        let bad = Origin::always(Reply::status(status)).await;
        let pair = of([bad, named("b").await], IN_TURN).await;
        assert_eq!(pair.gateway.client().await.get("/x").await.status, status);
        assert_eq!(pair.origins.each_ref().map(Origin::count), [1, 0], "{status}");
    }
}

/// A body that is still being sent goes to the other endpoint from its beginning, as long as that is kept.
#[tokio::test]
async fn the_beginning_of_a_body_is_kept_for_another_try() {
    for (kept, status) in [("64KiB", 200), ("4B", 502)] {
        let pair = pair(&format!("{IN_TURN}retry = {{ body = \"{kept}\" }}\n")).await;
        pair.links[0].set(Fault::ResetRequest(200));
        let mut client = pair.gateway.client().await;
        // Of a length that isn't known beforehand, and longer than the link lets through.
        let chunk = "x".repeat(100);
        let head = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send_raw(format!("{head}64\r\n{chunk}\r\n64\r\n{chunk}\r\n")).await;
        pair.origins[0].connections();
        client.send_raw("3\r\nend\r\n0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{kept}: {answer:?}");
        if status == 200 {
            assert_eq!(pair.origins[1].requests()[0].body, format!("{chunk}{chunk}end").as_bytes());
        }
    }
}

#[tokio::test]
async fn killed_and_back_again() {
    let mut pair = pair(&format!("{IN_TURN}health = {{ failures = 3, rest = \"10s\", slow_start = \"0s\" }}")).await;
    assert_eq!(pair.who(4).await, "abab");
    pair.links[0].cut();
    // Nothing was sent to it, so that a write may go to the other one as well.
    let post = pair.gateway.client().await.post("/x", "some").await;
    assert_eq!((post.status, post.text()), (200, "b"));
    assert_eq!(pair.who(20).await, "b".repeat(20));
    assert_eq!(pair.origins[0].count(), 2);
    pair.links[0].mend();
    assert_eq!(pair.who(4).await, "bbbb", "it rests");
    pair.gateway.step(11);
    let who = pair.who(4).await;
    assert!(who == "abab" || who == "baba", "{who}");
}

/// It is asked little at first: a tenth of its share, and more and more of it.
#[tokio::test]
async fn it_comes_back_little_by_little() {
    let mut pair = pair(&format!("{IN_TURN}health = {{ failures = 1, rest = \"10s\", slow_start = \"100s\" }}")).await;
    pair.links[0].cut();
    assert_eq!(pair.who(4).await, "bbbb");
    pair.links[0].mend();
    let count = |who: String| who.matches('a').count();
    pair.gateway.step(11);
    let first = count(pair.who(22).await);
    pair.gateway.step(50);
    let half = count(pair.who(30).await);
    pair.gateway.step(50);
    let whole = count(pair.who(20).await);
    assert!(
        (1..=3).contains(&first) && (8..=12).contains(&half) && (9..=11).contains(&whole),
        "{first} {half} {whole}"
    );
}

#[tokio::test]
async fn one_alone_is_asked_whatever_it_does() {
    let origin = named("a").await;
    let link = Link::to(origin.addr).await;
    let api = format!(
        "[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nhealth = {{ failures = 1 }}\n",
        link.url()
    );
    let gateway = Gateway::with("", &api).await;
    link.set(Fault::Close(0));
    for _ in 0..5 {
        assert_eq!(gateway.client().await.get("/x").await.status, 502);
    }
    assert_eq!(origin.count(), 5);
}

#[tokio::test]
async fn who_asks_for_rest_gets_it() {
    let ill = Arc::new(AtomicUsize::new(1));
    let left = Arc::clone(&ill);
    let a = Origin::start(move |_| {
        let ill = left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
        let reply = if ill { Reply::status(503).field("Retry-After", "30") } else { Reply::ok("a") };
        async move { reply }
    })
    .await;
    let pair = of([a, named("b").await], &format!("{IN_TURN}health = {{ slow_start = \"0s\" }}\n")).await;
    assert_eq!(pair.who(5).await, "-bbbb", "its answer is passed on, and it is left alone");
    pair.gateway.step(31);
    let who = pair.who(4).await;
    assert!(who == "abab" || who == "baba", "{who}");
    // A date says the same; more than max_rest is not listened to.
    ill.store(1, SeqCst);
}

/// When both are away both are asked: it may be that only we believe that they are ill.
#[tokio::test]
async fn when_all_rest_they_are_asked_all_the_same() {
    let tired = || Reply::status(503).field("Retry-After", "600");
    let pair = of([Origin::always(tired()).await, Origin::always(tired()).await], IN_TURN).await;
    assert_eq!(pair.who(6).await, "------");
    assert_eq!(pair.origins.iter().map(Origin::count).sum::<usize>(), 6);
}

#[tokio::test]
async fn retries_do_not_become_a_flood() {
    let mut pair = pair(&format!("{IN_TURN}retry = {{ times = 3, budget = 0.1, backoff = \"0s\" }}\n")).await;
    pair.links.iter_mut().for_each(Link::cut);
    let metric = |text: &str, name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    for _ in 0..200 {
        assert_eq!(pair.gateway.client().await.get("/x").await.status, 502);
    }
    let metrics = pair.gateway.admin("GET", "/metrics", "").await;
    let (retried, spared) = (
        metric(metrics.text(), "freshgate_retries_total{"),
        metric(metrics.text(), "freshgate_retries_refused_total{"),
    );
    assert!(retried <= 30 && spared >= 150, "{retried} retries of 200 requests, {spared} refused");
}

/// The busy one isn't given more while another one is free.
#[tokio::test]
async fn the_less_loaded_is_asked() {
    let gate = Gate::closed();
    let held = gate.clone();
    let slow = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("a")
        }
    })
    .await;
    let pair = of([slow, named("b").await], "balance = \"least-loaded\"\ncache = false\n").await;
    let mut waiting = Vec::new();
    while gate.count() == 0 {
        let mut client = pair.gateway.client().await;
        client.send("GET", "/x", &[], "").await;
        let answered = async { client.answer().await };
        tokio::select! {
            _ = answered => {}
            () = gate.arrived(1) => waiting.push(client),
        }
    }
    assert_eq!(pair.who(50).await, "b".repeat(50), "one is at a request, the other at none");
    gate.open();
    for mut client in waiting {
        assert_eq!(client.answer().await.text(), "a");
    }
}

#[tokio::test]
async fn a_resource_stays_with_its_endpoint() {
    let mut pair = pair("balance = \"hash\"\ncache = false\n").await;
    let mut of_each = Vec::new();
    for i in 0..40 {
        let target = format!("/books/{i}?page={i}");
        let mut who = Vec::new();
        for _ in 0..3 {
            who.push(pair.gateway.client().await.get(&target).await.text().to_owned());
        }
        assert!(who[0] == who[1] && who[1] == who[2], "{target}: {who:?}");
        of_each.push((target, who.remove(0)));
    }
    assert!(of_each.iter().any(|(_, who)| who == "a") && of_each.iter().any(|(_, who)| who == "b"));
    pair.links[0].cut();
    for (target, _) in of_each {
        assert_eq!(pair.gateway.client().await.get(&target).await.text(), "b", "{target}");
    }
}
