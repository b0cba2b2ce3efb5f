//! How many keys each caller has in the store (`limits.keys_per_caller`).
//!
//! Whoever invents query strings can have an answer stored for each, and the store, being full, would let go of everybody
//! else's. So each answer is charged to the account of the one who asked for it first, and who has as many as he may
//! gets what he asks for without its being kept.
//!
//! * **A key is charged once it is asked for**, when the head of its answer has come, and not when it is stored: so
//!   nobody has more than his share on the way either.
//! * **The charge lives as long as the entry does.** It is a value inside it; dropping it gives the place back, on
//!   whatever way the entry goes: evicted, swept, replaced, refused by the store, or never complete. There is no list to
//!   keep in step with the store.
//! * **What takes a place over is charged to the same account without being asked**: a 304, a HEAD, or the next part of an
//!   answer makes a new entry out of a stored one, and for the moment in which both are there the account may be one above its bound.
//!   The same holds for an answer that replaces one which its asker has stored under that key: who has reached his bound can
//!   still have his own answers brought up to date.
//! * **An account exists while something is charged to it.** It takes itself out of the table when its last charge goes. So
//!   the table has at most as many rows as the store has entries, of about 100 bytes each, and no row has to be pushed out of it, which
//!   would let its caller begin anew.
//! * **Callers are known by a keyed 64-bit hash.** Two that collide, one pair in 10^19, share an account.
//! * A hit looks at none of this. Counting is one atomic addition and, where an answer is to be kept, one look into the table.
//!
//! Those who joined a question aren't charged for it: the one who asked is. What isn't charged to him isn't kept, though
//! those who wait for it get it all the same, so that nobody can make a crowd ask one by one.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

const SHARDS: usize = 64;

/// The accounts of all who have something stored.
#[derive(Debug)]
pub struct Accounts {
    table: Arc<Table>,
    most: usize,
}

#[derive(Debug)]
struct Table {
    hasher: RandomState,
    shards: [Mutex<HashMap<u64, Weak<Account>>>; SHARDS],
}

#[derive(Debug)]
struct Account {
    keys: AtomicUsize,
    payer: Payer,
    table: Arc<Table>,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer(u64);

/// One key's place in an account; nobody's by default.
#[derive(Debug, Default)]
pub struct Charge(Option<Arc<Account>>);

impl Accounts {
    /// Accounts of at most `most` keys each.
    pub fn new(most: usize) -> Self {
        let table = Table { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) };
        Accounts { table: Arc::new(table), most: most.max(1) }
    }

    /// The one with this name.
    pub fn payer<N: Hash>(&self, name: &N) -> Payer {
        Payer(self.table.hasher.hash_one(name))
    }

    /// How many callers have something stored.
    pub fn len(&self) -> usize {
        self.table.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place for one key more; `None` when `payer` has all that it may. `replaces` says whether a charge is that of the
    /// entry in whose place this one comes.
    pub(super) fn charge(&self, payer: Payer, replaces: impl FnOnce(Payer) -> bool) -> Option<Charge> {
        let account = self.table.account(payer);
        let room = account.keys.fetch_update(Relaxed, Relaxed, |keys| (keys < self.most).then_some(keys + 1)).is_ok();
        if room {
            return Some(Charge(Some(account)));
        }
        replaces(payer).then(|| {
            account.keys.fetch_add(1, Relaxed);
            Charge(Some(account))
        })
    }
}

impl Table {
    fn shard(&self, payer: Payer) -> MutexGuard<'_, HashMap<u64, Weak<Account>>> {
        lock(&self.shards[(payer.0 >> 32) as usize % SHARDS])
    }

    fn account(self: &Arc<Self>, payer: Payer) -> Arc<Account> {
        let mut shard = self.shard(payer);
        if let Some(account) = shard.get(&payer.0).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(Account { keys: AtomicUsize::new(0), payer, table: Arc::clone(self) });
        shard.insert(payer.0, Arc::downgrade(&account));
        account
    }
}

impl Drop for Account {
    /// Unless somebody has opened it anew meanwhile.
    fn drop(&mut self) {
        let mut shard = self.table.shard(self.payer);
        if shard.get(&self.payer.0).is_some_and(|account| account.strong_count() == 0) {
            shard.remove(&self.payer.0);
            if shard.capacity() > 64 && shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
        }
    }
}

impl Charge {
    /// Whether it is charged to `payer`.
    pub(super) fn is_to(&self, payer: Payer) -> bool {
        self.0.as_ref().is_some_and(|account| account.payer == payer)
    }
}

impl Clone for Charge {
    /// One more in the same account, whether there is room or not: for an entry that takes the place of this one's.
    fn clone(&self) -> Self {
        if let Some(account) = &self.0 {
            account.keys.fetch_add(1, Relaxed);
        }
        Charge(self.0.clone())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(account) = &self.0 {
            account.keys.fetch_sub(1, Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_as_many_as_he_may_and_places_come_back() {
        let accounts = Accounts::new(2);
        let (alice, bob) = (accounts.payer(&"alice"), accounts.payer(&"bob"));
        let charge = |payer| accounts.charge(payer, |_| false);
        let first = charge(alice).unwrap();
        let _second = charge(alice).unwrap();
        assert!(charge(alice).is_none(), "one too many");
        assert!(charge(bob).is_some(), "others aren't meant");
        drop(first);
        assert!(charge(alice).is_some());
    }

    #[test]
    fn what_replaces_its_own_has_room() {
        let accounts = Accounts::new(1);
        let (alice, bob) = (accounts.payer(&"alice"), accounts.payer(&"bob"));
        let old = accounts.charge(alice, |_| false).unwrap();
        let new = accounts.charge(alice, |payer| old.is_to(payer)).unwrap();
        assert!(accounts.charge(alice, |_| false).is_none());
        drop(old);
        assert!(accounts.charge(alice, |_| false).is_none(), "the new one has its place");
        assert!(accounts.charge(bob, |payer| new.is_to(payer)).is_some());
        drop(new.clone());
        drop(new);
        assert!(accounts.charge(alice, |_| false).is_some());
    }

    #[test]
    fn an_account_is_there_while_something_is_charged_to_it() {
        let accounts = Accounts::new(2);
        let charges: Vec<_> = (0..1000).filter_map(|n| accounts.charge(accounts.payer(&n), |_| false)).collect();
        let copies = charges.clone();
        assert_eq!(accounts.len(), 1000);
        drop(charges);
        assert_eq!(accounts.len(), 1000);
        drop(copies);
        assert!(accounts.is_empty());
    }

    #[test]
    fn threads_lose_no_place_and_leave_no_row() {
        let accounts = Accounts::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let taken: Vec<_> =
                            (0..3).filter_map(|_| accounts.charge(accounts.payer(&0), |_| false)).collect();
                        assert!(taken.len() <= 3);
                    }
                });
            }
        });
        assert!(accounts.is_empty());
        let all: Vec<_> = (0..4).filter_map(|_| accounts.charge(accounts.payer(&0), |_| false)).collect();
        assert_eq!(all.len(), 3);
    }
}
