//! What is done on the page of APIs, and what comes of it for those who read through the gateway.

use crate::house::{House, api};
use crate::screen::{Look, Screen};
use crate::world::wanted;
use serde_json::json;

const INTERVAL: &str = "Cache interval of bookstore/v1 in minutes; 0 keeps until purged";
const SAVE: &str = "Save the cache interval of bookstore/v1";
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

/// What `Cache-Status` says of the time that is left, in minutes that have begun.
fn minutes(answer: &crate::support::Answer) -> i64 {
    let status = answer.get("cache-status").unwrap_or_else(|| panic!("{answer:?}"));
    let seconds: i64 = status.split("ttl=").nth(1).unwrap().split(';').next().unwrap().trim().parse().unwrap();
    (seconds + 59) / 60
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_that_is_changed_here_holds_for_the_next_answer() {
    if !wanted() {
        return;
    }
    let mut house = House::open().await;
    house.get("/bookstore/v1/books/1").await;
    assert_eq!(minutes(&house.get("/bookstore/v1/books/1").await), 10);
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.writes(INTERVAL, "30").await;
    screen.sees("kept 30 min").await;
    screen.clicks(SAVE).await;
    screen.sees("bookstore/v1: kept 30 min.").await;
    house.get("/bookstore/v1/books/2").await;
    assert_eq!(minutes(&house.get("/bookstore/v1/books/2").await), 30);
    let text = std::fs::read_to_string(house.file()).unwrap();
    assert!(text.contains("ttl = \"30m\" # ten minutes") && text.matches("# What is sold.").count() == 2, "{text}");

    // Not a whole number of minutes, by the keyboard alone; 0; and nothing, which Escape takes back.
    screen.writes(INTERVAL, "1.5").await;
    screen.presses(ENTER).await;
    screen.sees("bookstore/v1: kept 1 min 30 s.").await;
    screen.writes(INTERVAL, "0").await;
    screen.presses(ENTER).await;
    screen.sees("bookstore/v1: kept until purged.").await;
    house.get("/bookstore/v1/books/3").await;
    house.step(86_400 * 365);
    assert!(house.get("/bookstore/v1/books/3").await.cache_says("hit"));
    house.restart().await;
    assert!(std::fs::read_to_string(house.file()).unwrap().contains("ttl = \"forever\" # ten minutes"));
    screen.close().await;

    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.writes(INTERVAL, "7").await;
    screen.presses(ESCAPE).await;
    let value = format!("{}.querySelector('input').value === '0'", Screen::row("bookstore/v1"));
    screen.until(&value).await;
    screen.writes(INTERVAL, "soon").await;
    screen.presses(ENTER).await;
    screen.sees("Expected minutes such as 10 or 1.5").await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_somebody_else_has_overtaken_is_refused_and_can_be_looked_at() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.writes(INTERVAL, "30").await;
    // While somebody writes, new numbers don't touch the row's field.
    let patch = house.call("operator", "PATCH", "/v1/apis/bookstore/v1", r#"{"ttl":"20m"}"#).await;
    assert_eq!(patch.status, 200, "{patch:?}");
    screen.clicks(SAVE).await;
    screen.sees("Somebody else has changed this API").await;
    screen.clicks("Load it").await;
    screen.until(&format!("{}.querySelector('input').value === '20'", Screen::row("bookstore/v1"))).await;
    assert_eq!(house.call("viewer", "GET", "/v1/apis/bookstore/v1", "").await.json()["settings"]["ttl"], "20m");
    screen.writes(INTERVAL, "30").await;
    screen.clicks(SAVE).await;
    screen.sees("bookstore/v1: kept 30 min.").await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_api_is_cleared_and_the_other_still_hits() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for target in ["/bookstore/v1/a", "/bookstore/v1/b", "/music/v1/a"] {
        house.get(target).await;
        assert!(house.get(target).await.cache_says("hit"));
    }
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.clicks("Clear bookstore/v1").await;
    screen.sees("2 stored answers").await;
    screen.presses(ESCAPE).await;
    screen.until("!document.querySelector('dialog')").await;
    assert!(house.get("/bookstore/v1/a").await.cache_says("hit"), "nothing was done");
    screen.clicks("Clear bookstore/v1").await;
    screen.clicks("Clear").await;
    screen.sees("bookstore/v1 is cleared: 2 entries.").await;
    assert!(house.get("/music/v1/a").await.cache_says("hit"));
    assert!(!house.get("/bookstore/v1/a").await.cache_says("hit"));
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_cache_is_emptied_by_an_administrator_who_has_written_it_out() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for target in ["/bookstore/v1/a", "/music/v1/a"] {
        house.get(target).await;
    }
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.clicks("Empty cache").await;
    let is_off = "document.querySelector('dialog button[type=submit]').disabled";
    screen.until(is_off).await;
    screen.writes("Type “empty the cache” to go on", "empty").await;
    assert_eq!(screen.now(is_off).await, json!(true));
    assert!(house.get("/music/v1/a").await.cache_says("hit"));
    screen.writes("Type “empty the cache” to go on", "empty the cache").await;
    screen.presses(ENTER).await;
    screen.sees("The cache is empty").await;
    for target in ["/bookstore/v1/a", "/music/v1/a"] {
        assert!(!house.get(target).await.cache_says("hit"), "{target}");
    }
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_registered_called_kept_over_a_restart_changed_and_removed() {
    if !wanted() {
        return;
    }
    let mut house = House::open().await;
    assert_eq!(house.get("/films/v1/a").await.status, 404);
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.clicks("Register an API").await;
    screen.writes("Name", "films").await;
    screen.writes("Path", "films").await;
    screen.writes("Upstreams", &house.origin.url()).await;
    screen.writes("Cache interval (minutes)", "5").await;
    screen.writes("Everything else (JSON)", r#"{"grace": 7}"#).await;
    screen.clicks("Register").await;
    screen.sees("`grace` has a field of its own").await;
    screen.writes("Everything else (JSON)", "{\"invalidate\": \"trees\"}").await;
    screen.clicks("Register").await;
    // What the gateway says of a key stands at that key's field.
    let said = |label: &str| {
        format!(
            "[...document.querySelectorAll('.field')].find(one => one.textContent.startsWith({})).querySelector('.fault').textContent",
            json!(label)
        )
    };
    screen.until(&said("Path")).await;
    assert!(screen.now(&said("Everything else")).await.as_str().unwrap().contains("invalidate"));
    assert_eq!(screen.now("document.activeElement.getAttribute('aria-invalid')").await, "true");
    screen.writes("Path", "/films/v1").await;
    screen.writes("Everything else (JSON)", "{}").await;
    screen.clicks("Register").await;
    screen.sees("films/v1 is registered.").await;
    assert_eq!(house.get("/films/v1/a").await.status, 200);
    assert_eq!(minutes(&house.get("/films/v1/a").await), 5);
    screen.close().await;

    house.restart().await;
    assert_eq!(house.get("/films/v1/a").await.status, 200);
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.clicks("films").await;
    screen.writes("Path", "/cinema/v1").await;
    screen.clicks("Save").await;
    screen.sees("films/v1 is changed.").await;
    assert_eq!((house.get("/films/v1/a").await.status, house.get("/cinema/v1/a").await.status), (404, 200));
    screen.clicks("films").await;
    screen.clicks("Remove this API").await;
    screen.writes("Type “films/v1” to go on", "films/v1").await;
    screen.clicks("Remove").await;
    screen.sees("films/v1 is removed.").await;
    assert_eq!(house.get("/cinema/v1/a").await.status, 404);
    assert!(!std::fs::read_to_string(house.file()).unwrap().contains("films"));
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_apis_can_be_gone_through() {
    if !wanted() {
        return;
    }
    let many = |origin: &str| (0..1_000).map(|n| api(&format!("service-{n:04}"), origin, "")).collect::<String>();
    let house = House::with("", many).await;
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.sees("1,000 APIs").await;
    screen.until("document.querySelectorAll('tr[data-api]').length === 1000").await;
    screen.writes("Filter by name or path", "0777").await;
    screen.sees("1 of 1,000 APIs").await;
    let shown = "[...document.querySelectorAll('tr[data-api]')].filter(row => !row.hidden).map(row => row.dataset.api)";
    assert_eq!(screen.now(shown).await, json!(["service-0777/v1"]));
    screen.clicks("Clear service-0777/v1").await;
    screen.clicks("Clear").await;
    screen.sees("service-0777/v1 is cleared: 0 entries.").await;
    screen.close().await;
}
