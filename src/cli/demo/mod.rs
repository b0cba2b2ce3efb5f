//! `freshgate demo`: a bookstore API, a gateway before it, and what to try.
//!
//! The gateway runs with a file of its own in a folder of its own, so that everything works as it does with `freshgate run`: APIs can be
//! registered, changed and removed. Both go when the demo ends.

pub mod bookstore;
mod folder;
mod welcome;

pub use welcome::{PREFIX, welcome};

use super::run::{Signals, block_on, cannot};
use crate::clock::Clock;
use crate::secret::digest;
use crate::serve::{self, File};
use crate::telemetry;
use bookstore::Bookstore;
use folder::Folder;
use std::io::{Write, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The configuration that the demo runs: the same file that one would begin with.
const CONFIG: &str = include_str!("../../../config/bookstore.toml");

/// `freshgate demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the gateway; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of the admin API; 0 takes a free one
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// Port of the bookstore; 0 takes a free one
    #[arg(long, default_value_t = 9000)]
    bookstore_port: u16,
    /// How long the bookstore takes for each answer, in milliseconds
    #[arg(long, default_value_t = 300)]
    delay: u64,
}

/// Runs bookstore and gateway until SIGTERM or SIGINT.
pub(super) fn run(args: &Args) -> ExitCode {
    block_on(demo(args)).unwrap_or_else(|error| cannot(&error.to_string()))
}

async fn demo(args: &Args) -> ExitCode {
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match TcpListener::bind(here(args.bookstore_port)).await {
        Ok(listener) => listener,
        Err(error) => return cannot(&format!("--bookstore-port {}: can't listen there: {error}", args.bookstore_port)),
    };
    let Ok(origin) = listener.local_addr() else { return cannot("the bookstore's socket has no address") };
    let token = secret();
    let text = text(here(args.port), here(args.admin_port), origin, &token);
    let folder = match Folder::with("freshgate.toml", &text) {
        Ok(folder) => folder,
        Err(error) => return cannot(&format!("no folder can be made for the demo's configuration: {error}")),
    };
    let (file, config) = match File::open(&folder.file) {
        Ok((file, loaded)) => (file, loaded.config),
        Err(faults) => return cannot(&faults.to_string()),
    };
    let lines = match telemetry::init(&config.log) {
        Ok(lines) => lines,
        Err(error) => return cannot(&error.to_string()),
    };
    let running = match serve::start_from(Some(file), config, Clock::system(), lines, Vec::new()).await {
        Ok(running) => running,
        Err(error) => return cannot(&format!("{error}; another one can be given with --port or --admin-port")),
    };
    let (Some(gateway), Some(admin)) = (running.data.first().copied(), running.admin) else {
        return cannot("the gateway has no address");
    };
    let stop = CancellationToken::new();
    let store = Arc::new(Bookstore::new(Duration::from_millis(args.delay)));
    let shop = bookstore::run(listener, store, stop.clone());
    let program = std::env::current_exe().map_or("freshgate".into(), |path| path.display().to_string());
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return cannot(&format!("signals can't be received: {error}")),
    };
    drop(writeln!(stdout(), "{}", welcome(gateway, admin, origin, &token, &program)));
    tokio::select! { () = shop => {}, () = signals.until_told(&running) => {} }
    running.stop().await;
    stop.cancel();
    ExitCode::SUCCESS
}

/// The file that the demo runs with: the same, with these addresses and this token, and without a log that would hide what it prints.
fn text(gateway: SocketAddr, admin: SocketAddr, origin: SocketAddr, token: &str) -> String {
    let sha256: String = digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = CONFIG
        .replace("# Set FRESHGATE_ADMIN_TOKEN to a secret of your own before you start.\n", "")
        .replace("127.0.0.1:8080", &gateway.to_string())
        .replace("127.0.0.1:9090", &admin.to_string())
        .replace("127.0.0.1:9000", &origin.to_string())
        .replace("token_env = \"FRESHGATE_ADMIN_TOKEN\"", &format!("sha256 = \"{sha256}\""));
    text.replacen("[[api]]", "[log]\naccess = false\nlevel = \"warn\"\n\n[[api]]", 1)
}

/// A fresh administrator's token: 128 bits from the system.
fn secret() -> String {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(0u8);
    format!("demo-{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    #[test]
    fn the_file_is_the_one_that_one_would_begin_with_at_the_addresses_of_the_demo() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = text(address(1), address(2), address(3), "a-token-of-the-demo");
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let loaded = config::parse(&text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        assert_eq!(loaded.warnings, []);
        let config = loaded.config;
        assert_eq!((config.server.listen, config.admin.listen), (vec![address(1)], Some(address(2))));
        assert_eq!((config.apis[0].upstream[0].port, config.log.access), (3, false));
        assert_eq!(config.log.level, tracing::Level::WARN);
        assert!(
            matches!(&config.admin.tokens[0].proof, crate::admin::Proof::Secret(sha) if *sha == digest(b"a-token-of-the-demo"))
        );
        assert!(!text.contains("a-token-of-the-demo"), "{text}");
    }
}
