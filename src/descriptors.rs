//! Descriptors, and what else of the system's may run out: whose fault that is, and what is kept aside for it.
//!
//! Every connection has one, of clients as well as to origins. When there are none left nothing that is open suffers; what is new
//! waits (clients, in the system's queue) or is refused (questions to origins). Neither is an origin's fault, so that no endpoint is left
//! alone for it. Three things keep it from coming to that, or from being the end:
//!
//! * [`make_room`], at the start: the process's limit is raised as far as it may be, and where that isn't enough the bounds on
//!   connections are lowered to what there is, and the log says so.
//! * [`Spares`]: who looks after the gateway must get in just then. The admin port has a few descriptors that it gives up
//!   when it can't accept for want of one.
//! * [`is_want`] tells such failures from others.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What the house itself has open: listeners, timers, signals, the log, files that are read, and twice 64 connections of
/// the admin port and the probe port.
const HOUSE: u64 = 192;

/// Raises the process's limit on descriptors as far as `connections` of clients and `questions` to origins need it and it may be;
/// how many of each there is room for then.
pub(crate) fn make_room(connections: usize, questions: usize) -> (usize, usize) {
    let needed = (connections as u64).saturating_add(questions as u64).saturating_add(HOUSE);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < needed) else { return (connections, questions) };
    let most = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = most > now && setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).is_ok();
    let limit = if raised { most } else { now };
    let (clients, origins) = shares(limit, connections, questions);
    if clients < connections {
        tracing::warn!(
            limit,
            needed,
            connections = clients,
            origin_requests = origins,
            "the limit on open files is too low for server.limits: both bounds are lowered until it is raised (ulimit -n, LimitNOFILE)"
        );
    }
    (clients, origins)
}

/// What `limit` descriptors leave of both bounds, in proportion.
fn shares(limit: u64, connections: usize, questions: usize) -> (usize, usize) {
    let (both, house) = (connections.saturating_add(questions).max(1), HOUSE.min(limit / 4));
    let rest = usize::try_from(limit - house).unwrap_or(usize::MAX);
    if both <= rest {
        return (connections, questions);
    }
    let clients = (rest as f64 * (connections as f64 / both as f64)) as usize;
    (clients.max(1), rest.saturating_sub(clients).max(1))
}

/// Whether the failure says that this process or this machine has run out of something: descriptors, memory, ports.
pub(crate) fn is_want(error: &io::Error) -> bool {
    is_want_of_descriptors(error) || Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL)
}

/// The same without ports, of which another address may have some left.
pub(crate) fn is_want_of_descriptors(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| wants.contains(&error))
}

/// Whether there is none left just now, for failures that don't tell.
pub(crate) fn are_out() -> bool {
    spare().is_err_and(|error| is_want_of_descriptors(&error))
}

/// Says once in each spell in which something can't be opened for want that it is so, and once that it is over.
#[derive(Debug, Default)]
pub(crate) struct Spell(AtomicBool);

impl Spell {
    /// It wasn't possible for want.
    pub(crate) fn wanted(&self, error: &io::Error) {
        if !self.0.swap(true, Relaxed) {
            tracing::error!(%error, "no connection to an origin can be opened: it is the gateway that has run out");
        }
    }

    /// It was possible.
    pub(crate) fn went_well(&self) {
        if self.0.load(Relaxed) && self.0.swap(false, Relaxed) {
            tracing::info!("connections to origins can be opened again");
        }
    }
}

/// Descriptors that are kept for when there are no others.
#[derive(Debug)]
pub(crate) struct Spares {
    held: Mutex<Vec<File>>,
    most: usize,
}

impl Spares {
    /// Takes `most` of them, or as many as there are.
    pub(crate) fn new(most: usize) -> Self {
        let spares = Spares { held: Mutex::default(), most };
        spares.take_back();
        spares
    }

    /// Gives one up, if one is left; who needs it should be quick.
    pub(crate) fn give_up(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).pop().is_some()
    }

    /// Takes back what was given up, as far as that is possible.
    pub(crate) fn take_back(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.len() < self.most
            && let Ok(file) = spare()
        {
            held.push(file);
        }
    }
}

fn spare() -> io::Result<File> {
    File::open("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_goes_to_both_in_proportion() {
        let rows = [
            (20_000, (10_000, 4_096), (10_000, 4_096)),
            (1024, (10_000, 4_096), (590, 242)),
            (64, (10_000, 4_096), (34, 14)),
            (64, (20, 20), (20, 20)),
            (64, (1_000_000, 1), (47, 1)),
            (0, (10, 10), (1, 1)),
        ];
        for (limit, (connections, questions), want) in rows {
            assert_eq!(shares(limit, connections, questions), want, "{limit}");
        }
    }

    #[test]
    fn a_want_is_told_from_a_failure() {
        let of = |error: Errno| io::Error::from_raw_os_error(error.raw_os_error());
        assert!(
            [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL].iter().all(|error| is_want(&of(*error)))
        );
        assert!(![Errno::CONNREFUSED, Errno::NETUNREACH, Errno::TIMEDOUT].iter().any(|error| is_want(&of(*error))));
        assert!(!is_want(&io::Error::other("something")));
    }

    #[test]
    fn spares_are_given_up_and_taken_back() {
        let spares = Spares::new(2);
        assert_eq!([spares.give_up(), spares.give_up(), spares.give_up()], [true, true, false]);
        spares.take_back();
        assert!(spares.give_up());
    }
}
