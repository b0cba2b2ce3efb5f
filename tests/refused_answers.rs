//! Who waits for somebody else's question and can't take its answer asks for himself, at once and only once.

mod support;

use support::{Gate, Gateway, Origin, Reply, within};

/// Found by comparing the code with the model: who refused an answer joined the same question again for as long as its
/// content was on the way, went round and round without a pause, and asked only when that was over.
#[tokio::test]
async fn another_variant_does_not_wait_for_content_it_cannot_use() {
    let content = Gate::closed();
    let wait = content.clone();
    let origin = Origin::start(move |request| {
        let language = request.fields.get("accept-language").unwrap_or_default().to_owned();
        let reply = Reply::status(200).field("vary", "accept-language").field("cache-control", "max-age=60");
        let long = language == "en";
        let reply = reply.body(language).chunked();
        std::future::ready(if long { reply.wait(&wait).body("glish") } else { reply })
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    let english = first.request("GET", "/books", &[("accept-language", "en")], "");
    let german = async {
        content.arrived(1).await; // the English head is out, and its question can be joined
        let german = second.request("GET", "/books", &[("accept-language", "de")], "");
        let german = within("the other variant while the first one's content is held back", german).await;
        content.open();
        german
    };
    let (english, german) = tokio::join!(english, german);
    assert_eq!((english.text(), german.text()), ("english", "de"));
    assert_eq!(origin.count(), 2);
}
