//! What somebody found who knew the gateway from its README only; one test each.

mod support;

use support::{Gate, Gateway, Origin, Reply, within};

/// An origin on its way out named itself in Location, and clients that followed went past the gateway.
#[tokio::test]
async fn location_never_shows_the_endpoint() {
    let origin = Origin::start(|request| async move {
        let host = request.get("host").unwrap_or_default().to_owned();
        Reply::status(201).field("location", format!("http://{host}/books/7")).field("content-location", "/books/7")
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let answer = gateway.client().await.post("/books", "{}").await;
    assert_eq!((answer.get("location"), answer.get("content-location")), (Some("/books/7"), Some("/books/7")));
}

/// What a sign-in proxy says of its caller didn't count as identity.
#[tokio::test]
async fn callers_named_by_a_proxy_are_apart() {
    for name in ["x-forwarded-user", "x-auth-request-email", "x-access-token", "remote-user", "cf-access-jwt-assertion"]
    {
        let origin = Origin::start(move |r| async move { Reply::ok(r.get(name).unwrap_or_default()) }).await;
        let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
        let mut client = gateway.client().await;
        for caller in ["alice", "bob", "alice"] {
            assert_eq!(client.get_with("/who", &[(name, caller)]).await.text(), caller, "{name}");
        }
        assert_eq!(origin.count(), 2, "{name}");
    }
}

/// A gateway whose upstream leads back to itself took one request for as many as its connections allow.
#[tokio::test]
async fn a_ring_of_gateways_ends() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let some = ["1.1 freshgate"; 7].join(", ");
    assert_eq!(client.get_with("/a", &[("via", &some)]).await.status, 200);
    let many = ["1.1 freshgate"; 8].join(", ");
    assert_eq!(client.get_with("/a", &[("via", &many)]).await.status, 508);
    assert_eq!(origin.count(), 1);
}

/// A read that came back to its own gateway joined the question that it was, and both waited to the end.
#[tokio::test]
async fn a_read_that_comes_back_does_not_wait_for_itself() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", place.local_addr().unwrap());
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\nttl = \"1m\"\n");
    let gateway = Gateway::with("", &api).await;
    // What comes to the upstream goes on to the gateway, byte for byte.
    place.set_nonblocking(true).unwrap();
    let (place, there) = (tokio::net::TcpListener::from_std(place).unwrap(), gateway.addr);
    let links = freshgate::tasks::Tasks::default();
    let ring = links.clone();
    links.spawn(async move {
        while let Ok((mut from, _)) = place.accept().await {
            ring.spawn(async move {
                let mut to = tokio::net::TcpStream::connect(there).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            });
        }
    });
    assert_eq!(gateway.client().await.get("/a").await.status, 508);
    assert_eq!(gateway.client().await.get("/a").await.status, 508, "nor is that kept");
}

/// A client that left before it was answered left no trace in log and metrics.
#[tokio::test]
async fn a_client_that_leaves_is_seen() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("x")
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.send("PUT", "/a", &[], "{}").await;
    within("the write at the origin", gate.arrived(1)).await;
    client.reset();
    within("the record", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("reason=\"client-left\"") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
}

/// Conditions of a client were taken away even where nothing could be stored, so that a browser never got its 304.
#[tokio::test]
async fn a_condition_reaches_the_origin_of_what_cannot_be_stored() {
    let origin = Origin::start(|r| async move {
        let status = if r.get("if-none-match") == Some("\"a\"") { 304 } else { 200 };
        Reply::status(status).field("etag", "\"a\"").field("cache-control", "no-store")
    })
    .await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/a").await.status, 200);
    let answer = client.get_with("/a", &[("if-none-match", "\"a\"")]).await;
    assert_eq!(answer.status, 304);
    assert!(answer.cache_says("detail=unshared"), "{answer:?}");
    assert_eq!(origin.count(), 2);
}
