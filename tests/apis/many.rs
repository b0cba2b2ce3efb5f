//! A thousand APIs in a file.

use super::world::{World, api, numbered};
use serde_json::json;
use std::fmt::Write;

#[tokio::test]
async fn one_of_a_thousand_is_changed_and_nothing_else_is_touched() {
    let origin = numbered().await;
    let mut apis = String::new();
    for n in 0..1000 {
        let one = api(&format!("a{n}"), &origin, "ttl = \"10m\" # as agreed\n\n[api.key]\nshare = \"everyone\"");
        writeln!(apis, "{one}").unwrap();
    }
    let world = World::with(&apis).await;
    let before = world.text();
    let begun = world.gateway.clock.mono();
    for n in [0, 500, 999] {
        let answer = world.call("PATCH", &format!("a{n}/v1"), r#"{"ttl":"5m"}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let changed = world.gateway.clock.mono() - begun;
    let text = world.text();
    let lines = before.lines().zip(text.lines()).filter(|(old, new)| old != new);
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines, [("ttl = \"10m\" # as agreed", "ttl = \"5m\" # as agreed"); 3]);
    assert_eq!(before.len(), text.len() + 3);
    let new = json!({ "path": "/n", "upstream": [origin.url()] }).to_string();
    assert_eq!(world.call("PUT", "n/v1", &new).await.status, 201);
    assert_eq!(world.call("DELETE", "n/v1", "").await.status, 204);
    assert_eq!(world.text(), text);
    let begun = world.gateway.clock.mono();
    let all = world.gateway.admin("GET", "/v1/apis", "").await.json();
    eprintln!("a change: {} ms; the list: {} ms", changed / 3, world.gateway.clock.mono() - begun);
    assert_eq!((all["apis"].as_array().unwrap().len(), &all["cursor"]), (1000, &json!(null)));
}
