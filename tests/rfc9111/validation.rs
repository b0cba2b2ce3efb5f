//! Asking whether a stored answer still holds, and what comes of it (RFC 9111 §4.3.1 to §4.3.4).

use crate::table::{A, B, MINUTE, MODIFIED, Row, WEAK_A, contrast, row};

const ASKS_A: &[&str] = &["If-None-Match: \"a\""];

pub(crate) fn section_4_3_1() -> Vec<Row> {
    const TAGS: &str = "9111 4.3.1-1";
    vec![
        row(TAGS, "a strong tag").ok(&[MINUTE, A]).again(90).confirms(&[A]).fwd("stale").sent(ASKS_A),
        row(TAGS, "a weak tag")
            .ok(&[MINUTE, WEAK_A])
            .again(90)
            .confirms(&[WEAK_A])
            .fwd("stale")
            .sent(&["If-None-Match: W/\"a\""]),
        row(TAGS, "an empty tag")
            .ok(&[MINUTE, "ETag: \"\""])
            .again(90)
            .confirms(&[])
            .fwd("stale")
            .sent(&["If-None-Match: \"\""]),
        row(TAGS, "a tag with a comma and a backslash")
            .ok(&[MINUTE, "ETag: \"a,\\b\""])
            .again(90)
            .confirms(&[])
            .fwd("stale")
            .sent(&["If-None-Match: \"a,\\b\""]),
        row(TAGS, "a tag and a date")
            .ok(&[MINUTE, A, MODIFIED])
            .again(90)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\"", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]),
        row(TAGS, "for a client that has another one")
            .ok(&[MINUTE, A])
            .step(90)
            .get(&["If-Modified-Since: {t-600}"])
            .confirms(&[A])
            .fwd("stale")
            .sent(ASKS_A),
        row(TAGS, "for no-cache").ok(&["Cache-Control: no-cache", A]).again(0).confirms(&[A]).fwd("stale").sent(ASKS_A),
        row(TAGS, "for a client's no-cache")
            .ok(&[MINUTE, A])
            .step(10)
            .get(&["Cache-Control: no-cache"])
            .confirms(&[A])
            .fwd("request")
            .sent(ASKS_A),
        row(TAGS, "after it was confirmed by another")
            .ok(&[MINUTE, WEAK_A])
            .again(90)
            .confirms(&["ETag: W/\"a\"", MINUTE])
            .fwd("stale")
            .sent(&["If-None-Match: W/\"a\""])
            .again(90)
            .confirms(&[])
            .fwd("stale")
            .sent(&["If-None-Match: W/\"a\""]),
        contrast("no tag, only a date")
            .ok(&[MINUTE, MODIFIED])
            .again(90)
            .confirms(&[])
            .fwd("stale")
            .sent(&["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]),
    ]
}

pub(crate) fn section_4_3_2() -> Vec<Row> {
    const ORIGINS: &str = "9111 4.3.2-1";
    const UNION: &str = "9111 4.3.2-3";
    vec![
        row(ORIGINS, "If-Match that would fail")
            .ok(&[MINUTE, A])
            .get(&["If-Match: \"b\""])
            .ok(&[])
            .fwd("request")
            .sent(&["If-Match: \"b\""]),
        row(ORIGINS, "If-Match that would hold")
            .ok(&[MINUTE, A])
            .get(&["If-Match: \"a\""])
            .tells(412, &[])
            .fwd("request")
            .sent(&["If-Match: \"a\""]),
        row(ORIGINS, "If-Unmodified-Since that would fail")
            .ok(&[MINUTE, "Last-Modified: {t-60}"])
            .get(&["If-Unmodified-Since: {t-600}"])
            .ok(&[])
            .fwd("request")
            .sent(&["If-Unmodified-Since: {t-600}"]),
        row(ORIGINS, "If-None-Match: * with PUT")
            .ok(&[MINUTE, A])
            .ask("PUT", &["If-None-Match: *"])
            .tells(201, &[])
            .fwd("method")
            .sent(&["If-None-Match: *"]),
        row(ORIGINS, "If-Match with PUT")
            .ok(&[MINUTE, A])
            .ask("PUT", &["If-Match: \"b\""])
            .ok(&[])
            .fwd("method")
            .sent(&["If-Match: \"b\""]),
        row(ORIGINS, "nothing is stored, and a part is asked for")
            .first("GET", &["Range: bytes=0-4", "If-Range: \"a\"", "If-None-Match: \"b\""])
            .tells(206, &[MINUTE, A, "Content-Range: bytes 0-4/10"])
            .content("01234")
            .sent(&["Range: bytes=0-4", "If-Range: \"a\"", "If-None-Match: \"b\""]),
        row(ORIGINS, "nothing is stored, and HEAD is asked").first("HEAD", ASKS_A).ok(&[MINUTE, A]).sent(ASKS_A),
        row(ORIGINS, "nothing can be stored")
            .ok(&["Cache-Control: no-store", A])
            .get(ASKS_A)
            .confirms(&[A])
            .fwd("uri-miss")
            .sent(ASKS_A)
            .status(304),
        row(ORIGINS, "nothing can be stored, and the origin doesn't care for the condition")
            .ok(&["Cache-Control: no-store", A])
            .get(ASKS_A)
            .ok(&["Cache-Control: no-store", A])
            .fwd("uri-miss")
            .sent(ASKS_A),
        row(UNION, "ours holds, and the client has another one")
            .ok(&[MINUTE, A, "X-A: 1"])
            .step(90)
            .get(&["If-None-Match: \"b\", \"c\""])
            .confirms(&[A, "X-A: 2"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(200)
            .gets("one")
            .has(&["X-A: 2", A]),
        row(UNION, "the same for no-cache")
            .ok(&["Cache-Control: no-cache", A])
            .get(&["If-None-Match: \"b\""])
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(200)
            .gets("one"),
        contrast("ours holds, and it is the client's")
            .ok(&[MINUTE, A])
            .step(90)
            .get(&["If-None-Match: \"b\", \"a\""])
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(304),
    ]
}

pub(crate) fn section_4_3_3() -> Vec<Row> {
    const FULL: &str = "9111 4.3.3-1";
    const OTHER: &str = "9111 4.3.4-1";
    vec![
        row(FULL, "another version")
            .ok(&[MINUTE, A])
            .again(90)
            .ok(&[MINUTE, B])
            .fwd("stale")
            .sent(ASKS_A)
            .has(&[B])
            .again(0)
            .hit()
            .gets("two"),
        row(FULL, "the same tag, but whole")
            .ok(&[MINUTE, A])
            .again(90)
            .ok(&[MINUTE, A])
            .fwd("stale")
            .sent(ASKS_A)
            .again(0)
            .hit()
            .gets("two"),
        row(FULL, "that mustn't be stored")
            .ok(&[MINUTE, A])
            .again(90)
            .ok(&["Cache-Control: no-store", B])
            .fwd("stale")
            .sent(ASKS_A),
        row(FULL, "that there is nothing any more")
            .ok(&[MINUTE, A])
            .again(90)
            .tells(404, &[])
            .fwd("stale")
            .sent(ASKS_A),
        row(FULL, "that it is elsewhere")
            .ok(&[MINUTE, A])
            .again(90)
            .tells(301, &["Location: /"])
            .fwd("stale")
            .sent(ASKS_A),
        row(FULL, "though the client's condition holds for the old one")
            .ok(&[MINUTE, A])
            .step(90)
            .get(ASKS_A)
            .ok(&[MINUTE, B])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(200)
            .gets("two"),
        row(OTHER, "another strong tag")
            .ok(&[MINUTE, A, "X-A: 1"])
            .again(90)
            .confirms(&[B, "X-A: 2"])
            .ok(&[MINUTE, B, "X-A: 3"])
            .fwd("stale")
            .sent(ASKS_A)
            .gets("three")
            .has(&["X-A: 3", B]),
        row(OTHER, "a strong tag for a weak one")
            .ok(&[MINUTE, WEAK_A, "X-A: 1"])
            .again(90)
            .confirms(&[A, "X-A: 2"])
            .ok(&[MINUTE, A, "X-A: 3"])
            .fwd("stale")
            .sent(&["If-None-Match: W/\"a\""])
            .gets("three")
            .has(&["X-A: 3"]),
        row(OTHER, "another strong tag, and the origin is away afterwards")
            .api("keep_on_error = \"10m\"")
            .ok(&[MINUTE, A, "X-A: 1"])
            .again(90)
            .confirms(&[B, "X-A: 2"])
            .tells(503, &[])
            .kept()
            .sent(ASKS_A)
            .gets("one")
            .has(&["X-A: 1", A]),
        contrast("the same strong tag")
            .ok(&[MINUTE, A, "X-A: 1"])
            .again(90)
            .confirms(&[A, "X-A: 2"])
            .fwd("stale")
            .sent(ASKS_A)
            .has(&["X-A: 2"]),
        contrast("a weak tag for a strong one")
            .ok(&[MINUTE, A])
            .again(90)
            .confirms(&[WEAK_A])
            .fwd("stale")
            .sent(ASKS_A),
    ]
}

/// A 304 makes younger what it is about, and nothing else.
pub(crate) fn section_4_3_4() -> Vec<Row> {
    vec![
        row("9111 4.3.4-1", "of two variants, only the one that was confirmed")
            .first("GET", &["X-A: 1"])
            .ok(&[MINUTE, "Vary: X-A", A, "X-V: 1"])
            .get(&["X-A: 2"])
            .ok(&[MINUTE, "Vary: X-A", B, "X-V: 1"])
            .fwd("vary-miss")
            .step(90)
            .get(&["X-A: 1"])
            .confirms(&[MINUTE, A, "X-V: 2"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .gets("one")
            .has(&["X-V: 2"])
            .get(&["X-A: 2"])
            .confirms(&[MINUTE, B, "X-V: 3"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .gets("two")
            .has(&["X-V: 3"]),
        row("9111 4.3.4-2", "by tag")
            .ok(&[MINUTE, A])
            .again(90)
            .confirms(&[MINUTE, A, "X-V: 2"])
            .fwd("stale")
            .sent(ASKS_A)
            .again(0)
            .hit()
            .has(&["X-V: 2"]),
        row("9111 4.3.4-2", "by date")
            .ok(&[MINUTE, MODIFIED])
            .again(90)
            .confirms(&[MINUTE, MODIFIED, "X-V: 2"])
            .fwd("stale")
            .sent(&["If-Modified-Since: *"])
            .again(0)
            .hit()
            .has(&["X-V: 2"]),
        row("9111 4.3.4-2", "by a weak tag")
            .ok(&[MINUTE, WEAK_A])
            .again(90)
            .confirms(&[MINUTE, WEAK_A, "X-V: 2"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .again(0)
            .hit()
            .has(&["X-V: 2"]),
        row("9111 4.3.4-2", "for a client that has it")
            .ok(&[MINUTE, A])
            .step(90)
            .get(ASKS_A)
            .confirms(&[MINUTE, A, "X-V: 2"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(304)
            .again(0)
            .hit()
            .gets("one")
            .has(&["X-V: 2"]),
    ]
}
