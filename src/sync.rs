//! The locks and atomics of the small shared cores. They are named here once, so that the interleaving tests can put
//! a model checker's in their place without touching the cores.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex};
