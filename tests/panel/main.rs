//! The control panel in a real browser: headless Chromium, a gateway that was started from a file, and an origin that counts.
//!
//! `./test.sh` sets up what they need. Without it they are skipped, and say so. With `FRESHGATE_SCREENSHOTS=folder` each page is
//! also drawn, in light, dark and as a phone shows it.

#![cfg(test)]

#[path = "../clients/browser.rs"]
#[expect(dead_code, reason = "the tests of clients use other parts of it")]
mod browser;
#[path = "../support/mod.rs"]
mod support;
#[path = "../clients/world.rs"]
#[expect(dead_code, reason = "the tests of clients use other parts of it")]
mod world;

mod house;
mod screen;

mod apis;
mod looks;
mod pages;
mod sessions;
