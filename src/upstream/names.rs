//! From an endpoint's name to its addresses, and again when they are too old.
//!
//! What a name server says holds for as long as it says (its TTL, at least [`SOONEST`]). When that is over the name is asked for again
//! beside the requests, which go on with what was known; only the first one waits. Nor does anybody wait, or fail, when no name
//! server answers: the addresses that were known serve on. Names that only the system's own resolver knows (`nsswitch.conf`) are
//! asked of it, where there is no time to live; they are asked for again after [`WITHOUT_TTL`].

use super::settings::Endpoint;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A shorter time to live is taken for this.
const SOONEST: Duration = Duration::from_secs(1);
/// A longer one for this: a mistake in a zone should end some day.
const LATEST: Duration = Duration::from_secs(3600);
/// Where there is none.
const WITHOUT_TTL: Duration = Duration::from_secs(30);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// Addresses of one name that are used; more would leave each too little of the time to connect.
const ADDRESSES: usize = 8;
/// How long an address that took no connection comes last.
const SHUNNED: Duration = Duration::from_secs(10);

/// Who is asked for the addresses of names; clones share what it remembers.
#[derive(Clone, Default)]
pub struct Resolver(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Empty: the system's name servers.
    servers: Vec<SocketAddr>,
    made: OnceLock<Option<TokioResolver>>,
}

impl Resolver {
    /// The system's (`/etc/resolv.conf`, `/etc/hosts`).
    pub fn system() -> Self {
        Resolver::default()
    }

    /// These servers, and `/etc/hosts`; the system's if there are none.
    pub fn of(servers: &[SocketAddr]) -> Self {
        Resolver(Arc::new(Inner { servers: servers.to_vec(), made: OnceLock::new() }))
    }

    async fn look_up(&self, host: &str) -> io::Result<(Vec<IpAddr>, Instant)> {
        let now = Instant::now();
        let found = match self.0.made.get_or_init(|| self.0.make()) {
            Some(resolver) => resolver.lookup_ip(host).await.map_err(io::Error::other),
            None => Err(io::Error::other("there is no resolver")),
        };
        match found {
            Ok(found) => {
                let until = Instant::from_std(found.valid_until()).clamp(now + SOONEST, now + LATEST);
                Ok((found.iter().collect(), until))
            }
            Err(error) if !self.0.servers.is_empty() => Err(error),
            Err(_) => {
                let found = tokio::net::lookup_host((host, 0)).await?;
                Ok((found.map(|address| address.ip()).collect(), now + WITHOUT_TTL))
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").field(&self.0.servers).finish()
    }
}

impl Inner {
    fn make(&self) -> Option<TokioResolver> {
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder_tokio().ok()?
        } else {
            let config = ResolverConfig::from_name_servers(self.servers.iter().map(server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        set(builder.options_mut());
        builder.build().map_err(|error| tracing::error!(%error, "names can't be asked for")).ok()
    }
}

/// What is known is remembered here, by [`Addresses`]: its own memory would only make it older.
fn set(options: &mut ResolverOpts) {
    options.cache_size = 0;
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())])
}

/// The addresses of one endpoint.
pub(super) struct Addresses {
    known: Mutex<Known>,
    /// Somebody is asking for them.
    asking: AtomicBool,
    /// Those who can't go on without wait here for one of them to ask.
    first: tokio::sync::Mutex<()>,
    /// Where the next connection begins.
    turn: AtomicUsize,
}

struct Known {
    addresses: Arc<[SocketAddr]>,
    /// `None`: for ever.
    until: Option<Instant>,
    shunned: Vec<(SocketAddr, Instant)>,
}

impl Addresses {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let literal = endpoint.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, endpoint.port));
        let until = literal.is_none().then(Instant::now);
        let known = Known { addresses: literal.into_iter().collect(), until, shunned: Vec::new() };
        let (asking, first, turn) = Default::default();
        Addresses { known: Mutex::new(known), asking, first, turn }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to ask, and nobody does; who gets `true` has to [look](Addresses::look).
    pub(super) fn are_old(&self) -> bool {
        let old = self.lock().until.is_some_and(|until| until <= Instant::now());
        old && !self.asking.swap(true, Relaxed)
    }

    /// Asks for them; true when they have changed.
    pub(super) async fn look(&self, endpoint: &Endpoint, resolver: &Resolver) -> io::Result<bool> {
        let _asking = Asking(&self.asking); // until the end, whatever becomes of who asks
        let found = resolver.look_up(&endpoint.host).await.and_then(|(found, until)| {
            if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok((found, until)) }
        });
        let mut known = self.lock();
        match found {
            Ok((mut found, until)) => {
                found.sort_unstable();
                found.dedup();
                let addresses: Arc<[SocketAddr]> =
                    found.iter().take(ADDRESSES).map(|ip| SocketAddr::new(*ip, endpoint.port)).collect();
                let changed = known.addresses != addresses;
                (known.addresses, known.until) = (addresses, Some(until));
                Ok(changed)
            }
            Err(error) => {
                known.until = Some(Instant::now() + AGAIN);
                if known.addresses.is_empty() { Err(error) } else { Ok(false) }
            }
        }
    }

    /// Asks for them if nothing is known yet, and nobody was told a moment ago that there is nothing to know.
    pub(super) async fn need(&self, endpoint: &Endpoint, resolver: &Resolver) -> io::Result<()> {
        let _one = self.first.lock().await;
        let (known, lately) = {
            let known = self.lock();
            (!known.addresses.is_empty(), known.until.is_some_and(|until| until > Instant::now()))
        };
        match (known, lately) {
            (true, _) => Ok(()),
            (false, true) => Err(io::Error::other("the name had no address a moment ago")),
            (false, false) => self.look(endpoint, resolver).await.map(drop),
        }
    }

    /// All of them, for who wants to know whether an address still counts.
    pub(super) fn all(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.lock().addresses)
    }

    /// All of them in the order in which to try; none when they aren't known yet.
    pub(super) fn in_turn(&self) -> Vec<SocketAddr> {
        let mut known = self.lock();
        let now = Instant::now();
        known.shunned.retain(|(_, until)| *until > now);
        let mut addresses = known.addresses.to_vec();
        if addresses.len() > 1 {
            let first = self.turn.fetch_add(1, Relaxed) % addresses.len();
            addresses.rotate_left(first);
            addresses.sort_by_key(|address| known.shunned.iter().any(|(shunned, _)| shunned == address));
        }
        addresses
    }

    /// It took no connection.
    pub(super) fn shun(&self, address: SocketAddr) {
        let mut known = self.lock();
        known.shunned.retain(|(shunned, _)| *shunned != address);
        if known.shunned.len() < ADDRESSES {
            known.shunned.push((address, Instant::now() + SHUNNED));
        }
    }
}

struct Asking<'a>(&'a AtomicBool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint { tls: false, host: host.into(), port: 80, base: String::new(), weight: 1 }
    }

    fn known(addresses: &[&str]) -> Addresses {
        let all = Addresses::of(&endpoint("name.example"));
        all.lock().addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        all
    }

    #[tokio::test]
    async fn an_address_needs_no_name_server() {
        let addresses = Addresses::of(&endpoint("::1"));
        assert!(!addresses.are_old());
        assert_eq!(addresses.in_turn(), ["[::1]:80".parse().unwrap()]);
    }

    #[tokio::test]
    async fn one_asks_and_the_others_go_on() {
        let addresses = Addresses::of(&endpoint("name.example"));
        assert!(addresses.are_old() && !addresses.are_old());
        assert!(addresses.in_turn().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_turn_and_one_that_failed_comes_last_for_a_while() {
        let addresses = known(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
        let turns = || (0..3).map(|_| addresses.in_turn()[0].to_string()).collect::<Vec<_>>();
        assert_eq!(turns(), ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
        addresses.shun("10.0.0.2:80".parse().unwrap());
        assert_eq!(addresses.in_turn().last().unwrap().to_string(), "10.0.0.2:80");
        assert!(!turns().contains(&"10.0.0.2:80".to_owned()));
        tokio::time::advance(SHUNNED).await;
        assert!(turns().contains(&"10.0.0.2:80".to_owned()));
    }
}
