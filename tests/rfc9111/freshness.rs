//! For how long an answer is fresh, and what becomes of it afterwards (RFC 9111 §4.2, §5.3).

use crate::requirements::Cited;
use crate::support::{Gate, Gateway, Origin, Reply};
use crate::table::{A, MINUTE, MODIFIED, Row, contrast, row};
use std::process::Command;

pub(crate) const FUNCTIONS: &[Cited] =
    &[(time_zones_do_not_matter as fn(), "9111 4.2-2"), (age_counts_from_the_question as fn(), "9111 4.2.3-1")];

const ASKS_A: &[&str] = &["If-None-Match: \"a\""];

pub(crate) fn section_4_2_2() -> Vec<Row> {
    let guessed = |why, fields| {
        row("9111 4.2.2-1", why)
            .api("heuristic = true")
            .ok(fields)
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\"", "If-Modified-Since: *"])
    };
    vec![
        guessed("max-age=0", &["Cache-Control: max-age=0", MODIFIED, A]),
        guessed("s-maxage=0", &["Cache-Control: s-maxage=0", MODIFIED, A]),
        guessed("Expires in the past", &["Expires: {t-10}", MODIFIED, A]),
        guessed("an Expires that is no date", &["Expires: 0", MODIFIED, A]),
        guessed("max-age that is over", &["Cache-Control: max-age=60", "Age: 100", MODIFIED, A]),
        contrast("nothing explicit").api("heuristic = true").ok(&[MODIFIED]).again(600).hit(),
    ]
}

pub(crate) fn section_4_2_4() -> Vec<Row> {
    const LENIENT: &str = "grace = \"10m\"\nkeep_on_error = \"10m\"";
    const PROHIBITED: &str = "9111 4.2.4-1";
    const REVALIDATE: &str = "9111 4.2.4-1, 9111 5.2.2.2-1, 9111 5.2.2.2-2";
    const PROXY: &str = "9111 4.2.4-1, 9111 5.2.2.8-1";
    const SHARED: &str = "9111 4.2.4-1, 9111 5.2.2.10-1";
    const NO_CACHE: &str = "9111 4.2.4-1, 9111 5.2.2.4-1";
    const TAKES: &[&str] = &["Cache-Control: max-stale"];
    let failing = |cites, why, control| row(cites, why).api(LENIENT).cc(control).step(90).get(TAKES);
    vec![
        failing(REVALIDATE, "must-revalidate, and the origin says it can't", "max-age=60, must-revalidate")
            .tells(503, &[])
            .fwd("stale"),
        failing(REVALIDATE, "must-revalidate, and the origin is away", "max-age=60, must-revalidate")
            .fails()
            .fwd("stale")
            .status(502),
        failing(
            REVALIDATE,
            "must-revalidate wins over stale-if-error",
            "max-age=60, must-revalidate, stale-if-error=600",
        )
        .tells(500, &[])
        .fwd("stale"),
        failing(
            REVALIDATE,
            "must-revalidate wins over stale-while-revalidate",
            "max-age=60, must-revalidate, stale-while-revalidate=600",
        )
        .ok(&[])
        .fwd("stale"),
        failing(PROXY, "proxy-revalidate, and the origin says it can't", "max-age=60, proxy-revalidate")
            .tells(504, &[])
            .fwd("stale"),
        failing(PROXY, "proxy-revalidate, and the origin is away", "max-age=60, proxy-revalidate")
            .fails()
            .fwd("stale")
            .status(502),
        failing(SHARED, "s-maxage, and the origin says it can't", "s-maxage=60").tells(502, &[]).fwd("stale"),
        failing(SHARED, "s-maxage, and the origin is away", "s-maxage=60, max-age=600")
            .fails()
            .fwd("stale")
            .status(502),
        row(NO_CACHE, "no-cache, and the origin is away")
            .api(LENIENT)
            .ok(&["Cache-Control: no-cache, max-age=60", A])
            .get(TAKES)
            .fails()
            .fwd("stale")
            .sent(ASKS_A)
            .status(502),
        row(PROHIBITED, "must-revalidate with something behind it")
            .api(LENIENT)
            .ok(&["Cache-Control: max-age=60, must-revalidate; x", A])
            .step(90)
            .get(TAKES)
            .fails()
            .fwd("stale")
            .sent(ASKS_A)
            .status(502),
        contrast("nothing prohibits it").api(LENIENT).cc("max-age=60").step(90).get(TAKES).hit(),
        contrast("nothing prohibits it, and the origin fails")
            .api("keep_on_error = \"10m\"")
            .cc("max-age=60")
            .again(90)
            .fails()
            .kept(),
        contrast("must-revalidate, and fresh").cc("max-age=60, must-revalidate").again(0).hit(),
        row("9111 4.2.4-2", "nobody permits it").cc("max-age=60").again(90).ok(&[]).fwd("stale"),
        row("9111 4.2.4-2", "nobody permits it, and the origin has an error")
            .cc("max-age=60")
            .again(90)
            .tells(500, &[])
            .fwd("stale"),
        row("9111 4.2.4-2", "more than max-stale")
            .cc("max-age=60")
            .step(150)
            .get(&["Cache-Control: max-stale=20"])
            .fwd("stale"),
        row("9111 4.2.4-2", "longer than stale-if-error")
            .cc("max-age=60, stale-if-error=20")
            .again(150)
            .tells(500, &[])
            .fwd("stale"),
        row("9111 4.2.4-2", "longer than stale-while-revalidate")
            .cc("max-age=60, stale-while-revalidate=20")
            .again(150)
            .fwd("stale"),
    ]
}

pub(crate) fn section_5_3() -> Vec<Row> {
    let bad = |date| row("9111 5.3-1", "no date").ok(date).again(0).confirms(&[A]).fwd("stale").sent(ASKS_A);
    vec![
        bad(&["Expires: 0", A]),
        bad(&["Expires: -1", A]),
        bad(&["Expires:", A]),
        bad(&["Expires: tomorrow", A]),
        bad(&["Expires: 4102444800", A]),
        bad(&["Expires: Thu, 32 Jan 2099 00:00:00 GMT", A]),
        bad(&["Expires: Thu, 01 Jan 2099 00:00:00 +0000", A]),
        bad(&["Expires: 2099-01-01T00:00:00Z", A]),
        bad(&["Expires: \"{t+600}\"", A]),
        bad(&["Expires: {t+600}, {t+600}", A]),
        contrast("a date").ok(&["Expires: {t+600}", "Date: {t}"]).again(500).hit().again(130).fwd("stale"),
        contrast("counted from Date").ok(&["Expires: {t-100}", "Date: {t-700}"]).again(0).fwd("uri-miss"),
        contrast("as old a form as there is").ok(&["Expires: Thu Jan  1 00:00:00 2099"]).again(600).hit(),
        row("9111 5.3-2", "max-age, though Expires is over").ok(&[MINUTE, "Expires: {t-600}"]).again(20).hit(),
        row("9111 5.3-2", "max-age, though Expires is no date").ok(&[MINUTE, "Expires: 0"]).again(20).hit(),
        row("9111 5.3-2", "max-age, though Expires is later").ok(&[MINUTE, "Expires: {t+600}"]).again(90).fwd("stale"),
        row("9111 5.3-2", "max-age=0, though Expires is later")
            .ok(&["Cache-Control: max-age=0", "Expires: {t+600}", A])
            .again(0)
            .fwd("stale")
            .sent(ASKS_A),
        row("9111 5.3-3", "s-maxage, though Expires is over")
            .ok(&["Cache-Control: s-maxage=60", "Expires: {t-600}"])
            .again(20)
            .hit(),
        row("9111 5.3-3", "s-maxage, though Expires is later")
            .ok(&["Cache-Control: s-maxage=60", "Expires: {t+600}"])
            .again(90)
            .fwd("stale"),
    ]
}

/// The table of `Expires` where clocks on the wall show something else.
#[test]
fn time_zones_do_not_matter() {
    for zone in ["EST+11", "XXX-14", "GMT"] {
        let itself = std::env::current_exe().unwrap();
        let table = Command::new(itself).args(["expires", "--exact"]).env("TZ", zone).output().unwrap();
        let said = String::from_utf8_lossy(&table.stdout);
        assert!(table.status.success() && said.contains("1 passed"), "{zone}: {said}");
    }
}

#[tokio::test]
async fn age_counts_from_the_question() {
    let gate = Gate::closed();
    let held = gate.clone();
    let reply = Reply::ok("slow").field("Cache-Control", "max-age=600").field("Age", "100");
    let origin = Origin::start(move |_| {
        let (gate, reply) = (held.clone(), reply.clone());
        async move {
            gate.pass().await;
            reply
        }
    })
    .await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.send("GET", "/x", &[], "").await;
    gate.arrived(1).await;
    gateway.step(200);
    gate.open();
    assert_eq!(client.answer().await.text(), "slow");
    gateway.settled().await;
    gateway.step(50);
    let hit = client.get("/x").await;
    let age: u64 = hit.get("age").unwrap().parse().unwrap();
    assert!(hit.cache_says("hit") && (350..380).contains(&age), "{hit:?}");
    gateway.step(260);
    assert!(!client.get("/x").await.cache_says("hit"), "600 seconds after the question");
}
