//! Lists, single values, and the fields that end at the next hop (RFC 9110 §5.6.1, §5.3, §7.6.1).
//!
//! Lists are split in bytes, because a field value may hold any byte above 0x7F and a member that can't be shown as
//! text must not make its neighbours unread. A comma inside a quoted string doesn't split; a quote that is never closed
//! is no quoted string, so that `a="b, no-store` can't hide its second member.

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, DATE, ETAG, EXPIRES, FORWARDED, HOST, LAST_MODIFIED, LOCATION, SET_COOKIE, TE,
    TRANSFER_ENCODING, UPGRADE, VARY, VIA,
};
use http::{HeaderMap, HeaderName};

/// Several lines of a field that may have only one (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// The value of a field that may have only one line, without the whitespace around it; `None` if it is absent.
///
/// # Errors
/// [`Repeated`] when there is more than one line, even if they are alike.
pub fn single<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Repeated> {
    let mut lines = fields.get_all(name).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return Err(Repeated);
    }
    Ok(first.map(|value| value.as_bytes().trim_ascii()))
}

/// The members of a list field over all its lines, without those that are empty or not UTF-8 (§5.6.1.2).
pub fn list<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    list_bytes(fields, name).filter_map(|member| std::str::from_utf8(member).ok())
}

/// The members of a list field over all its lines, without empty ones (§5.6.1.2): for readers that must not overlook
/// a member that is not text.
pub fn list_bytes<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    fields.get_all(name).into_iter().flat_map(|line| members(line.as_bytes())).filter(|member| !member.is_empty())
}

/// Whether the list has this token, compared without case.
pub fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list_bytes(fields, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// The members of one line, split at commas outside quoted strings and trimmed; empty ones included.
pub fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = member_end(line);
        rest = line.get(end + 1..);
        Some(line[..end].trim_ascii())
    })
}

/// Where the first member ends: its comma, or the end of the line.
fn member_end(line: &[u8]) -> usize {
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b',' => return at,
            b'"' => at += quoted_len(&line[at..]).unwrap_or(1),
            _ => at += 1,
        }
    }
    line.len()
}

/// The length of the quoted string that begins here, both quotes included; `None` if it is not closed (§5.6.4).
pub fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Whether this is a token (§5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Fields that end at the next hop whether or not `Connection` names them (§7.6.1). `Proxy-Authenticate` is not one
/// of them: it answers the nearest client that asked for it (§11.7.1); a cache must not store it (RFC 9111 §3.1).
pub const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields for all recipients, which `Connection` can't take away (§7.6.1, last but two paragraphs). A sender must not
/// name them; one that does wants the next hop to lose a routing, identity, framing or caching field.
const END_TO_END: [HeaderName; 22] = [
    HOST,
    AUTHORIZATION,
    COOKIE,
    SET_COOKIE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    CONTENT_LOCATION,
    CACHE_CONTROL,
    AGE,
    VIA,
    VARY,
    ETAG,
    DATE,
    EXPIRES,
    LAST_MODIFIED,
    LOCATION,
    FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// Removes the fields that end at the next hop: `Connection`, what it names, and those known to be such (§7.6.1).
/// What is for all recipients stays even where `Connection` names it.
///
/// Do this before a request's key, partition and `Vary` selection are taken: they have to be of what the origin sees, or
/// `Connection: accept-language` would store the origin's default answer as that of a language.
pub fn strip_hop_by_hop(fields: &mut HeaderMap) {
    strip_hop_by_hop_but(fields, |_| false);
}

/// The same, and what `relied_on` means stays as well.
pub fn strip_hop_by_hop_but(fields: &mut HeaderMap, relied_on: impl Fn(&HeaderName) -> bool) {
    if !has_any(fields, &HOP_BY_HOP) {
        return;
    }
    let named: Vec<HeaderName> = list_bytes(fields, &CONNECTION)
        .filter(|option| !option.eq_ignore_ascii_case(b"keep-alive") && !option.eq_ignore_ascii_case(b"close"))
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| !is_end_to_end(name) && !relied_on(name))
        .collect();
    remove_all(fields, &named);
    remove_all(fields, &HOP_BY_HOP);
}

/// Whether a request may have this field behind its content, where it is joined to the others by some: not what has a meaning before it,
/// for framing, routing, who asks, how to answer and what the content is (§6.5.1).
pub fn may_trail(name: &HeaderName) -> bool {
    const BEFORE: [&str; 12] = [
        "age",
        "date",
        "expect",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-authorization",
        "range",
        "te",
        "trailer",
        "user-agent",
        "via",
    ];
    let plain = name.as_str().replace('_', "-");
    let named = BEFORE.contains(&plain.as_str()) || plain.starts_with("accept") || plain.starts_with("content-");
    let is_early = |name: HeaderName| is_end_to_end(&name) || HOP_BY_HOP.contains(&name);
    let before = named && plain != "content-digest" || HeaderName::try_from(plain).is_ok_and(is_early);
    !before
}

/// Fields that say to which trace a message belongs (W3C Trace Context, Baggage). They are another's in every message, whatever is asked for: no
/// answer is chosen by them, and none is kept with them.
pub const OF_TRACES: [HeaderName; 4] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("traceresponse"),
];

/// Digests of the very content that a message has (RFC 9530 §2): none of another one's, nor of a part of it.
pub const OF_ONE_CONTENT: [HeaderName; 2] =
    [HeaderName::from_static("content-digest"), HeaderName::from_static("content-md5")];

/// Digests and signatures that hold of one representation, content coding included (RFC 9530 §3, RFC 3230, RFC 9421), beside those of
/// one content.
pub const OF_ONE_REPRESENTATION: [HeaderName; 6] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("signature-input"),
];

/// Whether at least one of these fields is there. Messages have few fields, and comparing names is cheaper than hashing them.
pub fn has_any(fields: &HeaderMap, names: &[HeaderName]) -> bool {
    fields.keys().any(|name| names.contains(name))
}

/// Removes these fields, with all their lines.
pub fn remove_all(fields: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        if fields.keys().any(|there| there == name) {
            fields.remove(name);
        }
    }
}

/// Whether one name is the other but for `_` in place of `-`. Origins behind CGI-like interfaces can't tell them apart.
pub fn is_twin(name: &HeaderName, of: &HeaderName) -> bool {
    let plain =
        |name: &HeaderName| name.as_str().bytes().map(|b| if b == b'_' { b'-' } else { b }).collect::<Vec<u8>>();
    name != of && name.as_str().len() == of.as_str().len() && plain(name) == plain(of)
}

/// Removes fields whose name is that of a framing, routing or caching field but for `_` in place of `-`. Origins behind
/// CGI-like interfaces can't tell the two apart, and would take what a client wrote for what we or a proxy say.
pub fn strip_twins(fields: &mut HeaderMap) {
    let is_twin = |name: &&HeaderName| {
        let text = name.as_str();
        text.contains('_')
            && HeaderName::try_from(text.replace('_', "-")).is_ok_and(|n| is_end_to_end(&n) || HOP_BY_HOP.contains(&n))
    };
    let twins: Vec<HeaderName> = fields.keys().filter(is_twin).cloned().collect();
    for name in &twins {
        fields.remove(name);
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    let text = name.as_str();
    END_TO_END.contains(name)
        || text.starts_with("x-forwarded-")
        || text.starts_with("if-")
        || text.starts_with("freshgate-")
        || text.starts_with("access-control-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::fields_of;

    fn split(line: &str) -> Vec<&str> {
        members(line.as_bytes()).map(|m| std::str::from_utf8(m).unwrap()).collect()
    }

    #[test]
    fn lists_are_split_outside_quotes() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("§5.6.1 plain", "a, b ,c", &["a", "b", "c"]),
            ("§5.6.1.2 empty members", ", a,,b,", &["", "a", "", "b", ""]),
            ("§5.6.4 comma inside quotes", "a=\"x, y\", b", &["a=\"x, y\"", "b"]),
            ("§5.6.4 escaped quote", r#"a="x\", y", b"#, &[r#"a="x\", y""#, "b"]),
            ("quote never closed hides nothing", "a=\"x, no-store", &["a=\"x", "no-store"]),
            ("backslash at the end", "a=\"x\\", &["a=\"x\\"]),
            ("nothing", "", &[""]),
        ];
        for (why, line, want) in cases {
            assert_eq!(&split(line), want, "{why}");
        }
    }

    #[test]
    fn a_member_that_is_not_text_hides_no_other() {
        let mut fields = HeaderMap::new();
        fields.append(CACHE_CONTROL, http::HeaderValue::from_bytes(b"x=\"\xff\", no-store").unwrap());
        assert!(has_token(&fields, &CACHE_CONTROL, "NO-STORE"));
        assert_eq!(list(&fields, &CACHE_CONTROL).collect::<Vec<_>>(), ["no-store"]);
        assert_eq!(list_bytes(&fields, &CACHE_CONTROL).count(), 2);
    }

    #[test]
    fn connection_takes_what_it_names_but_not_what_is_for_all() {
        let mut fields = fields_of(&[
            ("connection", "close, X-Mine, Host, authorization"),
            ("connection", "cookie,cache-control, x-forwarded-for, if-match, bad name, \"x"),
            ("x-mine", "1"),
            ("host", "a"),
            ("authorization", "b"),
            ("cookie", "c"),
            ("cache-control", "no-store"),
            ("x-forwarded-for", "1.2.3.4"),
            ("if-match", "\"x\""),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "x"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authenticate", "Basic"),
        ]);
        strip_hop_by_hop(&mut fields);
        let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let want =
            ["authorization", "cache-control", "cookie", "host", "if-match", "proxy-authenticate", "x-forwarded-for"];
        assert_eq!(left, want, "§7.6.1");
    }

    #[test]
    fn what_is_needed_before_the_content_does_not_trail() {
        for name in ["x-sum", "content-digest", "repr-digest", "etagged", "server-timing", "x-content"] {
            assert!(may_trail(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "host",
            "content-length",
            "content_length",
            "authorization",
            "cookie",
            "x-forwarded-for",
            "accept",
            "range",
        ] {
            assert!(!may_trail(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn a_single_field_has_one_line() {
        assert_eq!(single(&fields_of(&[]), &AGE), Ok(None));
        assert_eq!(single(&fields_of(&[("age", " 5 ")]), &AGE), Ok(Some(&b"5"[..])));
        assert_eq!(single(&fields_of(&[("age", "5"), ("age", "5")]), &AGE), Err(Repeated), "§5.3");
    }

    proptest::proptest! {
        #[test]
        fn splitting_loses_only_commas_and_blanks(line in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let kept: usize = members(&line).map(<[u8]>::len).sum();
            proptest::prop_assert!(kept <= line.len());
            proptest::prop_assert!(members(&line).count() <= line.len() + 1);
        }
    }
}
