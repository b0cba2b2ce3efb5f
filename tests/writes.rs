//! What a write invalidates: by method, by answer, by place, by spelling, by name.

#![cfg(test)]

mod support;

use support::{Client, Gate, Gateway, Origin, Reply};

type Covers<'a> = &'a dyn Fn(&str) -> bool;
type Fields<'a> = &'a [(&'a str, &'a str)];

/// Answers everything with 200, unless the request says `x-status` and with it `x-field: name=value`.
async fn origin() -> Origin {
    Origin::start(async |request| {
        let status = request.get("x-status").map_or(200, |s| s.parse().unwrap());
        let reply = Reply::status(status).body(format!("{} {}", request.method, request.target));
        match request.get("x-field").and_then(|field| field.split_once('=')) {
            Some((name, value)) => reply.field(name, value),
            None => reply,
        }
    })
    .await
}

/// Reads each until it comes from the cache.
async fn warm(client: &mut Client, targets: &[&str]) {
    for target in targets {
        client.get(target).await;
        assert!(client.get(target).await.cache_says("hit"), "{target} isn't kept");
    }
}

/// Those that a read wouldn't get from the cache. It asks for what is cached only, so it changes nothing.
async fn gone<'a>(client: &mut Client, targets: &[&'a str]) -> Vec<&'a str> {
    let mut gone = Vec::new();
    for target in targets {
        match client.get_with(target, &[("cache-control", "only-if-cached")]).await {
            answer if answer.cache_says("hit") => {}
            answer => {
                assert_eq!(answer.status, 504, "{target}");
                gone.push(*target);
            }
        }
    }
    gone
}

fn api(name: &str, path: &str, upstream: &str, rest: &str) -> String {
    format!(
        "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"{path}\"\nupstream = [\"{upstream}\"]\nttl = \"10m\"\n{rest}\n"
    )
}

#[tokio::test]
async fn a_write_is_seen_by_the_next_read() {
    let origin = Origin::start(|r| async move { Reply::ok(format!("{} {}", r.method, r.target)) }).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    assert!(client.get("/books/1").await.cache_says("fwd=uri-miss"));
    assert!(client.get("/books/1").await.cache_says("hit"));
    assert_eq!(client.put("/books/1", "{}").await.status, 200);
    assert!(!client.get("/books/1").await.cache_says("hit"));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn every_method_that_isnt_known_to_be_safe_invalidates() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    for (method, invalidates) in [
        ("PUT", true),
        ("POST", true),
        ("PATCH", true),
        ("DELETE", true),
        ("MOVE", true),
        ("PROPPATCH", true),
        ("PURGE", true), // only a method like others as long as `purge_method` is off
        ("FROB", true),
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("QUERY", false),
        ("TRACE", false), // refused
    ] {
        warm(&mut client, &["/books/1"]).await;
        let mut writer = gateway.client().await;
        writer.request(method, "/books/1", &[], "").await;
        let is_gone = !gone(&mut client, &["/books/1"]).await.is_empty();
        assert_eq!(is_gone, invalidates, "{method}");
    }
}

#[tokio::test]
async fn what_the_answer_says_about_the_write() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\nlogin = [\"/login\", \"/sign-in\"]").await;
    let mut client = gateway.client().await;
    let applied = [200, 201, 202, 203, 204, 205, 207, 299, 300, 301, 302, 303, 304, 307, 308].map(|s| (s, "", true));
    let refused = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 428, 429, 499, 500, 501, 505, 599];
    let unknown = [502, 503, 504].map(|s| (s, "", true));
    let redirects = [
        (302, "location=/books", true),
        (303, "location=/logins", true),
        (303, "location=/login", false),
        (303, "location=/login?next=/x", false),
        (302, "location=https://sso.example/sign-in#top", false),
        (307, "location=http://sso.example/login", false),
        (302, "location=/sign-in/help", true),
        (201, "location=/login", true),
    ];
    let all = applied.into_iter().chain(refused.map(|s| (s, "", false))).chain(unknown).chain(redirects);
    for (n, (status, field, invalidates)) in all.enumerate() {
        let target = format!("/books/{n}"); // each its own, since an unknown outcome settles for a while
        warm(&mut client, &[&target]).await;
        let status = status.to_string();
        let told = [("x-status", status.as_str()), ("x-field", field)];
        assert_eq!(client.request("PUT", &target, &told, "{}").await.status.to_string(), status);
        let is_gone = !gone(&mut client, &[&target]).await.is_empty();
        assert_eq!(is_gone, invalidates, "{status} {field}");
    }
}

/// Reads around `PUT /shop/eu/books/1`, where the API begins at `/shop`.
const AROUND: [(&str, &str, Fields<'_>); 22] = [
    ("own", "/shop/eu/books/1", &[]),
    ("own with a query", "/shop/eu/books/1?page=2", &[]),
    ("own with another query", "/shop/eu/books/1?a=b&c=d", &[]),
    ("own with a slash", "/shop/eu/books/1/", &[]),
    ("own in another variant", "/shop/eu/books/1", &[("accept-language", "mi")]),
    ("own of another caller", "/shop/eu/books/1", &[("authorization", "Bearer alice")]),
    ("own of a cookie", "/shop/eu/books/1?page=2", &[("cookie", "session=7")]),
    ("child", "/shop/eu/books/1/pages", &[]),
    ("child with a query", "/shop/eu/books/1/pages?n=1", &[]),
    ("grandchild", "/shop/eu/books/1/pages/7", &[]),
    ("grandchild of another caller", "/shop/eu/books/1/pages/7", &[("x-api-key", "k")]),
    ("sibling", "/shop/eu/books/2", &[]),
    ("sibling's child", "/shop/eu/books/2/pages", &[]),
    ("lookalike", "/shop/eu/books/10", &[]),
    ("parent", "/shop/eu/books", &[]),
    ("parent with a query", "/shop/eu/books/?author=x", &[]),
    ("grandparent", "/shop/eu", &[]),
    ("uncle", "/shop/eu/authors", &[]),
    ("API root", "/shop", &[]),
    ("API root with a query", "/shop/?all", &[]),
    ("above the API", "/", &[]),
    ("outside", "/shopping/eu/books/1", &[]),
];

#[tokio::test]
async fn how_far_a_write_reaches() {
    let origin = origin().await;
    let own = |label: &str| label.starts_with("own");
    let inside = |label: &str| !["above the API", "outside"].contains(&label);
    let cases: [(&str, Covers<'_>); 4] = [
        ("self", &own),
        ("collection", &|l| own(l) || l.starts_with("parent")),
        ("tree", &|l| inside(l) && !l.starts_with("sibling") && !["lookalike", "uncle"].contains(&l)),
        ("api", &inside),
    ];
    for (setting, reached) in cases {
        let shop = api("shop", "/shop", &origin.url(), &format!("invalidate = \"{setting}\""));
        let gateway = Gateway::with("", &(shop + &api("rest", "/", &origin.url(), ""))).await;
        let mut client = gateway.client().await;
        for (label, target, fields) in AROUND {
            client.get_with(target, fields).await;
            assert!(client.get_with(target, fields).await.cache_says("hit"), "{label} isn't kept");
        }
        assert_eq!(client.put("/shop/eu/books/1?from=here", "{}").await.status, 200);
        for (label, target, fields) in AROUND {
            let is_gone = !client.get_with(target, fields).await.cache_says("hit");
            assert_eq!(is_gone, reached(label), "{setting}: {label}");
        }
    }
}

#[tokio::test]
async fn a_write_at_the_root_of_an_api() {
    let origin = origin().await;
    let apis = api("shop", "/shop", &origin.url(), "") + &api("rest", "/", &origin.url(), "");
    let gateway = Gateway::with("", &apis).await;
    let mut client = gateway.client().await;
    let reads = ["/", "/x", "/shop", "/shop/a", "/shop/a/b"];
    warm(&mut client, &reads).await;
    client.post("/shop/", "{}").await;
    assert_eq!(gone(&mut client, &reads).await, ["/shop", "/shop/a", "/shop/a/b"]);
    warm(&mut client, &reads).await;
    client.post("/", "{}").await;
    assert_eq!(gone(&mut client, &reads).await, reads, "what lies below, whichever API it was read through");
}

#[tokio::test]
async fn however_a_path_is_spelled() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\ninvalidate = \"self\"").await;
    let mut client = gateway.client().await;
    let groups: [&[&str]; 3] = [
        &[
            "/books/1",
            "/books/1/",
            "//books///1",
            "/%62ooks/%31",
            "/books;v=1/1",
            "/books/1;lang=mi/",
            "/books%3Bv=1/1",
            "/books/./1",
            "/x/../books/1",
            "/x/%2e%2E/books/1",
            "/books%2F1",
            "/books%2f1",
            "/books/%2F1",
            "/books%252F1",
        ],
        &["/caf%C3%A9", "/caf%c3%a9/"],
        &["/a%20b", "/%61%20b;x"],
    ];
    for group in groups {
        for spelling in group {
            warm(&mut client, group).await;
            client.put(spelling, "{}").await;
            assert_eq!(gone(&mut client, group).await, group, "after a write to {spelling}");
        }
    }
    let apart = ["/books/1", "/Books/1", "/books/10", "/books"];
    warm(&mut client, &apart).await;
    client.put("/books/1", "{}").await;
    assert_eq!(gone(&mut client, &apart).await, ["/books/1"]);
}

/// The same resource under three public addresses, and another origin's.
async fn aliases(origin: &Origin, other: &Origin) -> Gateway {
    let base = format!("{}/lib/", origin.url());
    let apis = [
        api("stripped", "/v1", &base, "strip_prefix = true"),
        api("plain", "/lib", &origin.url(), ""),
        api("hosted", "/", &base, "strip_prefix = true\nhost = \"books.example\""),
        api("balanced", "/two", &base, "strip_prefix = true")
            .replace("lib/\"]", &format!("lib\", \"{}/lib\"]", other.url())),
    ];
    Gateway::with("", &apis.concat()).await
}

#[tokio::test]
async fn addresses_that_lead_to_one_resource_share_its_fate() {
    let (origin, other) = (origin().await, origin_named("other").await);
    let gateway = aliases(&origin, &other).await;
    let reads = [("a", "/v1/books/1"), ("a", "/lib/books/1"), ("Books.Example.:80", "/books/1"), ("b", "/two/books/1")];
    let mut client = gateway.client().await;
    for (host, target) in reads {
        for (host, target) in reads {
            client.get_with(target, &[("host", host)]).await;
            assert!(client.get_with(target, &[("host", host)]).await.cache_says("hit"), "{target}");
        }
        client.request("DELETE", target, &[("host", host)], "").await;
        for (host, seen) in reads {
            assert!(!client.get_with(seen, &[("host", host)]).await.cache_says("hit"), "{seen} after {target}");
        }
    }
}

async fn origin_named(name: &'static str) -> Origin {
    Origin::always(Reply::ok(name)).await
}

#[tokio::test]
async fn another_origins_paths_are_let_alone() {
    let (one, two) = (origin().await, origin_named("two").await);
    let apis =
        api("one", "/one", &one.url(), "strip_prefix = true") + &api("two", "/two", &two.url(), "strip_prefix = true");
    let gateway = Gateway::with("", &apis).await;
    let mut client = gateway.client().await;
    warm(&mut client, &["/one/books/1", "/two/books/1"]).await;
    client.put("/one/books/1", "{}").await;
    assert_eq!(gone(&mut client, &["/one/books/1", "/two/books/1"]).await, ["/one/books/1"]);
}

#[tokio::test]
async fn location_and_content_location_of_the_same_origin() {
    let (origin, other) = (origin().await, origin_named("other").await);
    let gateway = aliases(&origin, &other).await;
    let (near, far) = (gateway.addr, origin.addr);
    let mut client = gateway.client().await;
    for (reference, meant) in [
        ("/v1/books/8", true), // as the client sees it
        ("/v1/books/8?x=1#y", true),
        ("/lib/books/8", true), // as the origin does
        ("/books/8", true),     // as the origin does below its base
        ("books/8", true),      // relative
        ("./x/../books/8/", true),
        (&*format!("http://{near}/v1/books/8"), true),
        (&*format!("//{near}/v1/books/8"), true),
        (&*format!("https://{near}/v1/books/8"), true), // TLS ends before us
        (&*format!("http://{far}/lib/books/8"), true),
        (&*format!("HTTP://{far}/lib/%62ooks/8"), true),
        ("http://elsewhere.example/v1/books/8", false),
        ("http://elsewhere.example/lib/books/8", false),
        ("//elsewhere.example/lib/books/8", false),
        (&*format!("http://me@{far}/lib/books/8"), false),
        ("mailto:books/8", false),
        ("/v1/books/9", false),
        ("/v1/books/8/pages", false),
        ("", false),
    ] {
        for name in ["location", "content-location"] {
            warm(&mut client, &["/v1/books/8", "/v1/books/8?x=1"]).await;
            let field = format!("{name}={reference}");
            let told = [("x-status", "201"), ("x-field", field.as_str())];
            let answer = client.request("POST", "/v1/orders", &told, "{}").await;
            assert_eq!(answer.status, 201);
            let is_gone = gone(&mut client, &["/v1/books/8", "/v1/books/8?x=1"]).await.len();
            assert_eq!(is_gone, if meant { 2 } else { 0 }, "{field}");
        }
    }
    let told = [("x-status", "404"), ("x-field", "location=/v1/books/8")];
    client.request("POST", "/v1/orders", &told, "{}").await;
    assert!(gone(&mut client, &["/v1/books/8"]).await.is_empty(), "a write that was refused names nothing");
}

/// Only the API that was written to was looked at.
#[tokio::test]
async fn location_may_lead_to_another_api_of_this_host() {
    let (one, two) = (origin().await, origin_named("two").await);
    let apis = [
        api("one", "/one", &one.url(), "strip_prefix = true"),
        api("two", "/two", &two.url(), "strip_prefix = true"),
        api("hosted", "/two", &two.url(), "host = \"b.example\""),
    ];
    let gateway = Gateway::with("", &apis.concat()).await;
    let mut client = gateway.client().await.host("a.example");
    for reference in ["/two/books/8", "../two/books/8", "http://a.example/two/books/8"] {
        warm(&mut client, &["/two/books/8", "/two/books"]).await;
        let field = format!("location={reference}");
        client.request("POST", "/one/orders", &[("x-status", "303"), ("x-field", &field)], "{}").await;
        assert_eq!(gone(&mut client, &["/two/books/8", "/two/books"]).await, ["/two/books/8"], "{reference}");
    }
    for reference in ["http://b.example/two/books/8", "/two/books/9", "/one/books/8"] {
        warm(&mut client, &["/two/books/8"]).await;
        let field = format!("location={reference}");
        client.request("POST", "/one/orders", &[("x-status", "303"), ("x-field", &field)], "{}").await;
        assert_eq!(gone(&mut client, &["/two/books/8"]).await, [""; 0], "{reference}");
    }
}

/// RFC 9875. Groups are tags as well, but an origin's, whichever API it was read through.
#[tokio::test]
async fn cache_groups_that_an_answer_names() {
    let (origin, other) = (
        Origin::start(async |r| match (r.target.strip_prefix("/books/"), r.method.as_str()) {
            (Some(groups), "GET") => Reply::ok("").field("cache-groups", groups.replace('+', ", ").replace('\'', "\"")),
            _ => Reply::status(r.get("x-status").map_or(200, |s| s.parse().unwrap_or(500)))
                .field("cache-group-invalidation", r.get("x-groups").unwrap_or_default()),
        })
        .await,
        Origin::always(Reply::ok("").field("cache-groups", "\"a\"")).await,
    );
    let apis = [
        api("one", "/one", &origin.url(), "strip_prefix = true\ninvalidate = \"self\""),
        api("same", "/same", &origin.url(), "strip_prefix = true"),
        api("other", "/other", &other.url(), "strip_prefix = true"),
    ];
    let gateway = Gateway::with("", &apis.concat()).await;
    let mut client = gateway.client().await;
    let reads = [
        "/one/books/'a'",
        "/one/books/'A'",
        "/one/books/'b'+'a'",
        "/one/books/a",
        "/same/books/'a';x",
        "/other/books/a",
    ];
    let of_a = ["/one/books/'a'", "/one/books/'b'+'a'", "/same/books/'a';x"];
    for (method, status, groups, reached) in [
        ("POST", "200", "\"x\", \"a\";v=1", &of_a[..]),
        ("DELETE", "303", "\"a\"", &of_a),
        ("POST", "200", "\"b\"", &of_a[1..2]),
        ("POST", "200", "a", &[]),
        ("POST", "404", "\"a\"", &[]),
        ("OPTIONS", "200", "\"a\"", &[]),
        ("GET", "200", "\"a\"", &[]),
    ] {
        warm(&mut client, &reads).await;
        client.request(method, "/one/orders", &[("x-status", status), ("x-groups", groups)], "").await;
        assert_eq!(gone(&mut client, &reads).await, reached, "{method} {status} {groups}");
    }
    warm(&mut client, &reads).await;
    gateway.purge(serde_json::json!({ "tag": "a", "api": "one/v1" })).await;
    assert_eq!(gone(&mut client, &reads).await, of_a[..2]);
}

const PURGES: &str = r#"
invalidate = "self"
[[api.purge]]
on = "PUT,DELETE /books/{id}"
paths = ["/authors/*/books", "/lists/{id}", "/reports/**", "/shelves/{id}/*", "/covers/{id}/"]
tags = ["book-{id}", "books"]
[[api.purge]]
on = "/anything/**"
paths = ["/log"]
"#;

#[tokio::test]
async fn what_the_file_names() {
    let origin = Origin::start(async |request| {
        let tags = request.target.strip_prefix("/tagged/").unwrap_or_default().replace('+', " ");
        Reply::ok("").field("surrogate-key", tags.replace("/", ""))
    })
    .await;
    let gateway =
        Gateway::with("", &(api("one", "/", &origin.url(), PURGES) + &api("two", "/two", &origin.url(), ""))).await;
    let mut client = gateway.client().await;
    let reached = [
        "/books/7",
        "/authors/a/books",
        "/authors/b/books/?page=2",
        "/lists/7",
        "/lists/7/?x",
        "/reports",
        "/reports/2024/may",
        "/shelves/7/top",
        "/covers/7",
        "/tagged/x+book-7",
        "/tagged/books",
    ];
    let left = [
        "/books",
        "/books/8",
        "/authors/a",
        "/authors/a/b/books",
        "/lists/8",
        "/lists/7/more",
        "/reporters",
        "/shelves/8/top",
        "/shelves/7",
        "/tagged/book-8",
        "/tagged/book-77",
        "/two/tagged/book-7",
        "/log",
    ];
    let all = [&reached[..], &left].concat();
    warm(&mut client, &all).await;
    client.post("/books/7", "{}").await;
    assert_eq!(gone(&mut client, &all).await, ["/books/7"], "POST isn't named");
    warm(&mut client, &all).await;
    client.put("/books/7", "{}").await;
    assert_eq!(gone(&mut client, &all).await, reached);
    warm(&mut client, &all).await;
    client.request("FROB", "/anything/at/all", &[], "").await;
    assert_eq!(gone(&mut client, &all).await, ["/log"], "no method written means every one");
}

/// A rule was matched against the path as written, while paths are invalidated whatever their spelling.
#[tokio::test]
async fn what_the_file_names_however_it_is_spelled() {
    let origin = Origin::start(async |r| match r.target.starts_with("/tagged") {
        true => Reply::ok("").field("xkey", "book-7"),
        false => Reply::ok(""),
    })
    .await;
    let gateway = Gateway::before(&origin, &format!("ttl = \"10m\"\n{PURGES}")).await;
    let mut client = gateway.client().await;
    let reads = ["/tagged", "/lists/7", "/lists;v=2/7", "/shelves/7/top", "/shelves;a/7;b/top", "/authors%2Fa/books"];
    for spelling in ["/books/7", "/books/7/", "//books/7", "/books;v=1/7", "/books/7;v=1", "/books%2F7", "/%62ooks/%37"]
    {
        warm(&mut client, &reads).await;
        client.put(spelling, "{}").await;
        assert_eq!(gone(&mut client, &reads).await, reads, "after a write to {spelling}");
    }
}

#[tokio::test]
async fn safe_routes_and_options_never_invalidate() {
    let origin = origin().await;
    let safe = "ttl = \"10m\"\n[[api.route]]\non = \"POST /search\"\nsafe = true\n[[api.purge]]\non = \"/search\"\npaths = [\"/books\"]";
    let gateway = Gateway::before(&origin, safe).await;
    let mut client = gateway.client().await;
    let reads = ["/", "/search", "/search?q=1", "/books"];
    warm(&mut client, &reads).await;
    for (method, target) in
        [("POST", "/search"), ("POST", "/search/?q=1"), ("OPTIONS", "/search"), ("OPTIONS", "/books")]
    {
        for status in ["200", "303", "503"] {
            client.request(method, target, &[("x-status", status)], "").await;
            assert!(gone(&mut client, &reads).await.is_empty(), "{method} {target} {status}");
        }
    }
    client.put("/search", "{}").await;
    assert_eq!(gone(&mut client, &reads).await, reads, "only POST is safe there");
}

/// A write that asked for an upgrade went past the invalidation.
#[tokio::test]
async fn a_write_that_offers_to_upgrade_is_a_write() {
    let origin = origin().await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"\nupgrade = [\"websocket\"]").await;
    let mut client = gateway.client().await;
    warm(&mut client, &["/books/1"]).await;
    let offer = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(client.request("PUT", "/books/1", &offer, "{}").await.text(), "PUT /books/1");
    assert_eq!(gone(&mut client, &["/books/1"]).await, ["/books/1"]);
    assert_eq!(origin.requests().iter().find(|r| r.method == "PUT").unwrap().get("upgrade"), None);
}

/// Only the API's own `strip_prefix` was looked at, so that such a route's ancestors and names were taken for others.
#[tokio::test]
async fn a_route_with_its_own_strip_prefix() {
    let origin = origin().await;
    let rest = r#"
[[api.route]]
on = "/books/**"
strip_prefix = true
[[api.purge]]
on = "PUT /books/{id}"
paths = ["/lists/{id}"]
[[api.purge]]
on = "PUT /lists/{id}"
paths = ["/books/{id}/notes"]
"#;
    let gateway = Gateway::with("", &api("shop", "/shop", &origin.url(), rest)).await;
    let mut client = gateway.client().await;
    let reads = ["/shop/books", "/shop/books/1", "/shop/books/1/notes", "/shop/lists/1"];
    warm(&mut client, &reads).await;
    client.put("/shop/books/1", "{}").await;
    assert_eq!(gone(&mut client, &reads).await, reads);
    warm(&mut client, &reads).await;
    client.put("/shop/lists/1", "{}").await;
    assert_eq!(gone(&mut client, &reads).await, ["/shop/books/1/notes", "/shop/lists/1"]);
}

#[tokio::test]
async fn the_answer_to_a_write_other_than_post_is_not_served_to_reads() {
    let origin = Origin::start(async |r| {
        let reply = Reply::ok(&r.method).field("cache-control", "public, max-age=600");
        reply.field("content-location", r.target).field("etag", "\"1\"")
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    for method in ["PUT", "PATCH", "DELETE", "FROB"] {
        assert_eq!(client.request(method, "/books/1", &[], "").await.text(), method);
        let read = client.get("/books/1").await;
        assert!(read.text() == "GET" && !read.cache_says("hit"), "after {method}: {read:?}");
        assert_eq!(client.request(method, "/books/1", &[], "").await.text(), method, "nor is a read's to a write");
    }
}

#[tokio::test]
async fn invalidation_is_complete_before_the_answer_begins_and_again_before_it_ends() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::start(move |r| {
        let reply = if r.method == "PUT" { Reply::ok("begun ").wait(&held).body("ended") } else { Reply::ok("read") };
        std::future::ready(reply)
    })
    .await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let (mut reader, mut writer) = (gateway.client().await, gateway.client().await);
    warm(&mut reader, &["/books/1", "/books"]).await;
    writer.send("PUT", "/books/1", &[], "{}").await;
    assert_eq!(writer.answer_head().await.unwrap().status, 200);
    assert_eq!(gone(&mut reader, &["/books/1", "/books"]).await, ["/books/1", "/books"]);
    warm(&mut reader, &["/books/1", "/books"]).await;
    gate.open();
    assert_eq!(writer.at_least(11).await, b"begun ended");
    let gone = gone(&mut reader, &["/books/1", "/books"]).await;
    assert_eq!(gone, ["/books/1", "/books"], "nobody knows when between the two it was applied");
}

#[tokio::test]
async fn a_write_that_never_left_invalidates_nothing() {
    let origin = Origin::always(Reply::ok("here").field("connection", "close").close()).await;
    let gateway = Gateway::before(&origin, "ttl = \"10m\"").await;
    let mut client = gateway.client().await;
    warm(&mut client, &["/books/1"]).await;
    drop(origin);
    assert_eq!(client.put("/books/1", "{}").await.status, 502);
    assert!(gone(&mut client, &["/books/1"]).await.is_empty(), "the origin was never reached");
    let refused = [("content-length", "1"), ("content-length", "2")];
    let mut other = gateway.client().await;
    assert_eq!(other.request("PUT", "/books/1", &refused, "").await.status, 400);
    assert!(gone(&mut client, &["/books/1"]).await.is_empty(), "refused here");
}
