//! LISTEN: what is notified becomes news, and what may have been missed a gap.

use crate::link::Link;
use crate::listening::{Listening, message};
use crate::postgres_server::{PASSWORD, Postgres};
use crate::support::{Authority, within};
use freshgate::events::News;

#[tokio::test]
async fn notifications_become_news_in_their_order() {
    let Some(server) = Postgres::start().await else { return };
    let mut listening = Listening::to(&Postgres::source(&server.url(), &["a", "b"], ""));
    listening.gap().await;
    let expected: Vec<(String, String)> =
        (0..100).map(|n| (["a", "b"][n % 2].to_owned(), format!("key {n}"))).collect();
    let statements: String =
        expected.iter().map(|(channel, key)| format!("SELECT pg_notify('{channel}', '{key}');")).collect();
    server.sql(&statements);
    server.sql("NOTIFY c, 'not ours'; NOTIFY a, '{\"specversion\": \"1.0\"}'");
    for (channel, key) in &expected {
        assert_eq!(listening.next().await, message(channel, key));
    }
    listening.messages(&[("a", "{\"specversion\": \"1.0\"}")]).await;
    let shown = listening.shown();
    assert_eq!((shown.connected, shown.messages, shown.gaps, shown.connections), (true, 101, 1, 1));
    assert_eq!((&*shown.name, shown.kind, shown.trouble), ("postgres", "postgres", None));
}

/// Were the gap told first, a change between the two would be in neither.
#[tokio::test]
async fn the_gap_is_told_when_listening_has_begun() {
    let Some(server) = Postgres::start().await else { return };
    let changes = server.runs("NOTIFY codes, 'changed in the moment of the gap'");
    let mut listening = Listening::to_and(&Postgres::source(&server.url(), &["codes"], ""), move |news| {
        if *news == News::Gap {
            changes();
        }
    });
    listening.gap().await;
    listening.messages(&[("codes", "changed in the moment of the gap")]).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_listened_to_again_and_nobody_knows_what_was_missed() {
    let Some(mut server) = Postgres::start().await else { return };
    let mut listening = Listening::to(&Postgres::source(&server.url(), &["codes"], ""));
    listening.gap().await;
    for round in 0..3 {
        server.sql(&format!("NOTIFY codes, '{round}'"));
        listening.messages(&[("codes", &round.to_string())]).await;
        server.stop();
        let shown = listening.is("the loss", |shown| !shown.connected).await;
        assert!(shown.trouble.is_some());
        server.go_on().await;
        listening.gap().await;
    }
    let shown = listening.connected().await;
    assert_eq!((shown.connections, shown.gaps, shown.messages, shown.trouble), (4, 4, 3, None));
}

#[tokio::test]
async fn a_backend_that_is_ended_leaves_a_gap() {
    let Some(server) = Postgres::start().await else { return };
    let mut listening = Listening::to(&Postgres::source(&server.url(), &["codes"], ""));
    listening.gap().await;
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'freshgate'";
    assert_eq!(server.sql(ended), "1");
    listening.gap().await;
    server.sql("NOTIFY codes, 'K1'");
    listening.messages(&[("codes", "K1")]).await;
}

/// TCP says nothing when the other end is only gone.
#[tokio::test]
async fn a_connection_that_carries_nothing_is_noticed() {
    let Some(server) = Postgres::start().await else { return };
    let link = Link::to(server.addr).await;
    let times = "keepalive = \"1s\"\nconnect_timeout = \"1s\"\n";
    let mut listening = Listening::to(&Postgres::source(&server.url_at(link.addr), &["codes"], times));
    listening.gap().await;
    link.silence();
    server.sql("NOTIFY codes, 'nobody hears this'");
    listening.gap().await;
    server.sql("NOTIFY codes, 'K1'");
    listening.messages(&[("codes", "K1")]).await;
}

/// A sign of life leaves nothing behind: what comes while it is asked for is told.
#[tokio::test]
async fn a_silent_connection_that_lives_stays() {
    let Some(server) = Postgres::start().await else { return };
    let mut listening = Listening::to(&Postgres::source(&server.url(), &["codes"], "keepalive = \"1s\"\n"));
    listening.gap().await;
    // An idle backend's last change of state is the end of its last question.
    let asked =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'freshgate' AND query NOT LIKE 'LISTEN%'";
    within("a sign of life", async {
        while server.sql(asked) != "1" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.sql("NOTIFY codes, 'K1'");
    listening.messages(&[("codes", "K1")]).await;
    assert_eq!(listening.shown().connections, 1);
}

#[tokio::test]
async fn channels_may_have_any_name() {
    let Some(server) = Postgres::start().await else { return };
    let names = ["Codes Changed", "a\"; NOTIFY x, \"", "ä'ß\\", "select", &"x".repeat(63)];
    let mut listening = Listening::to(&Postgres::source(&server.url(), &names, ""));
    listening.gap().await;
    for name in names {
        server.sql(&format!("SELECT pg_notify('{}', 'K1')", name.replace('\'', "''")));
        listening.messages(&[(name, "K1")]).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_fault_of_the_configuration() {
    let Some(server) = Postgres::start().await else { return };
    let url = server.url().replace(PASSWORD, "wr0ng");
    let listening = Listening::to(&Postgres::source(&url, &["codes"], ""));
    let shown = listening.is("the refusal", |shown| shown.trouble.is_some()).await;
    let trouble = shown.trouble.unwrap();
    assert!(trouble.contains("password authentication failed") && trouble.contains("28P01"), "{trouble}");
    assert!(!trouble.contains("wr0ng"), "{trouble}");
    assert_eq!((shown.connected, shown.gaps), (false, 0));
    let url = server.url().replace("/postgres?", "/nowhere?");
    let listening = Listening::to(&Postgres::source(&url, &["codes"], ""));
    let shown = listening.is("the refusal", |shown| shown.trouble.is_some()).await;
    assert!(shown.trouble.unwrap().contains("3D000"));
}

/// With the certificate's name and chain verified, and the password bound to it.
#[tokio::test]
async fn tls_is_spoken_with_whom_the_certificate_names() {
    let Some(mut server) = Postgres::set_up() else { return };
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pair = authority.pair("database");
    let (cert, key) = (server.file("tls.crt", &pair.cert), server.file("tls.key", &pair.key));
    server.set("ssl=on".into());
    server.set(format!("ssl_cert_file={}", cert.display()));
    server.set(format!("ssl_key_file={}", key.display()));
    server.go_on().await;
    let url = server.url().replace("sslmode=disable", "sslmode=verify-full&channel_binding=require");
    let ca = |authority: &Authority| format!("tls = {{ ca = {:?} }}\n", authority.write("ca.pem", &authority.pem()));
    let mut listening = Listening::to(&Postgres::source(&url, &["codes"], &ca(&authority)));
    listening.gap().await;
    server.sql("NOTIFY codes, 'K1'");
    listening.messages(&[("codes", "K1")]).await;
    let ssl = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'freshgate'";
    assert_eq!(server.sql(ssl), "t");

    let listening = Listening::to(&Postgres::source(&url, &["codes"], &ca(&stranger)));
    let shown = listening.is("the refusal", |shown| shown.trouble.is_some()).await;
    assert!(shown.trouble.as_ref().is_some_and(|trouble| trouble.contains("certificate")), "{shown:?}");
    let other = ca(&authority).replace(" }", ", name = \"elsewhere.example\" }");
    let listening = Listening::to(&Postgres::source(&url, &["codes"], &other));
    let shown = listening.is("the refusal", |shown| shown.trouble.is_some()).await;
    assert!(shown.trouble.as_ref().is_some_and(|trouble| trouble.contains("name")), "{shown:?}");
}

#[tokio::test]
async fn a_reload_leaves_alone_what_has_not_changed() {
    let Some(server) = Postgres::start().await else { return };
    let one = |name: &str, channel| Postgres::source(&server.url(), &[channel], &format!("name = \"{name}\"\n"));
    let mut listening = Listening::to(&(one("a", "a") + &one("b", "b")));
    listening.gap().await;
    listening.gap().await;
    within("both", async {
        while !listening.sources.shown().iter().all(|shown| shown.connected) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    listening.change(&(one("c", "c") + &one("b", "b")));
    listening.gap().await;
    let names: Vec<String> = listening.sources.shown().iter().map(|shown| shown.name.to_string()).collect();
    assert_eq!(names, ["c", "b"]);
    server.sql("NOTIFY a, 'K1'; NOTIFY b, 'K2'");
    listening.messages(&[("b", "K2")]).await;
    let kept = listening.sources.shown().remove(1);
    assert_eq!((kept.connections, kept.gaps, kept.messages), (1, 1, 1));

    listening.sources.stop();
    within("the end of all tasks", listening.tasks.ended()).await;
    assert_eq!(listening.sources.shown(), []);
}
