//! Texts with names that an event fills in: `tax-codes/{subject}`, `/taxes/{data.region}`.

use super::cloud_event::Event;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fmt;

/// All but what RFC 3986 §2.3 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text in which `{name}` stands for something of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(Name),
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Subject,
    Type,
    Source,
    Id,
    Channel,
    /// A member of the data, by the names of those it lies in.
    Data(Vec<String>),
}

impl Name {
    fn parse(name: &str) -> Result<Name, String> {
        match name {
            "subject" => Ok(Name::Subject),
            "type" => Ok(Name::Type),
            "source" => Ok(Name::Source),
            "id" => Ok(Name::Id),
            "channel" => Ok(Name::Channel),
            _ => match name.strip_prefix("data.") {
                Some(path) if path.split('.').all(|part| !part.is_empty()) => {
                    Ok(Name::Data(path.split('.').map(String::from).collect()))
                }
                Some(_) | None => Err(format!(
                    "`{{{name}}}` isn't known; there are {{subject}}, {{type}}, {{source}}, {{id}}, {{channel}} and {{data.…}}"
                )),
            },
        }
    }

    fn of(&self, event: &Event) -> Option<String> {
        match self {
            Name::Subject => event.subject.clone(),
            Name::Type => event.kind.clone(),
            Name::Source => event.source.clone(),
            Name::Id => event.id.clone(),
            Name::Channel => event.channel.clone(),
            Name::Data(path) => event.data.as_ref().and_then(|data| member(data, path)),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Subject => f.write_str("subject"),
            Name::Type => f.write_str("type"),
            Name::Source => f.write_str("source"),
            Name::Id => f.write_str("id"),
            Name::Channel => f.write_str("channel"),
            Name::Data(path) => write!(f, "data.{}", path.join(".")),
        }
    }
}

/// A text, number, true or false somewhere in the data.
fn member(data: &Value, path: &[String]) -> Option<String> {
    let found = path.iter().try_fold(data, |inside, name| match inside {
        Value::Object(members) => members.get(name),
        Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(found.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Template {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braces) = rest.split_at(at);
            let name = braces.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = name else {
                return Err(format!("`{text}` has a brace without its other half"));
            };
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Name(Name::parse(name)?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Template { text: text.into(), pieces })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the first name.
    pub fn fixed(&self) -> &str {
        self.text.split('{').next().unwrap_or_default()
    }

    /// The text with `value` in the place of each name.
    pub fn example(&self, value: &str) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(fixed) => fixed.as_str(),
            Piece::Name(_) => value,
        });
        pieces.collect()
    }

    /// Whether it has names.
    pub fn is_open(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Name(_)))
    }

    /// The text with its names filled in as they are.
    ///
    /// # Errors
    /// Which of them the event doesn't have.
    pub fn fill(&self, event: &Event) -> Result<String, String> {
        self.filled(event, |value| value)
    }

    /// The same as a path: what is filled in lies within one segment, whatever it holds.
    ///
    /// # Errors
    /// Which name the event doesn't have, or that it makes no path.
    pub fn fill_path(&self, event: &Event) -> Result<String, String> {
        let path = self.filled(event, |value| segment(&value))?;
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("`.` and `..` are no names in a path".into());
        }
        Ok(path)
    }

    fn filled(&self, event: &Event, written: impl Fn(String) -> String) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Name(name) => {
                    let missing = || format!("the event has no `{name}`");
                    let value = name.of(event).filter(|value| !value.is_empty()).ok_or_else(missing)?;
                    text.push_str(&written(value));
                }
            }
        }
        Ok(text)
    }
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Event {
        Event {
            id: Some("1".into()),
            source: Some("/db".into()),
            kind: Some("codes.updated".into()),
            subject: Some("A/T ü".into()),
            channel: None,
            data: Some(json!({
                "region": "Wien", "n": 7, "half": 0.5, "on": true, "none": null, "empty": "", "dots": "..",
                "deep": { "er": ["a", "b"] }, "a.b": "no",
            })),
        }
    }

    #[test]
    fn names_are_filled_in_from_attributes_and_data() {
        for (text, plain, path) in [
            ("no names", "no names", "no names"),
            ("code-{subject}", "code-A/T ü", "code-A%2FT%20%C3%BC"),
            ("{type}:{id}@{source}", "codes.updated:1@/db", "codes.updated:1@%2Fdb"),
            ("/x/{data.region}/{data.n}", "/x/Wien/7", "/x/Wien/7"),
            ("{data.half}{data.on}", "0.5true", "0.5true"),
            ("{data.deep.er.1}", "b", "b"),
            ("/{data.dots}x", "/..x", "/..x"),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.fill(&event()).as_deref(), Ok(plain), "{text}");
            assert_eq!(template.fill_path(&event()).as_deref(), Ok(path), "{text}");
            assert_eq!((template.text(), template.is_open()), (text, text.contains('{')));
        }
    }

    #[test]
    fn what_the_event_lacks_is_said() {
        for name in ["channel", "data.none", "data.empty", "data.deep", "data.deep.er", "data.deep.er.2", "data.a.b"] {
            let template = Template::parse(&format!("x-{{{name}}}")).unwrap();
            assert_eq!(template.fill(&event()), Err(format!("the event has no `{name}`")));
        }
        let bare = Event { data: None, ..event() };
        assert!(Template::parse("{data.region}").unwrap().fill(&bare).is_err());
    }

    #[test]
    fn a_path_never_leaves_its_folder() {
        for text in ["/x/{data.dots}", "/x/{data.dots}/y", "/x/.{data.on}/../y"] {
            let filled = Template::parse(text).unwrap().fill_path(&event());
            assert_eq!(filled, Err("`.` and `..` are no names in a path".into()), "{text}");
        }
    }

    #[test]
    fn bad_templates_are_refused() {
        for text in ["{", "}", "a{b", "a}b", "{subject", "{subject}}", "{{subject}}", "{}", "{Subject}", "{data}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        for text in ["{data.}", "{data..a}", "{data.a.}", "{time}"] {
            assert!(Template::parse(text).unwrap_err().contains("isn't known"), "{text}");
        }
    }
}
