//! What a write invalidates, and when.

mod support;

use support::{Gateway, Origin, Reply};

#[tokio::test]
async fn a_write_is_seen_by_the_next_read() {
    let origin = Origin::start(|r| async move { Reply::ok(format!("{} {}", r.method, r.target)) }).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    assert!(client.get("/books/1").await.cache_says("fwd=uri-miss"));
    assert!(client.get("/books/1").await.cache_says("hit"));
    assert_eq!(client.put("/books/1", "{}").await.status, 200);
    assert!(!client.get("/books/1").await.cache_says("hit"));
    assert_eq!(origin.count(), 3);
}
