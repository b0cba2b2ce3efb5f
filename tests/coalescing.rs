//! Identical concurrent misses: one question, and nobody suffers from another's fate.

#![cfg(test)]

mod support;

use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::fill::{Comer, Fills, Got, Question, Settings};
use freshgate::policy::{Apis, write_key};
use freshgate::store::{Store, Tally};
use freshgate::tasks::Tasks;
use freshgate::upstream::{self, HostChoice, TlsClient};
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Answer, Client, Gate, Gateway, Origin, Piece, Reply, within};

const TTL: &str = "ttl = \"10m\"";

/// An origin that holds every answer back until `gate` is open.
async fn gated(gate: &Gate, reply: Reply) -> Origin {
    let gate = gate.clone();
    Origin::start(move |_| {
        let (gate, reply) = (gate.clone(), reply.clone());
        async move {
            gate.pass().await;
            reply
        }
    })
    .await
}

/// An origin that answers the n-th request, from 0, with what `reply` says.
async fn nth(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| std::future::ready(reply(count.fetch_add(1, Ordering::SeqCst)))).await
}

/// A gauge of `/metrics`.
async fn gauge(gateway: &Gateway, name: &str) -> usize {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let line = metrics.text().lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse::<f64>().unwrap() as usize
}

async fn reaches(gateway: &Gateway, name: &str, n: usize) {
    within(&format!("{n} in {name}"), async {
        while gauge(gateway, name).await != n {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until `n` requests wait for somebody else's question.
async fn waiting(gateway: &Gateway, n: usize) {
    reaches(gateway, "freshgate_waiting_requests", n).await;
}

/// Waits until nothing is being recorded.
async fn settled(gateway: &Gateway) {
    reaches(gateway, "freshgate_fills", 0).await;
}

/// After this the gateway has seen whatever happened on its other connections before: a round trip later.
async fn noticed(gateway: &Gateway) {
    gauge(gateway, "freshgate_fills").await;
}

/// Clients that have sent this request and wait for its answer.
async fn asking(gateway: &Gateway, n: usize, target: &str, fields: &[(&str, &str)]) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..n {
        let mut client = gateway.client().await;
        client.send("GET", target, fields, "").await;
        clients.push(client);
    }
    clients
}

async fn answers(clients: &mut [Client]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.answer().await);
    }
    answers
}

/// A leader whose request is at the origin, and `n` who wait for it.
async fn crowd(gateway: &Gateway, gate: &Gate, n: usize, target: &str) -> (Client, Vec<Client>) {
    let leader = asking(gateway, 1, target, &[]).await.pop().unwrap();
    gate.arrived(1).await;
    let others = asking(gateway, n, target, &[]).await;
    waiting(gateway, n).await;
    (leader, others)
}

/// Whether two ends of 1,000 connections fit into this process.
fn has_room_for_a_thousand() -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok()).is_none_or(|most| most > 2_500)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_on_a_cold_key_cost_one_request() {
    let clients = if has_room_for_a_thousand() { 1_000 } else { 300 };
    let body: String = (0..4_000).map(|n| format!("{n},")).collect();
    let reply = Reply::ok(&body[..5_000]).body(&body[5_000..]).chunked();
    // An origin that answers at once: then some come while it is being asked, some while it streams, some after it.
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut all = Vec::new();
    for _ in 0..clients {
        all.push(gateway.client().await);
    }
    let (start, tasks, right) = (Gate::closed(), Tasks::default(), Arc::new(AtomicUsize::new(0)));
    for mut client in all {
        let (start, body, right) = (start.clone(), body.clone(), Arc::clone(&right));
        tasks.spawn(async move {
            start.pass().await;
            let answer = client.get("/hot").await;
            assert_eq!((answer.status, answer.complete), (200, true));
            assert!(answer.text() == body, "{} bytes of {}", answer.body.len(), body.len());
            right.fetch_add(1, Ordering::SeqCst);
        });
    }
    start.arrived(clients).await;
    start.open();
    within("the end of all", tasks.ended()).await;
    assert_eq!(right.load(Ordering::SeqCst), clients, "all have all of it");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn all_who_wait_get_the_one_answer() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("one").field("X-Kept", "yes")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (mut leader, mut others) = crowd(&gateway, &gate, 20, "/a").await;
    gate.open();
    let first = leader.answer().await;
    assert!(first.cache_says("fwd=uri-miss") && first.cache_says("stored") && !first.cache_says("collapsed"));
    for answer in answers(&mut others).await {
        assert_eq!(
            (answer.text(), answer.get("x-kept"), answer.get("content-length")),
            ("one", Some("yes"), Some("3"))
        );
        assert!(answer.cache_says("collapsed") && !answer.cache_says("hit"), "{answer:?}");
        assert!(answer.get("age").is_some(), "it was asked for by another");
    }
    assert_eq!(origin.count(), 1);
    settled(&gateway).await;
    assert_eq!(gauge(&gateway, "freshgate_waiting_requests").await, 0);
}

#[tokio::test]
async fn an_answer_streams_to_those_who_joined_before_it_is_complete() {
    let (head, rest) = (Gate::closed(), Gate::closed());
    let origin = gated(&head, Reply::ok("first").wait(&rest).body("second")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (mut leader, mut others) = crowd(&gateway, &head, 3, "/a").await;
    head.open();
    others.extend(asking(&gateway, 2, "/a", &[]).await); // perhaps before the head, perhaps after
    rest.arrived(1).await;
    let mut late = asking(&gateway, 1, "/a", &[]).await.pop().unwrap(); // in the middle of the body
    others.push(late);
    for client in others.iter_mut().chain([&mut leader]) {
        let answer = client.answer_head().await.unwrap();
        assert_eq!(answer.get("content-length"), Some("11"));
        assert_eq!(client.at_least(5).await, b"first");
    }
    rest.open();
    for client in others.iter_mut().chain([&mut leader]) {
        assert_eq!(client.at_least(6).await, b"second");
        assert!(matches!(client.piece().await, Piece::End(_)));
    }
    settled(&gateway).await;
    late = gateway.client().await;
    let hit = late.get("/a").await;
    assert!(hit.cache_says("hit") && hit.text() == "firstsecond");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn trailers_reach_all_who_take_them_and_are_stored() {
    const TAKES: [(&str, &str); 2] = [("TE", "trailers"), ("Connection", "TE")];
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("a").body("b").field("Trailer", "X-Sum").trailer("X-Sum", "7")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut all = asking(&gateway, 3, "/a", &TAKES).await;
    waiting(&gateway, 2).await;
    gate.open();
    for answer in answers(&mut all).await {
        assert_eq!((answer.text(), answer.trailers.get("x-sum"), answer.complete), ("ab", Some("7"), true));
    }
    settled(&gateway).await;
    let hit = gateway.client().await.get_with("/a", &TAKES).await;
    assert_eq!((hit.cache_says("hit"), hit.text(), hit.trailers.get("x-sum")), (true, "ab", Some("7")));
    let hit = gateway.client().await.get("/a").await;
    assert_eq!((hit.cache_says("hit"), hit.text(), hit.complete), (true, "ab", true));
}

#[tokio::test]
async fn a_leader_that_leaves_before_the_head_strands_nobody() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("kept")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (leader, mut others) = crowd(&gateway, &gate, 5, "/a").await;
    leader.reset();
    noticed(&gateway).await;
    gate.open();
    assert!(answers(&mut others).await.iter().all(|a| a.text() == "kept" && a.complete));
    settled(&gateway).await;
    assert!(gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_leader_that_leaves_in_the_middle_strands_nobody() {
    let (head, rest) = (Gate::closed(), Gate::closed());
    let origin = gated(&head, Reply::ok("first").wait(&rest).body("second")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (mut leader, mut others) = crowd(&gateway, &head, 5, "/a").await;
    head.open();
    leader.answer_head().await.unwrap();
    assert_eq!(leader.at_least(5).await, b"first");
    leader.reset();
    noticed(&gateway).await;
    rest.open();
    assert!(answers(&mut others).await.iter().all(|a| a.text() == "firstsecond" && a.complete));
    settled(&gateway).await;
    assert!(gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_any_more_is_stored() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("kept")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let client = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    gate.arrived(1).await;
    client.reset();
    noticed(&gateway).await;
    gate.open();
    reaches(&gateway, "freshgate_stored_entries{api=\"test/v1\"}", 1).await;
    assert!(gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_origin_that_fails_before_the_head_is_asked_once_more_for_all() {
    for (second, status) in [(Reply::ok("better"), 200), (Reply::nothing(), 502)] {
        let gate = Gate::closed();
        let (held, count) = (gate.clone(), AtomicUsize::new(0));
        let origin = Origin::start(move |_| {
            let (gate, second) = (held.clone(), second.clone());
            let n = count.fetch_add(1, Ordering::SeqCst);
            async move {
                gate.pass().await;
                if n == 0 { Reply::nothing() } else { second }
            }
        })
        .await;
        let gateway = Gateway::before(&origin, TTL).await;
        let (mut leader, mut others) = crowd(&gateway, &gate, 10, "/a").await;
        gate.open();
        assert_eq!(leader.answer().await.status, 502);
        assert!(answers(&mut others).await.iter().all(|a| a.status == status), "{status}");
        assert_eq!(origin.count(), 2);
        settled(&gateway).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_is_seen_as_broken_by_all_and_not_stored() {
    for chunked in [false, true] {
        let (head, rest) = (Gate::closed(), Gate::closed());
        let reply = Reply::ok("first").wait(&rest);
        let reply = if chunked { reply.chunked().cut() } else { reply.claiming(11).cut() };
        let origin = gated(&head, reply).await;
        let gateway = Gateway::before(&origin, TTL).await;
        let (leader, mut all) = crowd(&gateway, &head, 4, "/a").await;
        all.push(leader);
        head.open();
        rest.arrived(1).await;
        rest.open();
        assert!(answers(&mut all).await.iter().all(|a| a.status == 200 && !a.complete));
        settled(&gateway).await;
        assert!(!gateway.client().await.get("/a").await.cache_says("hit"));
        assert_eq!(origin.count(), 2);
    }
}

/// The window of these tests: 64 KiB.
const SMALL: &str = "[cache]\nmax_object_size = \"64KiB\"";

fn one_api(origin: &Origin, more: &str) -> String {
    let url = origin.url();
    format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n{TTL}\n{more}\n")
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_the_others_get_everything() {
    let gate = Gate::closed();
    let big = vec![b'x'; 24 << 20];
    let origin = gated(&gate, Reply::ok(&big).chunked()).await;
    let rest = format!("{SMALL}\n[server.limits]\nwrite_stall = \"2s\"");
    let gateway = Gateway::with(&rest, &one_api(&origin, "")).await;
    let (leader, mut others) = crowd(&gateway, &gate, 2, "/a").await;
    let mut stuck = leader; // reads nothing, though it asked first
    gate.open();
    let (one, two) = others.split_at_mut(1);
    let (one, two) = tokio::join!(one[0].answer(), two[0].answer());
    for answer in [one, two] {
        assert!(answer.complete && answer.body == big, "{} bytes", answer.body.len());
    }
    settled(&gateway).await;
    let answer = stuck.answer().await;
    assert!(!answer.complete, "a cut answer must not look whole");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn a_large_answer_passes_whole_unstored_and_is_not_joined_past_the_limit() {
    let gate = Gate::closed();
    let big = vec![b'y'; 256 << 10];
    let origin = Origin::always(Reply::ok(&big).wait(&gate).body("end").chunked()).await;
    let gateway = Gateway::with(SMALL, &one_api(&origin, "")).await;
    let mut first = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    first.answer_head().await.unwrap();
    assert_eq!(first.at_least(big.len()).await.len(), big.len());
    gate.arrived(1).await;
    let mut second = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    gate.arrived(2).await; // it asks itself, though the first answer isn't complete
    gate.open();
    assert_eq!(first.at_least(3).await, b"end");
    assert!(matches!(first.piece().await, Piece::End(_)));
    let answer = second.answer().await;
    assert!(answer.complete && answer.body.len() == big.len() + 3);
    settled(&gateway).await;
    assert!(!gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn an_answer_that_says_it_is_too_large_is_for_each_his_own() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok(vec![b'z'; 100 << 10])).await;
    let gateway = Gateway::with(SMALL, &one_api(&origin, "")).await;
    let (leader, mut all) = crowd(&gateway, &gate, 3, "/a").await;
    all.push(leader);
    gate.open();
    for answer in answers(&mut all).await {
        assert!(answer.complete && answer.body.len() == 100 << 10 && answer.cache_says("detail=too-large"));
    }
    assert_eq!(origin.count(), 4);
}

#[tokio::test]
async fn those_who_waited_for_an_unshareable_answer_are_at_the_origin_together() {
    const N: usize = 20;
    let (first, rest) = (Gate::closed(), Gate::closed());
    let (one, two, count) = (first.clone(), rest.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let gate = if n == 0 { one.clone() } else { two.clone() };
        async move {
            gate.pass().await;
            Reply::ok(format!("own {n}")).field("Cache-Control", "private")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (mut leader, mut others) = crowd(&gateway, &first, N, "/me").await;
    first.open();
    assert_eq!(leader.answer().await.text(), "own 0");
    rest.arrived(N).await; // all at once: each waits here for the gate
    assert_eq!(gauge(&gateway, "freshgate_waiting_requests").await, 0, "nobody waits for anybody");
    // Those who come now don't queue either.
    others.extend(asking(&gateway, N, "/me", &[]).await);
    rest.arrived(2 * N).await;
    rest.open();
    let mut texts: Vec<String> = answers(&mut others).await.iter().map(|a| a.text().to_owned()).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 2 * N, "each has an answer of his own");
    assert_eq!(origin.count(), 1 + 2 * N);
}

/// They used to ask one after the other, each waiting for the one before, because an answer that was confirmed but may
/// not be kept counted as one that could be shared.
#[tokio::test]
async fn those_who_waited_for_a_confirmation_that_forbids_keeping_are_at_the_origin_together() {
    const N: usize = 10;
    let (first, rest, count) = (Gate::closed(), Gate::closed(), AtomicUsize::new(0));
    let (one, two) = (first.clone(), rest.clone());
    let origin = Origin::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let (one, two) = (one.clone(), two.clone());
        async move {
            match n {
                0 => return Reply::ok("old").field("ETag", "\"a\"").field("Cache-Control", "max-age=60"),
                1 => one.pass().await,
                _ => two.pass().await,
            }
            Reply::status(304).field("ETag", "\"a\"").field("Cache-Control", "private")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    gateway.client().await.get("/a").await;
    settled(&gateway).await;
    gateway.step(61);
    let (mut leader, mut others) = crowd(&gateway, &first, N, "/a").await;
    first.open();
    assert_eq!(leader.answer().await.text(), "old");
    rest.arrived(N).await;
    rest.open();
    assert!(answers(&mut others).await.iter().all(|a| a.status == 200 && a.text() == "old"));
    assert_eq!(origin.count(), 2 + N);
}

#[tokio::test]
async fn that_an_answer_was_unshareable_is_remembered_for_a_bounded_time() {
    let gate = Gate::closed();
    gate.open();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            gate.pass().await;
            if n == 0 { Reply::ok("private").field("Cache-Control", "private") } else { Reply::ok("shared") }
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    assert_eq!(gateway.client().await.get("/a").await.text(), "private");
    gate.close();
    gateway.step(120);
    let mut all = asking(&gateway, 5, "/a", &[]).await;
    waiting(&gateway, 4).await;
    gate.open();
    assert!(answers(&mut all).await.iter().all(|a| a.text() == "shared"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_key_coalesces_again_once_an_answer_could_be_shared() {
    let gate = Gate::closed();
    gate.open();
    let origin = {
        let (held, count) = (gate.clone(), AtomicUsize::new(0));
        Origin::start(move |_| {
            let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                gate.pass().await;
                if n == 0 { Reply::ok("no").field("Cache-Control", "no-store") } else { Reply::ok("yes") }
            }
        })
        .await
    };
    let gateway = Gateway::before(&origin, TTL).await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/a").await.text(), "no");
    assert_eq!(client.get("/a").await.text(), "yes");
    settled(&gateway).await;
    assert!(client.get("/a").await.cache_says("hit"), "what was asked alone is kept all the same");
    gateway.purge(serde_json::json!({ "path": "/a" })).await;
    gate.close();
    let mut all = asking(&gateway, 4, "/a", &[]).await;
    waiting(&gateway, 3).await;
    gate.open();
    assert!(answers(&mut all).await.iter().all(|a| a.text() == "yes"));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn an_error_of_the_origin_is_for_each_his_own_and_soon_forgotten() {
    let origin = nth(|n| if n == 0 { Reply::status(500).body("broken") } else { Reply::ok("mended") }).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/a").await.status, 500);
    assert_eq!(client.get("/a").await.text(), "mended");
    settled(&gateway).await;
    assert!(client.get("/a").await.cache_says("hit"));
}

#[tokio::test]
async fn different_callers_never_share_a_fill() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok(format!("{:?} {:?}", request.get("authorization"), request.get("cookie")))
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    let callers: [&[(&str, &str)]; 5] = [
        &[],
        &[("Authorization", "Bearer a")],
        &[("Authorization", "Bearer b")],
        &[("Cookie", "id=1")],
        &[("Authorization", "Bearer a"), ("Cookie", "id=1")],
    ];
    let mut clients = Vec::new();
    for fields in callers {
        clients.extend(asking(&gateway, 2, "/me", fields).await);
    }
    gate.arrived(5).await;
    waiting(&gateway, 5).await;
    gate.open();
    let texts = answers(&mut clients).await;
    for (pair, fields) in texts.chunks(2).zip(callers) {
        let value = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let own = format!("{:?} {:?}", value("Authorization"), value("Cookie"));
        assert!(pair.iter().all(|a| a.text() == own), "{pair:?}");
    }
    assert_eq!(origin.count(), 5);
}

/// Those who want another variant than the one that is being recorded used to ask the table for a question to join
/// over and over, always getting the same one, until its body had ended.
#[tokio::test]
async fn another_variant_is_asked_for_while_the_first_still_streams() {
    let (head, german) = (Gate::closed(), Gate::closed());
    let (h, g) = (head.clone(), german.clone());
    let origin = Origin::start(move |request| {
        let (head, german) = (h.clone(), g.clone());
        async move {
            head.pass().await;
            let reply = Reply::ok("").field("Vary", "Accept-Language").field("Cache-Control", "max-age=60");
            match request.get("accept-language") {
                Some("de") => reply.body("eins").wait(&german).body("zwei"),
                Some(other) => reply.body(other),
                None => reply.body("none"),
            }
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut leader = asking(&gateway, 1, "/a", &[("Accept-Language", "de")]).await.pop().unwrap();
    head.arrived(1).await;
    let mut english = asking(&gateway, 5, "/a", &[("Accept-Language", "en")]).await;
    let mut french = asking(&gateway, 5, "/a", &[("Accept-Language", "fr")]).await;
    let mut german_too = asking(&gateway, 1, "/a", &[("Accept-Language", "de")]).await.pop().unwrap();
    waiting(&gateway, 11).await;
    head.open();
    assert!(answers(&mut english).await.iter().all(|a| a.text() == "en" && a.complete));
    assert!(answers(&mut french).await.iter().all(|a| a.text() == "fr" && a.complete));
    // The first answer can still be joined by those whom it suits.
    let mut german_late = asking(&gateway, 1, "/a", &[("Accept-Language", "de")]).await.pop().unwrap();
    german_late.answer_head().await.unwrap();
    assert_eq!(german_late.at_least(4).await, b"eins");
    assert_eq!(origin.count(), 3, "one for each variant");
    german.open();
    assert_eq!(leader.answer().await.text(), "einszwei");
    assert_eq!(german_too.answer().await.text(), "einszwei");
    assert_eq!(german_late.at_least(4).await, b"zwei");
    assert_eq!(origin.count(), 3, "one for each variant");
    settled(&gateway).await;
    for language in ["de", "en", "fr"] {
        let hit = gateway.client().await.get_with("/a", &[("Accept-Language", language)]).await;
        assert!(hit.cache_says("hit"), "{language}");
    }
}

#[tokio::test]
async fn who_would_be_one_too_many_to_wait_is_told_to_come_back() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("one")).await;
    let gateway = Gateway::with("[server.limits]\nwaiting_requests = 3", &one_api(&origin, "")).await;
    let (leader, mut all) = crowd(&gateway, &gate, 3, "/a").await;
    all.push(leader);
    let refused = gateway.client().await.get("/a").await;
    assert_eq!((refused.status, refused.get("retry-after").is_some()), (503, true));
    assert!(refused.cache_says("detail=too-many-waiting"), "{refused:?}");
    gate.open();
    assert!(answers(&mut all).await.iter().all(|a| a.text() == "one"));
    waiting(&gateway, 0).await;
    assert!(gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 1);
}

/// They used to be counted among the waiting for as long as their own questions took.
#[tokio::test]
async fn who_asks_for_himself_does_not_wait_any_more() {
    let (first, rest) = (Gate::closed(), Gate::closed());
    let (one, two, count) = (first.clone(), rest.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let gate = if count.fetch_add(1, Ordering::SeqCst) == 0 { one.clone() } else { two.clone() };
        async move {
            gate.pass().await;
            Reply::ok("own").field("Cache-Control", "private")
        }
    })
    .await;
    let gateway = Gateway::with("[server.limits]\nwaiting_requests = 2", &one_api(&origin, "")).await;
    let (leader, mut all) = crowd(&gateway, &first, 2, "/a").await;
    all.push(leader);
    first.open();
    rest.arrived(2).await;
    // All places are free again: another key has a crowd of its own.
    let mut leader = asking(&gateway, 1, "/b", &[]).await.pop().unwrap();
    rest.arrived(3).await;
    let mut others = asking(&gateway, 2, "/b", &[]).await;
    waiting(&gateway, 2).await;
    rest.open();
    assert!(answers(&mut all).await.iter().all(|a| a.status == 200));
    assert_eq!(leader.answer().await.status, 200);
    assert!(answers(&mut others).await.iter().all(|a| a.status == 200));
}

#[tokio::test]
async fn more_fills_than_allowed_pass_unstored() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::ok("a").wait(&gate).body("b")).await;
    let gateway = Gateway::with("[server.limits]\nfills = 1", &one_api(&origin, "")).await;
    let mut one = asking(&gateway, 1, "/1", &[]).await.pop().unwrap();
    assert!(one.answer_head().await.unwrap().cache_says("stored"));
    let mut two = asking(&gateway, 1, "/2", &[]).await.pop().unwrap();
    assert!(two.answer_head().await.unwrap().cache_says("detail=too-many-fills"));
    gate.open();
    assert_eq!((one.at_least(2).await, two.at_least(2).await), (b"ab".to_vec(), b"ab".to_vec()));
    settled(&gateway).await;
    let mut client = gateway.client().await;
    assert!(client.get("/1").await.cache_says("hit"));
    assert!(client.get("/2").await.cache_says("stored"), "there is room again");
}

#[tokio::test]
async fn what_took_too_long_to_come_is_not_stored() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::ok("a").wait(&gate).body("b")).await;
    let gateway = Gateway::with("[cache]\nmax_fill_time = \"10s\"", &one_api(&origin, "")).await;
    let mut client = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    client.answer_head().await.unwrap();
    assert_eq!(client.at_least(1).await, b"a");
    gateway.step(11);
    gate.open();
    assert_eq!(client.at_least(1).await, b"b");
    assert!(matches!(client.piece().await, Piece::End(_)));
    settled(&gateway).await;
    assert!(!gateway.client().await.get("/a").await.cache_says("hit"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn streams_without_end_are_neither_joined_nor_stored() {
    for media in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "multipart/x-mixed-replace;boundary=x",
        "application/grpc+proto",
    ] {
        let (gate, body) = (Gate::closed(), Gate::closed());
        let reply = Reply::ok("data: 1\n\n").wait(&body).body("data: 2\n\n").chunked();
        let origin = gated(&gate, reply.field("Content-Type", media).field("Cache-Control", "max-age=60")).await;
        let gateway = Gateway::before(&origin, TTL).await;
        let (leader, mut all) = crowd(&gateway, &gate, 2, "/events").await;
        all.push(leader);
        gate.open();
        body.arrived(3).await; // each has a stream of its own
        body.open();
        assert!(answers(&mut all).await.iter().all(|a| a.complete && a.cache_says("detail=stream")));
        assert!(!gateway.client().await.get("/events").await.cache_says("hit"), "{media}");
    }
}

#[tokio::test]
async fn a_head_and_a_part_do_not_wait_for_a_growing_answer() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = held.clone();
        async move {
            match (request.method.as_str(), request.get("range")) {
                ("HEAD", _) => Reply::ok("0123456789"),
                (_, Some(_)) => Reply::status(206).field("Content-Range", "bytes 0-1/10").body("01"),
                (_, None) => Reply::ok("01234").wait(&gate).body("56789"),
            }
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut first = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    first.answer_head().await.unwrap();
    let mut client = gateway.client().await;
    let head = client.request("HEAD", "/a", &[], "").await;
    assert_eq!((head.status, head.get("content-length")), (200, Some("10")));
    let part = client.get_with("/a", &[("Range", "bytes=0-1")]).await;
    assert_eq!((part.status, part.text()), (206, "01"));
    gate.open();
    assert_eq!(first.at_least(10).await, b"0123456789");
    settled(&gateway).await;
    let part = client.get_with("/a", &[("Range", "bytes=8-")]).await;
    assert_eq!((part.status, part.text(), part.cache_says("hit")), (206, "89", true));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn who_joins_with_a_validator_is_told_304_while_the_answer_still_grows() {
    let gate = Gate::closed();
    let origin = Origin::always(Reply::ok("a").field("ETag", "\"1\"").wait(&gate).body("b")).await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut first = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    first.answer_head().await.unwrap();
    let mut client = gateway.client().await;
    assert_eq!(client.get_with("/a", &[("If-None-Match", "\"1\"")]).await.status, 304);
    gate.open();
    assert_eq!(first.at_least(2).await, b"ab");
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_invalidation_in_between_is_not_answered_by_what_was_asked_before() {
    let gate = Gate::closed();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            if n == 0 {
                gate.pass().await;
            }
            Reply::ok(format!("{n}"))
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    let mut early = asking(&gateway, 1, "/a", &[]).await.pop().unwrap();
    gate.arrived(1).await;
    gateway.purge(serde_json::json!({ "path": "/a" })).await;
    assert_eq!(gateway.client().await.get("/a").await.text(), "1", "it doesn't even wait");
    gate.open();
    assert_eq!(early.answer().await.text(), "0");
    settled(&gateway).await;
    let hit = gateway.client().await.get("/a").await;
    assert_eq!((hit.text(), hit.cache_says("hit")), ("1", true), "the older question doesn't take the younger's place");
}

#[tokio::test]
async fn who_began_after_a_tag_was_purged_does_not_take_what_was_asked_before() {
    let gate = Gate::closed();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let (gate, n) = (held.clone(), count.fetch_add(1, Ordering::SeqCst));
        async move {
            if n == 0 {
                gate.pass().await;
            }
            Reply::ok(format!("{n}")).field("Surrogate-Key", "books")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, TTL).await;
    let (mut leader, mut before) = crowd(&gateway, &gate, 2, "/a").await;
    gateway.purge(serde_json::json!({ "tag": "books" })).await;
    let mut after = asking(&gateway, 3, "/a", &[]).await;
    waiting(&gateway, 5).await; // nobody knows the answer's tags yet
    gate.open();
    assert_eq!(leader.answer().await.text(), "0");
    assert!(answers(&mut before).await.iter().all(|a| a.text() == "0"), "they began before the purge");
    assert!(answers(&mut after).await.iter().all(|a| a.text() == "1"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_stop_of_the_origin_fails_nobody_for_longer_than_its_timeout() {
    let gate = Gate::closed();
    let origin = gated(&gate, Reply::ok("late")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\ntimeouts = { first_byte = \"200ms\" }").await;
    let (mut leader, mut others) = crowd(&gateway, &gate, 3, "/a").await;
    assert_eq!(leader.answer().await.status, 504);
    assert!(answers(&mut others).await.iter().all(|a| a.status == 504));
    assert_eq!(origin.count(), 1, "they have waited as long as they are to wait");
}

fn small() -> Settings {
    Settings {
        max_object_size: 1 << 20,
        max_fill_time: Duration::from_secs(60),
        write_stall: Duration::from_secs(60),
        waiting: 10,
        fills: 10,
        background: 10,
    }
}

/// Between a request's look into the store and its turn to ask, somebody else's question may have ended: then nothing is
/// in flight, and it used to ask again. From outside that is a matter of microseconds, so here the looking is left out.
#[tokio::test]
async fn what_came_while_a_request_was_on_its_way_to_ask_is_not_asked_again() {
    let origin = nth(|n| Reply::ok(n.to_string()).field("Cache-Control", "max-age=60")).await;
    let around = Surroundings { env: &|_| None, memory_limit: None };
    let loaded = config::parse(&one_api(&origin, ""), "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}"));
    let apis = Apis::new(loaded.config.apis);
    let mounted = apis.find("a.example", "/a").unwrap();
    let (clock, tasks) = (Clock::steppable(), Tasks::default());
    let limits = freshgate::store::Limits { variants_per_path: 8, keys_per_caller: 8 };
    let store = Arc::new(Store::new(&loaded.config.cache, limits, Arc::default()));
    let settings = small();
    let fills = Fills::new(Arc::clone(&store), settings, tasks.clone(), clock.clone(), Arc::default());
    let asked = Arc::new(upstream::Origin::new(mounted.api.upstream.clone(), TlsClient::system(), tasks.clone()));
    let comer = Comer { began_at: 0, began_time: clock.now().mono, hops: 0 };
    let question = || {
        let mut key = Vec::new();
        write_key(&mut key, "a.example", "/a", None, b"");
        Question {
            key,
            shared_key: None,
            routed: mounted.route(&Method::GET, "/a".into()),
            user: None,
            payer: None,
            fields: HeaderMap::new(),
            sent: HeaderMap::new(),
            uri: "/a".parse().unwrap(),
            host: HostChoice::Endpoint,
            origin: Arc::clone(&asked),
            tally: Arc::new(Tally::default()),
            interim: None,
            trace: None,
            stored: freshgate::fill::Candidates::None,
            wanted: freshgate::fill::Wanted::Whole,
            method: http::Method::GET,
            content: bytes::Bytes::new(),
            outlasts: false,
            deadline: upstream::Deadline::new(&upstream::Timeouts::default()),
        }
    };
    let stored = async |fills: &Arc<Fills>| {
        within("the end of a recording", async {
            while fills.running() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    assert!(matches!(fills.get(question(), comer).await, Got::Shared { joined: false, .. }));
    stored(&fills).await;
    assert!(matches!(fills.get(question(), comer).await, Got::Shared { joined: true, body: None, .. }));
    fills.refresh(question(), &comer);
    assert_eq!(origin.count(), 1);
    // What is there isn't always good enough: stale, or the very answer that the request was not content with.
    clock.step(Duration::from_secs(61));
    assert!(matches!(fills.get(question(), comer).await, Got::Shared { joined: false, .. }));
    stored(&fills).await;
    let found = store.find(&question().key).unwrap()[0].clone();
    let again = Question { stored: freshgate::fill::Candidates::One(found), ..question() };
    assert!(matches!(fills.get(again, comer).await, Got::Shared { joined: false, .. }));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn what_is_for_the_one_who_asked_is_not_for_those_who_joined() {
    let gate = Gate::closed();
    let theirs = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = theirs.clone();
        async move {
            gate.pass().await;
            Reply::ok("x").field("Cache-Control", "max-age=60, private=\"Set-Cookie\"").field("Set-Cookie", "id=1")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let (mut leader, mut others) = crowd(&gateway, &gate, 3, "/a").await;
    gate.open();
    assert_eq!(leader.answer().await.get("set-cookie"), Some("id=1"));
    for answer in answers(&mut others).await {
        assert_eq!((answer.text(), answer.get("set-cookie")), ("x", None), "RFC 9111 §5.2.2.7");
    }
    settled(&gateway).await;
    assert_eq!(gateway.client().await.get("/a").await.get("set-cookie"), None);
    assert_eq!(origin.count(), 1);
}
