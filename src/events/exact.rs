//! JSON whose numbers are as they were written: what a rule puts into a tag has to be the text that the sender means, and `1.10` is
//! not `1.1` there.

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What stands there. A number that would be written otherwise than it was is a text.
///
/// # Errors
/// When it is too deep; or a part of it isn't JSON, which the whole has been checked for.
pub(super) fn value(raw: &RawValue) -> Result<Value, serde_json::Error> {
    within(raw, DEEPEST)
}

/// As deep as the library itself would go.
const DEEPEST: usize = 128;

fn within(raw: &RawValue, depth: usize) -> Result<Value, serde_json::Error> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(serde::de::Error::custom("recursion limit exceeded"));
    };
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let members = members.into_iter().map(|(name, raw)| Ok((name, within(raw, depth)?)));
            members.collect::<Result<_, _>>().map(Value::Object)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            items.into_iter().map(|raw| within(raw, depth)).collect::<Result<_, _>>().map(Value::Array)
        }
        Some(b'-' | b'0'..=b'9') => {
            let number: Value = serde_json::from_str(text)?;
            let again = number.to_string();
            Ok(if again == text { number } else { Value::String(text.into()) })
        }
        _ => serde_json::from_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_as_they_were_written() {
        let text =
            r#"{"a": [1, 1.5, 1.10, 1e2, 12345678901234567890123, -0], "b": {"c": null, "d": "1.10", "e": true}}"#;
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        let want = json!({
            "a": [1, 1.5, "1.10", "1e2", "12345678901234567890123", "-0"],
            "b": { "c": null, "d": "1.10", "e": true },
        });
        assert_eq!(value(&raw).unwrap(), want);
        let deep = |n: usize| {
            value(&serde_json::from_str::<Box<RawValue>>(&format!("{}{}", "[".repeat(n), "]".repeat(n))).unwrap())
        };
        assert!(deep(127).is_ok() && deep(129).is_err() && deep(100_000).is_err());
    }
}
