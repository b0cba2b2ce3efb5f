//! Chromium and its HTTP cache.

use crate::browser::Browser;
use crate::support::{Origin, Reply, Request};
use crate::world::{Gateway, Httpbin, asked, curl, wanted};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A page and data with these fields; both say what was last PUT to them. The page's icon is its own, or it would be asked for.
async fn pages(cache_control: Option<&'static str>, etag: bool) -> Origin {
    let version = Arc::new(Mutex::new("one".to_owned()));
    Origin::start(move |request: Request| {
        let mut version = version.lock().unwrap();
        if request.method == "PUT" {
            *version = String::from_utf8(request.body.clone()).unwrap();
        }
        let (kind, body) = if request.target == "/page" {
            ("text/html", format!("<!doctype html><link rel=icon href='data:,'><title>t</title>{version}"))
        } else {
            ("text/plain", format!("{version} {}", "x".repeat(2000)))
        };
        let tag = format!("\"{version}\"");
        let same = etag && request.get("if-none-match") == Some(&tag);
        let reply = if same { Reply::status(304) } else { Reply::ok(body).field("Content-Type", kind) };
        let reply = if etag { reply.field("ETag", tag) } else { reply };
        let reply = cache_control.into_iter().fold(reply, |reply, value| reply.field("Cache-Control", value));
        std::future::ready(reply)
    })
    .await
}

/// What the browser counts for an answer that confirmed what it had.
const CONFIRMED: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn chromium_sees_what_httpbin_said() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    let gateway = Gateway::before(&httpbin.url(""), "ttl = \"1m\"").await;
    let mut browser = Browser::start().await;
    // Each seen from a page of its own host, since a script sees all fields of that only.
    let targets = [
        "/html",
        "/encoding/utf8",
        "/image/png",
        "/bytes/3000?seed=7",
        "/stream-bytes/5000?seed=7&chunk_size=700",
        "/range/1024",
        "/response-headers?ETag=%22a%22&X-Two=one&X-Two=two",
        "/status/204",
        "/status/404",
        "/status/418",
        "/status/500",
    ];
    let mut said = Vec::new();
    for base in [httpbin.url(""), gateway.url(""), gateway.url("")] {
        browser.open(&format!("{base}/robots.txt")).await;
        let mut seen = Vec::new();
        for target in targets {
            let fetched = browser.fetch(&format!("{base}{target}"), json!({"cache": "no-store"})).await;
            seen.push((target, fetched.got.status, fetched.got.said(), fetched.got.body.clone()));
        }
        said.push(seen);
    }
    for through in &said[1..] {
        for (direct, through) in said[0].iter().zip(through) {
            assert_eq!(through, direct);
        }
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_loads_a_fresh_page_again_from_its_own_cache() {
    if !wanted() {
        return;
    }
    let origin = pages(Some("max-age=600"), true).await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let mut browser = Browser::start().await;
    let (page, data) = (gateway.url("/page"), gateway.url("/data"));
    assert!(browser.visit(&page).await > CONFIRMED);
    assert!(browser.get(&data).await.transferred > 2000 + CONFIRMED);
    assert_eq!(browser.visit(&page).await, 0);
    let again = browser.get(&data).await;
    assert_eq!((again.transferred, again.got.status, &again.got.body[..3]), (0, 200, &b"one"[..]));
    browser.close().await;
    for path in ["/page", "/data"] {
        assert_eq!(gateway.logged(path, 1).await, ["GET 200 miss"]);
        assert_eq!(asked(&origin, path), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_gets_304_from_the_gateway_for_what_is_stale_in_its_cache_only() {
    if !wanted() {
        return;
    }
    let origin = pages(Some("max-age=0, s-maxage=600"), true).await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let mut browser = Browser::start().await;
    let (page, data) = (gateway.url("/page"), gateway.url("/data"));
    browser.visit(&page).await;
    browser.get(&data).await;
    assert_eq!(browser.visit(&page).await, CONFIRMED);
    let again = browser.get(&data).await;
    assert_eq!((again.transferred, again.got.status, &again.got.body[..3]), (CONFIRMED, 200, &b"one"[..]));
    assert!(again.got.cache_says("hit"), "{again:?}");
    browser.close().await;
    for path in ["/page", "/data"] {
        assert_eq!(gateway.logged(path, 2).await, ["GET 200 miss", "GET 304 hit"]);
        assert_eq!(asked(&origin, path), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_s_reload_reaches_the_origin_and_its_304_comes_back() {
    if !wanted() {
        return;
    }
    let origin = pages(Some("max-age=600"), true).await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let mut browser = Browser::start().await;
    browser.visit(&gateway.url("/page")).await;
    gateway.step(2); // a key's origin is bothered once a second
    assert_eq!(browser.reload().await, CONFIRMED);
    browser.close().await;
    assert_eq!(gateway.logged("/page", 2).await, ["GET 200 miss", "GET 304 revalidated"]);
    assert_eq!(origin.requests()[1].get("if-none-match"), Some("\"one\""));
    assert_eq!(asked(&origin, "/page"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_revalidate_chromium_asks_each_time_and_gets_304_from_the_gateway() {
    if !wanted() {
        return;
    }
    let origin = pages(Some("max-age=600"), true).await;
    let gateway = Gateway::before(&origin.url(), "client_cache = \"revalidate\"").await;
    let mut browser = Browser::start().await;
    let (page, data) = (gateway.url("/page"), gateway.url("/data"));
    browser.visit(&page).await;
    browser.get(&data).await;
    for _ in 0..3 {
        assert_eq!(browser.visit(&page).await, CONFIRMED);
        let again = browser.get(&data).await;
        assert_eq!((again.transferred, again.got.cache_says("hit")), (CONFIRMED, true), "{again:?}");
    }
    browser.close().await;
    for path in ["/page", "/data"] {
        assert_eq!(gateway.logged(path, 4).await, ["GET 200 miss", "GET 304 hit", "GET 304 hit", "GET 304 hit"]);
        assert_eq!(asked(&origin, path), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_revalidate_chromium_sees_what_was_put_at_once() {
    if !wanted() {
        return;
    }
    let origin = pages(Some("max-age=600"), true).await;
    let gateway = Gateway::before(&origin.url(), "client_cache = \"revalidate\"").await;
    let mut browser = Browser::start().await;
    let (page, data) = (gateway.url("/page"), gateway.url("/data"));
    for _ in 0..2 {
        browser.visit(&page).await;
        assert_eq!(browser.text().await, "one");
        assert!(browser.get(&data).await.got.text().starts_with("one "));
    }

    // By somebody else.
    for target in ["/page", "/data"] {
        assert_eq!(curl(&["-i", "-X", "PUT", "-d", "two", &gateway.url(target)]).status, 200);
    }
    browser.visit(&page).await;
    assert_eq!(browser.text().await, "two");
    assert!(browser.get(&data).await.got.text().starts_with("two "));

    // By the page itself.
    let put = browser.fetch(&data, json!({"method": "PUT", "body": "three"})).await;
    assert_eq!(put.got.status, 200);
    assert!(browser.get(&data).await.got.text().starts_with("three "));
    browser.close().await;
    let methods: Vec<_> = origin.requests().into_iter().filter(|r| r.target == "/data").map(|r| r.method).collect();
    assert_eq!(methods, ["GET", "PUT", "GET", "PUT", "GET"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_etags_let_chromium_get_304_where_the_origin_sends_none() {
    if !wanted() {
        return;
    }
    let origin = pages(None, false).await;
    let rules = "ttl = \"1m\"\netag = \"generate\"\nclient_cache = \"revalidate\"";
    let gateway = Gateway::before(&origin.url(), rules).await;
    let mut browser = Browser::start().await;
    let (page, data) = (gateway.url("/page"), gateway.url("/data"));
    // An answer that is passed on while it comes may have no tag; hits have it.
    for _ in 0..2 {
        browser.visit(&page).await;
        browser.get(&data).await;
    }
    assert_eq!(browser.visit(&page).await, CONFIRMED);
    let again = browser.get(&data).await;
    assert_eq!((again.transferred, &again.got.body[..3]), (CONFIRMED, &b"one"[..]));
    curl(&["-i", "-X", "PUT", "-d", "two", &data]);
    let new = browser.get(&data).await;
    assert!(new.got.text().starts_with("two ") && new.transferred > CONFIRMED, "{new:?}");
    browser.close().await;
    let log = gateway.logged("/data", 5).await;
    assert_eq!(
        (&*log[0], &log[2..]),
        ("GET 200 miss", &["GET 304 hit", "PUT 200 write", "GET 200 miss"].map(String::from)[..])
    );
    assert_eq!(gateway.logged("/page", 3).await[2], "GET 304 hit");
    assert_eq!((asked(&origin, "/page"), asked(&origin, "/data")), (1, 3));
}
