//! Entity tags and their two comparisons (RFC 9110 §8.8.3).

/// An entity tag, borrowed from its field. Unquoted tags are none: two that differ only in a stray quote must not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// Whether it begins with `W/`.
    pub weak: bool,
    /// What stands between the quotes.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a whole field value or list member; `None` if it is no entity tag.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (weak, quoted) = match text {
            [b'W', b'/', quoted @ ..] => (true, quoted),
            quoted => (false, quoted),
        };
        let [b'"', opaque @ .., b'"'] = quoted else { return None };
        opaque.iter().all(|&b| is_etagc(b)).then_some(EntityTag { weak, opaque })
    }

    /// §8.8.3.2: equal, and neither is weak.
    pub fn strong_match(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// §8.8.3.2: equal, weak or not.
    pub fn weak_match(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The entity tags of one line of `If-Match` or `If-None-Match`; members that are none are left out.
pub fn list(line: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    // An entity tag has no escapes, while a quoted string has; so this doesn't use `fields::members`.
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
            let end = member_end(rest);
            let member = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(tag) = EntityTag::parse(member) {
                return Some(tag);
            }
        }
    })
}

/// Whether the line is `*`: any representation (§13.1.1, §13.1.2).
pub fn is_any(line: &[u8]) -> bool {
    line.trim_ascii() == b"*"
}

/// Where the first member ends: a comma outside quotes, or the end.
fn member_end(text: &[u8]) -> usize {
    let mut quoted = false;
    let end = text.iter().position(|&b| {
        quoted ^= b == b'"';
        b == b',' && !quoted
    });
    end.unwrap_or(text.len())
}

fn is_etagc(b: u8) -> bool {
    b == 0x21 || (0x23..=0x7e).contains(&b) || b >= 0x80
}

/// Whether this `ETag` value is a strong validator (§8.8.1).
pub fn is_strong(etag: &[u8]) -> bool {
    EntityTag::parse(etag).is_some_and(|tag| !tag.weak)
}

/// Whether a list field over its lines names `tag` by `matches`; `*` names every one.
pub fn named<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    tag: Option<EntityTag<'_>>,
    matches: impl Fn(&EntityTag<'_>, &EntityTag<'_>) -> bool,
) -> bool {
    for line in lines {
        let listed = tag.is_some_and(|tag| list(line).any(|other| matches(&tag, &other)));
        if is_any(line) || listed {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_what_only_looks_like_one() {
        type Read<'a> = Option<(bool, &'a [u8])>;
        let cases: &[(&str, &[u8], Read<'_>)] = &[
            ("§8.8.3 strong", b"\"xyzzy\"", Some((false, b"xyzzy"))),
            ("§8.8.3 weak", b"W/\"xyzzy\"", Some((true, b"xyzzy"))),
            ("§8.8.3 empty", b"\"\"", Some((false, b""))),
            ("§8.8.3 obs-text", b"\"\xe9\"", Some((false, b"\xe9"))),
            ("§8.8.3 W is case-sensitive", b"w/\"x\"", None),
            ("unquoted", b"xyzzy", None),
            ("one quote", b"\"", None),
            ("quote inside", b"\"a\"b\"", None),
            ("blank inside", b"\"a b\"", None),
        ];
        for (why, text, want) in cases {
            let got = EntityTag::parse(text).map(|tag| (tag.weak, tag.opaque));
            assert_eq!(got, *want, "{why}");
        }
    }

    #[test]
    fn comparison_table_of_8_8_3_2() {
        let cases: &[(&[u8], &[u8], bool, bool)] = &[
            (b"W/\"1\"", b"W/\"1\"", false, true),
            (b"W/\"1\"", b"W/\"2\"", false, false),
            (b"W/\"1\"", b"\"1\"", false, true),
            (b"\"1\"", b"\"1\"", true, true),
        ];
        for (a, b, strong, weak) in cases {
            let (a, b) = (EntityTag::parse(a).unwrap(), EntityTag::parse(b).unwrap());
            assert_eq!((a.strong_match(&b), a.weak_match(&b)), (*strong, *weak), "{a:?} {b:?}");
        }
    }

    #[test]
    fn lists_keep_commas_and_backslashes_in_tags() {
        let tags: Vec<&[u8]> = list(br#"  "a,b" ,, bad, W/"c\", "d""#).map(|tag| tag.opaque).collect();
        assert_eq!(tags, [&b"a,b"[..], br"c\", b"d"], "§8.8.3: a backslash escapes nothing");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            list(&line).count();
            EntityTag::parse(&line);
        }
    }
}
