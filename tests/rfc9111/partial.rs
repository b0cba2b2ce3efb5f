//! Parts: given from stored answers, stored themselves, and put together (RFC 9110 §14, §15.3.7; RFC 9111 §3.3, §3.4).

use crate::requirements::Cited;
use crate::support::{Gateway, Origin, Reply};
use crate::table::{A, B, MINUTE, MODIFIED, Row, WEAK_A, contrast, row};

pub(crate) const FUNCTIONS: &[Cited] =
    &[(several_parts as fn(), "9110 15.3.7.2-1, 9110 15.3.7.2-2, 9110 15.3.7.2-3, 9111 3.3-3")];

const BODY: &str = "0123456789";

/// A stored answer of ten bytes.
fn whole(cites: &'static str, why: &'static str) -> Row {
    row(cites, why).ok(&[MINUTE, A]).content(BODY)
}

pub(crate) fn section_14() -> Vec<Row> {
    const HUGE: &str = "9110 14.1.2-1";
    const IGNORED: &str = "9110 14.2-1";
    const ALL: &[&str] = &["Content-Range: bytes 0-9/10", "Content-Length: 10"];
    const NONE: &[&str] = &["Content-Range: bytes */10"];
    vec![
        contrast("a part").ok(&[MINUTE]).content(BODY).get(&["Range: bytes=2-4"]).hit().status(206).gets("234"),
        whole(HUGE, "an end beyond 64 bits")
            .get(&["Range: bytes=0-18446744073709551616"])
            .hit()
            .status(206)
            .gets(BODY)
            .has(ALL),
        whole(HUGE, "an end far beyond")
            .get(&["Range: bytes=0-99999999999999999999999999999999999999999"])
            .hit()
            .status(206)
            .gets(BODY)
            .has(ALL),
        whole(HUGE, "a beginning beyond 64 bits")
            .get(&["Range: bytes=18446744073709551616-"])
            .hit()
            .status(416)
            .has(NONE),
        whole(HUGE, "a beginning beyond 32 bits")
            .get(&["Range: bytes=4294967296-4294967300"])
            .hit()
            .status(416)
            .has(NONE),
        whole(HUGE, "the last so many")
            .get(&["Range: bytes=-18446744073709551617"])
            .hit()
            .status(206)
            .gets(BODY)
            .has(ALL),
        whole(IGNORED, "HEAD")
            .ask("HEAD", &["Range: bytes=2-4"])
            .hit()
            .status(200)
            .has(&["Content-Length: 10"])
            .lacks(&["Content-Range"]),
        whole(IGNORED, "HEAD, past the end")
            .ask("HEAD", &["Range: bytes=20-"])
            .hit()
            .status(200)
            .lacks(&["Content-Range"]),
        whole("9110 14.2-2", "an unknown unit").get(&["Range: pages=2-4"]).hit().status(200).lacks(&["Content-Range"]),
        whole("9110 14.4-2", "Content-Range in a GET")
            .get(&["Content-Range: bytes 2-4/10"])
            .hit()
            .status(200)
            .lacks(&["Content-Range"]),
    ]
}

/// What a 206 from a stored 200 is like.
pub(crate) fn section_15_3_7() -> Vec<Row> {
    const PART: &[&str] = &["Range: bytes=2-4"];
    const MUST: &[&str] = &[
        "Date: Mon, 07 Nov 1994 08:49:37 GMT",
        "Cache-Control: s-maxage=99999999999, max-age=1",
        A,
        "Expires: Thu, 01 Jan 2099 00:00:00 GMT",
        "Content-Location: {path}/it",
        "Vary: X-A",
    ];
    const REPRESENTATION: &[&str] =
        &[MINUTE, A, MODIFIED, "Content-Type: text/plain", "Content-Encoding: x-none", "Content-Language: de"];
    vec![
        row("9110 15.3.7-2", "the fields that it must have")
            .ok(MUST)
            .content(BODY)
            .get(PART)
            .hit()
            .status(206)
            .gets("234")
            .has(MUST),
        row("9110 15.3.7-3", "the representation's fields")
            .ok(REPRESENTATION)
            .content(BODY)
            .get(PART)
            .hit()
            .status(206)
            .gets("234")
            .has(REPRESENTATION),
        whole("9110 15.3.7.1-1, 9111 3.3-3", "one part")
            .get(PART)
            .hit()
            .status(206)
            .gets("234")
            .has(&["Content-Range: bytes 2-4/10", "Content-Length: 3"]),
        whole("9110 15.3.7.1-1, 9111 3.3-3", "the first byte")
            .get(&["Range: bytes=0-0"])
            .hit()
            .status(206)
            .gets("0")
            .has(&["Content-Range: bytes 0-0/10"]),
        whole("9110 15.3.7.1-1, 9111 3.3-3", "the last ones")
            .get(&["Range: bytes=-2"])
            .hit()
            .status(206)
            .gets("89")
            .has(&["Content-Range: bytes 8-9/10"]),
        whole("9110 15.3.7.1-1, 9111 3.3-3", "all of it")
            .get(&["Range: bytes=0-"])
            .hit()
            .status(206)
            .gets(BODY)
            .has(&["Content-Range: bytes 0-9/10"]),
        whole("9110 15.3.7.2-4", "one range is not several")
            .get(PART)
            .hit()
            .status(206)
            .gets("234")
            .lacks(&["Content-Type: multipart/*"]),
        row("9110 15.3.7-2", "of an answer that was just confirmed")
            .ok(&[MINUTE, A, "Vary: X-A"])
            .content(BODY)
            .step(90)
            .get(PART)
            .confirms(&[MINUTE, A])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .status(206)
            .gets("234")
            .has(&[A, MINUTE, "Vary: X-A", "Date"]),
    ]
}

/// Answers that are not whole.
pub(crate) fn section_3_3() -> Vec<Row> {
    const INCOMPLETE: &str = "9111 3.3-2";
    const UNIT: &str = "9111 3.3-1, 9110 14.4-1";
    const INSPECTED: &str = "9110 15.3.7-1";
    let broken = |why| row(INCOMPLETE, why).ok(&[MINUTE, A]).content("01234").of(10).broken();
    vec![
        broken("a 200 that broke off, for all").again(0).ok(&[MINUTE, A]).content(BODY).fwd("").anyhow(),
        broken("a 200 that broke off, for what is missing")
            .get(&["Range: bytes=4-6"])
            .tells(206, &[A, "Content-Range: bytes 4-6/10"])
            .content("456")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
        row(INCOMPLETE, "chunks without an end")
            .raw("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            .broken()
            .again(0)
            .fwd("")
            .anyhow(),
        part("9111 3.3-2, 9111 3.3-3", "a part, for all", FIRST)
            .again(0)
            .ok(&[MINUTE, A])
            .content(BODY)
            .fwd("")
            .anyhow(),
        row("9111 3.3-2, 9111 3.3-3", "a part that nobody asked for, for all")
            .tells(206, FIRST_IS)
            .content("01234")
            .again(0)
            .ok(&[MINUTE, A])
            .content(BODY)
            .fwd("")
            .anyhow(),
        part(INCOMPLETE, "a part, for another one", FIRST)
            .get(&["Range: bytes=4-6"])
            .tells(206, &[A, "Content-Range: bytes 4-6/10"])
            .content("456")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
        part(INCOMPLETE, "a part, for the last bytes", FIRST)
            .get(&["Range: bytes=-2"])
            .tells(206, &[A, "Content-Range: bytes 8-9/10"])
            .content("89")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
        contrast("a part, for a part of it")
            .first("GET", FIRST)
            .tells(206, FIRST_IS)
            .content("01234")
            .sent(FIRST)
            .get(&["Range: bytes=1-2"])
            .hit()
            .gets("12")
            .has(&["Content-Range: bytes 1-2/10"]),
        row(UNIT, "of an unknown unit")
            .first("GET", &["Range: pages=0-4"])
            .tells(206, &[MINUTE, A, "Content-Range: pages 0-4/10"])
            .content("01234")
            .sent(&["Range: pages=0-4"])
            .get(FIRST)
            .tells(206, FIRST_IS)
            .content("01234")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
        row(INSPECTED, "another part than was asked for")
            .first("GET", FIRST)
            .tells(206, &[MINUTE, A, "Content-Range: bytes 2-6/10"])
            .content("23456")
            .sent(FIRST)
            .has(&["Content-Range: bytes 2-6/10"])
            .get(&["Range: bytes=0-1"])
            .tells(206, &[MINUTE, A, "Content-Range: bytes 0-1/10"])
            .content("01")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
        row("9110 15.3.7-1, 9110 15.3.7.2-6", "several parts are not one")
            .first("GET", &["Range: bytes=0-0,5-5"])
            .tells(206, &[MINUTE, A, "Content-Type: multipart/byteranges; boundary=x"])
            .content(concat!(
                "--x\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n",
                "--x\r\nContent-Range: bytes 5-5/10\r\n\r\n5\r\n--x--\r\n"
            ))
            .sent(&["Range: bytes=0-0,5-5"])
            .get(&["Range: bytes=0-3"])
            .tells(206, &[MINUTE, A, "Content-Range: bytes 0-3/10"])
            .content("0123")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
    ]
}

const FIRST: &[&str] = &["Range: bytes=0-4"];
const SECOND: &[&str] = &["Range: bytes=5-9"];
const FIRST_IS: &[&str] = &[MINUTE, A, "Content-Range: bytes 0-4/10", "X-V: 1"];
const SECOND_IS: &[&str] = &[MINUTE, A, "Content-Range: bytes 5-9/10", "X-V: 2"];

/// The origin sends the first five bytes.
fn part(cites: &'static str, why: &'static str, range: &'static [&'static str]) -> Row {
    row(cites, why).first("GET", range).tells(206, FIRST_IS).content("01234").sent(range)
}

pub(crate) fn section_3_4() -> Vec<Row> {
    const ALL: &str = "9111 3.4-1, 9110 15.3.7.3-1, 9110 15.3.7.3-2";
    const APART: &str = "9110 15.3.7.3-3";
    let halves = |cites, why, fields| {
        part(cites, why, FIRST).get(SECOND).tells(206, fields).content("56789").fwd("").sent(&["Range: *"]).anyhow()
    };
    let never = |row: Row| row.again(0).ok(&[MINUTE, B]).content("abcdefghij").fwd("").anyhow();
    vec![
        halves(ALL, "two halves make a whole, with the later fields", SECOND_IS)
            .again(0)
            .hit()
            .status(200)
            .gets(BODY)
            .has(&["Content-Length: 10", "X-V: 2"])
            .lacks(&["Content-Range"]),
        halves(ALL, "and a part of it reaches over both", SECOND_IS)
            .get(&["Range: bytes=3-6"])
            .hit()
            .status(206)
            .gets("3456")
            .has(&["Content-Range: bytes 3-6/10", "X-V: 2"]),
        never(halves("9110 14.4-3", "the end before the beginning", &[MINUTE, A, "Content-Range: bytes 9-5/10"])),
        never(halves("9110 14.4-3", "an end beyond the length", &[MINUTE, A, "Content-Range: bytes 5-9/9"])),
        never(halves("9110 14.4-1", "an unknown unit", &[MINUTE, A, "Content-Range: pages 5-9/10"])),
        never(halves("", "another strong tag", &[MINUTE, B, "Content-Range: bytes 5-9/10"])),
        never(halves("", "no tag", &[MINUTE, "Content-Range: bytes 5-9/10"])),
        never(halves("", "another length", &[MINUTE, A, "Content-Range: bytes 5-9/11"])),
        never(
            contrast("weak tags")
                .first("GET", FIRST)
                .tells(206, &[MINUTE, WEAK_A, "Content-Range: bytes 0-4/10"])
                .content("01234")
                .sent(FIRST)
                .get(SECOND)
                .tells(206, &[MINUTE, WEAK_A, "Content-Range: bytes 5-9/10"])
                .content("56789")
                .fwd("")
                .sent(SECOND),
        ),
        never(
            part(APART, "what has a hole isn't whole", FIRST)
                .get(&["Range: bytes=7-9"])
                .tells(206, &[MINUTE, A, "Content-Range: bytes 7-9/10"])
                .content("789")
                .fwd("")
                .sent(&["Range: *"])
                .anyhow(),
        ),
        part(APART, "nor is a range over the hole", FIRST)
            .get(&["Range: bytes=7-9"])
            .tells(206, &[MINUTE, A, "Content-Range: bytes 7-9/10"])
            .content("789")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow()
            .get(&["Range: bytes=4-7"])
            .tells(206, &[MINUTE, A, "Content-Range: bytes 4-7/10"])
            .content("4567")
            .fwd("")
            .sent(&["Range: *"])
            .anyhow(),
    ]
}

/// What is asked because of a stored part.
pub(crate) fn parts_in_conditions() -> Vec<Row> {
    const OFFERED: &[&str] = &["If-None-Match: \"a\"", "If-None-Match: \"b\", \"a\"", "If-None-Match: \"a\", \"b\""];
    const WEAK: &[&str] = &[MINUTE, WEAK_A, "Content-Range: bytes 0-4/10"];
    const DATED: &[&str] = &[MINUTE, "Last-Modified: {t}", "Date: {t}", "Content-Range: bytes 0-4/10"];
    vec![
        part("9111 4.3.2-2", "a part's tag isn't offered for the whole", FIRST)
            .step(90)
            .get(&["If-None-Match: \"b\""])
            .ok(&[MINUTE, "ETag: \"c\""])
            .fwd("")
            .anyhow()
            .unsent(OFFERED)
            .lacks(&["X-V"]),
        part("9111 4.3.2-2", "nor for another part", FIRST)
            .step(90)
            .get(&["Range: bytes=5-9", "If-None-Match: \"b\""])
            .tells(206, SECOND_IS)
            .content("56789")
            .fwd("")
            .anyhow()
            .unsent(OFFERED),
        row("9110 13.1.5-4", "a weak tag isn't for If-Range")
            .first("GET", FIRST)
            .tells(206, WEAK)
            .content("01234")
            .sent(FIRST)
            .get(SECOND)
            .tells(206, &[MINUTE, WEAK_A, "Content-Range: bytes 5-9/10"])
            .content("56789")
            .fwd("")
            .sent(SECOND)
            .unsent(&["If-Range"]),
        row("9110 13.1.5-5", "nor is a date of the same second")
            .first("GET", FIRST)
            .tells(206, DATED)
            .content("01234")
            .sent(FIRST)
            .get(SECOND)
            .tells(206, &[MINUTE, "Content-Range: bytes 5-9/10"])
            .content("56789")
            .fwd("")
            .sent(SECOND)
            .unsent(&["If-Range"]),
    ]
}

/// Reads `multipart/byteranges`: Content-Range, Content-Type and content of each part.
fn parts(body: &str, boundary: &str) -> Vec<(String, String, String)> {
    let between = format!("\r\n--{boundary}");
    let body = format!("\r\n{body}");
    let (parts, end) = body.rsplit_once(&between).unwrap();
    assert!(end.starts_with("--"), "{end:?}");
    let field = |head: &str, name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let part = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        (field(head, "content-range"), field(head, "content-type"), content.to_owned())
    };
    parts.split(&between).skip(1).map(part).collect()
}

#[tokio::test]
async fn several_parts() {
    let reply = Reply::ok(BODY).field("Cache-Control", "max-age=60").field("Content-Type", "text/x-odd");
    let origin = Origin::always(reply).await;
    let gateway = Gateway::before(&origin, "").await;
    let mut client = gateway.client().await;
    client.get("/x").await;
    gateway.settled().await;
    let answer = client.get_with("/x", &[("Range", "bytes=0-1, 5-6,-1")]).await;
    assert!(answer.cache_says("hit") && answer.complete);
    assert_eq!((answer.status, answer.get("content-range")), (206, None));
    let boundary = answer.get("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, content: &str| (range.to_owned(), "text/x-odd".to_owned(), content.to_owned());
    let expected = [part("bytes 0-1/10", "01"), part("bytes 5-6/10", "56"), part("bytes 9-9/10", "9")];
    assert_eq!(parts(answer.text(), boundary.trim_matches('"')), expected);
}
