//! A thousand APIs.

use crate::parser;
use crate::support::{Gateway, Origin, Reply};

const APIS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_a_thousand_apis_are_read_at_once() {
    let origin = Origin::always(Reply::ok("x")).await;
    let url = origin.url();
    let api = |n| {
        format!(
            "[[api]]\nname = \"api-{n}\"\nversion = \"v1\"\npath = \"/{n}\"\nupstream = [\"{url}\"]\nttl = \"1h\"\n"
        )
    };
    let gateway = Gateway::with("", &(0..APIS).map(api).collect::<String>()).await;
    let mut client = gateway.client().await;
    for n in 0..APIS {
        for _ in 0..2 {
            assert_eq!(client.get(&format!("/{n}/1")).await.status, 200);
        }
    }
    let began = tokio::time::Instant::now();
    let answer = gateway.admin("GET", "/metrics", "").await;
    let (took, bytes) = (began.elapsed(), answer.text().len());
    println!("{bytes} bytes in {took:?}");
    // What it takes when it is compiled for use is in docs/operating.md; this build is many times slower.
    assert!(took.as_secs() < 5, "{took:?}");
    let families = parser::read(answer.text()).unwrap_or_else(|why| panic!("{why}"));
    let requests = &families["freshgate_requests_total"].samples;
    let sum = |outcome| requests.iter().filter(|s| s.labels["outcome"] == outcome).map(|s| s.value).sum::<f64>();
    assert_eq!(sum("hit") + sum("miss") + sum("joined"), 2.0 * APIS as f64);
    assert_eq!(families["freshgate_stored_entries"].samples.len(), APIS);
}
