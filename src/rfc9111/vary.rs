//! For which requests a stored answer is the right one (RFC 9111 §4.1).
//!
//! Field values are compared after the only changes that are always harmless: whitespace at the ends and around
//! commas outside quotes, several lines of one field taken as one list, and capitals where the field's own words have
//! none (RFC 9110 §8.4.1, §12.5.4). The order of a list stays: origins take it for the order of preference. What differs in any
//! other way doesn't match, which costs a request to the origin and nothing else.

use crate::rfc9110::fields::{list_bytes, members};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_ENCODING, COOKIE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// More names than this and the answer counts as `Vary: *`: it would hardly match twice.
const MOST_NAMES: usize = 32;

/// What an answer varies by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// `*`, or a field that can't be read: it matches no request.
    Any,
    /// These request fields, in order of their names and each once; none at all is the common case.
    Fields(Vec<HeaderName>),
}

impl Vary {
    /// Reads `Vary` (RFC 9110 §12.5.5).
    pub fn parse(response: &HeaderMap) -> Self {
        let mut names = Vec::new();
        for member in list_bytes(response, &VARY) {
            match HeaderName::from_bytes(member) {
                // "*" is a token, so it would pass for a name.
                Ok(name) if member != b"*" => names.push(name),
                Ok(_) | Err(_) => return Vary::Any,
            }
        }
        Vary::of(names)
    }

    fn of(mut names: Vec<HeaderName>) -> Self {
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        if names.len() > MOST_NAMES { Vary::Any } else { Vary::Fields(names) }
    }
}

/// What an answer to `request` is really keyed by: its `Vary`; also `Origin` where it reflects the request's origin in
/// `Access-Control-Allow-Origin`; and, where only the operator's ttl makes it reusable, `Accept` and `Accept-Language`, since
/// an origin that says nothing about caching has seldom thought of `Vary`; and `Accept-Encoding`, where it is encoded.
pub fn effective(request: &HeaderMap, response: &HeaderMap, only_by_ttl: bool) -> Vary {
    let Vary::Fields(mut names) = Vary::parse(response) else { return Vary::Any };
    if reflects_origin(request, response) {
        names.push(ORIGIN);
    }
    if only_by_ttl {
        names.extend([ACCEPT, ACCEPT_LANGUAGE]);
        if response.contains_key(CONTENT_ENCODING) {
            names.push(ACCEPT_ENCODING);
        }
    }
    Vary::of(names)
}

fn reflects_origin(request: &HeaderMap, response: &HeaderMap) -> bool {
    let asked =
        |allowed: &HeaderValue| request.get_all(ORIGIN).iter().any(|origin| trimmed(origin) == trimmed(allowed));
    response.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().any(|allowed| trimmed(allowed) != b"*" && asked(allowed))
}

fn trimmed(value: &HeaderValue) -> &[u8] {
    value.as_bytes().trim_ascii()
}

/// The request fields that an answer was chosen by, with their values in the request that it answered. Kept with
/// every stored answer; an empty one takes no memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection(Box<[Selected]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Selected {
    name: HeaderName,
    /// Normalised; `None` if the field was absent.
    value: Option<Box<[u8]>>,
}

impl Selection {
    /// Notes the values that `request` has for these fields.
    pub fn capture(names: &[HeaderName], request: &HeaderMap) -> Self {
        let noted = |name: &HeaderName| Selected {
            name: name.clone(),
            value: request.contains_key(name).then(|| normalised(name, request).into_boxed_slice()),
        };
        Selection(names.iter().map(noted).collect())
    }

    /// Whether this request would have been given the same answer (§4.1).
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|selected| match (&selected.value, request.get(&selected.name)) {
            (None, None) => true,
            (Some(value), Some(first)) => same(value, &selected.name, first, request),
            (None, Some(_)) | (Some(_), None) => false,
        })
    }

    /// Writes what `request` has in these fields: requests of one variant write the same, others don't.
    pub fn write_variant(&self, request: &HeaderMap, out: &mut Vec<u8>) {
        for name in self.names() {
            let value = request.contains_key(name).then(|| normalised(name, request));
            out.extend_from_slice(name.as_str().as_bytes());
            out.push(b':');
            out.extend_from_slice(&value.as_ref().map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
            out.extend_from_slice(&value.unwrap_or_default());
        }
    }

    /// What two answers to one request depend on together.
    #[must_use]
    pub fn and(&self, other: &Selection) -> Selection {
        let has = |name: &HeaderName| self.names().any(|own| own == name);
        let more = other.0.iter().filter(|selected| !has(&selected.name));
        Selection(self.0.iter().chain(more).cloned().collect())
    }

    /// Each field with what was noted of it; `None` if it was absent.
    pub fn noted(&self) -> impl Iterator<Item = (&HeaderName, Option<&[u8]>)> {
        self.0.iter().map(|selected| (&selected.name, selected.value.as_deref()))
    }

    /// What [`noted`](Self::noted) said of another one.
    pub fn of_noted(noted: impl IntoIterator<Item = (HeaderName, Option<Box<[u8]>>)>) -> Self {
        Selection(noted.into_iter().map(|(name, value)| Selected { name, value }).collect())
    }

    /// Whether every request matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|selected| &selected.name)
    }

    /// Bytes of memory beside the value itself.
    pub fn weight(&self) -> usize {
        let value = |s: &Selected| s.value.as_ref().map_or(0, |value| value.len());
        self.0.iter().map(|s| size_of::<Selected>() + s.name.as_str().len() + value(s)).sum()
    }
}

/// Compares without allocating where one line is the noted value letter for letter, as it mostly is.
fn same(value: &[u8], name: &HeaderName, first: &HeaderValue, request: &HeaderMap) -> bool {
    let one_line = request.get_all(name).iter().nth(1).is_none();
    (one_line && first.as_bytes() == value) || normalised(name, request) == value
}

/// All lines of a field as one value, without optional whitespace. `Cookie` is no list: its lines are joined by a
/// semicolon (RFC 9113 §8.2.3) and its commas are its own.
fn normalised(name: &HeaderName, request: &HeaderMap) -> Vec<u8> {
    let lines = request.get_all(name).into_iter().map(trimmed);
    if name == COOKIE {
        return lines.collect::<Vec<_>>().join(&b"; "[..]);
    }
    let mut value = lines.flat_map(members).collect::<Vec<_>>().join(&b","[..]);
    if *name == ACCEPT_LANGUAGE || *name == ACCEPT_ENCODING {
        value.make_ascii_lowercase();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};
    use proptest::prelude::*;

    fn parsed(lines: Lines<'_>) -> Option<Vec<String>> {
        match Vary::parse(&fields_of(lines)) {
            Vary::Any => None,
            Vary::Fields(names) => Some(names.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn vary_by_rfc_9110_12_5_5() {
        let many: String = (0..40).map(|n| format!("x-{n},")).collect();
        let cases: &[(&str, Lines<'_>, Option<&[&str]>)] = &[
            ("absent", &[], Some(&[])),
            ("empty", &[("vary", " , ")], Some(&[])),
            ("without case, each once, in order", &[("vary", "b, A,B")], Some(&["a", "b"])),
            ("several lines", &[("vary", "b"), ("vary", "a")], Some(&["a", "b"])),
            ("star", &[("vary", "*")], None),
            ("star among others", &[("vary", "a, *")], None),
            ("star in a second line", &[("vary", "a"), ("vary", "*")], None),
            ("no name", &[("vary", "a b")], None),
            ("a quote", &[("vary", "\"a, b\"")], None),
            ("too many", &[("vary", &many)], None),
        ];
        for (why, lines, want) in cases {
            let want = want.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(parsed(lines), want, "{why}");
        }
    }

    #[test]
    fn requests_match_by_4_1() {
        let cases: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
            ("both absent", &[], &[], true),
            ("absent only matches absent", &[], &[("x", "")], false),
            ("absent only matches absent, turned", &[("x", "")], &[], false),
            ("same", &[("x", "a, b")], &[("x", "a, b")], true),
            ("whitespace", &[("x", " a ,\tb ")], &[("x", "a,b")], true),
            ("lines combined", &[("x", "a"), ("x", "b")], &[("x", "a, b")], true),
            ("the second line counts", &[("x", "a")], &[("x", "a"), ("x", "b")], false),
            ("order", &[("x", "a, b")], &[("x", "b, a")], false),
            ("case", &[("x", "a")], &[("x", "A")], false),
            (
                "RFC 9110 §12.5.4 languages",
                &[("accept-language", "en-NZ, de")],
                &[("accept-language", "EN-nz,De")],
                true,
            ),
            ("§12.5.4 their order", &[("accept-language", "en, de")], &[("accept-language", "de, en")], false),
            ("RFC 9110 §8.4.1 codings", &[("accept-encoding", "GZIP;Q=1")], &[("accept-encoding", "gzip;q=1")], true),
            ("whitespace inside", &[("x", "a b")], &[("x", "ab")], false),
            ("whitespace in quotes", &[("x", "\"a, b\"")], &[("x", "\"a,b\"")], false),
            ("empty member", &[("x", "a,,b")], &[("x", "a,b")], false),
            ("other field", &[("x", "a"), ("y", "1")], &[("x", "a"), ("y", "2")], true),
            ("RFC 9113 §8.2.3 cookie lines", &[("cookie", "a=1"), ("cookie", "b=2")], &[("cookie", "a=1; b=2")], true),
            ("a comma in a cookie", &[("cookie", "a=1"), ("cookie", "b=2")], &[("cookie", "a=1,b=2")], false),
        ];
        let names = [HeaderName::from_static("x"), COOKIE, ACCEPT_LANGUAGE, ACCEPT_ENCODING];
        for (why, asked, presented, want) in cases {
            let selection = Selection::capture(&names, &fields_of(asked));
            assert_eq!(selection.matches(&fields_of(presented)), *want, "{why}");
        }
    }

    #[test]
    fn what_an_answer_is_really_keyed_by() {
        let origin: Lines<'_> = &[("origin", "https://a.example")];
        let allowed: Lines<'_> = &[("access-control-allow-origin", "https://a.example")];
        let star: Lines<'_> = &[("access-control-allow-origin", "*")];
        let fields = |names: &[HeaderName]| Vary::Fields(names.to_vec());
        let of = |request, response, ttl| effective(&fields_of(request), &fields_of(response), ttl);
        assert_eq!(of(origin, allowed, false), fields(&[ORIGIN]));
        assert_eq!(of(origin, star, false), fields(&[]));
        assert_eq!(of(&[("origin", "*")], star, false), fields(&[]));
        assert_eq!(of(&[], allowed, false), fields(&[]));
        assert_eq!(of(&[("origin", "null")], &[("access-control-allow-origin", "null")], false), fields(&[ORIGIN]));
        assert_eq!(of(&[], &[], true), fields(&[ACCEPT, ACCEPT_LANGUAGE]));
        assert_eq!(
            of(&[], &[("vary", "accept, x")], true),
            fields(&[ACCEPT, ACCEPT_LANGUAGE, HeaderName::from_static("x")])
        );
        assert_eq!(of(&[], &[("vary", "*")], true), Vary::Any);
        let encoded = of(&[], &[("content-encoding", "gzip")], true);
        assert_eq!(encoded, fields(&[ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE]));
        assert_eq!(of(&[], &[("content-encoding", "gzip")], false), fields(&[]));
    }

    #[test]
    fn an_empty_selection_weighs_nothing() {
        let selection = Selection::capture(&[], &fields_of(&[("x", "1")]));
        assert!(selection.is_empty() && selection.weight() == 0 && selection.matches(&fields_of(&[])));
        assert!(size_of::<Selection>() <= 16);
    }

    proptest! {
        #[test]
        fn a_request_matches_itself_and_nothing_that_reads_otherwise(
            a in proptest::collection::vec("[ ,\"\\\\ab]{0,8}", 0..3), b in proptest::collection::vec("[ ,\"\\\\ab]{0,8}", 0..3),
        ) {
            let lines = |values: &[String]| fields_of(&values.iter().map(|v| ("x", v.as_str())).collect::<Vec<_>>());
            let name = HeaderName::from_static("x");
            let selection = Selection::capture(std::slice::from_ref(&name), &lines(&a));
            prop_assert!(selection.matches(&lines(&a)));
            if selection.matches(&lines(&b)) {
                let bare = |values: &[String]| values.join(",").replace(' ', "");
                prop_assert_eq!(bare(&a), bare(&b));
            }
        }
    }
}
