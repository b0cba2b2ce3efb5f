//! A warm start (`cache.snapshot`): what is kept over a restart, and that nothing of it is used before its origin has confirmed it.

#![cfg(test)]

mod support;

use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::policy::{Apis, Mounted};
use freshgate::snapshot::{self, Loaded, Loading, NotLoaded, Progress};
use freshgate::store::Store;
use std::future::ready;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use support::process::{ADMIN, Process, command};
use support::{Client, Gateway, Origin, Reply, Request, within};
use tempfile::TempDir;

/// An origin of versions: each path has the body "PATH vN" and the tag "vN", and confirms what is still so.
struct Versions {
    origin: Origin,
    version: Arc<AtomicUsize>,
    more: Arc<Mutex<Reply>>,
}

impl Versions {
    async fn saying(fields: &[(&str, &str)]) -> Versions {
        let version = Arc::new(AtomicUsize::new(1));
        let more = fields.iter().fold(Reply::ok(""), |reply, (name, value)| reply.field(name, value));
        let (now, more) = (Arc::clone(&version), Arc::new(Mutex::new(more)));
        let said = Arc::clone(&more);
        let origin = Origin::start(move |request| {
            let (version, reply) = (now.load(SeqCst), said.lock().unwrap().clone());
            ready(answer(&request, version, reply))
        })
        .await;
        Versions { origin, version, more }
    }

    async fn fresh() -> Versions {
        Versions::saying(&[("cache-control", "max-age=600")]).await
    }

    fn write_past_the_gateway(&self) {
        self.version.fetch_add(1, SeqCst);
    }

    fn last(&self) -> Request {
        self.origin.requests().pop().unwrap()
    }
}

fn answer(request: &Request, version: usize, reply: Reply) -> Reply {
    let tag = format!("\"v{version}\"");
    if request.method != "GET" && request.method != "HEAD" {
        return Reply::status(204);
    }
    if request.get("if-none-match") == Some(&tag) {
        return Reply::status(304).field("etag", &tag);
    }
    reply.field("etag", &tag).body(format!("{} v{version}", request.target))
}

struct World {
    folder: TempDir,
    versions: Versions,
    api: String,
    /// Further lines of `[cache]`.
    cache: String,
}

impl World {
    fn new(versions: Versions, api: &str) -> World {
        let folder = TempDir::new().unwrap();
        World { folder, versions, api: api.into(), cache: String::new() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn apis(&self) -> String {
        let head =
            format!("name = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]", self.versions.origin.url());
        format!("[[api]]\n{head}\n{}\n", self.api)
    }

    /// A gateway that loads and saves.
    async fn start(&self) -> Gateway {
        let rest = format!("[cache]\nsnapshot = {:?}\n{}", self.file(), self.cache);
        let gateway = Gateway::with(&rest, &self.apis()).await;
        within("what there was", async {
            while !metrics(&gateway).await.contains("freshgate_snapshot_entries") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gateway
    }

    /// The same, with this much of what was saved in its store and this much not.
    async fn restart(&self, loaded: u64, left_out: u64) -> Gateway {
        let gateway = self.start().await;
        let text = metrics(&gateway).await;
        for (what, count) in [("loaded", loaded), ("left-out", left_out)] {
            let line = format!("freshgate_snapshot_entries{{what=\"{what}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        gateway
    }

    /// A gateway that gets `targets`, keeps what it is told, and stops.
    async fn first_life(&self, targets: &[&str]) {
        let gateway = self.start().await;
        let mut client = client(&gateway).await;
        for target in targets {
            assert_eq!(client.get(target).await.status, 200);
        }
        gateway.settled().await;
        assert!(gateway.running.stop().await);
    }
}

async fn client(gateway: &Gateway) -> Client {
    gateway.client().await.host("shop.example")
}

async fn metrics(gateway: &Gateway) -> String {
    gateway.admin("GET", "/metrics", "").await.text().to_owned()
}

#[tokio::test]
async fn what_was_stored_is_confirmed_once_and_then_hit() {
    let world = World::new(Versions::fresh().await, "");
    world.first_life(&["/a"]).await;
    assert_eq!(std::fs::metadata(world.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 1, "nothing beside it");
    let gateway = world.restart(1, 0).await;
    let mut client = client(&gateway).await;
    let answer = client.get("/a").await;
    assert_eq!((answer.status, answer.text()), (200, "/a v1"));
    assert!(answer.cache_says("fwd=stale") && answer.cache_says("fwd-status=304"), "{answer:?}");
    assert_eq!(world.versions.last().get("if-none-match"), Some("\"v1\""));
    gateway.settled().await;
    let answer = client.get("/a").await;
    assert!(answer.cache_says("hit") && answer.text() == "/a v1", "an ordinary entry from here on");
    assert_eq!(world.versions.origin.count(), 2);
    assert_eq!(client.put("/a", "x").await.status, 204);
    assert!(!client.get("/a").await.cache_says("hit"), "and invalidated as one");
}

#[tokio::test]
async fn a_write_that_went_past_a_stopped_gateway_is_seen() {
    let world = World::new(Versions::fresh().await, "");
    world.first_life(&["/a"]).await;
    world.versions.write_past_the_gateway();
    let gateway = world.restart(1, 0).await;
    assert_eq!(client(&gateway).await.get("/a").await.text(), "/a v2");
}

/// Every way in which a stored answer may be used without being confirmed, with an answer that allows them all.
#[tokio::test]
async fn nothing_lets_it_be_used_unconfirmed() {
    let generous = "max-age=600, stale-while-revalidate=600, stale-if-error=600, immutable";
    let settings = "grace = \"1h\"\nkeep_on_error = \"1h\"\nttl = \"forever\"\nstale_after = \"1ms\"";
    let ways: [(&str, &[(&str, &str)]); 6] = [
        ("fresh", &[]),
        ("max-stale", &[("cache-control", "max-stale")]),
        ("max-age", &[("cache-control", "max-age=1000, max-stale=1000")]),
        ("a part", &[("range", "bytes=0-1")]),
        ("a condition of the client's", &[("if-none-match", "\"v1\"")]),
        ("no-cache just granted", &[("cache-control", "no-cache")]),
    ];
    for (why, fields) in ways {
        let world = World::new(Versions::saying(&[("cache-control", generous)]).await, settings);
        world.first_life(&["/a"]).await;
        world.versions.write_past_the_gateway();
        let gateway = world.restart(1, 0).await;
        let answer = client(&gateway).await.get_with("/a", fields).await;
        assert!("/a v2".starts_with(answer.text()) && answer.status != 304, "{why}: {answer:?}");
        assert_eq!(answer.get("etag"), Some("\"v2\""), "{why}");
        assert_eq!(world.versions.origin.count(), 2, "{why}");
    }
    let world = World::new(Versions::saying(&[("cache-control", generous)]).await, settings);
    world.first_life(&["/a"]).await;
    let gateway = world.restart(1, 0).await;
    let mut client = client(&gateway).await;
    let only = client.get_with("/a", &[("cache-control", "only-if-cached, max-stale")]).await;
    assert_eq!((only.status, world.versions.origin.count()), (504, 1));
    assert_eq!(client.request("HEAD", "/a", &[], "").await.get("etag"), Some("\"v1\""));
    assert_eq!(world.versions.origin.count(), 2, "HEAD asks as well");
}

#[tokio::test]
async fn it_is_not_used_where_its_origin_fails() {
    let told = [("cache-control", "max-age=600, stale-if-error=600")];
    let world = World::new(Versions::saying(&told).await, "keep_on_error = \"1h\"");
    world.first_life(&["/a"]).await;
    let gateway = world.restart(1, 0).await;
    *world.versions.more.lock().unwrap() = Reply::status(503);
    world.versions.write_past_the_gateway();
    let mut client = client(&gateway).await;
    assert_eq!(client.get("/a").await.status, 503);
    *world.versions.more.lock().unwrap() = Reply::nothing();
    assert_eq!(client.get("/a").await.status, 502);
}

#[tokio::test]
async fn variants_are_kept_apart() {
    let told = [("cache-control", "max-age=600"), ("vary", "accept-language")];
    let world = World::new(Versions::saying(&told).await, "");
    let gateway = world.start().await;
    for language in ["de", "en"] {
        client(&gateway).await.get_with("/a", &[("accept-language", language)]).await;
    }
    gateway.settled().await;
    gateway.running.stop().await;
    let gateway = world.restart(2, 0).await;
    let mut client = client(&gateway).await;
    for (language, tag) in [("de", Some("\"v1\"")), ("en", Some("\"v1\"")), ("fr", None)] {
        client.get_with("/a", &[("accept-language", language)]).await;
        assert_eq!(world.versions.last().get("if-none-match"), tag, "{language}");
    }
}

/// Keys name the generation of their API, which is counted anew in each process.
#[tokio::test]
async fn an_api_within_another_ones_path_finds_its_own() {
    let mut world = World::new(Versions::fresh().await, "");
    let inner = "[[api]]\nname = \"inner\"\nversion = \"v1\"\npath = \"/in\"";
    world.api = format!("{inner}\nupstream = [\"{}\"]", world.versions.origin.url());
    world.first_life(&["/in/a", "/b"]).await;
    let gateway = world.restart(2, 0).await;
    for target in ["/in/a", "/b"] {
        client(&gateway).await.get(target).await;
        let last = world.versions.last();
        assert_eq!((last.target.as_str(), last.get("if-none-match")), (target, Some("\"v1\"")));
    }
}

#[tokio::test]
async fn what_belongs_to_one_caller_does_not_go_to_disk() {
    let secret = |request: &Request| {
        let who = request.get("authorization").or(request.get("cookie")).or(request.get("x-api-key"));
        let reply = Reply::ok(format!("for {}", who.unwrap_or("everybody"))).field("etag", "\"v1\"");
        let vary = if request.target == "/vary" { "authorization" } else { "accept" };
        let sharing = if request.target == "/public" { "public, max-age=600" } else { "max-age=600" };
        reply.field("cache-control", sharing).field("vary", vary)
    };
    let origin = Origin::start(move |request| ready(secret(&request))).await;
    let versions = Versions { origin, version: Arc::default(), more: Arc::new(Mutex::new(Reply::ok(""))) };
    let world = World::new(versions, "[[api.route]]\non = \"GET /vary\"\nkey = { share = \"assume-public\" }");
    let gateway = world.start().await;
    let mut client = client(&gateway).await;
    for (name, value) in [("authorization", "alice-0"), ("cookie", "alice-1"), ("x-api-key", "alice-2")] {
        client.get_with("/own", &[(name, value)]).await;
    }
    client.get_with("/vary", &[("authorization", "alice-3")]).await;
    client.get_with("/public", &[("accept", "text/alice-is-not-here")]).await;
    client.get("/own").await;
    // `log.redact_query` names what is secret in a URL.
    client.get("/own?page=1&Token=alice-0").await;
    gateway.settled().await;
    assert_eq!(entries(gateway.running.store()), 7);
    gateway.running.stop().await;
    let saved = String::from_utf8_lossy(&std::fs::read(world.file()).unwrap()).into_owned();
    assert!((0..4).all(|n| !saved.contains(&format!("alice-{n}"))), "{saved}");
    assert_eq!(saved.matches("for everybody").count(), 2);
    world.restart(2, 0).await;
}

fn date(second: u64) -> String {
    format!("Tue, 14 Nov 2023 22:13:{second:02} GMT")
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_not_saved() {
    let kept = |modified: u64| {
        Reply::ok("x")
            .field("cache-control", "max-age=999999999")
            .field("date", date(1))
            .field("last-modified", date(modified))
    };
    let origin = Origin::start(move |request| {
        ready(match request.target.as_str() {
            "/nothing" => Reply::ok("x").field("cache-control", "max-age=600"),
            "/no-tag" => Reply::ok("x").field("cache-control", "max-age=600").field("etag", "v1"),
            "/same-second" => kept(1),
            "/earlier" => kept(0),
            _ => Reply::status(204),
        })
    })
    .await;
    let versions = Versions { origin, version: Arc::default(), more: Arc::new(Mutex::new(Reply::ok(""))) };
    let world = World::new(versions, "");
    world.first_life(&["/nothing", "/no-tag", "/same-second", "/earlier"]).await;
    let gateway = world.restart(1, 0).await;
    client(&gateway).await.get("/earlier").await;
    assert_eq!(world.versions.last().get("if-modified-since"), Some(&*date(0)));
}

#[tokio::test]
async fn what_was_invalidated_is_not_saved_and_what_is_loaded_can_be_purged() {
    let told = [("cache-control", "max-age=600"), ("surrogate-key", "red"), ("xkey", "hot")];
    let world = World::new(Versions::saying(&told).await, "");
    let gateway = world.start().await;
    let mut first = client(&gateway).await;
    for target in ["/a", "/b", "/c", "/d"] {
        first.get(target).await;
    }
    first.put("/a", "x").await;
    gateway.purge(serde_json::json!({"path": "/b", "soft": true})).await;
    gateway.settled().await;
    gateway.running.stop().await;
    let gateway = world.restart(2, 0).await;
    gateway.purge(serde_json::json!({"path": "/c"})).await;
    let mut client = client(&gateway).await;
    client.get("/c").await;
    assert_eq!(world.versions.last().get("if-none-match"), None);
    gateway.purge(serde_json::json!({"tag": "hot"})).await;
    client.get("/d").await;
    assert_eq!(world.versions.last().get("if-none-match"), None);
}

#[tokio::test]
async fn other_settings_leave_it_out() {
    let rows = [
        ("nothing has changed", "ttl = \"1m\"", "", 1),
        ("another ttl", "ttl = \"2m\"", "", 0),
        ("another key", "ttl = \"1m\"\nkey = { query = \"exact\" }", "", 0),
        ("no cache", "ttl = \"1m\"\ncache = false", "", 0),
        ("no cache there", "ttl = \"1m\"\n[[api.route]]\non = \"GET /a\"\ncache = false", "", 0),
        ("callers are asked", "ttl = \"1m\"\nauth = { kind = \"trusted-header\", header = \"X-Me\" }", "", 0),
        ("another host", "ttl = \"1m\"\nhost = \"other.example\"", "", 0),
        ("smaller objects", "ttl = \"1m\"", "max_object_size = \"1KiB\"", 0),
    ];
    for (why, api, cache, loaded) in rows {
        let mut world = World::new(Versions::saying(&[("x-large", &"x".repeat(100))]).await, "ttl = \"1m\"");
        let long = format!("/a?{}", "x".repeat(1100)); // it is echoed
        world.first_life(&[&long]).await;
        (world.api, world.cache) = (api.into(), cache.into());
        eprintln!("{why}");
        world.restart(loaded, 1 - loaded).await;
    }
}

/// The file of a gateway that has asked for these targets, and the APIs and the store of another one that begins.
struct Two {
    world: World,
    gateway: Gateway,
    apis: Apis,
}

impl Two {
    async fn of(targets: &[&str]) -> Two {
        let told = [("cache-control", "max-age=600"), ("surrogate-key", "red")];
        let world = World::new(Versions::saying(&told).await, "");
        world.first_life(targets).await;
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let apis = Apis::new(config::parse(&world.apis(), "t", &around).unwrap().config.apis);
        let gateway = Gateway::with("", &world.apis()).await;
        Two { world, gateway, apis }
    }

    fn load(&self, max_size: u64) -> Result<Loaded, NotLoaded> {
        load(&self.world.file(), self.gateway.running.store(), &self.apis, max_size)
    }
}

/// Counted one by one: the store's own count comes a little later.
fn entries(store: &Store) -> usize {
    let mut count = 0;
    store.scan(|_, variants| count += variants.len());
    count
}

fn load(path: &Path, store: &Store, apis: &Apis, max_size: u64) -> Result<Loaded, NotLoaded> {
    let (tally, clock) = (|_: &Mounted| Arc::default(), Clock::system());
    snapshot::load(
        path,
        &Loading { store, apis, tally: &tally, max_size, max_object_size: 1 << 20, clock: &clock, watch: &|_| () },
    )
}

#[tokio::test]
async fn who_saves_and_loads_tells_how_far_it_has_come() {
    let two = Two::of(&["/a", "/b", "/c"]).await;
    let (seen, store) = (Mutex::new(Vec::new()), two.gateway.running.store());
    let watch = |progress: Progress| seen.lock().unwrap().push(progress);
    let (tally, clock) = (|_: &Mounted| Arc::default(), Clock::system());
    let limits = (1 << 30, 1 << 20);
    let to = Loading {
        store,
        apis: &two.apis,
        tally: &tally,
        max_size: limits.0,
        max_object_size: limits.1,
        clock: &clock,
        watch: &watch,
    };
    snapshot::load(&two.world.file(), &to).unwrap();
    let length = std::fs::metadata(two.world.file()).unwrap().len();
    let steps = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(steps.iter().map(|step| step.entries).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 3], "it is read twice");
    assert!(steps.is_sorted_by(|a, b| a.done < b.done) && steps.iter().all(|step| step.total == 2 * length));
    assert_eq!(steps.last().unwrap().done, 2 * length);
    let file = two.world.folder.path().join("another");
    snapshot::save(&file, store, &two.apis, &|_| false, &watch).unwrap();
    let steps = seen.lock().unwrap();
    assert_eq!(steps.iter().map(|step| step.entries).collect::<Vec<_>>(), [1, 2, 3, 3]);
    assert!(steps.iter().is_sorted_by(|a, b| a.done <= b.done) && steps[0].done > 0);
    assert_eq!(steps[3].done, steps[3].total);
}

#[tokio::test]
async fn a_write_before_it_is_loaded_is_not_forgotten() {
    for swept in [false, true] {
        let two = Two::of(&["/a", "/a/b", "/c"]).await;
        let mut client = client(&two.gateway).await;
        client.put("/a", "x").await;
        if swept {
            two.gateway.running.store().sweep(two.gateway.clock.now());
        }
        let loaded = two.load(1 << 30).unwrap();
        // When its cells are gone nobody can tell what was written, so nothing is believed.
        assert_eq!(loaded.entries, if swept { 0 } else { 1 }, "{loaded:?}");
        for target in ["/a", "/a/b"] {
            client.get(target).await;
            assert_eq!(two.world.versions.last().get("if-none-match"), None, "{target}");
        }
    }
    let two = Two::of(&["/a"]).await;
    two.gateway.purge(serde_json::json!({"tag": "red"})).await;
    assert_eq!(two.load(1 << 30).unwrap().entries, 0, "tags as well");
}

#[tokio::test]
async fn what_is_there_already_stays() {
    let two = Two::of(&["/a"]).await;
    two.world.versions.write_past_the_gateway();
    let mut client = client(&two.gateway).await;
    assert_eq!(client.get("/a").await.text(), "/a v2");
    two.gateway.settled().await;
    assert_eq!(two.load(1 << 30).unwrap(), Loaded { entries: 0, left_out: 1, bytes: 0 });
    assert!(client.get("/a").await.cache_says("hit"));
}

#[tokio::test]
async fn no_more_is_loaded_than_there_is_room_for() {
    let two = Two::of(&["/a", "/b", "/c", "/d"]).await;
    let one = two.load(1 << 30).unwrap().bytes / 4;
    let gateway = Gateway::with("", &two.world.apis()).await;
    let loaded = load(&two.world.file(), gateway.running.store(), &two.apis, 2 * one + one / 2).unwrap();
    assert_eq!((loaded.entries, loaded.left_out), (2, 2));
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_not_used_at_all() {
    let two = Two::of(&["/a", "/b"]).await;
    let whole = std::fs::read(two.world.file()).unwrap();
    let ignored = |bytes: &[u8], why: &str| {
        std::fs::write(two.world.file(), bytes).unwrap();
        assert!(matches!(two.load(1 << 30), Err(NotLoaded::Wrong(_))), "{why}");
        assert_eq!(entries(two.gateway.running.store()), 0, "{why}");
    };
    for length in 0..whole.len() {
        ignored(&whole[..length], &format!("{length} of {} bytes", whole.len()));
    }
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1 << (at % 8);
        ignored(&other, &format!("byte {at}"));
    }
    ignored(&[&whole[..], b"\0"].concat(), "longer");
    ignored(b"PK\x03\x04 something else altogether", "foreign");
    std::fs::write(two.world.file(), &whole).unwrap();
    assert_eq!(two.load(1 << 30).unwrap().entries, 2);
}

#[tokio::test]
async fn a_wrong_file_stops_nobody_and_is_replaced() {
    let world = World::new(Versions::fresh().await, "");
    std::fs::write(world.file(), "what is this").unwrap();
    std::fs::write(world.folder.path().join("cache.tmp"), "of a stop that was interrupted").unwrap();
    let gateway = world.start().await;
    assert!(metrics(&gateway).await.contains("freshgate_snapshot_ignored 1\n"));
    client(&gateway).await.get("/a").await;
    gateway.settled().await;
    assert!(gateway.running.stop().await);
    world.restart(1, 0).await;
    assert!(!world.folder.path().join("cache.tmp").exists());
}

#[tokio::test]
async fn where_it_cannot_be_written_the_stop_goes_on_and_the_old_one_stays() {
    let world = World::new(Versions::fresh().await, "");
    world.first_life(&["/a"]).await;
    let before = std::fs::read(world.file()).unwrap();
    let in_the_way = world.folder.path().join("cache.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    world.first_life(&["/a", "/b"]).await;
    assert_eq!(std::fs::read(world.file()).unwrap(), before);
    std::fs::remove_dir(in_the_way).unwrap();
    let world = World { folder: TempDir::new_in(world.folder.path()).unwrap(), ..world };
    std::fs::remove_dir(world.folder.path()).unwrap();
    world.first_life(&["/a"]).await; // there is no such folder
}

/// A process of its own, from a shell that first does what `before` says.
fn process(world: &World, before: &str) -> Process {
    let config = world.folder.path().join("freshgate.toml");
    let head = "[server]\nlisten = [\"127.0.0.1:0\"]\n";
    let text = format!("{head}{ADMIN}[cache]\nsnapshot = {:?}\n{}", world.file(), world.apis());
    std::fs::write(&config, text).unwrap();
    Process::of(command(&config, before))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_old_file() {
    let world = World::new(Versions::fresh().await, "");
    world.first_life(&["/a"]).await;
    let before = std::fs::read(world.file()).unwrap();
    // No file of this process may grow beyond 4 KiB: a write fails there as on a full disk.
    let mut process = process(&world, "trap '' XFSZ; ulimit -f 8;");
    let long = format!("/{}", "x".repeat(6000));
    process.get(&long).await;
    process.get("/b").await;
    process.signal("-TERM");
    process.says("snapshot not saved").await;
    assert_eq!(process.child.wait().unwrap().code(), Some(0), "the stop goes on");
    assert_eq!(std::fs::read(world.file()).unwrap(), before);
    assert!(!world.folder.path().join("cache.tmp").exists());
    world.restart(1, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_saves_leaves_a_whole_file() {
    let world =
        World::new(Versions::saying(&[("cache-control", "max-age=600"), ("x-weight", &"x".repeat(4000))]).await, "");
    let targets: Vec<String> = (0..300).map(|n| format!("/{n}")).collect();
    world.first_life(&targets.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut process = process(&world, "");
    process.says("snapshot loaded").await;
    process.get("/one-more").await;
    process.signal("-TERM");
    let new = world.folder.path().join("cache.tmp");
    while !new.exists() && process.child.try_wait().unwrap().is_none() {}
    drop(process.child.kill());
    process.child.wait().unwrap();
    let around = Surroundings { env: &|_| None, memory_limit: None };
    let apis = Apis::new(config::parse(&world.apis(), "t", &around).unwrap().config.apis);
    let gateway = Gateway::with("", &world.apis()).await;
    let loaded = load(&world.file(), gateway.running.store(), &apis, 1 << 30).unwrap();
    assert!(loaded.entries >= 300, "{loaded:?}");
}
