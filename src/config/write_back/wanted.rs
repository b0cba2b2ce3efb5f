//! What an API shall be after a change.

use crate::admin::{Change, FieldFault};
use crate::config::shown::REDACTED;
use serde_json::{Map, Value as Json};

/// The whole `[[api]]` as it shall be, or every fault. `old` is what the file says.
pub(super) fn wanted(
    (name, version): (&str, &str),
    change: &Change,
    old: Option<&Map<String, Json>>,
) -> Result<Map<String, Json>, Vec<FieldFault>> {
    let empty = Map::new();
    let before = old.unwrap_or(&empty);
    let mut new = match change {
        Change::Put(said) => said.clone(),
        Change::Patch(patch) => {
            let mut new = before.clone();
            merge(&mut new, patch);
            new
        }
        Change::Remove => Map::new(),
    };
    let mut faults = Vec::new();
    for (key, own) in [("name", name), ("version", version)] {
        let said = new.entry(key).or_insert_with(|| Json::from(own));
        if said != own {
            faults.push(FieldFault::new(key, format!("found {said}, expected \"{own}\" as in the path of the call")));
        }
    }
    for (key, value) in &mut new {
        restore(value, before.get(key), key, &mut faults);
    }
    if faults.is_empty() { Ok(new) } else { Err(faults) }
}

fn merge(into: &mut Map<String, Json>, patch: &Map<String, Json>) {
    for (key, said) in patch {
        match said {
            Json::Null => drop(into.remove(key)),
            Json::Object(patch) => {
                let inner = into.entry(key).or_insert_with(|| Json::Object(Map::new()));
                if !inner.is_object() {
                    *inner = Json::Object(Map::new());
                }
                inner.as_object_mut().into_iter().for_each(|inner| merge(inner, patch));
            }
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                into.insert(key.clone(), said.clone());
            }
        }
    }
}

/// Puts what the file says in the place of the word that stands for a secret, and faults what TOML can't say.
fn restore(value: &mut Json, old: Option<&Json>, key: &str, faults: &mut Vec<FieldFault>) {
    match value {
        Json::Null => {
            faults.push(FieldFault::new(key, "found null, expected a value; leave the key out to take it away"))
        }
        Json::Number(number) if number.as_i64().is_none() && number.as_u64().is_some() => {
            faults.push(FieldFault::new(key, format!("found {number}, expected at most {}", i64::MAX)));
        }
        Json::String(text) if text == REDACTED || bare(text).is_some() => match old {
            Some(old @ Json::String(said)) if stands_for(text, said) => *value = old.clone(),
            Some(_) | None => {
                let message = format!(
                    "\"{REDACTED}\" stands for what the file says, and it isn't clear what that is here; write it anew"
                );
                faults.push(FieldFault::new(key, message));
            }
        },
        Json::Array(items) => {
            let olds = old.and_then(Json::as_array);
            let count = items.len();
            for (n, item) in items.iter_mut().enumerate() {
                let old = olds.and_then(|olds| counterpart(item, (n, count), olds));
                restore(item, old, &format!("{key}[{n}]"), faults);
            }
        }
        Json::Object(members) => {
            for (name, member) in members.iter_mut() {
                restore(member, old.and_then(|old| old.get(name)), &format!("{key}.{name}"), faults);
            }
        }
        Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// What is before the word, of a URL whose query it stands for.
fn bare(text: &str) -> Option<&str> {
    text.strip_suffix(REDACTED)?.strip_suffix('?')
}

/// Whether this is how `said` is shown.
fn stands_for(text: &str, said: &str) -> bool {
    bare(text).is_none_or(|bare| said.split_once('?').is_some_and(|(before, _)| before == bare))
}

/// What the file has in the place of this item of so many: the one of the same name, where they have names, and else the one of the same
/// number. Of several with that name it is the one that says the same but for what isn't shown; where that isn't clear it is none: a
/// secret must not come to be somebody else's, or what is for one right come to be for another.
fn counterpart<'a>(item: &Json, (n, count): (usize, usize), olds: &'a [Json]) -> Option<&'a Json> {
    let Some((key, own)) = ["user", "name", "on"].iter().find_map(|key| Some((key, item.get(key)?))) else {
        return olds.get(n).filter(|_| count == olds.len());
    };
    let mut of_it = olds.iter().filter(|old| old.get(key) == Some(own));
    match (of_it.next(), of_it.next()) {
        (one, None) => one,
        (Some(_), Some(_)) | (None, Some(_)) => {
            let mut same = olds.iter().filter(|old| is_shown_as(old, item));
            same.next().filter(|_| same.next().is_none())
        }
    }
}

/// Whether `item` says what `old` says, but for what isn't shown.
fn is_shown_as(old: &Json, item: &Json) -> bool {
    match (old, item) {
        (Json::String(said), Json::String(text)) if text == REDACTED || bare(text).is_some() => stands_for(text, said),
        (Json::Object(old), Json::Object(item)) => {
            old.len() == item.len()
                && item.iter().all(|(key, value)| old.get(key).is_some_and(|old| is_shown_as(old, value)))
        }
        (Json::Array(old), Json::Array(item)) => {
            old.len() == item.len() && old.iter().zip(item).all(|(old, item)| is_shown_as(old, item))
        }
        (old, item) => old == item,
    }
}
