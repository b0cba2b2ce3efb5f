//! Which trace a request belongs to is told to its origin, and has no part in what it is answered. (What a collector gets of it is in
//! `tests/clients`.)

#![cfg(test)]

mod support;

use std::time::Duration;
use support::{Client, Gateway, Origin, Reply, Request};

/// Nobody is there: what is to be sent is lost.
const ON: &str = "[telemetry]\notlp = \"http://127.0.0.1:9\"\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn context(flags: &str) -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-{flags}")
}

async fn gateway(telemetry: &str, origin: &Origin, more: &str) -> Gateway {
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{more}\n",
        origin.url()
    );
    Gateway::with(telemetry, &api).await
}

/// Trace and flags, of what is a context.
fn read(request: &Request) -> (String, String, String) {
    let field = request.fields.one("traceparent");
    let parts: Vec<&str> = field.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { panic!("{field}") };
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
    assert!(version == "00" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2), "{field}");
    (trace.into(), span.into(), flags.into())
}

#[tokio::test]
async fn without_traces_a_context_is_a_field_like_any_other() {
    let origin = Origin::always(Reply::ok("")).await;
    let gateway = gateway("", &origin, "").await;
    let mut client = gateway.client().await;
    let odd = [("traceparent", "00-odd"), ("tracestate", "=,="), ("baggage", "k=v"), ("traceparent", "twice")];
    assert_eq!(client.get_with("/", &odd).await.status, 200);
    assert_eq!(client.get("/2").await.status, 200);
    let seen = origin.requests();
    assert_eq!(seen[0].fields.all("traceparent"), ["00-odd", "twice"]);
    assert_eq!((seen[0].fields.one("tracestate"), seen[0].fields.one("baggage")), ("=,=", "k=v"));
    assert_eq!(seen[1].fields.get("traceparent"), None, "none is made up");
    let metrics = gateway.admin("GET", "/metrics", "").await;
    assert!(!metrics.text().contains("freshgate_spans"));
}

#[tokio::test]
async fn whatever_way_a_request_goes_its_origin_is_told_of_the_trace_and_of_a_span_of_ours() {
    let origin = Origin::always(Reply::ok("")).await;
    let gateway = gateway(ON, &origin, "safe = false\n[[api.route]]\non = \"GET /past\"\ncache = false").await;
    let mut client = gateway.client().await;
    let ways = [
        ("GET", "/", ""),
        ("GET", "/past", ""),
        ("HEAD", "/head", ""),
        ("OPTIONS", "/", ""),
        ("QUERY", "/", "q"),
        ("PUT", "/", "x"),
        ("DELETE", "/", ""),
        ("POST", "/", "x"),
    ];
    let sampled = context("01");
    let mut spans = Vec::new();
    for (n, (method, target, body)) in ways.into_iter().enumerate() {
        let fields = [("traceparent", sampled.as_str()), ("tracestate", "a=1"), ("baggage", "k=v")];
        assert_eq!(client.request(method, target, &fields, body).await.status, 200, "{method}");
        let seen = &origin.requests()[n];
        let (trace, span, flags) = read(seen);
        assert_eq!((&*trace, &*flags), (TRACE, "01"), "{method}");
        assert_eq!((seen.fields.one("tracestate"), seen.fields.one("baggage")), ("a=1", "k=v"));
        spans.push(span);
    }
    spans.push("00f067aa0ba902b7".into());
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), ways.len() + 1, "each has one of its own");
}

#[tokio::test]
async fn what_is_no_context_begins_a_trace_and_a_callers_flag_stays() {
    let origin = Origin::always(Reply::ok("")).await;
    let gateway = gateway(&format!("{ON}sample = 0.0\n"), &origin, "").await;
    let mut client = gateway.client().await;
    let (yes, no) = (context("01"), context("00"));
    for (n, (given, flags)) in [("nonsense", "00"), (&*yes, "01"), (&*no, "00")].into_iter().enumerate() {
        client.get_with(&format!("/{n}"), &[("traceparent", given), ("tracestate", "a=1")]).await;
        let seen = &origin.requests()[n];
        let (trace, span, found) = read(seen);
        assert_eq!((&*found, trace == TRACE), (flags, given != "nonsense"), "{given}");
        assert_ne!(span, "00f067aa0ba902b7");
        assert_eq!(seen.fields.get("tracestate").is_some(), given != "nonsense", "a state belongs to its context");
    }
}

#[tokio::test]
async fn requests_of_all_traces_are_answered_alike_and_nothing_of_a_trace_is_kept() {
    for telemetry in ["", ON] {
        let reply = Reply::ok("body")
            .field("cache-control", "max-age=60")
            .field("vary", "traceparent, Tracestate, baggage")
            .field("traceparent", context("01"))
            .field("traceresponse", "00-a")
            .field("baggage", "of=the-first");
        let origin = Origin::always(reply).await;
        let gateway = gateway(telemetry, &origin, "").await;
        let ask = async |flags, state: &str| {
            let fields = [("traceparent", context(flags)), ("tracestate", state.into()), ("baggage", state.into())];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            Client::connect(gateway.addr).await.get_with("/", &fields).await
        };
        let first = ask("01", "a=1").await;
        assert!(first.get("traceresponse") == Some("00-a") && first.cache_says("stored"), "{first:?}");
        gateway.settled().await;
        for hit in [ask("00", "b=2").await, gateway.client().await.get("/").await] {
            assert!(hit.cache_says("hit"), "{telemetry}: {hit:?}");
            for name in ["traceparent", "tracestate", "traceresponse", "baggage"] {
                assert_eq!(hit.get(name), None, "{name}");
            }
        }
        assert_eq!(origin.count(), 1);
    }
}

#[tokio::test]
async fn a_confirmation_puts_nothing_of_a_trace_into_the_store() {
    let origin = Origin::start(|request| async move {
        let confirmed = request.fields.get("if-none-match").is_some();
        let reply = if confirmed { Reply::status(304) } else { Reply::ok("body") };
        reply.field("cache-control", "max-age=1").field("etag", "\"1\"").field("traceresponse", "00-a")
    })
    .await;
    let gateway = gateway(ON, &origin, "").await;
    let mut client = gateway.client().await;
    client.get("/").await;
    gateway.settled().await;
    gateway.step(5);
    let confirmed = client.get("/").await;
    assert!((confirmed.status, origin.count()) == (200, 2), "{confirmed:?}");
    let hit = client.get("/").await;
    assert!(hit.cache_says("hit") && hit.get("traceresponse").is_none(), "{hit:?}");
}

#[tokio::test]
async fn a_collector_that_takes_nothing_holds_up_no_request_and_no_stop() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); // its connections wait to be accepted
    let origin = Origin::always(Reply::ok("body")).await;
    let to = format!("[telemetry]\notlp = \"http://{}\"\ntimeout = \"1m\"\nqueue = 2\n", silent.local_addr().unwrap());
    let gateway = gateway(&to, &origin, "").await;
    let mut client = gateway.client().await;
    for _ in 0..50 {
        assert_eq!(client.get("/").await.status, 200);
    }
    drop(client);
    // Far less than the minute that a message may take.
    let stopped = tokio::time::timeout(Duration::from_secs(10), gateway.running.stop()).await;
    assert_eq!(stopped, Ok(true));
}
