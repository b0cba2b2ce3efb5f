//! Every socket that the configuration names: inherited where there is one for it already, bound where there isn't.
//!
//! Sockets are inherited from a service manager (systemd's `LISTEN_FDS`) or from the process that ran before (`server.handover`). One
//! is used for the address that it is bound to, letter for letter. Port 0 takes one that is left on the same IP address: not on another
//! one, since the admin port may only stand where the configuration was checked for. A service manager's socket that no
//! address wants is an error, since its clients would wait in it for ever; a predecessor's is let go.

use super::start_error::StartError;
use crate::config::Config;
use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tokio::net::TcpListener as Listener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Admin,
    Probe,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Data, Kind::Admin, Kind::Probe];

    /// As processes tell each other.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Admin => "admin",
            Kind::Probe => "probe",
        }
    }
}

/// A socket that was there before us.
#[derive(Debug)]
pub struct Inherited {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    /// `None` where nobody says so.
    pub(super) kind: Option<Kind>,
    /// Whether it must be wanted.
    pub(super) pressing: bool,
}

/// The sockets that a service manager has given this process (`LISTEN_FDS`, `LISTEN_PID`); none where it hasn't.
///
/// # Errors
/// When one of them isn't a TCP socket.
pub fn activated() -> Result<Vec<Inherited>, StartError> {
    let mut given = ListenFd::from_env();
    let mut all = Vec::new();
    for n in 0..given.len() {
        let Some(listener) = given.take_tcp_listener(n).map_err(StartError::Given)? else { continue };
        let address = listener.local_addr().map_err(StartError::Given)?;
        all.push(Inherited { listener, address, kind: None, pressing: true });
    }
    Ok(all)
}

/// Every socket of the configuration.
pub(super) struct Sockets {
    pub(super) data: Vec<Listener>,
    pub(super) admin: Option<Listener>,
    pub(super) probe: Option<Listener>,
    /// The same once more, to be handed on; empty where that isn't wanted.
    pub(super) shared: Vec<(Kind, TcpListener)>,
}

/// An address of the configuration, and the socket found for it.
struct Wanted {
    kind: Kind,
    key: &'static str,
    address: SocketAddr,
    found: Option<TcpListener>,
}

impl Sockets {
    /// Takes from `inherited` what is wanted and binds the rest.
    pub(super) fn open(config: &Config, mut inherited: Vec<Inherited>) -> Result<Self, StartError> {
        let mut wanted = wanted(config);
        take(&mut wanted, &mut inherited, |wanted, given| wanted.address == given.address);
        take(&mut wanted, &mut inherited, |wanted, given| {
            let fits = given.kind.is_none_or(|kind| kind == wanted.kind);
            wanted.address.port() == 0 && wanted.address.ip() == given.address.ip() && fits
        });
        if let Some(left) = inherited.iter().find(|given| given.pressing) {
            return Err(StartError::Unwanted(left.address));
        }
        let mut sockets = Sockets { data: Vec::new(), admin: None, probe: None, shared: Vec::new() };
        for Wanted { kind, key, address, found } in wanted {
            let failed = |cause| StartError::Address { key, address, cause };
            let listener = found.map_or_else(|| bind(address), Ok).map_err(failed)?;
            if config.server.handover.is_some() {
                sockets.shared.push((kind, listener.try_clone().map_err(failed)?));
            }
            let listener = listening(listener).map_err(failed)?;
            match kind {
                Kind::Data => sockets.data.push(listener),
                Kind::Admin => sockets.admin = Some(listener),
                Kind::Probe => sockets.probe = Some(listener),
            }
        }
        Ok(sockets)
    }
}

fn wanted(config: &Config) -> Vec<Wanted> {
    let wanted = |kind, key| move |address| Wanted { kind, key, address, found: None };
    let data = config.server.listen.iter().copied().map(wanted(Kind::Data, "server.listen"));
    let admin = config.admin.listen.map(wanted(Kind::Admin, "admin.listen"));
    let probe = config.admin.probe_listen.map(wanted(Kind::Probe, "admin.probe_listen"));
    data.chain(admin).chain(probe).collect()
}

fn take(wanted: &mut [Wanted], inherited: &mut Vec<Inherited>, fits: impl Fn(&Wanted, &Inherited) -> bool) {
    for wanted in wanted.iter_mut().filter(|wanted| wanted.found.is_none()) {
        if let Some(at) = inherited.iter().position(|given| fits(wanted, given)) {
            wanted.found = Some(inherited.remove(at).listener);
        }
    }
}

fn listening(listener: TcpListener) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    Listener::from_std(listener)
}

/// An IPv6 address is bound for IPv6 only, so that `[::]` and `0.0.0.0` can stand side by side on one port.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    fn given(address: &str, pressing: bool) -> Inherited {
        let listener = TcpListener::bind(address).unwrap();
        Inherited { address: listener.local_addr().unwrap(), listener, kind: None, pressing }
    }

    fn open(text: &str, inherited: Vec<Inherited>) -> Result<Sockets, StartError> {
        let around = Surroundings { env: &|_| None, memory_limit: None };
        Sockets::open(&config::parse(text, "t", &around).unwrap().config, inherited)
    }

    fn places(sockets: &Sockets) -> Vec<SocketAddr> {
        sockets.data.iter().map(|listener| listener.local_addr().unwrap()).collect()
    }

    #[tokio::test]
    async fn an_address_has_its_own_and_port_0_what_is_left() {
        let (first, second, third) =
            (given("127.0.0.1:0", true), given("127.0.0.1:0", true), given("127.0.0.2:0", false));
        let (one, two, other) = (first.address, second.address, third.address);
        let text = format!("server.listen = [\"127.0.0.1:0\", \"{one}\", \"127.0.0.3:0\"]");
        let sockets = open(&text, vec![first, second, third]).unwrap();
        let places = places(&sockets);
        assert_eq!((places[0], places[1]), (two, one));
        assert!(places[2].ip().to_string() == "127.0.0.3" && places[2] != other);
        assert!(sockets.shared.is_empty());
    }

    #[tokio::test]
    async fn one_that_nobody_wants_is_named() {
        let stray = given("127.0.0.2:0", true);
        let address = stray.address;
        let Err(StartError::Unwanted(named)) = open("server.listen = [\"127.0.0.1:0\"]", vec![stray]) else { panic!() };
        assert_eq!(named, address);
    }
}
