//! `config/postgres-trigger.sql`, installed as its users do it, and at work.

use crate::listening::Listening;
use crate::postgres_server::Postgres;
use freshgate::events::News;
use serde_json::{Value, json};
use std::path::Path;

/// A table with a trigger, and somebody who listens.
async fn watched(watch: &str) -> Option<(Postgres, Listening)> {
    let server = Postgres::start().await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/postgres-trigger.sql");
    server.sql("CREATE TABLE codes (code text, region text, extra json)");
    for _twice in 0..2 {
        server.sql_file(&file);
        server.sql(watch);
    }
    let mut listening = Listening::to(&Postgres::source(&server.url(), &["codes_changed"], ""));
    listening.gap().await;
    Some((server, listening))
}

const KEYS: &str = "SELECT freshgate_watch('codes', 'codes_changed', 'code')";

#[tokio::test]
async fn every_change_by_sql_is_told_by_its_key() {
    let Some((server, mut listening)) = watched(KEYS).await else { return };
    let tells = |key: &'static str| ("codes_changed", key);
    server.sql("INSERT INTO codes VALUES ('A', 'north'), ('B', 'south')");
    listening.messages(&[tells("A"), tells("B")]).await;
    server.sql("UPDATE codes SET region = 'east' WHERE code = 'A'");
    listening.messages(&[tells("A")]).await;
    server.sql("UPDATE codes SET code = 'C' WHERE code = 'A'");
    listening.messages(&[tells("A"), tells("C")]).await;
    server.sql("UPDATE codes SET region = region; BEGIN; DELETE FROM codes; ROLLBACK");
    server.sql("DELETE FROM codes WHERE code = 'B'");
    listening.messages(&[tells("B")]).await;
    server.sql("SELECT freshgate_unwatch('codes'); DELETE FROM codes; NOTIFY codes_changed, 'the end'");
    listening.messages(&[tells("the end")]).await;
}

/// An empty payload says that something has changed, and not what.
#[tokio::test]
async fn what_has_no_key_is_a_gap() {
    let Some((server, mut listening)) = watched(KEYS).await else { return };
    let changes = [
        "INSERT INTO codes VALUES (NULL, 'north')",
        "INSERT INTO codes VALUES (repeat('x', 8000), 'north')",
        "TRUNCATE codes",
        "NOTIFY codes_changed",
    ];
    for change in changes {
        server.sql(change);
        listening.gap().await;
    }
    server.sql("INSERT INTO codes VALUES (repeat('ä', 3999) || 'x', 'north')");
    listening.messages(&[("codes_changed", &("ä".repeat(3999) + "x"))]).await;
    assert_eq!(listening.shown().gaps, 5);
}

#[tokio::test]
async fn a_great_change_is_told_in_few_words() {
    let Some((server, mut listening)) = watched(KEYS).await else { return };
    server.sql("INSERT INTO codes SELECT n, 'north' FROM generate_series(1, 5000) AS n");
    for n in 1..=1000 {
        listening.messages(&[("codes_changed", &n.to_string())]).await;
    }
    listening.gap().await;
    server.sql("UPDATE codes SET region = 'south' WHERE code = '5000'");
    listening.messages(&[("codes_changed", "5000")]).await;
}

#[tokio::test]
async fn a_change_may_be_told_as_an_event() {
    let watch =
        "SELECT freshgate_watch('codes', 'codes_changed', 'code', 'nz.example.codes.updated', 'region', 'extra')";
    let Some((server, mut listening)) = watched(watch).await else { return };
    server.sql("INSERT INTO codes VALUES ('A\"ü', 'north', '{\"a\": [1]}')");
    let News::Message { channel, payload } = listening.next().await else { panic!("a gap") };
    let mut event: Value = serde_json::from_slice(&payload).unwrap();
    let (id, time) = (event["id"].take(), event["time"].take());
    assert!(id.as_str().is_some_and(|id| id.len() == 36) && time.as_str().is_some_and(|time| time.ends_with('Z')));
    let expected = json!({
        "specversion": "1.0", "id": null, "time": null,
        "source": "/postgres/public/codes", "type": "nz.example.codes.updated", "subject": "A\"ü",
        "datacontenttype": "application/json", "data": { "region": "north", "extra": { "a": [1] } },
    });
    assert_eq!((channel.as_str(), event), ("codes_changed", expected));
    server.sql("UPDATE codes SET region = 'south'");
    let mut regions = Vec::new();
    for _ in 0..2 {
        let News::Message { payload, .. } = listening.next().await else { panic!("a gap") };
        regions.push(serde_json::from_slice::<Value>(&payload).unwrap()["data"]["region"].clone());
    }
    assert_eq!(regions, ["north", "south"], "what the row was about, and what it is about");
    server.sql("UPDATE codes SET extra = to_json(repeat('x', 8000))");
    assert!(matches!(listening.next().await, News::Message { .. }), "the old row");
    listening.gap().await;
}
