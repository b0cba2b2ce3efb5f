//! Methods on their way through (RFC 9110 §9.2, §9.3).

use crate::requirements::Cited;
use crate::support::{Gateway, Origin, Reply};
use crate::table::{MINUTE, Row, row};

pub(crate) const FUNCTIONS: &[Cited] =
    &[(what_is_not_idempotent_is_not_repeated as fn(), "9110 9.2.2-1"), (connect_is_refused as fn(), "9110 9.3.6-2")];

pub(crate) fn section_9_3() -> Vec<Row> {
    vec![
        row("9110 9.3.7-1", "OPTIONS gets no Max-Forwards on its way").first("OPTIONS", &[]).unsent(&["Max-Forwards"]),
        row("9110 9.3.7-1", "nor does anything else")
            .unsent(&["Max-Forwards"])
            .ask("POST", &[])
            .fwd("method")
            .unsent(&["Max-Forwards"]),
        row("9110 9.3.7-1", "nor does a confirmation")
            .ok(&[MINUTE, "ETag: \"a\""])
            .again(90)
            .confirms(&[])
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .unsent(&["Max-Forwards"]),
    ]
}

/// On a connection that was used before, where the end may mean that it was idle for too long.
#[tokio::test]
async fn what_is_not_idempotent_is_not_repeated() {
    for method in ["POST", "PATCH", "FROBNICATE"] {
        let origin = Origin::start(move |request| {
            std::future::ready(if request.method == method { Reply::nothing() } else { Reply::ok("here") })
        })
        .await;
        let gateway = Gateway::before(&origin, "").await;
        let mut client = gateway.client().await;
        assert_eq!(client.get("/x").await.status, 200);
        assert_eq!(client.request(method, "/x", &[], "").await.status, 502);
        assert_eq!(client.get("/x").await.status, 200);
        let asked: Vec<String> = origin.requests().into_iter().map(|request| request.method).collect();
        assert_eq!(asked, ["GET", method, "GET"]);
    }
}

#[tokio::test]
async fn connect_is_refused() {
    let origin = Origin::always(Reply::ok("")).await;
    let gateway = Gateway::before(&origin, "").await;
    for target in ["a.example:0", "a.example:", "a.example:99999", "a.example", "a.example:x", "a.example:443"] {
        let mut client = gateway.client().await;
        client.send_raw(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
        let status = client.answer().await.status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    assert_eq!(origin.count(), 0);
}
