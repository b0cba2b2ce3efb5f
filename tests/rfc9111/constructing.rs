//! Which stored answer may be used for a request (RFC 9111 §4, §4.1).

use crate::table::{A, MINUTE, Row, contrast, row};

pub(crate) fn section_4() -> Vec<Row> {
    const NO_CACHE: &[&str] = &["Cache-Control: no-cache, max-age=60", A];
    vec![
        row("9111 4-1.1", "another query").ok(&[MINUTE]).get(&[]).at("?q=1").fwd("uri-miss"),
        row("9111 4-1.1", "another value in the query").at("?q=1").ok(&[MINUTE]).get(&[]).at("?q=2").fwd("uri-miss"),
        row("9111 4-1.1", "the same pairs in another order")
            .api("[api.key]\nquery = \"exact\"")
            .at("?a=1&b=2")
            .ok(&[MINUTE])
            .get(&[])
            .at("?b=2&a=1")
            .fwd("uri-miss"),
        row("9111 4-1.1", "an empty query")
            .api("[api.key]\nquery = \"exact\"")
            .ok(&[MINUTE])
            .get(&[])
            .at("?")
            .fwd("uri-miss"),
        row("9111 4-1.1", "another path").at("/a").ok(&[MINUTE]).get(&[]).at("/A").fwd("uri-miss"),
        row("9111 4-1.1", "another host").ok(&[MINUTE]).get(&["Host: b.example"]).fwd("uri-miss"),
        row("9111 4-1.1", "another port")
            .first("GET", &["Host: a.example"])
            .ok(&[MINUTE])
            .get(&["Host: a.example:81"])
            .fwd("uri-miss"),
        contrast("the same, written otherwise")
            .first("GET", &["Host: a.example"])
            .ok(&[MINUTE])
            .get(&["Host: A.Example"])
            .hit(),
        row("9111 4-1.2", "OPTIONS isn't answered by a GET's").ok(&[MINUTE]).ask("OPTIONS", &[]).fwd("method"),
        row("9111 4-1.2", "nor is POST").ok(&[MINUTE]).ask("POST", &[]).fwd("method"),
        row("9111 4-1.2", "GET isn't answered by a POST's").first("POST", &[]).ok(&[MINUTE]).again(0).fwd("uri-miss"),
        row("9111 4-1.2", "nor by that of a POST for something else")
            .first("POST", &[])
            .ok(&[MINUTE, "Content-Location: {path}/made"])
            .again(0)
            .fwd("uri-miss"),
        row("9111 4-1.2", "nor by a HEAD's").first("HEAD", &[]).ok(&[MINUTE]).again(0).fwd("uri-miss"),
        row("9111 4-1.4, 9111 5.2.2.4-1", "no-cache")
            .ok(NO_CACHE)
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        row("9111 4-1.4, 9111 5.2.2.4-1", "no-cache, each time anew")
            .ok(NO_CACHE)
            .again(0)
            .confirms(NO_CACHE)
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .again(0)
            .ok(&[MINUTE])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        row("9111 4-1.5", "stale").ok(&[MINUTE]).again(90).fwd("stale"),
        row("9111 4-1.5", "as old as its lifetime is stale")
            .ok(&[MINUTE, A, "Age: 60"])
            .again(0)
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        contrast("fresh").ok(&[MINUTE]).again(20).hit(),
        contrast("stale, and the client takes it")
            .ok(&[MINUTE, A])
            .step(90)
            .get(&["Cache-Control: max-stale=60"])
            .hit(),
        contrast("confirmed")
            .ok(&[MINUTE, A])
            .again(90)
            .confirms(&[MINUTE])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .again(20)
            .hit(),
    ]
}

pub(crate) fn section_4_more() -> Vec<Row> {
    vec![
        row("9111 4-2", "Age").cc("max-age=600").again(300).hit().age(300),
        row("9111 4-2", "Age in place of one that came")
            .ok(&["Cache-Control: max-age=600", "Age: 100"])
            .again(300)
            .hit()
            .age(400),
        row("9111 4-2", "Age by Date").ok(&["Cache-Control: max-age=600", "Date: {t-200}"]).again(300).hit().age(500),
        row("9111 4-2", "Age of what is stale")
            .ok(&[MINUTE, A])
            .step(90)
            .get(&["Cache-Control: max-stale"])
            .hit()
            .age(90),
        row("9111 4-2", "Age since it was confirmed")
            .ok(&[MINUTE, A, "Age: 30"])
            .again(90)
            .confirms(&[MINUTE])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .again(20)
            .hit()
            .age(20),
        row("9111 4-2", "Age of what another cache confirmed")
            .ok(&[MINUTE, A])
            .again(90)
            .confirms(&["Cache-Control: max-age=600", "Age: 30"])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .again(100)
            .hit()
            .age(130),
        row("9111 4-3", "PUT").ok(&[MINUTE]).ask("PUT", &[]).tells(201, &[]).fwd("method"),
        row("9111 4-3", "POST").ok(&[MINUTE]).ask("POST", &[]).ok(&[]).fwd("method"),
        row("9111 4-3", "DELETE").ok(&[MINUTE]).ask("DELETE", &[]).tells(204, &[]).fwd("method"),
        row("9111 4-3", "a method that nobody knows").ok(&[MINUTE]).ask("FROBNICATE", &[]).ok(&[]).fwd("method"),
        row("9111 4-3", "whatever else the client wishes")
            .ok(&[MINUTE])
            .ask("POST", &["Cache-Control: only-if-cached, max-stale"])
            .ok(&[])
            .fwd("method"),
        row("9111 4-3", "and when the origin is away").ok(&[MINUTE]).ask("PUT", &[]).fails().fwd("method").status(502),
        row("9111 4-4", "of two that match, the one with the later Date")
            .first("GET", &["X-A: 1", "X-B: 1"])
            .ok(&[MINUTE, "Vary: X-A", "Date: {t}"])
            .get(&["X-A: 2", "X-B: 1"])
            .ok(&["Cache-Control: max-age=600", "Vary: X-B", "Date: {t-50}"])
            .fwd("vary-miss")
            .get(&["X-A: 1", "X-B: 1"])
            .hit()
            .gets("one"),
        row("9111 4-4", "and when that was asked for last")
            .first("GET", &["X-A: 1", "X-B: 1"])
            .ok(&[MINUTE, "Vary: X-A", "Date: {t-30}"])
            .get(&["X-A: 2", "X-B: 1"])
            .ok(&[MINUTE, "Vary: X-B", "Date: {t}"])
            .fwd("vary-miss")
            .get(&["X-A: 1", "X-B: 1"])
            .hit()
            .gets("two"),
    ]
}

pub(crate) fn section_4_1() -> Vec<Row> {
    const CITES: &str = "9111 4-1.3, 9111 4.1-1, 9110 12.5.5-2";
    let varied = |why, by, first, second| row(CITES, why).first("GET", first).ok(by).get(second);
    const BY_A: &[&str] = &[MINUTE, "Vary: X-A"];
    vec![
        varied("another value", BY_A, &["X-A: 1"], &["X-A: 2"]).fwd("vary-miss"),
        varied("absent, then there", BY_A, &[], &["X-A: 1"]).fwd("vary-miss"),
        varied("absent, then empty", BY_A, &[], &["X-A:"]).fwd("vary-miss"),
        varied("there, then absent", BY_A, &["X-A: 1"], &[]).fwd("vary-miss"),
        varied("one line more", BY_A, &["X-A: 1"], &["X-A: 1", "X-A: 2"]).fwd("vary-miss"),
        varied("another order", BY_A, &["X-A: 1, 2"], &["X-A: 2, 1"]).fwd("vary-miss"),
        varied("another case in a field that may have one", BY_A, &["X-A: a"], &["X-A: A"]).fwd("vary-miss"),
        varied("whitespace inside a quoted string", BY_A, &["X-A: \"a, b\""], &["X-A: \"a,b\""]).fwd("vary-miss"),
        varied("names have no case", &[MINUTE, "Vary: x-a"], &["X-A: 1"], &["X-a: 2"]).fwd("vary-miss"),
        varied("the second of two names", &[MINUTE, "Vary: X-B, X-A"], &["X-A: 1"], &["X-A: 2"]).fwd("vary-miss"),
        varied("in the second of two lines", &[MINUTE, "Vary: X-B", "Vary: X-A"], &["X-A: 1"], &["X-A: 2"])
            .fwd("vary-miss"),
        varied("*", &[MINUTE, "Vary: *"], &[], &[]).fwd("uri-miss"),
        varied("* among names", &[MINUTE, "Vary: X-A, *"], &["X-A: 1"], &["X-A: 1"]).fwd("uri-miss"),
        varied("* in the second line", &[MINUTE, "Vary: X-A", "Vary: *"], &["X-A: 1"], &["X-A: 1"]).fwd("uri-miss"),
        varied("what Connection takes away was never there", BY_A, &["X-A: 1", "Connection: X-A"], &["X-A: 1"])
            .fwd("vary-miss"),
        varied("what the origin sees of TE", &[MINUTE, "Vary: TE"], &["TE: trailers", "Connection: TE"], &[])
            .fwd("uri-miss"),
        row(CITES, "a HEAD as well").first("GET", &["X-A: 1"]).ok(BY_A).ask("HEAD", &["X-A: 2"]).fwd("vary-miss"),
        contrast("the same").first("GET", &["X-A: 1"]).ok(BY_A).get(&["X-A: 1"]).hit(),
        contrast("absent both times").ok(BY_A).again(0).hit(),
        contrast("two lines that are one list").first("GET", &["X-A: 1", "X-A: 2"]).ok(BY_A).get(&["X-A: 1,  2"]).hit(),
        contrast("each variant is kept")
            .first("GET", &["X-A: 1"])
            .ok(BY_A)
            .get(&["X-A: 2"])
            .ok(BY_A)
            .fwd("vary-miss")
            .get(&["X-A: 1"])
            .hit()
            .gets("one"),
    ]
}
