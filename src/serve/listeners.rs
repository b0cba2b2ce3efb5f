//! The sockets of `server.listen`, and how they follow a list that changes; and that of `objects.listen`, which stays.
//!
//! Sockets whose address stays are not touched. New ones are bound before anything else happens, since that may fail. Those that aren't in
//! the list any more accept nothing, and what was accepted goes on to the end of its answer.

use super::front::Front;
use super::sockets::{Found, Kind};
use super::start_error::StartError;
use crate::listener::{self, Serving, Stopper};
use crate::tasks::Tasks;
use socket2::{Domain, Type};
use std::io;
use std::net::{SocketAddr, TcpListener as Socket};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// All listeners of the data port, and that of the object cache. Dropping them cuts every connection.
#[derive(Default)]
pub(super) struct Listeners {
    list: Vec<Listening>,
    objects: Option<Listening>,
    /// Those that aren't in the list any more; each until its last connection has ended.
    leaving: Vec<Stopper>,
    draining: bool,
    /// Whether sockets are kept once more, to be handed on.
    shares: bool,
}

struct Listening {
    /// As the file has it: its port may be 0.
    wanted: SocketAddr,
    local: SocketAddr,
    stopper: Stopper,
    /// The same socket once more.
    shared: Option<Socket>,
}

/// A list that can be followed: everything is bound.
pub(super) struct Plan(Vec<Place>);

/// A socket that is bound, and not served yet.
pub(super) struct Opened {
    wanted: SocketAddr,
    local: SocketAddr,
    listener: TcpListener,
    shared: Option<Socket>,
}

enum Place {
    /// The one with this number stays.
    Stays(usize),
    New {
        wanted: SocketAddr,
        local: SocketAddr,
        listener: TcpListener,
        shared: Option<Socket>,
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
    /// None yet. `shares` says whether the sockets may have to be handed on.
    pub(super) fn new(shares: bool) -> Self {
        Listeners { shares, ..Listeners::default() }
    }

    /// Takes from `found`, or binds, what of `wanted` isn't bound yet.
    ///
    /// # Errors
    /// An address that can't be bound; then nothing has changed.
    pub(super) fn plan(&self, wanted: &[SocketAddr], found: &mut Found) -> Result<Plan, StartError> {
        let mut free: Vec<usize> = (0..self.list.len()).collect();
        let place = |wanted: &SocketAddr| {
            if let Some(at) = free.iter().position(|number| self.list[*number].wanted == *wanted) {
                return Ok(Place::Stays(free.remove(at)));
            }
            let (key, wanted) = (Kind::Data.key(), *wanted);
            let failed = |cause| StartError::Address { key, address: wanted, cause };
            let listener = open(Kind::Data, wanted, found)?;
            let local = listener.local_addr().map_err(failed)?;
            let shared = self.shares.then(|| again(&listener)).transpose().map_err(failed)?;
            Ok(Place::New { wanted, local, listener, shared })
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
                Place::New { wanted, local, listener, shared } => {
                    let (stopper, stop) = listener::stop();
                    tasks.spawn(listener::run(listener, Arc::clone(serving), stop));
                    moved.opened.push(local);
                    Some(Listening { wanted, local, stopper, shared })
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

    /// The same for the object cache, once; where it is.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub(super) fn bind_objects(&self, address: SocketAddr, found: &mut Found) -> Result<Opened, StartError> {
        let failed = |cause| StartError::Address { key: Kind::Objects.key(), address, cause };
        let listener = open(Kind::Objects, address, found)?;
        let local = listener.local_addr().map_err(failed)?;
        let shared = self.shares.then(|| again(&listener)).transpose().map_err(failed)?;
        Ok(Opened { wanted: address, local, listener, shared })
    }

    /// Serves what was bound for it.
    pub(super) fn serve_objects(&mut self, opened: Opened, serving: &Arc<Serving<Front>>, tasks: &Tasks) -> SocketAddr {
        let Opened { wanted, local, listener, shared } = opened;
        let (stopper, stop) = listener::stop();
        tasks.spawn(listener::run(listener, Arc::clone(serving), stop));
        self.objects = Some(Listening { wanted, local, stopper, shared });
        local
    }

    /// Where clients connect, in the order of the list.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.list.iter().map(|listening| listening.local).collect()
    }

    /// The sockets once more, to be handed on.
    pub(super) fn shared(&self) -> io::Result<Vec<(Kind, Socket)>> {
        let data = self.list.iter().map(|listening| (Kind::Data, listening));
        let all = data.chain(self.objects.iter().map(|listening| (Kind::Objects, listening)));
        let shared = all.filter_map(|(kind, listening)| Some((kind, listening.shared.as_ref()?)));
        shared.map(|(kind, socket)| Ok((kind, socket.try_clone()?))).collect()
    }

    /// Every connection is to end with its next answer. Nothing is bound any more.
    pub(super) fn leave(&mut self) {
        self.draining = true;
        self.stoppers().for_each(Stopper::leave);
    }

    /// The same, and another process accepts at these sockets.
    pub(super) fn depart(&mut self) {
        self.draining = true;
        self.stoppers().for_each(Stopper::depart);
    }

    /// Nothing is accepted any more, and nothing is bound.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.list.iter_mut().chain(&mut self.objects).for_each(|listening| listening.shared = None);
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
        self.list.iter().chain(&self.objects).map(|listening| &listening.stopper).chain(&self.leaving)
    }
}

/// What was found for this address, or else what is bound there.
pub(super) fn open(kind: Kind, address: SocketAddr, found: &mut Found) -> Result<TcpListener, StartError> {
    let listener = found.take(kind, address).map_or_else(|| bind(address), Ok);
    let listening = |listener: Socket| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listener.and_then(listening).map_err(|cause| StartError::Address { key: kind.key(), address, cause })
}

/// The same socket once more.
pub(super) fn again(listener: &TcpListener) -> io::Result<Socket> {
    Ok(listener.as_fd().try_clone_to_owned()?.into())
}

/// An IPv6 address is bound for IPv6 only, so that `[::]` and `0.0.0.0` can stand side by side on one port.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
