//! How many connections there may be, in all and from one address.

use super::settings::Limits;
use crate::reached::{Bound, Reached};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts open connections; one for all listeners that share the limits.
#[derive(Debug)]
pub struct Gate {
    room: Arc<Semaphore>,
    per_address: AtomicUsize,
    /// Holds addresses with open connections only, so it has at most `connections` entries.
    open: Mutex<HashMap<IpAddr, usize>>,
    pub(super) reached: Arc<Reached>,
}

impl Gate {
    /// With `limits.connections` and `limits.connections_per_address`; what is reached is counted in `reached`.
    pub fn new(limits: &Limits, reached: Arc<Reached>) -> Arc<Gate> {
        let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let per_address = AtomicUsize::new(limits.connections_per_address);
        Arc::new(Gate { room, per_address, open: Mutex::default(), reached })
    }

    /// From now on `limits.connections_per_address` is this; `limits.connections` stays as it was.
    pub(super) fn change(&self, limits: &Limits) {
        self.per_address.store(limits.connections_per_address, Relaxed);
    }

    /// How many there are.
    pub fn connections(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// Waits until there may be one connection more. `None` never happens: the semaphore is never closed.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if self.room.available_permits() == 0 {
            self.reached.note(Bound::Connections);
        }
        self.room.clone().acquire_owned().await.ok()
    }

    /// Takes a connection in, unless its address has too many already.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Option<Pass> {
        let address = household(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= self.per_address.load(Relaxed) {
            if *count == 0 {
                open.remove(&address);
            }
            self.reached.note(Bound::ConnectionsPerAddress);
            return None;
        }
        *count += 1;
        Some(Pass { gate: self.clone(), address, _permit: permit })
    }
}

/// What counts as one address: IPv4 mapped into IPv6 is IPv4; of IPv6 the first 64 bits, since whoever has one
/// address usually has all that share them.
fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// One connection's place; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_come_back_and_neighbours_count_as_one() {
        let limits = Limits { connections: 3, connections_per_address: 1, ..Limits::default() };
        let gate = Gate::new(&limits, Arc::default());
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let plain: IpAddr = "192.0.2.1".parse().unwrap();

        let pass = gate.admit(a, gate.room().await.unwrap());
        assert!(pass.is_some());
        assert!(gate.admit(neighbour, gate.room().await.unwrap()).is_none());
        let other = gate.admit(mapped, gate.room().await.unwrap());
        assert!(other.is_some());
        assert!(gate.admit(plain, gate.room().await.unwrap()).is_none());
        assert_eq!(gate.connections(), 2);
        assert_eq!(gate.room.available_permits(), 1, "refused connections hold no place");

        drop((pass, other));
        assert!(gate.open.lock().unwrap().is_empty());
        assert!(gate.admit(neighbour, gate.room().await.unwrap()).is_some());
    }
}
