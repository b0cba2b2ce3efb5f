//! Get, insert, upsert, remove, and what expires.

use super::support::Client;
use super::{CODES, cache, codes};

#[tokio::test]
async fn an_object_is_put_read_replaced_and_removed() {
    let (_gateway, mut client) = cache(CODES).await;
    let none = client.get("/codes/AT").await;
    assert_eq!((none.status, none.json()["type"].as_str()), (404, Some("urn:freshgate:problem:no-object")));
    let typed = [("content-type", "application/json"), ("content-language", "de")];
    let made = client.request("PUT", "/codes/AT", &typed, "{\"rate\":20}").await;
    assert_eq!((made.status, made.fields.one("location")), (201, "/codes/AT"));
    let got = client.get("/codes/AT").await;
    assert_eq!((got.status, got.text()), (200, "{\"rate\":20}"));
    assert_eq!(got.fields.one("content-type"), "application/json");
    assert_eq!(got.fields.one("content-language"), "de");
    assert_eq!(got.fields.one("etag"), made.fields.one("etag"));
    assert!(got.cache_says("hit"));
    let replaced = client.put("/codes/AT", "{\"rate\":21}").await;
    assert_eq!(replaced.status, 204);
    assert_ne!(replaced.fields.one("etag"), made.fields.one("etag"));
    let got = client.get("/codes/AT").await;
    assert_eq!((got.text(), got.fields.get("content-type")), ("{\"rate\":21}", None), "nothing is left of the old one");
    assert_eq!(client.delete("/codes/AT").await.status, 204);
    assert_eq!(client.get("/codes/AT").await.status, 404);
    assert_eq!(client.delete("/codes/AT").await.status, 404);
}

#[tokio::test]
async fn an_insert_makes_what_isnt_there() {
    let (_gateway, mut client) = cache(CODES).await;
    let made = client.post("/codes/AT", "20").await;
    assert_eq!(made.status, 201);
    let there = client.post("/codes/AT", "21").await;
    assert_eq!((there.status, there.fields.one("etag")), (409, made.fields.one("etag")));
    assert_eq!(client.get("/codes/AT").await.text(), "20");
    client.delete("/codes/AT").await;
    assert_eq!(client.post("/codes/AT", "22").await.status, 201);
}

#[tokio::test]
async fn an_object_lives_as_long_as_it_is_told() {
    let (gateway, mut client) = cache(&codes("max_ttl = \"200d\"")).await;
    client.put("/codes/usual", "a").await;
    client.put("/codes/short?ttl=90", "b").await;
    client.put("/codes/long?ttl=150d", "c").await;
    let left = async |client: &mut Client, key: &str| client.get(&format!("/codes/{key}")).await.status;
    gateway.step(89);
    assert_eq!(left(&mut client, "short").await, 200);
    gateway.step(2);
    assert_eq!(left(&mut client, "short").await, 404);
    assert_eq!(client.post("/codes/short", "b2").await.status, 201, "what has expired isn't there");
    gateway.step(100 * 86_400);
    assert_eq!(left(&mut client, "usual").await, 404);
    assert_eq!(left(&mut client, "long").await, 200);
    gateway.step(50 * 86_400);
    assert_eq!(left(&mut client, "long").await, 404);
}

#[tokio::test]
async fn one_without_an_end_stays() {
    let (gateway, mut client) = cache("[[objects.namespace]]\nname = \"codes\"\nttl = \"forever\"\n").await;
    client.put("/codes/AT", "20").await;
    client.put("/codes/CH?ttl=1m", "8").await;
    gateway.step(40 * 365 * 86_400);
    assert_eq!(client.get("/codes/AT").await.status, 200);
    assert_eq!(client.get("/codes/CH").await.status, 404);
}

#[tokio::test]
async fn head_says_what_get_says() {
    let (_gateway, mut client) = cache(CODES).await;
    client.put("/codes/AT", "twenty").await;
    let (head, got) = (client.request("HEAD", "/codes/AT", &[], "").await, client.get("/codes/AT").await);
    assert_eq!((head.status, head.fields.one("content-length"), head.text()), (200, "6", ""));
    assert_eq!(head.fields.one("etag"), got.fields.one("etag"));
    assert_eq!(client.request("HEAD", "/codes/XX", &[], "").await.status, 404);
}

#[tokio::test]
async fn any_content_and_any_key() {
    let (_gateway, mut client) = cache(CODES).await;
    for (n, key) in ["a%2Fb", "a", "a;b", "a;c", "%C3%A9", "a%20b", "..x", "-", "~", "a:b@c"].into_iter().enumerate() {
        assert_eq!(client.put(&format!("/codes/{key}"), &n.to_string()).await.status, 201, "{key}");
    }
    for (n, key) in
        ["a%2fb", "%61", "a%3Bb", "a;c", "%c3%a9", "a%20b", "%2E.x", "-", "%7E", "a%3ab%40c"].into_iter().enumerate()
    {
        assert_eq!(client.get(&format!("/codes/{key}")).await.text(), n.to_string(), "{key}");
    }
    assert_eq!(client.put("/codes/empty", "").await.status, 201);
    let empty = client.get("/codes/empty").await;
    assert_eq!((empty.status, empty.text(), empty.fields.one("content-length")), (200, "", "0"));
    let large = "x".repeat(300_000);
    assert_eq!(client.put("/codes/large", &large).await.status, 201);
    assert_eq!(client.get("/codes/large").await.text(), large);
}

#[tokio::test]
async fn a_part_of_an_object() {
    let (_gateway, mut client) = cache(CODES).await;
    client.put("/codes/AT", "0123456789").await;
    let part = client.get_with("/codes/AT", &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text()), (206, "234"));
    assert_eq!(client.get_with("/codes/AT", &[("range", "bytes=20-")]).await.status, 416);
}
