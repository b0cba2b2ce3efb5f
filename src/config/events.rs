//! `[events]`, `[[events.rule]]`.

use super::address::path;
use super::bounds;
use super::sources::{shown_source, sources};
use super::table::{Table, Value};
use crate::events::{Dropped, Object, Purging, Rule, Settings, Template, When, Wildcard, Within};
use crate::policy::Api;
use crate::purge::Target;
use crate::units::{show_duration, show_size};
use serde_json::json;

/// What rules can name.
pub(super) struct Known<'a> {
    /// Every `[[api]]`.
    pub(super) apis: &'a [Api],
    /// The names of `[[objects.namespace]]`.
    pub(super) namespaces: &'a [String],
    /// Channels that are known beside those of `[[events.source]]`.
    pub(super) channels: &'a [String],
}

/// Reads `[events]`.
pub(super) fn events(root: &Table<'_>, known: &Known<'_>) -> Settings {
    let mut settings = Settings::default();
    let Some(t) = root.table("events") else { return settings };
    if let Some(t) = t.table("duplicates") {
        t.set("window", &mut settings.duplicates.window, |v| v.duration(&bounds::DUPLICATES_WINDOW));
        t.set("count", &mut settings.duplicates.count, |v| v.count(bounds::DUPLICATES_COUNT));
        t.finish();
    }
    t.set("batch", &mut settings.batch, |v| v.count(bounds::EVENT_BATCH));
    t.set("body", &mut settings.body, |v| v.size(bounds::EVENT_BODY));
    settings.sources = sources(&t);
    let channels = settings.sources.iter().flat_map(|source| source.kind.channels());
    let channels: Vec<String> = known.channels.iter().chain(channels).cloned().collect();
    let known = &Known { channels: &channels, ..*known };
    settings.rules = t.tables("rule", bounds::EVENT_RULES).into_iter().filter_map(|t| rule(t, known)).collect();
    t.finish();
    settings
}

fn rule(t: Table<'_>, known: &Known<'_>) -> Option<Rule> {
    let when = t.need("when", "which events it is for, such as { type = \"codes.updated\" }", |v| when(v, known));
    let invalidate = t.get("invalidate", |v| one_or_more(v, |v| dropped(v, known)));
    let refresh = t.get("refresh", |v| one_or_more(v, |v| object(v, known)));
    let purge = t.get("purge", |v| one_or_more(v, |v| purging(v, known)));
    if ["invalidate", "refresh", "purge"].iter().all(|name| t.find(name).is_none()) {
        t.at.fault("does nothing, expected invalidate, refresh or purge; `purge = []` if nothing is to be done");
    }
    t.finish();
    let (invalidate, refresh, purge) =
        (invalidate.unwrap_or_default(), refresh.unwrap_or_default(), purge.unwrap_or_default());
    Some(Rule { when: when?, invalidate, refresh, purge })
}

/// A list, or one without the brackets.
fn one_or_more<'a, T>(value: &Value<'a>, read: impl Fn(&Value<'a>) -> Option<T>) -> Option<Vec<T>> {
    if value.value.is_array() { value.list(bounds::EVENT_ACTIONS, read) } else { read(value).map(|one| vec![one]) }
}

fn when(value: &Value<'_>, known: &Known<'_>) -> Option<When> {
    let t = value.table()?;
    let pattern = |v: &Value<'_>| {
        v.parsed(|text| if text.is_empty() { Err("an empty text is no attribute") } else { Ok(Wildcard::new(text)) })
    };
    let (kind, channel) = (t.get("type", pattern), t.get("channel", pattern));
    let (source, subject) = (t.get("source", pattern), t.get("subject", pattern));
    if ["type", "channel", "source", "subject"].iter().all(|name| t.find(name).is_none()) {
        t.at.fault("is for every event, expected at least one of type, channel, source and subject; `type = \"*\"` if that is meant");
    }
    let when = When { kind, channel, source, subject };
    if !when.reaches(known.channels) {
        t.place_of("channel").fault("no [[events.source]] has such a channel, and what comes by HTTP has none");
    }
    t.finish();
    Some(when)
}

fn dropped(value: &Value<'_>, known: &Known<'_>) -> Option<Dropped> {
    if value.value.is_str() {
        object(value, known).map(Dropped::Object)
    } else if value.value.is_table() {
        purging(value, known).map(Dropped::Responses)
    } else {
        value.wrong(
            "an object such as \"tax-codes/{subject}\", or a table such as { api = \"shop/v1\", tag = \"{subject}\" }",
        )
    }
}

fn object(value: &Value<'_>, known: &Known<'_>) -> Option<Object> {
    let object = value.parsed(Object::parse)?;
    if !known.namespaces.contains(&object.namespace) {
        value.at.fault(format!("there is no [[objects.namespace]] `{}`", object.namespace));
    }
    Some(object)
}

fn purging(value: &Value<'_>, known: &Known<'_>) -> Option<Purging> {
    let t = value.table()?;
    let narrowed = t.find("api").is_some();
    let api = t.get("api", |v| v.parsed(|text| api(text, known)));
    let within = within(&t, narrowed);
    let soft = t.get("soft", Value::bool).unwrap_or(false);
    let place = ["path", "prefix"].into_iter().find(|name| t.find(name).is_some()).map(|name| t.place_of(name));
    t.finish();
    if narrowed && api.is_none() {
        return None;
    }
    let purging = Purging { api, within: within?, soft };
    if let Some(place) = place
        && !is_answered(&purging.within, purging.api.as_deref(), known)
    {
        place.fault("no API answers on such a path; a path here is the public one");
    }
    if !known.channels.is_empty() && !narrowed && purging.widened().target == Target::All {
        value.at.remark("after a gap in a source's messages this invalidates everything; `api` narrows it");
    }
    Some(purging)
}

/// What is meant: one of a few, or all of an API.
fn within(t: &Table<'_>, narrowed: bool) -> Option<Within> {
    let all = t.get("all", |v| match v.bool()? {
        true => Some(Within::All),
        false => v.wrong("true, or another selector"),
    });
    let found = [
        all,
        t.get("path", |v| v.parsed(path_template)).map(Within::Path),
        t.get("prefix", |v| v.parsed(path_template)).map(Within::Prefix),
        t.get("tag", |v| v.parsed(template)).map(Within::Tag),
        t.get("user", |v| v.parsed(template)).map(Within::User),
    ];
    let given: Vec<_> =
        ["all", "path", "prefix", "tag", "user"].into_iter().filter(|name| t.find(name).is_some()).collect();
    match given[..] {
        [] if narrowed => return Some(Within::Api),
        [] => t.at.fault("purges nothing, expected one of api, path, prefix, tag, user and all"),
        ["all"] if narrowed => {
            t.place_of("all").fault("can't be narrowed by api; give api alone to mean all of one API");
        }
        [_] => return found.into_iter().flatten().next(),
        _ => t.at.fault(format!("has {}, expected one of them", given.join(" and "))),
    }
    None
}

/// The id of an API that there is; each namespace is one.
fn api(text: &str, known: &Known<'_>) -> Result<String, String> {
    let is_namespace = text.strip_prefix("objects/").is_some_and(|name| known.namespaces.iter().any(|n| n == name));
    if is_namespace || known.apis.iter().any(|api| api.id() == text) {
        return Ok(text.into());
    }
    Err("there is no such API; write it as name/version".into())
}

fn template(text: &str) -> Result<Template, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("expected at least one character and no blanks".into());
    }
    Template::parse(text)
}

/// A path that is canonical whatever its names stand for.
fn path_template(text: &str) -> Result<Template, String> {
    let template = template(text)?;
    path(&template.example("x"))?;
    Ok(template)
}

/// Whether an API answers on this path, or may do so once its names are filled in; or below it, for a prefix.
fn is_answered(within: &Within, api: Option<&str>, known: &Known<'_>) -> bool {
    let (Within::Path(text) | Within::Prefix(text)) = within else { return true };
    let fixed = text.fixed();
    let above = if text.is_open() { fixed.to_owned() } else { format!("{}/", fixed.trim_end_matches('/')) };
    let may_be_above = text.is_open() || matches!(within, Within::Prefix(_));
    let namespaces = known.namespaces.iter().map(|name| (format!("objects/{name}"), format!("/{name}")));
    let mut all = known.apis.iter().map(|api| (api.id(), api.path.clone())).chain(namespaces);
    all.any(|(id, path)| {
        let path = format!("{path}/");
        let is_below = format!("{fixed}/").starts_with(&path);
        api.is_none_or(|api| api == id) && (is_below || may_be_above && path.starts_with(&above))
    })
}

/// `[events]` as the file writes it.
pub(super) fn shown(settings: &Settings) -> serde_json::Value {
    let Settings { duplicates, batch, body, rules, sources } = settings;
    let mut section = json!({
        "duplicates": { "window": show_duration(duplicates.window), "count": duplicates.count },
        "batch": batch,
        "body": show_size(*body),
    });
    section["rule"] = rules.iter().map(shown_rule).collect();
    if !sources.is_empty() {
        section["source"] = sources.iter().map(shown_source).collect();
    }
    section
}

fn shown_rule(Rule { when, invalidate, refresh, purge }: &Rule) -> serde_json::Value {
    let asked =
        [("type", &when.kind), ("channel", &when.channel), ("source", &when.source), ("subject", &when.subject)];
    let asked =
        asked.into_iter().filter_map(|(name, pattern)| Some((name.to_owned(), json!(pattern.as_ref()?.text()))));
    let dropped = |dropped: &Dropped| match dropped {
        Dropped::Object(object) => json!(object.text()),
        Dropped::Responses(purging) => purging.json(),
    };
    json!({
        "when": asked.collect::<serde_json::Map<_, _>>(),
        "invalidate": invalidate.iter().map(dropped).collect::<Vec<_>>(),
        "refresh": refresh.iter().map(Object::text).collect::<Vec<_>>(),
        "purge": purge.iter().map(Purging::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
