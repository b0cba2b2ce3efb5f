//! One entry as bytes, and back. What is read may be anything: it is taken piece by piece, each of which must be there.

use super::judge::Print;
use crate::rfc9111::{Selection, Sharing};
use crate::store::{Content, Entry};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

/// What is saved of an entry, all but its content.
pub(super) fn write(out: &mut Vec<u8>, key: &[u8], print: &Print, entry: &Entry, content: &Content) {
    out.clear();
    text(out, key);
    out.extend_from_slice(print);
    out.extend_from_slice(&entry.status.as_u16().to_le_bytes());
    maybe(out, entry.reason.as_ref().map(|reason| reason.as_bytes()));
    out.push(match entry.sharing {
        Sharing::Unstated => 0,
        Sharing::Allowed => 1,
        Sharing::Public => 2,
    });
    number(out, entry.selection.noted().count());
    for (name, value) in entry.selection.noted() {
        text(out, name.as_str().as_bytes());
        maybe(out, value);
    }
    lines(out, &entry.fields.unpack(0));
    maybe(out, content.etag().map(HeaderValue::as_bytes));
    out.push(u8::from(content.trailers().is_some()));
    if let Some(trailers) = content.trailers() {
        lines(out, trailers);
    }
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn maybe(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        text(out, bytes);
    }
}

fn lines(out: &mut Vec<u8>, fields: &HeaderMap) {
    number(out, fields.len());
    for (name, value) in fields {
        text(out, name.as_str().as_bytes());
        text(out, value.as_bytes());
    }
}

/// An entry as it was saved.
pub(super) struct Read<'a> {
    pub(super) key: &'a [u8],
    pub(super) print: Print,
    pub(super) status: StatusCode,
    pub(super) reason: Option<Box<ReasonPhrase>>,
    pub(super) sharing: Sharing,
    pub(super) selection: Selection,
    pub(super) fields: HeaderMap,
    /// An entity tag of our own.
    pub(super) etag: Option<HeaderValue>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) body: &'a [u8],
}

/// `None` where a record isn't an entry.
pub(super) fn read(bytes: &[u8]) -> Option<Read<'_>> {
    let mut rest = Rest(bytes);
    Some(Read {
        key: rest.text()?,
        print: rest.array()?,
        status: StatusCode::from_u16(u16::from_le_bytes(rest.array()?)).ok()?,
        reason: match rest.maybe()? {
            Some(reason) => Some(Box::new(ReasonPhrase::try_from(reason).ok()?)),
            None => None,
        },
        sharing: match rest.array()? {
            [0] => Sharing::Unstated,
            [1] => Sharing::Allowed,
            [2] => Sharing::Public,
            [_] => return None,
        },
        selection: rest.selection()?,
        fields: rest.lines()?,
        etag: match rest.maybe()? {
            Some(etag) => Some(HeaderValue::from_bytes(etag).ok()?),
            None => None,
        },
        trailers: match rest.array()? {
            [0] => None,
            [1] => Some(rest.lines()?),
            [_] => return None,
        },
        body: rest.0,
    })
}

/// What hasn't been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn maybe(&mut self) -> Option<Option<&'a [u8]>> {
        match self.array()? {
            [0] => Some(None),
            [1] => self.text().map(Some),
            [_] => None,
        }
    }

    fn selection(&mut self) -> Option<Selection> {
        let (count, mut noted) = (self.number()?, Vec::new());
        for _ in 0..count {
            let name = HeaderName::from_bytes(self.text()?).ok()?;
            noted.push((name, self.maybe()?.map(Box::from)));
        }
        Some(Selection::of_noted(noted))
    }

    fn lines(&mut self) -> Option<HeaderMap> {
        let (count, mut fields) = (self.number()?, HeaderMap::new());
        for _ in 0..count {
            let name = HeaderName::from_bytes(self.text()?).ok()?;
            fields.try_append(name, HeaderValue::from_bytes(self.text()?).ok()?).ok()?;
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;
    use crate::rfc9111::Facts;
    use crate::store::{Extra, Held, Names, Tallied};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn entry() -> (Entry, Content) {
        let trailers = Some(Arc::new(fields_of(&[("x-sum", "1")])));
        let etag = Some(HeaderValue::from_static("W/\"own\""));
        let content = Content::new("body".into(), Extra { trailers, etag, encoded: None });
        let request = fields_of(&[("accept", "text/html")]);
        let names = [http::header::ACCEPT, http::header::ACCEPT_LANGUAGE];
        let entry = Entry {
            status: StatusCode::OK,
            reason: Some(Box::new(ReasonPhrase::from_static(b"Fine"))),
            fields: Names::default().pack(&fields_of(&[("etag", "\"a\""), ("x", "1"), ("x", "")])),
            facts: Facts::unconfirmed(crate::clock::Now::default()),
            sharing: Sharing::Allowed,
            selection: Selection::capture(&names, &request),
            held: Held::default(),
            asked_at: 0,
            confirmed_at: 0,
            asked_time: 0,
            hits: Default::default(),
            content: std::sync::OnceLock::new(),
            tally: Tallied::new(Arc::default()),
        };
        (entry, content)
    }

    fn written() -> Vec<u8> {
        let (entry, content) = entry();
        let mut bytes = Vec::new();
        write(&mut bytes, b"a.example/x\0", &[7; 16], &entry, &content);
        bytes.extend_from_slice(&content.body);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let (entry, content) = entry();
        let bytes = written();
        let read = read(&bytes).unwrap();
        assert_eq!(
            (read.key, read.print, read.status, read.body),
            (&b"a.example/x\0"[..], [7; 16], entry.status, &b"body"[..])
        );
        assert_eq!((&read.reason, read.sharing), (&entry.reason, Sharing::Allowed));
        assert_eq!((&read.selection, read.fields), (&entry.selection, entry.fields.unpack(0)));
        assert_eq!((read.etag.as_ref(), read.trailers.as_ref()), (content.etag(), content.trailers()));
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_is_read_without_harm(mut bytes: Vec<u8>, at: prop::sample::Index, by: u8) {
            let _ = read(&bytes);
            bytes = written();
            let at = at.index(bytes.len());
            bytes[at] = bytes[at].wrapping_add(by);
            let _ = read(&bytes);
            let _ = read(&bytes[..at]);
        }
    }
}
