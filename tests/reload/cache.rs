//! What a reload leaves of what is stored.

use super::support::{Client, Gateway, Origin, Reply};
use super::{api, numbered};
use freshgate::policy::{Effect, Fate};

/// What is stored for this target: `Some` with the answer's text where it was a hit.
async fn get(gateway: &Gateway, target: &str) -> (String, bool) {
    let answer = gateway.client().await.get(target).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    gateway.settled().await;
    (answer.text().to_owned(), answer.cache_says("hit"))
}

fn hit(text: &str) -> (String, bool) {
    (text.into(), true)
}

fn miss(text: &str) -> (String, bool) {
    (text.into(), false)
}

#[tokio::test]
async fn what_has_not_changed_keeps_its_answers_and_its_connection() {
    let origin = numbered().await;
    let a = |more: &str| api("a", "/a", &origin, &format!("ttl = \"10m\"\n{more}"));
    let gateway = Gateway::with("", &a("")).await;
    assert_eq!(get(&gateway, "/a/1").await, miss("0"));
    let report = gateway.reload(&format!("{}{}", a(""), api("b", "/b", &origin, "")));
    let fates: Vec<_> = report.apis.iter().map(|change| (&*change.id, change.fate)).collect();
    assert_eq!(fates, [("a/v1", Fate::Unchanged(Effect::Nothing)), ("b/v1", Fate::Added)]);
    assert_eq!(get(&gateway, "/a/1").await, hit("0"));
    let report = gateway.reload(&a("timeouts = { first_byte = \"7s\" }\nclient_cache = \"none\""));
    assert_eq!(report.apis[0].fate, Fate::Changed(Effect::Nothing));
    assert_eq!(get(&gateway, "/a/1").await, hit("0"));
    assert_eq!(get(&gateway, "/a/2").await, miss("1"));
    assert_eq!(origin.connections(), 1);
    let view = gateway.admin("GET", "/v1/apis/a/v1", "").await.json();
    assert_eq!((&view["entries"], &view["hits"]), (&2.into(), &2.into()), "what was counted stays");
    assert_eq!(view["settings"]["timeouts"]["first_byte"], "7s");
}

#[tokio::test]
async fn a_shorter_ttl_counts_at_once() {
    let origin = Origin::start(|request| {
        let reply = Reply::ok("body").field("ETag", "\"1\"");
        std::future::ready(if request.get("if-none-match").is_some() {
            Reply::status(304).field("ETag", "\"1\"")
        } else {
            reply
        })
    })
    .await;
    let a = |ttl: &str| api("a", "/a", &origin, &format!("ttl = \"{ttl}\""));
    let gateway = Gateway::with("", &a("10m")).await;
    assert_eq!((get(&gateway, "/a/1").await, get(&gateway, "/a/1").await), (miss("body"), hit("body")));
    assert_eq!(gateway.reload(&a("5s")).apis[0].fate, Fate::Changed(Effect::Soft));
    assert_eq!(get(&gateway, "/a/1").await, miss("body"));
    assert_eq!(origin.count(), 2);
    assert!(origin.requests()[1].get("if-none-match").is_some(), "what is there is confirmed");
    assert_eq!(get(&gateway, "/a/1").await, hit("body"));
    gateway.step(6);
    assert_eq!(get(&gateway, "/a/1").await, miss("body"));
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn another_key_begins_anew_and_so_does_the_way_back() {
    let origin = numbered().await;
    let a = |more: &str| api("a", "/a", &origin, &format!("ttl = \"10m\"\n{more}"));
    let gateway = Gateway::with("", &a("")).await;
    assert_eq!(get(&gateway, "/a/1").await, miss("0"));
    assert_eq!(gateway.reload(&a("key = { query = \"exact\" }")).apis[0].fate, Fate::Changed(Effect::Hard));
    assert_eq!(get(&gateway, "/a/1").await, miss("1"));
    assert_eq!(get(&gateway, "/a/1").await, hit("1"));
    gateway.reload(&a(""));
    assert_eq!(get(&gateway, "/a/1").await, miss("2"));
    gateway.running.store().sweep(gateway.clock.now());
    let view = gateway.admin("GET", "/v1/apis/a/v1", "").await.json();
    assert_eq!(view["entries"], 1, "what nobody finds any more takes no room");
}

#[tokio::test]
async fn another_upstream_is_asked_at_once_and_what_the_first_has_said_is_gone() {
    let (first, second) = (numbered().await, Origin::always(Reply::ok("second")).await);
    let a = |origin: &Origin| api("a", "/a", origin, "ttl = \"10m\"");
    let gateway = Gateway::with("", &a(&first)).await;
    assert_eq!(get(&gateway, "/a/1").await, miss("0"));
    gateway.reload(&a(&second));
    assert_eq!((get(&gateway, "/a/1").await, get(&gateway, "/a/1").await), (miss("second"), hit("second")));
    gateway.reload(&a(&first));
    assert_eq!(get(&gateway, "/a/1").await, miss("1"));
}

#[tokio::test]
async fn what_is_removed_is_gone_also_when_it_comes_back() {
    let origin = numbered().await;
    let (a, b) = (api("a", "/a", &origin, "ttl = \"10m\""), api("b", "/b", &origin, "ttl = \"10m\""));
    let gateway = Gateway::with("", &format!("{a}{b}")).await;
    assert_eq!((get(&gateway, "/a/1").await, get(&gateway, "/b/1").await), (miss("0"), miss("1")));
    let report = gateway.reload(&b);
    assert_eq!(report.apis.last().unwrap().fate, Fate::Removed);
    assert_eq!(gateway.client().await.get("/a/1").await.status, 404);
    assert_eq!(gateway.admin("GET", "/v1/apis/a/v1", "").await.status, 404);
    assert_eq!(get(&gateway, "/b/1").await, hit("1"));
    assert_eq!(gateway.reload(&format!("{a}{b}")).apis[0].fate, Fate::Added);
    assert_eq!(get(&gateway, "/a/1").await, miss("2"));
    assert_eq!(gateway.admin("GET", "/v1/apis/a/v1", "").await.json()["entries"], 1);
}

#[tokio::test]
async fn a_path_that_goes_to_another_api_takes_no_answers_along() {
    let (first, second) = (numbered().await, Origin::always(Reply::ok("second")).await);
    let gateway = Gateway::with("", &api("a", "/x", &first, "ttl = \"10m\"")).await;
    assert_eq!(get(&gateway, "/x/1").await, miss("0"));
    let moved = api("a", "/y", &first, "ttl = \"10m\"");
    gateway.reload(&moved);
    assert_eq!(gateway.client().await.get("/x/1").await.status, 404);
    assert_eq!(get(&gateway, "/y/1").await, miss("1"));
    gateway.reload(&format!("{moved}{}", api("b", "/x", &second, "ttl = \"10m\"")));
    assert_eq!(get(&gateway, "/x/1").await, miss("second"));
    assert_eq!(get(&gateway, "/y/1").await, hit("1"));
}

#[tokio::test]
async fn one_that_answers_on_everything_gets_nothing_of_one_that_goes() {
    let (every, own) = (Origin::always(Reply::ok("every")).await, Origin::always(Reply::ok("own")).await);
    let all = api("all", "/", &every, "ttl = \"10m\"");
    let one = api("one", "/x", &own, "ttl = \"10m\"");
    let gateway = Gateway::with("", &format!("{all}{one}")).await;
    assert_eq!((get(&gateway, "/x/1").await, get(&gateway, "/z/1").await), (miss("own"), miss("every")));
    gateway.reload(&all);
    assert_eq!(get(&gateway, "/x/1").await, miss("every"));
    assert_eq!(get(&gateway, "/z/1").await, hit("every"), "what it has is its own");
    gateway.reload(&format!("{all}{one}"));
    assert_eq!(get(&gateway, "/x/1").await, miss("own"));
}

#[tokio::test]
async fn writes_reach_what_was_stored_before() {
    let origin = numbered().await;
    let a = |more: &str| api("a", "/a", &origin, &format!("ttl = \"10m\"\n{more}"));
    let gateway = Gateway::with("", &a("")).await;
    let mut client = Client::connect(gateway.addr).await;
    assert_eq!(get(&gateway, "/a/1").await, miss("0"));
    gateway.reload(&a("timeouts = { first_byte = \"7s\" }"));
    assert_eq!(get(&gateway, "/a/1").await, hit("0"));
    assert_eq!(client.put("/a/1", "x").await.status, 200);
    assert_eq!(get(&gateway, "/a/1").await, miss("2"));
}
