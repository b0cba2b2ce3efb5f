//! CloudEvents 1.0 as they come: in JSON (structured, alone or several in a batch) or as fields and content of a request (binary).
//!
//! What is kept of an event is what rules can ask for: `id`, `source`, `type`, `subject`, and data that is JSON. Everything else is checked and
//! dropped. The reader is as strict as the specification (names of attributes, their types, what must be there), and stricter where
//! it leaves two readings: a member or a field that stands twice, and an escape that isn't one, are refused. An event that was
//! taken for another would invalidate something else than what has changed.

use super::exact;
use super::refused::Refused;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of an attribute that rules can ask for.
const LONGEST: usize = 2048;
/// What every event has.
const NEEDED: [&str; 4] = ["specversion", "id", "source", "type"];
/// What need not be there, and isn't empty where it is.
const OPTIONAL: [&str; 4] = ["subject", "datacontenttype", "dataschema", "time"];

/// The media type of a batch.
const BATCH: &str = "application/cloudevents-batch+json";

/// Something that has happened: a CloudEvent, or no more than a key that came on a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// `id`; with `source` it names the event. A bare key has neither.
    pub id: Option<String>,
    /// `source`.
    pub source: Option<String>,
    /// `type`.
    pub kind: Option<String>,
    /// `subject`, or the key.
    pub subject: Option<String>,
    /// What it came on; nothing by HTTP.
    pub channel: Option<String>,
    /// `data`, where it is JSON.
    pub data: Option<Value>,
}

/// The events of a request, at most `most`.
///
/// # Errors
/// Why not one of them is acted on.
pub fn read(fields: &HeaderMap, body: &[u8], most: usize) -> Result<Vec<Event>, Refused> {
    let media = media_type(fields)?;
    match media.as_str() {
        "application/cloudevents+json" => match json(body)? {
            Item::Object(members) => Ok(vec![structured(members).map_err(|why| Refused::bad(None, why))?]),
            Item::Array(_) | Item::Other => Err(Refused::bad(None, "a structured event is a JSON object")),
        },
        BATCH => match json(body)? {
            Item::Array(items) if items.len() > most => Err(Refused::TooMany { most }),
            Item::Array(items) => items.into_iter().enumerate().map(|(index, item)| batched(index, item)).collect(),
            Item::Object(_) | Item::Other => Err(Refused::bad(None, "a batch is a JSON array of events")),
        },
        _ if media.starts_with("application/cloudevents") => Err(Refused::Unsupported),
        _ if fields.keys().any(|name| name.as_str().starts_with("ce-")) => {
            Ok(vec![binary(fields, &media, body).map_err(|why| Refused::bad(None, why))?])
        }
        _ => Err(Refused::Unsupported),
    }
}

/// Whether the events of a request have places in a batch.
pub(super) fn is_batch(fields: &HeaderMap) -> bool {
    media_type(fields).is_ok_and(|media| media == BATCH)
}

/// The event in `text`, if it is a JSON object with `specversion`.
///
/// # Errors
/// Why it isn't a valid event.
pub(super) fn in_json(text: &[u8]) -> Option<Result<Event, String>> {
    match serde_json::from_slice(text) {
        Ok(Item::Object(members)) if members.all.contains_key("specversion") => Some(structured(members)),
        Ok(Item::Object(_) | Item::Array(_) | Item::Other) | Err(_) => None,
    }
}

fn batched(index: usize, item: Item) -> Result<Event, Refused> {
    let Item::Object(members) = item else { return Err(Refused::bad(Some(index), "an event is a JSON object")) };
    structured(members).map_err(|why| Refused::bad(Some(index), why))
}

/// The media type of the content in small letters, without its parameters; empty where there is none.
fn media_type(fields: &HeaderMap) -> Result<String, Refused> {
    let mut values = fields.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(String::new()) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).ok_or(Refused::Unsupported)?;
    let mut pieces = text.split(';').map(str::trim);
    let media = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let charset =
        pieces.filter_map(|piece| piece.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let utf8 = charset.is_none_or(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    // Of data the charset doesn't matter unless it is JSON, and JSON is UTF-8 (RFC 8259 §8.1).
    if utf8 || !media.starts_with("application/cloudevents") { Ok(media) } else { Err(Refused::Unsupported) }
}

fn is_json(media: &str) -> bool {
    let (_, sub) = media.split_once('/').unwrap_or_default();
    sub == "json" || sub.ends_with("+json")
}

fn json(body: &[u8]) -> Result<Item, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad(None, format!("the body isn't JSON: {error}")))
}

/// The JSON event format, §3.
fn structured(members: Members) -> Result<Event, String> {
    let Members { all, twice } = members;
    if let Some(name) = twice {
        return Err(format!("`{}` stands twice", shown(&name)));
    }
    let (mut attributes, mut data, mut encoded) = (Attributes::default(), None, None);
    for (name, value) in all {
        match (name.as_str(), value) {
            (_, Value::Null) => {} // as if it weren't there (§2.2)
            ("data", value) => data = Some(value),
            ("data_base64", Value::String(text)) => encoded = Some(text),
            ("data_base64", _) => return Err("`data_base64` must be a text".into()),
            (_, Value::String(text)) => attributes.add(&name, text)?,
            (_, value @ (Value::Bool(_) | Value::Number(_))) => attributes.add_value(&name, &value)?,
            (_, Value::Array(_) | Value::Object(_)) => {
                return Err(format!("`{}` must be a text, a whole number, true or false", shown(&name)));
            }
        }
    }
    let event = attributes.event()?;
    if let Some(encoded) = encoded {
        if data.is_some() {
            return Err("`data` and `data_base64` exclude each other".into());
        }
        let bytes = decoded(&encoded).ok_or("`data_base64` isn't Base64")?;
        data = content(attributes.media().as_deref(), &bytes)?;
    }
    Ok(Event { data, ..event })
}

/// The HTTP binding, §3.1: attributes are fields, data is the content.
fn binary(fields: &HeaderMap, media: &str, body: &[u8]) -> Result<Event, String> {
    let mut attributes = Attributes::default();
    for name in fields.keys() {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        if matches!(attribute, "data" | "datacontenttype") {
            return Err(format!("`{name}`: data is the body, and its type is Content-Type"));
        }
        let mut values = fields.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => attributes.add(attribute, field_value(name.as_str(), value)?)?,
            _ => return Err(format!("`{name}` stands twice")),
        }
    }
    let event = attributes.event()?;
    let data = content(Some(media), body)?;
    Ok(Event { data, ..event })
}

/// A field's value: quotes are taken off, then escapes decoded once (§3.1.3.2).
fn field_value(name: &str, value: &HeaderValue) -> Result<String, String> {
    let bytes = value.as_bytes();
    let inner = bytes.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\""));
    let unquoted = inner.map(unescaped);
    let bytes = unquoted.as_deref().unwrap_or(bytes);
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && !is_escape(at)) {
        return Err(format!("`{name}`: `%` must be followed by two hexadecimal digits"));
    }
    let text = percent_decode(bytes).decode_utf8().map_err(|_| format!("`{name}` isn't UTF-8"))?;
    Ok(text.into_owned())
}

/// Backslashes inside quotes (RFC 9110 §5.6.4).
fn unescaped(quoted: &[u8]) -> Vec<u8> {
    let (mut plain, mut bytes) = (Vec::with_capacity(quoted.len()), quoted.iter());
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    plain
}

/// Data as bytes: what they say, where they are JSON.
fn content(media: Option<&str>, bytes: &[u8]) -> Result<Option<Value>, String> {
    // Without a type it is JSON in the JSON format (§3.1); in the binary mode there is always one, or an empty text.
    if bytes.is_empty() || !media.is_none_or(is_json) {
        return Ok(None);
    }
    let invalid = |error: serde_json::Error| format!("the data isn't the JSON that its type says: {error}");
    let data = serde_json::from_slice::<Box<RawValue>>(bytes).and_then(|raw| exact::value(&raw)).map_err(invalid)?;
    Ok(Some(data).filter(|data| !data.is_null()))
}

/// RFC 4648 §4, with its padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut bytes, mut left, mut bits) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (left, bits) = (left << 6 | u32::from(value), bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(left >> bits));
            left &= (1 << bits) - 1;
        }
    }
    (left == 0).then_some(bytes)
}

/// Attributes so far, checked one by one.
#[derive(Default)]
struct Attributes(BTreeMap<String, String>);

impl Attributes {
    fn add(&mut self, name: &str, value: String) -> Result<(), String> {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !plain {
            return Err(format!("`{}` is no name of an attribute: small letters and digits", shown(name)));
        }
        if value.chars().any(char::is_control) {
            return Err(format!("`{}` has control characters", shown(name)));
        }
        if NEEDED.contains(&name) || OPTIONAL.contains(&name) {
            if value.is_empty() {
                return Err(format!("`{name}` is empty"));
            }
            if value.len() > LONGEST {
                return Err(format!("`{name}` has more than {LONGEST} bytes"));
            }
        }
        self.0.insert(name.into(), value);
        Ok(())
    }

    /// A number or a boolean, which only extensions may be.
    fn add_value(&mut self, name: &str, value: &Value) -> Result<(), String> {
        if NEEDED.contains(&name) || OPTIONAL.contains(&name) {
            return Err(format!("`{name}` must be a text"));
        }
        let Some(number) = value.as_number() else { return self.add(name, value.to_string()) };
        let bounds = f64::from(i32::MIN)..=f64::from(i32::MAX);
        // 7.0 is the whole number 7, as JSON has it.
        let whole = number.as_f64().filter(|number| number.fract() == 0.0 && bounds.contains(number));
        let whole = whole.ok_or_else(|| format!("`{}` must be a whole number of 32 bits", shown(name)))?;
        self.add(name, format!("{whole:.0}"))
    }

    /// `datacontenttype`, as [`media_type`] gives it.
    fn media(&self) -> Option<String> {
        self.0.get("datacontenttype").map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// The event, yet without data.
    fn event(&self) -> Result<Event, String> {
        let of = |name: &str| self.0.get(name).cloned();
        // First, since in another version other things may be missing.
        if of("specversion").is_some_and(|version| version != "1.0") {
            return Err("`specversion` must be \"1.0\"".into());
        }
        if let Some(missing) = NEEDED.into_iter().find(|name| !self.0.contains_key(*name)) {
            return Err(format!("`{missing}` is missing"));
        }
        let (id, source, kind, subject) = (of("id"), of("source"), of("type"), of("subject"));
        Ok(Event { id, source, kind, subject, channel: None, data: None })
    }
}

/// A name from outside, short enough for a message.
fn shown(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

/// JSON as far as it matters which kind it is.
enum Item {
    Object(Members),
    Array(Vec<Item>),
    Other,
}

/// An object, and the name of a member that stands in it twice.
struct Members {
    all: BTreeMap<String, Value>,
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_any(Items)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event or a list of events")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Item, A::Error> {
        let (mut all, mut twice) = (BTreeMap::new(), None);
        while let Some(name) = members.next_key::<String>()? {
            let value = if name == "data" {
                let raw: Box<RawValue> = members.next_value()?;
                exact::value(&raw).map_err(serde::de::Error::custom)?
            } else {
                members.next_value()?
            };
            if all.contains_key(&name) {
                twice = Some(name.clone());
            }
            all.insert(name, value);
        }
        Ok(Item::Object(Members { all, twice }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Item::Array(all))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Other)
    }
}

#[cfg(test)]
mod tests;
