//! A warm start: what is stored is written to a file at the stop and read at the next start (`[cache] snapshot`).
//!
//! While a gateway is stopped, writes go past it. So nothing of what it had may be used as it is: each answer is loaded as one that has
//! to be confirmed by its origin first ([`Facts::unconfirmed`](crate::rfc9111::Facts::unconfirmed)), and only one with a validator is
//! saved at all. What is gained is the transfer and the origin's work, not the question.
//!
//! * **Saved** is what lies there for everybody ([`shared_place`](crate::policy::shared_place)): answers of one caller don't go to disk, nor
//!   those that were chosen by a credential. It must be current and complete.
//! * **Loaded** is what the rules of today would have stored alike: its API is there, its route caches, and what decides about storing is as
//!   it was (`judge::Prints`).
//! * **No invalidation is lost.** What is loaded counts as asked for before the first invalidation of this process (epoch 0), and holds the
//!   cells of its scopes before it is put. A write that came first has raised its cells, or the floor where they are gone already:
//!   then the answer is dead when it is put, or is left out. It takes the place of nothing.
//! * **A file is used as a whole or not at all.** It is read to its end once, checksums and all, before anything of it is put; `format`
//!   has the argument. No length in it is believed.
//! * Times aren't saved: what is confirmed gets its freshness from the confirmation, by `Date` and `Age` as always. So no step of any clock
//!   makes anything fresh.

mod file;
mod format;
mod judge;
mod load;
mod progress;
mod record;
mod save;

pub use format::Wrong;
pub use load::{Loaded, Loading, NotLoaded, load};
pub use progress::{Progress, Watch};
pub use save::{Saved, save};

/// What was found at the start, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Entries that were put into the store.
    pub loaded: u64,
    /// Entries in a sound file that weren't.
    pub left_out: u64,
    /// Whether there was a file that couldn't be used.
    pub ignored: bool,
}

impl Counts {
    /// What became of entries, each with its name.
    pub fn all(&self) -> [(&'static str, u64); 2] {
        [("loaded", self.loaded), ("left-out", self.left_out)]
    }
}
