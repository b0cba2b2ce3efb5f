//! An entry of a stream as the message that it carries.
//!
//! Two forms: one field `payload`, which is a key or a CloudEvent in JSON, as a notification of PostgreSQL would carry it; or a CloudEvent whose attributes are
//! fields, `specversion` among them. Of the latter the JSON form is made: attributes are texts; `data` is JSON where `datacontenttype` says so,
//! or says nothing, and it can be read as such, and else a text; `data_base64` stays.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Names and values of an entry's fields.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What it says; `None` where that is in neither form.
pub(super) fn payload(mut fields: Fields) -> Option<Bytes> {
    if let Some(at) = fields.iter().position(|(name, _)| name == b"payload") {
        return Some(fields.swap_remove(at).1.into());
    }
    fields.iter().any(|(name, _)| name == b"specversion").then(|| event(fields))?
}

fn event(fields: Fields) -> Option<Bytes> {
    let mut event = Map::new();
    for (name, value) in fields {
        event.insert(String::from_utf8(name).ok()?, Value::String(String::from_utf8(value).ok()?));
    }
    let is_json = event.get("datacontenttype").and_then(Value::as_str).is_none_or(is_json);
    if let Some(data) = event.get_mut("data").filter(|_| is_json)
        && let Some(read) = data.as_str().and_then(|text| serde_json::from_str(text).ok())
    {
        *data = read;
    }
    serde_json::to_vec(&event).ok().map(Bytes::from)
}

/// RFC 6839 §3.1: `application/json`, and what ends in `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(fields: &[(&str, &str)]) -> Option<Bytes> {
        payload(fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
    }

    fn event(fields: &[(&str, &str)]) -> Value {
        serde_json::from_slice(&said(fields).unwrap()).unwrap()
    }

    #[test]
    fn a_payload_is_taken_as_it_is() {
        assert_eq!(said(&[("x", "1"), ("payload", " K1 "), ("specversion", "1.0")]).unwrap(), " K1 ");
        assert_eq!(payload(vec![(b"payload".to_vec(), vec![0xff])]).unwrap(), &[0xff][..]);
        assert_eq!((said(&[]), said(&[("key", "K1")])), (None, None));
    }

    #[test]
    fn attributes_make_an_event() {
        let base = [("specversion", "1.0"), ("id", "7"), ("source", "/db"), ("type", "t")];
        let with = |more: &[(&'static str, &'static str)]| event(&[&base[..], more].concat());
        assert_eq!(with(&[]), json!({ "specversion": "1.0", "id": "7", "source": "/db", "type": "t" }));
        assert_eq!(with(&[("data", "{\"a\":1}")])["data"], json!({ "a": 1 }));
        assert_eq!(with(&[("data", "{\"a\":1}"), ("datacontenttype", "text/plain")])["data"], json!("{\"a\":1}"));
        let structured = ("datacontenttype", "application/vnd.x+JSON; charset=utf-8");
        assert_eq!(with(&[("data", "[1]"), structured])["data"], json!([1]));
        assert_eq!(with(&[("data", "no json")])["data"], json!("no json"));
        assert_eq!(with(&[("data_base64", "AAA=")])["data_base64"], json!("AAA="));
    }

    #[test]
    fn an_event_is_text() {
        let fields = vec![(b"specversion".to_vec(), b"1.0".to_vec()), (b"id".to_vec(), vec![0xff])];
        assert_eq!(payload(fields), None);
    }
}
