//! Fields meant for caches like this one: targeted fields (RFC 9213) and `Surrogate-Control` (Edge Architecture 1.0).
//!
//! A targeted field takes the place of `Cache-Control` and `Expires` altogether; the first of the target list that is valid and not
//! empty counts (§2.2). It is a structured field: one parsing error and it counts as absent (§2.1). A directive
//! whose value has the wrong type is read as its strictest.
//!
//! `Surrogate-Control` is no standard. It takes the place of a lifetime only: what `Cache-Control` forbids stays forbidden. Where it
//! names this cache (`max-age=60;freshgate`, as the origin is offered by `Surrogate-Capability`) it is as good as a field of our
//! own and takes the place of `no-store` and `no-cache` as well, but not of `private`.

use super::directives::{Argument, Member, ResponseDirectives, delta_seconds, smaller};
use crate::rfc9110::fields::list_bytes;
use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// The target list, the most applicable first (RFC 9213 §2.2).
pub const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("freshgate-cache-control"), HeaderName::from_static("cdn-cache-control")];

/// `Surrogate-Control`. It stays with the stored answer, so that a 304 leaves its lifetime in force; whoever delivers strips it.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// The directives of the first targeted field that is valid and not empty; `None` if there is none.
pub fn targeted(response: &HeaderMap) -> Option<ResponseDirectives> {
    TARGETS.iter().find_map(|name| read(response, name))
}

fn read(response: &HeaderMap, name: &HeaderName) -> Option<ResponseDirectives> {
    if !response.contains_key(name) {
        return None;
    }
    // RFC 9651 §4.2: all lines are one value, joined by commas, before it is parsed.
    let lines: Vec<&[u8]> = response.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let members: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
    if members.is_empty() {
        return None;
    }
    let mut said = ResponseDirectives::default();
    for (key, member) in &members {
        apply(&mut said, key.as_str(), member);
    }
    Some(said)
}

/// Types by RFC 9213 §2.1: true for no argument, an integer for seconds, a string or token for field names.
fn apply(said: &mut ResponseDirectives, name: &str, member: &ListEntry) {
    let ListEntry::Item(item) = member else { return said.apply(name, Argument::Wrong) };
    let value = &item.bare_item;
    if value.as_boolean() == Some(false) && !takes_seconds(name) {
        return;
    }
    let number = value.as_integer().map(|number| number.to_string());
    let argument = match (&number, text(value)) {
        (Some(number), _) if takes_seconds(name) => Argument::Text(number.as_bytes()),
        (None, Some(text)) if !takes_seconds(name) => Argument::Text(text.as_bytes()),
        _ if value.as_boolean() == Some(true) => Argument::None,
        _ => Argument::Wrong,
    };
    said.apply(name, argument);
}

fn text(value: &BareItem) -> Option<&str> {
    value.as_string().map(|string| string.as_str()).or_else(|| value.as_token().map(|token| token.as_str()))
}

fn takes_seconds(name: &str) -> bool {
    matches!(name, "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error")
}

/// How `Surrogate-Control` names this cache.
pub const SURROGATE_NAME: &str = "freshgate";

/// What `Surrogate-Control` says. Other directives of it are about content, not about caching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surrogate {
    /// `max-age` in seconds; zero if the field can't be read.
    pub max_age: Option<u64>,
    /// Whether that is meant for this cache by name.
    pub by_name: bool,
    /// `no-store`, for whichever surrogate.
    pub no_store: bool,
}

/// For whom a directive is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addressee {
    All,
    Us,
    Other,
}

impl Surrogate {
    /// Reads `Surrogate-Control`. A lifetime for a named other surrogate (`max-age=60;name`) doesn't count, one for us counts
    /// before one for all; of `max-age=60+30` the freshness counts and the extension doesn't.
    pub fn parse(response: &HeaderMap) -> Self {
        let (mut said, mut for_all, mut unreadable) = (Surrogate::default(), None, false);
        for member in list_bytes(response, &SURROGATE_CONTROL) {
            let (directive, addressee) = split(member);
            match Member::read(directive) {
                Member::Directive(name, _) if name == "no-store" => said.no_store = true,
                Member::Directive(name, argument) if name == "max-age" => {
                    let seconds = argument.as_deref().and_then(fresh_seconds).unwrap_or(0);
                    match addressee {
                        Addressee::All => for_all = smaller(for_all, seconds),
                        Addressee::Us => said.max_age = smaller(said.max_age, seconds),
                        Addressee::Other => {}
                    }
                }
                Member::Directive(..) => {}
                Member::Malformed(_) => unreadable = true,
            }
        }
        if unreadable {
            return Surrogate { max_age: Some(0), by_name: false, ..said };
        }
        said.by_name = said.max_age.is_some();
        Surrogate { max_age: said.max_age.or(for_all), ..said }
    }
}

/// A directive without its target, and for whom it is.
fn split(member: &[u8]) -> (&[u8], Addressee) {
    let quoted = member.contains(&b'"');
    match member.iter().position(|&b| b == b';' && !quoted) {
        Some(at) if member[at + 1..].trim_ascii() == SURROGATE_NAME.as_bytes() => {
            (member[..at].trim_ascii(), Addressee::Us)
        }
        Some(at) => (member[..at].trim_ascii(), Addressee::Other),
        None => (member, Addressee::All),
    }
}

fn fresh_seconds(argument: &[u8]) -> Option<u64> {
    let mut parts = argument.splitn(2, |&b| b == b'+');
    let fresh = delta_seconds(parts.next()?)?;
    parts.next().is_none_or(|extension| delta_seconds(extension).is_some()).then_some(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;
    use crate::rfc9111::directives::Extent;

    fn cdn(value: &str) -> Option<ResponseDirectives> {
        targeted(&fields_of(&[("cdn-cache-control", value)]))
    }

    #[test]
    fn types_by_rfc_9213_section_2_1() {
        let base = ResponseDirectives::default;
        let cases: &[(&str, &str, Option<ResponseDirectives>)] = &[
            ("§2", "max-age=60", Some(ResponseDirectives { max_age: Some(60), ..base() })),
            ("§2.1 boolean", "no-store", Some(ResponseDirectives { no_store: true, ..base() })),
            ("§2.1 parameters are ignored", "max-age=60;x=1", Some(ResponseDirectives { max_age: Some(60), ..base() })),
            ("§3.1 unknown only", "none", Some(base())),
            ("§2.1 empty counts as absent", "", None),
            ("§2.1 parsing error counts as absent", "max-age=60,,no-store", None),
            ("§2.1 keys are lower case", "Max-Age=60", None),
            ("§2.1 a quote never closed", "max-age=60, private=\"x", None),
            ("string for seconds", "max-age=\"60\"", Some(ResponseDirectives { max_age: Some(0), ..base() })),
            ("decimal", "max-age=60.0", Some(ResponseDirectives { max_age: Some(0), ..base() })),
            ("negative", "max-age=-1", Some(ResponseDirectives { max_age: Some(0), ..base() })),
            ("no argument", "max-age", Some(ResponseDirectives { max_age: Some(0), ..base() })),
            ("inner list", "max-age=(1 2)", Some(ResponseDirectives { max_age: Some(0), ..base() })),
            (
                "RFC 9651 §3.2 the last of equal keys",
                "max-age=1, max-age=9",
                Some(ResponseDirectives { max_age: Some(9), ..base() }),
            ),
            ("explicitly not", "no-store=?0, max-age=5", Some(ResponseDirectives { max_age: Some(5), ..base() })),
            ("wrong type still forbids", "no-store=1", Some(ResponseDirectives { no_store: true, ..base() })),
            ("wrong type doesn't permit", "public=1", Some(base())),
            ("private of a wrong type", "private=1", Some(ResponseDirectives { private: Extent::Whole, ..base() })),
        ];
        for (why, value, want) in cases {
            assert_eq!(cdn(value), *want, "{why}");
        }
        let fields = cdn("no-cache=\"x-a, x-b\"").unwrap().no_cache;
        assert_eq!(fields.fields().len(), 2, "§2.1 a string of field names");
    }

    #[test]
    fn the_first_valid_target_counts() {
        let both =
            |ours| targeted(&fields_of(&[("cdn-cache-control", "max-age=2"), ("freshgate-cache-control", ours)]));
        assert_eq!(both("max-age=1").unwrap().max_age, Some(1), "§2.2");
        assert_eq!(both("max-age=").unwrap().max_age, Some(2), "§2.2 an invalid one is passed over");
        let lines = fields_of(&[("cdn-cache-control", "max-age=2"), ("cdn-cache-control", "no-store")]);
        assert!(targeted(&lines).unwrap().no_store, "RFC 9651 §4.2 several lines");
        assert_eq!(targeted(&fields_of(&[("other-cache-control", "max-age=2")])), None, "§2.2 not on the list");
    }

    #[test]
    fn surrogate_control() {
        let of = |value: &str| Surrogate::parse(&fields_of(&[("surrogate-control", value)]));
        let said = |max_age, no_store| Surrogate { max_age, by_name: false, no_store };
        let ours = |max_age| Surrogate { max_age: Some(max_age), by_name: true, no_store: false };
        let cases: &[(&str, &str, Surrogate)] = &[
            ("plain", "max-age=60", said(Some(60), false)),
            ("extension", "max-age=60+30", said(Some(60), false)),
            ("bad extension", "max-age=60+x", said(Some(0), false)),
            ("content only", "content=\"ESI/1.0\"", said(None, false)),
            ("forbidden", "no-store, max-age=60", said(Some(60), true)),
            ("for another", "max-age=5;other, max-age=60", said(Some(60), false)),
            ("for us", "max-age=60, max-age=90;freshgate", ours(90)),
            ("for us, strictest", "max-age=60 ; freshgate, max-age=90;freshgate", ours(60)),
            ("for us, unreadable", "max-age=x;freshgate, max-age=60", ours(0)),
            ("for us, beside what can't be read", "max-age=60;freshgate, max-age = 60", said(Some(0), false)),
            ("for one whose name is ours in capitals", "max-age=60;Freshgate", said(None, false)),
            ("forbidden for another", "no-store;other", said(None, true)),
            ("strictest", "max-age=60, max-age=5", said(Some(5), false)),
            ("unreadable", "max-age = 60", said(Some(0), false)),
            ("remote only", "no-store-remote", said(None, false)),
        ];
        for (why, value, want) in cases {
            assert_eq!(of(value), *want, "{why}");
        }
    }
}
