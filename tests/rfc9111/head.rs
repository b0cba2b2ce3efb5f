//! HEAD: answered like GET, and what its answers say about stored ones (RFC 9110 §9.1, §9.3.2; RFC 9111 §4.3.5).

use crate::table::{A, B, MINUTE, MODIFIED, Row, contrast, row};

const ASKS_A: &[&str] = &["If-None-Match: \"a\""];

pub(crate) fn section_9_3_2() -> Vec<Row> {
    vec![
        // Content would be taken for the beginning of the next answer.
        row("9110 9.1-1, 9110 9.3.2-1", "from the store")
            .ok(&[MINUTE])
            .ask("HEAD", &[])
            .hit()
            .has(&["Content-Length: 3"])
            .again(0)
            .hit(),
        row("9110 9.1-1, 9110 9.3.2-1", "from the origin")
            .first("HEAD", &[])
            .ok(&["Content-Type: text/plain"])
            .has(&["Content-Type: text/plain"])
            .ask("HEAD", &[])
            .fwd("uri-miss")
            .again(0)
            .fwd("uri-miss"),
        row("9110 9.3.2-1", "of a stored error")
            .api("error_answers = \"rfc\"")
            .tells(404, &[MINUTE])
            .ask("HEAD", &[])
            .hit()
            .again(0)
            .hit(),
        row("9110 9.3.2-1", "of something with trailer fields")
            .ok(&[MINUTE])
            .trailer("X-T", "1")
            .ask("HEAD", &[])
            .hit()
            .again(0)
            .hit(),
        row("9110 9.3.2-1", "of our own answers")
            .ok(&["Cache-Control: no-store"])
            .ask("HEAD", &["Cache-Control: only-if-cached"])
            .refused(504)
            .gets("")
            .again(0)
            .fwd("uri-miss"),
        row("9110 9.3.2-1", "when the origin is away")
            .first("HEAD", &[])
            .fails()
            .status(502)
            .gets("")
            .again(0)
            .fwd("uri-miss"),
    ]
}

pub(crate) fn section_4_3_5() -> Vec<Row> {
    const CITES: &str = "9111 4.3.5-1";
    const LENGTH: &str = "Content-Length: 3";
    let updated = |why, stored, head| {
        row(CITES, why).ok(stored).step(90).ask("HEAD", &[]).tells(200, head).content("one").fwd("stale").anyhow()
    };
    let outdated = |why, stored, head| {
        contrast(why)
            .ok(stored)
            .step(10)
            .ask("HEAD", &["Cache-Control: no-cache"])
            .ok(head)
            .content("one")
            .fwd("request")
    };
    vec![
        updated("it says that nothing has changed", &[MINUTE, A, "X-A: 1"], &[MINUTE, A, "X-A: 2", "X-B: 2"])
            .has(&["X-A: 2"])
            .again(0)
            .hit()
            .has(&["X-A: 2", "X-B: 2", LENGTH])
            .gets("one"),
        updated("by date", &[MINUTE, MODIFIED, "X-A: 1"], &[MINUTE, MODIFIED, "X-A: 2"])
            .again(0)
            .hit()
            .has(&["X-A: 2"])
            .gets("one"),
        updated("the lifetime too", &[MINUTE, A], &["Cache-Control: max-age=600", A]).again(500).hit().gets("one"),
        outdated("another tag makes it stale", &[MINUTE, A], &[MINUTE, B]).again(0).ok(&[MINUTE, B]).fwd("").anyhow(),
        outdated("so does another length", &[MINUTE], &[MINUTE]).content("longer").again(0).ok(&[MINUTE]).fwd("stale"),
        contrast("another variant's doesn't")
            .first("GET", &["X-A: 1"])
            .ok(&[MINUTE, A, "Vary: X-A"])
            .ask("HEAD", &["X-A: 2"])
            .ok(&[MINUTE, B, "Vary: X-A"])
            .fwd("vary-miss")
            .get(&["X-A: 1"])
            .hit()
            .gets("one"),
        contrast("nor does an error")
            .ok(&[MINUTE, A])
            .step(90)
            .ask("HEAD", &[])
            .tells(503, &[])
            .fwd("stale")
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(ASKS_A)
            .gets("one"),
    ]
}
