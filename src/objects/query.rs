//! What stands behind the question mark.

use super::problems::bad_query;
use crate::gateway::Problem;
use crate::policy::Ttl;
use crate::units::{duration, show_duration};
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// The longest lifetime that can be told, in seconds: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400;

/// The parameters, decoded.
///
/// # Errors
/// When one isn't UTF-8 or stands twice.
pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned)
        };
        let (Ok(name), Ok(value)) = (text(name), text(value)) else { return Err(bad_query("the query isn't UTF-8")) };
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(bad_query(format!("`{name}` stands twice")));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Nothing is to stand there.
pub(super) fn none(query: Option<&str>) -> Result<(), Problem> {
    match pairs(query)?.first() {
        None => Ok(()),
        Some((name, _)) => Err(bad_query(format!("an object is read without a query; found `{name}`"))),
    }
}

/// `ttl=`: what the object is to have; `None` where nothing is said. `most` is the namespace's `max_ttl`.
pub(super) fn ttl(query: Option<&str>, most: Option<Duration>) -> Result<Option<Ttl>, Problem> {
    let mut found = None;
    for (name, value) in pairs(query)? {
        if name != "ttl" {
            return Err(bad_query(format!("found `{name}`, expected `ttl`, or nothing")));
        }
        found = Some(read(&value)?);
    }
    let beyond = |ttl: &Ttl| most.is_some_and(|most| !matches!(ttl, Ttl::For(ttl) if *ttl <= most));
    match (found.filter(beyond), most) {
        (Some(_), Some(most)) => {
            Err(bad_query(format!("ttl is at most {} here (max_ttl of the namespace)", show_duration(most))))
        }
        (Some(_), None) | (None, _) => Ok(found),
    }
}

fn read(text: &str) -> Result<Ttl, Problem> {
    if matches!(text, "0" | "forever") {
        return Ok(Ttl::Forever);
    }
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Duration::from_secs));
    match seconds.unwrap_or_else(|| duration(text)) {
        Some(ttl) if !ttl.is_zero() && ttl <= Duration::from_secs(LONGEST) => Ok(Ttl::For(ttl)),
        Some(_) | None => {
            let expected = "expected seconds, a duration such as 10m or 100d, or forever (or 0, which means the same)";
            Err(bad_query(format!("`ttl` is `{}`, {expected}", text.chars().take(40).collect::<String>())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let s = Duration::from_secs;
        let day = Some(s(86_400));
        let good = [
            (None, day, None),
            (Some(""), day, None),
            (Some("ttl=90"), day, Some(Ttl::For(s(90)))),
            (Some("ttl=10m"), day, Some(Ttl::For(s(600)))),
            (Some("ttl=%31d"), day, Some(Ttl::For(s(86_400)))),
            (Some("ttl=100d"), None, Some(Ttl::For(s(8_640_000)))),
            (Some("ttl=forever"), None, Some(Ttl::Forever)),
            (Some("ttl=0"), None, Some(Ttl::Forever)),
        ];
        for (query, most, want) in good {
            assert_eq!(ttl(query, most).unwrap(), want, "{query:?}");
        }
        for bad in
            ["ttl=", "ttl=-1", "ttl=1.5", "ttl=x", "ttl=1&ttl=2", "tll=1", "ttl=2d", "ttl=0", "ttl=0s", "ttl=%ff"]
        {
            assert!(ttl(Some(bad), day).is_err(), "{bad}");
        }
        assert!(ttl(Some("ttl=99999999999999999999"), None).is_err());
        assert!(none(Some("x=1")).is_err() && none(Some("&")).is_ok());
    }
}
