//! `freshgate run --config FILE`.

use super::CANNOT;
use crate::clock::Clock;
use crate::config::Config;
use crate::serve::{self, File, Papers, Parting, Refused, Running, notify};
use crate::telemetry::{self, Lines};
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs until SIGTERM or SIGINT, or until another process has taken over, then drains; a second signal ends it at once. Exit code 2 when it can't start.
pub(super) fn run(path: &Path) -> ExitCode {
    let (file, loaded) = match File::open(path) {
        Ok(opened) => opened,
        Err(faults) => return cannot(&faults.to_string()),
    };
    let log = &loaded.config.log;
    let lines = match telemetry::init(log).and_then(|events| telemetry::access_lines(log, events)) {
        Ok(lines) => lines,
        Err(error) => return cannot(&error.to_string()),
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match block_on(serve(file, loaded.config, lines)) {
        // The runtime is gone, and every task with it: now the next process may know that this one has ended.
        Ok((code, _parting)) => code,
        Err(error) => cannot(&error.to_string()),
    }
}

async fn serve(file: File, config: Config, lines: Lines) -> (ExitCode, Parting) {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return (cannot(&format!("signals can't be received: {error}")), Parting::default()),
    };
    let start =
        async { serve::start_from(Some(file), config, Clock::system(), lines.clone(), serve::activated()?).await };
    let started = tokio::select! {
        started = start => started,
        () = signals.ended() => {
            tracing::info!("told to stop before it was ready");
            return (ExitCode::SUCCESS, Parting::default());
        }
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => return (cannot(&error.to_string()), Parting::default()),
    };
    announce(&running);
    notify::ready(running.took_over());
    let parting = running.parting();
    tokio::select! {
        () = signals.until_told(&running) => notify::stopping(),
        () = running.relieved() => {}
        () = notify::alive() => {}
    }
    tracing::info!("draining");
    let papers = running.papers();
    tokio::select! {
        all_ended = running.stop() => tracing::info!(all_ended, "stopped"),
        () = signals.ended_but_for(&papers) => tracing::warn!("told a second time: stopped at once"),
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
    tracing::info!(
        data = list(&running.data),
        admin = or_none(running.admin),
        probe = or_none(running.probe),
        objects = or_none(running.objects),
        "ready"
    );
}

/// The signals that are listened to, from the first moment on: what nobody listens to ends a process, and a SIGHUP for the process that runs
/// may reach the one that is about to take over as well. That one has just read its file and reads it again when it is ready.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
}

impl Signals {
    /// From now on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen() -> io::Result<Self> {
        let (hangup, terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
        let (interrupt, user1) = (signal(SignalKind::interrupt())?, signal(SignalKind::user_defined1())?);
        Ok(Signals { hangup, terminate, interrupt, user1 })
    }

    /// Resolves at SIGTERM or SIGINT. Until then each SIGHUP reads the configuration again, and each SIGUSR1 opens the files
    /// anew that are written to; several that come at once are one.
    pub(super) async fn until_told(&mut self, running: &Running) {
        let Signals { hangup, terminate, interrupt, user1 } = self;
        let reloads = async {
            while hangup.recv().await.is_some() {
                // What came of it is in the log already, but for this.
                notify::reloading();
                if let Err(refused @ Refused::NoFile) = running.reload("SIGHUP").await {
                    tracing::warn!("SIGHUP: {refused}");
                }
                notify::ready(false);
            }
            std::future::pending::<()>().await;
        };
        let papers = running.papers();
        tokio::select! {
            () = reloads => {}
            () = reopens(user1, &papers) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    /// Resolves at SIGTERM or SIGINT. A drain may take long, and its files be rotated meanwhile.
    async fn ended_but_for(&mut self, papers: &Papers) {
        let Signals { terminate, interrupt, user1, .. } = self;
        tokio::select! { () = reopens(user1, papers) => {}, _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    }

    /// Resolves at SIGTERM or SIGINT.
    async fn ended(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// Opens the files anew at each SIGUSR1; never resolves.
async fn reopens(user1: &mut Signal, papers: &Papers) {
    while user1.recv().await.is_some() {
        if !papers.reopen() {
            tracing::info!("SIGUSR1: there is no file to open anew");
        }
    }
    std::future::pending().await
}

/// How long threads that wait for something outside may go on when all is over.
const BLOCKED: Duration = Duration::from_secs(5);

/// Runs `task` on a runtime with a thread per core.
pub(super) fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(task);
    // A thread that waits for a file system which doesn't answer can't be ended, and isn't waited for.
    runtime.shutdown_timeout(BLOCKED);
    Ok(outcome)
}

/// Says why it can't start.
pub(super) fn cannot(why: &str) -> ExitCode {
    super::complain(why);
    ExitCode::from(CANNOT)
}
