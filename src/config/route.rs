//! `[[api.route]]` and `[[api.purge]]`.

use super::address::segment;
use super::bounds;
use super::reader::Place;
use super::rules::rules;
use super::table::{Table, Value};
use crate::policy::{Methods, Pattern, PurgeRule, Route, Rules, Template, parse_on};
use std::sync::Arc;

/// What `on` must look like.
const ON: &str = "methods and a path such as \"PUT,DELETE /books/{id}\"";

/// Reads the routes of an API whose own rules are `base`.
pub(super) fn routes(api: &Table<'_>, base: &Rules) -> Vec<Route> {
    let mut seen: Vec<(Place<'_>, (Methods, Pattern))> = Vec::new();
    let mut routes = Vec::new();
    for t in api.tables("route", bounds::ROUTES) {
        let on = t.need("on", ON, on);
        let rules = Arc::new(rules(&t, base));
        let fixed = ["name", "version", "path", "host", "upstream", "route", "purge"];
        t.forbid(&fixed, "belongs to the API as a whole; a route can't override it");
        let place = t.place_of("on");
        t.finish();
        let Some((methods, path)) = on else { continue };
        let on = (methods.clone(), path.clone());
        if let Some((first, _)) = seen.iter().find(|(_, other)| *other == on) {
            place.warn(format!("never reached: the route in line {} takes the same requests", first.line()));
        }
        seen.push((place, on));
        routes.push(Route { methods, path, rules });
    }
    routes
}

/// Reads what writes purge beside what `invalidate` says.
pub(super) fn purges(api: &Table<'_>) -> Vec<PurgeRule> {
    let mut rules = Vec::new();
    for t in api.tables("purge", bounds::PURGES) {
        let on = t.need("on", ON, on);
        let names: Option<Vec<&str>> = on.as_ref().map(|(_, path)| path.names().collect());
        let paths =
            t.get("paths", |v| v.list(bounds::PURGED, |v| purged_path(v, names.as_deref()))).unwrap_or_default();
        let tags = t.get("tags", |v| v.list(bounds::PURGED, |v| purged_tag(v, names.as_deref()))).unwrap_or_default();
        if t.find("paths").is_none() && t.find("tags").is_none() {
            t.at.fault("purges nothing, expected paths or tags");
        }
        t.finish();
        if let Some((methods, path)) = on {
            rules.push(PurgeRule { methods, path, paths, tags });
        }
    }
    rules
}

fn on(value: &Value<'_>) -> Option<(Methods, Pattern)> {
    value.parsed(|text| {
        let (methods, path) = parse_on(text).map_err(|bad| bad.to_string())?;
        canonical(&path)?;
        Ok::<_, String>((methods, path))
    })
}

/// The words of a pattern are compared with canonical paths, so they must be canonical themselves.
fn canonical(pattern: &Pattern) -> Result<(), String> {
    let is_word = |part: &&str| !part.is_empty() && !part.starts_with(['*', '{']);
    pattern.text().split('/').filter(is_word).try_for_each(segment)
}

fn purged_path(value: &Value<'_>, names: Option<&[&str]>) -> Option<Pattern> {
    value.parsed(|text| {
        let pattern = Pattern::parse(text).map_err(|bad| bad.to_string())?;
        canonical(&pattern)?;
        known(pattern.names(), names)?;
        Ok::<_, String>(pattern)
    })
}

fn purged_tag(value: &Value<'_>, names: Option<&[&str]>) -> Option<Template> {
    value.parsed(|text| {
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("a tag has at least one character and no blanks".into());
        }
        let template = Template::parse(text).map_err(|bad| bad.to_string())?;
        known(template.names(), names)?;
        Ok::<_, String>(template)
    })
}

/// Whether each name that is used stands in `on`; nothing is said where `on` itself is wrong.
fn known<'n>(mut used: impl Iterator<Item = &'n str>, names: Option<&[&str]>) -> Result<(), String> {
    match used.find(|name| names.is_some_and(|names| !names.contains(name))) {
        Some(name) => Err(format!("`on` has no `{{{name}}}`")),
        None => Ok(()),
    }
}
