//! Messages as they came, and their heads read strictly: what two readers could take differently is an error.

use std::ops::Deref;

/// Field lines in the order they came, names as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The value of a field that must be there, once.
    pub fn one(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.0))
    }

    /// The value of a field; more than one line of it is a failure.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} has come {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// Every line of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// Whether a comma-separated field holds `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

/// A message's head as it came.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The first line, without its end.
    pub line: String,
    /// Its fields.
    pub fields: Fields,
    /// Every byte of it, the empty line included.
    pub raw: Vec<u8>,
}

/// A request as the origin got it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// The target as it was written.
    pub target: String,
    /// Its fields.
    pub fields: Fields,
    /// Its content, chunks joined.
    pub body: Vec<u8>,
    /// Its trailer fields.
    pub trailers: Fields,
    /// Whether the body came to its end.
    pub complete: bool,
    /// Every byte of the head.
    pub raw_head: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Deref for Request {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.fields
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk of size 0.
    Chunked,
    /// With the connection.
    Close,
}

/// A head's first line and its fields; `raw` ends with the empty line.
pub(super) fn parse_head(raw: &[u8]) -> Result<(String, Fields), String> {
    let text = latin1(&raw[..raw.len() - 4]);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(format!("a bare CR, LF or NUL in a head: {text:?}"));
    }
    let fields = lines.map(parse_field).collect::<Result<_, _>>()?;
    Ok((line, Fields(fields)))
}

pub(super) fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("a field line without a colon: {line:?}"))?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("a bad field name: {line:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Bytes as they are, one char each, so that nothing is lost.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// The framing that fields declare, where they declare one; an error where they declare two.
pub fn declared(fields: &Fields) -> Result<Option<Framing>, String> {
    let (lengths, codings) = (fields.all("content-length"), fields.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(|n| Some(Framing::Length(n))).map_err(|e| format!("Content-Length {length}: {e}"))
        }
        _ => Err(format!("ambiguous framing: Content-Length {lengths:?}, Transfer-Encoding {codings:?}")),
    }
}
