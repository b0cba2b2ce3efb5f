//! `GET /v1/traffic` as server-sent events.

use crate::history::begin;
use crate::support::{Client, Gateway, Origin, Piece, Reply, TOKEN, within};
use serde_json::Value;

/// One who follows.
struct Follower {
    client: Client,
    text: String,
}

/// What one of the blocks says, by the names of its lines.
type Event = std::collections::BTreeMap<String, String>;

impl Follower {
    async fn open(gateway: &Gateway, more: &[(&str, &str)]) -> (u16, Follower) {
        let mut client = Client::connect(gateway.admin).await;
        let bearer = format!("Bearer {TOKEN}");
        let fields = [&[("accept", "text/event-stream"), ("authorization", &*bearer)], more].concat();
        client.send("GET", "/v1/traffic", &fields, "").await;
        let head = client.answer_head().await.unwrap();
        if head.status == 200 {
            assert_eq!(head.get("content-type"), Some("text/event-stream"));
            assert_eq!(head.get("cache-control"), Some("no-store"));
        }
        (head.status, Follower { client, text: String::new() })
    }

    /// Opens it, and reads the first block: how soon to come back.
    async fn of(gateway: &Gateway, more: &[(&str, &str)]) -> Follower {
        let (status, mut follower) = Follower::open(gateway, more).await;
        assert_eq!(status, 200);
        assert_eq!(follower.block().await.unwrap(), "retry: 2000");
        follower
    }

    /// The next block; `None` at the proper end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            match self.client.piece().await {
                Piece::Data(bytes) => self.text += std::str::from_utf8(&bytes).unwrap(),
                Piece::End(_) => return None,
                Piece::Broken => panic!("broken off"),
            }
        }
    }

    /// The next sample.
    async fn sample(&mut self) -> Value {
        let block = self.block().await.unwrap();
        let event: Event =
            block.lines().map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.into(), b.into())).collect();
        assert_eq!((event.len(), &*event["event"]), (3, "sample"));
        let data: Value = serde_json::from_str(&event["data"]).unwrap();
        assert_eq!(event["id"], data["t"].to_string());
        data
    }
}

async fn gateway() -> (Gateway, Origin) {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10h\"").await;
    (gateway, origin)
}

async fn times(gateway: &Gateway) -> Vec<u64> {
    let hour = gateway.admin("GET", "/v1/traffic", "").await.json();
    hour["t"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_step_is_a_sample_at_once() {
    let (gateway, _origin) = gateway().await;
    begin(&gateway);
    let mut follower = Follower::of(&gateway, &[]).await;
    let mut seen = vec![follower.sample().await["t"].as_u64().unwrap()];
    for _ in 0..4 {
        gateway.client().await.get("/1").await;
        gateway.step(5); // the sampler sees it by itself
        let sample = follower.sample().await;
        assert!(sample["requests"].as_f64().unwrap() > 0.0, "{sample}");
        seen.push(sample["t"].as_u64().unwrap());
    }
    let all = times(&gateway).await;
    assert_eq!(seen, all[all.len() - seen.len()..]);
    let sample = gateway.admin("GET", "/v1/traffic", "").await.json();
    let scalar = {
        gateway.step(5);
        follower.sample().await
    };
    let columns: Vec<&String> = sample.as_object().unwrap().keys().filter(|name| *name != "step").collect();
    assert_eq!(columns, scalar.as_object().unwrap().keys().collect::<Vec<_>>(), "the members are those of the hour");
}

#[tokio::test]
async fn who_comes_back_is_given_what_he_has_missed() {
    let (gateway, _origin) = gateway().await;
    for _ in 0..6 {
        begin(&gateway);
    }
    let all = times(&gateway).await;
    let mut follower = Follower::of(&gateway, &[("last-event-id", &all[1].to_string())]).await;
    for t in &all[2..] {
        assert_eq!(follower.sample().await["t"], *t);
    }
    let (status, mut refused) = Follower::open(&gateway, &[("last-event-id", "yesterday")]).await;
    let Piece::Data(problem) = refused.client.piece().await else { panic!() };
    assert_eq!(status, 400);
    assert!(String::from_utf8(problem).unwrap().contains("`Last-Event-ID`"));
}

#[tokio::test]
async fn the_seventeenth_is_refused_until_one_goes() {
    let (gateway, _origin) = gateway().await;
    let mut followers = Vec::new();
    for _ in 0..16 {
        followers.push(Follower::of(&gateway, &[]).await);
    }
    let (status, mut refused) = Follower::open(&gateway, &[]).await;
    let Piece::Data(problem) = refused.client.piece().await else { panic!() };
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!((status, &problem["type"]), (503, &Value::from("urn:freshgate:problem:too-many-streams")));
    assert_eq!(gateway.reached("traffic_streams").await, 1);
    assert!(gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_traffic_streams 16\n"));
    assert_eq!(gateway.admin("GET", "/v1/traffic", "").await.status, 200, "without a stream it can be read");
    begin(&gateway);
    for follower in &mut followers {
        follower.sample().await;
    }
    followers.pop();
    within("a place", async {
        while Follower::open(&gateway, &[]).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stop_ends_it_and_does_not_wait_for_it() {
    let (gateway, _origin) = gateway().await;
    let mut follower = Follower::of(&gateway, &[]).await;
    let begun = tokio::time::Instant::now();
    assert!(gateway.running.stop().await, "all has ended by itself");
    assert_eq!(follower.block().await, None, "its proper end");
    assert!(follower.client.closed().await.is_empty());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

/// Neither one who takes nothing, nor a call that needs a token and has none, keeps the others from theirs.
#[tokio::test]
async fn one_who_reads_nothing_holds_up_nobody() {
    let (gateway, _origin) = gateway().await;
    let deaf = Follower::open(&gateway, &[]).await;
    let mut follower = Follower::of(&gateway, &[]).await;
    for _ in 0..700 {
        begin(&gateway);
        follower.sample().await;
    }
    drop(deaf);
    assert_eq!(Client::connect(gateway.admin).await.get("/v1/traffic").await.status, 401);
}
