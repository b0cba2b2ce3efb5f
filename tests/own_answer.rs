//! A POST whose answer says that it is what a GET of the same target would get (RFC 9110 §9.3.3): kept as that GET's, and as
//! old as the POST's own invalidation.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::{Answer, Client, Gate, Gateway, Origin, Reply, within};

type Fields<'a> = &'a [(&'a str, &'a str)];

const SAME: (&str, &str) = ("Content-Location", "/search?q=1");
const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

/// Counts its answers in their content; POSTs get these fields, and those to `/gated` wait.
async fn origin(fields: Fields<'_>, gate: &Gate) -> Origin {
    let fields: Vec<(String, String)> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let (count, gate) = (Arc::new(AtomicUsize::new(0)), gate.clone());
    Origin::start(move |request| {
        let mut reply = Reply::ok(format!("{} {}", request.method, count.fetch_add(1, SeqCst) + 1));
        if request.method == "POST" {
            for (name, value) in &fields {
                reply = reply.field(name, value);
            }
        } else {
            reply = reply.field("Cache-Control", "max-age=60");
        }
        let waits = request.method == "POST" && request.target.starts_with("/gated");
        let gate = gate.clone();
        async move {
            if waits {
                gate.pass().await;
            }
            reply
        }
    })
    .await
}

fn opened() -> Gate {
    let gate = Gate::closed();
    gate.open();
    gate
}

async fn post_then_get(client: &mut Client, fields: Fields<'_>) -> (Answer, Answer) {
    let posted = client.request("POST", "/search?q=1", fields, "q").await;
    let mut read = client.get_with("/search?q=1", fields).await;
    if !read.cache_says("hit") {
        read = client.get_with("/search?q=1", &[("if-match", "*")]).await; // what the origin says, past the cache
    }
    (posted, read)
}

#[tokio::test]
async fn it_answers_later_reads_if_it_says_so() {
    let cases: &[(&str, Fields<'_>, &str, bool)] = &[
        ("§9.3.3", &[SAME, FRESH], "", true),
        ("§9.3.3 relative", &[("Content-Location", "?q=1"), FRESH], "", true),
        ("RFC 9111 §4.2.1 s-maxage", &[SAME, ("Cache-Control", "s-maxage=60")], "", true),
        ("§9.3.3 another location", &[("Content-Location", "/search?q=2"), FRESH], "", false),
        ("tags, of which a purge might be missed", &[SAME, FRESH, ("Surrogate-Key", "a")], "", false),
        ("another origin's", &[("Content-Location", "http://other.example/search?q=1"), FRESH], "", false),
        ("two locations", &[SAME, SAME, FRESH], "", false),
        ("§9.3.3 no location", &[FRESH], "", false),
        ("§9.3.3 no freshness", &[SAME], "", false),
        ("§9.3.3 the operator's ttl isn't explicit", &[SAME], "ttl = \"10m\"", false),
        ("already stale", &[SAME, ("Cache-Control", "max-age=0"), ("ETag", "\"a\"")], "", false),
        ("RFC 9111 §5.2.2.5", &[SAME, ("Cache-Control", "max-age=60, no-store")], "", false),
        ("RFC 9111 §5.2.2.7", &[SAME, ("Cache-Control", "max-age=60, private")], "", false),
        ("settling", &[SAME, FRESH], "write_settle = \"1s\"", false),
        ("reads aren't cached", &[SAME, FRESH], "cache = false", false),
        ("a safe POST", &[SAME, FRESH], "[[api.route]]\non = \"POST /**\"\nsafe = true", false),
    ];
    for (why, fields, api, kept) in cases {
        let origin = origin(fields, &opened()).await;
        let gateway = Gateway::before(&origin, api).await;
        let mut client = gateway.client().await;
        let (posted, read) = post_then_get(&mut client, &[]).await;
        assert_eq!((posted.text(), posted.cache_says("fwd=method")), ("POST 1", true), "{why}");
        assert_eq!((read.cache_says("hit"), read.text() == "POST 1"), (*kept, *kept), "{why}: {}", read.text());
    }
}

#[tokio::test]
async fn it_is_the_writers_own() {
    let origin = origin(&[SAME, FRESH], &opened()).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let mine = [("authorization", "me")];
    let (_, read) = post_then_get(&mut client, &mine).await;
    assert!(read.cache_says("hit"), "the same caller");
    for (why, theirs) in [("nobody", &[][..]), ("another", &[("authorization", "you")][..])] {
        let read = client.get_with("/search?q=1", theirs).await;
        assert!(!read.cache_says("hit") && read.text().starts_with("GET"), "{why}");
    }
    client.request("POST", "/search?q=1", &[("cache-control", "no-store")], "q").await;
    let read = client.get("/search?q=1").await;
    assert!(read.text().starts_with("GET"), "RFC 9111 §5.2.1.5: {}", read.text());
}

/// A write is sent with all that it has. What the key leaves out may have made its answer, and it must not be everybody's.
#[tokio::test]
async fn what_depends_on_more_than_the_key_is_nobodys() {
    let cases: &[(&str, &str, Fields<'_>, bool)] = &[
        ("every cookie counts", "", &[("cookie", "session=me")], true),
        ("no cookie counts", "[api.key]\ncookies = { only = [] }", &[("cookie", "session=me")], false),
        ("another one counts", "[api.key]\ncookies = { ignore = [\"session\"] }", &[("cookie", "session=me")], false),
        ("none is there", "[api.key]\ncookies = { only = [] }", &[], true),
        ("a name of the query doesn't count", "[api.key]\nquery = { ignore = [\"q\"] }", &[], false),
    ];
    for (why, api, fields, kept) in cases {
        let origin = origin(&[SAME, FRESH], &opened()).await;
        let gateway = Gateway::before(&origin, api).await;
        let mut client = gateway.client().await;
        client.request("POST", "/search?q=1", fields, "q").await;
        assert_eq!(client.get_with("/search?q=1", fields).await.cache_says("hit"), *kept, "{why}");
        let stranger = client.get("/search?q=1").await;
        assert!(fields.is_empty() || stranger.text().starts_with("GET"), "{why}: {}", stranger.text());
    }
}

#[tokio::test]
async fn a_later_write_or_purge_ends_it() {
    let origin = origin(&[SAME, FRESH], &opened()).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for how in ["PUT", "DELETE", "purge", "soft"] {
        let (posted, read) = post_then_get(&mut client, &[]).await;
        assert_eq!((read.cache_says("hit"), read.text()), (true, posted.text()), "{how}");
        match how {
            "purge" => drop(gateway.purge(serde_json::json!({"path": "/search"})).await),
            "soft" => drop(gateway.purge(serde_json::json!({"all": true, "soft": true})).await),
            method => drop(client.request(method, "/search", &[], "").await),
        }
        let read = client.get("/search?q=1").await;
        assert!(!read.cache_says("hit") && read.text().starts_with("GET"), "{how}: {}", read.text());
        client.delete("/search").await;
    }
}

#[tokio::test]
async fn another_invalidation_while_it_is_under_way_keeps_it_out() {
    for how in ["write", "write elsewhere", "purge", "soft purge", "nothing"] {
        let gate = Gate::closed();
        let origin = origin(&[("Content-Location", "/gated"), FRESH], &gate).await;
        let gateway = Gateway::before(&origin, "").await;
        let (mut writer, mut other) = (gateway.client().await, gateway.client().await);
        let posting = writer.post("/gated", "q");
        let meanwhile = async {
            gate.arrived(1).await;
            match how {
                "write" => drop(other.put("/gated", "x").await),
                "write elsewhere" => drop(other.put("/elsewhere/1", "x").await),
                "purge" => drop(gateway.purge(serde_json::json!({"path": "/gated"})).await),
                "soft purge" => drop(gateway.purge(serde_json::json!({"path": "/gated", "soft": true})).await),
                _ => {}
            }
            gate.open();
        };
        let (posted, ()) = tokio::join!(within("the POST", posting), meanwhile);
        assert_eq!(posted.text(), "POST 1");
        let read = other.get("/gated").await;
        assert_eq!(read.cache_says("hit"), matches!(how, "nothing" | "write elsewhere"), "{how}: {}", read.text());
    }
}
