//! The pages that only look: what they show is what is there.

use crate::house::House;
use crate::screen::{Look, Screen};
use crate::world::wanted;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_found_and_one_of_it_purged() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for target in ["/bookstore/v1/books/1", "/bookstore/v1/books/2?page=3", "/music/v1/songs"] {
        house.get(target).await;
    }
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.clicks("Entries of bookstore/v1").await;
    screen.sees("2 entries").await;
    let paths = "[...document.querySelectorAll('tbody th code')].map(one => one.textContent).sort()";
    assert_eq!(screen.now(paths).await, json!(["/bookstore/v1/books/1", "/bookstore/v1/books/2?page=3"]));
    screen.writes("Path begins with", "/bookstore/v1/books/2").await;
    screen.clicks("Search").await;
    screen.sees("1 entry").await;
    assert!(screen.now("location.hash").await.as_str().unwrap().contains("prefix=%2Fbookstore%2Fv1%2Fbooks%2F2"));
    screen.clicks("Purge /bookstore/v1/books/2?page=3").await;
    screen.clicks("Purge").await;
    screen.sees("/bookstore/v1/books/2?page=3 is purged.").await;
    assert!(!house.get("/bookstore/v1/books/2?page=3").await.cache_says("hit"));
    assert!(house.get("/bookstore/v1/books/1").await.cache_says("hit"));
    screen.goes("#/entries?prefix=%2Fnothing").await;
    screen.sees("Nothing that is stored fits.").await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_entries_than_fit_come_page_by_page() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for n in 0..130 {
        house.get(&format!("/music/v1/songs/{n}")).await;
    }
    let mut screen = Screen::signed_in(&house, Look::Light, "viewer").await;
    screen.goes("#/entries").await;
    screen.sees("100 shown, and there are more").await;
    screen.clicks("Next 100").await;
    screen.sees("130 entries").await;
    let different = "new Set([...document.querySelectorAll('tbody th code')].map(one => one.textContent)).size";
    assert_eq!(screen.now(different).await, 130);
    assert!(!screen.offers("Next 100").await && !screen.offers("Purge /music/v1/songs/7").await);
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_says_what_would_happen_and_nothing_happens() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    house.get("/bookstore/v1/books/1").await;
    let mut screen = Screen::signed_in(&house, Look::Light, "viewer").await;
    screen.goes("#/why").await;
    screen.clicks("Explain").await;
    screen.sees("Enter a path such as").await;
    screen.writes("URL", "/bookstore/v1/books/1").await;
    screen.clicks("Explain").await;
    screen.sees("Answered from the cache").await;
    screen.sees("RFC 9111").await;
    screen.writes("URL", "/bookstore/v1/books/2").await;
    screen.clicks("Explain").await;
    screen.sees("Fetched from the origin").await;
    screen.writes("Header fields", "no colon").await;
    screen.clicks("Explain").await;
    screen.sees("Expected “Name: value”").await;
    screen.writes("Header fields", "Cookie: id=1").await;
    screen.clicks("Explain").await;
    screen.until("document.querySelector('.result').textContent.includes('cookie')").await;
    assert_eq!(house.origin.count(), 1);
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_samples_come_by_themselves_and_can_be_read_as_a_table() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "viewer").await;
    screen.goes("#/live").await;
    for n in 0..40 {
        house.get(&format!("/bookstore/v1/books/{}", n % 4)).await;
    }
    // Two steps of its clock, of which the page hears without having asked.
    house.step(5);
    let entries =
        "[...document.querySelectorAll('.chart')].find(one => one.querySelector('h2').textContent === 'Entries')";
    screen.until(&format!("{entries}?.querySelector('dd').textContent === '4'")).await;
    screen.until(&format!("{entries}.querySelector('canvas').width > 100")).await;
    let words = screen.now(&format!("{entries}.querySelector('[role=img]').ariaLabel")).await;
    assert_eq!(words, "Entries over the last hour; now Stored 4");
    screen.clicks("Entries as a table").await;
    screen.until(&format!("{entries}.querySelector('td').textContent === '4'")).await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_who_did_what() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    house.call("operator", "DELETE", "/v1/apis/music/v1/cache", "").await;
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.goes("#/audit").await;
    screen.sees("2 records").await;
    let rows =
        "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].slice(1, 4).map(cell => cell.innerText))";
    let rows = screen.now(rows).await;
    assert!(rows[0][0].as_str().unwrap().starts_with("administrator's") && rows[0][1] == "sign-in", "{rows}");
    assert!(rows[1][0].as_str().unwrap().starts_with("operator's") && rows[1][2] == "music/v1", "{rows}");
    screen.writes("Filter by any word", "music").await;
    screen.sees("1 of 2 records").await;
    screen.close().await;
}
