//! The accept loop, and what the connections that it accepts are given.
//!
//! A connection goes on as it began; what a reload changes holds for those that are accepted after it.

use super::connection::Server;
use super::gate::Gate;
use super::service::Handler;
use super::settings::Settings;
use super::stop::Stop;
use crate::descriptors::is_want_of_descriptors;
use crate::reached::Bound;
use crate::tasks::Tasks;
use crate::tls;
use arc_swap::ArcSwap;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long to wait after `accept` failed for want of something (descriptors, memory): long enough not to spin, short
/// enough not to be noticed once there is some again.
const PAUSE: Duration = Duration::from_millis(75);

/// What new connections are given, on all listeners that share it.
pub struct Serving<H> {
    server: ArcSwap<Server<H>>,
    handler: H,
    gate: Arc<Gate>,
    tasks: Tasks,
}

impl<H: Handler> Serving<H> {
    /// With `tls` connections are encrypted. `gate` counts them; they run in `tasks`.
    pub fn new(
        settings: &Settings,
        tls: Option<Arc<tls::Server>>,
        handler: H,
        gate: Arc<Gate>,
        tasks: Tasks,
    ) -> Arc<Self> {
        let server = ArcSwap::from_pointee(Server::new(settings, tls, &gate, &tasks, handler.clone()));
        Arc::new(Serving { server, handler, gate, tasks })
    }

    /// From now on connections are given this.
    pub fn change(&self, settings: &Settings, tls: Option<Arc<tls::Server>>) {
        self.gate.change(&settings.limits);
        let server = Server::new(settings, tls, &self.gate, &self.tasks, self.handler.clone());
        self.server.store(Arc::new(server));
    }
}

/// Serves `listener` until `stop` drains. It returns when no more connections are accepted; those that are open live
/// on in their tasks until they have ended or `stop` closes. When the gate is full, connections wait in the socket's queue.
pub async fn run<H: Handler>(listener: TcpListener, serving: Arc<Serving<H>>, stop: Stop) {
    let gate = &serving.gate;
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
                let (server, stop) = (serving.server.load_full(), stop.clone());
                serving.tasks.spawn(async move { server.serve(stream, peer, pass, stop).await });
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
