//! What is stored, and what of it (RFC 9111 §1.2.2, §3 to §3.2, §3.5).

use crate::requirements::Cited;
use crate::support::{Gateway, Origin, Reply};
use crate::table::{A, MINUTE, MODIFIED, Row, contrast, row};

pub(crate) const FUNCTIONS: &[Cited] =
    &[(nothing_of_a_no_store_stays as fn(), "9111 5.2.1.5-2, 9111 5.2.2.5-2, 9111 5.2.2.5-1, 9111 5.2.1.5-1")];

pub(crate) fn section_1_2_2() -> Vec<Row> {
    vec![
        row("9111 1.2.2-1", "a number too big is for ever")
            .cc("max-age=99999999999999999999")
            .again(2_147_000_000)
            .hit(),
        row("9111 1.2.2-1", "just too big for 31 bits").cc("max-age=2147483649").again(2_147_000_000).hit(),
        row("9111 1.2.2-1", "just too big for 32 bits").cc("s-maxage=4294967297").again(2_147_000_000).hit(),
        row("9111 1.2.2-1", "just too big for 64 bits").cc("max-age=18446744073709551617").again(2_147_000_000).hit(),
        row("9111 1.2.2-1", "max-stale too big is any time")
            .ok(&[MINUTE, A])
            .step(1_000_000_000)
            .get(&["Cache-Control: max-stale=99999999999999999999"])
            .hit(),
        row("9111 1.2.2-1", "a sum that is too big is no small one")
            .ok(&["Cache-Control: max-age=2147483647", "Age: 2147483000", A])
            .again(1000)
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
    ]
}

pub(crate) fn section_3() -> Vec<Row> {
    vec![
        contrast("a GET with a lifetime is stored").cc("max-age=60").again(0).hit(),
        row("9111 3-1.1", "OPTIONS").first("OPTIONS", &[]).ok(&[MINUTE]).again(0).fwd("uri-miss"),
        row("9111 3-1.1", "an unknown method").first("FETCH", &[]).ok(&[MINUTE]).again(0).fwd("uri-miss"),
        row("9111 3-1.1", "PUT").first("PUT", &[]).ok(&[MINUTE, "Content-Location: {path}"]).again(0).fwd("uri-miss"),
        row("9111 3-1.2", "an interim answer")
            .raw(concat!(
                "HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=60\r\nLink: </a>\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
            ))
            .interim(&[103])
            .again(0)
            .fwd("uri-miss"),
        row("9111 3-1.3", "304 to a request without conditions")
            .confirms(&[MINUTE, A])
            .status(304)
            .again(0)
            .fwd("uri-miss"),
        row("9111 3-1.3", "206 of an unknown unit")
            .first("GET", &["Range: pages=1-2"])
            .tells(206, &[MINUTE, A, "Content-Range: pages 1-2/9"])
            .sent(&["Range: pages=1-2"])
            .get(&["Range: pages=1-2"])
            .tells(206, &[MINUTE, A, "Content-Range: pages 1-2/9"])
            .fwd("")
            .sent(&["Range: pages=1-2"]),
        row("9111 3-1.3", "206 of an unknown unit that nobody asked for")
            .tells(206, &[MINUTE, A, "Content-Range: pages 1-2/9"])
            .again(0)
            .fwd("uri-miss"),
        row("9111 3-1.3", "must-understand, and the status isn't")
            .tells(299, &["Cache-Control: max-age=60, must-understand"])
            .again(0)
            .fwd("uri-miss"),
        contrast("the same status without must-understand").tells(299, &[MINUTE]).again(0).hit(),
        contrast("must-understand, and the status is").cc("max-age=60, must-understand, no-store").again(0).hit(),
        row("9111 3-1.4", "no-store").cc("no-store, max-age=60").again(0).fwd("uri-miss"),
        row("9111 3-1.4", "no-store behind another line")
            .ok(&[MINUTE, "Cache-Control: NO-STORE"])
            .again(0)
            .fwd("uri-miss"),
        row("9111 3-1.5, 9111 5.2.2.7-1", "private").cc("private, max-age=60").again(0).fwd("uri-miss"),
        row("9111 3-1.5, 9111 5.2.2.7-1", "private in capitals, though s-maxage")
            .cc("s-maxage=60, PRIVATE")
            .again(0)
            .fwd("uri-miss"),
        row("9111 3-1.5, 9111 5.2.2.7-1", "private wins over public")
            .cc("public, private, max-age=60")
            .again(0)
            .fwd("uri-miss"),
    ]
}

/// What an answer must have one of (§3, the last condition).
pub(crate) fn section_3_explicit() -> Vec<Row> {
    const GUESS: &str = "heuristic = true";
    vec![
        row("9111 3-1.7", "nothing explicit, 302").api(GUESS).tells(302, &[MODIFIED]).again(0).fwd("uri-miss"),
        row("9111 3-1.7", "nothing explicit, 201").api(GUESS).tells(201, &[MODIFIED]).again(0).fwd("uri-miss"),
        row("9111 3-1.7", "nothing explicit, 403").api(GUESS).tells(403, &[MODIFIED]).again(0).fwd("uri-miss"),
        row("9111 3-1.7", "no-transform is none")
            .api(GUESS)
            .tells(302, &[MODIFIED, "Cache-Control: no-transform"])
            .again(0)
            .fwd("uri-miss"),
        contrast("public").api(GUESS).tells(302, &[MODIFIED, "Cache-Control: public"]).again(0).hit(),
        contrast("Expires").tells(302, &["Expires: {t+60}"]).again(0).hit(),
        contrast("max-age").tells(302, &[MINUTE]).again(0).hit(),
        contrast("s-maxage").tells(302, &["Cache-Control: s-maxage=60"]).again(0).hit(),
        contrast("a status that is heuristically cacheable").api(GUESS).tells(404, &[MODIFIED]).again(0).hit(),
    ]
}

pub(crate) fn section_3_1() -> Vec<Row> {
    const PROXY: &[&str] =
        &[MINUTE, "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x", "Proxy-Authorization: Basic eA=="];
    vec![
        row("9111 3.1-1", "known and unknown fields")
            .ok(&[
                MINUTE,
                "X-New: 1",
                "Content-Type: text/plain",
                "Content-Language: de",
                "Set-Nothing: a=b",
                "x!#$: odd",
            ])
            .again(0)
            .hit()
            .has(&["X-New: 1", "Content-Type: text/plain", "Content-Language: de", "Set-Nothing: a=b", "x!#$: odd"]),
        row("9111 3.1-1", "those without a value, and those of other caches")
            .ok(&[MINUTE, "X-Empty:", "Via: 1.1 other", "Cache-Status: other; hit", "Server: x"])
            .again(0)
            .hit()
            .has(&["X-Empty:", "Via: 1.1 other, *", "Cache-Status: other; hit, *", "Server: x"]),
        row("9111 3.1-1", "each line of a field, in order")
            .ok(&[MINUTE, "Link: </a>", "X-New: 1", "Link: </b>, </c>"])
            .again(0)
            .hit()
            .has(&["Link: </a>, </b>, </c>", "X-New: 1"]),
        row("9111 3.1-1", "with a cookie, where the operator lets it be stored")
            .api("set_cookie = \"store\"")
            .ok(&[MINUTE, "Set-Cookie: a=b", "Set-Cookie: c=d"])
            .again(0)
            .hit()
            .has(&["Set-Cookie: a=b, c=d"]),
        row("9111 3.1-2", "what belongs to a proxy").ok(PROXY).again(0).hit().lacks(&[
            "Proxy-Authenticate",
            "Proxy-Authentication-Info",
            "Proxy-Authorization",
        ]),
        row("9111 3.1-3", "a trailer field is no header field")
            .ok(&[MINUTE])
            .trailer("X-Sum", "1")
            .again(0)
            .hit()
            .lacks(&["X-Sum"]),
        row("9111 3.1-3", "a lifetime in the trailer section is none")
            .ok(&[A])
            .trailer("Cache-Control", "max-age=60")
            .again(0)
            .fwd("uri-miss"),
        row("9111 3.1-3", "nor does a trailer field take a header field's place")
            .ok(&[MINUTE, A])
            .trailer("ETag", "\"z\"")
            .again(0)
            .hit()
            .has(&[A]),
    ]
}

pub(crate) fn section_3_2() -> Vec<Row> {
    const STORED: &[&str] = &[MINUTE, A, "X-Old: 1", "X-Two: 1", "X-Two: 2"];
    let confirmed = |cites, why, update| {
        row(cites, why).ok(STORED).again(90).confirms(update).fwd("stale").sent(&["If-None-Match: \"a\""])
    };
    vec![
        confirmed("9111 3.2-1, 9111 4.3.4-2", "a field is added", &[MINUTE, A, "X-New: 2"])
            .has(&["X-New: 2", "X-Old: 1"])
            .again(0)
            .hit()
            .has(&["X-New: 2", "X-Old: 1", "X-Two: 1, 2"]),
        confirmed("9111 3.2-1, 9111 4.3.4-2", "a field is replaced", &[MINUTE, A, "X-Old: 2"])
            .again(0)
            .hit()
            .has(&["X-Old: 2"]),
        confirmed("9111 3.2-1, 9111 4.3.4-2", "each line of it is replaced", &[MINUTE, A, "X-Two: 3"])
            .again(0)
            .hit()
            .has(&["X-Two: 3"]),
        confirmed("9111 3.2-1, 9111 4.3.4-2", "the lifetime too", &["Cache-Control: max-age=600", A]).again(500).hit(),
        confirmed("9111 3.2-1, 9111 4.3.4-2", "and shorter", &["Cache-Control: max-age=0", A])
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        confirmed("9111 3.2-1, 9111 4.1-1", "and Vary", &[MINUTE, A, "Vary: X-A"]).get(&["X-A: 1"]).fwd("vary-miss"),
        confirmed("9111 3.2-1, 9111 5.2.2.7-1", "and private", &["Cache-Control: private, max-age=60", A])
            .again(0)
            .fwd("")
            .anyhow(),
        confirmed("9111 3.2-1, 9111 5.2.2.4-1", "and no-cache", &["Cache-Control: no-cache, max-age=60", A])
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .again(0)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        confirmed(
            "9111 3.2-1, 9111 5.2.2.2-1",
            "and must-revalidate",
            &["Cache-Control: max-age=60, must-revalidate", A],
        )
        .api("keep_on_error = \"10m\"")
        .again(90)
        .tells(503, &[])
        .fwd("stale")
        .sent(&["If-None-Match: \"a\""]),
        confirmed(
            "9111 3.2-1, 9111 5.2.2.7-1",
            "and private, so that nobody else gets it",
            &["Cache-Control: private", A],
        )
        .get(&["Cache-Control: max-stale"])
        .fwd("")
        .anyhow(),
        confirmed("9111 3.2-1, 9111 5.2.2.5-1", "and no-store", &["Cache-Control: no-store", A])
            .api("keep_on_error = \"10m\"")
            .again(0)
            .tells(503, &[])
            .fwd("")
            .anyhow(),
        confirmed(
            "9111 3.2-1, 9111 4.3.4-2",
            "metadata of the content",
            &[MINUTE, A, "Content-Type: text/new", "Content-Language: fr"],
        )
        .again(0)
        .hit()
        .has(&["Content-Type: text/new", "Content-Language: fr"]),
        confirmed(
            "9111 3.2-1.1",
            "what isn't stored isn't updated",
            &[MINUTE, A, "Proxy-Authenticate: Basic", "Connection: X-Hop", "X-Hop: 1"],
        )
        .again(0)
        .hit()
        .lacks(&["Proxy-Authenticate", "X-Hop", "Connection"]),
        confirmed("9111 3.2-1.2", "how the stored bytes are coded", &[MINUTE, A, "Content-Encoding: gzip"])
            .again(0)
            .hit()
            .lacks(&["Content-Encoding"]),
        confirmed("9111 3.2-1.3", "a part of something", &[MINUTE, A, "Content-Range: bytes 0-0/3"])
            .lacks(&["Content-Range"])
            .again(0)
            .hit()
            .lacks(&["Content-Range"]),
        confirmed("9111 3.2-1.4", "the length of nothing", &[MINUTE, A, "Content-Length: 0"])
            .has(&["Content-Length: 3"])
            .again(0)
            .hit()
            .has(&["Content-Length: 3"]),
    ]
}

pub(crate) fn section_3_5() -> Vec<Row> {
    const RFC: &str = "[api.key]\nshare = \"everyone\"";
    const BOTH: &str = "9111 3-1.6, 9111 3.5-1";
    const ANN: &[&str] = &["Authorization: Basic YW5uOg=="];
    const BOB: &[&str] = &["Authorization: Basic Ym9iOg=="];
    vec![
        row(BOTH, "for another user").api(RFC).first("GET", ANN).ok(&[MINUTE]).get(BOB).fwd("uri-miss"),
        row(BOTH, "for nobody in particular").api(RFC).first("GET", ANN).ok(&[MINUTE]).again(0).fwd("uri-miss"),
        row(BOTH, "nor by default").first("GET", ANN).ok(&[MINUTE]).get(BOB).fwd("uri-miss"),
        row(BOTH, "proxy-revalidate doesn't allow it")
            .api(RFC)
            .first("GET", ANN)
            .cc("max-age=60, proxy-revalidate")
            .get(BOB)
            .fwd("uri-miss"),
        row(BOTH, "nor an Expires").api(RFC).first("GET", ANN).ok(&["Expires: {t+60}"]).get(BOB).fwd("uri-miss"),
        contrast("public does").api(RFC).first("GET", ANN).cc("max-age=60, public").get(BOB).hit(),
        contrast("s-maxage does").api(RFC).first("GET", ANN).cc("s-maxage=60").get(BOB).hit(),
        contrast("must-revalidate does").api(RFC).first("GET", ANN).cc("max-age=60, must-revalidate").get(BOB).hit(),
        row("9111 3.5-1", "its conditions hold: s-maxage is over")
            .api(RFC)
            .first("GET", ANN)
            .ok(&["Cache-Control: s-maxage=60, max-age=600", A])
            .step(90)
            .get(BOB)
            .confirms(&[A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""]),
        row("9111 3.5-1", "its conditions hold: must-revalidate, and the origin fails")
            .api("keep_on_error = \"10m\"\n[api.key]\nshare = \"everyone\"")
            .first("GET", ANN)
            .cc("max-age=60, must-revalidate")
            .step(90)
            .get(BOB)
            .tells(503, &[])
            .fwd("stale"),
    ]
}

/// What must not be stored leaves nothing in memory, and there is no other place for it.
#[tokio::test]
async fn nothing_of_a_no_store_stays() {
    let origin = Origin::always(Reply::ok("secret").field("Cache-Control", "max-age=60, no-store")).await;
    let sharing = Origin::always(Reply::ok("shared").field("Cache-Control", "max-age=60")).await;
    for (origin, wish, stored) in
        [(&origin, "max-age=60", "0"), (&sharing, "no-store", "0"), (&sharing, "max-age=60", "1")]
    {
        let gateway = Gateway::before(origin, "").await;
        assert_eq!(gateway.client().await.get_with("/x", &[("Cache-Control", wish)]).await.status, 200);
        gateway.settled().await;
        let metrics = gateway.admin("GET", "/metrics", "").await;
        let line = metrics.text().lines().find(|line| line.starts_with("freshgate_stored_entries{")).unwrap();
        assert!(line.ends_with(&format!(" {stored}")), "{wish}: {line}");
    }
}
