//! Several at a time, and page by page.

use super::support::{Client, Origin, Reply, Request};
use super::{CODES, cache, codes};
use serde_json::json;

#[tokio::test]
async fn several_at_a_time() {
    let (_gateway, mut client) = cache(CODES).await;
    client.request("PUT", "/codes/AT", &[("content-type", "application/json")], "{\"rate\":20}").await;
    client.request("PUT", "/codes/CH", &[("content-type", "text/plain")], "eight").await;
    client.put("/codes/raw", "?").await;
    let got = client.post("/codes/_get", "{\"keys\":[\"AT\",\"XX\",\"CH\",\"raw\"]}").await;
    assert_eq!((got.status, got.fields.one("content-type")), (200, "application/json"));
    let got = got.json();
    assert_eq!(got["missing"], json!(["XX"]));
    let parts = |n: usize, name: &str| got["objects"][n][name].clone();
    assert_eq!(
        [parts(0, "json"), parts(2, "text"), parts(3, "base64")],
        [json!({"rate": 20}), json!("eight"), json!("Pw==")]
    );
    assert_eq!([0, 1, 2, 3].map(|n| parts(n, "status")), [200, 404, 200, 200]);
    assert_eq!([0, 1, 2, 3].map(|n| parts(n, "key")), ["AT", "XX", "CH", "raw"]);
    assert_eq!(parts(0, "etag"), client.get("/codes/AT").await.fields.one("etag"));
    assert_eq!(client.post("/codes/_get", "[\"AT\"]").await.json()["objects"][0]["json"], json!({"rate": 20}));
    let exact = "{\"a\":220.74280468223074,\"b\":1.10,\"c\":12345678901234567890123}";
    client.request("PUT", "/codes/exact", &[("content-type", "application/json")], exact).await;
    let got = client.post("/codes/_get", "[\"exact\"]").await;
    assert!(got.text().contains(exact), "{}", got.text());
}

#[tokio::test]
async fn what_is_missing_is_asked_for_together() {
    let origin = Origin::start(|request: Request| async move {
        if request.target == "/codes/no" { Reply::status(404) } else { Reply::ok(request.target) }
    })
    .await;
    let (_gateway, mut client) = cache(&codes(&format!("source = \"{}/codes/{{key}}\"", origin.url()))).await;
    let got = client.post("/codes/_get", "[\"a\",\"b\",\"no\",\"a\"]").await.json();
    assert_eq!(got["missing"], json!(["no"]));
    assert_eq!(origin.count(), 3, "one for each key");
    assert!(client.get("/codes/b").await.cache_says("hit"));
}

async fn pages(client: &mut Client, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/codes?{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        let keys = page["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap().to_owned());
        pages.push(keys.collect());
        let Some(next) = page["cursor"].as_str() else {
            assert!(page["cursor"].is_null());
            return pages;
        };
        cursor = format!("&cursor={}", next.replace('/', "%2F").replace(' ', "%20"));
    }
}

#[tokio::test]
async fn page_by_page() {
    let (gateway, mut client) = cache(CODES).await;
    for n in 0..25 {
        client.put(&format!("/codes/k{n:02}?ttl={}", if n == 7 { "1m" } else { "1d" }), "x").await;
    }
    client.request("PUT", "/codes/a%2Fb", &[("content-type", "a/b")], "four").await;
    client.delete("/codes/k03").await;
    gateway.step(61);
    let all = pages(&mut client, "limit=10").await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 4]);
    let all: Vec<String> = all.concat();
    assert!(all.is_sorted() && all[0] == "a/b");
    assert!(!all.contains(&"k03".into()) && !all.contains(&"k07".into()), "removed, and expired");
    assert_eq!(pages(&mut client, "prefix=k1&limit=4").await.concat().len(), 10);
    let first = client.get("/codes/?limit=1").await.json()["objects"][0].clone();
    assert_eq!([&first["key"], &first["bytes"], &first["content_type"]], [&json!("a/b"), &json!(4), &json!("a/b")]);
    assert_eq!(first["etag"], client.get("/codes/a%2Fb").await.fields.one("etag"));
    assert!((8_639_900..=8_639_939).contains(&first["ttl"].as_i64().unwrap()), "{first}");
    let spaces = client.get("/").await.json();
    assert_eq!(
        (&spaces["namespaces"][0]["name"], spaces["namespaces"].as_array().unwrap().len()),
        (&json!("codes"), 1)
    );
    for bad in ["limit=0", "limit=1001", "limit=x", "nothing=1", "limit=1&limit=2"] {
        assert_eq!(client.get(&format!("/codes?{bad}")).await.status, 400, "{bad}");
    }
}
