//! Compare-and-set.

use super::support::{Client, Origin, Reply};
use super::{CODES, cache};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

#[tokio::test]
async fn what_is_expected_must_be_there() {
    let (_gateway, mut client) = cache(CODES).await;
    let put = async |client: &mut Client, field: (&str, &str), body: &str| {
        client.request("PUT", "/codes/AT", &[field], body).await.status
    };
    assert_eq!(put(&mut client, ("if-match", "*"), "0").await, 412, "there is nothing");
    assert_eq!(put(&mut client, ("if-match", "\"x\""), "0").await, 412);
    assert_eq!(put(&mut client, ("if-none-match", "*"), "1").await, 201);
    let refused = client.request("PUT", "/codes/AT", &[("if-none-match", "*")], "2").await;
    assert_eq!(refused.status, 412);
    let etag = refused.fields.one("etag").to_owned();
    assert_eq!(put(&mut client, ("if-none-match", &etag), "2").await, 412, "it is just that one");
    assert_eq!(put(&mut client, ("if-match", &format!("W/{etag}")), "2").await, 412, "compared strongly");
    assert_eq!(put(&mut client, ("if-match", &format!("\"x\", {etag}")), "2").await, 204);
    assert_eq!(put(&mut client, ("if-match", &etag), "3").await, 412, "it was replaced");
    assert_eq!(put(&mut client, ("if-match", "*"), "2").await, 204);
    let now = client.get("/codes/AT").await;
    assert_ne!(now.fields.one("etag"), etag);
    let remove = async |client: &mut Client, etag: &str| {
        client.request("DELETE", "/codes/AT", &[("if-match", etag)], "").await.status
    };
    assert_eq!(remove(&mut client, &etag).await, 412);
    assert_eq!(remove(&mut client, now.fields.one("etag")).await, 204);
    assert_eq!(remove(&mut client, "*").await, 412);
}

#[tokio::test]
async fn a_reader_asks_whether_it_has_changed() {
    let (_gateway, mut client) = cache(CODES).await;
    let etag = client.put("/codes/AT", "1").await.fields.one("etag").to_owned();
    let same = client.get_with("/codes/AT", &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.text(), same.fields.one("etag")), (304, "", &*etag));
    assert_eq!(client.get_with("/codes/AT", &[("if-match", &etag)]).await.status, 200);
    assert_eq!(client.get_with("/codes/AT", &[("if-match", "\"other\"")]).await.status, 412);
    client.put("/codes/AT", "1").await;
    let other = client.get_with("/codes/AT", &[("if-none-match", &etag)]).await;
    assert_eq!((other.status, other.text()), (200, "1"), "another version, though of the same bytes");
}

/// Many want to replace the same version: each round has one winner, and what the winner wrote is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_replace_one_version_one_wins() {
    const WRITERS: usize = 8;
    let rounds: usize = std::env::var("FRESHGATE_CAS_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let (gateway, mut client) = cache(CODES).await;
    let addr = gateway.running.objects.unwrap();
    let mut etag = client.put("/codes/AT", "begin").await.fields.one("etag").to_owned();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(Client::connect(addr).await);
    }
    for round in 0..rounds {
        let mut all = JoinSet::new();
        for (n, mut writer) in writers.drain(..).enumerate() {
            let (etag, body) = (etag.clone(), format!("{round} {n}"));
            all.spawn(async move {
                let answer = writer.request("PUT", "/codes/AT", &[("if-match", &etag)], &body).await;
                (writer, answer, body)
            });
        }
        let (mut won, mut lost) = (Vec::new(), 0);
        while let Some(done) = all.join_next().await {
            let (writer, answer, body) = done.unwrap();
            writers.push(writer);
            match answer.status {
                204 => won.push((answer.fields.one("etag").to_owned(), body)),
                412 => lost += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((won.len(), lost), (1, WRITERS - 1), "round {round}");
        let (next, body) = won.pop().unwrap();
        assert_eq!(client.get("/codes/AT").await.text(), body);
        etag = next;
    }
}

/// The same for who makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_make_one_object_one_does() {
    let (gateway, mut client) = cache(CODES).await;
    let addr = gateway.running.objects.unwrap();
    for round in 0..100 {
        let mut all = JoinSet::new();
        for n in 0..8 {
            all.spawn(
                async move { Client::connect(addr).await.post(&format!("/codes/{round}"), &n.to_string()).await },
            );
        }
        let statuses = all.join_all().await.into_iter().map(|answer| answer.status);
        let (made, there): (Vec<u16>, Vec<u16>) = statuses.partition(|status| *status == 201);
        assert_eq!((made.len(), there), (1, vec![409; 7]), "round {round}");
        assert_eq!(client.get(&format!("/codes/{round}")).await.status, 200);
    }
}

/// A read that begins after a PUT was acknowledged shows that one, or a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_reads_what_was_replaced() {
    const WRITES: u64 = 3000;
    let (gateway, mut client) = cache(CODES).await;
    let addr = gateway.running.objects.unwrap();
    client.put("/codes/AT", "0").await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let acknowledged = Arc::clone(&acknowledged);
        readers.spawn(async move {
            let (mut client, mut reads) = (Client::connect(addr).await, 0);
            loop {
                let least = acknowledged.load(Ordering::SeqCst);
                let got: u64 = client.get("/codes/AT").await.text().parse().unwrap();
                assert!(got >= least, "{got} after {least} was acknowledged");
                reads += 1;
                if got == WRITES {
                    return reads;
                }
            }
        });
    }
    for n in 1..=WRITES {
        assert_eq!(client.put("/codes/AT", &n.to_string()).await.status, 204);
        acknowledged.store(n, Ordering::SeqCst);
    }
    let reads: u64 = readers.join_all().await.into_iter().sum();
    assert!(reads > 100, "{reads}");
}

/// What was acknowledged is there, though the source is asked for it all the time, and other invalidations go on beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_source_never_takes_the_place_of_what_was_put() {
    let rounds: usize = std::env::var("FRESHGATE_PUT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let origin = Origin::always(Reply::ok("of the source")).await;
    let source = format!("{CODES}source = \"{}/{{key}}\"\n", origin.url());
    let (gateway, mut client) =
        cache(&format!("{source}[[objects.namespace]]\nname = \"others\"\nttl = \"1d\"\n")).await;
    let addr = gateway.running.objects.unwrap();
    let over = Arc::new(AtomicU64::new(0));
    let mut beside = JoinSet::new();
    for n in 0..4 {
        let over = Arc::clone(&over);
        beside.spawn(async move {
            let mut client = Client::connect(addr).await;
            while over.load(Ordering::SeqCst) == 0 {
                let status =
                    if n < 3 { client.get("/codes/AT").await } else { client.put("/others/x", "y").await }.status;
                assert!(matches!(status, 200 | 201 | 204), "{status}");
            }
        });
    }
    for round in 0..rounds {
        client.delete("/codes/AT").await;
        let put = client.put("/codes/AT", &round.to_string()).await;
        assert!(matches!(put.status, 201 | 204), "{}", put.status);
        assert_eq!(client.get("/codes/AT").await.text(), round.to_string(), "acknowledged with {}", put.status);
    }
    over.store(1, Ordering::SeqCst);
    beside.join_all().await;
}
