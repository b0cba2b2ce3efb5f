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
        Json::String(text) if text == REDACTED => match old {
            Some(old @ Json::String(_)) => *value = old.clone(),
            Some(_) | None => {
                let message = format!("\"{REDACTED}\" stands for what the file says, and the file says nothing here");
                faults.push(FieldFault::new(key, message));
            }
        },
        Json::Array(items) => {
            let olds = old.and_then(Json::as_array);
            for (n, item) in items.iter_mut().enumerate() {
                let old = olds.and_then(|olds| counterpart(item, n, olds));
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

/// What the file has in the place of this item: that of the same name, where they have names, or that of the same number.
fn counterpart<'a>(item: &Json, n: usize, olds: &'a [Json]) -> Option<&'a Json> {
    match ["user", "name"].iter().find_map(|key| Some((key, item.get(key)?))) {
        Some((key, own)) => olds.iter().find(|old| old.get(key) == Some(own)),
        None => olds.get(n),
    }
}
