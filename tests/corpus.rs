//! What fuzzing has found worth keeping (`fuzz/corpus`), read again by the very same functions, without a fuzzer.

#![cfg(test)]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Feeds each file of a target's corpus to it.
fn feed(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut fed = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let data = fs::read(&path).unwrap();
        assert!(catch_unwind(|| target(&data)).is_ok(), "{name} fails with {}", path.display());
        fed += 1;
    }
    assert!((5..=100).contains(&fed), "{fed} files in {}", folder.display());
}

#[test]
fn cache_control() {
    feed("cache_control", targets::cache_control);
}

#[test]
fn dates() {
    feed("dates", targets::dates);
}

#[test]
fn vary() {
    feed("vary", targets::vary);
}

#[test]
fn ranges() {
    feed("ranges", targets::ranges);
}

#[test]
fn consider() {
    feed("consider", targets::consider);
}

#[test]
fn requests() {
    feed("requests", targets::requests);
}

#[test]
fn targets_and_keys() {
    feed("targets_and_keys", targets::targets_and_keys);
}

#[test]
fn events() {
    feed("events", targets::events);
}
