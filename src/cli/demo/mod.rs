//! `freshgate demo`: a bookstore API, a gateway before it, and what to try.

pub mod bookstore;
mod welcome;

pub use welcome::{PREFIX, welcome};

use super::run::{Signals, block_on, cannot};
use crate::clock::Clock;
use crate::config::{self, Surroundings};
use crate::serve;
use crate::telemetry;
use bookstore::Bookstore;
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
    let secret = token.clone();
    let around = Surroundings {
        env: &move |name| (name == "FRESHGATE_ADMIN_TOKEN").then(|| secret.clone()),
        ..Surroundings::of_this_process()
    };
    let text = CONFIG.replace("127.0.0.1:9000", &origin.to_string());
    let mut config = match config::parse(&text, "config/bookstore.toml", &around) {
        Ok(loaded) => loaded.config,
        Err(faults) => return cannot(&faults.to_string()),
    };
    config.server.listen = vec![here(args.port)];
    config.admin.listen = Some(here(args.admin_port));
    config.log.access = false;
    config.log.level = tracing::Level::WARN;
    let lines = match telemetry::init(&config.log) {
        Ok(lines) => lines,
        Err(error) => return cannot(&error.to_string()),
    };
    let running = match serve::start(config, Clock::system(), lines).await {
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

/// A fresh administrator's token: 128 bits from the system.
fn secret() -> String {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(0u8);
    format!("demo-{:016x}{:016x}", half(), half())
}
