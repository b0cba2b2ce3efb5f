//! `freshgate run --config FILE`.

use super::CANNOT;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::serve::{self, Parting, Running, notify};
use crate::telemetry::{self, Lines};
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs until SIGTERM or SIGINT, or until another process has taken over, then drains; a second signal ends it at once. Exit code 2 when it can't start.
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
    match block_on(serve(loaded.config, lines)) {
        // The runtime is gone, and every task with it: now the next process may know that this one has ended.
        Ok((code, _parting)) => code,
        Err(error) => cannot(&error.to_string()),
    }
}

async fn serve(config: Config, lines: Lines) -> (ExitCode, Parting) {
    let started = match serve::activated() {
        Ok(inherited) => serve::start_with(config, Clock::system(), lines.clone(), inherited).await,
        Err(error) => Err(error),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => return (cannot(&error.to_string()), Parting::default()),
    };
    announce(&running);
    notify::ready(running.took_over());
    let parting = running.parting();
    tokio::select! {
        () = until_told() => notify::stopping(),
        () = running.relieved() => {}
        () = notify::alive() => {}
    }
    tracing::info!("draining");
    tokio::select! {
        ended = running.stop() => tracing::info!(ended, "stopped"),
        () = until_told() => tracing::warn!("told a second time: stopped at once"),
        () = notify::alive() => {}
    }
    lines.flush();
    (ExitCode::SUCCESS, parting)
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
