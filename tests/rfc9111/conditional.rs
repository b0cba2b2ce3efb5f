//! Validators and conditions (RFC 9110 §8.8.3, §12.5.5, §13).

use crate::table::{A, MINUTE, MODIFIED, Row, WEAK_A, contrast, row};

const ASKS_A: &[&str] = &["If-None-Match: \"a\""];
const BODY: &str = "0123456789";
/// An answer with a date that is a strong validator.
const DATED: &[&str] = &[MINUTE, "Last-Modified: {t-600}", "Date: {t}"];

pub(crate) fn section_13_1_2() -> Vec<Row> {
    const WEAKLY: &str = "9110 13.1.2-1, 9110 13.2.2-1.3";
    const FIRST: &str = "9110 13.1.3-1, 9110 13.2.2-1.3, 9110 13.2.2-1.4";
    vec![
        row("9110 8.8.3-1", "a tag of our own is weak")
            .api("etag = \"generate\"")
            .ok(&[MINUTE])
            .again(0)
            .hit()
            .has(&["ETag: W/\"*"]),
        row("9110 12.5.5-1", "no * of ours in Vary")
            .api("[api.key]\nheaders = [\"x-a\"]")
            .ok(&[MINUTE])
            .has(&["Vary: x-a"])
            .again(0)
            .hit()
            .has(&["Vary: x-a"]),
        row("9110 12.5.5-1", "nor beside the origin's names")
            .api("[api.key]\nheaders = [\"x-a\"]")
            .ok(&[MINUTE, "Vary: X-B"])
            .again(0)
            .hit()
            .has(&["Vary: X-B, x-a"]),
        row(WEAKLY, "a weak tag for a strong one").ok(&[MINUTE, A]).get(&["If-None-Match: W/\"a\""]).hit().status(304),
        row(WEAKLY, "a strong tag for a weak one").ok(&[MINUTE, WEAK_A]).get(ASKS_A).hit().status(304),
        row(WEAKLY, "weak tags").ok(&[MINUTE, WEAK_A]).get(&["If-None-Match: W/\"a\""]).hit().status(304),
        row("9110 13.2.1-1, 9110 13.2.2-1.3", "the same tag").ok(&[MINUTE, A]).get(ASKS_A).hit().status(304),
        row("9110 13.2.1-1, 9110 13.2.2-1.3", "the last of several")
            .ok(&[MINUTE, A])
            .get(&["If-None-Match: \"b\", W/\"c\"", "If-None-Match: \"a\""])
            .hit()
            .status(304),
        row("9110 13.2.1-1, 9110 13.2.2-1.3", "any").ok(&[MINUTE]).get(&["If-None-Match: *"]).hit().status(304),
        row("9110 13.2.1-1, 9110 13.2.2-1.3", "HEAD").ok(&[MINUTE, A]).ask("HEAD", ASKS_A).hit().status(304),
        row("9110 13.2.1-1, 9110 13.2.2-1.3", "none of them")
            .ok(&[MINUTE, A])
            .get(&["If-None-Match: \"b\", \"A\", \"a"])
            .hit()
            .status(200),
        row("9110 13.2.2-1.3", "none of them, and a part is asked for")
            .ok(&[MINUTE, A])
            .content(BODY)
            .get(&["If-None-Match: \"b\"", "Range: bytes=2-4"])
            .hit()
            .status(206)
            .gets("234"),
        row("9110 13.2.2-1.3", "the same tag, and a part is asked for")
            .ok(&[MINUTE, A])
            .content(BODY)
            .get(&["If-None-Match: \"a\"", "Range: bytes=2-4"])
            .hit()
            .status(304),
        row(FIRST, "another tag, though it wasn't modified")
            .ok(&[MINUTE, A, MODIFIED])
            .get(&["If-None-Match: \"b\"", "If-Modified-Since: {t}"])
            .hit()
            .status(200),
        row(FIRST, "the same tag, though it was modified")
            .ok(&[MINUTE, A, "Last-Modified: {t-60}"])
            .get(&["If-None-Match: \"a\"", "If-Modified-Since: {t-600}"])
            .hit()
            .status(304),
        row(FIRST, "a tag that is none, though it wasn't modified")
            .ok(&[MINUTE, A, MODIFIED])
            .get(&["If-None-Match: a", "If-Modified-Since: {t}"])
            .hit()
            .status(200),
    ]
}

pub(crate) fn section_13_1_3() -> Vec<Row> {
    const SINCE: &str = "9110 13.2.1-1, 9110 13.2.2-1.4";
    const BAD: &str = "9110 13.1.3-2";
    const CLOCK: &str = "9110 13.1.3-4";
    let bad = |why, since| row(BAD, why).ok(&[MINUTE, MODIFIED]).get(since).hit().status(200);
    vec![
        row(SINCE, "not modified since").ok(DATED).get(&["If-Modified-Since: {t-300}"]).hit().status(304),
        row(SINCE, "modified just then").ok(DATED).get(&["If-Modified-Since: {t-600}"]).hit().status(304),
        row(SINCE, "modified since").ok(DATED).get(&["If-Modified-Since: {t-601}"]).hit().status(200),
        row(SINCE, "HEAD").ok(DATED).ask("HEAD", &["If-Modified-Since: {t-300}"]).hit().status(304),
        row(SINCE, "modified since, and a part is asked for")
            .ok(DATED)
            .content(BODY)
            .get(&["If-Modified-Since: {t-900}", "Range: bytes=2-4"])
            .hit()
            .status(206)
            .gets("234"),
        bad("no date", &["If-Modified-Since: yesterday"]),
        bad("a number", &["If-Modified-Since: 4102444800"]),
        bad("a day that there isn't", &["If-Modified-Since: Thu, 32 Jan 2099 00:00:00 GMT"]),
        bad("nothing", &["If-Modified-Since:"]),
        bad("two in a line", &["If-Modified-Since: {t}, {t}"]),
        bad("two lines", &["If-Modified-Since: {t}", "If-Modified-Since: {t}"]),
        row(BAD, "neither GET nor HEAD")
            .ok(&[MINUTE, MODIFIED])
            .ask("POST", &["If-Modified-Since: {t}"])
            .ok(&[])
            .fwd("method")
            .sent(&["If-Modified-Since: {t}"]),
        row(CLOCK, "an origin whose clock is ahead")
            .ok(&[MINUTE, "Last-Modified: {t+3600}", "Date: {t+7200}"])
            .get(&["If-Modified-Since: {t+3600}"])
            .hit()
            .status(304),
        row(CLOCK, "an origin whose clock is ahead, modified since")
            .ok(&[MINUTE, "Last-Modified: {t+3600}", "Date: {t+7200}"])
            .get(&["If-Modified-Since: {t+1800}"])
            .hit()
            .status(200),
    ]
}

pub(crate) fn section_13_1_5() -> Vec<Row> {
    const HOLDS: &str = "9110 13.1.5-6, 9110 13.2.2-1.5";
    const FAILS: &str = "9110 13.1.5-6, 9110 13.1.5-7, 9110 13.2.2-1.5";
    let asked = |cites, why, stored, fields| row(cites, why).ok(stored).content(BODY).get(fields).hit();
    vec![
        asked(HOLDS, "the same tag", &[MINUTE, A], &["Range: bytes=2-4", "If-Range: \"a\""]).status(206).gets("234"),
        asked(HOLDS, "the same date", DATED, &["Range: bytes=2-4", "If-Range: {t-600}"]).status(206).gets("234"),
        asked(FAILS, "another tag", &[MINUTE, A], &["Range: bytes=2-4", "If-Range: \"b\""]).status(200),
        asked(FAILS, "a weak tag", &[MINUTE, WEAK_A], &["Range: bytes=2-4", "If-Range: W/\"a\""]).status(200),
        asked(FAILS, "a weak tag here", &[MINUTE, WEAK_A], &["Range: bytes=2-4", "If-Range: \"a\""]).status(200),
        asked(FAILS, "a weak tag there", &[MINUTE, A], &["Range: bytes=2-4", "If-Range: W/\"a\""]).status(200),
        asked(FAILS, "no tag here", DATED, &["Range: bytes=2-4", "If-Range: \"a\""]).status(200),
        asked(FAILS, "a later date", DATED, &["Range: bytes=2-4", "If-Range: {t}"]).status(200),
        asked(FAILS, "an earlier date", DATED, &["Range: bytes=2-4", "If-Range: {t-700}"]).status(200),
        asked(
            FAILS,
            "a date of the same second",
            &[MINUTE, "Last-Modified: {t}", "Date: {t}"],
            &["Range: bytes=2-4", "If-Range: {t}"],
        )
        .status(200),
        asked(FAILS, "neither tag nor date", &[MINUTE, A], &["Range: bytes=2-4", "If-Range: a"]).status(200),
        asked(FAILS, "another tag, and past the end", &[MINUTE, A], &["Range: bytes=20-", "If-Range: \"b\""])
            .status(200),
        asked("9110 13.1.5-2", "without Range", &[MINUTE, A], &["If-Range: \"b\""]).status(200),
        asked("9110 13.1.5-2", "without Range, and the tag is the same", &[MINUTE, A], &["If-Range: \"a\""])
            .status(200),
        row("9110 13.1.5-1", "If-Range isn't sent where Range isn't")
            .ok(&[MINUTE, A])
            .content(BODY)
            .step(90)
            .get(&["Range: bytes=2-4", "If-Range: \"a\""])
            .confirms(&[A])
            .fwd("stale")
            .sent(ASKS_A)
            .unsent(&["Range", "If-Range"])
            .status(206)
            .gets("234"),
        row("9110 13.1.5-1", "nor where the client forgot Range")
            .first("GET", &["If-Range: \"a\""])
            .unsent(&["If-Range"]),
    ]
}

pub(crate) fn section_13_2() -> Vec<Row> {
    const RFC: &str = "error_answers = \"rfc\"";
    const NO_CACHE: &str = "cache = false";
    const LATER: &str = "9110 13.2.1-2";
    const PASSED: &str = "9110 13.2.1-3";
    vec![
        row(LATER, "404").api(RFC).tells(404, &[MINUTE, A]).get(ASKS_A).hit().status(404),
        row(LATER, "404 and any").api(RFC).tells(404, &[MINUTE, A]).get(&["If-None-Match: *"]).hit().status(404),
        row(LATER, "301").tells(301, &[MINUTE, A, "Location: /"]).get(ASKS_A).hit().status(301),
        row(LATER, "500").api(RFC).tells(500, &[MINUTE, A]).get(ASKS_A).hit().status(500),
        row(LATER, "410 by date")
            .api(RFC)
            .tells(410, &[MINUTE, MODIFIED])
            .get(&["If-Modified-Since: {t}"])
            .hit()
            .status(410),
        row(LATER, "404 and a part")
            .api(RFC)
            .tells(404, &[MINUTE, A])
            .content(BODY)
            .get(&["Range: bytes=2-4", "If-Range: \"a\""])
            .hit()
            .status(404),
        row(PASSED, "If-None-Match").api(NO_CACHE).first("GET", ASKS_A).confirms(&[A]).sent(ASKS_A).status(304),
        row(PASSED, "If-None-Match, and the origin doesn't care")
            .api(NO_CACHE)
            .first("GET", ASKS_A)
            .ok(&[A])
            .sent(ASKS_A),
        row(PASSED, "If-Modified-Since")
            .api(NO_CACHE)
            .first("GET", &["If-Modified-Since: {t}"])
            .ok(&[MODIFIED])
            .sent(&["If-Modified-Since: {t}"]),
        row(PASSED, "If-Match").api(NO_CACHE).first("GET", &["If-Match: \"b\""]).ok(&[A]).sent(&["If-Match: \"b\""]),
        row(PASSED, "If-Unmodified-Since")
            .api(NO_CACHE)
            .first("GET", &["If-Unmodified-Since: {t-900}"])
            .ok(&["Last-Modified: {t}"])
            .sent(&["If-Unmodified-Since: {t-900}"]),
        row(PASSED, "If-Range and Range")
            .api(NO_CACHE)
            .first("GET", &["If-Range: \"b\"", "Range: bytes=2-4"])
            .tells(206, &[A, "Content-Range: bytes 2-4/10"])
            .content("234")
            .sent(&["If-Range: \"b\"", "Range: bytes=2-4"]),
        row("9110 13.2.1-4", "OPTIONS")
            .ok(&[MINUTE, A])
            .ask("OPTIONS", ASKS_A)
            .ok(&[])
            .fwd("method")
            .sent(ASKS_A)
            .status(200),
        row("9110 13.2.1-4", "TRACE").ok(&[MINUTE, A]).ask("TRACE", ASKS_A).refused(405),
        row("9110 13.2.2-1.6", "no condition").ok(&[MINUTE, A, MODIFIED]).again(0).hit().status(200),
        row("9110 13.2.2-1.6", "a part without condition")
            .ok(&[MINUTE, A])
            .content(BODY)
            .get(&["Range: bytes=2-4"])
            .hit()
            .status(206)
            .gets("234"),
        contrast("no validator").ok(&[MINUTE]).get(ASKS_A).hit().status(200),
    ]
}
