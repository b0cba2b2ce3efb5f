//! `freshgate run --config FILE`.

use super::CANNOT;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::descriptors;
use crate::serve::{self, Running};
use crate::telemetry::{self, Lines};
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs until SIGTERM or SIGINT, then drains. Exit code 2 when it can't start.
pub(super) fn run(path: &Path) -> ExitCode {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(faults) => return cannot(&faults.to_string()),
    };
    let lines = match telemetry::init(&loaded.config.log) {
        Ok(lines) => lines,
        Err(error) => return cannot(&error.to_string()),
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    block_on(serve(loaded.config, lines)).unwrap_or_else(|error| cannot(&error.to_string()))
}

async fn serve(mut config: Config, lines: Lines) -> ExitCode {
    let limits = &mut config.server.limits;
    (limits.connections, limits.origin_requests) = descriptors::make_room(limits.connections, limits.origin_requests);
    let running = match serve::start(config, Clock::system(), lines.clone()).await {
        Ok(running) => running,
        Err(error) => return cannot(&error.to_string()),
    };
    announce(&running);
    until_told().await;
    tracing::info!("draining");
    let ended = running.stop().await;
    tracing::info!(ended, "stopped");
    lines.flush();
    ExitCode::SUCCESS
}

/// The ready line: every listener is bound.
fn announce(running: &Running) {
    let list =
        |addresses: &[std::net::SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let or_none = |address: Option<std::net::SocketAddr>| address.map_or_else(|| "none".into(), |a| a.to_string());
    tracing::info!(data = list(&running.data), admin = or_none(running.admin), probe = or_none(running.probe), "ready");
}

/// Resolves at SIGTERM or SIGINT. SIGHUP is taken so that it doesn't end the process: reload isn't in this version.
pub(super) async fn until_told() {
    let hangup = async {
        if let Ok(mut hangups) = signal(SignalKind::hangup()) {
            while hangups.recv().await.is_some() {
                tracing::warn!("SIGHUP: reload is not available in this version; restart to change the configuration");
            }
        }
        std::future::pending::<()>().await;
    };
    let ended = async {
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "signals can't be received; only SIGKILL will stop this");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! { () = hangup => {}, () = ended => {} }
}

/// Runs `task` on a runtime with a thread per core.
pub(super) fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    Ok(builder.enable_all().build()?.block_on(task))
}

/// Says why it can't start.
pub(super) fn cannot(why: &str) -> ExitCode {
    super::complain(why);
    ExitCode::from(CANNOT)
}
