//! curl, and Python's requests and httpx, without and with caches of their own.

use crate::support::{Origin, Reply, Request};
use crate::world::{Client, Gateway, Got, Httpbin, asked, curl, keeping, plain, scratch, wanted};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Targets whose answers are the same every time.
const STEADY: &[&str] = &[
    "/html",
    "/xml",
    "/robots.txt",
    "/encoding/utf8",
    "/image/png",
    "/bytes/3000?seed=7",
    "/stream-bytes/5000?seed=7&chunk_size=700",
    "/range/1024",
    "/response-headers?ETag=%22a%22&Last-Modified=Sun%2C+06+Nov+1994+08%3A49%3A37+GMT&X-Two=one&X-Two=two",
    "/cookies/set?a=1&b=2",
    "/redirect-to?url=%2Fhtml&status_code=301",
    "/status/204",
    "/status/404",
    "/status/418",
    "/status/500",
];

/// Some of them that are surely stored: with a length, in chunks, and with a status other than 200.
const STORED: &[&str] =
    &["/html", "/stream-bytes/5000?seed=7&chunk_size=700", "/redirect-to?url=%2Fhtml&status_code=301"];

fn assert_same(direct: &Got, through: &Got, what: &str) {
    assert_eq!(through.status, direct.status, "{what}");
    assert_eq!(through.said(), direct.said(), "{what}");
    let text = |got: &Got| String::from_utf8_lossy(&got.body).into_owned();
    assert!(through.body == direct.body, "{what}: {}\ninstead of {}", text(through), text(direct));
    if let Some(length) = direct.get("content-length") {
        assert_eq!(through.get("content-length"), Some(length), "{what}");
    }
}

/// Whether a told length is the body's.
fn assert_length(got: &Got, what: &str) {
    let told = got.get("content-length").map(|length| length.parse().unwrap());
    assert!(told.is_none_or(|told: usize| told == got.body.len()), "{what}: {told:?} for {}", got.body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_client_sees_is_what_httpbin_said() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    for mut client in plain() {
        let gateway = Gateway::before(&httpbin.url(""), "ttl = \"1m\"").await;
        for target in STEADY {
            let what = format!("{} {target}", client.name());
            let direct = client.get(&httpbin.url(target));
            for time in ["first", "second"] {
                let through = client.get(&gateway.url(target));
                assert_same(&direct, &through, &format!("{what}, {time}"));
                assert_length(&through, &what);
                let stored = STORED.contains(target) && time == "second";
                assert!(!stored || through.cache_says("hit"), "{what}: {:?}", through.all("cache-status"));
            }
            let (direct, through) = (
                client.ask("HEAD", &httpbin.url(target), &[], None),
                client.ask("HEAD", &gateway.url(target), &[], None),
            );
            assert_same(&direct, &through, &format!("HEAD by {what}"));
        }
        if let Client::Library(name, _) = client {
            let log = gateway.log(3 * STEADY.len()).await;
            assert!(log.iter().all(|line| line["peer"] == log[0]["peer"]), "{name} had to connect again: {log:?}");
        }
    }
}

/// curl asks before it sends so much.
#[tokio::test(flavor = "multi_thread")]
async fn what_curl_uploads_after_100_continue_comes_whole() {
    if !wanted() {
        return;
    }
    let origin = Origin::always(Reply::status(201)).await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let (file, content) = (scratch(), "0123456789abcdef".repeat(1 << 17));
    std::fs::write(file.path(), &content).unwrap();
    let file = file.path().to_str().unwrap();
    for how in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
        let done = curl(&[&["-i", "-T", file], how, &[&gateway.url("/file")]].concat());
        assert_eq!(done.status, 100, "the word to go on comes first");
        assert!(done.text().starts_with("HTTP/1.1 201 "), "{how:?}: {}", done.text());
        let put = origin.requests().pop().unwrap();
        assert!(put.complete && put.body == content.as_bytes(), "{how:?}: {} bytes", put.body.len());
    }
}

/// httpbin tells what it was asked, so its answer is the same only if the gateway asks as the client does. It leaves out
/// what proxies add.
#[tokio::test(flavor = "multi_thread")]
async fn httpbin_hears_what_curl_said() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    let gateway = Gateway::before(&httpbin.url(""), "").await;
    // Pairs of a query in the order of their names, into which the gateway brings them.
    let asks: &[(&str, &str, &[&str])] = &[
        (
            "GET",
            "/anything/a%20b/c?q=%C3%A4+b&z=2&z=1",
            &["-H", "X-Mine: a, b", "-H", "X-Empty;", "-H", "Cookie: c=1; d=2"],
        ),
        ("GET", "/anything?same=1", &["-H", "Accept-Encoding: gzip", "-H", "Accept-Language: de"]),
        ("POST", "/anything", &["-H", "Content-Type: application/json", "--data-binary", "{\"a\": [1, \"\u{fc}\"]}"]),
        ("POST", "/anything", &["-d", "a=1&b=two+words"]),
        ("POST", "/anything", &["-H", "Transfer-Encoding: chunked", "-d", "in=pieces"]),
        ("PUT", "/anything/7", &["--data-binary", "plain"]),
        ("PATCH", "/anything/7", &["-d", "p=1"]),
        ("DELETE", "/anything/7", &[]),
        ("GET", "/deflate", &[]),
        ("GET", "/brotli", &[]),
        ("GET", "/basic-auth/me/hush", &["-u", "me:hush"]),
        ("GET", "/basic-auth/me/hush", &["-u", "me:wrong"]),
        ("GET", "/bearer", &["-H", "Authorization: Bearer abc"]),
        ("GET", "/etag/unquoted", &[]),
    ];
    for (method, target, more) in asks {
        let ask = |url: &str| curl(&[&["-i", "-X", method], *more, &[url]].concat());
        let (direct, through) = (ask(&httpbin.url(target)), ask(&gateway.url(target)));
        assert_same(&direct, &through, &format!("{method} {target} {more:?}"));
    }
    // This one tells the fields in the order in which they came, which means nothing.
    let lines = |url: &str| -> Vec<Value> {
        let answer = curl(&["-i", url]);
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (direct, through) = (lines(&httpbin.url("/stream/3")), lines(&gateway.url("/stream/3")));
    assert_eq!((through.len(), through), (3, direct));
}

#[tokio::test(flavor = "multi_thread")]
async fn coded_content_is_read_by_each_client_and_stays_as_it_came() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    for mut client in plain().into_iter().chain(keeping()) {
        let gateway = Gateway::before(&httpbin.url(""), "ttl = \"1m\"").await;
        for (target, word) in [("/gzip", "gzipped"), ("/deflate", "deflated"), ("/brotli", "brotli")] {
            let what = format!("{} {target}", client.name());
            let (url, before) = (gateway.url(target), httpbin.seen(target).len());
            for _ in 0..2 {
                let read = client.read(&url);
                assert_eq!((read.status, read.json()[word].as_bool()), (200, Some(true)), "{what}");
            }
            let coded = [client.get(&url), client.get(&url)];
            assert!(coded[0].body == coded[1].body && coded[0].body[0] != b'{', "{what}");
            let asked = httpbin.seen(target).len() - before;
            assert!(
                (1..=2).contains(&asked),
                "{what}: once for each Accept-Encoding, as httpbin says no Vary: {asked}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_is_answered_by_the_gateway_whichever_client_asks() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    let gateway = Gateway::before(&httpbin.url(""), "").await;
    for (n, mut client) in plain().into_iter().enumerate() {
        let own = format!("/cache/{}", 600 + n);
        let first = client.get(&gateway.url(&own));
        let second = client.get(&gateway.url(&own));
        assert!(first.cache_says("fwd=uri-miss") && first.cache_says("stored"), "{}: {first:?}", client.name());
        assert!(second.cache_says("hit") && second.get("age").is_some(), "{}: {second:?}", client.name());
        assert_same(&first, &second, client.name());
        assert_eq!(httpbin.seen(&own), ["GET 200"], "{}", client.name());
        let shared = client.get(&gateway.url("/cache/60"));
        assert_eq!(shared.cache_says("hit"), n > 0, "{}: {shared:?}", client.name());
    }
    assert_eq!(httpbin.seen("/cache/60"), ["GET 200"], "one for all clients");
}

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An origin with one thing that has both validators, and that says 304 itself.
async fn validating(cache_control: &'static str) -> Origin {
    Origin::start(move |request: Request| {
        let same = request.get("if-none-match") == Some("\"v1\"")
            || (request.get("if-none-match").is_none() && request.get("if-modified-since") == Some(MODIFIED));
        let reply = if same { Reply::status(304) } else { Reply::ok("the thing").field("Content-Type", "text/plain") };
        let reply = if request.target == "/dated" { reply } else { reply.field("ETag", "\"v1\"") };
        let reply = if request.target == "/tagged" { reply } else { reply.field("Last-Modified", MODIFIED) };
        std::future::ready(reply.field("Cache-Control", cache_control))
    })
    .await
}

/// For a browser or a library stale at once, for the gateway fresh.
const SHARED_ONLY: &str = "max-age=0, s-maxage=60";

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_of_a_client_without_a_cache_is_answered_304_by_the_gateway() {
    if !wanted() {
        return;
    }
    for mut client in plain() {
        let origin = validating(SHARED_ONLY).await;
        let gateway = Gateway::before(&origin.url(), "").await;
        for (target, condition) in [
            ("/tagged", ("If-None-Match", "\"v1\"")),
            ("/dated", ("If-Modified-Since", MODIFIED)),
            ("/both", ("If-None-Match", "W/\"v1\", \"v2\"")),
        ] {
            let what = format!("{} {target}", client.name());
            assert_eq!(client.get(&gateway.url(target)).text(), "the thing", "{what}");
            let confirmed = client.get_with(&gateway.url(target), &[condition]);
            assert_eq!((confirmed.status, confirmed.body.len()), (304, 0), "{what}");
            assert!(confirmed.cache_says("hit"), "{what}: {confirmed:?}");
            let old = ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
            let other = if target == "/dated" { old } else { ("If-None-Match", "\"v2\"") };
            assert_eq!(client.get_with(&gateway.url(target), &[other]).status, 200, "{what}");
            assert_eq!(asked(&origin, target), 1, "{what}");
        }
    }
}

/// CacheControl never asks by date alone; hishel does.
fn asks_by_date(client: &Client) -> bool {
    client.name() != "cachecontrol"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_s_cache_gets_304_from_the_gateway_and_the_origin_sees_nothing() {
    if !wanted() {
        return;
    }
    for mut client in keeping() {
        let origin = validating(SHARED_ONLY).await;
        let gateway = Gateway::before(&origin.url(), "").await;
        for target in ["/tagged", "/both", "/dated"] {
            if target == "/dated" && !asks_by_date(&client) {
                continue;
            }
            let what = format!("{} {target}", client.name());
            let first = client.get(&gateway.url(target));
            let second = client.get(&gateway.url(target));
            assert_eq!((first.kept, second.kept), (false, true), "{what}");
            assert_eq!((second.status, second.text()), (200, "the thing"), "{what}");
            assert_eq!(gateway.logged(target, 2).await, ["GET 200 miss", "GET 304 hit"], "{what}");
            assert_eq!(asked(&origin, target), 1, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_of_the_origin_goes_through_the_gateway_to_the_library_s_cache() {
    if !wanted() {
        return;
    }
    for mut client in keeping() {
        let origin = validating(SHARED_ONLY).await;
        let gateway = Gateway::before(&origin.url(), "").await;
        for target in ["/tagged", "/both", "/dated"] {
            if target == "/dated" && !asks_by_date(&client) {
                continue;
            }
            let what = format!("{} {target}", client.name());
            client.get(&gateway.url(target));
            gateway.step(61);
            let second = client.get(&gateway.url(target));
            assert_eq!((second.kept, second.text()), (true, "the thing"), "{what}");
            let third = client.get(&gateway.url(target));
            assert_eq!((third.kept, third.text()), (true, "the thing"), "{what}");
            let log = ["GET 200 miss", "GET 304 revalidated", "GET 304 hit"];
            assert_eq!(gateway.logged(target, 3).await, log, "{what}: fresh again");
            assert_eq!(asked(&origin, target), 2, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn httpbin_s_304_confirms_what_the_gateway_has() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    for (n, mut client) in plain().into_iter().enumerate() {
        let gateway = Gateway::before(&httpbin.url(""), "ttl = \"1m\"").await;
        let first = client.get(&gateway.url("/cache"));
        gateway.step(61);
        let second = client.get(&gateway.url("/cache"));
        let stale = second.cache_says("fwd=stale") && second.cache_says("fwd-status=304");
        assert!(stale, "{}: {second:?}", client.name());
        assert_same(&first, &second, client.name());
        assert_eq!(httpbin.seen("/cache")[2 * n..], ["GET 200", "GET 304"], "{}", client.name());
    }
}

/// The client's condition and the gateway's are one question to the origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_condition_gets_304_when_the_origin_confirms() {
    if !wanted() {
        return;
    }
    for mut client in plain() {
        let origin = validating("max-age=60").await;
        let gateway = Gateway::before(&origin.url(), "").await;
        for (target, condition) in
            [("/tagged", ("If-None-Match", "\"v1\"")), ("/dated", ("If-Modified-Since", MODIFIED))]
        {
            let what = format!("{} {target}", client.name());
            client.get(&gateway.url(target));
            gateway.step(61);
            let confirmed = client.get_with(&gateway.url(target), &[condition]);
            assert_eq!(confirmed.status, 304, "{what}");
            assert!(confirmed.cache_says("fwd=stale") && confirmed.cache_says("fwd-status=304"), "{what}");
            let asks = origin.requests();
            assert_eq!(asks.last().unwrap().get(condition.0), Some(condition.1), "{what}");
            assert_eq!(asked(&origin, target), 2, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_s_own_conditions_get_304_from_the_gateway() {
    if !wanted() {
        return;
    }
    let origin = validating("max-age=60").await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let (tag, body, url) = (scratch(), scratch(), gateway.url("/both"));
    let (tag, body) = (tag.path().to_str().unwrap(), body.path().to_str().unwrap());

    let first = curl(&["-D", "-", "-o", body, "--etag-save", tag, &url]);
    assert_eq!((first.status, std::fs::read_to_string(tag).unwrap().trim()), (200, "\"v1\""));
    let same = curl(&["-i", "--etag-compare", tag, &url]);
    assert_eq!((same.status, same.body.len(), same.cache_says("hit")), (304, 0, true), "--etag-compare: {same:?}");

    // -R gives the file the date of Last-Modified, -z takes it from there.
    curl(&["-D", "-", "-R", "-o", body, &url]);
    let same = curl(&["-i", "-z", body, &url]);
    assert_eq!((same.status, same.body.len(), same.cache_says("hit")), (304, 0, true), "-z FILE: {same:?}");
    let same = curl(&["-i", "-z", MODIFIED, &url]);
    assert_eq!((same.status, same.cache_says("hit")), (304, true), "-z DATE: {same:?}");
    let newer = curl(&["-i", "-z", "Sat, 05 Nov 1994 08:49:37 GMT", &url]);
    assert_eq!((newer.status, newer.text()), (200, "the thing"), "-z with an older date");

    let head = curl(&["-I", &url]);
    assert_eq!(
        (head.status, head.get("content-length"), head.cache_says("hit")),
        (200, Some("9"), true),
        "-I: {head:?}"
    );
    assert_eq!((head.get("etag"), head.body.len()), (Some("\"v1\""), 0), "-I");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_come_from_the_stored_answer_as_httpbin_would_cut_them() {
    if !wanted() {
        return;
    }
    let httpbin = Httpbin::start();
    for mut client in plain() {
        let gateway = Gateway::before(&httpbin.url(""), "ttl = \"1m\"").await;
        let whole = client.get(&gateway.url("/range/1024"));
        let before = httpbin.seen("/range/1024").len();
        for range in ["0-0", "0-9", "100-199", "1000-", "-24"] {
            let what = format!("{} {range}", client.name());
            let url = gateway.url("/range/1024");
            let bytes = format!("bytes={range}");
            let part = match client {
                Client::Curl => curl(&["-i", "-r", range, &url]),
                Client::Library(..) => client.get_with(&url, &[("Range", &bytes)]),
            };
            assert!(part.cache_says("hit"), "{what}: {part:?}");
            assert_eq!(httpbin.seen("/range/1024").len(), before, "{what}");
        }
        for range in ["0-0", "0-9", "100-199", "1000-", "-24", "5000-"] {
            let what = format!("{} {range}", client.name());
            let bytes = format!("bytes={range}");
            let direct = client.get_with(&httpbin.url("/range/1024"), &[("Range", &bytes)]);
            let through = client.get_with(&gateway.url("/range/1024"), &[("Range", &bytes)]);
            if range == "5000-" {
                assert_eq!((through.status, direct.status), (416, 416), "{what}");
                assert_eq!(through.get("content-range"), direct.get("content-range"), "{what}");
            } else {
                assert_same(&direct, &through, &what);
            }
        }
        assert_eq!(whole.body.len(), 1024);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_goes_on_with_a_download_and_requests_with_if_range() {
    if !wanted() {
        return;
    }
    let letters = "abcdefghijklmnopqrstuvwxyz".repeat(100);
    let origin = Origin::always(Reply::ok(&letters).field("ETag", "\"v1\"").field("Cache-Control", "max-age=60")).await;
    let gateway = Gateway::before(&origin.url(), "").await;
    let url = gateway.url("/letters");
    curl(&["-i", &url]);

    let file = scratch();
    std::fs::write(file.path(), &letters[..1000]).unwrap();
    let rest = curl(&["-D", "-", "-C", "-", "-o", file.path().to_str().unwrap(), &url]);
    assert_eq!((rest.status, rest.get("content-range")), (206, Some("bytes 1000-2599/2600")));
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), letters);

    let [mut requests, ..] = plain();
    let same = requests.get_with(&url, &[("Range", "bytes=26-51"), ("If-Range", "\"v1\"")]);
    assert_eq!((same.status, same.text()), (206, &letters[26..52]));
    let other = requests.get_with(&url, &[("Range", "bytes=26-51"), ("If-Range", "\"v0\"")]);
    assert_eq!((other.status, other.text()), (200, &*letters));
    assert_eq!(origin.count(), 1);
}

/// An origin that keeps what is put, and says no more about it than its type.
async fn keeping_what_is_put() -> Origin {
    let there = Arc::new(Mutex::new("old".to_owned()));
    Origin::start(move |request: Request| {
        let mut there = there.lock().unwrap();
        if request.method == "PUT" {
            *there = String::from_utf8(request.body).unwrap();
        }
        std::future::ready(Reply::ok(&*there).field("Content-Type", "text/plain"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_etags_let_clients_get_304_where_the_origin_sends_none() {
    if !wanted() {
        return;
    }
    let rules = "ttl = \"1m\"\netag = \"generate\"\nclient_cache = \"revalidate\"";
    for mut client in keeping() {
        let origin = keeping_what_is_put().await;
        let gateway = Gateway::before(&origin.url(), rules).await;
        curl(&["-i", &gateway.url("/x")]); // an answer that is passed on while it comes may have no tag; hits have it
        let kept: Vec<bool> = (0..3).map(|_| client.get(&gateway.url("/x")).kept).collect();
        assert_eq!(kept, [false, true, true], "{}", client.name());
        let log = gateway.logged("/x", 4).await;
        assert_eq!(log, ["GET 200 miss", "GET 200 hit", "GET 304 hit", "GET 304 hit"], "{}", client.name());
        assert_eq!(origin.count(), 1, "{}", client.name());
    }

    let origin = keeping_what_is_put().await;
    let gateway = Gateway::before(&origin.url(), rules).await;
    let (tag, url) = (scratch(), gateway.url("/x"));
    let tag = tag.path().to_str().unwrap();
    curl(&["-i", &url]);
    curl(&["-i", "--etag-save", tag, &url]);
    assert!(std::fs::read_to_string(tag).unwrap().starts_with("W/\""));
    assert_eq!(curl(&["-i", "--etag-compare", tag, &url]).status, 304);
    curl(&["-i", "-X", "PUT", "-d", "new", &url]);
    let new = curl(&["-i", "--etag-compare", tag, &url]);
    assert_eq!((new.status, new.text()), (200, "new"), "another content has another tag");
    assert_eq!(origin.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_put_every_client_sees_at_once() {
    if !wanted() {
        return;
    }
    let origin = keeping_what_is_put().await;
    let gateway =
        Gateway::before(&origin.url(), "ttl = \"1m\"\netag = \"generate\"\nclient_cache = \"revalidate\"").await;
    let url = gateway.url("/x");
    let mut clients: Vec<Client> = plain().into_iter().chain(keeping()).collect();
    for writer in 0..clients.len() {
        // Once as it is, twice so that caches have it with its tag.
        for client in clients.iter_mut().chain([&mut Client::Curl, &mut Client::Curl]) {
            client.get(&url);
        }
        let (by, new) = (clients[writer].name(), format!("by {}", clients[writer].name()));
        assert_eq!(clients[writer].ask("PUT", &url, &[], Some(&new)).status, 200, "{by}");
        for client in &mut clients {
            let seen = client.get(&url);
            assert_eq!(seen.text(), new, "{} after a PUT {new}", client.name());
        }
    }
    // One fill, then each PUT and one fill after it.
    assert_eq!(asked(&origin, "/x"), 1 + 2 * clients.len());
}
