//! Every page: in light, dark and as a phone shows it, without a complaint of the browser, without a barrier, and asking nobody else.

use crate::house::House;
use crate::screen::{LOOKS, Look, Screen};
use crate::world::wanted;

/// Name, address, words that are there when it is whole.
const PAGES: [(&str, &str, &str); 8] = [
    ("apis", "#/apis", "bookstore"),
    ("live", "#/live", "Live, the last hour"),
    ("entries", "#/entries", "Entries"),
    ("why", "#/why?method=GET&url=%2Fbookstore%2Fv1%2Fbooks%2F1", "Explain"),
    ("audit", "#/audit", "Audit"),
    ("config", "#/config", "[server]"),
    ("register", "#/apis/new", "Register an API"),
    ("edit", "#/apis/bookstore/v1", "Remove this API"),
];

/// What the browser says of a call that this version doesn't have, and of nobody being signed in, which a page can't keep it from saying.
fn is_expected(complaint: &str) -> bool {
    complaint.contains("/session - Failed to load resource: the server responded with a status of 401")
        || complaint.contains("status of 501")
}

async fn is_whole(screen: &mut Screen, name: &str, look: Look) {
    let at = format!("{name} {look:?}");
    assert_eq!(screen.barriers().await, [""; 0], "{at}");
    let overflow = screen.now("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
    assert_eq!(overflow, 0, "{at} is wider than the screen");
    let unnamed = "[...document.querySelectorAll('main a, main button')].filter(e => !e.textContent.trim() && !e.ariaLabel).length";
    assert_eq!(screen.now(unnamed).await, 0, "{at}");
    screen.drawn(name, look).await;
    let complaints: Vec<_> = screen.complaints().await.into_iter().filter(|said| !is_expected(said)).collect();
    assert_eq!(complaints, [""; 0], "{at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_whole_in_light_dark_and_on_a_phone() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for n in 0..20 {
        house.get(&format!("/bookstore/v1/books/{}", n % 7)).await;
    }
    for look in LOOKS {
        let mut screen = Screen::open(&house, look).await;
        screen.sees("Sign in to see").await;
        is_whole(&mut screen, "sign-in", look).await;
        screen.sign_in(&crate::house::token("administrator")).await;
        screen.sees("Sign out").await;
        let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(screen.now(dark).await, look == Look::Dark);
        for (name, place, words) in PAGES {
            screen.goes(place).await;
            screen.sees(words).await;
            is_whole(&mut screen, name, look).await;
        }
        screen.goes("#/apis").await;
        screen.clicks("Empty cache").await;
        screen.until("document.querySelector('dialog[open]')").await;
        is_whole(&mut screen, "empty", look).await;
        screen.clicks("Cancel").await;
        for request in screen.requests().await {
            assert!(request.starts_with(screen.origin()), "{look:?} asks for {request}");
        }
        screen.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_titles_and_the_way_back_are_those_of_real_pages() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    for (link, title) in [("Entries", "Entries"), ("Why", "Why"), ("Configuration", "Configuration")] {
        screen.now("document.querySelector('nav').querySelectorAll('a').length").await;
        let follow = format!("[...document.querySelectorAll('nav a')].find(a => a.textContent === '{link}').click()");
        screen.now(&format!("void {follow}")).await;
        screen.until(&format!("document.title === '{title} · Freshgate'")).await;
        assert_eq!(screen.now("document.querySelector('nav [aria-current=page]').textContent").await, title);
    }
    screen.now("void (location.hash = '#/__proto__')").await;
    screen.until("document.title === 'APIs · Freshgate'").await;
    screen.now("void history.back()").await;
    screen.now("void history.back()").await;
    screen.until("document.title === 'Why · Freshgate'").await;
    screen.now("void history.back()").await;
    screen
        .until(
            "document.title === 'Entries · Freshgate' && document.querySelector('main h1').textContent === 'Entries'",
        )
        .await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_between_light_and_dark_is_remembered() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "viewer").await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = screen.now(ground).await;
    screen.clicks("Dark colours").await;
    let dark = screen.now(ground).await;
    assert_ne!(light, dark);
    screen.reloads().await;
    screen.sees("Sign out").await;
    assert_eq!(screen.now(ground).await, dark);
    screen.clicks("Light colours").await;
    assert_eq!(screen.now(ground).await, light);
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_done_with_a_mouse_can_be_done_with_the_keyboard() {
    if !wanted() {
        return;
    }
    const TAB: char = '\u{e004}';
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.sees("music").await;
    let usable = "[...document.querySelectorAll('a, button, input, select, textarea')].filter(e => e.offsetParent && !e.disabled).length";
    let usable = screen.now(usable).await.as_u64().unwrap();
    screen.now("void document.body.focus()").await;
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..usable + 6 {
        screen.presses(TAB).await;
        let here = "(e => [e.getAttribute('aria-label') ?? e.textContent, getComputedStyle(e).outlineStyle])(document.activeElement)";
        let here = screen.now(here).await;
        if screen.now("document.activeElement === document.body").await == true {
            continue; // Between the last and the first.
        }
        assert_ne!(here[1], "none", "one can't see that {here} has the focus");
        reached.insert(here[0].as_str().unwrap().to_owned());
    }
    for name in ["Skip to the content", "Entries", "Sign out", "Clear bookstore/v1", "Empty cache", "Register an API"] {
        assert!(reached.contains(name), "{name} isn't in {reached:?}");
    }
    screen.close().await;
}
