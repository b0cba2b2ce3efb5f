//! Clocks that jump: somebody sets the machine's an hour forward or back, or it was asleep for one.
//!
//! Ages, windows and waits are counted on a clock that nobody can set. The one that can be set is compared with what others say of
//! theirs: `Date`, `Expires`, a token's times. When it is right again, so is everything.
#![cfg(test)]

mod support;

use freshgate::clock::Clock;
use freshgate::telemetry::Lines;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use support::{Answer, Gateway, Origin, Reply, Request};

const HOUR: i64 = 3600;

/// Seconds since 1970 by the machine's own clock.
fn unix_now() -> u64 {
    Clock::system().now().unix / 1000
}

/// The origin's clock, which nobody sets: the time so many seconds from now.
fn in_seconds(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_now() + seconds))
}

/// Says of itself what the path asks for.
async fn origin() -> Origin {
    Origin::start(|request: Request| {
        let dated = Reply::ok("content").field("Date", in_seconds(0));
        let reply = match request.target.as_str() {
            "/max-age" => dated.field("Cache-Control", "max-age=60"),
            "/expires" => dated.field("Expires", in_seconds(60)),
            "/long" => dated.field("Cache-Control", "max-age=7200"),
            "/undated" => Reply::ok("content").field("Cache-Control", "max-age=60"),
            _ => dated,
        };
        std::future::ready(reply)
    })
    .await
}

async fn get(gateway: &Gateway, target: &str) -> Answer {
    let answer = gateway.client().await.get(target).await;
    gateway.settled().await;
    assert_eq!(answer.text(), "content", "{target}: {answer:?}");
    answer
}

async fn is_hit(gateway: &Gateway, target: &str) -> bool {
    get(gateway, target).await.cache_says("hit")
}

fn age(answer: &Answer) -> u64 {
    answer.get("age").map_or(0, |age| age.parse().unwrap())
}

#[tokio::test]
async fn what_is_stored_lives_as_long_as_it_would_have() {
    let origin = origin().await;
    for by in [HOUR, -HOUR] {
        for target in ["/max-age", "/expires", "/undated", "/ttl"] {
            let gateway = Gateway::before(&origin, "ttl = \"60s\"\n").await;
            assert!(!is_hit(&gateway, target).await);
            gateway.clock.step_wall(by);
            let hit = get(&gateway, target).await;
            assert!(hit.cache_says("hit") && age(&hit) < 20, "{target}, {by}: {hit:?}");
            assert_eq!(gateway.running.store().sweep(gateway.clock.now()), 0, "{target}, {by}");
            gateway.step(30);
            assert!(is_hit(&gateway, target).await, "{target}, {by}");
            gateway.clock.step_wall(-by);
            gateway.step(31);
            assert!(!is_hit(&gateway, target).await, "{target}, {by}: its minute is over");
        }
    }
}

/// RFC 9111 §4.2.3: an answer is as old as its Date says, and never younger than nothing.
#[tokio::test]
async fn what_comes_after_the_step_is_never_too_fresh() {
    let origin = origin().await;
    // An hour ahead: by this clock the origin's answers are an hour old. They are given, and asked for each time.
    let ahead = Gateway::before(&origin, "ttl = \"60s\"\n").await;
    ahead.clock.step_wall(HOUR);
    for target in ["/max-age", "/expires", "/ttl"] {
        assert!(!is_hit(&ahead, target).await && !is_hit(&ahead, target).await, "{target}");
    }
    assert!(!is_hit(&ahead, "/long").await);
    let long = get(&ahead, "/long").await;
    assert!(long.cache_says("hit") && (3599..3620).contains(&age(&long)), "{long:?}");
    assert!(!is_hit(&ahead, "/undated").await && is_hit(&ahead, "/undated").await);
    ahead.clock.step_wall(-HOUR);
    for target in ["/max-age", "/expires", "/ttl"] {
        assert!(!is_hit(&ahead, target).await && is_hit(&ahead, target).await, "{target}: all is well again");
    }
    // An hour behind: they seem to come from the future, and are just as old as they are.
    let behind = Gateway::before(&origin, "ttl = \"60s\"\n").await;
    behind.clock.step_wall(-HOUR);
    for target in ["/max-age", "/expires", "/ttl", "/undated"] {
        assert!(!is_hit(&behind, target).await, "{target}");
        let hit = get(&behind, target).await;
        assert!(hit.cache_says("hit") && age(&hit) < 20, "{target}: {hit:?}");
    }
    behind.step(61);
    for target in ["/max-age", "/expires", "/ttl", "/undated"] {
        assert!(!is_hit(&behind, target).await, "{target}: a minute is a minute");
    }
}

#[tokio::test]
async fn stale_answers_have_their_time_and_no_more() {
    for by in [HOUR, -HOUR] {
        let ill = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&ill);
        let origin = Origin::start(move |_| {
            let reply = if broken.load(SeqCst) { Reply::status(502) } else { Reply::ok("content") };
            std::future::ready(reply.field("Cache-Control", "max-age=60"))
        })
        .await;
        let gateway = Gateway::before(&origin, "keep_on_error = \"100s\"\n").await;
        get(&gateway, "/a").await;
        ill.store(true, SeqCst);
        gateway.step(61);
        gateway.clock.step_wall(by);
        assert!(get(&gateway, "/a").await.cache_says("detail=stale-if-error"), "{by}");
        gateway.clock.step_wall(-by);
        gateway.step(101);
        assert_eq!(gateway.client().await.get("/a").await.status, 502, "{by}");
    }
}

#[tokio::test]
async fn a_write_settles_as_long_as_it_should() {
    for by in [HOUR, -HOUR] {
        let origin = Origin::always(Reply::ok("content").field("Cache-Control", "max-age=60")).await;
        let gateway = Gateway::before(&origin, "write_settle = \"20s\"\n").await;
        assert_eq!(gateway.client().await.put("/a", "x").await.status, 200);
        gateway.clock.step_wall(by);
        assert!(!is_hit(&gateway, "/a").await && !is_hit(&gateway, "/a").await, "{by}");
        gateway.step(21);
        assert!(!is_hit(&gateway, "/a").await && is_hit(&gateway, "/a").await, "{by}");
    }
}

#[tokio::test]
async fn nobody_may_ask_more_often_or_less() {
    let origin = origin().await;
    for by in [HOUR, -HOUR] {
        let gateway = Gateway::before(&origin, "rate = { per_caller = { requests = 2, per = \"1m\" } }\n").await;
        let status = async || gateway.client().await.get("/long").await.status;
        assert_eq!([status().await, status().await, status().await], [200, 200, 429]);
        gateway.clock.step_wall(by);
        assert_eq!(status().await, 429, "{by}");
        gateway.step(30);
        assert_eq!(status().await, 200, "{by}");
    }
}

#[tokio::test]
async fn a_breaker_stays_open_as_long_as_it_should() {
    for by in [HOUR, -HOUR] {
        let origin = Origin::always(Reply::status(502)).await;
        let gateway = Gateway::before(&origin, "cache = false\nbreaker = { calls = 1, open = \"30s\" }\n").await;
        let status = async || gateway.client().await.get("/a").await.status;
        assert_eq!([status().await, status().await], [502, 503]);
        gateway.clock.step_wall(by);
        assert_eq!(status().await, 503, "{by}");
        gateway.step(31);
        assert_eq!(status().await, 502, "{by}");
    }
}

/// However it says it: after so many seconds, or when it is so and so late by its own clock.
#[tokio::test]
async fn an_endpoint_rests_as_long_as_it_has_asked_for() {
    for dated in [false, true] {
        for by in [HOUR, -HOUR] {
            let tired = Origin::start(move |_| {
                let until = if dated { in_seconds(100) } else { "100".into() };
                std::future::ready(Reply::status(503).field("Date", in_seconds(0)).field("Retry-After", until))
            })
            .await;
            let other = Origin::always(Reply::ok("content")).await;
            let api = format!(
                "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\", \"{}\"]\ncache = false\n\
                 balance = \"round-robin\"\nhealth = {{ slow_start = \"0s\" }}\n",
                tired.url(),
                other.url()
            );
            let gateway = Gateway::with("", &api).await;
            let asked = async |times| {
                let before = tired.count();
                for _ in 0..times {
                    gateway.client().await.get("/a").await;
                }
                tired.count() - before
            };
            gateway.clock.step_wall(by);
            assert_eq!(asked(4).await, 1, "{by}, {dated}");
            gateway.clock.step_wall(-by);
            gateway.step(90);
            assert_eq!(asked(4).await, 0, "{by}, {dated}");
            gateway.step(11);
            assert_eq!(asked(4).await, 1, "{by}, {dated}");
        }
    }
}

#[tokio::test]
async fn a_judges_word_is_remembered_as_long_as_it_should() {
    let origin = origin().await;
    for by in [HOUR, -HOUR] {
        let judge = Origin::always(Reply::ok("").field("X-User", "alice")).await;
        let auth = format!(
            "auth = {{ kind = \"forward\", url = \"{}/judge\", headers = [\"X-Who\"], user_header = \"X-User\", remember = \"30s\" }}\n",
            judge.url()
        );
        let gateway = Gateway::before(&origin, &auth).await;
        let ask = async || gateway.client().await.get_with("/long", &[("X-Who", "alice")]).await.status;
        assert_eq!([ask().await, ask().await], [200; 2]);
        gateway.clock.step_wall(by);
        assert_eq!((ask().await, judge.count()), (200, 1), "{by}");
        gateway.step(31);
        assert_eq!((ask().await, judge.count()), (200, 2), "{by}");
    }
}

/// A token says when it holds, and there is nothing but this clock to hold against that.
#[tokio::test]
async fn a_token_is_read_by_the_clock_as_it_is() {
    let origin = origin().await;
    let secret = "a secret that is long enough to be one";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), secret).unwrap();
    let auth = format!(
        "auth = {{ kind = \"jwt\", algorithms = [\"HS256\"], secret_file = \"{}\", issuer = \"https://issuer/\", audience = \"shop\" }}\n",
        file.path().display()
    );
    let gateway = Gateway::before(&origin, &auth).await;
    let now = unix_now();
    let claims = serde_json::json!(
        { "iss": "https://issuer/", "aud": "shop", "sub": "alice", "nbf": now - 600, "exp": now + 600 }
    );
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let bearer = format!("Bearer {token}");
    let says = async || {
        let answer = gateway.client().await.get_with("/long", &[("Authorization", &bearer)]).await;
        (answer.status, answer.cache_says("detail=token-expired"), answer.cache_says("detail=token-not-yet-valid"))
    };
    assert_eq!(says().await.0, 200);
    gateway.clock.step_wall(HOUR);
    assert_eq!(says().await, (401, true, false));
    gateway.clock.step_wall(-2 * HOUR);
    assert_eq!(says().await, (401, false, true));
    gateway.clock.step_wall(HOUR);
    assert_eq!(says().await.0, 200, "what was remembered of it is not that it was refused");
}

/// Collects what is written.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_the_clocks_time_and_durations_that_are_none_of_it() {
    let origin = origin().await;
    let (page, count) = (Page::default(), AtomicUsize::new(0));
    let lines = Lines::to(page.clone()).unwrap();
    let api = format!(
        "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\ncache = false\n",
        origin.url()
    );
    let gateway = Gateway::logging(lines.clone(), "", "", &api).await;
    for by in [0, HOUR, -2 * HOUR] {
        gateway.clock.step_wall(by);
        assert_eq!(gateway.client().await.get("/a").await.status, 200);
        let n = count.fetch_add(1, SeqCst) + 1;
        support::within("a line", async {
            while page.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count() < n {
                lines.flush();
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seconds = |line: &serde_json::Value| {
        let clock = line["ts"].as_str().unwrap()[11..19].to_owned();
        clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap())
    };
    let apart = |a: usize, b: usize| (seconds(&lines[b]) - seconds(&lines[a])).rem_euclid(24 * HOUR);
    assert!((HOUR..HOUR + 20).contains(&apart(0, 1)), "{text}");
    assert!((22 * HOUR..22 * HOUR + 20).contains(&apart(1, 2)), "{text}");
    assert!(lines.iter().all(|line| line["ms"].as_f64().is_some_and(|ms| ms < 60_000.0)), "{text}");
}

/// Both clocks go on an hour at once: what was to end within it has ended.
#[tokio::test]
async fn a_machine_that_was_asleep() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"60s\"\n").await;
    for target in ["/max-age", "/expires", "/undated", "/ttl", "/long"] {
        assert!(!is_hit(&gateway, target).await);
    }
    gateway.step(HOUR.unsigned_abs());
    for target in ["/max-age", "/expires", "/undated", "/ttl"] {
        assert!(!is_hit(&gateway, target).await, "{target}");
    }
    let long = get(&gateway, "/long").await;
    assert!(long.cache_says("hit") && age(&long) >= HOUR.unsigned_abs(), "{long:?}");
}
