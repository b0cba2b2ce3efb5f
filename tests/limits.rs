//! Each bound holds, and the metric that counts how often it was reached moves by as much as it was.

#![cfg(test)]

mod support;

use std::time::Duration;
use support::{Client, Gate, Gateway, H2, Origin, Piece, Reply, within};
use tokio::net::TcpStream;

/// How often a bound was reached.
async fn reached(gateway: &Gateway, bound: &str) -> u64 {
    counted(gateway.admin("GET", "/metrics", "").await.text(), bound)
}

fn counted(metrics: &str, bound: &str) -> u64 {
    let sample = format!("freshgate_limit_reached_total{{limit=\"{bound}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&sample));
    value.unwrap_or_else(|| panic!("no {bound} in {metrics}")).parse().unwrap()
}

fn api(origin: &Origin) -> String {
    format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nttl = \"10m\"\n",
        origin.url()
    )
}

async fn limited(origin: &Origin, limits: &str) -> Gateway {
    Gateway::with(&format!("[server.limits]\n{limits}\n"), &api(origin)).await
}

#[tokio::test]
async fn request_body_told_and_untold() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = limited(&origin, "request_body = \"10B\"").await;
    let told = gateway.client().await.put("/a", "12345678901").await;
    assert_eq!((told.status, reached(&gateway, "request_body").await), (413, 1));
    let mut client = gateway.client().await;
    client.send("PUT", "/a", &[("transfer-encoding", "chunked")], "b\r\n12345678901\r\n0\r\n\r\n").await;
    assert_eq!((client.answer().await.status, reached(&gateway, "request_body").await), (413, 2));
    let mut client = gateway.client().await;
    client.send("QUERY", "/a", &[("transfer-encoding", "chunked")], "b\r\n12345678901\r\n0\r\n\r\n").await;
    assert_eq!((client.answer().await.status, reached(&gateway, "request_body").await), (413, 3));
    assert_eq!(gateway.client().await.put("/a", "1234567890").await.status, 200);
    assert_eq!(reached(&gateway, "request_body").await, 3, "a body that just fits");
}

#[tokio::test]
async fn query_body() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = limited(&origin, "query_body = \"10B\"").await;
    let mut client = gateway.client().await;
    for (content, passed) in [("1234567890", 0), ("12345678901", 1), ("12345678901", 2)] {
        let length = content.len().to_string();
        let answer = client.request("QUERY", "/a", &[("content-length", &length)], content).await;
        assert_eq!((answer.cache_says("detail=query-too-long"), answer.text()), (passed > 0, "x"));
        assert_eq!(reached(&gateway, "query_body").await, passed);
    }
}

#[tokio::test]
async fn waiting_requests() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok("x")
        }
    })
    .await;
    let gateway = limited(&origin, "waiting_requests = 1").await;
    let mut asking = gateway.client().await;
    asking.send("GET", "/a", &[], "").await;
    gate.arrived(1).await;
    let mut waiting = gateway.client().await;
    waiting.send("GET", "/a", &[], "").await;
    within("one who waits", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 1") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for times in 1..=2 {
        assert_eq!(gateway.client().await.get("/a").await.status, 503);
        assert_eq!(reached(&gateway, "waiting_requests").await, times);
    }
    gate.open();
    assert_eq!((asking.answer().await.status, waiting.answer().await.status), (200, 200));
    assert_eq!(reached(&gateway, "waiting_requests").await, 2);
}

#[tokio::test]
async fn origin_requests_whoever_has_left() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = held.clone();
        async move {
            if request.target.starts_with("/slow") {
                gate.pass().await;
            }
            Reply::ok("x")
        }
    })
    .await;
    let gateway = limited(&origin, "origin_requests = 2").await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/kept").await.status, 200);
    gateway.settled().await;
    let mut leaving = H2::connect(gateway.addr).await;
    for target in ["/slow/1", "/slow/2"] {
        let request = leaving.request_of("GET", target, &[]);
        let (answer, mut stream) = leaving.open(request, true).await;
        gate.arrived(if target == "/slow/1" { 1 } else { 2 }).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    let refused = client.get("/fast").await;
    assert_eq!((refused.status, refused.get("retry-after")), (503, Some("1")), "{refused:?}");
    assert!(refused.cache_says("detail=too-many-origin-requests"));
    assert_eq!(client.put("/kept", "x").await.status, 503);
    assert!(client.get("/kept").await.cache_says("hit"), "what was never sent has changed nothing");
    assert_eq!((reached(&gateway, "origin_requests").await, origin.count()), (2, 3));
    gate.open();
    within("room", async {
        while client.get("/fast").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for n in 0..10 {
        assert_eq!(client.get(&format!("/fast/{n}")).await.status, 200, "places come back");
    }
}

#[tokio::test]
async fn variants_per_path() {
    let origin = Origin::always(Reply::ok("x").field("vary", "accept-language")).await;
    let gateway = limited(&origin, "variants_per_path = 2").await;
    let mut client = gateway.client().await;
    for (language, gone) in [("en", 0), ("de", 0), ("de", 0), ("fr", 1), ("mi", 2)] {
        client.get_with("/a", &[("accept-language", language)]).await;
        gateway.settled().await;
        assert_eq!(reached(&gateway, "variants_per_path").await, gone, "{language}");
    }
    assert!(client.get_with("/a", &[("accept-language", "mi")]).await.cache_says("hit"));
    assert!(!client.get_with("/a", &[("accept-language", "en")]).await.cache_says("hit"));
}

#[tokio::test]
async fn fills() {
    let gate = Gate::closed();
    let first = gate.clone();
    let origin = Origin::start(move |request| {
        let slow = Reply::status(200).chunked().body("begun").wait(&first).body("done");
        async move { if request.target == "/slow" { slow } else { Reply::ok("x") } }
    })
    .await;
    let gateway = limited(&origin, "fills = 1").await;
    let mut slow = gateway.client().await;
    slow.send("GET", "/slow", &[], "").await;
    assert_eq!(slow.answer_head().await.unwrap().status, 200);
    let mut client = gateway.client().await;
    for times in 1..=2 {
        assert!(client.get("/a").await.cache_says("detail=too-many-fills"));
        assert_eq!(reached(&gateway, "fills").await, times);
    }
    gate.open();
    slow.at_least(9).await;
    gateway.settled().await;
    assert!(client.get("/a").await.cache_says("stored"));
    assert_eq!(reached(&gateway, "fills").await, 2);
}

/// One of two who share an answer too large to be kept takes a little of it now and then: too much for his stream to be given up,
/// and too little for the other one.
#[tokio::test]
async fn write_stall_of_one_who_holds_up_another() {
    let gate = Gate::closed();
    let (held, body) = (gate.clone(), vec![b'x'; 8 << 20]);
    let origin = Origin::start(move |_| {
        let reply = Reply::status(200).chunked().body("begun").wait(&held).body(&body);
        async move { reply }
    })
    .await;
    let rest = "[server.limits]\nwrite_stall = \"1s\"\n[cache]\nmax_object_size = \"1MiB\"\n";
    let gateway = Gateway::with(rest, &api(&origin)).await;
    let mut quick = gateway.client().await.host("a.example");
    quick.send("GET", "/a", &[], "").await;
    assert_eq!(quick.answer_head().await.unwrap().status, 200);
    let socket = TcpStream::connect(gateway.addr).await.unwrap();
    let mut slow = H2::over(socket, "a.example", "http", h2::client::Builder::new()).await;
    let request = slow.request_of("GET", "/a", &[]);
    let (answer, _) = slow.open(request, true).await;
    let mut slow_body = within("its head", answer).await.unwrap().into_body();
    assert_eq!(origin.count(), 1, "they share it");
    gate.open();
    let trickle = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while let Some(Ok(piece)) = slow_body.data().await {
            pace.tick().await;
            slow_body.flow_control().release_capacity(piece.len()).unwrap();
        }
    };
    let all = 5 + (8 << 20);
    let (got, ()) = tokio::join!(quick.at_least(all), trickle);
    assert_eq!(got.len(), all);
    assert_eq!(quick.piece().await, Piece::End(support::Fields::default()));
    assert!(slow_body.data().await.is_none_or(|end| end.is_err()), "it was cut off");
    assert_eq!(reached(&gateway, "write_stall").await, 1);
}

#[tokio::test]
async fn wrong_tokens_of_the_admin_port() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = limited(&origin, "").await;
    let guess =
        async || Client::connect(gateway.admin).await.get_with("/v1/apis", &[("authorization", "Bearer no")]).await;
    for _ in 0..20 {
        assert_eq!(guess().await.status, 401);
    }
    for _ in 0..3 {
        assert_eq!(guess().await.status, 429);
    }
    gateway.step(60);
    assert_eq!(reached(&gateway, "admin_failures").await, 3);
}

/// The probe port has the bound of the admin port, and connections of its own.
#[tokio::test]
async fn connections_of_the_probe_port() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::from_parts("", "", &api(&origin)).await;
    let probe = gateway.running.probe.unwrap();
    let mut open = Vec::new();
    for held in 1..=64 {
        assert_eq!(reached(&gateway, "admin_connections").await, 0, "{held}");
        let mut client = Client::connect(probe).await;
        assert_eq!(client.get("/livez").await.status, 200);
        open.push(client);
    }
    let _over = Client::connect(probe).await;
    within("accepting to wait", async {
        while reached(&gateway, "admin_connections").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(reached(&gateway, "admin_connections").await, 1);
}

/// PURGE on the data port takes the tokens of the admin port, and would else be the place to guess them: both ports count together.
#[tokio::test]
async fn wrong_tokens_of_purge() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::from_parts("purge_method = true\n", "", &api(&origin)).await;
    let purge =
        async |token: &str| gateway.client().await.request("PURGE", "/a", &[("freshgate-token", token)], "").await;
    for _ in 0..10 {
        assert_eq!(purge("wrong").await.status, 401);
        assert_eq!(
            Client::connect(gateway.admin).await.get_with("/v1/apis", &[("authorization", "Bearer no")]).await.status,
            401
        );
    }
    for _ in 0..2 {
        let answer = purge(support::TOKEN).await;
        assert_eq!((answer.status, answer.cache_says("detail=too-many-failures")), (429, true));
        assert!((1..=60).contains(&answer.get("retry-after").unwrap().parse::<u64>().unwrap()));
    }
    assert_eq!(gateway.client().await.get("/a").await.status, 200, "nothing else waits for that");
    gateway.step(60);
    assert_eq!(purge(support::TOKEN).await.status, 200);
    assert_eq!(reached(&gateway, "admin_failures").await, 2);
}
