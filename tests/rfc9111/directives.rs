//! The directives of `Cache-Control`, one by one (RFC 9111 §5.2).

use crate::table::{A, MINUTE, Row, contrast, row};

const ASKS_A: &[&str] = &["If-None-Match: \"a\""];

pub(crate) fn section_5_2() -> Vec<Row> {
    const PASSES: &str = "9111 5.2-1";
    const ODD: &str = "Cache-Control: max-age=60, x-new=\"a, b\", no-transform, Community=UCI";
    vec![
        row(PASSES, "to the origin")
            .first("GET", &["Cache-Control: x-new=\"a, b\", no-transform, max-stale=5"])
            .sent(&["Cache-Control: x-new=\"a, b\", no-transform, max-stale=5"]),
        row(PASSES, "to the origin, of a write")
            .first("POST", &["Cache-Control: no-store, x-new"])
            .sent(&["Cache-Control: no-store, x-new"]),
        row(PASSES, "to the origin, though they are ignored here")
            .api("client_directives = \"ignore\"")
            .first("GET", &["Cache-Control: no-cache, max-age=0"])
            .sent(&["Cache-Control: no-cache, max-age=0"]),
        row(PASSES, "to the origin, when what is stored is confirmed")
            .ok(&[MINUTE, A])
            .step(10)
            .get(&["Cache-Control: no-cache, x-new"])
            .confirms(&[A])
            .fwd("request")
            .sent(&["Cache-Control: no-cache, x-new", "If-None-Match: \"a\""]),
        row(PASSES, "to the client").ok(&[ODD]).has(&[ODD]),
        row(PASSES, "to the client, of a stored answer").ok(&[ODD]).again(0).hit().has(&[ODD]),
        row(PASSES, "to the client, of an answer that isn't stored")
            .ok(&["Cache-Control: no-store, private=\"x-a\", s-maxage=60"])
            .has(&["Cache-Control: no-store, private=\"x-a\", s-maxage=60"]),
        row(PASSES, "to the client, in a 304").ok(&[ODD, A]).get(ASKS_A).hit().status(304).has(&[ODD]),
        row("9111 5.2.1.5-1", "a client's no-store")
            .first("GET", &["Cache-Control: no-store"])
            .ok(&[MINUTE])
            .again(0)
            .fwd("uri-miss"),
        row("9111 5.2.1.5-1", "among others, in capitals")
            .first("GET", &["Cache-Control: max-age=5, NO-STORE"])
            .ok(&[MINUTE])
            .again(0)
            .fwd("uri-miss"),
        row("9111 5.2.1.5-1", "takes no stored answer's place")
            .ok(&[MINUTE, A])
            .step(10)
            .get(&["Cache-Control: no-store, no-cache"])
            .ok(&[MINUTE, A])
            .fwd("request")
            .again(0)
            .hit()
            .gets("one"),
        row("9111 5.2.3-1", "unknown directives").cc("x-new, max-age=60, community=\"UCI\"").again(0).hit(),
        row("9111 5.2.3-1", "unknown directives that hold known ones")
            .cc("x-new=\"no-store, private\", max-age=60")
            .again(0)
            .hit(),
        row("9111 5.2.3-1", "unknown directives that begin like known ones")
            .cc("no-storex, private-ish, max-age=60, max-agent=0")
            .again(0)
            .hit(),
        row("9111 5.2.3-1", "and they permit nothing").cc("x-public, x-max-age=60").again(0).fwd("uri-miss"),
        row("9111 5.2.3-1", "in a request").ok(&[MINUTE]).get(&["Cache-Control: x-no-cache, x-new=\"no-cache\""]).hit(),
    ]
}

pub(crate) fn section_5_2_2() -> Vec<Row> {
    const OBEYED: &str = "9111 5.2.2-1";
    const SHARED: &str = "9111 5.2.2-1, 9111 5.2.2.10-1";
    const NO_STORE: &str = "9111 5.2.2-1, 9111 5.2.2.5-1";
    const NAMED: &str = "9111 5.2.2.7-2";
    const PACKED: &[&str] =
        &["Cache-Control: max-age=60, no-transform", "Content-Encoding: x-none", "Content-Type: image/x-odd", A];
    vec![
        row(OBEYED, "max-age").cc("max-age=60").again(90).fwd("stale"),
        row(OBEYED, "max-age in quotes").cc("max-age=\"60\"").again(20).hit().again(50).fwd("stale"),
        row(OBEYED, "max-age=0").ok(&["Cache-Control: max-age=0", A]).again(0).fwd("stale").sent(ASKS_A),
        row(OBEYED, "of two that conflict, the stricter").cc("max-age=600, no-store").again(0).fwd("uri-miss"),
        row(SHARED, "s-maxage, not max-age").cc("max-age=600, s-maxage=60").again(90).fwd("stale"),
        contrast("s-maxage, not max-age, and longer").cc("max-age=60, s-maxage=600").again(90).hit(),
        row(NO_STORE, "no-store, though the operator has a lifetime")
            .api("ttl = \"10m\"")
            .cc("no-store")
            .again(0)
            .fwd("uri-miss"),
        row(NO_STORE, "no-store, though the operator's word counts")
            .api("ttl = \"10m\"\nfreshness = \"ttl\"")
            .cc("no-store, max-age=60")
            .again(0)
            .fwd("uri-miss"),
        row(NO_STORE, "no-store with an argument").cc("NO-STORE=1, max-age=60").again(0).fwd("uri-miss"),
        row("9111 5.2.2.4-1", "no-cache, and what comes instead is an error")
            .ok(&["Cache-Control: no-cache", A])
            .again(0)
            .tells(500, &[])
            .fwd("stale")
            .sent(ASKS_A),
        row("9111 5.2.2.4-1", "no-cache=\"\" names nothing, so it is about all")
            .ok(&["Cache-Control: no-cache=\"\", max-age=60", A])
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(ASKS_A),
        row("9111 5.2.2.6-1", "no-transform")
            .ok(PACKED)
            .content("\x7f\x00 odd")
            .has(PACKED)
            .again(0)
            .hit()
            .has(PACKED)
            .gets("\x7f\x00 odd"),
        row("9111 5.2.2.6-1", "no-transform, for a client that takes no coding")
            .ok(PACKED)
            .get(&["Accept-Encoding: identity;q=1, *;q=0"])
            .hit()
            .has(PACKED),
        row("9111 5.2.2.6-1", "no-transform, where tags are made")
            .api("etag = \"generate\"")
            .ok(PACKED)
            .again(0)
            .hit()
            .has(PACKED),
        row(NAMED, "private=\"…\"")
            .ok(&["Cache-Control: max-age=60, private=\"X-A\"", "X-A: 1", "X-B: 1"])
            .again(0)
            .hit()
            .lacks(&["X-A"])
            .has(&["X-B: 1"]),
        contrast("but who asked gets them")
            .ok(&["Cache-Control: max-age=60, private=\"X-A\"", "X-A: 1"])
            .has(&["X-A: 1"])
            .again(0)
            .hit()
            .lacks(&["X-A"]),
        contrast("who asked gets a cookie that is for nobody else")
            .ok(&["Cache-Control: max-age=60, private=\"Set-Cookie\"", "Set-Cookie: a=b"])
            .has(&["Set-Cookie: a=b"]),
        contrast("and what isn't to be used again unasked")
            .ok(&["Cache-Control: max-age=60, no-cache=\"Set-Cookie\"", "Set-Cookie: a=b"])
            .has(&["Set-Cookie: a=b"]),
        row("9111 4-1.4", "no-cache=\"…\"")
            .ok(&["Cache-Control: max-age=60, no-cache=\"X-A, x-b\"", "X-A: 1", "X-B: 1", "X-C: 1"])
            .again(0)
            .hit()
            .lacks(&["X-A", "X-B"])
            .has(&["X-C: 1"]),
        row(NAMED, "several names, in any case")
            .ok(&["Cache-Control: max-age=60, PRIVATE=\"x-a, X-b\"", "X-A: 1", "X-B: 1", "X-C: 1"])
            .again(0)
            .hit()
            .lacks(&["X-A", "X-B"])
            .has(&["X-C: 1"]),
        row(NAMED, "as a token")
            .ok(&["Cache-Control: max-age=60, private=x-a", "X-A: 1"])
            .again(0)
            .hit()
            .lacks(&["X-A"]),
        row(NAMED, "set-cookie")
            .ok(&["Cache-Control: max-age=60, private=\"set-cookie\"", "Set-Cookie: a=b"])
            .again(0)
            .hit()
            .lacks(&["Set-Cookie"]),
        row(NAMED, "those that a 304 brings")
            .ok(&["Cache-Control: max-age=60, private=\"x-a\"", A])
            .again(90)
            .confirms(&["Cache-Control: max-age=60, private=\"x-a\"", "X-A: 1"])
            .fwd("stale")
            .sent(ASKS_A)
            .again(0)
            .hit()
            .lacks(&["X-A"]),
        row(NAMED, "those of the whole, once a 304 names them")
            .ok(&[MINUTE, A, "X-A: 1"])
            .again(90)
            .confirms(&["Cache-Control: max-age=60, private=\"x-a\""])
            .fwd("stale")
            .sent(ASKS_A)
            .again(0)
            .hit()
            .lacks(&["X-A"]),
    ]
}
