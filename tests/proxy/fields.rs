//! Methods, targets and fields as each side sees them.

use crate::support::{Gateway, Origin, Reply, Request};

async fn echo() -> Origin {
    Origin::start(|r| async move { Reply::ok(format!("{} {}", r.method, r.target)) }).await
}

fn last(origin: &Origin) -> Request {
    origin.requests().pop().unwrap()
}

#[tokio::test]
async fn every_method_passes_as_it_is() {
    let origin = echo().await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for method in
        ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "BREW", "M-SEARCH", "m-search"]
    {
        let answer = client.request(method, "/x", &[], "").await;
        assert_eq!((answer.status, answer.text()), (200, format!("{method} /x").as_str()));
        assert_eq!(last(&origin).method, method);
    }
    let answer = client.request("HEAD", "/x", &[], "").await;
    assert_eq!((answer.status, answer.get("content-length")), (200, Some("7")));
    assert_eq!((last(&origin).method.as_str(), origin.faults().len()), ("HEAD", 0));
}

#[tokio::test]
async fn what_belongs_to_a_connection_ends_there() {
    let hop =
        [("Connection", "X-Mine"), ("Keep-Alive", "timeout=9"), ("Proxy-Connection", "keep-alive"), ("X-Mine", "1")];
    let answer = move |r: Request| {
        let said = Reply::ok("hi").field("Cache-Control", r.get("x-say").unwrap_or("no-store"));
        let said = hop.iter().fold(said, |reply, (name, value)| reply.field(name, value));
        said.field("Upgrade", "h2").field("Connection", "Cache-Control").field("X-Kept", "1")
    };
    let origin = Origin::start(move |r| std::future::ready(answer(r))).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let asked = [&hop[..], &[("TE", "gzip"), ("Upgrade", "h2c"), ("X-Kept", "1"), ("X-Say", "max-age=60")]].concat();
    for (method, path) in [("GET", "/miss"), ("GET", "/miss"), ("POST", "/pass"), ("OPTIONS", "/pass")] {
        let answer = client.request(method, path, &asked, "").await;
        for gone in ["connection", "keep-alive", "proxy-connection", "x-mine", "upgrade", "te"] {
            assert!(answer.get(gone).is_none(), "{gone} came back from {method} {path}");
            assert!(last(&origin).get(gone).is_none(), "{gone} was sent on with {method} {path}");
        }
        assert_eq!(last(&origin).get("x-kept"), Some("1"));
        assert_eq!((answer.get("x-kept"), answer.get("cache-control")), (Some("1"), Some("max-age=60")));
    }
    assert_eq!(origin.count(), 3, "one of the reads was a hit");
}

#[tokio::test]
async fn connection_cannot_take_away_what_is_for_all() {
    let origin = echo().await;
    let gateway = Gateway::before(&origin, "").await;
    let names =
        "Host, Authorization, Cookie, Content-Length, Content-Type, Cache-Control, X-Forwarded-For, Via, If-Match";
    let fields = [
        ("Connection", names),
        ("Authorization", "Bearer x"),
        ("Cookie", "a=b"),
        ("Content-Type", "text/plain"),
        ("Cache-Control", "no-store"),
        ("If-Match", "\"x\""),
    ];
    gateway.client().await.request("PUT", "/x", &fields, "four").await;
    let seen = last(&origin);
    for (name, value) in &fields[1..] {
        assert_eq!(seen.get(name), Some(*value), "{name}");
    }
    assert_eq!((seen.get("content-length"), seen.body.as_slice()), (Some("4"), &b"four"[..]));
    assert!(seen.get("host").is_some() && seen.get("x-forwarded-for").is_some() && seen.get("via").is_some());
}

#[tokio::test]
async fn a_field_that_ends_here_selects_no_stored_answer() {
    let say = |r: Request| Reply::ok(r.get("x-lang").unwrap_or("default")).field("Vary", "X-Lang");
    let origin = Origin::start(move |r| std::future::ready(say(r).field("Cache-Control", "max-age=60"))).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    let poison = [("Connection", "X-Lang"), ("X-Lang", "de")];
    assert_eq!(client.get_with("/x", &poison).await.text(), "default", "the origin doesn't see it");
    assert_eq!(client.get_with("/x", &[("X-Lang", "de")]).await.text(), "de", "and it isn't kept as German");
    assert!(client.get("/x").await.cache_says("hit"), "but as what it is");
}

#[tokio::test]
async fn an_answer_that_varies_on_the_clients_address_is_not_kept() {
    for name in ["X-Forwarded-For", "Forwarded"] {
        let reply = Reply::ok("for you").field("Vary", name).field("Cache-Control", "max-age=60");
        let origin = Origin::always(reply).await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        assert!(client.get("/x").await.cache_says("detail=vary-client-address"));
        client.get("/x").await;
        assert_eq!(origin.count(), 2, "{name}");
    }
}

#[tokio::test]
async fn via_is_added_both_ways_and_to_what_others_said() {
    let origin = Origin::always(Reply::ok("hi").field("Via", "1.1 inner").field("Cache-Control", "max-age=60")).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for (method, kind) in [("GET", "miss"), ("GET", "hit"), ("POST", "pass")] {
        let answer = client.request(method, "/x", &[("Via", "1.0 outer")], "").await;
        assert_eq!(answer.all("via").join(", "), "1.1 inner, 1.1 freshgate", "{kind}");
        assert_eq!(last(&origin).all("via").join(", "), "1.0 outer, 1.1 freshgate", "{kind}");
        assert!(answer.get("cache-status").is_some(), "{kind}");
    }
}

#[tokio::test]
async fn an_underscore_makes_no_twin_of_a_field_that_is_believed() {
    let reply = |r: Request| Reply::ok(format!("for {}", r.get("x_api_key").unwrap_or("nobody")));
    let origin = Origin::start(move |r| std::future::ready(reply(r))).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    let twins = [
        ("X_Forwarded_For", "1.2.3.4"),
        ("X-Forwarded_Host", "b"),
        ("Transfer_Encoding", "chunked"),
        ("Content_Length", "9"),
    ];
    client.request("GET", "/fields", &[&twins[..], &[("X_Own", "1")]].concat(), "").await;
    let seen = last(&origin);
    for (name, _) in twins {
        assert_eq!(seen.get(name), None, "{name}");
    }
    assert_eq!(seen.get("x_own"), Some("1"), "others pass");
    assert_eq!(client.get_with("/x", &[("X_Api_Key", "alice")]).await.text(), "for alice");
    assert_eq!(client.get("/x").await.text(), "for nobody", "hers alone");
}

const CLAIMS: [(&str, &str); 5] = [
    ("Surrogate-Capability", "outer=\"ESI/1.0\""),
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Host", "shop.example"),
    ("X-Forwarded-Proto", "https"),
    ("Forwarded", "for=203.0.113.9;host=shop.example;proto=https"),
];

#[tokio::test]
async fn a_stranger_cannot_say_for_whom_it_asks() {
    let origin = echo().await;
    let gateway = Gateway::before(&origin, "").await;
    for (method, path) in [("GET", "/x"), ("POST", "/x")] {
        gateway.client().await.host("a.example:81").request(method, path, &CLAIMS, "").await;
        let seen = last(&origin);
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"), "{method}");
        assert_eq!(seen.get("x-forwarded-host"), Some("a.example:81"));
        assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
        assert_eq!(seen.get("forwarded"), Some("for=127.0.0.1;host=\"a.example:81\";proto=http"));
        assert_eq!(seen.get("surrogate-capability"), Some("freshgate=\"Surrogate/1.0\""), "nor what he can do");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_added_to() {
    let origin = echo().await;
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]", origin.url());
    let gateway = Gateway::trusting("127.0.0.0/8", &api).await;
    gateway.client().await.host("a.example").get_with("/x", &CLAIMS).await;
    let seen = last(&origin);
    assert_eq!(seen.get("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.example"));
    assert_eq!(seen.get("x-forwarded-proto"), Some("https"));
    let forwarded = "for=203.0.113.9;host=shop.example;proto=https, for=127.0.0.1;host=\"a.example\";proto=http";
    assert_eq!(seen.get("forwarded"), Some(forwarded));
    let capable = "outer=\"ESI/1.0\", freshgate=\"Surrogate/1.0\"";
    assert_eq!(seen.get("surrogate-capability"), Some(capable));
}

#[tokio::test]
async fn the_origin_sees_the_host_that_the_operator_chose() {
    for (rule, expected) in [("", None), ("client", Some("a.example:81")), ("name.example", Some("name.example"))] {
        let origin = echo().await;
        let line = if rule.is_empty() { String::new() } else { format!("host_header = \"{rule}\"") };
        let gateway = Gateway::before(&origin, &line).await;
        for method in ["GET", "PUT"] {
            gateway.client().await.host("A.example:81").request(method, "/x", &[], "").await;
            assert_eq!(
                last(&origin).get("host"),
                Some(expected.unwrap_or(&origin.addr.to_string())),
                "{rule} {method}"
            );
        }
    }
}

#[tokio::test]
async fn a_prefix_is_stripped_and_locations_are_mapped_back() {
    let origin = Origin::start(|r| async move {
        let to = r.get("x-to").unwrap_or("").to_owned();
        Reply::status(201).field("Location", &to).field("Content-Location", to).field("X-Target", r.target)
    })
    .await;
    let api = format!(
        "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/shop/v1\"\nupstream = [\"{}/inner\"]\nstrip_prefix = true",
        origin.url()
    );
    let gateway = Gateway::with("", &api).await;
    let mut client = gateway.client().await;
    let absolute = format!("{}/inner/books/7", origin.url());
    for (to, expected) in [
        ("/inner/books/7?x=1", "/shop/v1/books/7?x=1"),
        (absolute.as_str(), "/shop/v1/books/7"),
        ("/inner", "/shop/v1"),
        ("/innermost/7", "/innermost/7"),
        ("http://elsewhere.example/inner/books", "http://elsewhere.example/inner/books"),
        ("//elsewhere.example/inner/books", "//elsewhere.example/inner/books"),
        ("7", "7"),
    ] {
        let answer = client.request("POST", "/shop/v1/books?q=1", &[("X-To", to)], "").await;
        assert_eq!((answer.get("location"), answer.get("content-location")), (Some(expected), Some(expected)), "{to}");
        assert_eq!(answer.get("x-target"), Some("/inner/books?q=1"));
    }
    assert_eq!(client.get("/shop/v1").await.get("x-target"), Some("/inner/"));
    assert_eq!(client.get("/shop/v12").await.status, 404);
}

#[tokio::test]
async fn what_is_keyed_is_what_the_origin_gets() {
    let origin = Origin::start(|r| async move {
        let cookie = r.get("cookie").unwrap_or("none").to_owned();
        Reply::ok(format!("{} {cookie}", r.target)).field("Cache-Control", "public, max-age=60")
    })
    .await;
    let rest = "key = { query = { ignore = [\"utm_*\"] }, cookies = { ignore = [\"_ga*\"] } }";
    let gateway = Gateway::before(&origin, rest).await;
    let mut client = gateway.client().await;
    let cookie = [("Cookie", "_ga=1; session=2; _gat=3")];
    assert_eq!(client.get_with("/x?b=2&utm_source=mail&a=1", &cookie).await.text(), "/x?a=1&b=2 session=2");
    assert!(client.get_with("/x?a=1&b=2&utm_source=web", &[("Cookie", "session=2")]).await.cache_says("hit"));
    assert_eq!(client.get_with("/y", &[("Cookie", "_ga=1")]).await.text(), "/y none");
    let written = client.request("POST", "/x?b=2&utm_source=mail&a=1", &cookie, "").await;
    assert_eq!(written.text(), "/x?b=2&utm_source=mail&a=1 _ga=1; session=2; _gat=3", "a write goes as written");
}

#[tokio::test]
async fn problems_are_json_and_name_nobody_inside() {
    let origin = Origin::always(Reply::nothing()).await;
    let apis = format!(
        "[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/a\"\nupstream = [\"{}\"]\n\
         [[api]]\nname = \"b\"\nversion = \"v1\"\npath = \"/b\"\nupstream = [\"http://no-such-host.invalid:9\"]",
        origin.url()
    );
    let gateway = Gateway::with("[server.limits]\nrequest_body = \"8B\"", &apis).await;
    let port = origin.addr.port().to_string();
    for (method, path, fields, status, name) in [
        ("GET", "/a", &[][..], 502, "origin-closed"),
        ("POST", "/a", &[], 502, "origin-closed"),
        ("OPTIONS", "/a", &[], 502, "origin-closed"),
        ("GET", "/b", &[], 502, "origin-unresolved"),
        ("GET", "/c", &[], 404, "no-api"),
        ("GET", "/a/%zz", &[], 400, "bad-escape"),
        ("TRACE", "/a", &[], 405, "method-refused"),
        ("PUT", "/a", &[("Content-Length", "9")], 413, "request-too-large"),
        ("GET", "/a/y", &[("Cache-Control", "only-if-cached")], 504, "only-if-cached"),
    ] {
        let answer = gateway.client().await.request(method, path, fields, "").await;
        let json = answer.json();
        assert_eq!((answer.status, json["status"].as_u64()), (status, Some(u64::from(status))), "{method} {path}");
        assert_eq!(json["type"], format!("urn:freshgate:problem:{name}"), "{method} {path}");
        assert_eq!(answer.get("content-type"), Some("application/problem+json"));
        assert_eq!(answer.get("via"), Some("1.1 freshgate"), "{method} {path}");
        assert!(answer.cache_says(&format!("detail={name}")), "{method} {path}: {:?}", answer.all("cache-status"));
        let all = format!("{}{}", String::from_utf8_lossy(&answer.raw_head), answer.text());
        assert!(!all.contains(&port) && !all.contains("no-such-host"), "{all}");
    }
}

/// What a key doesn't know mustn't make an answer that everybody gets.
#[tokio::test]
async fn what_only_a_proxy_may_say_is_dropped_from_strangers() {
    let origin = echo().await;
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]", origin.url());
    let claims = [
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-Port", "81"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Host", "evil.example"),
    ];
    for (gateway, kept) in [(Gateway::with("", &api).await, false), (Gateway::trusting("127.0.0.1", &api).await, true)]
    {
        for method in ["GET", "POST"] {
            gateway.client().await.request(method, "/x", &claims, "").await;
            let seen = last(&origin);
            for (name, value) in claims {
                let overrides = ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override"].contains(&name);
                let kept = kept && !overrides;
                assert_eq!(seen.get(&name.to_ascii_lowercase()), kept.then_some(value), "{method} {name}");
            }
        }
    }
}
