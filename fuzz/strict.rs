//! A naive and strict reader of what a response says about its freshness. It shares nothing with the gateway's own: it looks
//! for words, wherever they stand, and believes of all that is said the worst.
//!
//! The own reader must never be more generous. What it reads better than this one is kept out by those who compare:
//! targeted fields, `Surrogate-Control`, `must-understand`, and words inside of quotes.

use http::HeaderMap;

/// 2^31 seconds: what a larger number counts as (RFC 9111 §1.2.2).
const MOST: u64 = 1 << 31;

/// What a response says. Times are in milliseconds.
#[derive(Debug)]
pub(crate) struct Strict {
    /// `no-store` or `private`: it must not be stored.
    pub(crate) is_forbidden: bool,
    /// `no-cache`: it must not be used unasked.
    pub(crate) always_validate: bool,
    /// It must not be used stale.
    pub(crate) never_stale: bool,
    /// `private` or `no-cache` names the field `x-secret`: it must not be kept.
    pub(crate) omits_secret: bool,
    /// `public`.
    pub(crate) is_public: bool,
    /// Something that allows to share it (§3.5).
    pub(crate) may_be_shared: bool,
    /// For how long it is fresh at most; `None` if it doesn't say.
    pub(crate) lifetime: Option<u64>,
    /// How old it was at least when it came; `None` if it says that in a way that can't be read.
    pub(crate) age: Option<u64>,
    /// `stale-while-revalidate`.
    pub(crate) while_revalidating: Option<u64>,
    /// `stale-if-error`.
    pub(crate) on_error: Option<u64>,
}

impl Strict {
    /// Reads a response that came at `answered` (milliseconds since 1970), so many milliseconds after it was asked for.
    pub(crate) fn read(response: &HeaderMap, answered: u64, delay: u64) -> Strict {
        let control = lines(response, "cache-control");
        let says = |word: &str| found(&control, word).next().is_some();
        let wholly = |word: &str| found(&control, word).any(|rest| !is_qualified(rest));
        let stated = seconds(&control, "s-maxage").or(seconds(&control, "max-age")).map(|seconds| seconds * 1000);
        Strict {
            is_forbidden: says("no-store") || wholly("private"),
            always_validate: wholly("no-cache"),
            never_stale: ["must-revalidate", "proxy-revalidate", "s-maxage"].iter().any(|word| says(word)),
            omits_secret: ["private", "no-cache"].iter().any(|word| found(&control, word).any(names_secret)),
            is_public: says("public"),
            may_be_shared: ["public", "must-revalidate", "s-maxage"].iter().any(|word| says(word)),
            lifetime: stated.or_else(|| expires(response, answered)),
            age: age(response, answered, delay),
            while_revalidating: seconds(&control, "stale-while-revalidate").map(|seconds| seconds * 1000),
            on_error: seconds(&control, "stale-if-error").map(|seconds| seconds * 1000),
        }
    }

    /// Whether it may be fresh after so many milliseconds here; `unstated` is the lifetime where it states none.
    pub(crate) fn may_be_fresh(&self, after: u64, unstated: u64) -> bool {
        let lifetime = self.lifetime.unwrap_or(unstated);
        !self.always_validate && self.age.is_some_and(|age| lifetime > age + after)
    }

    /// Whether it may be used after so many milliseconds here by one who takes what has been stale for so long.
    pub(crate) fn may_be_stale(&self, after: u64, unstated: u64, by: u64) -> bool {
        let latest = self.lifetime.unwrap_or(unstated).saturating_add(by);
        !self.always_validate && !self.never_stale && self.age.is_none_or(|age| age + after <= latest)
    }
}

fn lines<'a>(fields: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    fields.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

/// What follows a word, wherever it stands as a whole token in any case; not as the argument of another.
fn found<'a>(lines: &'a [&'a [u8]], word: &'a str) -> impl Iterator<Item = &'a [u8]> {
    lines.iter().flat_map(move |line| {
        (0..line.len()).filter_map(move |at| {
            let rest = line[at..].get(word.len()..)?;
            let before = at.checked_sub(1).map(|before| line[before]);
            let is_whole = !before.is_some_and(|b| of_token(&b) || b == b'=') && !rest.first().is_some_and(of_token);
            (is_whole && line[at..at + word.len()].eq_ignore_ascii_case(word.as_bytes())).then_some(rest)
        })
    })
}

fn of_token(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)
}

/// Whether what follows `private` or `no-cache` names this one field, so that it is about that only.
fn names_secret(rest: &[u8]) -> bool {
    rest.to_ascii_lowercase().starts_with(b"=\"x-secret\"")
}

/// Whether it is about fields only: those, or one that is named by a token (§5.2.2.4).
fn is_qualified(rest: &[u8]) -> bool {
    names_secret(rest) || rest.strip_prefix(b"=").and_then(|rest| rest.first()).is_some_and(of_token)
}

/// The fewest seconds that a directive has anywhere; whatever isn't a number has none.
fn seconds(lines: &[&[u8]], word: &str) -> Option<u64> {
    found(lines, word).map(|rest| argument(rest).unwrap_or(0)).min()
}

/// `=60` or `="60"`, and then the end or a comma.
fn argument(rest: &[u8]) -> Option<u64> {
    let member = rest.split(|&b| b == b',').next()?.trim_ascii_end();
    let value = member.strip_prefix(b"=")?;
    number(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.is_empty())?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().map_or(MOST, |n: u64| n.min(MOST)))
}

fn expires(response: &HeaderMap, answered: u64) -> Option<u64> {
    let (expires, dates) = (lines(response, "expires"), lines(response, "date"));
    let at = match expires[..] {
        [] => return None,
        [one] => date(one).unwrap_or(0),
        _ => 0,
    };
    let from = match dates[..] {
        [] => answered,
        [one] => date(one).unwrap_or(answered),
        _ => u64::MAX,
    };
    Some(at.saturating_sub(from))
}

fn age(response: &HeaderMap, answered: u64, delay: u64) -> Option<u64> {
    let said = match lines(response, "age")[..] {
        [] => 0,
        [one] => number(one.trim_ascii())?,
        _ => return None,
    };
    // `Date` has whole seconds.
    let second = answered / 1000 * 1000;
    let dates = lines(response, "date");
    let since = dates.iter().filter_map(|line| date(line)).map(|date| second.saturating_sub(date)).max().unwrap_or(0);
    Some(since.max(said * 1000 + delay))
}

/// A date in any case, in milliseconds since 1970.
fn date(value: &[u8]) -> Option<u64> {
    let mut text = String::new();
    for c in std::str::from_utf8(value.trim_ascii()).ok()?.chars() {
        let begins = !text.ends_with(|before: char| before.is_ascii_alphabetic());
        text.push(if begins { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
    }
    let at = httpdate::parse_http_date(&text.replace("Gmt", "GMT")).ok()?;
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs() * 1000)
}
