//! The circuit breaker of one endpoint: when most of what it is asked fails, it isn't asked for a while.
//!
//! *Closed*, it counts: once a window has enough requests and too large a share of them has failed it *opens*, and who comes is told
//! at once that there is no answer to be had. After a while it lets a few through; the first of them that fails opens it again,
//! and when all of them went well it closes. Resting (`health`) is about which of several endpoints is asked; this is about not
//! asking at all.
//!
//! The core knows no clock and no locks: `now` is an argument, in the process's monotonic milliseconds.

use super::settings::Breaker;
use crate::clock::millis;

/// What may be asked.
#[derive(Debug)]
pub(super) struct Circuit {
    state: State,
}

#[derive(Debug)]
enum State {
    Closed {
        began: u64,
        calls: u32,
        failed: u32,
    },
    Open {
        until: u64,
    },
    /// `out` are under way, `good` came back well.
    Trying {
        out: u32,
        good: u32,
    },
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    Opened,
    Closed,
}

/// One question that was let through: whether it is a trial. It has to be [told](Circuit::result) how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Let {
    trial: bool,
}

impl Default for Circuit {
    fn default() -> Self {
        Circuit { state: State::Closed { began: 0, calls: 0, failed: 0 } }
    }
}

impl Circuit {
    /// Whether a question would be let through.
    pub(super) fn admits(&self, settings: &Breaker, now: u64) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } => now >= until,
            State::Trying { out, good } => out + good < settings.trials,
        }
    }

    /// For how many milliseconds there is no sense in asking, as far as one can tell.
    pub(super) fn shut_for(&self, settings: &Breaker, now: u64) -> u64 {
        match self.state {
            State::Closed { .. } => 0,
            State::Open { until } => until.saturating_sub(now),
            State::Trying { .. } => millis(settings.open),
        }
    }

    /// Lets a question through; `None` if it does not.
    pub(super) fn enter(&mut self, settings: &Breaker, now: u64) -> Option<Let> {
        match &mut self.state {
            State::Closed { .. } => Some(Let { trial: false }),
            State::Open { until } if now < *until => None,
            State::Open { .. } => {
                self.state = State::Trying { out: 1, good: 0 };
                Some(Let { trial: true })
            }
            State::Trying { out, good } if *out + *good < settings.trials => {
                *out += 1;
                Some(Let { trial: true })
            }
            State::Trying { .. } => None,
        }
    }

    /// How a question ended; `None` when nobody can tell, since whoever asked is gone.
    pub(super) fn result(&mut self, let_in: Let, good: Option<bool>, settings: &Breaker, now: u64) -> Option<Turned> {
        match (&mut self.state, good) {
            (State::Closed { began, calls, failed }, Some(good)) => {
                if now.saturating_sub(*began) >= millis(settings.window) {
                    (*began, *calls, *failed) = (now, 0, 0);
                }
                *calls += 1;
                *failed += u32::from(!good);
                let too_many = f64::from(*failed) >= settings.failures * f64::from(*calls);
                (*calls >= settings.calls && *failed > 0 && too_many).then(|| self.open(settings, now))
            }
            // What was asked before it opened says nothing of how it is now.
            (State::Trying { out, good: well }, good) if let_in.trial => {
                *out = out.saturating_sub(1);
                match good {
                    Some(false) => Some(self.open(settings, now)),
                    Some(true) => {
                        *well += 1;
                        (*well >= settings.trials).then(|| {
                            self.state = State::Closed { began: now, calls: 0, failed: 0 };
                            Turned::Closed
                        })
                    }
                    None => None,
                }
            }
            (State::Closed { .. } | State::Open { .. } | State::Trying { .. }, _) => None,
        }
    }

    fn open(&mut self, settings: &Breaker, now: u64) -> Turned {
        self.state = State::Open { until: now.saturating_add(millis(settings.open)) };
        Turned::Opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings() -> Breaker {
        let s = Duration::from_secs;
        Breaker { failures: 0.5, calls: 4, window: s(10), open: s(5), trials: 2, ..Breaker::default() }
    }

    /// Asks and is answered at once.
    fn ask(circuit: &mut Circuit, good: bool, now: u64) -> Option<Turned> {
        let let_in = circuit.enter(&settings(), now).unwrap();
        circuit.result(let_in, Some(good), &settings(), now)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        assert_eq!([true, true, false].map(|good| ask(&mut circuit, good, 0)), [None; 3]);
        assert_eq!(ask(&mut circuit, false, 0), Some(Turned::Opened), "two of four");
        circuit
    }

    #[test]
    fn it_opens_when_enough_of_enough_have_failed() {
        let mut circuit = opened();
        assert_eq!(circuit.enter(&settings(), 1000), None);
        assert_eq!(circuit.shut_for(&settings(), 1000), 4000, "and says for how long");
        assert!(!circuit.admits(&settings(), 4999) && circuit.admits(&settings(), 5000));
    }

    #[test]
    fn a_window_that_is_over_counts_no_more() {
        let mut circuit = Circuit::default();
        assert_eq!([false, false, false].map(|good| ask(&mut circuit, good, 0)), [None; 3]);
        assert_eq!([false, true, true].map(|good| ask(&mut circuit, good, 10_000)), [None; 3]);
        assert_eq!(ask(&mut circuit, false, 10_000), Some(Turned::Opened));
        let mut circuit = Circuit::default();
        assert_eq!([true; 8].map(|good| ask(&mut circuit, good, 0)), [None; 8]);
    }

    #[test]
    fn a_few_are_let_through_and_decide() {
        let mut circuit = opened();
        let first = circuit.enter(&settings(), 5000).unwrap();
        let second = circuit.enter(&settings(), 5000).unwrap();
        assert!(circuit.enter(&settings(), 5000).is_none(), "no more than so many at a time");
        assert_eq!(circuit.result(first, Some(true), &settings(), 5000), None);
        assert!(!circuit.admits(&settings(), 5000));
        assert_eq!(circuit.result(second, Some(true), &settings(), 5000), Some(Turned::Closed));

        let mut circuit = opened();
        assert_eq!(ask(&mut circuit, true, 5000), None);
        assert_eq!(ask(&mut circuit, false, 5000), Some(Turned::Opened), "one that fails is enough");
        assert_eq!(circuit.shut_for(&settings(), 5001), 4999);
    }

    #[test]
    fn one_whose_asker_left_gives_its_place_back() {
        let mut circuit = opened();
        for _ in 0..10 {
            let trial = circuit.enter(&settings(), 5000).unwrap();
            assert_eq!(circuit.result(trial, None, &settings(), 5000), None);
        }
        assert_eq!([true, true].map(|good| ask(&mut circuit, good, 5000)), [None, Some(Turned::Closed)]);
    }

    #[test]
    fn what_was_asked_before_it_opened_decides_nothing() {
        let mut circuit = Circuit::default();
        let early = circuit.enter(&settings(), 0).unwrap();
        assert_eq!([false; 4].map(|good| ask(&mut circuit, good, 0))[3], Some(Turned::Opened));
        assert_eq!(ask(&mut circuit, true, 5000), None);
        assert_eq!(circuit.result(early, Some(false), &settings(), 5000), None);
        assert_eq!(ask(&mut circuit, true, 5000), Some(Turned::Closed));
    }
}
