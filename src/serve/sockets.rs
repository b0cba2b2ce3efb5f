//! Sockets that were there before this process: which of them stands for which address of the configuration. The others are bound.
//!
//! Sockets are inherited from a service manager (systemd's `LISTEN_FDS`) or from the process that ran before (`server.handover`). One
//! is used for the address that it is bound to, letter for letter. Port 0 takes one that is left on the same IP address: not on another
//! one, since the admin port may only stand where the configuration was checked for. A service manager's socket that no
//! address wants is an error, since its clients would wait in it for ever; a predecessor's is let go.

use super::start_error::StartError;
use crate::config::Config;
use listenfd::ListenFd;
use std::net::{SocketAddr, TcpListener};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Admin,
    Probe,
    Objects,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Data, Kind::Admin, Kind::Probe, Kind::Objects];

    /// The key of the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Kind::Data => "server.listen",
            Kind::Admin => "admin.listen",
            Kind::Probe => "admin.probe_listen",
            Kind::Objects => "objects.listen",
        }
    }

    /// As processes tell each other.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Admin => "admin",
            Kind::Probe => "probe",
            Kind::Objects => "objects",
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

/// The inherited sockets, each for an address as the configuration has it.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<(Kind, SocketAddr, TcpListener)>);

impl Found {
    /// Finds what stands for what.
    pub(super) fn assign(config: &Config, mut inherited: Vec<Inherited>) -> Result<Self, StartError> {
        let mut found = Found::default();
        let mut wanted = wanted(config);
        found.take_all(&mut wanted, &mut inherited, |(_, wanted), given| *wanted == given.address);
        found.take_all(&mut wanted, &mut inherited, |(kind, wanted), given| {
            let fits = given.kind.is_none_or(|given| given == *kind);
            wanted.port() == 0 && wanted.ip() == given.address.ip() && fits
        });
        match inherited.iter().find(|given| given.pressing) {
            Some(left) => Err(StartError::Unwanted(left.address)),
            None => Ok(found),
        }
    }

    fn take_all(
        &mut self,
        wanted: &mut Vec<(Kind, SocketAddr)>,
        inherited: &mut Vec<Inherited>,
        fits: impl Fn(&(Kind, SocketAddr), &Inherited) -> bool,
    ) {
        wanted.retain(|place| match inherited.iter().position(|given| fits(place, given)) {
            Some(at) => {
                self.0.push((place.0, place.1, inherited.remove(at).listener));
                false
            }
            None => true,
        });
    }

    /// The socket for this address, once.
    pub(super) fn take(&mut self, kind: Kind, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|(of, wanted, _)| (*of, *wanted) == (kind, address))?;
        Some(self.0.remove(at).2)
    }
}

fn wanted(config: &Config) -> Vec<(Kind, SocketAddr)> {
    let data = config.server.listen.iter().map(|address| (Kind::Data, *address));
    let admin = config.admin.listen.map(|address| (Kind::Admin, address));
    let objects = config.objects.as_ref().map(|objects| (Kind::Objects, objects.listen));
    let probe = config.admin.probe_listen.map(|address| (Kind::Probe, address));
    data.chain(admin).chain(probe).chain(objects).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    fn given(address: &str, pressing: bool) -> Inherited {
        let listener = TcpListener::bind(address).unwrap();
        Inherited { address: listener.local_addr().unwrap(), listener, kind: None, pressing }
    }

    fn assign(text: &str, inherited: Vec<Inherited>) -> Result<Found, StartError> {
        let around = Surroundings { env: &|_| None, memory_limit: None };
        Found::assign(&config::parse(text, "t", &around).unwrap().config, inherited)
    }

    #[test]
    fn an_address_has_its_own_and_port_0_what_is_left() {
        let (first, second, third) =
            (given("127.0.0.1:0", true), given("127.0.0.1:0", true), given("127.0.0.2:0", false));
        let (one, two) = (first.address, second.address);
        let text = format!("server.listen = [\"127.0.0.1:0\", \"{one}\", \"127.0.0.3:0\"]");
        let mut found = assign(&text, vec![first, second, third]).unwrap();
        let mut at = |address: &str| {
            let listener = found.take(Kind::Data, address.parse().unwrap())?;
            Some(listener.local_addr().unwrap())
        };
        assert_eq!((at("127.0.0.1:0"), at(&one.to_string()), at("127.0.0.3:0")), (Some(two), Some(one), None));
        assert_eq!(at("127.0.0.1:0"), None, "each once");
    }

    #[test]
    fn one_that_is_for_something_else_is_not_taken() {
        let (mut admin, mut data) = (given("127.0.0.1:0", false), given("127.0.0.1:0", false));
        (admin.kind, data.kind) = (Some(Kind::Admin), Some(Kind::Data));
        let wanted = data.address;
        let mut found = assign("server.listen = [\"127.0.0.1:0\"]", vec![admin, data]).unwrap();
        let taken = found.take(Kind::Data, "127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(taken.local_addr().unwrap(), wanted);
    }

    #[test]
    fn one_that_nobody_wants_is_named() {
        let stray = given("127.0.0.2:0", true);
        let address = stray.address;
        let refused = assign("server.listen = [\"127.0.0.1:0\"]", vec![stray]);
        let Err(StartError::Unwanted(named)) = refused else { panic!("{refused:?}") };
        assert_eq!(named, address);
    }
}
