//! The whole text: well-formed, bounded, and right.

use crate::world::{MARK, World};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn all_of_it_can_be_read_and_no_word_of_a_request_is_in_it() {
    let world = World::new().await;
    world.traffic(1).await;
    world.reloads();
    world.traffic(2).await;
    let text = world.text().await;
    assert!(!text.to_lowercase().contains(MARK), "a stranger's word:\n{text}");
    let before = world.metrics().await;
    for name in before.keys() {
        assert!(include_str!("../../docs/operating.md").contains(&format!("`{name}`")), "{name} isn't described");
    }
    for round in 3..8 {
        world.traffic(round).await;
    }
    let after = world.metrics().await;
    let series = |families: &crate::parser::Families| -> BTreeSet<(String, BTreeMap<String, String>)> {
        let samples = families.values().flat_map(|family| &family.samples);
        samples.map(|sample| (sample.name.clone(), sample.labels.clone())).collect()
    };
    assert_eq!(series(&before), series(&after), "more requests make no more series");
    let apis = ["shop/v1", "locked/v1", "broken/v1", "objects/codes", "none"];
    for sample in after.values().flat_map(|family| &family.samples) {
        assert!(sample.labels.get("api").is_none_or(|api| apis.contains(&&**api)), "{sample:?}");
        let known = ["api", "outcome", "class", "reason", "from", "le", "kind", "severity", "cause", "state", "limit"];
        let rest = ["result", "via", "listener", "version", "source"];
        assert!(sample.labels.keys().all(|label| known.contains(&&**label) || rest.contains(&&**label)), "{sample:?}");
    }
}

#[tokio::test]
async fn what_has_happened_is_what_is_counted() {
    let world = World::new().await;
    world.traffic(1).await;
    let metrics = world.metrics().await;
    let at = |name: &str, labels: &[(&str, &str)]| metrics[name].at(labels);
    let shop = ("api", "shop/v1");
    for (outcome, count) in [("hit", 1.0), ("miss", 2.0), ("write", 3.0)] {
        assert_eq!(at("freshgate_requests_total", &[shop, ("outcome", outcome)]), count, "{outcome}");
    }
    assert_eq!(at("freshgate_not_stored_total", &[shop]), 1.0);
    assert_eq!(at("freshgate_not_stored_total", &[shop, ("reason", "no-store")]), 1.0);
    assert_eq!(at("freshgate_auth_refused_total", &[("api", "locked/v1"), ("reason", "credentials-unknown")]), 1.0);
    assert_eq!(at("freshgate_fills_total", &[shop]), 2.0);
    assert_eq!(at("freshgate_breaker_opened_total", &[("api", "broken/v1")]), 1.0);
    assert_eq!(at("freshgate_endpoints", &[("api", "broken/v1"), ("state", "open")]), 1.0);
    assert!(at("freshgate_origin_idle_connections", &[shop]) >= 1.0);
    assert!(at("freshgate_origin_connections", &[shop]) >= at("freshgate_origin_idle_connections", &[shop]));
    for (kind, severity, count) in
        [("write", "hard", 3.0), ("purge", "hard", 1.0), ("purge", "soft", 1.0), ("event", "hard", 1.0)]
    {
        assert_eq!(
            at("freshgate_invalidations_total", &[shop, ("kind", kind), ("severity", severity)]),
            count,
            "{kind}"
        );
    }
    let histogram = &metrics["freshgate_request_duration_seconds"].samples;
    for (from, count) in [("cache", 1.0), ("origin", 2.0), ("passed", 3.0)] {
        let is = |labels: &BTreeMap<String, String>| labels["api"] == "shop/v1" && labels["from"] == from;
        let counted = histogram.iter().find(|s| s.name.ends_with("_count") && is(&s.labels)).unwrap();
        assert_eq!(counted.value, count, "{from}");
    }
    assert!(at("freshgate_certificate_expires_seconds", &[("listener", "objects")]) > 1_700_000_000.0);
    assert!(at("process_start_time_seconds", &[]) > 1_700_000_000.0);
    assert!(at("freshgate_store_limit_bytes", &[]) > 1e6);
}

#[tokio::test]
async fn why_an_answer_left_the_store() {
    let world = World::new().await;
    let gateway = &world.gateway;
    let gone =
        async |cause| world.metrics().await["freshgate_evictions_total"].at(&[("api", "shop/v1"), ("cause", cause)]);
    let mut client = gateway.client().await;
    let mut fetch = async |times| {
        for _ in 0..times {
            gateway.step(2); // a client's no-cache counts once a second
            client.get_with("/shop/1", &[("cache-control", "no-cache")]).await;
            gateway.settled().await;
        }
    };
    fetch(3).await;
    assert_eq!((gone("replaced").await, gone("invalidated").await), (2.0, 0.0), "the first two");
    gateway.purge(serde_json::json!({ "path": "/shop/1" })).await;
    fetch(1).await;
    assert_eq!((gone("replaced").await, gone("invalidated").await), (2.0, 1.0), "one that was purged");
    gateway.step(3_600);
    gateway.running.store().sweep(gateway.clock.now());
    assert_eq!((gone("expired").await, gone("invalidated").await, gone("size").await), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn what_was_counted_is_there_after_a_reload() {
    let world = World::new().await;
    world.traffic(1).await;
    let before = world.metrics().await;
    world.reloads();
    let after = world.metrics().await;
    let shop = ("api", "shop/v1");
    for (name, labels) in [
        ("freshgate_requests_total", &[shop, ("outcome", "hit")][..]),
        ("freshgate_not_stored_total", &[shop]),
        ("freshgate_fills_total", &[shop]),
        ("freshgate_evictions_total", &[shop, ("cause", "replaced")]),
        ("freshgate_invalidations_total", &[shop, ("kind", "write"), ("severity", "hard")]),
        ("freshgate_auth_refused_total", &[("api", "locked/v1")]),
    ] {
        assert_eq!(before[name].at(labels), after[name].at(labels), "{name}");
    }
    // A lifetime that changes outdates what is stored, twice here.
    let reloads = [shop, ("kind", "reload"), ("severity", "soft")];
    assert_eq!(after["freshgate_invalidations_total"].at(&reloads), 2.0);
    assert_eq!(after["freshgate_config_reloads_total"].at(&[("result", "applied")]), 2.0);
    let counts = |families: &crate::parser::Families| {
        let counters = families.iter().filter(|(_, family)| family.kind == "counter");
        counters.map(|(name, family)| (name.clone(), family.samples.clone())).collect::<BTreeMap<_, _>>()
    };
    for (name, samples) in counts(&before) {
        for sample in samples {
            let now = after[&name].samples.iter().find(|now| now.labels == sample.labels);
            assert!(now.is_some_and(|now| now.value >= sample.value), "{sample:?} went back");
        }
    }
}
