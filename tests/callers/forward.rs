//! A judge's answer: who is asked, what is made of it, and for how long.

use crate::support::{Answer, Client, Gate, Gateway, Origin, Reply, Request};
use crate::{get, numbered};
use serde_json::json;
use std::future::ready;
use std::sync::{Arc, Mutex};

const PASS_BACK: &str = "pass_back = [\"X-User\", \"X-Groups\"], user_header = \"X-User\"";

fn by_judge(judge: &Origin, more: &str) -> String {
    format!("auth = {{ kind = \"forward\", url = \"{}/check?api=shop\", {more} }}", judge.url())
}

/// Lets in whom a token names: `Bearer alice` is alice, `Bearer alice-admin` is alice of the group `admin`, and so is a second token of
/// hers, `Bearer alice-admin-2`. Eve may not.
fn verdict(request: &Request) -> Reply {
    let Some(token) = request.get("authorization").and_then(|field| field.strip_prefix("Bearer ")) else {
        return Reply::status(401)
            .field("WWW-Authenticate", "Basic realm=\"shop\"")
            .field("WWW-Authenticate", "Bearer");
    };
    let mut words = token.split('-');
    let (user, group) = (words.next().unwrap(), words.next().unwrap_or_default());
    match user {
        "eve" => Reply::status(403).body("the judge's own words"),
        _ => Reply::ok("yes").field("X-User", user).field("X-Groups", group).field("X-Other", "not for you"),
    }
}

async fn judge() -> Origin {
    Origin::start(|request| ready(verdict(&request))).await
}

async fn with_token(gateway: &Gateway, target: &str, token: &str) -> Answer {
    get(gateway, target, &[("Authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn a_judge_lets_in_and_names_and_refuses_in_its_own_words() {
    let (origin, judge) = (numbered().await, judge().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge, PASS_BACK)).await;
    assert_eq!(with_token(&gateway, "/a", "alice").await.text(), "0");
    assert_eq!(with_token(&gateway, "/a", "bob").await.text(), "1");
    let again = with_token(&gateway, "/a", "alice").await;
    assert_eq!((again.text(), again.cache_says("hit")), ("0", true));
    for method in ["GET", "HEAD", "PUT", "QUERY"] {
        let stranger = gateway.client().await.request(method, "/a", &[], "").await;
        assert_eq!((stranger.status, stranger.cache_says("detail=judge-refuses")), (401, true), "{method}");
        assert_eq!(stranger.all("www-authenticate"), ["Basic realm=\"shop\"", "Bearer"], "{method}");
        let eve = [("Authorization", "Bearer eve")];
        let eve = gateway.client().await.request(method, "/a", &eve, "").await;
        assert_eq!((eve.status, eve.cache_says("detail=judge-forbids")), (403, true), "{method}");
        assert!(!eve.body.windows(5).any(|words| words == b"judge's"), "its content isn't passed on");
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn nothing_but_2xx_is_a_yes() {
    let says = Arc::new(Mutex::new(Reply::status(200)));
    let their = Arc::clone(&says);
    let judge = Origin::start(move |_| ready(their.lock().unwrap().clone())).await;
    let origin = numbered().await;
    let api = by_judge(&judge, "user_header = \"X-User\", timeout = \"300ms\", remember = 0");
    let gateway = Gateway::before(&origin, &api).await;
    let never = Gate::closed();
    let rows = [
        (Reply::status(200), 200, ""),
        (Reply::status(204), 200, ""),
        (Reply::status(299), 200, ""),
        (Reply::status(302).field("Location", "/login"), 401, "judge-refuses"),
        (Reply::status(304), 401, "judge-refuses"),
        (Reply::status(401), 401, "judge-refuses"),
        (Reply::status(403), 403, "judge-forbids"),
        (Reply::status(400), 503, "judge-unavailable"),
        (Reply::status(404), 503, "judge-unavailable"),
        (Reply::status(407), 503, "judge-unavailable"),
        (Reply::status(429), 503, "judge-unavailable"),
        (Reply::status(500), 503, "judge-unavailable"),
        (Reply::status(503), 503, "judge-unavailable"),
        (Reply::nothing(), 503, "judge-unavailable"),
        (Reply::raw("HTTP/1.1 2000 OK\r\n\r\n").close(), 503, "judge-unavailable"),
        (Reply::ok("a").claiming(10).cut(), 503, "judge-unavailable"),
        (Reply::ok("a").claiming(10).wait(&never), 503, "judge-unavailable"),
        (Reply::raw("").wait(&never), 503, "judge-unavailable"),
        (Reply::status(200).field("X-User", "a").field("X-User", "b"), 503, "judge-unavailable"),
        (Reply::status(200).field("X-User", ""), 503, "judge-unavailable"),
        (Reply::ok("x".repeat(100_000)), 200, ""),
    ];
    let mut let_in = 0;
    for (n, (reply, status, name)) in rows.into_iter().enumerate() {
        *says.lock().unwrap() = reply;
        let answer = gateway.client().await.put("/a", "").await;
        assert_eq!(answer.status, status, "row {n}");
        let_in += usize::from(status == 200);
        assert_eq!(origin.count(), let_in, "row {n}");
        assert!(status == 200 || answer.cache_says(&format!("detail={name}")), "row {n}: {answer:?}");
        assert_eq!(answer.get("retry-after"), (status == 503).then_some("5"), "row {n}");
        assert_eq!(answer.get("www-authenticate"), (status == 401).then_some("Forward"), "row {n}: RFC 9110 §15.5.2");
    }
    drop(judge);
    assert_eq!(gateway.client().await.put("/a", "").await.status, 503, "down");
    assert_eq!(origin.count(), let_in);
}

#[tokio::test]
async fn what_a_judge_is_asked() {
    let (origin, judge) = (numbered().await, judge().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge, "headers = [\"Authorization\", \"X-Ticket\"]")).await;
    let fields = [
        ("Authorization", "Bearer alice"),
        ("Connection", "X-Ticket"),
        ("X-Ticket", "7"),
        ("Cookie", "id=1"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/allowed"),
        ("X-Forwarded-Host", "elsewhere"),
    ];
    gateway.client().await.host("Shop.Example").request("POST", "//x/../a%62?q=1&p=2", &fields, "body").await;
    let asked = judge.requests().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.len()), ("GET", "/check?api=shop", 0));
    let mut got: Vec<_> = asked.fields.0.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    got.sort();
    let host = judge.addr.to_string();
    let want = [
        ("authorization", "Bearer alice"),
        ("host", &host),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-uri", "/ab?q=1&p=2"),
        ("x-ticket", "7"), // which Connection can't take away
    ];
    assert_eq!(
        got,
        want.map(|(name, value)| (name.to_owned(), value)),
        "nothing else, the path as it is matched, and no credential less"
    );
    assert_eq!(origin.count(), 1);
    let twice = [("Authorization", "Bearer alice"), ("X-Ticket", "7"), ("X-Ticket", "8")];
    let refused = gateway.client().await.get_with("/a", &twice).await;
    assert_eq!((refused.status, refused.cache_says("detail=credentials-malformed")), (401, true));
    assert_eq!((judge.count(), origin.count()), (1, 1), "the judge and the origin might choose another one each");
}

#[tokio::test]
async fn what_the_origin_is_told_of_a_caller_comes_from_the_judge_alone() {
    let (origin, judge) = (numbered().await, judge().await);
    let routes = "\n[[api.route]]\non = \"GET /open\"\nauth = { kind = \"none\" }\n";
    let gateway = Gateway::before(&origin, &(by_judge(&judge, PASS_BACK) + routes)).await;
    let lies = [("X-User", "mallory"), ("X_User", "mallory"), ("X-Groups", "admin"), ("X-Groups", "root")];
    let told = |fields: &[(&str, &str)]| {
        let seen = origin.requests().pop().unwrap();
        let got = |name| seen.all(name).into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(got("x_user"), [""; 0], "{fields:?}");
        (got("x-user"), got("x-groups"))
    };
    let words = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    for method in ["GET", "PUT", "OPTIONS"] {
        let fields = [&[("Authorization", "Bearer alice-staff")][..], &lies].concat();
        assert_eq!(gateway.client().await.request(method, "/a", &fields, "").await.status, 200);
        assert_eq!(told(&fields), (words(&["alice"]), words(&["staff"])), "{method}");
        let seen = origin.requests().pop().unwrap();
        assert_eq!((seen.get("x-other"), seen.get("authorization")), (None, Some("Bearer alice-staff")));
    }
    get(&gateway, "/open", &lies).await;
    assert_eq!(told(&lies), (vec![], vec![]), "also where nobody is asked");
    let preflight = [&[("Origin", "https://p"), ("Access-Control-Request-Method", "PUT")][..], &lies].concat();
    gateway.client().await.request("OPTIONS", "/a", &preflight, "").await;
    assert_eq!(told(&preflight), (vec![], vec![]), "and of a preflight");
    assert_eq!(judge.count(), 3);
}

#[tokio::test]
async fn a_partition_is_what_the_judge_says_of_the_caller() {
    let (origin, judge) = (numbered().await, judge().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge, PASS_BACK)).await;
    for (token, text) in
        [("alice", "0"), ("alice-admin", "1"), ("bob-admin", "2"), ("alice-admin-2", "1"), ("alice", "0")]
    {
        assert_eq!(with_token(&gateway, "/a", token).await.text(), text, "{token}");
    }
    let with_cookie = [("Authorization", "Bearer alice"), ("Cookie", "lang=de")];
    assert_eq!(get(&gateway, "/a", &with_cookie).await.text(), "3", "a cookie says more than who is calling");

    let nameless = Gateway::before(&origin, &by_judge(&judge, "remember = 0")).await;
    for (token, text) in [("alice", "4"), ("bob", "5"), ("alice-admin", "6"), ("alice", "4")] {
        assert_eq!(with_token(&nameless, "/a", token).await.text(), text, "{token}: by the credentials themselves");
    }
}

#[tokio::test]
async fn a_yes_is_remembered_for_its_time_and_for_what_was_asked() {
    let (origin, judge) = (numbered().await, judge().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge, PASS_BACK)).await;
    let ask = async |method: &str, host: &str, target: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let answer = gateway.client().await.host(host).request(method, target, &[("Authorization", &bearer)], "").await;
        (answer.status, judge.count())
    };
    assert_eq!(ask("GET", "h", "/a", "alice").await, (200, 1));
    assert_eq!(ask("GET", "h", "/a", "alice").await, (200, 1));
    for (n, (method, host, target, token)) in [
        ("HEAD", "h", "/a", "alice"),
        ("GET", "other", "/a", "alice"),
        ("GET", "h", "/b", "alice"),
        ("GET", "h", "/a?", "alice"),
        ("GET", "h", "/a?b", "alice"),
        ("GET", "h", "/a", "bob"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(method, host, target, token).await, (200, n + 2), "{method} {host} {target} {token}");
        assert_eq!(ask(method, host, target, token).await, (200, n + 2), "{method} {host} {target} {token}");
    }
    gateway.step(29);
    assert_eq!(ask("GET", "h", "/a", "alice").await, (200, 7));
    gateway.step(1);
    assert_eq!(ask("GET", "h", "/a", "alice").await, (200, 8));
    for n in 9..11 {
        assert_eq!(ask("GET", "h", "/a", "eve").await, (403, n), "a no isn't remembered");
    }
    let each = Gateway::before(&origin, &by_judge(&judge, "remember = 0")).await;
    for n in 11..13 {
        assert_eq!(with_token(&each, "/a", "alice").await.status, 200);
        assert_eq!(judge.count(), n, "asked each time");
    }
}

/// A judge that holds alice back at a gate, and can change its mind about her.
struct Slow {
    origin: Origin,
    gate: Gate,
    lets_her_in: Arc<Mutex<bool>>,
}

impl Slow {
    async fn new() -> Slow {
        let (gate, lets_her_in) = (Gate::closed(), Arc::new(Mutex::new(true)));
        let (before, mind) = (gate.clone(), Arc::clone(&lets_her_in));
        let origin = Origin::start(move |request| {
            let (gate, mind) = (before.clone(), Arc::clone(&mind));
            async move {
                let alice = request.get("authorization") == Some("Bearer alice");
                let refused = alice && !*mind.lock().unwrap();
                if alice {
                    gate.pass().await;
                }
                if refused { Reply::status(401) } else { verdict(&request) }
            }
        })
        .await;
        Slow { origin, gate, lets_her_in }
    }
}

async fn send(gateway: &Gateway, token: &str) -> Client {
    let mut client = gateway.client().await;
    client.send("GET", "/a", &[("Authorization", &format!("Bearer {token}"))], "").await;
    client
}

#[tokio::test]
async fn those_who_ask_the_same_at_one_time_share_one_question() {
    let (origin, judge) = (numbered().await, Slow::new().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge.origin, PASS_BACK)).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(send(&gateway, "alice").await);
    }
    judge.gate.arrived(1).await;
    assert_eq!(with_token(&gateway, "/a", "bob").await.text(), "0", "another one needn't wait");
    waiting.remove(0).reset();
    judge.gate.open();
    for mut client in waiting {
        assert_eq!(client.answer().await.text(), "1", "though the one who asked has left");
    }
    assert_eq!(judge.origin.count(), 2);
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_gone_with_the_next_request() {
    let (origin, judge) = (numbered().await, Slow::new().await);
    judge.gate.open();
    let gateway = Gateway::before(&origin, &by_judge(&judge.origin, PASS_BACK)).await;
    for token in ["alice", "bob"] {
        assert_eq!(with_token(&gateway, "/a", token).await.status, 200);
    }
    *judge.lets_her_in.lock().unwrap() = false;
    assert_eq!(with_token(&gateway, "/a", "alice").await.status, 200, "for as long as she is remembered");
    gateway.purge(json!({ "user": "alice", "dry_run": true })).await;
    gateway.purge(json!({ "user": "bob", "api": "test/v1" })).await;
    assert_eq!(with_token(&gateway, "/a", "alice").await.status, 200, "neither a dry run nor bob's");
    gateway.purge(json!({ "user": "alice" })).await;
    assert_eq!(with_token(&gateway, "/a", "alice").await.status, 401);
    assert_eq!(with_token(&gateway, "/a", "bob").await.status, 200);
    assert_eq!(judge.origin.count(), 4, "bob was asked about anew as well");
}

#[tokio::test]
async fn what_was_asked_before_a_right_was_taken_away_is_neither_joined_nor_remembered() {
    let (origin, judge) = (numbered().await, Slow::new().await);
    let gateway = Gateway::before(&origin, &by_judge(&judge.origin, PASS_BACK)).await;
    let mut before = send(&gateway, "alice").await;
    judge.gate.arrived(1).await;
    *judge.lets_her_in.lock().unwrap() = false;
    gateway.purge(json!({ "user": "alice" })).await;
    let mut after = send(&gateway, "alice").await;
    judge.gate.arrived(2).await;
    judge.gate.open();
    assert_eq!(before.answer().await.status, 200, "her question was older");
    assert_eq!(after.answer().await.status, 401);
    assert_eq!(with_token(&gateway, "/a", "alice").await.status, 401);
}
