//! Clearing costs the caller nothing, and the memory comes back.

#![cfg(test)]

#[path = "support/stored.rs"]
mod stored;

use freshgate::clock::Now;
use freshgate::purge::Target;
use stored::Stored;

const MANY: usize = 20_000;

fn path(path: &str) -> Target {
    Target::Path { host: None, path: path.into() }
}

fn prefix(path: &str) -> Target {
    Target::Prefix { host: None, path: path.into() }
}

#[test]
fn a_cleared_api_is_swept_and_another_is_let_alone() {
    let stored = Stored::new(1 << 30);
    stored.fill("one/v1", MANY, 10);
    stored.fill("two/v1", 100, 10);
    let two = (stored.tally("two/v1").entries(), stored.tally("two/v1").bytes());
    assert_eq!((stored.tally("one/v1").entries(), two.0), (MANY as u64, 100));
    assert!(stored.store.scopes.len() > MANY, "each path has a cell");

    let epoch = stored.store.scopes.epoch();
    let purged = stored.purge(Target::Api("one/v1".into()));
    assert_eq!((purged.invalidated, purged.epoch), (Some(MANY as u64), epoch + 1));
    assert_eq!(stored.usable(), 100, "none can be used from that moment on");
    assert!(stored.store.wants_sweep());

    assert_eq!(stored.store.sweep(Now::default()), MANY);
    assert_eq!((stored.tally("one/v1").entries(), stored.tally("one/v1").bytes()), (0, 0));
    assert_eq!((stored.tally("two/v1").entries(), stored.tally("two/v1").bytes()), two);
    assert_eq!((stored.store.len(), stored.usable()), (100, 100));
    // By path, shelf, tag and their common ones; what nobody holds is gone.
    assert!(stored.store.scopes.len() < 400, "{} cells", stored.store.scopes.len());
    assert!(!stored.store.wants_sweep());
    assert_eq!(stored.store.sweep(Now::default()), 0);

    stored.purge(Target::All);
    stored.store.sweep(Now::default());
    assert_eq!((stored.store.len(), stored.store.bytes(), stored.store.scopes.len()), (0, 0, 0));
    assert_eq!((stored.tally("two/v1").entries(), stored.tally("two/v1").bytes()), (0, 0));
}

#[test]
fn whatever_was_dropped_stays_invalidated_for_questions_in_flight() {
    let stored = Stored::new(1 << 30);
    stored.fill("one/v1", 10, 10);
    let asked = stored.store.scopes.ask(&[freshgate::policy::Scope::Everything], 0);
    stored.purge(Target::Tag("t7".into()));
    stored.store.sweep(Now::default()); // nobody holds the cell of this tag any more
    let held = asked.held.union(&stored.store.scopes.hold(&[freshgate::policy::Scope::Tag("one/v1", "t7")]));
    assert_eq!(held.standing(asked.at, asked.at), freshgate::store::Standing::Invalidated);
}

#[test]
fn purges_of_what_isnt_there_leave_nothing_behind() {
    let stored = Stored::new(1 << 30);
    stored.fill("one/v1", 10, 10);
    stored.store.sweep(Now::default());
    let before = stored.store.scopes.len();
    for n in 0..10_000 {
        stored.purge(Target::Tag(format!("nothing-{n}")));
        stored.purge(path(&format!("/one/nothing/{n}")));
        stored.purge(prefix(&format!("/two/nothing/{n}")));
        stored.purge(Target::User(format!("nobody-{n}")));
    }
    stored.store.sweep(Now::default());
    assert_eq!((stored.store.scopes.len(), stored.usable()), (before, 10));
}

#[test]
fn a_purge_raises_few_cells_however_much_it_covers() {
    let stored = Stored::new(1 << 30);
    for (number, target) in [(10, prefix("/one/shelves")), (2000, prefix("/one/shelves")), (2000, Target::All)] {
        stored.fill("one/v1", number, 0);
        stored.store.sweep(Now::default());
        let cells = stored.store.scopes.len();
        let epoch = stored.purge(target).epoch;
        assert!(stored.store.scopes.len() <= cells + 2, "{number} answers");
        assert_eq!((stored.store.scopes.epoch(), stored.usable()), (epoch, 0));
        stored.store.sweep(Now::default());
    }
}
