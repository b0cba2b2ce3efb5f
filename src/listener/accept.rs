//! The accept loop, and what the connections that it accepts are given.
//!
//! A connection goes on as it began; what a reload changes holds for those that are accepted after it.
//!
//! At its end it takes in those who wait in the socket's queue: for them the connection stands already, and they may have sent their request.
//! Closing the socket would reset them. What is left is who comes between the last look and the close; only a socket that somebody else holds as well
//! (`serve/sockets.rs`) is without that gap.

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
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

/// How long to wait after `accept` failed for want of something (descriptors, memory): long enough not to spin, short
/// enough not to be noticed once there is some again.
const PAUSE: Duration = Duration::from_millis(75);

/// More than can wait in a socket's queue, so that the end of the loop comes whoever goes on connecting.
const MOST_WAITING: usize = 8192;

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
    let mut watch = stop.clone();
    let taking = Taking { serving, stop };
    let mut ending = pin!(watch.departing());
    let mut failing = false;
    loop {
        let permit = tokio::select! {
            biased;
            () = &mut ending => break,
            permit = taking.serving.gate.room() => permit,
        };
        let Some(permit) = permit else { return };
        let accepted = tokio::select! {
            biased;
            () = &mut ending => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                taking.take(stream, peer, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if is_want_of_descriptors(&error) {
                    taking.serving.gate.reached.note(Bound::Descriptors);
                }
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "no connection can be accepted; trying again");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    if !taking.stop.is_departing() {
        taking.those_who_wait(listener).await;
    }
}

/// What a connection that is accepted needs.
struct Taking<H> {
    serving: Arc<Serving<H>>,
    stop: Stop,
}

impl<H: Handler> Taking<H> {
    fn take(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let Some(pass) = self.serving.gate.admit(peer.ip(), permit) else {
            return tracing::debug!(%peer, reason = "connections-per-address", "connection refused");
        };
        let (server, stop) = (self.serving.server.load_full(), self.stop.clone());
        self.serving.tasks.spawn(async move { server.serve(stream, peer, pass, stop).await });
    }

    /// Those who wait in the queue are served as soon as there is room for them; nobody can come after them.
    async fn those_who_wait(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        let waiting = queued(&listener);
        drop(listener);
        let mut watch = self.stop.clone();
        let mut closing = pin!(watch.closing());
        for (stream, peer) in waiting {
            let permit = tokio::select! {
                () = &mut closing => return,
                permit = self.serving.gate.room() => permit,
            };
            if let (Ok(stream), Some(permit)) = (TcpStream::from_std(stream), permit) {
                self.take(stream, peer, permit);
            }
        }
    }
}

/// The system is asked itself: the runtime may not have heard yet of who has come last.
fn queued(listener: &std::net::TcpListener) -> Vec<(std::net::TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    while waiting.len() < MOST_WAITING {
        match listener.accept() {
            Ok((stream, peer)) if stream.set_nonblocking(true).is_ok() => waiting.push((stream, peer)),
            Ok(_) => {}
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => break,
        }
    }
    waiting
}

/// Whether the failure concerns the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}
