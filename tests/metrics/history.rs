//! The last hour as `GET /v1/traffic` gives it, and what `/v1/apis` says of late.

use crate::support::{Gateway, Origin, Reply};
use freshgate::telemetry::History;
use serde_json::Value;

/// Moves the clock to the beginning of a step, so that there is time until the next one by itself; takes its sample.
pub(crate) fn begin(gateway: &Gateway) {
    gateway.clock.step(History::left(gateway.clock.mono()));
    gateway.running.sample();
}

async fn traffic(gateway: &Gateway) -> Value {
    let answer = gateway.admin("GET", "/v1/traffic", "").await;
    assert_eq!((answer.status, answer.get("content-type")), (200, Some("application/json")));
    answer.json()
}

/// What came of a step in which `during` was done; tried again where it took so long that another step has begun meanwhile.
async fn step(gateway: &Gateway, during: impl AsyncFn()) -> Value {
    for _ in 0..5 {
        begin(gateway);
        let before = traffic(gateway).await["t"].as_array().unwrap().len();
        during().await;
        gateway.step(5);
        gateway.running.sample();
        let hour = traffic(gateway).await;
        if hour["t"].as_array().unwrap().len() == before + 1 {
            let last = |(name, column): (&String, &Value)| Some((name.clone(), column.as_array()?.last()?.clone()));
            return hour.as_object().unwrap().iter().filter_map(last).collect::<serde_json::Map<_, _>>().into();
        }
    }
    panic!("five times a step was over before it was begun");
}

#[tokio::test]
async fn the_rates_are_those_that_were_made() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10h\"").await;
    assert_eq!(traffic(&gateway).await["step"], 5);
    let first = step(&gateway, async || {
        let mut client = gateway.client().await;
        for n in 0..20 {
            client.get(&format!("/{}", n % 5)).await;
            gateway.settled().await;
        }
        gateway.purge(serde_json::json!({ "path": "/0" })).await;
        gateway.purge(serde_json::json!({ "path": "/1" })).await;
    })
    .await;
    let rate = |sample: &Value, name: &str| sample[name].as_f64().unwrap();
    // Five seconds, and what the test itself has taken.
    assert!((2.0..=4.0).contains(&rate(&first, "requests")), "{first}");
    assert!((rate(&first, "hits") / rate(&first, "misses") - 3.0).abs() < 0.02, "{first}");
    assert!((rate(&first, "requests") - rate(&first, "hits") - rate(&first, "misses")).abs() < 0.01, "{first}");
    assert!((rate(&first, "invalidations") * 10.0 - rate(&first, "requests")).abs() < 0.02, "{first}");
    assert_eq!((&first["hit_ratio"], rate(&first, "evictions")), (&Value::from(0.75), 0.0));
    assert!(rate(&first, "hit_ms_p50") > 0.0 && rate(&first, "hit_ms_p50") <= rate(&first, "hit_ms_p99"), "{first}");
    assert!(first["origin_ms_p50"].is_f64() && first["origin_ms_p99"].is_f64(), "{first}");
    let api = gateway.admin("GET", "/v1/apis/test/v1", "").await.json();
    assert_eq!((&first["entries"], &first["bytes"]), (&api["entries"], &api["bytes"]));
    assert_eq!((&api["requests"], &api["requests_per_second"]), (&Value::from(20), &first["requests"]));
    assert!(api["hit_ms"]["p50"].is_f64() && api["origin_ms"]["p99"].is_f64(), "{api}");
    assert_eq!(api["health"], serde_json::json!({ "well": 1, "resting": 0, "down": 0, "open": 0 }));

    let idle = step(&gateway, async || {}).await;
    for name in ["requests", "hits", "misses", "invalidations"] {
        assert_eq!(rate(&idle, name), 0.0, "{idle}");
    }
    for name in ["hit_ratio", "hit_ms_p50", "hit_ms_p99", "origin_ms_p50", "origin_ms_p99"] {
        assert_eq!(idle[name], Value::Null, "{idle}");
    }
    assert_eq!(gateway.admin("GET", "/v1/apis/test/v1", "").await.json()["requests_per_second"], 0.0);
}

#[tokio::test]
async fn an_hour_is_there_and_no_more_and_what_is_long_ago_counts_for_no_figure_of_late() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "ttl = \"10h\"").await;
    gateway.client().await.get("/1").await;
    for _ in 0..725 {
        gateway.step(5);
        gateway.running.sample();
    }
    let hour = traffic(&gateway).await;
    let columns = hour.as_object().unwrap().values().filter_map(Value::as_array);
    assert!(columns.clone().count() == 13 && columns.clone().all(|column| column.len() == 720), "{hour}");
    let times: Vec<u64> = hour["t"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
    assert!(times.windows(2).all(|two| (5..=6).contains(&(two[1] - two[0]))), "{times:?}");
    let api = gateway.admin("GET", "/v1/apis/test/v1", "").await.json();
    assert_eq!((&api["misses"], &api["origin_ms"]["p50"]), (&Value::from(1), &Value::Null));
}

#[tokio::test]
async fn a_reload_leaves_the_hour_as_it_was() {
    let origin = Origin::always(Reply::ok("x")).await;
    let one = |name: &str| {
        let url = origin.url();
        format!("[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{url}\"]\n")
    };
    let gateway = Gateway::with("", &(one("a") + &one("b"))).await;
    for path in ["/a/1", "/b/1", "/b/2"] {
        gateway.client().await.get(path).await;
    }
    begin(&gateway);
    let before = traffic(&gateway).await;
    gateway.reload(&one("a"));
    let after = step(&gateway, async || {}).await;
    assert_eq!(after["requests"], 0.0, "what is gone takes nothing away, and what stays isn't counted again");
    let hour = traffic(&gateway).await;
    assert_eq!(hour["t"][0], before["t"][0]);
}
