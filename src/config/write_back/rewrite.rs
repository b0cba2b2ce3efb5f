//! The text of a file with one `[[api]]` changed.

use super::diff;
use super::json::{of_table, of_value, same};
use super::layout::{Api, Read, apis, sections};
use super::render;
use super::splice::Splice;
use super::wanted::wanted;
use crate::admin::{Change, FieldFault};
use serde_json::{Map, Value as Json};
use std::ops::Range;
use toml_edit::{Document, Item, Value};

/// A new text.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewritten {
    /// All of it.
    pub text: String,
    /// Which `[[api]]` of the new text it is; `None` where it was removed.
    pub index: Option<usize>,
    /// What it said before, as JSON; `None` where it is new.
    pub old: Option<Map<String, Json>>,
    /// What it says now; empty where it was removed.
    pub new: Map<String, Json>,
}

impl Rewritten {
    /// The keys that differ, in the order of the alphabet.
    pub fn changed(&self) -> Vec<&str> {
        let differs = |key: &&String| match (self.old.as_ref().and_then(|old| old.get(*key)), self.new.get(*key)) {
            (Some(old), Some(new)) => !same(old, new),
            _ => true,
        };
        let keys = self.old.iter().flat_map(Map::keys).chain(self.new.keys());
        let mut all: Vec<&str> = keys.filter(differs).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Why there is no new text.
#[derive(Clone, Debug, PartialEq)]
pub enum Unwritten {
    /// The file has no such `[[api]]`.
    NoSuchApi,
    /// What is wanted can't be said.
    Faults(Vec<FieldFault>),
    /// The file is laid out in a way that can't be edited here; why.
    Layout(&'static str),
}

/// The text after `change` of the API of this name and version. Only [`Change::Put`] makes one that isn't there.
///
/// # Errors
/// Why there is none.
pub fn rewrite(text: &str, (name, version): (&str, &str), change: &Change) -> Result<Rewritten, Unwritten> {
    // Every line has an end while it is edited.
    let ended = text.is_empty() || text.ends_with('\n');
    let whole = if ended { text.to_owned() } else { format!("{text}\n") };
    let document = Document::parse(whole.as_str()).map_err(|_| Unwritten::Layout("it isn't TOML"))?;
    let all = apis(&document);
    let index = all.iter().position(|api| api.named() == Some((name, version)));
    let old = index.map(|index| all[index].json());
    if old.is_none() && !matches!(change, Change::Put(_)) {
        return Err(Unwritten::NoSuchApi);
    }
    let new = if *change == Change::Remove {
        Map::new()
    } else {
        wanted((name, version), change, old.as_ref()).map_err(Unwritten::Faults)?
    };
    let mut out = Splice::of(&whole);
    match document.get("api") {
        Some(Item::Value(list @ Value::Array(_))) => inline(&mut out, list, (index, &new), change),
        Some(Item::ArrayOfTables(_)) | None => match (index.map(|index| &all[index]), change) {
            (Some(Api::Table(table)), Change::Remove) => remove(&mut out, &sections(&whole, table)),
            (Some(Api::Table(table)), Change::Put(_) | Change::Patch(_)) => diff::table(&mut out, "api", table, &new),
            (Some(Api::Inline(_)) | None, _) => register(&mut out, &all, &new),
        },
        Some(Item::None | Item::Value(_) | Item::Table(_)) => return Err(Unwritten::Layout("`api` is no list there")),
    }
    let mut text = out.done();
    if !ended && text.ends_with('\n') {
        text.pop();
    }
    let says = expected(&document, index, &new, *change == Change::Remove);
    let read = Document::parse(text.as_str()).is_ok_and(|read| same(&Json::Object(of_table(read.as_table())), &says));
    if !read {
        return Err(Unwritten::Layout("its tables stand in an order that isn't edited here"));
    }
    let index = (*change != Change::Remove).then(|| index.unwrap_or(all.len()));
    Ok(Rewritten { text, index, old, new })
}

/// What the new text has to say.
fn expected(document: &Read<'_>, index: Option<usize>, new: &Map<String, Json>, removed: bool) -> Json {
    let mut says = of_table(document.as_table());
    let mut list = match says.remove("api") {
        Some(Json::Array(list)) => list,
        Some(_) | None => Vec::new(),
    };
    let inline = matches!(document.get("api"), Some(Item::Value(_)));
    match index {
        Some(index) if removed => drop(list.remove(index)),
        Some(index) => list[index] = Json::Object(new.clone()),
        None => list.push(Json::Object(new.clone())),
    }
    if inline || !list.is_empty() {
        says.insert("api".into(), Json::Array(list));
    }
    Json::Object(says)
}

/// `api = […]`.
fn inline(out: &mut Splice<'_>, list: &Value, (index, new): (Option<usize>, &Map<String, Json>), change: &Change) {
    let mut items = of_value(list).as_array().cloned().unwrap_or_default();
    match index {
        Some(index) if *change == Change::Remove => drop(items.remove(index)),
        Some(index) => items[index] = Json::Object(new.clone()),
        None => items.push(Json::Object(new.clone())),
    }
    diff::value(out, list, &Json::Array(items));
}

/// After the last one, and the comments that stand directly below it.
fn register(out: &mut Splice<'_>, all: &[Api<'_>], new: &Map<String, Json>) {
    let last = all.iter().rev().find_map(|api| match api {
        Api::Table(table) => sections(out.text(), table).last().map(|section| section.end),
        Api::Inline(_) => None,
    });
    let at = match last {
        Some(end) => comments_after(out, end).unwrap_or(end),
        None => out.text().len(),
    };
    let text = render::one("api", new, out.end);
    let first = at == 0 || out.line(out.line_start(at - 1)).trim().is_empty();
    let text = if first { text.trim_start_matches(['\r', '\n']).to_owned() } else { text };
    let more = out.text().get(at..).is_some_and(|rest| !rest.is_empty() && !out.line(at).trim().is_empty());
    let end = if more { out.end } else { "" };
    out.insert(at, format!("{text}{end}"));
}

/// Where the comments end that stand directly at `at`, if an empty line or nothing follows: they belong to what is above.
fn comments_after(out: &Splice<'_>, mut at: usize) -> Option<usize> {
    while at < out.text().len() {
        let line = out.line(at).trim();
        if line.is_empty() {
            return Some(at);
        }
        if !line.starts_with('#') {
            return None;
        }
        at = out.line_end(at);
    }
    Some(at)
}

/// All tables of an API, with the comments in it, directly above it and directly below it.
fn remove(out: &mut Splice<'_>, sections: &[Range<usize>]) {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for section in sections {
        match pieces.last_mut() {
            Some(last) if is_between(out.text().get(last.end..section.start)) => last.end = section.end,
            Some(_) | None => pieces.push(section.clone()),
        }
    }
    for mut piece in pieces {
        piece.end = comments_after(out, piece.end).unwrap_or(piece.end);
        piece.start = comments_before(out, piece.start);
        out.remove_lines(piece);
    }
}

/// Whether nothing but comments stands there.
fn is_between(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')))
}

/// Where the comments begin that stand directly above; those at the top of the file are the file's.
fn comments_before(out: &Splice<'_>, start: usize) -> usize {
    let mut at = start;
    while at > 0 {
        let above = out.line_start(at - 1);
        if !out.line(above).trim().starts_with('#') {
            return at;
        }
        at = above;
    }
    start
}
