//! What may have changed unheard: everything that messages which were lost could have named.
//!
//! Nothing is loaded for it: a whole namespace at once would be a storm at its source. Readers come by themselves.

use super::rule::{Dropped, Rule};
use crate::purge::{Selector, Target};

/// Selectors of all that the rules reachable from these channels could name, objects before responses.
pub(super) fn widened<S: AsRef<str>>(rules: &[Rule], channels: &[S]) -> Vec<Selector> {
    let (mut objects, mut responses) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.when.reaches(channels)) {
        objects.extend(rule.refresh.iter().map(|object| object.widened()));
        responses.extend(rule.purge.iter().map(|purging| purging.widened()));
        for dropped in &rule.invalidate {
            match dropped {
                Dropped::Object(object) => objects.push(object.widened()),
                Dropped::Responses(purging) => responses.push(purging.widened()),
            }
        }
    }
    objects.append(&mut responses);
    once_each(objects)
}

/// Without those that stand twice; everything where that is meant.
fn once_each(all: Vec<Selector>) -> Vec<Selector> {
    let mut kept: Vec<Selector> = Vec::new();
    if let Some(everything) = all.iter().find(|selector| selector.target == Target::All && !selector.soft) {
        return vec![everything.clone()];
    }
    for selector in all {
        if !kept.contains(&selector) {
            kept.push(selector);
        }
    }
    kept
}
