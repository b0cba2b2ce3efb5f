//! The configurations that the gateway is run with.

use super::changes::Reach;

/// A configuration and the traffic it gets.
#[derive(Debug)]
pub struct Mode {
    pub name: &'static str,
    pub reach: Reach,
    /// Lines of `[[api]]`.
    pub api: &'static str,
    /// Further tables.
    pub rest: &'static str,
    /// The origin's `max-age`, in seconds; without one the operator's `ttl` counts.
    pub max_age: Option<u32>,
    /// How many different `?view=` there are.
    pub views: u64,
    /// Whether half of the readers say who they are.
    pub callers: bool,
    /// Whether what a caller is given is his alone.
    pub mine: bool,
    /// Whether there are two endpoints, of which one is asked when the other is too slow.
    pub twice: bool,
    /// How many reads there are for each write. Where they are few, something comes to be stale by time; where they are many, some
    /// are under way whatever happens.
    pub reads_per_write: usize,
    /// What goes on meanwhile.
    pub upheaval: Upheaval,
}

/// What happens to the gateway and to its origins while everybody reads and writes.
#[derive(Clone, Copy, Debug)]
pub enum Upheaval {
    Nothing,
    /// It is reloaded with one of these after the other.
    Reloaded(&'static [Reload]),
    /// One of two endpoints is gone with all its connections, and comes back; then the other.
    Killed,
    /// A process hands over to the next one, which hands over to another.
    HandedOver,
    /// A process is told to end, and another begins on the same sockets when it has.
    Restarted,
}

impl Upheaval {
    /// Whether the gateway is a process of its own.
    pub fn is_of_processes(self) -> bool {
        matches!(self, Upheaval::HandedOver | Upheaval::Restarted)
    }

    /// Whether no read may fail: the origins of such a run answer every one that they live to answer.
    pub fn spares_reads(self) -> bool {
        self.is_of_processes() || matches!(self, Upheaval::Killed)
    }

    /// Whether answers come in pieces. One that has begun when its origin is killed can't be completed by another.
    pub fn has_pieces(self) -> bool {
        !matches!(self, Upheaval::Killed)
    }

    /// Whether writes may go wrong by the origin's fault, and be applied `late`, after they were given up: a process that
    /// begins when another has ended knows nothing of those.
    pub fn spoils_writes(self, late: bool) -> bool {
        match self {
            Upheaval::Killed => false,
            Upheaval::Restarted => !late,
            Upheaval::Nothing | Upheaval::Reloaded(_) | Upheaval::HandedOver => true,
        }
    }
}

/// Another configuration.
#[derive(Debug)]
pub struct Reload {
    /// Lines of `[[api]]`.
    pub api: &'static str,
    /// Whether there is a second API that shares the origin, under a name that is the lesser one of both.
    pub linked: bool,
}

const fn reload(api: &'static str, linked: bool) -> Reload {
    Reload { api, linked }
}

/// Nothing; another lifetime; another key; another API; and so on. Twice the same, so that something can be hit.
const RELOADS: &[Reload] = &[
    reload("ttl = \"10m\"", false),
    reload("ttl = \"10m\"", false),
    reload("ttl = \"5m\"", false),
    reload("ttl = \"5m\"\ntimeouts.total = \"1m\"", false),
    reload("ttl = \"5m\"\nkey = { query = \"exact\" }", false),
    reload("ttl = \"5m\"\nkey = { query = \"exact\" }", false),
    reload("ttl = \"10m\"", true),
    reload("ttl = \"10m\"", true),
    reload("ttl = \"10m\"", false),
];

/// `[[api.purge]]` in every mode.
pub const RULES: &str = "[[api.purge]]\non = \"PUT,DELETE /books/{id}\"\n\
    paths = [\"/authors/*/books\", \"/shelves/{id}/*\", \"/covers/{id}\"]\ntags = [\"book-{id}\"]\n";

/// A machine that is busy doesn't make a read fail where none may.
const PATIENT: &str = "ttl = \"10m\"\n[[api.route]]\non = \"GET,HEAD /**\"\ntimeouts.first_byte = \"30s\"";

const KILLED: &str = "ttl = \"10m\"\nbalance = \"round-robin\"\n\
    health = { failures = 3, rest = \"200ms\", max_rest = \"200ms\", slow_start = \"0s\" }\n\
    [[api.route]]\non = \"GET,HEAD /**\"\ntimeouts.first_byte = \"30s\"\n\
    [[api.route]]\non = \"PUT,DELETE,POST,PATCH /**\"\ntimeouts.first_byte = \"3s\"";

const PLAIN: Mode = Mode {
    name: "tree",
    reach: Reach::Tree,
    api: "ttl = \"10m\"",
    rest: "",
    max_age: None,
    views: 2,
    callers: false,
    mine: false,
    twice: false,
    reads_per_write: 60,
    upheaval: Upheaval::Nothing,
};

pub const MODES: [Mode; 11] = [
    PLAIN,
    Mode {
        name: "two endpoints, asked again",
        api: "ttl = \"10m\"\nretry = { try_timeout = \"60ms\", budget = 1.0, backoff = \"5ms\" }\nhealth.failures = 0",
        twice: true,
        ..PLAIN
    },
    Mode { name: "tree, reloaded all the time", upheaval: Upheaval::Reloaded(RELOADS), ..PLAIN },
    Mode {
        name: "of two endpoints one is killed, again and again",
        api: KILLED,
        twice: true,
        upheaval: Upheaval::Killed,
        ..PLAIN
    },
    Mode {
        name: "handed over, again and again",
        api: PATIENT,
        reads_per_write: 40,
        upheaval: Upheaval::HandedOver,
        ..PLAIN
    },
    Mode {
        name: "ended and begun, again and again",
        api: PATIENT,
        reads_per_write: 40,
        upheaval: Upheaval::Restarted,
        ..PLAIN
    },
    Mode {
        name: "grace, callers apart, tinylfu",
        api: "grace = \"10m\"",
        rest: "[cache]\neviction = \"tinylfu\"",
        max_age: Some(1),
        callers: true,
        mine: true,
        ..PLAIN
    },
    Mode {
        name: "collection, small cache",
        reach: Reach::Collection,
        api: "ttl = \"10m\"\ninvalidate = \"collection\"",
        rest: "[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"64KiB\"",
        views: 400,
        ..PLAIN
    },
    Mode {
        name: "api, assume-public, keep_on_error",
        reach: Reach::Api,
        api: "invalidate = \"api\"\nkeep_on_error = \"10m\"\nkey = { share = \"assume-public\" }",
        max_age: Some(1),
        callers: true,
        ..PLAIN
    },
    Mode {
        name: "self, no grace, callers apart",
        reach: Reach::Own,
        api: "ttl = \"1s\"\ninvalidate = \"self\"",
        callers: true,
        mine: true,
        ..PLAIN
    },
    Mode {
        name: "stale as much as may be: grace, keep_on_error, stale_after, refresh_ahead, ttl_jitter",
        api: "grace = \"50ms\"\nkeep_on_error = \"10m\"\nstale_after = \"2ms\"\nrefresh_ahead = 0.5\nttl_jitter = 0.5",
        max_age: Some(1),
        callers: true,
        mine: true,
        reads_per_write: 240,
        ..PLAIN
    },
];
