//! Endpoints that are asked how they are.

use crate::support::{Gateway, Origin, Reply, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Says of itself what `well` says, and answers everything else.
async fn origin(name: &'static str, well: &Arc<AtomicBool>) -> Origin {
    let well = Arc::clone(well);
    Origin::start(move |request| {
        let checked = request.target == "/base/healthz?deep=1";
        let reply = match (checked, well.load(SeqCst)) {
            (true, true) => Reply::status(204),
            (true, false) => Reply::status(500),
            (false, _) => Reply::ok(name),
        };
        async move { reply }
    })
    .await
}

fn api(origins: &[&Origin], more: &str) -> String {
    let urls: Vec<String> = origins.iter().map(|origin| format!("\"{}/base\"", origin.url())).collect();
    format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [{}]\nbalance = \"round-robin\"\ncache = false\n\
         health = {{ path = \"/healthz?deep=1\", interval = \"10ms\", fall = 2, rise = 2, slow_start = \"0s\"{more} }}\n",
        urls.join(", ")
    )
}

/// Asks until `who` has answered so many times in a row.
async fn until(gateway: &Gateway, who: &str, times: usize) {
    within(&format!("{who} to answer"), async {
        let mut in_a_row = 0;
        while in_a_row < times {
            let answer = gateway.client().await.get("/x").await;
            let is = if answer.status == 200 { answer.text().to_owned() } else { answer.status.to_string() };
            in_a_row = if is == who { in_a_row + 1 } else { 0 };
        }
    })
    .await;
}

#[tokio::test]
async fn the_ill_one_is_taken_out_and_comes_back() {
    let (well_a, well_b) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (a, b) = (origin("a", &well_a).await, origin("b", &well_b).await);
    let gateway = Gateway::with("", &api(&[&a, &b], "")).await;
    until(&gateway, "a", 1).await;
    well_a.store(false, SeqCst);
    until(&gateway, "b", 10).await;
    // Nobody is left: that is said at once, and no origin is asked.
    well_b.store(false, SeqCst);
    until(&gateway, "503", 10).await;
    let refused = gateway.client().await.get("/x").await;
    assert_eq!(refused.json()["type"], "urn:freshgate:problem:no-healthy-origin");
    assert_eq!(refused.get("retry-after"), Some("1"));
    well_a.store(true, SeqCst);
    until(&gateway, "a", 10).await;
    let checks = |origin: &Origin| {
        let checks: Vec<_> = origin.requests().into_iter().filter(|r| r.target.contains("healthz")).collect();
        assert!(
            checks.iter().all(|check| check.method == "GET" && check.get("host") == Some(&origin.addr.to_string()))
        );
        checks.len()
    };
    assert!(checks(&a) >= 4 && checks(&b) >= 4);
}

#[tokio::test]
async fn one_status_may_be_the_good_one() {
    let well = Arc::new(AtomicBool::new(true));
    let a = origin("a", &well).await;
    let strict = Gateway::with("", &api(&[&a], ", status = 200")).await;
    until(&strict, "503", 3).await;
    let right = Gateway::with("", &api(&[&a], ", status = 204")).await;
    until(&right, "a", 10).await;
}

/// The checks end with their API: a gateway that is gone asks nobody.
#[tokio::test]
async fn checks_end_with_their_gateway() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let a = Origin::start(move |_| {
        count.fetch_add(1, SeqCst);
        async { Reply::status(204) }
    })
    .await;
    let gateway = Gateway::with("", &api(&[&a], "")).await;
    a.received(3).await;
    assert!(gateway.running.stop().await);
    let connections = a.connections();
    a.ended(connections).await;
    let after = asked.load(SeqCst);
    // Another gateway's checks are the clock here: in ten of its rounds the first one would have asked too.
    let other = Origin::always(Reply::status(204)).await;
    let _second = Gateway::with("", &api(&[&other], "")).await;
    other.received(10).await;
    assert_eq!(asked.load(SeqCst), after);
}
