//! The fields of a stored answer in one compact block: a `HeaderMap` per entry would cost about 1.5 KiB.
//!
//! The answers of an API name the same fields in the same order, thousands of times over. Their names are kept once
//! for all of them ([`Names`]); what is an answer's own is one block: where each value ends, then the values.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Lists of names that are kept to be shared. An origin that invents names beyond that pays with memory of its own entries.
const MOST_LISTS: usize = 1024;

/// Bytes that say where a value ends.
const END: usize = size_of::<u32>();

/// The lists of names that answers share.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashSet<Arc<[HeaderName]>>>);

/// Field lines in their order.
#[derive(Clone, Debug)]
pub struct Fields {
    names: Arc<[HeaderName]>,
    /// For each name where its value ends, counted from the first value; then the values.
    block: Bytes,
}

impl Names {
    /// Packs the lines of `map`.
    pub fn pack(&self, map: &HeaderMap) -> Fields {
        let names: Vec<HeaderName> = map.iter().map(|(name, _)| name.clone()).collect();
        let values: usize = map.values().map(HeaderValue::len).sum();
        let mut block = Vec::with_capacity(names.len() * END + values);
        let mut end = 0;
        for value in map.values() {
            end += value.len();
            block.extend_from_slice(&u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes());
        }
        for value in map.values() {
            block.extend_from_slice(value.as_bytes());
        }
        Fields { names: self.shared(names), block: block.into() }
    }

    fn shared(&self, names: Vec<HeaderName>) -> Arc<[HeaderName]> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.get(names.as_slice()) {
            return Arc::clone(list);
        }
        let list: Arc<[HeaderName]> = names.into();
        if lists.len() < MOST_LISTS {
            lists.insert(Arc::clone(&list));
        }
        list
    }
}

impl Fields {
    /// The lines as a map, with room for `spare` more.
    pub fn unpack(&self, spare: usize) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.names.len() + spare);
        let mut start = self.names.len() * END;
        for (at, name) in self.names.iter().enumerate() {
            let end = self.end(at);
            let value = self.block.slice(start..end);
            start = end;
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                map.append(name.clone(), value);
            }
        }
        map
    }

    /// The value of the first line called `name`.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let at = self.names.iter().position(|n| n == name)?;
        let start = if at == 0 { self.names.len() * END } else { self.end(at - 1) };
        self.block.get(start..self.end(at))
    }

    /// Bytes of memory it takes, without the names, which it shares.
    pub fn size(&self) -> usize {
        self.block.len()
    }

    /// Where the value of line `at` ends in the block.
    fn end(&self, at: usize) -> usize {
        let bytes = self.block.get(at * END..(at + 1) * END).and_then(|b| b.try_into().ok());
        let end = bytes.map_or(0, u32::from_le_bytes) as usize + self.names.len() * END;
        end.min(self.block.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_what_was_packed() {
        let mut map = HeaderMap::new();
        for (name, value) in [("etag", "\"a\""), ("x-two", "1"), ("x-two", ""), ("date", "caf\u{e9}")] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_static(name), value);
        }
        let names = Names::default();
        let fields = names.pack(&map);
        assert_eq!(fields.unpack(2), map);
        assert_eq!(fields.get(&http::header::ETAG), Some(&b"\"a\""[..]));
        assert_eq!(fields.get(&http::header::DATE), Some("caf\u{e9}".as_bytes()));
        assert_eq!(fields.get(&HeaderName::from_static("x-two")), Some(&b"1"[..]));
        assert_eq!(fields.get(&http::header::AGE), None);
        assert_eq!(names.pack(&HeaderMap::new()).unpack(0), HeaderMap::new());
    }

    #[test]
    fn names_are_kept_once_and_not_without_end() {
        let names = Names::default();
        let of =
            |name: &str| HeaderMap::from_iter([(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("1"))]);
        assert!(Arc::ptr_eq(&names.pack(&of("a")).names, &names.pack(&of("a")).names));
        for n in 0..2 * MOST_LISTS {
            let fields = names.pack(&of(&format!("x-{n}")));
            assert_eq!(fields.get(&format!("x-{n}").parse().unwrap()), Some(&b"1"[..]));
        }
        assert_eq!(names.0.lock().unwrap().len(), MOST_LISTS);
    }
}
