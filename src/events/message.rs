//! What a message of a source means.
//!
//! It says that something has changed, and nobody waits for an answer who could correct it. So a message that names nothing, or can't be
//! understood, is no reason to do nothing: it means that *something* has changed, and is taken for a gap in its channel.

use super::cloud_event::{Event, in_json};

/// Bytes of a key.
const LONGEST_KEY: usize = 2048;

/// What a message means.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// This has happened.
    Event(Event),
    /// Something has happened; why it isn't known what.
    Something(String),
}

/// Understands what came on `channel`, of at most `most` bytes: a JSON object with `specversion` is a CloudEvent, anything else a key.
pub fn understand(channel: &str, payload: &[u8], most: u64) -> Message {
    if payload.len() as u64 > most {
        return Message::Something(format!("it has {} bytes; events.body allows {most}", payload.len()));
    }
    let on_channel = |event: Event| Event { channel: Some(channel.into()), ..event };
    match in_json(payload) {
        Some(Ok(event)) => return Message::Event(on_channel(event)),
        Some(Err(why)) => return Message::Something(why),
        None => {}
    }
    match std::str::from_utf8(payload).map(str::trim) {
        Err(_) => Message::Something("it isn't UTF-8".into()),
        Ok("") => Message::Something("it is empty".into()),
        Ok(key) if key.len() > LONGEST_KEY => Message::Something(format!("its key has more than {LONGEST_KEY} bytes")),
        Ok(key) => Message::Event(on_channel(Event { subject: Some(key.into()), ..Event::default() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn something(payload: &[u8]) -> String {
        match understand("codes", payload, 5_000) {
            Message::Something(why) => why,
            Message::Event(event) => panic!("{event:?}"),
        }
    }

    #[test]
    fn what_is_no_event_is_a_key() {
        for text in ["AT", " AT\n", "a b", "{\"code\":\"AT\"}", "{\"specversion\":", "[1]", "7", "\"AT\""] {
            let expected =
                Event { subject: Some(text.trim().into()), channel: Some("codes".into()), ..Event::default() };
            assert_eq!(understand("codes", text.as_bytes(), 5_000), Message::Event(expected), "{text}");
        }
    }

    #[test]
    fn an_event_must_be_a_valid_one() {
        let text = r#"{"specversion":"1.0","id":"1","source":"/db","type":"t","subject":"AT","data":{"x":1}}"#;
        let Message::Event(event) = understand("codes", text.as_bytes(), 5_000) else { panic!() };
        assert_eq!((event.id.as_deref(), event.subject.as_deref()), (Some("1"), Some("AT")));
        assert_eq!((event.channel.as_deref(), event.data), (Some("codes"), Some(serde_json::json!({ "x": 1 }))));
        assert!(something(text.replace("1.0", "0.3").as_bytes()).contains("specversion"));
        assert!(something(text.replace("id", "no").as_bytes()).contains("`id` is missing"));
    }

    #[test]
    fn what_says_nothing_may_mean_anything() {
        assert_eq!(something(b""), "it is empty");
        assert_eq!(something(b" \n"), "it is empty");
        assert_eq!(something(b"\xff"), "it isn't UTF-8");
        assert!(something(&[b'x'; 2049]).contains("2048"));
        assert!(something(&[b' '; 5001]).contains("5001"));
    }
}
