//! Signing in, what each role is offered, and the ends of a session.

use crate::house::{House, token};
use crate::screen::{Look, Screen};
use crate::world::wanted;

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_offered_what_it_may_do() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    for (role, operates, administers) in
        [("viewer", false, false), ("operator", true, false), ("administrator", true, true)]
    {
        let mut screen = Screen::signed_in(&house, Look::Light, role).await;
        screen.sees("music").await;
        assert_eq!(screen.now("document.title").await, "APIs · Freshgate");
        for name in ["Clear bookstore/v1", "Cache interval of bookstore/v1 in minutes; 0 keeps until purged"] {
            assert_eq!(screen.offers(name).await, operates, "{role}: {name}");
        }
        for name in ["Empty cache", "Register an API", "Audit"] {
            assert_eq!(screen.offers(name).await, administers, "{role}: {name}");
        }
        // Who writes the address himself is told, and refused by the gateway whatever the page does.
        if !administers {
            screen.goes("#/apis/new").await;
            screen.sees("Only administrators").await;
            assert_eq!(house.call(role, "DELETE", "/v1/cache", "").await.status, 403);
        }
        screen.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_and_the_right_one_leads_to_where_one_wanted_to_go() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::open(&house, Look::Light).await;
    screen.until("document.title === 'Sign in · Freshgate'").await;
    screen.goes("#/config").await;
    screen.sign_in("not-a-token").await;
    screen.sees("That is not a token of this gateway.").await;
    assert_eq!(screen.now("document.activeElement.type").await, "password");
    screen.sign_in(&token("viewer")).await;
    screen.until("document.title === 'Configuration · Freshgate'").await;
    // The session is the browser's, and a script can't see it.
    screen.reloads().await;
    screen.until("document.title === 'Configuration · Freshgate'").await;
    assert_eq!(screen.now("document.cookie").await, "");
    screen.clicks("Sign out").await;
    screen.sees("Sign in to see").await;
    screen.reloads().await;
    screen.sees("Sign in to see").await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_asks_for_the_token_and_keeps_the_place() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "administrator").await;
    screen.goes("#/entries?prefix=%2Fbookstore").await;
    house.step(31 * 60);
    screen.clicks("Search").await;
    screen.sees("The session is over").await;
    screen.sign_in(&token("administrator")).await;
    screen
        .until(
            "document.title === 'Entries · Freshgate' && document.querySelector('main h1').textContent === 'Entries'",
        )
        .await;
    assert_eq!(screen.now("location.hash").await, "#/entries?prefix=%2Fbookstore");
    screen.close().await;
}

/// Two browsers of one person, and two persons: each signs out alone.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_signs_out_leaves_others_signed_in() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut one = Screen::signed_in(&house, Look::Light, "operator").await;
    let mut other = Screen::signed_in(&house, Look::Light, "operator").await;
    one.clicks("Sign out").await;
    one.sees("Sign in to see").await;
    other.goes("#/config").await;
    other.sees("[server]").await;
    other.reloads().await;
    other.sees("operator's").await;
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_guesses_is_told_how_long_he_has_to_wait() {
    if !wanted() {
        return;
    }
    let house = House::open().await;
    let mut screen = Screen::open(&house, Look::Light).await;
    for _ in 0..20 {
        house.call("nobody", "GET", "/v1/apis", "").await;
    }
    screen.sign_in(&token("viewer")).await;
    screen.sees("Too many wrong tokens came from here. Try again in").await;
    house.step(60);
    screen.sign_in(&token("viewer")).await;
    screen.sees("Sign out").await;
    screen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_gone_is_said_to_be() {
    if !wanted() {
        return;
    }
    let mut house = House::open().await;
    let mut screen = Screen::signed_in(&house, Look::Light, "operator").await;
    screen.clicks("Clear bookstore/v1").await;
    house.stop().await;
    screen.clicks("Clear").await;
    screen.sees("The gateway can't be reached").await;
    screen.clicks("Cancel").await;
    // What was known stays in sight, and is said to be old.
    screen.sees("These numbers are of a while ago").await;
    screen.sees("music").await;
    screen.close().await;
}
