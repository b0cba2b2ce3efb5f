//! What is kept and used while two processes serve, and what becomes of a handover that isn't completed.

use crate::support::process::Process;
use crate::support::{Client, TOKEN, sha256, within};
use crate::world::{World, cached, caches, client};
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

const ALONE: &str = "answers are kept from now on";

/// The new process, once it serves beside the old one.
async fn taken_over(world: &World, old: &Process) -> Process {
    let new = world.start();
    old.says("another process has taken over").await;
    assert_eq!((new.addr, new.admin), (old.addr, old.admin));
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_one_keeps_nothing_until_the_old_one_has_ended() {
    let world = World::new().await;
    let mut old = world.start();
    let mut writer = client(&old).await;
    writer.send("PUT", "/a", &[("x-wait", "before")], "1").await;
    world.gate.arrived(1).await;
    let new = taken_over(&world, &old).await;
    // Over a connection each: the first may still be the old one's, which says that it is its last.
    for _ in 0..10 {
        let answer = new.get("/a").await;
        assert!(answer.text() == "0" && answer.cache_says("detail=settling"), "{answer:?}");
    }
    assert!(!new.has_said(ALONE));
    world.gate.open();
    let written = writer.answer().await;
    assert_eq!((written.status, written.get("connection")), (204, Some("close")));
    assert_eq!(new.get("/a").await.text(), "1", "a write through the old one");
    assert_eq!(old.ended().await, Some(0));
    new.says(ALONE).await;
    assert!(new.has_said("\"settles_ms\":0"), "every write of the old one has ended");
    assert_eq!(new.get("/a").await.text(), "1");
    cached(&new, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_one_uses_nothing_that_it_has_stored() {
    let mut world = World::new().await;
    world.server = "limits = { header_timeout = \"5m\" }".into();
    let mut old = world.start();
    cached(&old, "/a").await;
    let mut begun = client(&old).await;
    begun.send_raw("GET /a HTTP/1.1\r\n").await;
    let mut held = client(&old).await;
    held.send("GET", "/held", &[("x-wait", "before")], "").await;
    world.gate.arrived(1).await;
    let new = taken_over(&world, &old).await;
    assert_eq!(client(&new).await.put("/a", "1").await.status, 204);
    begun.send_raw("Host: shop.example\r\n\r\n").await;
    assert_eq!(begun.answer().await.text(), "1", "a write through the new one");
    world.gate.open();
    assert_eq!(held.answer().await.status, 200);
    assert_eq!(old.ended().await, Some(0));
}

/// A signal that is meant for the process that runs reaches the one that waits for it as well.
#[tokio::test(flavor = "multi_thread")]
async fn sighup_does_not_end_one_that_is_about_to_take_over() {
    let world = World::new().await;
    let door = UnixListener::bind(world.door()).unwrap();
    let mut busy = tokio::task::JoinSet::new();
    busy.spawn(async move {
        let (asking, _) = door.accept().await.unwrap();
        let pid = asking.peer_cred().unwrap().pid().unwrap();
        assert!(std::process::Command::new("kill").args(["-HUP", &pid.to_string()]).status().unwrap().success());
        // It lives, or it wouldn't be ready below; the one it has asked is gone.
    });
    let new = tokio::task::block_in_place(|| world.start());
    busy.join_next().await.unwrap().unwrap();
    cached(&new, "/a").await;
}

/// Nor does it join what it asked for before.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_one_joins_nothing_that_it_has_asked_for() {
    let mut world = World::new().await;
    world.server = "limits = { header_timeout = \"5m\" }".into();
    let mut old = world.start();
    let mut asker = client(&old).await;
    asker.send("GET", "/a", &[("x-wait", "after")], "").await;
    world.gate.arrived(1).await;
    let mut begun = client(&old).await;
    begun.send_raw("GET /a HTTP/1.1\r\n").await;
    let new = taken_over(&world, &old).await;
    assert_eq!(client(&new).await.put("/a", "1").await.status, 204);
    begun.send_raw("Host: shop.example\r\n\r\n").await;
    world.origin.received(3).await;
    world.gate.open();
    assert_eq!(begun.answer().await.text(), "1");
    assert_eq!(asker.answer().await.text(), "0", "it asked before the write");
    assert_eq!(old.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_the_old_one_its_last_write_is_waited_for() {
    let mut world = World::new().await;
    world.api = "timeouts = { first_byte = \"350ms\" }\nwrite_settle = \"50ms\"".into();
    let old = world.start();
    let mut held = client(&old).await;
    held.send("GET", "/held", &[("x-wait", "inside")], "").await;
    assert_eq!(held.answer_head().await.unwrap().status, 200);
    let new = taken_over(&world, &old).await;
    old.signal("-KILL");
    new.says(ALONE).await;
    assert!(new.has_said("\"settles_ms\":700"));
    cached(&new, "/a").await;
}

/// Its writes had its own time, and not that of the one which came after it.
#[tokio::test(flavor = "multi_thread")]
async fn of_one_that_is_cut_short_its_own_timeouts_count() {
    let mut world = World::new().await;
    world.api = "timeouts = { first_byte = \"5m\" }\n".into();
    world.server = "drain = { deadline = \"100ms\" }\n".into();
    let mut old = world.start();
    let mut held = client(&old).await;
    held.send("PUT", "/held", &[("x-wait", "before")], "1").await;
    world.gate.arrived(1).await;
    world.api = "timeouts = { first_byte = \"1s\" }\n".into();
    let new = taken_over(&world, &old).await;
    assert_eq!(old.ended().await, Some(0));
    new.says(ALONE).await;
    assert!(new.has_said("\"settles_ms\":600000"), "{:?}", new.said);
    assert!(!caches(&new, "/a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_unknown_outcome_outlives_the_old_one() {
    let mut world = World::new().await;
    world.api = "timeouts = { first_byte = \"1h\" }\nwrite_settle = \"1h\"".into();
    let mut old = world.start();
    assert_eq!(client(&old).await.put("/a", "1").await.status, 204);
    let new = taken_over(&world, &old).await;
    assert_eq!(old.ended().await, Some(0));
    new.says(ALONE).await;
    let told = new.said.lock().unwrap().iter().find(|line| line.contains(ALONE)).unwrap().clone();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let ms = told["settles_ms"].as_u64().unwrap();
    assert!((3_000_000..=3_600_000).contains(&ms), "{ms}");
    assert!(!caches(&new, "/a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_goes_over_and_a_write_meanwhile_is_not_lost() {
    let mut world = World::new().await;
    world.rest = "[cache]\nsnapshot = \"cache\"".into();
    let mut old = world.start();
    old.says("no snapshot yet").await;
    for target in ["/a", "/b"] {
        cached(&old, target).await;
    }
    let mut held = client(&old).await;
    held.send("GET", "/held", &[("x-wait", "before")], "").await;
    world.gate.arrived(1).await;
    let new = taken_over(&world, &old).await;
    client(&new).await.put("/b", "1").await;
    client(&new).await.put("/b", "0").await; // its tag is what it was
    world.gate.open();
    held.answer().await;
    assert_eq!(old.ended().await, Some(0));
    new.says("snapshot loaded").await;
    for (target, tag) in [("/a", Some("\"0\"")), ("/b", None)] {
        assert_eq!(new.get(target).await.text(), "0");
        let last = world.origin.requests().pop().unwrap();
        assert_eq!((last.target.as_str(), last.get("if-none-match")), (target, tag));
    }
}

/// Who has begun to ask the old one is answered by it, and its snapshot doesn't bring back what was purged.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_the_old_one_in_its_last_moment_is_kept() {
    let mut world = World::new().await;
    let operator = format!("[[admin.tokens]]\nname = \"o\"\nrole = \"operator\"\nsha256 = \"{}\"", sha256(TOKEN));
    world.rest = format!("{operator}\n[cache]\nsnapshot = \"cache\"");
    let mut old = world.start();
    old.says("no snapshot yet").await;
    for target in ["/a", "/b"] {
        cached(&old, target).await;
    }
    let mut purge = TcpStream::connect(old.admin).await.unwrap();
    let body = "{\"path\":\"/b\"}";
    let (begun, done) = (
        "POST /v1/purge HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\n",
        format!("Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    );
    purge.write_all(begun.as_bytes()).await.unwrap();
    let new = taken_over(&world, &old).await;
    old.says("draining").await;
    purge.write_all(done.as_bytes()).await.unwrap();
    let mut answer = String::new();
    purge.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(old.ended().await, Some(0));
    new.says("snapshot loaded").await;
    for (target, tag) in [("/a", Some("\"0\"")), ("/b", None)] {
        assert_eq!(new.get(target).await.text(), "0");
        let last = world.origin.requests().pop().unwrap();
        assert_eq!((last.target.as_str(), last.get("if-none-match")), (target, tag));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_start_changes_nothing() {
    let world = World::new().await;
    let old = world.start();
    cached(&old, "/a").await;
    let (code, said) = world.failing("\"nowhere\"");
    assert_eq!(code, Some(2), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, said) = world.failing(&format!("\"127.0.0.1:0\", \"{}\"", taken.local_addr().unwrap()));
    assert!(code == Some(2) && said.contains("can't listen there"), "{said}");
    old.says("not handed over; going on").await;
    assert!(old.get("/a").await.cache_says("hit"), "it never let go");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_door_is_left_alone() {
    let world = World::new().await;
    std::fs::write(world.door(), "somebody's letters").unwrap();
    let (code, said) = world.failing("\"127.0.0.1:0\"");
    assert!(code == Some(2) && said.contains("something else than a socket"), "{said}");
    assert_eq!(std::fs::read_to_string(world.door()).unwrap(), "somebody's letters");
}

/// Speaks for a new process, up to and with `ready`; what it is given is left where it is.
async fn knock(world: &World, words: &[&str]) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(world.door()).await.unwrap();
    let mut heard = line(&mut stream).await;
    for word in words {
        stream.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        heard = line(&mut stream).await;
    }
    (stream, heard)
}

async fn line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    loop {
        match within("a word", stream.read_u8()).await.unwrap() {
            b'\n' => return String::from_utf8(line).unwrap(),
            byte => line.push(byte),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_on_its_way_changes_nothing_for_long() {
    let mut world = World::new().await;
    world.api = "timeouts = { first_byte = \"500ms\" }\n".into();
    let old = world.start();
    assert_eq!(std::fs::metadata(world.door()).unwrap().permissions().mode() & 0o777, 0o600);
    cached(&old, "/a").await;
    let (stream, hello) = knock(&world, &[]).await;
    assert_eq!(hello, "freshgate-handover 1 data admin");
    drop(stream);
    old.says("it is gone").await;
    assert!(old.get("/a").await.cache_says("hit"), "before it was ready");
    assert_eq!(knock(&world, &["nonsense"]).await.1, "no");
    assert!(old.get("/a").await.cache_says("hit"));

    let (stream, word) = knock(&world, &["ready"]).await;
    assert_eq!(word, "go");
    let answer = old.get("/a").await;
    assert!(answer.status == 200 && !answer.cache_says("hit"), "it serves on, from its origin");
    assert!(!caches(&old, "/a").await);
    drop(stream);
    let told = || old.said.lock().unwrap().iter().filter(|line| line.contains("not handed over")).count();
    within("it to notice", async {
        while told() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(old.get("/b").await.cache_says("detail=settling"), "what it has begun may take effect yet");
    cached(&old, "/b").await;
    assert!(!old.get("/a").await.cache_says("hit"), "who has died may have written");

    let mut old = old;
    let mut new = taken_over(&world, &old).await;
    assert_eq!(old.ended().await, Some(0));
    new.says(ALONE).await;
    assert!(world.door().exists(), "it is the new one's now");
    new.signal("-TERM");
    assert_eq!(new.ended().await, Some(0));
    assert!(!world.door().exists());
}

/// A reload may have opened sockets since the start.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_has_opened_is_handed_over_as_well() {
    let world = World::new().await;
    let mut old = world.start();
    let second = std::net::TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let config = world.config(&format!("\"127.0.0.1:0\", \"{second}\""));
    old.signal("-HUP");
    old.says("configuration reloaded").await;
    assert_eq!(Client::connect(second).await.get("/a").await.status, 200);
    let new = Process::start(&config); // it couldn't bind what the old one has
    assert_eq!(new.addr, old.addr);
    assert_eq!(old.ended().await, Some(0));
    assert_eq!(Client::connect(second).await.get("/a").await.status, 200);
}

/// A third one waits until the second is alone.
#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other() {
    let world = World::new().await;
    let mut first = world.start();
    let mut held = client(&first).await;
    held.send("GET", "/held", &[("x-wait", "before")], "").await;
    world.gate.arrived(1).await;
    let mut second = taken_over(&world, &first).await;
    let mut early = UnixStream::connect(world.door()).await.unwrap();
    for _ in 0..50 {
        second.get("/a").await;
    }
    assert!(early.try_read(&mut [0]).is_err(), "nothing is handed over while another one serves");
    world.gate.open();
    assert_eq!(held.answer().await.status, 200);
    assert_eq!(first.ended().await, Some(0));
    assert_eq!(line(&mut early).await, "freshgate-handover 1 data admin");
    drop(early);
    let third = taken_over(&world, &second).await;
    assert_eq!(second.ended().await, Some(0));
    third.says(ALONE).await;
    cached(&third, "/a").await;
}
