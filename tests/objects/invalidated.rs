//! What makes objects go: a write through the gateway to where their source is, purges, reloads.

use super::support::{Client, Origin, Reply, Request};
use super::{CODES, cache, cache_beside, codes};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn numbered() -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |request: Request| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Reply::ok(format!("{n} {}", request.target)) }
    })
    .await
}

#[tokio::test]
async fn a_write_through_the_gateway_to_its_source() {
    let origin = numbered().await;
    let api = format!("[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let namespace = codes(&format!("source = \"{}/codes/{{key}}\"", origin.url()));
    let (gateway, mut client) = cache_beside(&namespace, "", &api).await;
    let mut writer = gateway.client().await;
    let first = client.get("/codes/AT").await.text().to_owned();
    let other = client.get("/codes/CH").await.text().to_owned();
    assert_eq!(client.get("/codes/AT").await.text(), first);
    assert_eq!(writer.put("/codes/AT", "new").await.status, 200);
    assert_ne!(client.get("/codes/AT").await.text(), first);
    assert_eq!(client.get("/codes/CH").await.text(), other);
}

#[tokio::test]
async fn purges() {
    let two = format!("{CODES}[[objects.namespace]]\nname = \"others\"\nttl = \"1d\"\n");
    let (gateway, mut client) = cache(&two).await;
    let fill = async |client: &mut Client| {
        for (key, tag) in [("AT", "eu"), ("CH", "efta")] {
            client.request("PUT", &format!("/codes/{key}"), &[("surrogate-key", tag)], key).await;
        }
        client.put("/others/AT", "o").await;
    };
    let there = async |client: &mut Client| {
        let mut there = String::new();
        for (letter, target) in [("a", "/codes/AT"), ("c", "/codes/CH"), ("o", "/others/AT")] {
            there += if client.get(target).await.status == 200 { letter } else { "-" };
        }
        there
    };
    for (selector, left) in [
        (json!({ "api": "objects/codes", "path": "/codes/AT" }), "-co"),
        (json!({ "api": "objects/codes", "tag": "eu" }), "-co"),
        (json!({ "tag": "efta" }), "a-o"),
        (json!({ "api": "objects/codes" }), "--o"),
        (json!({ "prefix": "/codes" }), "--o"),
        (json!({ "all": true }), "---"),
    ] {
        fill(&mut client).await;
        assert_eq!(there(&mut client).await, "aco");
        gateway.purge(selector.clone()).await;
        assert_eq!(there(&mut client).await, left, "{selector}");
    }
    fill(&mut client).await;
    assert_eq!(gateway.admin("DELETE", "/v1/apis/objects/codes/cache", "").await.status, 200);
    assert_eq!(there(&mut client).await, "--o");
}

#[tokio::test]
async fn a_reload_keeps_what_stays_and_serves_what_comes() {
    let objects = |namespaces: &str| format!("[objects]\nlisten = \"127.0.0.1:0\"\n{namespaces}");
    let (gateway, mut client) = cache(CODES).await;
    client.put("/codes/AT", "20").await;
    assert_eq!(client.put("/more/x", "1").await.status, 404);
    let more = format!("{CODES}[[objects.namespace]]\nname = \"more\"\nttl = \"1d\"\n");
    gateway.reload_all("", &objects(&more), "").unwrap();
    assert_eq!(client.get("/codes/AT").await.text(), "20");
    assert_eq!(client.put("/more/x", "1").await.status, 201);
    let listed = client.get("/more").await.json();
    assert_eq!(listed["objects"][0]["key"], "x", "one that came with a reload");
    let shorter = more.replace("100d", "50d");
    gateway.reload_all("", &objects(&shorter), "").unwrap();
    assert_eq!(client.get("/codes/AT").await.text(), "20", "who has put it has said how long");
    gateway.reload_all("", &objects(CODES), "").unwrap();
    assert_eq!(client.get("/more/x").await.status, 404);
    gateway.reload_all("", &objects(&more), "").unwrap();
    assert_eq!(client.get("/more/x").await.status, 404, "what has gone doesn't come back");
}

#[tokio::test]
async fn the_data_port_knows_nothing_of_objects() {
    let origin = numbered().await;
    let api = format!(
        "[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/\"\nupstream = [\"{}\"]\nttl = \"1d\"\n",
        origin.url()
    );
    let (gateway, mut client) = cache_beside(CODES, "", &api).await;
    client.put("/codes/AT", "object").await;
    let mut reader = gateway.client().await;
    assert_eq!(reader.get("/codes/AT").await.text(), "1 /codes/AT");
    for host in ["\0", "%00", "objects", "codes"] {
        let answer = reader.get_with("/codes/AT", &[("host", host)]).await;
        assert_ne!(answer.text(), "object", "{host:?}");
        reader = gateway.client().await;
    }
    let shown = gateway.admin("GET", "/v1/apis/objects/codes", "").await.json();
    assert_eq!((&shown["entries"], &shown["settings"]["ttl"]), (&json!(1), &json!("100d")));
}
