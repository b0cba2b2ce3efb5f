//! Servers of events that stop and come back while objects are read all the time.
//!
//! What is true is counted here: a change raises the number of its code, and is told, or can't be told. Readers ask without a pause. No read fails,
//! whatever the server does. Once a change has been acted on, or the gap after it, no read that begins then shows anything older.

use crate::postgres_server::Postgres;
use crate::redis_server::Redis;
use crate::support::{Client, Gateway, Origin, Reply, Request, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tokio::task::JoinSet;

const CODES: usize = 4;
const READERS: usize = 4;
const STOPS: usize = 3;

/// What is true, and what readers may rely on.
#[derive(Default)]
struct World {
    now: [AtomicU64; CODES],
    least: [AtomicU64; CODES],
    over: AtomicBool,
}

impl World {
    /// From now on nobody may see less than this.
    fn promise(&self, what: [u64; CODES]) {
        for (least, now) in self.least.iter().zip(what) {
            least.fetch_max(now, SeqCst);
        }
    }

    fn state(&self) -> [u64; CODES] {
        std::array::from_fn(|code| self.now[code].load(SeqCst))
    }
}

struct Stage {
    world: Arc<World>,
    gateway: Gateway,
    readers: JoinSet<u64>,
    _origin: Origin,
}

impl Stage {
    async fn set(source: &str) -> Stage {
        let world = Arc::new(World::default());
        let truth = Arc::clone(&world);
        let origin = Origin::start(move |request: Request| {
            let code: usize = request.target.trim_start_matches('/').parse().unwrap();
            let reply = Reply::ok(truth.now[code].load(SeqCst).to_string());
            async move { reply }
        })
        .await;
        let objects = format!(
            "[objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"codes\"\nttl = \"100d\"\nsource = \"{}/{{key}}\"\n",
            origin.url()
        );
        let rule = "[[events.rule]]\nwhen = { channel = \"codes\" }\nrefresh = \"codes/{subject}\"\n";
        let gateway = Gateway::with(&objects, &format!("{rule}{source}")).await;
        let addr = gateway.running.objects.unwrap();
        let mut readers = JoinSet::new();
        for reader in 0..READERS {
            let world = Arc::clone(&world);
            readers.spawn(async move {
                let (mut client, mut reads) = (Client::connect(addr).await, 0);
                while !world.over.load(SeqCst) {
                    let code = (reader + reads as usize) % CODES;
                    let least = world.least[code].load(SeqCst);
                    let answer = client.get(&format!("/codes/{code}")).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let got: u64 = answer.text().parse().unwrap();
                    assert!(got >= least, "{got} after {least} of code {code}");
                    reads += 1;
                }
                reads
            });
        }
        let stage = Stage { world, gateway, readers, _origin: origin };
        stage.counted("gaps", 1).await;
        stage
    }

    async fn count(&self, what: &str) -> u64 {
        let metric = format!("freshgate_event_source_{what}_total");
        let all = self.gateway.admin("GET", "/metrics", "").await;
        let found = all.text().lines().find_map(|line| line.strip_prefix(&metric)?.rsplit(' ').next()?.parse().ok());
        found.unwrap_or_default()
    }

    async fn counted(&self, what: &str, least: u64) {
        within(what, async {
            while self.count(what).await < least {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// A change of one code that is told by `tell`.
    async fn change(&self, code: usize, tell: impl FnOnce(usize)) {
        let before = self.count("messages").await;
        self.world.now[code].fetch_add(1, SeqCst);
        let state = self.world.state();
        tokio::task::block_in_place(|| tell(code));
        self.counted("messages", before + 1).await;
        self.world.promise(state);
    }

    /// Nobody tells of these.
    fn change_unheard(&self) {
        self.world.now.iter().for_each(|code| _ = code.fetch_add(1, SeqCst));
    }

    async fn end(mut self) {
        self.world.over.store(true, SeqCst);
        let mut reads = 0;
        while let Some(ended) = self.readers.join_next().await {
            reads += ended.unwrap();
        }
        assert!(reads > 100, "{reads}");
        let mut client = Client::connect(self.gateway.running.objects.unwrap()).await;
        for (code, now) in self.world.state().into_iter().enumerate() {
            assert_eq!(client.get(&format!("/codes/{code}")).await.text(), now.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql() {
    let Some(mut server) = Postgres::start().await else { return };
    let stage = Stage::set(&Postgres::source(&server.url(), &["codes"], "")).await;
    for _ in 0..STOPS {
        for code in 0..CODES {
            stage.change(code, |code| drop(server.sql(&format!("NOTIFY codes, '{code}'")))).await;
        }
        let gaps = stage.count("gaps").await;
        tokio::task::block_in_place(|| server.stop());
        stage.change_unheard();
        let state = stage.world.state();
        server.go_on().await;
        stage.counted("gaps", gaps + 1).await;
        stage.world.promise(state);
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis() {
    let Some(mut server) = Redis::start().await else { return };
    server.add("codes", "0");
    let stage = Stage::set(&Redis::source(&server.url(), &["codes"], "block = \"100ms\"\n")).await;
    for _ in 0..STOPS {
        for code in 0..CODES {
            stage.change(code, |code| server.add("codes", &code.to_string())).await;
        }
        let gaps = stage.count("gaps").await;
        tokio::task::block_in_place(|| server.stop());
        stage.change_unheard();
        let state = stage.world.state();
        server.go_on().await;
        stage.counted("gaps", gaps + 1).await;
        stage.world.promise(state);
    }
    stage.end().await;
}
