//! Which URLs of one path get the same answer although their queries differ (No-Vary-Search, draft-ietf-httpbis-no-vary-search).
//!
//! Read strictly, as the draft wants: whatever isn't understood means that every difference counts, which costs hits only.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};
use std::collections::BTreeSet;

/// The field.
pub const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// What of a query an answer depends on; never all of it, which is what no field means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlVariation {
    params: Params,
    /// Whether the order of parameters counts.
    order: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Params {
    /// Those that don't count.
    AllBut(BTreeSet<Vec<u8>>),
    /// Those that do.
    Only(BTreeSet<Vec<u8>>),
}

impl UrlVariation {
    /// What a response says ("obtain a URL variation config"); `None` if everything counts.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        if !response.contains_key(NO_VARY_SEARCH) {
            return None;
        }
        let lines: Vec<&[u8]> = response.get_all(NO_VARY_SEARCH).iter().map(HeaderValue::as_bytes).collect();
        let members: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
        let order = match members.get("key-order") {
            None => true,
            Some(ListEntry::Item(item)) => !item.bare_item.as_boolean()?,
            Some(ListEntry::InnerList(_)) => return None,
        };
        let params = match (members.get("params"), members.get("except")) {
            (Some(ListEntry::InnerList(names)), None) => Params::AllBut(read(names)?),
            (None, Some(ListEntry::InnerList(names))) => Params::Only(read(names)?),
            _ => return None,
        };
        let everything = Params::AllBut(BTreeSet::new());
        (params != everything || !order).then_some(UrlVariation { params, order })
    }

    /// Writes the rule: two that differ write different bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, names) = match &self.params {
            Params::AllBut(names) => (0, names),
            Params::Only(names) => (1, names),
        };
        out.extend_from_slice(&[kind, u8::from(self.order)]);
        for name in names {
            out.extend_from_slice(&(name.len() as u64).to_le_bytes());
            out.extend_from_slice(name);
        }
    }

    /// What counts of a query, decoded, written so that two queries are equivalent exactly when they write the same.
    pub fn minded(&self, query: &[u8]) -> Vec<u8> {
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> =
            query.split(|&b| b == b'&').filter(|s| !s.is_empty()).map(pair).collect();
        pairs.retain(|(name, _)| match &self.params {
            Params::AllBut(names) => !names.contains(name),
            Params::Only(names) => names.contains(name),
        });
        if !self.order {
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let mut out = Vec::new();
        for text in pairs.into_iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(&text);
        }
        out
    }
}

/// The names that a rule lists; `None` if one isn't a string, or there are more than anybody means.
fn read(names: &InnerList) -> Option<BTreeSet<Vec<u8>>> {
    const MOST: usize = 64;
    if names.items.len() > MOST {
        return None;
    }
    let name = |item: &BareItem| Some(decoded(item.as_string()?.as_str().as_bytes()));
    names.items.iter().map(|item| name(&item.bare_item)).collect()
}

/// A name and a value as the parser of `application/x-www-form-urlencoded` sees them (URL Standard, 5.1).
fn pair(sequence: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let equals = sequence.iter().position(|&b| b == b'=');
    let (name, value) = equals.map_or((sequence, &b""[..]), |at| (&sequence[..at], &sequence[at + 1..]));
    (decoded(name), decoded(value))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;

    fn of(value: &str) -> Option<UrlVariation> {
        UrlVariation::of(&fields_of(&[("no-vary-search", value)]))
    }

    #[test]
    fn what_is_not_understood_means_that_everything_counts() {
        for value in [
            "",
            "params=()",
            "key-order",
            "key-order=?0",
            "key-order=\"not a boolean\", params=(\"a\")",
            "params=\"not an inner list\"",
            "params=(not-a-string)",
            "params=?1",
            "params",
            "params=?1, except=(\"x\")",
            "params=(\"a\"), except=(\"x\")",
            "except=\"not an inner list\"",
            "except=(not-a-string)",
            "except=?1",
            "params=(\"a\"",
            "PARAMS=(\"a\")",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
        assert_eq!(UrlVariation::of(&fields_of(&[])), None);
        let list = |names: usize| (0..names).map(|n| format!("\"p{n}\"")).collect::<Vec<_>>().join(" ");
        assert_eq!(of(&format!("params=({})", list(65))), None, "more names than anybody means");
        assert!(of(&format!("params=({})", list(64))).is_some());
        assert!(of("params=(\"a\"), new=1").is_some(), "what may be defined one day is passed over");
        let lines = fields_of(&[("no-vary-search", "params=(\"a\")"), ("no-vary-search", "key-order")]);
        assert_eq!(UrlVariation::of(&lines), of("params=(\"a\"), key-order"), "RFC 9651 §4.2");
    }

    #[test]
    fn which_queries_are_equivalent() {
        let rows: &[(&str, &str, &str, bool)] = &[
            ("params=(\"b\")", "a=1&b=2", "b=3&a=1", true),
            ("params=(\"b\")", "a=1&b=2", "a=2&b=2", false),
            ("params=(\"b\")", "a=1&c=2", "c=2&a=1", false),
            ("key-order, params=(\"b\")", "a=1&c=2", "c=2&a=1", true),
            ("key-order, params=()", "a=1&c=2", "c=2&a=1", true),
            ("key-order, params=()", "a=1&a=2", "a=2&a=1", false),
            ("except=(\"a\")", "a=1&b=2", "c&a=1", true),
            ("except=(\"a\")", "a=1", "b=1", false),
            ("except=()", "a=1", "b=1", true),
            ("except=(\"a\")", "a=1&a=2", "a=1", false),
            ("params=(\"x\")", "", "&&", true),
            ("params=(\"x\")", "a=x", "%61=%78", true),
            ("params=(\"x\")", "a=%f6", "a=%ef%bf%bd", true),
            ("params=(\"x\")", "a=", "a", true),
            ("params=(\"x\")", "a=%20", "a=+", true),
            ("params=(\"x\")", "a=b=c", "a=b%3Dc", true),
            ("params=(\"%C3%A9+%E6%B0%97\")", "%C3%A9+%E6%B0%97=1", "%C3%A9%20%e6%b0%97=2", true),
            ("params=(\"x\")", "a=1&b=", "a=1b", false),
        ];
        for (rule, a, b, want) in rows {
            let rule = of(rule).unwrap();
            assert_eq!(rule.minded(a.as_bytes()) == rule.minded(b.as_bytes()), *want, "{rule:?}: {a} and {b}");
        }
    }
}
