//! What a service manager is told (systemd's `sd_notify`). Where there is none (`NOTIFY_SOCKET` isn't set) all of it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// Every listener is up. A process that has taken over says who it is, since it isn't the one that was started.
pub fn ready(took_over: bool) {
    let state = if took_over {
        vec![NotifyState::MainPid(std::process::id()), NotifyState::Ready]
    } else {
        vec![NotifyState::Ready]
    };
    tell(&state);
}

/// The drain has begun. Not for one that has been relieved: the service goes on.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What it is at, for who asks (`systemctl status`); empty is nothing in particular.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// A reload has begun; [`ready`] says that it has ended.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager isn't told of the reload"),
    }
}

/// Tells it as often as it wants that we are alive (`WatchdogSec`); never resolves.
pub async fn alive() {
    let Some(within) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep((within / 2).max(Duration::from_millis(10))).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}
