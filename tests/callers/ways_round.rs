//! Ways round a check, and into somebody else's partition, that were found by trying: one test for each.

use crate::jwt::{Issuer, claims, with_token};
use crate::support::{Gate, Gateway, Origin, Reply, TOKEN, within};
use crate::{ALICE, BOB, get, key, numbered};
use jsonwebtoken::Algorithm;
use serde_json::json;
use std::future::ready;

/// What the origin got, as its answer: fresh for a minute.
async fn echo(names: &'static [&'static str]) -> Origin {
    Origin::start(move |request| {
        let told = names.iter().map(|name| format!("{name}={} ", request.all(name).join("|"))).collect::<String>();
        ready(Reply::ok(format!("{told}{}", request.target)).field("Cache-Control", "max-age=60"))
    })
    .await
}

fn one_key() -> String {
    format!("auth = {{ kind = \"api-key\", keys = [{}] }}", key("alice", "", "alice-secret"))
}

#[tokio::test]
async fn a_path_that_others_read_otherwise_is_no_way_around_a_check() {
    let origin = numbered().await;
    let strict = format!("{}\n[[api.route]]\non = \"GET /users/{{id}}\"\nauth = {{ kind = \"none\" }}", one_key());
    let strict = Gateway::before(&origin, &strict).await;
    let open = Gateway::before(&origin, &format!("[[api.route]]\non = \"GET /admin/**\"\n{}", one_key())).await;
    let rows = [
        (&strict, "GET", "/users/7", 200),
        (&strict, "HEAD", "/users/7", 200),
        (&strict, "GET", "/users/7%20b", 200),
        (&strict, "GET", "/users/caf%C3%A9", 200),
        (&strict, "GET", "/users/7/orders", 401),
        (&strict, "GET", "/users/7%2Forders", 400),
        (&strict, "GET", "/users/7%252Forders", 400),
        (&open, "GET", "/caf%C3%A9;x", 200),
        (&open, "GET", "/admin/x", 401),
        (&open, "HEAD", "/admin/x", 401),
        (&open, "GET", "/admin;a=b/x", 400),
        (&open, "GET", "/admin%2Fx", 400),
        (&open, "GET", "/;/admin/x", 400),
        (&open, "GET", "/admin%20/x", 400),
        (&open, "get", "/admin/x", 400),
    ];
    for (gateway, method, target, status) in rows {
        let answer = gateway.client().await.request(method, target, &[], "").await;
        assert_eq!(answer.status, status, "{method} {target} {answer:?}");
    }
    let let_in = rows.iter().filter(|row| row.3 == 200).count();
    assert!(origin.count() < let_in, "and a HEAD was answered from memory");
    // The same where another API's check is gone round.
    let apis = format!(
        "[[api]]\nname = \"open\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{0}\"]\n\
         [[api]]\nname = \"shut\"\nversion = \"v1\"\npath = \"/shop\"\nupstream = [\"{0}\"]\n{1}\n",
        origin.url(),
        one_key()
    );
    let two = Gateway::with("", &apis).await;
    for (target, status) in [("/shop/a", 401), ("/shop%2Fa", 400), ("/shop;x/a", 400), ("/shopping", 200)] {
        assert_eq!(two.client().await.get(target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_claim_that_nobody_has_given_makes_nobody_one_with_others() {
    let (origin, issuer) = (numbered().await, Issuer::new(Algorithm::ES256));
    let gateway = Gateway::before(&origin, &format!("{}\nkey = {{ share = \"claim:tenant\" }}", issuer.api(""))).await;
    for (n, tenant) in ["", "[]", "[1e20]", "{\"a\":[1e30]}"].iter().enumerate() {
        let tenant = serde_json::from_str(tenant).unwrap_or_else(|_| json!(""));
        for (m, user) in ["a", "b"].iter().enumerate() {
            let token = issuer.sign(&claims(&gateway, json!({ "sub": format!("{user}{n}"), "tenant": tenant })));
            assert_eq!(with_token(&gateway, &token).await.text(), (2 * n + m).to_string(), "{tenant}");
        }
    }
    let mut nobodys = claims(&gateway, json!({}));
    for (user, text) in [("a", "8"), ("b", "9")] {
        nobodys["sub"] = json!(user);
        nobodys["tenant"] = json!(null);
        assert_eq!(with_token(&gateway, &issuer.sign(&nobodys)).await.text(), text, "null");
    }
    let large = issuer.sign(&claims(&gateway, json!({ "roles": [1e20] })));
    assert!(with_token(&gateway, &large).await.cache_says("detail=token-incomplete"), "rights that are read alike");
}

#[tokio::test]
async fn a_credential_of_one_route_is_one_on_each() {
    let origin = echo(&["x-ticket"]).await;
    let keys = key("alice", "", "alice-secret");
    let api = format!(
        "auth = {{ kind = \"api-key\", header = \"X-Ticket\", keys = [{keys}] }}\n\
         [[api.route]]\non = \"GET /open\"\nauth = {{ kind = \"none\" }}\n"
    );
    let gateway = Gateway::before(&origin, &api).await;
    assert_eq!(get(&gateway, "/open", &[("X-Ticket", "a")]).await.text(), "x-ticket=a /open");
    assert_eq!(get(&gateway, "/open", &[("X-Ticket", "b")]).await.text(), "x-ticket=b /open");
    assert_eq!(get(&gateway, "/open", &[]).await.text(), "x-ticket= /open");

    let api = format!(
        "auth = {{ kind = \"api-key\", query = \"ticket\", keys = [{keys}] }}\n\
         [[api.route]]\non = \"GET /open\"\nauth = {{ kind = \"none\" }}\n"
    );
    let gateway = Gateway::before(&origin, &api).await;
    assert_eq!(get(&gateway, "/open?a=1&ticket=alice-secret", &[]).await.text(), "x-ticket= /open?a=1");
    let preflight = [("Origin", "https://a"), ("Access-Control-Request-Method", "GET")];
    let answer = gateway.client().await.request("OPTIONS", "/a?ticket=alice-secret", &preflight, "").await;
    assert_eq!(answer.text(), "x-ticket= /a");
    let content = gateway.client().await.request("OPTIONS", "/a", &preflight, "a preflight has none").await;
    assert_eq!(content.status, 401);
}

#[tokio::test]
async fn what_looks_like_an_address_in_forwarded_and_is_more_is_part_of_the_key() {
    let origin = echo(&["forwarded"]).await;
    let apis = format!("[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let gateway = Gateway::trusting("127.0.0.1", &apis).await;
    for hostile in ["for=\"host=evil.example\"", "for=\"x, host=evil.example\"", "by=\"a;host=evil.example\""] {
        assert!(get(&gateway, "/a", &[("Forwarded", hostile)]).await.text().contains("evil"));
        assert!(!get(&gateway, "/a", &[]).await.text().contains("evil"), "{hostile}");
    }
    let asked = origin.count();
    for node in ["for=192.0.2.1", "for=\"[2001:db8::1]:47\"", "for=_hidden;by=unknown"] {
        assert!(get(&gateway, "/a", &[("Forwarded", node)]).await.cache_says("hit"), "{node}");
    }
    assert_eq!(origin.count(), asked);
}

#[tokio::test]
async fn overrides_reach_no_origin_whoever_sends_them() {
    let origin = echo(&["x-http-method-override", "x-original-url", "x_rewrite_url"]).await;
    let apis = format!("[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    let gateway = Gateway::trusting("127.0.0.1", &apis).await;
    let fields = [("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/b"), ("X_Rewrite_URL", "/b")];
    let answer = get(&gateway, "/a", &fields).await;
    assert_eq!(answer.text(), "x-http-method-override= x-original-url= x_rewrite_url= /a");
}

/// Lets in whoever shows something, as alice if it begins so.
async fn judge() -> Origin {
    Origin::start(|request| {
        let shown = request.get("authorization").unwrap_or_default().to_owned();
        let user = if shown.starts_with("Bearer alice") { "alice" } else { "somebody" };
        ready(Reply::ok("").field("X-Original-User", user))
    })
    .await
}

#[tokio::test]
async fn who_has_no_name_is_counted_by_address_whatever_cookies_he_sends() {
    let (origin, judge) = (numbered().await, judge().await);
    let api = format!(
        "auth = {{ kind = \"forward\", url = \"{}/\" }}\nrate = {{ per_caller = {{ requests = 3, per = \"1m\" }} }}",
        judge.url()
    );
    let gateway = Gateway::before(&origin, &api).await;
    let mut statuses = Vec::new();
    for n in 0..5 {
        let cookie = format!("z={n}");
        statuses.push(get(&gateway, "/a", &[("Authorization", "Bearer x"), ("Cookie", &cookie)]).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test]
async fn a_name_alone_says_nothing_of_what_a_token_may_and_the_origin_hears_names_from_the_judge_alone() {
    let (origin, judge) = (echo(&["x-original-user", "authorization"]).await, judge().await);
    let by = |more: &str| {
        let url = judge.url();
        format!("auth = {{ kind = \"forward\", url = \"{url}/\", user_header = \"X-Original-User\"{more} }}")
    };
    let gateway = Gateway::before(&origin, &by("")).await;
    let ask = async |gateway: &Gateway, token: &str| {
        let bearer = format!("Bearer {token}");
        get(gateway, "/a", &[("Authorization", &bearer), ("X-Original-User", "root")]).await.text().to_owned()
    };
    for token in ["alice-full", "alice-restricted"] {
        assert_eq!(ask(&gateway, token).await, format!("x-original-user= authorization=Bearer {token} /a"));
    }
    let gateway = Gateway::before(&origin, &by(", pass_back = [\"X-Original-User\"]")).await;
    assert!(ask(&gateway, "alice-full").await.starts_with("x-original-user=alice "));
}

#[tokio::test]
async fn a_trailer_says_nothing_of_who_is_calling() {
    let (origin, judge) = (Origin::always(Reply::ok("x")).await, judge().await);
    let api = format!(
        "auth = {{ kind = \"forward\", url = \"{}/\", pass_back = [\"X-Groups\", \"X-Original-User\"] }}",
        judge.url()
    );
    let gateway = Gateway::before(&origin, &api).await;
    let mut client = gateway.client().await;
    client
        .send_raw(
            "POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alice\r\nTE: trailers\r\nTrailer: x-groups, x-original-user, x-sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Groups: admin\r\nX_Original_User: root\r\nX-Sum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 200);
    let seen = origin.requests().pop().unwrap();
    let names: Vec<&str> = seen.trailers.0.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| name.eq_ignore_ascii_case("x-sum")), "{names:?}");
}

#[tokio::test]
async fn a_purge_of_a_caller_reaches_what_its_writes_have_left() {
    let origin = Origin::start(|request| {
        let reply = Reply::ok(request.method).field("Cache-Control", "max-age=60");
        ready(if request.target == "/a" { reply.field("Content-Location", "/a") } else { reply })
    })
    .await;
    let gateway = Gateway::before(&origin, &crate::by_key("")).await;
    let posted = gateway.client().await.request("POST", "/a", &[ALICE], "x").await;
    assert_eq!(posted.status, 200);
    gateway.settled().await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.text(), "POST");
    gateway.purge(json!({ "user": "bob" })).await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.text(), "POST");
    gateway.purge(json!({ "user": "alice" })).await;
    assert_eq!(get(&gateway, "/a", &[ALICE]).await.text(), "GET");
    assert_ne!(BOB, ALICE);
}

#[tokio::test]
async fn those_who_wait_for_a_judge_are_counted_and_a_tunnel_takes_a_place() {
    let gate = Gate::closed();
    let held = gate.clone();
    let judge = Origin::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::ok("")
        }
    })
    .await;
    let origin = numbered().await;
    let api = format!(
        "[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nauth = {{ kind = \"forward\", url = \"{}/\" }}\n",
        origin.url(),
        judge.url()
    );
    let gateway = Gateway::with("[server.limits]\nwaiting_requests = 2\n", &api).await;
    let mut waiting = Vec::new();
    for n in 0..2 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{n}"), &[], "").await;
        gate.arrived(n + 1).await;
        waiting.push(client);
    }
    let refused = gateway.client().await.get("/0").await;
    assert_eq!((refused.status, refused.cache_says("detail=judge-unavailable")), (503, true), "{TOKEN}");
    assert_eq!(gateway.reached("waiting_requests").await, 1);
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.answer().await.status, 200);
    }

    let echoing = Origin::raw(|mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
        conn.echo().await;
    })
    .await;
    let api = format!(
        "[[api]]\nname = \"t\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\nupgrade = [\"websocket\"]\n",
        echoing.url()
    );
    let gateway = Gateway::with("[server.limits]\norigin_requests = 1\n", &api).await;
    let switched = async || {
        let mut client = gateway.client().await;
        client.send("GET", "/a", &[("Connection", "upgrade"), ("Upgrade", "websocket")], "").await;
        (client.answer_head().await.unwrap().status, client)
    };
    let (first, tunnel) = switched().await;
    assert_eq!((first, switched().await.0), (101, 503));
    drop(tunnel);
    within("a place", async { while switched().await.0 != 101 {} }).await;
}
