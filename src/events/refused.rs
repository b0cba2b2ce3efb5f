//! Why a request with events is refused, as a whole and before anything has changed.
//!
//! Each is the sender's fault. What comes of it at the sender was thought of: Azure Event Grid and Knative send again after most statuses,
//! 422 and 404 among them, and give up after 400, 413 and 415. An event that is bad today is bad tomorrow.

use std::fmt;

/// Why nothing has been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Neither a structured, nor a batched, nor a binary CloudEvent.
    Unsupported,
    /// More events in one request than `events.batch`.
    TooMany {
        /// `events.batch`.
        most: usize,
    },
    /// Not a valid CloudEvent.
    Bad {
        /// Its place in a batch.
        index: Option<usize>,
        /// What is wrong.
        why: String,
    },
    /// No rule of the configuration is for it.
    NoRule {
        /// Its place in a batch.
        index: Option<usize>,
    },
}

impl Refused {
    /// A fault of an event that stands at `index` of a batch.
    pub(super) fn bad(index: Option<usize>, why: impl Into<String>) -> Refused {
        Refused::Bad { index, why: why.into() }
    }

    /// The place of the event in its batch.
    pub fn index(&self) -> Option<usize> {
        match self {
            Refused::Unsupported | Refused::TooMany { .. } => None,
            Refused::Bad { index, .. } | Refused::NoRule { index } => *index,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index() {
            write!(f, "event {index} of the batch: ")?;
        }
        match self {
            Refused::Unsupported => f.write_str(
                "Content-Type must be application/cloudevents+json or application/cloudevents-batch+json, or there must be ce- fields",
            ),
            Refused::TooMany { most } => write!(f, "a batch may have {most} events"),
            Refused::Bad { why, .. } => f.write_str(why),
            Refused::NoRule { .. } => f.write_str("no [[events.rule]] is for this event"),
        }
    }
}
