//! How much may lie in a namespace.

use super::support::Client;
use super::{cache, codes};

async fn put(client: &mut Client, namespace: &str, n: usize, body: &str) {
    assert_eq!(client.put(&format!("/{namespace}/{n}"), body).await.status, 201);
}

async fn left(client: &mut Client, namespace: &str, n: usize) -> Vec<usize> {
    let mut left = Vec::new();
    for key in 0..n {
        if client.get(&format!("/{namespace}/{key}")).await.status == 200 {
            left.push(key);
        }
    }
    left
}

#[tokio::test]
async fn who_fills_one_namespace_pushes_nothing_out_of_another() {
    let two = "[[objects.namespace]]\nname = \"small\"\nttl = \"1d\"\nmax_size = \"64KiB\"\n\
               [[objects.namespace]]\nname = \"other\"\nttl = \"1d\"\nmax_size = \"64KiB\"\n";
    let (gateway, mut client) = cache(two).await;
    for n in 0..20 {
        put(&mut client, "other", n, "mine").await;
    }
    let body = "x".repeat(1000);
    for n in 0..500 {
        put(&mut client, "small", n, &body).await;
    }
    gateway.running.store().sweep(gateway.clock.now());
    assert_eq!(left(&mut client, "other", 20).await.len(), 20);
    let small = left(&mut client, "small", 500).await.len();
    assert!((20..=60).contains(&small), "{small} of 500 objects of 1000 bytes in 64 KiB");
}

#[tokio::test]
async fn as_many_objects_as_there_may_be_the_last_used_ones() {
    let (gateway, mut client) = cache(&codes("max_entries = 10")).await;
    for n in 0..10 {
        put(&mut client, "codes", n, "x").await;
    }
    gateway.running.store().sweep(gateway.clock.now());
    assert_eq!(client.get("/codes/0").await.status, 200);
    for n in 10..15 {
        put(&mut client, "codes", n, "x").await;
        gateway.running.store().sweep(gateway.clock.now());
    }
    let left = left(&mut client, "codes", 15).await;
    assert_eq!(left.len(), 10);
    assert!(left.contains(&0), "it was read: {left:?}");
    assert!(left.contains(&14));
}

#[tokio::test]
async fn an_object_may_be_so_large() {
    let (_gateway, mut client) = super::cache_beside(&codes(""), "[cache]\nmax_object_size = \"10KiB\"", "").await;
    assert_eq!(client.put("/codes/a", &"x".repeat(10 << 10)).await.status, 201);
    let refused = client.put("/codes/a", &"x".repeat((10 << 10) + 1)).await;
    assert_eq!(
        (refused.status, refused.json()["type"].as_str()),
        (413, Some("urn:freshgate:problem:object-too-large"))
    );
}

#[tokio::test]
async fn what_a_namespace_cannot_hold_is_refused() {
    let (gateway, mut client) = cache(&codes("max_size = \"64KiB\"")).await;
    let put = client.request("PUT", "/codes/a", &[("if-none-match", "*")], &"x".repeat(70_000)).await;
    assert_eq!((put.status, put.json()["type"].as_str()), (413, Some("urn:freshgate:problem:object-too-large")));
    assert_eq!(client.put("/codes/a", &"x".repeat(60_000)).await.status, 201);
    gateway.running.store().sweep(gateway.clock.now());
    assert_eq!(client.get("/codes/a").await.status, 200);
}

/// A length alone is no reason to make room, and one that is too much is refused before anything comes.
#[tokio::test]
async fn a_promise_is_refused_at_once() {
    let (gateway, _) = cache(&codes("")).await;
    let mut client = Client::connect(gateway.running.objects.unwrap()).await;
    client.send_raw("PUT /codes/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\nabc").await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn several_at_a_time_are_no_more_than_one_may_be() {
    let (_gateway, mut client) = super::cache_beside(&codes(""), "[cache]\nmax_object_size = \"10KiB\"", "").await;
    let typed = [("content-type", "text/plain")];
    client.request("PUT", "/codes/a", &typed, &"x".repeat(6000)).await;
    client.request("PUT", "/codes/quotes", &typed, &"\"".repeat(6000)).await;
    let got = client.post("/codes/_get", "[\"a\",\"a\",\"quotes\",\"none\"]").await;
    assert!(got.body.len() <= 11 << 10, "{}", got.body.len());
    let got = got.json();
    let statuses: Vec<_> =
        got["objects"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 413, 413, 404]);
    assert_eq!(got["missing"], serde_json::json!(["none"]));
}
