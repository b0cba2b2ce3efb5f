//! Streams: what is added becomes news once, whatever happens to the connection; what was lost, a gap.

use crate::link::Link;
use crate::listening::{Listening, message};
use crate::redis_server::Redis;
use crate::support::Authority;
use freshgate::events::{News, Shown};
use serde_json::{Value, json};

#[tokio::test]
async fn entries_become_news_in_their_order() {
    let Some(server) = Redis::start().await else { return };
    server.add("a", "before anybody listened");
    let mut listening = Listening::to(&Redis::source(&server.url(), &["a", "b"], "count = 7\n"));
    listening.gap().await;
    listening.connected().await;
    for n in 0..20 {
        server.add("a", &format!("key {n}"));
    }
    for n in 0..20 {
        listening.messages(&[("a", &format!("key {n}"))]).await;
    }
    server.add("b", "K1");
    server.add("c", "not ours");
    server.add("b", "");
    server.add("b", "K2");
    listening.messages(&[("b", "K1")]).await;
    listening.gap().await;
    listening.messages(&[("b", "K2")]).await;
    let shown = listening.shown();
    assert_eq!((shown.connected, shown.messages, shown.gaps, shown.connections), (true, 22, 2, 1));
    assert_eq!((&*shown.name, shown.kind, shown.trouble), ("redis", "redis", None));
}

#[tokio::test]
async fn an_entry_may_be_an_event() {
    let Some(server) = Redis::start().await else { return };
    let mut listening = Listening::to(&Redis::source(&server.url(), &["codes"], ""));
    listening.gap().await;
    listening.connected().await;
    let event = ["specversion", "1.0", "id", "7", "source", "/db", "type", "t", "data", "{\"region\": \"north\"}"];
    server.say(&["XADD", "codes", "*", "neither", "key", "nor", "event"]);
    server.say(&[&["XADD", "codes", "*"][..], &event].concat());
    let News::Message { channel, payload } = listening.next().await else { panic!("a gap") };
    let expected =
        json!({ "specversion": "1.0", "id": "7", "source": "/db", "type": "t", "data": { "region": "north" } });
    assert_eq!((channel.as_str(), serde_json::from_slice::<Value>(&payload).unwrap()), ("codes", expected));
    listening.is("the count", |shown| (shown.messages, shown.unusable) == (1, 1)).await;
}

/// A server, a link to it, and somebody who has heard one message through that.
async fn behind_a_link(more: &str) -> Option<(Redis, Link, Listening)> {
    let server = Redis::start().await?;
    server.add("codes", "before");
    let link = Link::to(server.addr).await;
    let mut listening = Listening::to(&Redis::source(&server.url_at(link.addr), &["codes"], more));
    listening.gap().await;
    server.add("codes", "first");
    listening.messages(&[("codes", "first")]).await;
    listening.connected().await;
    Some((server, link, listening))
}

#[tokio::test]
async fn what_was_added_while_we_were_away_comes_once_and_nothing_is_lost() {
    for count in [1, 3, 100] {
        let Some((server, link, mut listening)) = behind_a_link(&format!("count = {count}\n")).await else { return };
        for round in 0..3 {
            link.cut().await;
            listening.is("the loss", |shown| !shown.connected).await;
            let keys: Vec<String> = (0..10).map(|n| format!("{round} {n}")).collect();
            keys.iter().for_each(|key| server.add("codes", key));
            link.mend();
            for key in &keys {
                listening.messages(&[("codes", key)]).await;
            }
            listening.connected().await;
        }
        let shown = listening.connected().await;
        assert_eq!((shown.messages, shown.gaps, shown.connections), (31, 1, 4));
    }
}

/// What it had acknowledged may have gone down with it, so a server that was started anew is a gap as well.
#[tokio::test]
async fn a_server_that_comes_back_has_kept_what_was_added() {
    let Some((mut server, link, mut listening)) = behind_a_link("").await else { return };
    for round in 0..2 {
        link.cut().await;
        server.add("codes", &format!("{round} before the stop"));
        server.stop();
        server.go_on().await;
        server.add("codes", &format!("{round} after the start"));
        link.mend();
        listening.gap().await;
        listening.messages(&[("codes", &format!("{round} before the stop"))]).await;
        listening.messages(&[("codes", &format!("{round} after the start"))]).await;
    }
    server.add("codes", "later");
    listening.messages(&[("codes", "later")]).await;
    assert_eq!(listening.connected().await.gaps, 3);
}

#[tokio::test]
async fn what_was_trimmed_away_unread_is_a_gap() {
    for count in [1, 2, 100] {
        let Some((server, link, mut listening)) = behind_a_link(&format!("count = {count}\n")).await else { return };
        link.cut().await;
        (0..10).for_each(|n| server.add("codes", &n.to_string()));
        server.say(&["XTRIM", "codes", "MAXLEN", "3"]);
        link.mend();
        // In looks of fewer entries the loss is known at the end only.
        let mut heard: Vec<News> = Vec::new();
        for _ in 0..4 {
            heard.push(listening.next().await);
        }
        assert_eq!(heard.iter().filter(|news| **news == News::Gap).count(), 1, "{heard:?}");
        heard.retain(|news| *news != News::Gap);
        assert_eq!(heard, ["7", "8", "9"].map(|key| message("codes", key)));
        server.say(&["XTRIM", "codes", "MAXLEN", "0"]);
        server.add("codes", "later");
        listening.messages(&[("codes", "later")]).await;
        assert_eq!(listening.shown().gaps, 2, "what was read may go");
    }
}

#[tokio::test]
async fn what_was_deleted_unread_is_a_gap() {
    let Some((server, link, mut listening)) = behind_a_link("").await else { return };
    link.cut().await;
    let id = server.say(&["XADD", "codes", "*", "payload", "taken back"]);
    server.add("codes", "K1");
    server.say(&["XDEL", "codes", &id]);
    link.mend();
    listening.gap().await;
    listening.messages(&[("codes", "K1")]).await;
}

#[tokio::test]
async fn a_stream_that_is_another_one_is_a_gap() {
    let ways: [(&str, &[&str]); 3] =
        [("flushed", &["FLUSHALL"]), ("deleted", &["DEL", "codes"]), ("renamed", &["RENAME", "codes", "away"])];
    for (what, way) in ways {
        let Some((server, link, mut listening)) = behind_a_link("").await else { return };
        link.cut().await;
        server.add("codes", "lost");
        server.say(way);
        server.add("codes", what);
        link.mend();
        assert_eq!(listening.until("codes", what).await, [News::Gap], "{what} while we were away");
        server.say(way);
        server.add("codes", "again");
        assert_eq!(listening.until("codes", "again").await, [News::Gap], "{what} while we listened");
    }
}

/// Ids that a person gives begin anew with the stream.
#[tokio::test]
async fn a_stream_whose_ids_begin_anew_is_read_on() {
    let Some((server, _link, mut listening)) = behind_a_link("block = \"100ms\"\n").await else { return };
    server.say(&["DEL", "codes"]);
    server.say(&["XADD", "codes", "1-1", "payload", "under the gap"]);
    // Nothing wakes who waits for a greater id; the next look does it.
    listening.gap().await;
    server.say(&["XADD", "codes", "1-2", "payload", "K1"]);
    listening.messages(&[("codes", "K1")]).await;
}

#[tokio::test]
async fn a_server_that_has_forgotten_everything_is_a_gap() {
    let Some((mut server, link, mut listening)) = behind_a_link("").await else { return };
    link.cut().await;
    server.add("codes", "lost");
    server.stop_and_forget();
    server.go_on().await;
    link.mend();
    listening.gap().await;
    listening.connected().await;
    server.add("codes", "K1");
    assert!(listening.until("codes", "K1").await.iter().all(|news| *news == News::Gap));
}

/// Nothing distinguishes a stream that was never there from one that came and went.
#[tokio::test]
async fn a_stream_that_was_never_there_is_a_gap_with_each_connection() {
    let Some(server) = Redis::start().await else { return };
    let link = Link::to(server.addr).await;
    let mut listening = Listening::to(&Redis::source(&server.url_at(link.addr), &["codes"], ""));
    listening.gap().await;
    listening.connected().await;
    link.cut().await;
    server.add("codes", "lost");
    server.say(&["FLUSHALL"]);
    link.mend();
    listening.gap().await;
    server.add("codes", "K1");
    listening.messages(&[("codes", "K1")]).await;
}

/// TCP says nothing when the other end is only gone.
#[tokio::test]
async fn a_connection_that_carries_nothing_is_noticed() {
    let times = "block = \"100ms\"\nconnect_timeout = \"1s\"\n";
    let Some((server, link, mut listening)) = behind_a_link(times).await else { return };
    link.silence();
    server.add("codes", "K1");
    listening.messages(&[("codes", "K1")]).await;
    assert_eq!(listening.connected().await.gaps, 1);
}

#[tokio::test]
async fn a_wrong_password_is_a_fault_of_the_configuration() {
    let password = ["--requirepass", "a5ecret"].map(String::from);
    let Some(server) = Redis::start_with(&password).await else { return };
    for (url, code) in
        [(server.url().replace("redis://", "redis://:wr0ng@"), "uthentication failed"), (server.url(), "NOAUTH")]
    {
        let listening = Listening::to(&Redis::source(&url, &["codes"], ""));
        let trouble = listening.is("the refusal", |shown| shown.trouble.is_some()).await.trouble.unwrap();
        assert!(trouble.contains(code) && !trouble.contains("wr0ng"), "{trouble}");
    }
    let url = server.url().replace("redis://", "redis://:a5ecret@");
    Listening::to(&Redis::source(&url, &["codes"], "")).gap().await;
}

/// The rights that docs/sources.md names.
#[tokio::test]
async fn a_user_needs_few_rights() {
    let Some(server) = Redis::start().await else { return };
    let rights = ["~codes", "+xread", "+xinfo|stream", "+multi", "+exec", "+info"];
    server.say(&[&["ACL", "SETUSER", "me", "on", ">a5ecret"][..], &rights].concat());
    server.add("codes", "before");
    let link = Link::to(server.addr).await;
    let url = server.url_at(link.addr).replace("redis://", "redis://me:a5ecret@");
    let mut listening = Listening::to(&Redis::source(&url, &["codes"], ""));
    listening.gap().await;
    server.add("codes", "K1");
    listening.messages(&[("codes", "K1")]).await;
    listening.connected().await;
    server.say(&["ACL", "SETUSER", "me", "-info"]);
    for _ in 0..2 {
        link.cut().await;
        link.mend();
        // Nobody says whether it is the server that it was.
        listening.gap().await;
        listening.connected().await;
    }
    server.say(&["ACL", "SETUSER", "me", "-xinfo"]);
    link.cut().await;
    listening.is("the loss", |shown| !shown.connected).await;
    link.mend();
    let other = |shown: &Shown| shown.trouble.as_ref().is_some_and(|why| !why.contains("closed"));
    let trouble = listening.is("the refusal", other).await.trouble.unwrap();
    assert!(trouble.contains("no permissions to run"), "{trouble}");
}

#[tokio::test]
async fn a_key_that_is_no_stream_is_a_fault_of_the_configuration() {
    let Some(server) = Redis::start().await else { return };
    server.say(&["SET", "codes", "x"]);
    let mut listening = Listening::to(&Redis::source(&server.url(), &["codes"], ""));
    let trouble = listening.is("the refusal", |shown| shown.trouble.is_some()).await.trouble.unwrap();
    assert!(trouble.contains("WRONGTYPE"), "{trouble}");
    server.say(&["DEL", "codes"]);
    listening.gap().await;
    listening.connected().await;
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_certificate_names() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(mut server) = Redis::start().await else { return };
    server.stop();
    let (pair, folder, port) = (authority.pair("cache"), server.outer(), crate::world::free().port().to_string());
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let files = [file("tls.crt", &pair.cert), file("tls.key", &pair.key), file("tls-ca.crt", &authority.pem())];
    let options = ["--tls-port", "--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"];
    let values = [&port, &files[0], &files[1], &files[2]];
    server.set(options.iter().zip(values).flat_map(|(option, value)| [(*option).to_owned(), value.clone()]));
    server.set(["--tls-auth-clients", "no"].map(String::from));
    server.go_on().await;
    let url = format!("rediss://localhost:{port}");
    let ca = |authority: &Authority| format!("tls = {{ ca = {:?} }}\n", authority.write("ca.pem", &authority.pem()));
    let mut listening = Listening::to(&Redis::source(&url, &["codes"], &ca(&authority)));
    listening.gap().await;
    listening.connected().await;
    server.add("codes", "K1");
    listening.messages(&[("codes", "K1")]).await;
    let listening = Listening::to(&Redis::source(&url, &["codes"], &ca(&stranger)));
    let trouble = listening.is("the refusal", |shown| shown.trouble.is_some()).await.trouble.unwrap();
    assert!(trouble.contains("certificate"), "{trouble}");
}
