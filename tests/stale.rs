//! Stale answers: given when the origin fails or is slow, never once they are invalidated; and what is asked before anybody has to wait.
#![cfg(test)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Answer, Client, Gate, Gateway, Origin, Reply, within};

/// How an origin fails.
type Failure = fn() -> Reply;

const SLOW: &str = "keep_on_error = \"1h\"\nstale_after = \"50ms\"\n";
/// Long enough for a write or a purge to be acknowledged meanwhile.
const SLOWER: &str = "keep_on_error = \"1h\"\nstale_after = \"2s\"\n";

/// Answers `old` for a minute the first time that a path is asked for; every later GET or HEAD waits at the gate and is `new`. Writes
/// are done at once.
async fn stalling(gate: &Gate) -> Origin {
    let (gate, seen) = (gate.clone(), Arc::new(std::sync::Mutex::new(std::collections::HashSet::new())));
    Origin::start(move |request| {
        let first = seen.lock().unwrap().insert(request.target.clone());
        let (gate, read) = (gate.clone(), matches!(request.method.as_str(), "GET" | "HEAD"));
        async move {
            if !read {
                return Reply::status(204);
            }
            if !first {
                gate.pass().await;
            }
            Reply::ok(if first { "old" } else { "new" }).field("Cache-Control", "max-age=60")
        }
    })
    .await
}

/// The nth answer, from 0, of an origin that needn't be waited for.
async fn nth(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| std::future::ready(reply(count.fetch_add(1, Ordering::SeqCst)))).await
}

/// `old` for a minute, and then this.
async fn then(reply: fn() -> Reply) -> Origin {
    nth(move |n| if n == 0 { Reply::ok("old").field("Cache-Control", "max-age=60") } else { reply() }).await
}

async fn get(gateway: &Gateway, target: &str) -> Answer {
    gateway.client().await.get(target).await
}

async fn gauge(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    metrics.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap()
}

async fn reaches(gateway: &Gateway, name: &str, n: u64) {
    within(&format!("{name} {n}"), async {
        while gauge(gateway, name).await != n {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A gateway that has `old` for each target, all of them stale.
async fn with_old(origin: &Origin, api: &str, targets: &[&str]) -> Gateway {
    let gateway = Gateway::before(origin, api).await;
    for target in targets {
        assert_eq!(get(&gateway, target).await.text(), "old");
    }
    gateway.settled().await;
    gateway.step(100);
    gateway
}

fn is_given_for_slowness(answer: &Answer) -> bool {
    answer.cache_says("fwd=stale") && answer.cache_says("detail=stale-after") && !answer.cache_says("hit")
}

#[tokio::test]
async fn who_has_waited_long_enough_is_given_what_is_stale_and_the_question_goes_on() {
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let gateway = with_old(&origin, SLOW, &["/a"]).await;
    let mut crowd = Vec::new();
    for _ in 0..5 {
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[], "").await;
        crowd.push(client);
    }
    for client in &mut crowd {
        let answer = client.answer().await;
        assert!(answer.text() == "old" && is_given_for_slowness(&answer), "{answer:?}");
        assert!(answer.cache_says("ttl=-40") || answer.cache_says("ttl=-41"), "{answer:?}");
    }
    assert_eq!(origin.count(), 2, "those who joined leave like the one who leads");
    drop(crowd);
    gate.open();
    within("the fresh answer", async {
        while get(&gateway, "/a").await.text() != "new" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((get(&gateway, "/a").await.cache_says("hit"), origin.count()), (true, 2));
    assert_eq!(gauge(&gateway, "freshgate_waiting_requests").await, 0);
}

#[tokio::test]
async fn an_origin_that_is_in_time_is_not_given_up() {
    let origin = then(|| Reply::ok("new").field("Cache-Control", "max-age=60")).await;
    let gateway = with_old(&origin, SLOWER, &["/a"]).await;
    assert_eq!(get(&gateway, "/a").await.text(), "new");
}

/// Asks for /a with these fields, does something meanwhile, and waits until a request for /b that came later was given something stale;
/// then the origin goes on.
async fn meanwhile(
    gateway: &Gateway,
    gate: &Gate,
    fields: &[(&str, &str)],
    act: impl AsyncFnOnce(&mut Client),
) -> Answer {
    let (mut patient, mut other) = (gateway.client().await, gateway.client().await);
    patient.send("GET", "/a", fields, "").await;
    gate.arrived(1).await;
    act(&mut other).await;
    let impatient = get(gateway, "/b").await;
    assert!(is_given_for_slowness(&impatient), "{impatient:?}");
    gate.open();
    patient.answer().await
}

#[tokio::test]
async fn a_write_or_a_purge_while_one_waits_takes_the_stale_answer_away() {
    for purged in [false, true] {
        let gate = Gate::closed();
        let origin = stalling(&gate).await;
        let gateway = with_old(&origin, SLOWER, &["/a", "/b"]).await;
        let answer = meanwhile(&gateway, &gate, &[], async |other| {
            if purged {
                gateway.purge(serde_json::json!({ "path": "/a" })).await;
            } else {
                assert_eq!(other.put("/a", "x").await.status, 204);
            }
        })
        .await;
        assert!(answer.text() == "new" && !answer.cache_says("detail=stale-after"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_wants_something_younger_waits() {
    for wish in ["no-cache", "max-age=0", "max-age=3600", "min-fresh=1", "max-stale=10"] {
        let gate = Gate::closed();
        let origin = stalling(&gate).await;
        let gateway = with_old(&origin, SLOW, &["/a", "/b"]).await;
        let answer = meanwhile(&gateway, &gate, &[("Cache-Control", wish)], async |_| ()).await;
        assert_eq!(answer.text(), "new", "{wish}: {answer:?}");
    }
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let gateway = with_old(&origin, &format!("{SLOW}client_directives = \"ignore\""), &["/a"]).await;
    let answer = gateway.client().await.get_with("/a", &[("Cache-Control", "no-cache")]).await;
    assert!(is_given_for_slowness(&answer), "its wishes aren't heard: {answer:?}");
}

#[tokio::test]
async fn what_may_not_be_given_on_error_is_waited_for() {
    for forbidden in ["max-age=60, must-revalidate", "s-maxage=60", "max-age=60, stale-if-error=0", "max-age=60"] {
        let gate = Gate::closed();
        let held = gate.clone();
        let count = AtomicUsize::new(0);
        let origin = Origin::start(move |request| {
            let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
            let control = if request.target == "/a" { forbidden } else { "max-age=60, stale-if-error=3600" };
            async move {
                if n > 1 {
                    gate.pass().await;
                }
                Reply::ok(if n > 1 { "new" } else { "old" }).field("Cache-Control", control)
            }
        })
        .await;
        let keep = if forbidden == "max-age=60" { "0s" } else { "1h" };
        let api = format!("keep_on_error = \"{keep}\"\nstale_after = \"50ms\"");
        let gateway = with_old(&origin, &api, &["/a", "/b"]).await;
        let answer = meanwhile(&gateway, &gate, &[], async |_| ()).await;
        assert_eq!(answer.text(), "new", "{forbidden}: {answer:?}");
    }
}

/// After a failure requests for a key don't wait for one another for a moment: each asks alone, and nobody else would go on with it.
#[tokio::test]
async fn a_question_that_was_asked_alone_goes_on_too() {
    let (gate, count) = (Gate::closed(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            match n {
                0 => Reply::ok("old").field("Cache-Control", "max-age=60"),
                1 => Reply::status(503),
                _ => {
                    gate.pass().await;
                    Reply::ok("new").field("Cache-Control", "max-age=60")
                }
            }
        }
    })
    .await;
    let gateway = with_old(&origin, SLOW, &["/a"]).await;
    assert!(get(&gateway, "/a").await.cache_says("detail=stale-if-error"));
    let mut client = gateway.client().await;
    assert!(is_given_for_slowness(&client.get("/a").await));
    drop(client);
    gate.open();
    reaches(&gateway, "freshgate_background_refreshes", 0).await;
    gateway.settled().await;
    let answer = get(&gateway, "/a").await;
    assert_eq!((answer.text(), answer.cache_says("hit"), origin.count()), ("new", true, 3));
}

#[tokio::test]
async fn a_head_and_a_part_are_given_what_is_stale_as_well() {
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let gateway = with_old(&origin, SLOW, &["/a"]).await;
    let mut client = gateway.client().await;
    let head = client.request("HEAD", "/a", &[], "").await;
    assert!(is_given_for_slowness(&head) && head.get("content-length") == Some("3"), "{head:?}");
    let part = client.get_with("/a", &[("Range", "bytes=1-1")]).await;
    assert!(is_given_for_slowness(&part), "{part:?}");
    assert_eq!((part.status, part.text(), part.get("content-range")), (206, "l", Some("bytes 1-1/3")));

    for failure in [|| Reply::status(503), Reply::nothing] {
        let origin = then(failure).await;
        let gateway = with_old(&origin, "keep_on_error = \"1h\"", &["/a"]).await;
        let mut client = gateway.client().await;
        let head = client.request("HEAD", "/a", &[], "").await;
        assert_eq!((head.status, head.get("content-length")), (200, Some("3")), "{head:?}");
        assert!(head.cache_says("detail=stale-if-error"), "{head:?}");
        let part = client.get_with("/a", &[("Range", "bytes=1-1")]).await;
        assert_eq!((part.status, part.text()), (206, "l"), "{part:?}");
        let no_store = client.get_with("/a", &[("Cache-Control", "no-store")]).await;
        assert_eq!((no_store.status, no_store.text()), (200, "old"), "it forbids to keep, not to give: {no_store:?}");
        let none = client.request("HEAD", "/b", &[], "").await;
        assert!(none.status >= 500, "{none:?}");
    }
}

#[tokio::test]
async fn every_failure_is_one_for_the_leader_and_for_those_who_joined() {
    let failures: [(&str, Failure); 8] = [
        ("500", || Reply::status(500)),
        ("502", || Reply::status(502)),
        ("503", || Reply::status(503).field("Cache-Control", "no-store")),
        ("504", || Reply::status(504)),
        ("closed", Reply::nothing),
        ("no answer", || Reply::raw("HTTP/1.1 twohundred\r\n\r\n")),
        ("broken before its first byte", || Reply::ok("").field("Cache-Control", "max-age=60").claiming(3).cut()),
        ("chunks without one", || Reply::ok("").field("Cache-Control", "max-age=60").chunked().cut()),
    ];
    for (what, failure) in failures {
        let (gate, count) = (Gate::closed(), AtomicUsize::new(0));
        let held = gate.clone();
        let origin = Origin::start(move |_| {
            let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                if n == 0 {
                    return Reply::ok("old").field("Cache-Control", "max-age=60");
                }
                gate.pass().await;
                failure()
            }
        })
        .await;
        let gateway = with_old(&origin, "keep_on_error = \"1h\"", &["/a"]).await;
        let mut crowd = vec![gateway.client().await, gateway.client().await, gateway.client().await];
        crowd[0].send("GET", "/a", &[], "").await;
        gate.arrived(1).await;
        for client in &mut crowd[1..] {
            client.send("GET", "/a", &[], "").await;
        }
        reaches(&gateway, "freshgate_waiting_requests", 2).await;
        gate.open();
        for client in &mut crowd {
            let answer = client.answer().await;
            assert!(answer.text() == "old" && answer.complete, "{what}: {answer:?}");
            assert!(answer.cache_says("detail=stale-if-error") && answer.cache_says("fwd=stale"), "{what}: {answer:?}");
        }
    }
}

/// The clock isn't stepped here, so a breaker that has opened stays open.
#[tokio::test]
async fn while_the_breaker_is_open_what_is_stale_is_given_at_once() {
    let origin = then(|| Reply::status(503)).await;
    let breaker = "keep_on_error = \"1h\"\n[api.breaker]\ncalls = 1\nfailures = 0.1\nopen = \"1h\"";
    let gateway = with_old(&origin, breaker, &["/a"]).await;
    for _ in 0..20 {
        let answer = get(&gateway, "/a").await;
        assert!(answer.text() == "old" && answer.cache_says("detail=stale-if-error"), "{answer:?}");
    }
    let asked = origin.count();
    let answer = get(&gateway, "/a").await;
    assert_eq!((answer.text(), origin.count()), ("old", asked), "the origin is left alone");
    let none = get(&gateway, "/b").await;
    assert!(none.status == 503 && none.get("retry-after").is_some() && asked < 10, "{none:?}, asked {asked}");
}

/// What breaks off after its beginning was seen is an incomplete message, and nothing of it is kept.
#[tokio::test]
async fn an_answer_that_breaks_off_later_is_seen_to() {
    let origin = then(|| Reply::ok("ne").field("Cache-Control", "max-age=60").claiming(3).cut()).await;
    let gateway = with_old(&origin, "keep_on_error = \"1h\"", &["/a"]).await;
    assert!(!get(&gateway, "/a").await.complete);
    let none = get(&gateway, "/b").await;
    assert!(!none.complete, "without anything else to give it is passed on as it is: {none:?}");
}

#[tokio::test]
async fn what_we_ask_too_much_for_already_is_given_stale_first() {
    for (limit, reached) in [("origin_requests = 1", "origin_requests"), ("waiting_requests = 1", "waiting_requests")] {
        let gate = Gate::closed();
        let origin = stalling(&gate).await;
        let api = format!(
            "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nkeep_on_error = \"1h\"\n",
            origin.url()
        );
        let gateway = Gateway::with(&format!("[server.limits]\n{limit}"), &api).await;
        for target in ["/a", "/b"] {
            get(&gateway, target).await;
        }
        gateway.settled().await;
        gateway.step(100);
        let mut waiting = [gateway.client().await, gateway.client().await];
        let targets: &[&str] = if reached == "origin_requests" { &["/a"] } else { &["/a", "/a"] };
        for (client, target) in waiting.iter_mut().zip(targets) {
            client.send("GET", target, &[], "").await;
            gate.arrived(1).await;
        }
        reaches(&gateway, "freshgate_waiting_requests", targets.len() as u64 - 1).await;
        let refused = if reached == "origin_requests" { "/b" } else { "/a" };
        let answer = get(&gateway, refused).await;
        assert_eq!((answer.status, answer.text()), (200, "old"), "{limit}: {answer:?}");
        assert!(answer.cache_says("detail=stale-if-error") && gateway.reached(reached).await == 1, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_in_demand_is_asked_for_before_it_ends() {
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let gateway = Gateway::before(&origin, "refresh_ahead = 0.5").await;
    get(&gateway, "/a").await;
    gateway.settled().await;
    gateway.step(20);
    assert!(get(&gateway, "/a").await.cache_says("hit"));
    assert_eq!(gauge(&gateway, "freshgate_background_refreshes").await, 0);
    gateway.step(15);
    let mut client = gateway.client().await;
    for _ in 0..5 {
        let hit = client.get("/a").await;
        assert!(hit.text() == "old" && hit.cache_says("hit"), "the client has its hit at once: {hit:?}");
    }
    gate.arrived(1).await;
    assert_eq!((origin.count(), gauge(&gateway, "freshgate_background_refreshes").await), (2, 1));
    gate.open();
    reaches(&gateway, "freshgate_background_refreshes", 0).await;
    gateway.step(40);
    let hit = client.get("/a").await;
    assert!(hit.text() == "new" && hit.cache_says("hit"), "past the end of the first one: {hit:?}");
}

#[tokio::test]
async fn what_nobody_asks_for_or_has_no_end_is_not_asked_for_ahead() {
    let origin = nth(|n| Reply::ok(n.to_string())).await;
    let gateway = Gateway::before(&origin, "refresh_ahead = 0.5\nttl = \"forever\"").await;
    get(&gateway, "/a").await;
    gateway.settled().await;
    gateway.step(1 << 30);
    assert!(get(&gateway, "/a").await.cache_says("hit"));
    assert_eq!((origin.count(), gauge(&gateway, "freshgate_background_refreshes").await), (1, 0));
    let origin = nth(|n| Reply::ok(n.to_string()).field("Cache-Control", "max-age=60")).await;
    let gateway = Gateway::before(&origin, "refresh_ahead = 0.5").await;
    get(&gateway, "/a").await;
    gateway.settled().await;
    gateway.step(40);
    let hit = gateway.client().await.get_with("/a", &[("Cache-Control", "no-store")]).await;
    assert!(hit.cache_says("hit"));
    assert_eq!(gauge(&gateway, "freshgate_background_refreshes").await, 0, "nothing is kept on its account");
    assert_eq!(origin.count(), 1);
}

/// A refresh that fails, or whose answer can't be kept, used to be tried again for each hit.
#[tokio::test]
async fn a_refresh_that_came_to_nothing_waits_a_second() {
    let vain: [fn() -> Reply; 3] = [
        || Reply::status(503),
        || Reply::raw("HTTP/1.1 nonsense\r\n\r\n"),
        || Reply::status(429).field("Cache-Control", "no-store"),
    ];
    for (api, stepped) in [("grace = \"1h\"", 61), ("refresh_ahead = 0.5", 31)] {
        for reply in vain {
            let origin = then(reply).await;
            let gateway = with_old_for(&origin, api, stepped).await;
            let mut client = gateway.client().await;
            let began = gateway.clock.mono();
            for _ in 0..20 {
                assert_eq!(client.get("/a").await.text(), "old");
                reaches(&gateway, "freshgate_background_refreshes", 0).await;
            }
            // One for each second that this took, however long that was.
            let seconds = (gateway.clock.mono() - began) / 1000;
            let asked = origin.count() as u64 - 1;
            assert!((1..=1 + seconds).contains(&asked), "{asked} in {seconds} s");
            gateway.step(2);
            client.get("/a").await;
            origin.received(asked as usize + 2).await;
        }
    }
}

#[tokio::test]
async fn a_refresh_whose_answer_was_kept_may_be_followed_by_the_next_at_once() {
    let origin = nth(|n| Reply::ok(n.to_string())).await;
    let gateway = Gateway::before(&origin, "ttl = \"300ms\"\ngrace = \"1h\"").await;
    get(&gateway, "/a").await;
    gateway.settled().await;
    for n in 1..4 {
        gateway.clock.step(Duration::from_millis(301));
        get(&gateway, "/a").await;
        origin.received(n + 1).await;
        reaches(&gateway, "freshgate_background_refreshes", 0).await;
    }
}

async fn with_old_for(origin: &Origin, api: &str, seconds: u64) -> Gateway {
    let gateway = Gateway::before(origin, api).await;
    get(&gateway, "/a").await;
    gateway.settled().await;
    gateway.step(seconds);
    gateway
}

/// Callers who share an answer share its refreshes too.
#[tokio::test]
async fn a_public_answer_is_refreshed_once_for_all_callers() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        std::future::ready(match first {
            true => Reply::ok("old").field("Cache-Control", "public, max-age=60"),
            false => Reply::status(503),
        })
    })
    .await;
    let gateway = with_old_for(&origin, "grace = \"1h\"", 61).await;
    let began = gateway.clock.mono();
    for n in 0..10 {
        let bearer = format!("Bearer {n}");
        let answer = gateway.client().await.get_with("/a", &[("Authorization", &bearer)]).await;
        assert_eq!(answer.text(), "old");
        reaches(&gateway, "freshgate_background_refreshes", 0).await;
    }
    let seconds = (gateway.clock.mono() - began) / 1000;
    assert!(origin.count() as u64 <= 2 + seconds, "{} in {seconds} s", origin.count());
}

#[tokio::test]
async fn refreshes_are_bounded() {
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\ngrace = \"1h\"\n",
        origin.url()
    );
    let gateway = Gateway::with("[server.limits]\nbackground_refreshes = 1", &api).await;
    for target in ["/a", "/b"] {
        get(&gateway, target).await;
    }
    gateway.settled().await;
    gateway.step(61);
    assert_eq!(get(&gateway, "/a").await.text(), "old");
    gate.arrived(1).await;
    assert_eq!(get(&gateway, "/b").await.text(), "old", "the client doesn't notice");
    assert_eq!(gateway.reached("background_refreshes").await, 1);
    assert_eq!((origin.count(), gauge(&gateway, "freshgate_background_refreshes").await), (3, 1));
    gate.open();
    reaches(&gateway, "freshgate_background_refreshes", 0).await;
    gateway.step(2);
    get(&gateway, "/b").await;
    origin.received(4).await;
}

#[tokio::test]
async fn a_write_during_a_refresh_ends_what_it_brings() {
    let gate = Gate::closed();
    let origin = stalling(&gate).await;
    let gateway = with_old_for(&origin, "refresh_ahead = 0.5\ngrace = \"1h\"\nkeep_on_error = \"1h\"", 31).await;
    assert!(get(&gateway, "/a").await.cache_says("hit"));
    gate.arrived(1).await;
    assert_eq!(gateway.client().await.put("/a", "x").await.status, 204);
    gate.open();
    reaches(&gateway, "freshgate_background_refreshes", 0).await;
    assert!(!get(&gateway, "/a").await.cache_says("hit"), "it was asked for before the write");
}

#[tokio::test]
async fn lifetimes_are_shortened_each_by_another_part() {
    let reply = Reply::ok("x").field("Cache-Control", "max-age=1000");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, "ttl_jitter = 0.5").await;
    let mut client = gateway.client().await;
    let mut ends = std::collections::BTreeSet::new();
    for n in 0..40 {
        let target = format!("/{n}");
        client.get(&target).await;
        gateway.settled().await;
        let hit = client.get(&target).await;
        assert_eq!(hit.get("cache-control"), Some("max-age=1000"), "clients are told what the origin says");
        let status = hit.get("cache-status").unwrap();
        let ttl: i64 = status.split("ttl=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
        assert!((490..=1000).contains(&ttl), "{status}");
        ends.insert(ttl);
    }
    assert!(ends.len() > 10, "{ends:?}");
    assert!(ends.iter().any(|ttl| *ttl < 900) && ends.iter().any(|ttl| *ttl > 600), "{ends:?}");
}
