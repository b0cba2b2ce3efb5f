//! The sockets of `server.listen`, and how they follow a list that changes.
//!
//! Sockets whose address stays are not touched. New ones are bound before anything else happens, since that may fail. Those that aren't in
//! the list any more accept nothing, and what was accepted goes on to the end of its answer.

use super::front::Front;
use super::start_error::StartError;
use crate::listener::{self, Serving, Stopper};
use crate::tasks::Tasks;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// All listeners of the data port. Dropping them cuts every connection.
#[derive(Default)]
pub(super) struct Listeners {
    list: Vec<Listening>,
    /// Those that aren't in the list any more; each until its last connection has ended.
    leaving: Vec<Stopper>,
    draining: bool,
}

struct Listening {
    /// As the file has it: its port may be 0.
    wanted: SocketAddr,
    local: SocketAddr,
    stopper: Stopper,
}

/// A list that can be followed: everything is bound.
pub(super) struct Plan(Vec<Place>);

enum Place {
    /// The one with this number stays.
    Stays(usize),
    New {
        wanted: SocketAddr,
        local: SocketAddr,
        listener: TcpListener,
    },
}

/// What has changed, as addresses with their true ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Where clients can connect that couldn't before.
    pub opened: Vec<SocketAddr>,
    /// Where they can't any more.
    pub closed: Vec<SocketAddr>,
}

impl Listeners {
    /// Binds what of `wanted` isn't bound yet.
    ///
    /// # Errors
    /// An address that can't be bound; then nothing has changed.
    pub(super) fn plan(&self, wanted: &[SocketAddr]) -> Result<Plan, StartError> {
        let mut free: Vec<usize> = (0..self.list.len()).collect();
        let place = |wanted: &SocketAddr| {
            if let Some(at) = free.iter().position(|number| self.list[*number].wanted == *wanted) {
                return Ok(Place::Stays(free.remove(at)));
            }
            let (key, wanted) = ("server.listen", *wanted);
            let listener = bind(key, wanted)?;
            let local = listener.local_addr().map_err(|cause| StartError::Address { key, address: wanted, cause })?;
            Ok(Place::New { wanted, local, listener })
        };
        wanted.iter().map(place).collect::<Result<_, _>>().map(Plan)
    }

    /// Follows the plan.
    pub(super) fn follow(&mut self, plan: Plan, serving: &Arc<Serving<Front>>, tasks: &Tasks) -> Moved {
        let mut moved = Moved::default();
        let mut before: Vec<Option<Listening>> = std::mem::take(&mut self.list).into_iter().map(Some).collect();
        for place in plan.0 {
            let listening = match place {
                Place::Stays(number) => before.get_mut(number).and_then(Option::take),
                Place::New { wanted, local, listener } => {
                    let (stopper, stop) = listener::stop();
                    tasks.spawn(listener::run(listener, Arc::clone(serving), stop));
                    moved.opened.push(local);
                    Some(Listening { wanted, local, stopper })
                }
            };
            self.list.extend(listening);
        }
        self.leaving.retain(|stopper| !stopper.is_over());
        for Listening { local, stopper, .. } in before.into_iter().flatten() {
            stopper.drain();
            moved.closed.push(local);
            self.leaving.push(stopper);
        }
        moved
    }

    /// Where clients connect, in the order of the list.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.list.iter().map(|listening| listening.local).collect()
    }

    /// Nothing is accepted any more, and nothing is bound.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.stoppers().for_each(Stopper::drain);
    }

    /// Whether they do.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Every connection is cut.
    pub(super) fn close(&self) {
        self.stoppers().for_each(Stopper::close);
    }

    fn stoppers(&self) -> impl Iterator<Item = &Stopper> {
        self.list.iter().map(|listening| &listening.stopper).chain(&self.leaving)
    }
}

/// An IPv6 address is bound for IPv6 only, so that `[::]` and `0.0.0.0` can stand side by side on one port.
pub(super) fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|cause| StartError::Address { key, address, cause })
}
