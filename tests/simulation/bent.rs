//! Every rule that can be bent from outside, bent: each must be noticed, and as what.

use super::naive::Fault;
use super::rng::mixed;
use super::run;
use super::world::Bent;

/// Worlds that may pass before a bent rule is noticed.
const PATIENCE: u64 = 2_000;

fn noticed(bent: Bent, as_what: &[Fault]) {
    let seed = |n: u64| mixed(bent as u64) ^ n;
    let found = (0..PATIENCE).find_map(|n| run(seed(n), bent, false).fault.map(|fault| (n, fault)));
    let Some((worlds, fault)) = found else { panic!("{bent:?} was not noticed in {PATIENCE} worlds") };
    println!("{bent:?}: {fault:?} in world {worlds}");
    if !as_what.contains(&fault) {
        let again = run(seed(worlds), bent, true);
        panic!("{bent:?} was noticed as {fault:?}:\n{}", again.story());
    }
}

macro_rules! bent {
    ($($test:ident: $bent:ident => $($fault:ident)|+;)+) => {
        $(#[test] fn $test() { noticed(Bent::$bent, &[$(Fault::$fault),+]); })+
    };
}

bent! {
    an_epoch_noted_at_the_answer: AskedNotedAtTheAnswer => Stale | StaleAfterTagPurge | StaleAfterCallerPurge | FreshAfterSoftPurge;
    joining_without_a_look: JoinedUnchecked => Stale | StaleAfterTagPurge | StaleAfterCallerPurge | FreshAfterSoftPurge | WrongVariant | Livelock;
    taking_without_a_look: TakenUnchecked => StaleAfterTagPurge | Stale;
    taking_by_the_last_invalidation: TakenByTheLastInvalidation => StaleAfterTagPurge | Stale;
    joining_again_what_was_refused: RefusedIsJoinedAgain => Livelock;
    joining_never: NeverJoined => CoalescingLost;
    an_epoch_before_the_answer: EpochBeforeTheAnswer => Stale | StaleAfterTagPurge;
    ancestors_that_are_forgotten: AncestorsForgotten => Stale;
    an_unknown_outcome_ignored: UnknownIgnored => Stale | StaleAfterTagPurge;
    nothing_settles: NothingSettles => Stale | StaleAfterTagPurge;
    kept_while_it_settles: KeptWhileSettling => Stale | StaleAfterTagPurge;
    a_weak_confirmation_that_makes_younger: WeakRaisesAskedAt => Stale | StaleAfterTagPurge | StaleAfterCallerPurge;
    only_the_stored_tags_of_a_confirmed_answer: TagsOfTheStoredOnly => StaleAfterTagPurge;
    stale_on_error_without_a_look: StaleHandedOn => Stale | StaleAfterTagPurge | StaleAfterCallerPurge;
    a_hit_without_a_look: HitUnchecked => Stale | StaleAfterTagPurge | StaleAfterCallerPurge | FreshAfterSoftPurge;
    a_second_look_without_one: SecondLookUnchecked => Stale | StaleAfterTagPurge | StaleAfterCallerPurge | FreshAfterSoftPurge;
    a_soft_purge_ignored: SoftIgnored => FreshAfterSoftPurge;
    another_variant_taken: VariantUnchecked => WrongVariant;
    private_answers_for_all: PrivateShared => Leak;
    invalidated_and_confirmed_weakly: InvalidatedRevalidatedWeakly => Stale | StaleAfterTagPurge | StaleAfterCallerPurge;
}
