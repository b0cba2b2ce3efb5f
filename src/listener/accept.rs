//! The accept loop.

use super::connection::Server;
use super::gate::Gate;
use super::service::Handler;
use super::settings::Settings;
use super::stop::Stop;
use crate::descriptors::is_want_of_descriptors;
use crate::reached::Bound;
use crate::tasks::Tasks;
use crate::tls;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long to wait after `accept` failed for want of something (descriptors, memory): long enough not to spin, short
/// enough not to be noticed once there is some again.
const PAUSE: Duration = Duration::from_millis(75);

/// Serves `listener` until `stop` drains. It returns when no more connections are accepted; those that are open live
/// on in `tasks` until they have ended or `stop` closes.
///
/// With `tls` connections are encrypted. `gate` counts connections for all listeners that share it. When it is full, connections wait in the socket's queue.
pub async fn run<H: Handler>(
    listener: TcpListener,
    gate: Arc<Gate>,
    settings: Arc<Settings>,
    tls: Option<Arc<tls::Server>>,
    handler: H,
    tasks: Tasks,
    stop: Stop,
) {
    let server = Arc::new(Server::new(&settings, tls, &gate, &tasks, handler));
    let mut watch = stop.clone();
    let mut draining = pin!(watch.draining());
    let mut failing = false;
    loop {
        let permit = tokio::select! {
            biased;
            () = &mut draining => return,
            permit = gate.room() => permit,
        };
        let Some(permit) = permit else { return };
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Some(pass) = gate.admit(peer.ip(), permit) else {
                    tracing::debug!(%peer, reason = "connections-per-address", "connection refused");
                    continue;
                };
                let (server, stop) = (server.clone(), stop.clone());
                tasks.spawn(async move { server.serve(stream, peer, pass, stop).await });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if is_want_of_descriptors(&error) {
                    gate.reached.note(Bound::Descriptors);
                }
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "no connection can be accepted; trying again");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the failure concerns the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}
