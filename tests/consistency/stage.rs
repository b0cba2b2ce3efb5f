//! What is between readers and books: the gateway or gateways, the origins, and what happens to them meanwhile.

use super::changes::Purge;
use super::history::Purged;
use super::modes::{Mode, RULES, Reload, Upheaval};
use super::origin::{self, Shop};
use super::readers::Reading;
use super::support::Gateway;
use super::support::process::{Process, activated};
use super::world::{BOOKS, FIRST_BYTE};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::{JoinSet, block_in_place};

/// Steps (see [`Reading`]) for which all is quiet between two upheavals.
const QUIET: u32 = 25;
/// Steps for which an endpoint is gone.
const GONE: u32 = 10;

pub struct Stage {
    /// Where clients connect, all the time.
    pub addr: SocketAddr,
    pub admin: SocketAddr,
    pub front: Front,
    mode: &'static Mode,
    shop: Arc<Shop>,
    seed: u64,
    origins: Vec<(SocketAddr, JoinSet<()>)>,
}

pub enum Front {
    /// In this process.
    Here(Box<Gateway>),
    /// One process after another.
    There(Processes),
}

pub struct Processes {
    now: Process,
    config: PathBuf,
    /// What the data port and the admin port are, where the processes don't bring their own.
    sockets: Option<(TcpListener, TcpListener)>,
    _folder: TempDir,
}

impl Stage {
    pub async fn set(mode: &'static Mode, shop: &Arc<Shop>, seed: u64) -> Stage {
        let mut origins = vec![origin::start(Arc::clone(shop), seed).await];
        if mode.twice {
            origins.push(origin::start(Arc::clone(shop), seed ^ 2).await);
        }
        let apis = apis(&origins, mode.api, false);
        let front = if mode.upheaval.is_of_processes() {
            Front::There(Processes::begin(mode, &apis))
        } else {
            Front::Here(Box::new(Gateway::with(mode.rest, &apis).await))
        };
        let (addr, admin) = match &front {
            Front::Here(gateway) => (gateway.addr, gateway.admin),
            Front::There(processes) => (processes.now.addr, processes.now.admin),
        };
        Stage { addr, admin, front, mode, shop: Arc::clone(shop), seed, origins }
    }

    /// One upheaval after another, until the readers close; how many there were.
    pub async fn upheave(&mut self, all: &Reading) -> usize {
        if matches!(self.mode.upheaval, Upheaval::Nothing) {
            return 0;
        }
        for n in 0.. {
            let quiet = if matches!(self.mode.upheaval, Upheaval::Reloaded(_)) { 1 } else { QUIET };
            if !pause(all, quiet).await {
                return n;
            }
            match (self.mode.upheaval, &mut self.front) {
                (Upheaval::Reloaded(with), Front::Here(gateway)) => {
                    let Reload { api, linked } = &with[n % with.len()];
                    gateway.reload(&apis(&self.origins, api, *linked));
                }
                (Upheaval::Killed, _) => self.kill(n % 2, all).await,
                (Upheaval::HandedOver, Front::There(processes)) => processes.hand_over().await,
                (Upheaval::Restarted, Front::There(processes)) => processes.restart(&self.shop, all).await,
                (Upheaval::Nothing | Upheaval::Reloaded(_) | Upheaval::HandedOver | Upheaval::Restarted, _) => {}
            }
        }
        unreachable!("the readers close")
    }

    /// An endpoint is gone in the middle of all that it does, and some time later another listens in its place.
    async fn kill(&mut self, which: usize, all: &Reading) {
        let (addr, accepting) = &mut self.origins[which];
        accepting.shutdown().await;
        pause(all, GONE).await;
        (_, *accepting) = origin::start_at(*addr, Arc::clone(&self.shop), self.seed ^ which as u64).await;
    }
}

impl Processes {
    fn begin(mode: &Mode, apis: &str) -> Processes {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("freshgate.toml");
        let rest = format!("[log]\naccess = false\n[cache]\nsnapshot = \"cache\"\n{}", mode.rest);
        let bind = |address: &str| TcpListener::bind(address).unwrap();
        let sockets = matches!(mode.upheaval, Upheaval::Restarted).then(|| (bind("127.0.0.1:0"), bind("127.0.0.2:0")));
        let file = match &sockets {
            None => Gateway::file("handover = \"door\"\n", "", &rest, apis),
            Some((data, admin)) => {
                let [data, admin] = [data, admin].map(|socket| socket.local_addr().unwrap());
                let server = format!("listen = [\"{data}\"]\ndrain.delay = \"1s\"\n");
                let file = Gateway::file(&server, "", &rest, apis);
                file.replacen("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{admin}\""), 1)
            }
        };
        std::fs::write(&config, file).unwrap();
        let now = started(&config, sockets.as_ref());
        Processes { now, config, sockets, _folder: folder }
    }

    /// The next one takes over from one that serves.
    async fn hand_over(&mut self) {
        let next = started(&self.config, None);
        assert_eq!((next.addr, next.admin), (self.now.addr, self.now.admin));
        assert_eq!(self.now.ended().await, Some(0));
        self.now = next;
        self.now.says("answers are kept from now on").await;
    }

    /// One is told to end, with all that is under way; the next one begins when it has. What changes between the two is seen: all that is
    /// loaded is confirmed, as after a soft purge of everything.
    async fn restart(&mut self, shop: &Shop, all: &Reading) {
        self.now.signal("-TERM");
        assert_eq!(self.now.ended().await, Some(0));
        assert!(self.now.has_said("snapshot saved"));
        (0..BOOKS).for_each(|book| _ = shop.apply(0, book));
        let (began, had) = (all.history.moment(), shop.versions());
        self.now = started(&self.config, self.sockets.as_ref());
        let ended = all.history.moment();
        all.history.add(|events| events.purges.push(Purged { began, ended, purge: Purge::All, soft: true, had }));
    }
}

fn started(config: &Path, sockets: Option<&(TcpListener, TcpListener)>) -> Process {
    block_in_place(|| match sockets {
        None => Process::start(config),
        Some((data, admin)) => Process::of(activated(config, data, admin)),
    })
}

/// Whether the readers have done so many steps, from now on, and go on.
async fn pause(all: &Reading, steps: u32) -> bool {
    all.steps.forget_permits(all.steps.available_permits());
    all.steps.acquire_many(steps).await.map(tokio::sync::SemaphorePermit::forget).is_ok()
}

/// The `[[api]]` tables.
fn apis(origins: &[(SocketAddr, JoinSet<()>)], lines: &str, linked: bool) -> String {
    let urls: Vec<String> = origins.iter().map(|(addr, _)| format!("\"http://{addr}\"")).collect();
    let (origin, urls) = (&urls[0], urls.join(", "));
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [{urls}]\n\
         timeouts.first_byte = \"{FIRST_BYTE}ms\"\n{lines}\n{RULES}"
    );
    let other = "[[api]]\nname = \"other\"\nversion = \"v1\"\npath = \"/other\"\n";
    if linked { format!("{api}{other}upstream = [{origin}, \"http://0.0.0.1:1\"]\n") } else { api }
}
