//! What a run consisted of, so that it can't pass by doing nothing.

use super::checker::Verdict;
use super::history::{Ending, Events};
use std::fmt;

#[derive(Debug, Default)]
pub struct Tally {
    pub reads: usize,
    pub hits: usize,
    pub stale_hits: usize,
    pub slow: usize,
    pub joined: usize,
    pub confirmed: usize,
    pub not_modified: usize,
    pub overtaken: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub left: usize,
    pub purges: usize,
    pub soft_purges: usize,
    /// Reads that failed or that their client broke off.
    pub broken: usize,
    pub evicted: usize,
    /// Reloads, endpoints killed, handovers, restarts.
    pub upheavals: usize,
}

impl Tally {
    pub fn of(events: &Events, verdict: &Verdict) -> Tally {
        let reads = |what: fn(&super::history::How) -> bool| events.reads.iter().filter(|r| what(&r.how)).count();
        let ended = |how: fn(&Ending) -> bool| events.writes.iter().filter(|w| how(&w.ending)).count();
        let soft_purges = events.purges.iter().filter(|p| p.soft).count();
        Tally {
            reads: events.reads.len(),
            hits: reads(|h| h.hit && !h.stale),
            stale_hits: reads(|h| h.stale),
            slow: reads(|h| h.slow),
            joined: reads(|h| h.collapsed),
            confirmed: reads(|h| h.confirmed),
            not_modified: reads(|h| h.not_modified),
            overtaken: verdict.overtaken,
            acknowledged: ended(|e| matches!(e, Ending::Acknowledged(_))),
            unknown: ended(|e| matches!(e, Ending::Unknown(_))),
            left: ended(|e| *e == Ending::Left),
            purges: events.purges.len() - soft_purges,
            soft_purges,
            ..Tally::default()
        }
    }

    pub fn add(&mut self, other: &Tally) {
        let Tally { reads, hits, stale_hits, joined, confirmed, not_modified, overtaken, .. } = other;
        let Tally { slow, acknowledged, unknown, left, purges, soft_purges, broken, evicted, upheavals, .. } = other;
        for (sum, n) in [
            (&mut self.reads, reads),
            (&mut self.hits, hits),
            (&mut self.stale_hits, stale_hits),
            (&mut self.slow, slow),
            (&mut self.joined, joined),
            (&mut self.confirmed, confirmed),
            (&mut self.not_modified, not_modified),
            (&mut self.overtaken, overtaken),
            (&mut self.acknowledged, acknowledged),
            (&mut self.unknown, unknown),
            (&mut self.left, left),
            (&mut self.purges, purges),
            (&mut self.soft_purges, soft_purges),
            (&mut self.broken, broken),
            (&mut self.evicted, evicted),
            (&mut self.upheavals, upheavals),
        ] {
            *sum += n;
        }
    }

    /// Fails unless each kind of event happened often enough to mean something.
    pub fn assert_worth(&self, times: usize) {
        for (what, had, least) in [
            ("reads", self.reads, 200_000),
            ("acknowledged writes", self.acknowledged, 2_000),
            ("hits", self.hits, 50_000),
            ("stale hits in grace", self.stale_hits, 100),
            ("stale answers because the origin was slow", self.slow, 50),
            ("joined answers", self.joined, 5_000),
            ("answers confirmed by the origin's 304", self.confirmed, 500),
            ("304s to clients", self.not_modified, 500),
            ("answers overtaken by an invalidation", self.overtaken, 500),
            ("writes of unknown outcome", self.unknown, 50),
            ("writes whose client left", self.left, 50),
            ("purges", self.purges, 500),
            ("soft purges", self.soft_purges, 200),
            ("evictions", self.evicted, 500),
        ] {
            assert!(had >= least * times, "only {had} {what}; {} are needed: {self}", least * times);
        }
        assert!(self.broken * 10 < self.reads, "too many reads failed: {self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads: {} hits, {} stale, {} of them for slowness, {} joined, {} confirmed, {} 304s, {} overtaken, {} broken; ",
            self.reads,
            self.hits,
            self.stale_hits,
            self.slow,
            self.joined,
            self.confirmed,
            self.not_modified,
            self.overtaken,
            self.broken
        )?;
        write!(f, "{} writes acknowledged, {} unknown, {} left; ", self.acknowledged, self.unknown, self.left)?;
        write!(f, "{} purges, {} soft; {} evicted; ", self.purges, self.soft_purges, self.evicted)?;
        write!(f, "{} upheavals", self.upheavals)
    }
}
