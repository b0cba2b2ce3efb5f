//! A write whose outcome is unknown may still be applied: until that is over, nothing it names is kept.

mod support;

use support::{Gateway, Origin, Reply};

/// Found by comparing the code with rule 11: a 304 was kept though the tag that the write names was settling, because
/// tags are known with the answer only and just the cells held before were looked at.
#[tokio::test]
async fn a_confirmed_answer_is_not_kept_while_its_tag_settles() {
    let origin = Origin::start(|request| {
        let confirmed = request.fields.get("if-none-match") == Some("\"a\"");
        let status = match request.method.as_str() {
            "GET" if confirmed => 304,
            "GET" => 200,
            _ => 504,
        };
        let reply = Reply::status(status).field("etag", "\"a\"").field("cache-tag", "books");
        std::future::ready(if status == 200 { reply.body("books") } else { reply })
    })
    .await;
    let rules = "ttl = \"10m\"\n[[api.purge]]\non = \"PUT /orders\"\ntags = [\"books\"]";
    let gateway = Gateway::before(&origin, rules).await;
    let mut client = gateway.client().await;
    assert!(client.get("/books").await.cache_says("fwd=uri-miss"));
    assert!(client.get("/books").await.cache_says("hit"));
    assert_eq!(client.put("/orders", "{}").await.status, 504);
    for asked in 3..=4 {
        let answer = client.get("/books").await;
        assert_eq!((answer.status, answer.text()), (200, "books"));
        assert!(answer.cache_says("detail=settling"), "{:?}", answer.fields);
        assert_eq!(origin.count(), asked);
    }
}
