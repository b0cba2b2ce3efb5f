//! `limits.keys_per_caller`: nobody fills the store with what only he asks for.

#![cfg(test)]

mod support;

use support::{Answer, Client, Gate, Gateway, Origin, Reply};

const TWO: &str = "[server.limits]\nkeys_per_caller = 2\n";
const REFUSED: &str = "detail=keys-per-caller";

fn api(origin: &Origin, more: &str) -> String {
    let url = origin.url();
    format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\nttl = \"10m\"\n{more}\n")
}

async fn before(origin: &Origin) -> Gateway {
    Gateway::with(TWO, &api(origin, "")).await
}

/// A connection from another address of this machine.
async fn from(address: &str, gateway: &Gateway) -> Client {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    Client::over(socket.connect(gateway.addr).await.unwrap(), &gateway.addr.to_string())
}

/// An answer to GET, and the end of its being stored.
async fn get(gateway: &Gateway, client: &mut Client, target: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = client.get_with(target, fields).await;
    assert!(answer.complete && matches!(answer.status, 200 | 206), "{answer:?}");
    gateway.settled().await;
    answer
}

/// Which of these are kept: the words stand for what is asked for, in its order.
async fn kept(gateway: &Gateway, client: &mut Client, targets: &[&str]) -> Vec<bool> {
    let mut kept = Vec::new();
    for target in targets {
        let answer = get(gateway, client, target, &[]).await;
        assert_ne!(answer.cache_says("stored"), answer.cache_says(REFUSED), "{answer:?}");
        kept.push(answer.cache_says("stored"));
    }
    kept
}

fn sweep(gateway: &Gateway) {
    gateway.running.store().sweep(gateway.clock.now());
}

async fn refused(gateway: &Gateway) -> u64 {
    let metrics = gateway.admin("GET", "/metrics", "").await;
    let sample = "freshgate_limit_reached_total{limit=\"keys_per_caller\"} ";
    metrics.text().lines().find_map(|line| line.strip_prefix(sample)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_one_caller_asks_for_beyond_it_is_not_kept_and_others_are_not_meant() {
    let origin = Origin::start(|request| async move { Reply::ok(request.target) }).await;
    let gateway = before(&origin).await;
    let (mut one, mut other) = (gateway.client().await, from("127.0.0.2", &gateway).await);
    assert_eq!(kept(&gateway, &mut one, &["/a?1", "/a?2", "/a?3", "/a?3"]).await, [true, true, false, false]);
    assert_eq!(refused(&gateway).await, 2);
    assert!(one.get("/a?1").await.cache_says("hit"), "what is there stays there");
    assert_eq!(kept(&gateway, &mut other, &["/a?3"]).await, [true]);
    assert!(other.get("/a?2").await.cache_says("hit"), "and is for all");
    assert!(one.get("/a?3").await.cache_says("hit"));
    assert_eq!((refused(&gateway).await, gateway.running.store().accounts.len()), (2, 2));
}

#[tokio::test]
async fn room_comes_back_with_a_purge_and_with_time() {
    let origin = Origin::start(|request| async move { Reply::ok(request.target) }).await;
    let gateway = before(&origin).await;
    let mut client = gateway.client().await;
    assert_eq!(kept(&gateway, &mut client, &["/a", "/b", "/c"]).await, [true, true, false]);
    gateway.purge(serde_json::json!({ "path": "/a" })).await;
    sweep(&gateway);
    assert_eq!(kept(&gateway, &mut client, &["/c", "/d"]).await, [true, false]);
    gateway.step(601);
    sweep(&gateway);
    assert_eq!(kept(&gateway, &mut client, &["/d", "/e", "/f"]).await, [true, true, false]);
    gateway.purge(serde_json::json!({ "all": true })).await;
    sweep(&gateway);
    assert!(gateway.running.store().accounts.is_empty());
}

/// Who has reached his bound would else have none of his answers brought up to date.
#[tokio::test]
async fn what_one_has_is_brought_up_to_date_at_the_bound() {
    let origin = Origin::start(|request| async move {
        let reply = Reply::ok("x").field("cache-control", "max-age=10, stale-while-revalidate=1000");
        match request.target.as_str() {
            "/tagged" if request.get("if-none-match").is_some() => Reply::status(304).field("etag", "\"a\""),
            "/tagged" => reply.field("etag", "\"a\""),
            _ => reply,
        }
    })
    .await;
    let gateway = before(&origin).await;
    let mut client = gateway.client().await;
    assert_eq!(kept(&gateway, &mut client, &["/tagged", "/plain", "/more"]).await, [true, true, false]);
    for asked in [3, 5, 7] {
        assert_eq!(origin.count(), asked);
        gateway.step(11);
        for target in ["/tagged", "/plain"] {
            assert!(client.get(target).await.cache_says("detail=stale-while-revalidate"));
        }
        support::within("both questions", async {
            while origin.count() < asked + 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gateway.settled().await;
        for target in ["/tagged", "/plain"] {
            support::within("an answer in its place", async {
                while client.get(target).await.cache_says("detail=stale-while-revalidate") {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }
    assert_eq!(refused(&gateway).await, 1);
    assert_eq!(kept(&gateway, &mut client, &["/more"]).await, [false], "no place was given away");
}

#[tokio::test]
async fn an_authenticated_caller_has_an_account_wherever_it_comes_from() {
    let sha = |secret: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let key = |user: &str| format!("{{ user = \"{user}\", sha256 = \"{}\" }}", sha(user));
    let auth =
        format!("auth = {{ kind = \"api-key\", header = \"x-api-key\", keys = [{}, {}] }}", key("alice"), key("bob"));
    let origin = Origin::start(|request| async move { Reply::ok(request.target) }).await;
    let gateway = Gateway::with(TWO, &api(&origin, &auth)).await;
    let (mut here, mut there) = (gateway.client().await, from("127.0.0.2", &gateway).await);
    let alice = [("x-api-key", "alice")];
    assert!(get(&gateway, &mut here, "/a", &alice).await.cache_says("stored"));
    assert!(get(&gateway, &mut there, "/b", &alice).await.cache_says("stored"));
    assert!(get(&gateway, &mut here, "/c", &alice).await.cache_says(REFUSED));
    assert!(get(&gateway, &mut there, "/d", &alice).await.cache_says(REFUSED));
    assert!(get(&gateway, &mut here, "/a", &[("x-api-key", "bob")]).await.cache_says("stored"));
    assert!(get(&gateway, &mut here, "/b", &[("x-api-key", "bob")]).await.cache_says("stored"));
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_word_counts() {
    let origin = Origin::start(|request| async move { Reply::ok(request.target) }).await;
    let gateway = Gateway::from_parts("trusted_proxies = [\"127.0.0.1/32\"]\n", TWO, &api(&origin, "")).await;
    let (mut proxy, mut stranger) = (gateway.client().await, from("127.0.0.2", &gateway).await);
    let says = async |client: &mut Client, target, node| {
        let answer = get(&gateway, client, target, &[("x-forwarded-for", node)]).await;
        answer.cache_says("stored")
    };
    assert!(says(&mut proxy, "/a", "198.51.100.1").await);
    assert!(says(&mut proxy, "/b", "198.51.100.7, 198.51.100.1").await, "what the client says of itself doesn't help");
    assert!(!says(&mut proxy, "/c", "198.51.100.8, 198.51.100.1").await);
    assert!(says(&mut proxy, "/c", "198.51.100.2").await);
    for target in ["/1", "/2", "/3", "/4"] {
        assert!(says(&mut proxy, target, "unknown").await, "nobody is charged where nobody is named");
    }
    assert!(says(&mut stranger, "/5", "198.51.100.3").await);
    assert!(says(&mut stranger, "/6", "198.51.100.4").await);
    assert!(!says(&mut stranger, "/7", "198.51.100.5").await, "whoever isn't trusted is known by his own address");
}

/// One at his bound mustn't be able to make a crowd ask one by one.
#[tokio::test]
async fn those_who_wait_for_what_is_not_kept_share_it() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = held.clone();
        async move {
            if request.target == "/popular" {
                gate.pass().await;
            }
            Reply::ok(request.target)
        }
    })
    .await;
    let gateway = before(&origin).await;
    let mut abuser = gateway.client().await;
    kept(&gateway, &mut abuser, &["/a", "/b"]).await;
    abuser.send("GET", "/popular", &[], "").await;
    gate.arrived(1).await;
    let mut crowd = Vec::new();
    for _ in 0..5 {
        let mut client = from("127.0.0.2", &gateway).await;
        client.send("GET", "/popular", &[], "").await;
        crowd.push(client);
    }
    support::within("a crowd", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 5") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    for client in [&mut abuser].into_iter().chain(&mut crowd) {
        let answer = client.answer().await;
        assert!(answer.text() == "/popular" && answer.cache_says(REFUSED), "{answer:?}");
    }
    assert_eq!(origin.count(), 3);
    gateway.settled().await;
    let mut next = from("127.0.0.2", &gateway).await;
    assert_eq!(kept(&gateway, &mut next, &["/popular"]).await, [true]);
    assert!(abuser.get("/popular").await.cache_says("hit"));
}

#[tokio::test]
async fn parts_and_answers_to_writes_count_and_a_whole_takes_the_place_of_its_part() {
    let origin = Origin::start(|request| async move {
        let whole = Reply::status(200).field("etag", "\"a\"").field("cache-control", "max-age=600");
        let part = |range: &str, body: &str| {
            let part = Reply::status(206).field("etag", "\"a\"").field("cache-control", "max-age=600");
            part.field("content-range", range).body(body)
        };
        match (request.method.as_str(), request.get("range")) {
            ("POST", _) => whole.field("content-location", &request.target).body("posted"),
            (_, Some("bytes=0-2")) => part("bytes 0-2/6", "abc"),
            (_, Some("bytes=3-")) => part("bytes 3-5/6", "def"),
            _ => whole.body("abcdef"),
        }
    })
    .await;
    let gateway = before(&origin).await;
    let mut client = gateway.client().await;
    for (target, stored) in [("/a", true), ("/b", true), ("/c", false)] {
        let answer = get(&gateway, &mut client, target, &[("range", "bytes=0-2")]).await;
        assert_eq!((answer.status, answer.cache_says("stored")), (206, stored), "{answer:?}");
    }
    let whole = get(&gateway, &mut client, "/a", &[]).await;
    assert!(whole.text() == "abcdef" && whole.cache_says("stored"), "{whole:?}");
    assert!(client.get("/a").await.cache_says("hit"));
    let written = client.post("/c", "x").await;
    gateway.settled().await;
    assert_eq!(written.text(), "posted");
    assert!(!client.get_with("/c", &[("cache-control", "only-if-cached")]).await.cache_says("hit"));
    gateway.purge(serde_json::json!({ "path": "/b" })).await;
    sweep(&gateway);
    client.post("/c", "x").await;
    gateway.settled().await;
    assert!(client.get("/c").await.cache_says("hit"), "there is room for it now");
    assert_eq!(kept(&gateway, &mut client, &["/d"]).await, [false]);
}

/// Whatever becomes of what was asked for, its place comes back.
#[tokio::test]
async fn no_way_out_of_the_store_loses_a_place() {
    let origin = Origin::start(|request| async move {
        let reply = Reply::status(200).field("etag", "\"a\"");
        match request.target.split('?').next().unwrap() {
            "/cut" => reply.chunked().body("begun").cut(),
            "/wrong" => reply.claiming(9).body("short").cut(),
            "/vary" => reply.field("vary", "accept-language").body("x"),
            "/search" => reply.field("no-vary-search", "params=(\"n\")").body("x"),
            "/large" => reply.body(vec![b'x'; 100_000]),
            "/gone" => Reply::status(503),
            _ if request.get("if-none-match").is_some() => Reply::status(304).field("etag", "\"a\""),
            _ if request.get("range").is_some() => {
                Reply::status(206).field("etag", "\"a\"").field("content-range", "bytes 0-0/9").body("x")
            }
            _ => reply.body("whatever1"),
        }
    })
    .await;
    // Small enough for the store to let go of some.
    let rest = "[server.limits]\nkeys_per_caller = 40\n[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"50KiB\"\n";
    let gateway = Gateway::with(rest, &api(&origin, "")).await;
    for round in 0..3 {
        for target in ["/cut", "/wrong", "/vary", "/search", "/large", "/gone", "/a", "/b", "/part"] {
            for n in 0..4 {
                let language = if n % 2 == 0 { "en" } else { "de" };
                let range = if target == "/part" { "range" } else { "x-range" };
                let target = format!("{target}?n={n}");
                for method in ["GET", "GET", "HEAD", "PUT"] {
                    let fields = [("accept-language", language), (range, "bytes=0-0")];
                    gateway.client().await.request(method, &target, &fields, "").await;
                    gateway.settled().await;
                }
            }
        }
        gateway.step(if round == 1 { 601 } else { 1 });
    }
    let store = gateway.running.store();
    gateway.purge(serde_json::json!({ "all": true })).await;
    sweep(&gateway);
    assert_eq!((store.len(), store.accounts.len()), (0, 0));
    let mut client = gateway.client().await;
    let all: Vec<String> = (0..41).map(|n| format!("/new/{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let kept = kept(&gateway, &mut client, &all).await;
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 40);
}
