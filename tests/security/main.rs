//! Hostile input, as a table: what each row sends, what its client must see, and what its origin must have seen.
//!
//! Each row is fed whole and again in small pieces, with a request behind it that must not be smuggled, and a harmless one on a
//! new connection after it that must come through alone. Whatever reaches the origin is held to a strict reading (`strict.rs`).
//! The literature: RFC 9112 §11, RFC 9110 §17, "HTTP Desync Attacks" (2019), "HTTP/2: The Sequel is Always Worse" (2021),
//! "Browser-Powered Desync Attacks" (2022), "HTTP/1.1 Must Die" (2025), "Practical Web Cache Poisoning" (2018), "Web Cache
//! Entanglement" (2020), "Cached and Confused" (2020), "CPDoS" (2019), "Gotta cache 'em all" (2024), "Hop-by-hop headers" (2019).

#![cfg(test)]
#![allow(unreachable_pub, reason = "the parts of a test have no outside")]
#![allow(clippy::too_many_lines, reason = "tables are as long as they are")]

mod answers;
mod chunks;
mod fields;
mod hosts;
mod length;
mod lines;
mod origin;
mod pipeline;
mod poison;
mod row;
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod targets;
mod unkeyed;
mod world;

use row::Row;

/// Every class with its rows.
fn classes() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("lengths", length::rows()),
        ("chunks", chunks::rows()),
        ("lines", lines::rows()),
        ("fields", fields::rows()),
        ("hosts", hosts::rows()),
        ("targets", targets::rows()),
        ("unkeyed input", unkeyed::rows()),
        ("pipelines", pipeline::rows()),
        ("answers without reading", answers::rows()),
    ]
}

/// Runs one class.
async fn holds(class: &str) {
    let rows = classes().into_iter().find(|(name, _)| *name == class).unwrap().1;
    world::run(class, rows).await;
}

#[tokio::test]
async fn a_body_has_one_length() {
    holds("lengths").await;
}

#[tokio::test]
async fn chunks_are_what_they_say() {
    holds("chunks").await;
}

#[tokio::test]
async fn lines_end_in_one_way() {
    holds("lines").await;
}

#[tokio::test]
async fn fields_mean_one_thing() {
    holds("fields").await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    holds("hosts").await;
}

#[tokio::test]
async fn a_target_has_one_form() {
    holds("targets").await;
}

#[tokio::test]
async fn nothing_reaches_an_origin_that_no_key_knows() {
    holds("unkeyed input").await;
}

#[tokio::test]
async fn one_request_is_one_request() {
    holds("pipelines").await;
}

#[tokio::test]
async fn what_is_answered_here_leaves_nothing_behind() {
    holds("answers without reading").await;
}

#[tokio::test]
async fn it_is_the_same_over_http2() {
    world::run_over_http2(classes().into_iter().flat_map(|(_, rows)| rows).collect()).await;
}

#[test]
fn the_table_is_as_long_as_it_should_be() {
    let (mut all, mut names) = (0, std::collections::BTreeSet::new());
    for (class, rows) in classes() {
        println!("{class}: {} rows", rows.len());
        all += rows.len();
        for row in rows {
            assert!(names.insert((class, row.name)), "two rows are called {:?}", row.name);
            assert!(!row.cites.is_empty());
        }
    }
    let poisons = poison::rows().len();
    println!("poisoning: {poisons} rows\nin all: {} rows", all + poisons);
    assert!(all + poisons >= 600, "{all} and {poisons} rows");
}
