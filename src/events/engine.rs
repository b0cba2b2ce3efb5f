//! Acts on events, and says what was done.
//!
//! # Whole or not at all
//! Of a request with several events each must be for some rule, or nothing is done. After that nothing fails any more: what a rule can't do for
//! an event (a name that the event doesn't have, a path that no API answers on) is skipped and said, since there is nothing stored that it could mean.
//!
//! # Objects first
//! Responses are made of objects: an origin looks up a code in the object cache, and its answer is kept. If responses were invalidated
//! first, one could be asked for right after that, be made of the old object, and be kept. So all objects that a request's events
//! mean are invalidated before the first response is, whatever the order of rules and events.
//!
//! # Duplicates
//! An event is remembered when it has been acted on, not before: one that comes twice at the same time is acted on twice, which changes
//! nothing, while the second sender would else be told of something that is yet to be done.

use super::cloud_event::{Event, is_batch, read};
use super::counts::{Counts, Fate, Via};
use super::gap::{self, Widened};
use super::message::{Message, understand};
use super::refused::Refused;
use super::rule::{Dropped, Object, Purging, Rule};
use super::seen::{Mark, Seen, mark};
use super::settings::{Duplicates, Settings};
use super::source::News;
use crate::audit::{Act, Audit, Who};
use crate::clock::Clock;
use crate::purge::{BadSelector, Purged, Selector};
use crate::reached::{Bound, Reached};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use utoipa::ToSchema;

/// Applies a selector; all that it names is invalidated when it returns.
pub type Purge<'a> = dyn Fn(&Selector) -> Result<Purged, BadSelector> + 'a;

/// Does something about the object of a namespace with this key, which is as it is and not as it is written in a URL.
pub type OfObject<'a> = dyn Fn(&str, &str) -> Result<(), String> + 'a;

/// What is done about events, by those who have the answers and the objects of the configuration in force.
pub struct Hands<'a> {
    /// Invalidates responses.
    pub purge: &'a Purge<'a>,
    /// Invalidates an object. An error says why there can be none.
    pub drop: &'a OfObject<'a>,
    /// Invalidates an object, and loads it from its source behind, bounded. An error says why it isn't loaded; it may not be invalidated either.
    pub refresh: &'a OfObject<'a>,
}

/// Acts on events. One for the whole process: what it has seen outlives every configuration.
pub struct Engine {
    seen: Mutex<Seen>,
    counts: Counts,
    clock: Clock,
    reached: Arc<Reached>,
    audit: Arc<Audit>,
}

/// What was done about an event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Told {
    /// Its `id`.
    pub id: Option<String>,
    /// Its `source`.
    pub source: Option<String>,
    /// Whether it had been acted on before; then nothing was done.
    pub duplicate: bool,
    /// What each rule that is for it did.
    pub rules: Vec<Fired>,
}

impl Told {
    /// The same for the audit.
    pub fn act(&self) -> Act {
        let Told { id, source, duplicate, rules } = self;
        Act::Event { id: id.clone(), source: source.clone(), duplicate: *duplicate, did: json!(rules) }
    }
}

/// What one rule did for one event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Fired {
    /// Its place in the file, from 0.
    pub rule: usize,
    /// What it did, in that order; with `skipped` what it couldn't, and why.
    #[schema(value_type = Vec<Object>)]
    pub did: Vec<Value>,
}

/// Objects come before responses.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Objects,
    Responses,
}

impl Engine {
    /// Nothing has been seen yet.
    pub fn new(duplicates: &Duplicates, clock: Clock, reached: Arc<Reached>) -> Self {
        let audit = Arc::new(Audit::new(clock.clone()));
        Engine { seen: Mutex::new(Seen::new(duplicates)), counts: Counts::default(), clock, reached, audit }
    }

    /// What sources make it do is told there.
    pub fn audited(self, audit: Arc<Audit>) -> Self {
        Engine { audit, ..self }
    }

    /// After a reload: these settings hold, and what was seen stays.
    pub fn change(&self, duplicates: &Duplicates) {
        self.seen().change(duplicates);
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many events are remembered.
    pub fn remembered(&self) -> usize {
        self.seen().len()
    }

    /// Acts on the events of a request; all that they mean is invalidated when this returns.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn ask(
        &self,
        settings: &Settings,
        (fields, body): (&HeaderMap, &[u8]),
        hands: &Hands<'_>,
    ) -> Result<Vec<Told>, Refused> {
        let told =
            read(fields, body, settings.batch).and_then(|events| self.act(&settings.rules, Via::Http, &events, hands));
        match &told {
            Err(Refused::NoRule { .. }) => self.counts.note(Via::Http, Fate::NoRule),
            Err(_) => self.counts.note(Via::Http, Fate::Refused),
            Ok(_) => {}
        }
        match told {
            Err(Refused::NoRule { .. }) if !is_batch(fields) => Err(Refused::NoRule { index: None }),
            told => told,
        }
    }

    /// Acts on the news of a source that listens to `channels`; all that they mean is invalidated when this returns.
    pub fn hear<S: AsRef<str>>(
        &self,
        settings: &Settings,
        (via, channels): (Via, &[S]),
        news: News,
        hands: &Hands<'_>,
    ) {
        let News::Message { channel, payload } = news else {
            self.counts.gap(via);
            return self.widen(&settings.rules, (via, channels), "messages may have been lost", hands);
        };
        match understand(&channel, &payload, settings.body) {
            Message::Something(why) => {
                self.counts.note(via, Fate::Refused);
                self.widen(
                    &settings.rules,
                    (via, &[&channel]),
                    &format!("a message can't be understood: {why}"),
                    hands,
                );
            }
            Message::Event(event) => match self.act(&settings.rules, via, &[event], hands) {
                Ok(told) => self.tell_all(via, &channel, &told),
                Err(_) => {
                    self.counts.note(via, Fate::NoRule);
                    tracing::debug!(via = via.name(), channel, "no [[events.rule]] is for this message");
                }
            },
        }
    }

    /// Invalidates all that the rules could mean that are for these channels.
    fn widen<S: AsRef<str>>(&self, rules: &[Rule], from: (Via, &[S]), why: &str, hands: &Hands<'_>) {
        let (via, channels) = (from.0.name(), from.1.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "));
        let all = gap::widened(rules, from.1);
        tracing::warn!(via, channels, number = all.len(), "{why}; all that could be meant is invalidated");
        for one in all {
            let (shown, done) = match &one {
                Widened::Object { namespace, key } => {
                    (json!(format!("{namespace}/{key}")), (hands.drop)(namespace, key).map(|()| None))
                }
                Widened::Selected(selector) => {
                    let purged = (hands.purge)(selector).map_err(|bad| bad.to_string());
                    (selector.json(), purged.map(|purged| Some(purged.epoch)))
                }
            };
            let who = Who::Source(via, channels.clone());
            self.audit.record(&who, Act::Gap { invalidated: shown, outcome: done });
        }
    }

    fn act(&self, rules: &[Rule], via: Via, events: &[Event], hands: &Hands<'_>) -> Result<Vec<Told>, Refused> {
        let mut told = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let met = rules.iter().enumerate().filter(|(_, rule)| rule.when.is_for(event));
            let met: Vec<_> = met.map(|(rule, _)| Fired { rule, did: Vec::new() }).collect();
            if met.is_empty() {
                return Err(Refused::NoRule { index: Some(index) });
            }
            told.push(Told { id: event.id.clone(), source: event.source.clone(), duplicate: false, rules: met });
        }
        let marks: Vec<Option<Mark>> = events.iter().map(mark).collect();
        self.find_duplicates(&marks, &mut told);
        for turn in [Turn::Objects, Turn::Responses] {
            for (event, told) in events.iter().zip(&mut told) {
                for fired in &mut told.rules {
                    let Some(rule) = rules.get(fired.rule) else { continue };
                    self.take_turn(turn, rule, event, &mut fired.did, hands);
                }
            }
        }
        for (mark, told) in marks.iter().zip(&mut told) {
            self.counts.note(via, if told.duplicate { Fate::Duplicate } else { Fate::Applied });
            told.rules.iter().for_each(|_| self.counts.fired());
            if let (Some(mark), false) = (mark, told.duplicate)
                && self.seen().remember(*mark, self.clock.mono())
            {
                self.reached.note(Bound::EventDuplicates);
            }
        }
        Ok(told)
    }

    /// Marks those that were seen before, or stand further up in the same request; no rule is for them.
    fn find_duplicates(&self, marks: &[Option<Mark>], told: &mut [Told]) {
        let (mut seen, now, mut here) = (self.seen(), self.clock.mono(), HashSet::new());
        for (mark, told) in marks.iter().zip(told) {
            let Some(mark) = mark else { continue };
            if !here.insert(mark) || seen.has(mark, now) {
                told.duplicate = true;
                told.rules.clear();
            }
        }
    }

    /// Does what a rule does in this turn.
    fn take_turn(&self, turn: Turn, rule: &Rule, event: &Event, did: &mut Vec<Value>, hands: &Hands<'_>) {
        let takes = |is_of_objects: bool| is_of_objects == (turn == Turn::Objects);
        for dropped in &rule.invalidate {
            match dropped {
                Dropped::Object(object) if takes(true) => did.push(self.drop_object(object, event, hands)),
                Dropped::Responses(purging) if takes(purging.is_of_objects()) => {
                    did.push(self.drop_responses("invalidate", purging, event, hands));
                }
                Dropped::Object(_) | Dropped::Responses(_) => {}
            }
        }
        for object in rule.refresh.iter().filter(|_| takes(true)) {
            did.push(self.refresh(object, event, hands));
        }
        for purging in rule.purge.iter().filter(|purging| takes(purging.is_of_objects())) {
            did.push(self.drop_responses("purge", purging, event, hands));
        }
    }

    fn drop_object(&self, object: &Object, event: &Event, hands: &Hands<'_>) -> Value {
        let key = match object.key.fill(event) {
            Ok(key) => key,
            Err(why) => return self.skipped("invalidate", json!(object.text()), &why),
        };
        match (hands.drop)(&object.namespace, &key) {
            Ok(()) => self.done(json!({ "invalidate": object.shown(&key) })),
            Err(why) => self.skipped("invalidate", object.shown(&key), &why),
        }
    }

    /// An object that can't be loaded is invalidated all the same: the reader who comes for it loads it.
    fn refresh(&self, object: &Object, event: &Event, hands: &Hands<'_>) -> Value {
        let key = match object.key.fill(event) {
            Ok(key) => key,
            Err(why) => return self.skipped("refresh", json!(object.text()), &why),
        };
        let Err(not_loaded) = (hands.refresh)(&object.namespace, &key) else {
            return self.done(json!({ "refresh": object.shown(&key) }));
        };
        match (hands.drop)(&object.namespace, &key) {
            Ok(()) => self.done(json!({ "refresh": object.shown(&key), "not_loaded": not_loaded })),
            Err(why) => self.skipped("refresh", object.shown(&key), &why),
        }
    }

    fn drop_responses(&self, name: &str, purging: &Purging, event: &Event, hands: &Hands<'_>) -> Value {
        match purging.selector(event) {
            Err(why) => self.skipped(name, purging.json(), &why),
            Ok(selector) => self.purged(name, &selector, hands),
        }
    }

    /// Applies a selector for an action that is called `name`.
    fn purged(&self, name: &str, selector: &Selector, hands: &Hands<'_>) -> Value {
        match (hands.purge)(selector) {
            Ok(Purged { invalidated, epoch }) => {
                self.done(json!({ name: selector.json(), "invalidated": invalidated, "epoch": epoch }))
            }
            Err(bad) => self.skipped(name, selector.json(), &bad.to_string()),
        }
    }

    fn done(&self, what: Value) -> Value {
        self.counts.action(true);
        what
    }

    fn skipped(&self, name: &str, written: Value, why: &str) -> Value {
        self.counts.action(false);
        json!({ name: written, "skipped": why })
    }

    /// A line in the audit for each event of a source.
    fn tell_all(&self, via: Via, channel: &str, told: &[Told]) {
        let who = Who::Source(via.name(), channel.to_owned());
        told.iter().for_each(|told| self.audit.record(&who, told.act()));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
