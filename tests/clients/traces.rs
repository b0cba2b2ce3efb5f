//! Traces as a collector gets them: a server of OpenTelemetry's own messages, in Python, which none of us wrote but for its last ten lines.

use crate::support::process::{ADMIN, Process as Program, command};
use crate::support::{Authority, Gate, Gateway, Origin, Reply, within};
use crate::world::{Process, script, wanted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The collector.
struct Collector {
    port: u16,
    process: Process,
}

impl Collector {
    fn start(port: u16) -> Collector {
        Collector::with(port, &[])
    }

    /// With the files of a certificate and a key.
    fn with(port: u16, files: &[PathBuf]) -> Collector {
        let mut command = script("collector.py");
        command.arg(port.to_string()).args(files);
        let process = Process::start(command);
        let line = process.line();
        let port = line.strip_prefix("ready ").and_then(|port| port.parse().ok());
        Collector { port: port.unwrap_or_else(|| panic!("{line}: {}", process.errors())), process }
    }

    /// `[telemetry]` with more of its lines.
    fn section(&self, more: &str) -> String {
        format!("[telemetry]\notlp = \"http://127.0.0.1:{}\"\n{more}\n", self.port)
    }

    /// The next `n` spans.
    fn spans(&self, n: usize) -> Vec<Value> {
        (0..n).map(|_| serde_json::from_str(&self.process.line()).unwrap()).collect()
    }
}

fn api(origin: &Origin, more: &str) -> String {
    format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{more}\n", origin.url())
}

fn of_kind<'a>(spans: &'a [Value], kind: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["kind"] == kind).collect()
}

/// The `traceparent` of the origin's nth request.
fn told(origin: &Origin, n: usize) -> String {
    origin.requests()[n].fields.one("traceparent").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_question_are_two_spans_of_its_clients_trace() {
    if !wanted() {
        return;
    }
    let collector = Collector::start(0);
    let origin = Origin::always(Reply::ok("body").field("cache-control", "max-age=60")).await;
    let headers = "service_name = \"shop\"\nheaders = [{ name = \"x-tenant\", value = \"of-the-test\" }]";
    let gateway = Gateway::with(&collector.section(headers), &api(&origin, "")).await;
    let mut client = gateway.client().await.host("shop.example:81");
    let context = format!("00-{TRACE}-{PARENT}-01");
    let fields = [("traceparent", context.as_str()), ("tracestate", "v=1")];
    assert_eq!(client.get_with("/books/7?token=hush&page=2", &fields).await.status, 200);

    let spans = collector.spans(2);
    let (server, asked) = (of_kind(&spans, "server")[0], of_kind(&spans, "client")[0]);
    for span in [server, asked] {
        assert_eq!((&span["trace"], &span["state"]), (&json!(TRACE), &json!("v=1")));
        assert_eq!((&span["resource"]["service.name"], &span["scope"]), (&json!("shop"), &json!("freshgate")));
        assert_eq!(span["fields"]["x-tenant"], "of-the-test");
        assert_eq!((&span["links"], &span["error"]), (&json!([]), &json!(false)));
    }
    assert_eq!((&server["parent"], &asked["parent"]), (&json!(PARENT), &server["span"]));
    // The origin is below the question, not below the request.
    assert_eq!(told(&origin, 0), format!("00-{TRACE}-{}-01", asked["span"].as_str().unwrap()));
    assert_eq!(origin.requests()[0].fields.one("tracestate"), "v=1");
    let expected = json!({
        "http.request.method": "GET", "url.path": "/books/7", "url.query": "token=***&page=2", "url.scheme": "http",
        "server.address": "shop.example", "server.port": 81, "network.protocol.version": "1.1",
        "http.response.status_code": 200, "freshgate.api": "test/v1", "freshgate.outcome": "miss", "freshgate.stored": true,
    });
    assert_eq!((&server["name"], &server["attributes"]), (&json!("GET test/v1"), &expected));
    let port = origin.addr.port();
    let expected = json!({
        "http.request.method": "GET", "url.full": format!("http://127.0.0.1:{port}/books/7?page=2&token=***"),
        "server.address": "127.0.0.1", "server.port": port, "network.protocol.version": "1.1",
        "http.response.status_code": 200,
    });
    assert_eq!((&asked["name"], &asked["attributes"]), (&json!("GET"), &expected));
    let time = |span: &Value, name: &str| span[name].as_u64().unwrap();
    assert!(time(server, "start") <= time(asked, "start") && time(asked, "end") <= time(server, "end"));

    // A hit, in another trace, asks nobody.
    let other = format!("00-{}-{PARENT}-01", TRACE.replace('4', "5"));
    let hit = client.get_with("/books/7?token=hush&page=2", &[("traceparent", &other)]).await;
    assert!(hit.cache_says("hit"), "{hit:?}");
    let hit = &collector.spans(1)[0];
    assert_eq!((&hit["trace"], &hit["kind"]), (&json!(TRACE.replace('4', "5")), &json!("server")));
    assert_eq!(hit["attributes"]["freshgate.outcome"], "hit");
    assert_eq!(origin.count(), 1);
    assert!(!format!("{spans:?}{hit:?}").contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_and_who_refreshes_has_a_link() {
    if !wanted() {
        return;
    }
    let (collector, gate) = (Collector::start(0), Gate::closed());
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Reply::ok("body").field("cache-control", "max-age=10, stale-while-revalidate=60")
        }
    })
    .await;
    let gateway = Gateway::with(&collector.section(""), &api(&origin, "")).await;
    let (mut first, mut second) = (gateway.client().await, gateway.client().await);
    first.send("GET", "/", &[], "").await;
    origin.received(1).await;
    second.send("GET", "/", &[], "").await;
    within("one who waits", async {
        while !gateway.admin("GET", "/metrics", "").await.text().contains("freshgate_waiting_requests 1") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    assert_eq!((first.answer().await.status, second.answer().await.status), (200, 200));
    let spans = collector.spans(3);
    let by: BTreeMap<_, _> = of_kind(&spans, "server")
        .into_iter()
        .map(|span| (span["attributes"]["freshgate.outcome"].as_str().unwrap(), span))
        .collect();
    let link = |span: &Value| json!([{ "trace": span["trace"], "span": span["span"] }]);
    assert_eq!((&by["miss"]["links"], &by["joined"]["links"]), (&json!([]), &link(by["miss"])));
    assert_ne!(by["miss"]["trace"], by["joined"]["trace"]);

    gateway.settled().await;
    gateway.step(20);
    assert!(first.get("/").await.cache_says("hit"));
    let spans = collector.spans(2);
    let (stale, asked) = (of_kind(&spans, "server")[0], of_kind(&spans, "client")[0]);
    assert_eq!(stale["attributes"]["freshgate.reason"], "stale-while-revalidate");
    assert_eq!((&asked["links"], &asked["parent"]), (&link(stale), &json!("")));
    assert_ne!(asked["trace"], stale["trace"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_repetitions_show() {
    if !wanted() {
        return;
    }
    let collector = Collector::start(0);
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/gone" => Reply::status(410),
            _ => Reply::nothing(),
        }
    })
    .await;
    let more = "retry = { times = 1, budget = 1.0 }\n[[api.route]]\non = \"GET /once\"\nretry = { times = 0 }";
    let gateway = Gateway::with(&collector.section(""), &api(&origin, more)).await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/breaks").await.status, 502);
    let spans = collector.spans(3);
    let server = of_kind(&spans, "server")[0];
    assert_eq!((&server["error"], &server["attributes"]["error.type"]), (&json!(true), &json!("origin-closed")));
    assert_eq!(server["attributes"]["http.response.status_code"], 502);
    let tries = of_kind(&spans, "client");
    assert!(tries.iter().all(|span| span["error"] == true && span["attributes"]["error.type"] == "origin-closed"));
    let counts: Vec<_> = tries.iter().map(|span| span["attributes"]["http.request.resend_count"].clone()).collect();
    assert_eq!(counts, [Value::Null, json!(1)]);
    assert_ne!(told(&origin, 0), told(&origin, 1), "each try is a span of its own");
    // An answer of 4xx is no failure of ours, but one of our question (as the conventions have it).
    assert_eq!(client.get("/gone").await.status, 410);
    let spans = collector.spans(2);
    assert_eq!(of_kind(&spans, "server")[0]["error"], false);
    assert_eq!(of_kind(&spans, "client")[0]["attributes"]["error.type"], "410");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
    if !wanted() {
        return;
    }
    let collector = Collector::start(0);
    let origin = Origin::always(Reply::ok("body").field("cache-control", "max-age=60")).await;
    let gateway = Gateway::with(&collector.section("timeout = \"500ms\"\nqueue = 8"), &api(&origin, "")).await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(collector.spans(2).len(), 2);
    let port = collector.port;
    drop(collector);
    for _ in 0..100 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let lost = || async {
        let text = gateway.admin("GET", "/metrics", "").await;
        let line = text.text().lines().find_map(|line| line.strip_prefix("freshgate_spans_lost_total ")?.parse().ok());
        line.unwrap_or(0u64)
    };
    // Those for which there is no room, at once; those that were sent in vain, when that is known.
    within("the loss of all", async {
        while lost().await < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let collector = Collector::start(port);
    let lines = tokio::task::spawn_blocking(move || collector.spans(1));
    // Whatever is asked meanwhile may still be lost, as it can't know before it tries again.
    within("a span", async {
        while !lines.is_finished() {
            assert_eq!(client.get("/").await.status, 200);
        }
    })
    .await;
    assert_eq!(lines.await.unwrap()[0]["kind"], "server");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_it_has_to_be_the_collector_that_is_meant() {
    if !wanted() {
        return;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pair = authority.pair("collector");
    let files = [authority.write("cert.pem", &pair.cert), authority.write("key.pem", &pair.key)];
    let collector = Collector::with(0, &files);
    let origin = Origin::always(Reply::ok("body")).await;
    for (trusts, ours) in [(&authority, true), (&stranger, false)] {
        let to = format!("[telemetry]\notlp = \"https://localhost:{}\"\ntimeout = \"1s\"\n", collector.port);
        let text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{ADMIN}{to}{}", api(&origin, ""));
        let mut command = command(&authority.write("f.toml", &text), "");
        command.env("SSL_CERT_FILE", trusts.write("ca.pem", &trusts.pem()));
        let program = Program::of(command);
        assert_eq!(program.get("/").await.status, 200);
        if ours {
            assert_eq!(of_kind(&collector.spans(2), "server").len(), 1);
        } else {
            program.says("the collector doesn't take traces").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_has_to_tell_at_its_end_is_told() {
    if !wanted() {
        return;
    }
    let (collector, folder) = (Collector::start(0), tempfile::tempdir().unwrap());
    let origin = Origin::always(Reply::ok("body")).await;
    let file = folder.path().join("f.toml");
    let to = collector.section("");
    std::fs::write(&file, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{ADMIN}{to}{}", api(&origin, ""))).unwrap();
    let mut program = Program::start(&file);
    assert_eq!(program.get("/").await.status, 200);
    program.signal("-TERM");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(collector.spans(2).len(), 2, "sooner than they would have gathered");
}
