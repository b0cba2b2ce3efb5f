//! The demo's bookstore, asked directly: what it answers is what the gateway will have to keep and to invalidate.

#![cfg(test)]

mod support;

use freshgate::cli::demo::bookstore::{Bookstore, run};
use freshgate::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::{Answer, Client, within};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Shop {
    addr: SocketAddr,
    client: Client,
    store: Arc<Bookstore>,
    tasks: Tasks,
    stop: CancellationToken,
    _stop: DropGuard,
}

async fn shop() -> Shop {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (store, tasks, stop) = (Arc::new(Bookstore::new(Duration::ZERO)), Tasks::default(), CancellationToken::new());
    tasks.spawn(run(listener, Arc::clone(&store), stop.clone()));
    Shop { addr, client: Client::connect(addr).await, store, tasks, stop: stop.clone(), _stop: stop.drop_guard() }
}

fn titles(listing: &Answer) -> Vec<String> {
    let json = listing.json();
    json.as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap().to_owned()).collect()
}

fn detail(refusal: &Answer) -> String {
    assert_eq!(refusal.get("content-type"), Some("application/problem+json"));
    let json = refusal.json();
    assert_eq!(json["status"], refusal.status);
    json["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_price_shows_wherever_the_book_does() {
    let mut shop = shop().await;
    let client = &mut shop.client;
    let before = client.get("/books/1").await;
    assert_eq!((before.status, before.json()["price"].as_f64()), (200, Some(12.5)));
    assert!(before.get("cache-control").is_none(), "the operator's ttl decides");
    let put = client.put("/books/1", r#"{"title":"The Left Hand of Darkness","author_id":1,"price":8.5}"#).await;
    assert_eq!((put.status, put.json()["price"].as_f64()), (200, Some(8.5)));
    let after = client.get("/books/1").await;
    assert_eq!(after.json()["price"], 8.5);
    assert_eq!(after.get("etag"), put.get("etag"));
    assert_ne!(after.get("etag"), before.get("etag"));
    assert_eq!(client.get("/books?sort=price").await.json()[0]["price"], 8.5);
    assert_eq!(client.get("/authors/1/books").await.json()[0]["price"], 8.5);
}

#[tokio::test]
async fn listings_are_filtered_and_sorted() {
    let mut shop = shop().await;
    let by_price = shop.client.get("/books?sort=price").await;
    assert_eq!(titles(&by_price), ["Kindred", "The Dispossessed", "The Left Hand of Darkness"]);
    let of_one = shop.client.get("/books?author=1&sort=title").await;
    assert_eq!(titles(&of_one), ["The Dispossessed", "The Left Hand of Darkness"]);
    assert_eq!(titles(&shop.client.get("/authors/2/books").await), ["Kindred"]);
    assert_eq!(
        detail(&shop.client.get("/books?sort=colour").await),
        r#"sort: expected id, price or title, got "colour""#
    );
}

#[tokio::test]
async fn a_book_is_added_reviewed_and_taken_out() {
    let mut shop = shop().await;
    let client = &mut shop.client;
    let made = client.post("/books", r#"{"title":"Fledgling","author_id":2,"price":10}"#).await;
    assert_eq!((made.status, made.get("location")), (201, Some("/books/4")));
    assert_eq!(client.post("/books/4/reviews", r#"{"stars":4,"text":"It bites."}"#).await.status, 201);
    assert_eq!(client.get("/books/4/reviews").await.json()[0]["stars"], 4);
    assert_eq!(client.delete("/books/4").await.status, 204);
    assert_eq!(client.get("/books/4").await.status, 404);
    assert_eq!(client.get("/books/4/reviews").await.status, 404);
    let next = client.post("/books", r#"{"title":"Wild Seed","author_id":2,"price":10}"#).await;
    assert_eq!(next.get("location"), Some("/books/5"), "a number is never given twice");
}

#[tokio::test]
async fn an_author_is_renamed() {
    let mut shop = shop().await;
    assert_eq!(shop.client.put("/authors/2", r#"{"name":"O. E. Butler"}"#).await.status, 200);
    assert_eq!(shop.client.get("/authors/2").await.json()["name"], "O. E. Butler");
    assert_eq!(shop.client.get("/authors").await.json()[1]["name"], "O. E. Butler");
}

#[tokio::test]
async fn conditions_are_kept() {
    let mut shop = shop().await;
    let client = &mut shop.client;
    let etag = client.get("/books/2").await.get("etag").unwrap().to_owned();
    for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let answer = client.get_with("/books/2", &[("If-None-Match", &known)]).await;
        assert_eq!((answer.status, answer.get("etag")), (304, Some(etag.as_str())), "{known}");
    }
    assert_eq!(client.get_with("/books/2", &[("If-None-Match", "\"x\"")]).await.status, 200);
    let book = r#"{"title":"The Dispossessed","author_id":1,"price":1}"#;
    assert_eq!(client.request("PUT", "/books/2", &[("If-Match", "\"x\"")], book).await.status, 412);
    assert_eq!(client.request("PUT", "/books/2", &[("If-Match", &etag)], book).await.status, 200);
    assert_eq!(client.request("DELETE", "/books/2", &[("If-Match", &etag)], "").await.status, 412);
}

#[tokio::test]
async fn refusals_say_what_was_expected() {
    let mut shop = shop().await;
    let client = &mut shop.client;
    let missing = client.put("/books/1", r#"{"title":"x"}"#).await;
    assert_eq!(missing.status, 400);
    assert!(detail(&missing).contains("missing field `author_id`"), "{}", missing.text());
    let author = client.put("/books/1", r#"{"title":"x","author_id":9,"price":1}"#).await;
    assert_eq!(detail(&author), "author_id: there is no author 9");
    let price = client.put("/books/1", r#"{"title":"x","author_id":1,"price":-1}"#).await;
    assert_eq!(detail(&price), "price: expected 0 to 1000000, got -1");
    assert_eq!(client.put("/books/9", r#"{"title":"x","author_id":1,"price":1}"#).await.status, 404);
    assert_eq!(client.get("/nowhere").await.status, 404);
    let method = client.delete("/books").await;
    assert_eq!((method.status, method.get("allow")), (405, Some("GET, HEAD, POST")));
    let large = client.post("/books", &"x".repeat(65 * 1024)).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn head_is_a_get_without_its_body() {
    let mut shop = shop().await;
    let get = shop.client.get("/books/1").await;
    let head = shop.client.request("HEAD", "/books/1", &[], "").await;
    assert_eq!(
        (head.status, head.get("etag"), head.get("content-length")),
        (200, get.get("etag"), get.get("content-length"))
    );
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_switches_are_neither_counted_nor_kept() {
    let mut shop = shop().await;
    let client = &mut shop.client;
    client.get("/books").await;
    client.get("/nowhere").await;
    let count = client.get("/_demo/requests").await;
    assert_eq!((count.json()["requests"].as_u64(), count.get("cache-control")), (Some(2), Some("no-store")));
    assert_eq!(client.put("/_demo/delay", r#"{"ms":7}"#).await.status, 200);
    assert_eq!(shop.store.delay(), Duration::from_millis(7));
    assert_eq!(detail(&client.put("/_demo/delay", r#"{"ms":10001}"#).await), "ms: expected 0 to 10000, got 10001");
    assert_eq!(shop.store.requests(), 2);
}

#[tokio::test]
async fn an_answer_is_held_back_while_others_are_served() {
    let mut shop = shop().await;
    shop.client.put("/_demo/delay", r#"{"ms":10000}"#).await;
    let mut other = Client::connect(shop.addr).await;
    shop.client.send("GET", "/books/1", &[], "").await;
    while shop.store.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let count = tokio::select! {
        biased;
        answer = shop.client.answer() => panic!("not held back: {answer:?}"),
        count = other.get("/_demo/requests") => count,
    };
    assert_eq!(count.json()["requests"], 1);
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_server() {
    let mut shop = shop().await;
    shop.client.get("/books").await;
    shop.stop.cancel();
    assert_eq!(shop.client.closed().await, b"");
    within("the end of the bookstore", shop.tasks.ended()).await;
}
