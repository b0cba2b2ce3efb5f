//! What a connection's socket, its service and its bodies know of each other.

use super::refusal::Refused;
use crate::client::Hints;
use crate::reached::{Bound, Reached};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// What a connection's socket, its service and its bodies know of each other. All of them run in the connection's
/// task but for bodies that a handler has moved elsewhere; the order of their accesses doesn't matter.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) hints: Arc<Hints>,
    pub(super) requests: AtomicU64,
    /// Requests that have been answered, or given up.
    pub(super) answered: AtomicU64,
    pub(super) under_way: AtomicUsize,
    pub(super) tunnel: AtomicBool,
    /// The present request's body was dropped before its end.
    pub(super) abandoned: AtomicBool,
    pub(super) resets: AtomicBool,
    /// What could not be read as a request.
    pub(super) refused: OnceLock<Refused>,
    reached: Arc<Reached>,
}

impl Line {
    /// What is reached is counted in `reached`.
    pub(super) fn new(reached: Arc<Reached>) -> Self {
        Line { reached, ..Line::default() }
    }

    /// Counts that the connection, or a message on it, reached a bound.
    pub(super) fn note(&self, bound: Bound) {
        self.reached.note(bound);
    }

    /// What could not be read as a request, once the connection has ended for it.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.get().copied()
    }

    /// A head is complete; returns the request's number, from 1.
    pub(super) fn request(&self) -> u64 {
        self.abandoned.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// A request's answer has ended, however it has.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// The answer is a 101: what follows isn't HTTP.
    pub(super) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// The client may still be sending what nobody reads.
    pub(super) fn abandons_body(&self) {
        self.abandoned.store(true, Relaxed);
    }

    /// The connection is to end with RST.
    pub(super) fn resets(&self) {
        self.resets.store(true, Relaxed);
    }
}

/// One message under way.
pub(super) struct Turn {
    line: Arc<Line>,
    /// It is an answer.
    answers: bool,
}

impl Turn {
    /// A request's body.
    pub(super) fn new(line: Arc<Line>) -> Self {
        line.under_way.fetch_add(1, Relaxed);
        Turn { line, answers: false }
    }

    /// An answer.
    pub(super) fn of_request(line: Arc<Line>) -> Self {
        line.under_way.fetch_add(1, Relaxed);
        Turn { line, answers: true }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.under_way.fetch_sub(1, Relaxed);
        if self.answers {
            self.line.answered();
        }
    }
}
