//! What may have changed unheard: everything that messages which were lost could have named.
//!
//! Nothing is loaded for it: a whole namespace at once would be a storm at its source. Readers come by themselves.

use super::rule::{Dropped, Object, Purging, Rule};
use crate::purge::{Selector, Target};

/// Something that may have been meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Widened {
    /// One object.
    Object { namespace: String, key: String },
    /// Everything that this selects.
    Selected(Selector),
}

fn object(object: &Object) -> Widened {
    match object.is_open() {
        true => Widened::Selected(object.namespace()),
        false => Widened::Object { namespace: object.namespace.clone(), key: object.key.text().into() },
    }
}

/// All that the rules reachable from these channels could name, objects before responses.
pub(super) fn widened<S: AsRef<str>>(rules: &[Rule], channels: &[S]) -> Vec<Widened> {
    let (mut objects, mut responses) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.when.reaches(channels)) {
        objects.extend(rule.refresh.iter().map(object));
        responses.extend(rule.purge.iter().map(responses_of));
        for dropped in &rule.invalidate {
            match dropped {
                Dropped::Object(dropped) => objects.push(object(dropped)),
                Dropped::Responses(purging) => responses.push(responses_of(purging)),
            }
        }
    }
    objects.append(&mut responses);
    once_each(objects)
}

fn responses_of(purging: &Purging) -> Widened {
    Widened::Selected(purging.widened())
}

/// Without those that stand twice; everything where that is meant.
fn once_each(all: Vec<Widened>) -> Vec<Widened> {
    let is_everything =
        |one: &&Widened| matches!(one, Widened::Selected(Selector { target: Target::All, soft: false, .. }));
    if let Some(everything) = all.iter().find(is_everything) {
        return vec![everything.clone()];
    }
    let mut kept: Vec<Widened> = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}
