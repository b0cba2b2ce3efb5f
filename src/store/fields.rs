//! The fields of a stored answer in one compact block: a `HeaderMap` per entry would cost about 1.5 KiB.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Field lines in their order; the values lie end to end in one block.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    names: Box<[(HeaderName, u32)]>, // name, and where its value ends
    values: Bytes,
}

impl Fields {
    /// Packs the lines of `map`.
    pub fn pack(map: &HeaderMap) -> Self {
        let mut values = Vec::with_capacity(map.values().map(HeaderValue::len).sum());
        let mut names = Vec::with_capacity(map.len());
        for (name, value) in map {
            values.extend_from_slice(value.as_bytes());
            names.push((name.clone(), u32::try_from(values.len()).unwrap_or(u32::MAX)));
        }
        Fields { names: names.into(), values: values.into() }
    }

    /// The lines as a map, with room for `spare` more.
    pub fn unpack(&self, spare: usize) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.names.len() + spare);
        let mut start = 0;
        for (name, end) in &self.names {
            let value = self.values.slice(start..*end as usize);
            start = *end as usize;
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                map.append(name.clone(), value);
            }
        }
        map
    }

    /// The value of the first line called `name`.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let at = self.names.iter().position(|(n, _)| n == name)?;
        let start = if at == 0 { 0 } else { self.names[at - 1].1 as usize };
        Some(&self.values[start..self.names[at].1 as usize])
    }

    /// Bytes of memory it takes.
    pub fn size(&self) -> usize {
        self.values.len() + self.names.len() * size_of::<(HeaderName, u32)>()
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
        let fields = Fields::pack(&map);
        assert_eq!(fields.unpack(2), map);
        assert_eq!(fields.get(&http::header::ETAG), Some(&b"\"a\""[..]));
        assert_eq!(fields.get(&HeaderName::from_static("x-two")), Some(&b"1"[..]));
        assert_eq!(fields.get(&http::header::AGE), None);
        assert_eq!(Fields::pack(&HeaderMap::new()).unpack(0), HeaderMap::new());
    }
}
