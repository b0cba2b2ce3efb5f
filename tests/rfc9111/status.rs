//! Statuses (RFC 9110 §15), but for 206.

use crate::requirements::Cited;
use crate::support::{Client, Conn, Gateway, Origin, Reply};
use crate::table::{A, MINUTE, MODIFIED, Row, contrast, row};

pub(crate) const FUNCTIONS: &[Cited] = &[
    (an_old_client_gets_no_interim_answer as fn(), "9110 15.2-1"),
    (switching_names_the_protocol as fn(), "9110 15.2.2-1"),
    (who_is_not_let_in_is_told_how as fn(), "9110 15.5.2-1"),
    (what_is_not_served_is_not_misdirected as fn(), "9110 15.5.20-1"),
];

pub(crate) fn section_15() -> Vec<Row> {
    const CLASS: &str = "9110 15-1";
    const INTERIM: &str = "9110 15.2-2, 9110 15.2-3";
    const TOLD: &[&str] = &[
        "Content-Location: {path}/it",
        "Date: Mon, 07 Nov 1994 08:49:37 GMT",
        A,
        "Vary: X-A",
        "Cache-Control: s-maxage=99999999999, max-age=1",
        "Expires: Thu, 01 Jan 2099 00:00:00 GMT",
    ];
    const SAME: &str = "9110 15.4.5-1.1, 9110 15.4.5-1.2";
    vec![
        row(CLASS, "an unknown 2xx to a write is a success")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .tells(299, &[])
            .fwd("method")
            .again(0)
            .fwd("miss"),
        row(CLASS, "an unknown 3xx to a write is a redirection")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .tells(399, &[])
            .fwd("method")
            .again(0)
            .fwd("miss"),
        row(CLASS, "an unknown 4xx to a write is a failure")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .tells(499, &[])
            .fwd("method")
            .again(0)
            .hit(),
        row(CLASS, "an unknown 4xx isn't heuristically cacheable")
            .api("heuristic = true")
            .tells(499, &[MODIFIED])
            .again(0)
            .fwd("uri-miss"),
        row(INTERIM, "one")
            .raw(concat!(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
            ))
            .interim(&[103]),
        row(INTERIM, "several")
            .raw(concat!(
                "HTTP/1.1 103 E\r\nLink: </a>\r\n\r\nHTTP/1.1 103 E\r\nLink: </b>\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
            ))
            .interim(&[103, 103]),
        row(INTERIM, "one that says that it goes on")
            .raw(concat!("HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"))
            .interim(&[102]),
        row(INTERIM, "an unknown one")
            .raw(concat!("HTTP/1.1 199 Odd\r\nX-A: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"))
            .interim(&[199]),
        row(INTERIM, "of a write")
            .first("POST", &[])
            .raw(concat!("HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"))
            .interim(&[103]),
        row(INTERIM, "of a confirmation")
            .ok(&[MINUTE, A])
            .again(90)
            .raw("HTTP/1.1 103 E\r\nLink: </a>\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n")
            .gets("one")
            .fwd("stale")
            .sent(&["If-None-Match: \"a\""])
            .interim(&[103]),
        row("9110 15.3.6-1", "205").tells(205, &[]).content("").has(&["Content-Length: 0"]),
        row("9110 15.3.6-1", "205 from the store").tells(205, &[MINUTE]).again(0).hit(),
        row(SAME, "304 from the store").ok(TOLD).get(&["If-None-Match: \"a\""]).hit().status(304).has(TOLD),
        row(SAME, "304 by date")
            .ok(&[MINUTE, MODIFIED, "Vary: X-A"])
            .get(&["If-Modified-Since: {t}"])
            .hit()
            .status(304)
            .has(&[MINUTE, "Vary: X-A", "Date"]),
        row(SAME, "304 to HEAD").ok(TOLD).ask("HEAD", &["If-None-Match: \"a\""]).hit().status(304).has(TOLD),
        row(SAME, "304 for what was just confirmed")
            .ok(&[MINUTE, A, "Vary: X-A", "Content-Location: {path}/it"])
            .step(90)
            .get(&["If-None-Match: \"a\""])
            .confirms(&["Cache-Control: max-age=30"])
            .fwd("stale")
            .sent(&["If-None-Match: *"])
            .status(304)
            .has(&[A, "Vary: X-A", "Content-Location: {path}/it", "Cache-Control: max-age=30", "Date"]),
        row(SAME, "304 of the origin")
            .ok(&["Cache-Control: no-store", A])
            .get(&["If-None-Match: \"a\""])
            .confirms(TOLD)
            .fwd("uri-miss")
            .sent(&["If-None-Match: \"a\""])
            .status(304)
            .has(TOLD),
        row("9110 15.5.6-1", "405 of our own").first("TRACE", &[]).refused(405).has(&["Allow: GET, *"]),
        contrast("405 of the origin").first("PUT", &[]).tells(405, &["Allow: GET"]).has(&["Allow: GET"]),
    ]
}

#[tokio::test]
async fn an_old_client_gets_no_interim_answer() {
    let origin = Origin::always(Reply::ok("here").early_hints("</a>")).await;
    let gateway = Gateway::before(&origin, "").await;
    for (version, interim) in [("1.0", 0), ("1.1", 1)] {
        let mut client = gateway.client().await;
        client.send_raw(format!("GET /{version} HTTP/{version}\r\nHost: a.example\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text(), answer.interim.len()), (200, "here", interim), "HTTP/{version}");
    }
}

#[tokio::test]
async fn switching_names_the_protocol() {
    let origin = Origin::raw(|mut conn: Conn| async move {
        conn.request().await.unwrap();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    })
    .await;
    let gateway = Gateway::before(&origin, "upgrade = [\"websocket\"]").await;
    let mut client = gateway.client().await;
    client.send("GET", "/x", &[("Connection", "Upgrade"), ("Upgrade", "websocket")], "").await;
    let answer = client.answer_head().await.unwrap();
    assert_eq!((answer.status, answer.get("upgrade")), (101, Some("websocket")));
}

#[tokio::test]
async fn who_is_not_let_in_is_told_how() {
    let origin = Origin::always(Reply::ok("")).await;
    let url = origin.url();
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n");
    let gateway = Gateway::from_parts("purge_method = true\n", "", &api).await;
    let admin = Client::connect(gateway.admin).await.get("/v1/stats").await;
    let purge = gateway.client().await.request("PURGE", "/x", &[], "").await;
    for (what, answer) in [("the admin API", admin), ("PURGE", purge)] {
        assert_eq!(answer.status, 401, "{what}");
        assert!(answer.get("www-authenticate").is_some(), "{what}: {:?}", answer.fields);
    }
}

#[tokio::test]
async fn what_is_not_served_is_not_misdirected() {
    let origin = Origin::always(Reply::ok("")).await;
    let gateway = Gateway::before(&origin, "host = \"a.example\"").await;
    assert_eq!(gateway.client().await.host("a.example").get("/x").await.status, 200);
    assert_eq!(gateway.client().await.host("b.example").get("/x").await.status, 404);
    let mut client = gateway.client().await;
    client.send_raw("GET https://b.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 404);
}
