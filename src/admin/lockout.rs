//! Guessing tokens is slow: an address that shows wrong ones is not listened to for a while.
//!
//! Each address has a window of one minute that begins with its first wrong token. After `admin.limits.wrong_tokens` of them it is
//! locked out until the window ends, and its tokens are not even looked at, right or wrong. Others are not affected.
//! An IPv6 address counts by its /64, since that is what one subscriber gets. The table is bounded; when it is full,
//! windows that have ended go first, then the one with the fewest failures, so that a flood of addresses can't wash out one
//! that is locked.

use crate::clock::Now;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The window, in milliseconds.
const WINDOW: u64 = 60_000;
/// Addresses remembered.
const ADDRESSES: usize = 4_096;

/// The addresses that have shown wrong tokens lately.
#[derive(Debug)]
pub(super) struct Lockout {
    /// Wrong tokens in one window before an address is locked out.
    most: AtomicUsize,
    windows: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// `Now::mono` of the first failure.
    since: u64,
    failures: usize,
}

impl Window {
    fn left(self, now: Now) -> u64 {
        (self.since + WINDOW).saturating_sub(now.mono)
    }
}

impl Lockout {
    pub(super) fn new(most: usize) -> Self {
        Lockout { most: AtomicUsize::new(most), windows: Mutex::default() }
    }

    /// From now on so many are too many.
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Seconds until `peer` is listened to again; `None` when it is now.
    pub(super) fn locked(&self, peer: IpAddr, now: Now) -> Option<u64> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.get(&group(peer))?;
        let left = window.left(now);
        (window.failures >= self.most.load(Relaxed) && left > 0).then(|| left.div_ceil(1_000))
    }

    /// Counts one wrong token of `peer`.
    pub(super) fn failed(&self, peer: IpAddr, now: Now) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = group(peer);
        if windows.len() >= ADDRESSES && !windows.contains_key(&peer) {
            make_room(&mut windows, now);
        }
        let window = windows.entry(peer).or_insert(Window { since: now.mono, failures: 0 });
        if window.left(now) == 0 {
            *window = Window { since: now.mono, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
    }
}

fn make_room(windows: &mut HashMap<IpAddr, Window>, now: Now) {
    windows.retain(|_, window| window.left(now) > 0);
    if windows.len() >= ADDRESSES
        && let Some(least) = windows.iter().min_by_key(|(_, w)| (w.failures, w.since)).map(|(peer, _)| *peer)
    {
        windows.remove(&least);
    }
}

fn group(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64) -> Now {
        Now { mono, unix: 0 }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn locked_after_the_last_allowed_failure_until_the_window_ends() {
        let lockout = Lockout::new(20);
        let (bad, good) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for n in 0..20 {
            assert_eq!(lockout.locked(bad, at(n)), None, "after {n}");
            lockout.failed(bad, at(n));
        }
        assert_eq!(lockout.locked(bad, at(100)), Some(60));
        assert_eq!(lockout.locked(bad, at(59_999)), Some(1));
        assert_eq!(lockout.locked(good, at(100)), None);
        assert_eq!(lockout.locked(bad, at(60_000)), None);
        lockout.failed(bad, at(60_000));
        assert_eq!(lockout.locked(bad, at(60_001)), None, "a new window begins at one");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address_and_a_mapped_one_is_ipv4() {
        let lockout = Lockout::new(20);
        for n in 0..20 {
            lockout.failed(ip(&format!("2001:db8::{n:x}")), at(0));
            lockout.failed(ip("::ffff:192.0.2.1"), at(0));
        }
        assert!(lockout.locked(ip("2001:db8::ffff:1"), at(1)).is_some());
        assert!(lockout.locked(ip("2001:db8:0:1::1"), at(1)).is_none());
        assert!(lockout.locked(ip("192.0.2.1"), at(1)).is_some());
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_the_table_nor_frees_a_locked_one() {
        let lockout = Lockout::new(20);
        for _ in 0..20 {
            lockout.failed(ip("192.0.2.1"), at(0));
        }
        for n in 0..ADDRESSES as u32 + 500 {
            lockout.failed(IpAddr::V4((0x0a00_0000 + n).into()), at(1));
        }
        assert_eq!(lockout.windows.lock().unwrap().len(), ADDRESSES);
        assert!(lockout.locked(ip("192.0.2.1"), at(2)).is_some());
    }
}
