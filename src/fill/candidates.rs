//! What is stored and may be confirmed by the origin instead of being sent again (RFC 9111 §4.3.1, §4.3.4).

use crate::rfc9111;
use crate::store::{Entry, Standing};
use http::HeaderMap;
use http::header::ETAG;
use std::sync::Arc;

/// Stored answers that an origin may confirm.
#[derive(Clone, Debug)]
pub enum Candidates {
    /// There is none.
    None,
    /// The one that would be used.
    One(Arc<Entry>),
    /// Other variants of what is asked for: the origin may say by its entity tag that one of them is meant (RFC 9111 §4.3.1).
    Others(Vec<Arc<Entry>>),
}

impl Candidates {
    /// Most variants that are offered in one question.
    const MOST: usize = 8;

    /// The variants that can be told apart by strong entity tags.
    pub fn variants<'a>(all: impl Iterator<Item = &'a Arc<Entry>>) -> Self {
        let usable = |entry: &&Arc<Entry>| {
            entry.standing() == Standing::Current
                && entry.etag().is_some_and(rfc9111::is_strong)
                && can_be_confirmed(entry)
        };
        let others: Vec<_> = all.filter(usable).take(Self::MOST).cloned().collect();
        if others.is_empty() { Candidates::None } else { Candidates::Others(others) }
    }

    /// The one that would be used, if there is one.
    pub fn one(&self) -> Option<&Arc<Entry>> {
        match self {
            Candidates::One(entry) => Some(entry),
            Candidates::None | Candidates::Others(_) => None,
        }
    }

    /// Without what can't be confirmed.
    #[must_use]
    pub fn confirmable(self) -> Self {
        match &self {
            Candidates::One(entry) if !can_be_confirmed(entry) => Candidates::None,
            Candidates::One(_) | Candidates::Others(_) | Candidates::None => self,
        }
    }

    /// Those that nothing has invalidated. Who has waited may come with one that a write ended meanwhile, and with many an origin's
    /// tags a 304 would bring it back; so this is looked at after the epoch of the question was noted.
    pub(super) fn current(&self) -> Self {
        let holds = |entry: &Arc<Entry>| entry.standing() != Standing::Invalidated;
        match self {
            Candidates::One(entry) if holds(entry) => self.clone(),
            Candidates::Others(all) => match all.iter().filter(|entry| holds(entry)).cloned().collect::<Vec<_>>() {
                all if all.is_empty() => Candidates::None,
                all => Candidates::Others(all),
            },
            Candidates::One(_) | Candidates::None => Candidates::None,
        }
    }

    /// Whether a question is conditional on them: a 304 to any other one is about nothing that is here.
    pub(super) fn are_offered(&self) -> bool {
        match self {
            Candidates::None => false,
            Candidates::One(stored) => stored.etag().is_some() || stored.last_modified().is_some(),
            Candidates::Others(_) => true,
        }
    }

    /// Makes a request conditional on them.
    pub(super) fn add_to(&self, request: &mut HeaderMap) {
        match self {
            Candidates::None => {}
            Candidates::One(stored) => {
                rfc9111::add_validators(request, stored.etag(), stored.last_modified());
            }
            Candidates::Others(all) => rfc9111::offer(request, all.iter().filter_map(|entry| entry.etag())),
        }
    }

    /// The one that a 304 is about (RFC 9111 §4.3.4).
    pub(super) fn confirmed_by(&self, not_modified: &HeaderMap) -> Option<&Arc<Entry>> {
        match self {
            Candidates::None => None,
            Candidates::One(stored) => Some(stored).filter(|s| rfc9111::identifies(not_modified, &s.fields.unpack(0))),
            // Without a tag it might mean any of them.
            Candidates::Others(_) if !not_modified.contains_key(ETAG) => None,
            Candidates::Others(all) => all.iter().find(|s| rfc9111::identifies(not_modified, &s.fields.unpack(0))),
        }
    }
}

/// Scopes beyond which a stored answer is fetched anew instead of being confirmed, and parts stay apart: each 304, and each part,
/// adds its tags to those that the answer has (DESIGN rule 9), which must end somewhere.
pub(super) const MOST_SCOPES: usize = 256;

fn can_be_confirmed(entry: &Entry) -> bool {
    entry.content.get().is_some() && entry.held.len() <= MOST_SCOPES
}
