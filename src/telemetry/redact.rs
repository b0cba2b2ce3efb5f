//! What is not logged: the values of named query parameters, and who signs in by a URL (`user:password@host`).

use percent_encoding::percent_decode_str;

/// What stands for a value.
const HIDDEN: &str = "***";

/// Appends `query` to `out` with the values of `names` hidden. A name counts as it reads when percent-decoded, in any case.
/// `;` separates pairs as `&` does, since some origins take it so.
pub(super) fn query(query: &str, names: &[String], out: &mut String) {
    for pair in query.split_inclusive(['&', ';']) {
        let bare = pair.trim_end_matches(['&', ';']);
        match bare.split_once('=') {
            Some((name, _)) if is_hidden(name, names) => {
                out.push_str(name);
                out.push('=');
                out.push_str(HIDDEN);
                out.push_str(&pair[bare.len()..]);
            }
            Some(_) | None => out.push_str(pair),
        }
    }
}

/// `query` with the values of `names` hidden.
pub fn redacted(query: &str, names: &[String]) -> String {
    let mut shown = String::with_capacity(query.len());
    self::query(query, names, &mut shown);
    shown
}

/// Whether a query has the value of one of `names`.
pub fn hides(query: &str, names: &[String]) -> bool {
    query.split(['&', ';']).filter_map(|pair| pair.split_once('=')).any(|(name, _)| is_hidden(name, names))
}

fn is_hidden(name: &str, names: &[String]) -> bool {
    let name: Vec<u8> = percent_decode_str(name).map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    names.iter().any(|hidden| hidden.as_bytes().eq_ignore_ascii_case(name.trim_ascii()))
}

/// A host as it is logged: without user information. A request that has any is refused, and leaves a line all the same.
pub(super) fn host(written: &[u8]) -> &[u8] {
    written.rsplit(|byte| *byte == b'@').next().unwrap_or_default()
}

/// Appends `referer` to `out` without user information and fragment, its query redacted.
pub(super) fn referer(referer: &str, names: &[String], out: &mut String) {
    let page = referer.split_once('#').map_or(referer, |(page, _)| page);
    let (address, search) = page.split_once('?').map_or((page, None), |(address, search)| (address, Some(search)));
    match address.split_once("//") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            for part in [scheme, "//", host, path] {
                out.push_str(part);
            }
        }
        None => out.push_str(address),
    }
    if let Some(search) = search {
        out.push('?');
        query(search, names, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["token", "api_key"].map(String::from).to_vec()
    }

    fn redacted(text: &str) -> String {
        let mut out = String::new();
        query(text, &names(), &mut out);
        out
    }

    #[test]
    fn values_of_named_parameters_are_hidden_however_they_are_written() {
        for (written, logged) in [
            ("token=abc", "token=***"),
            ("a=1&token=abc&b=2", "a=1&token=***&b=2"),
            ("a=1;token=abc", "a=1;token=***"),
            ("TOKEN=abc&ToKeN=def", "TOKEN=***&ToKeN=***"),
            ("%74oken=abc&api%5Fkey=x", "%74oken=***&api%5Fkey=***"),
            ("token=a=b=c", "token=***"),
            ("+token=abc", "+token=***"),
            ("token=", "token=***"),
            ("token", "token"),
            ("mytoken=abc&tokens=x", "mytoken=abc&tokens=x"),
            ("&&a=1&", "&&a=1&"),
            ("%zz=1&%ff=2", "%zz=1&%ff=2"),
            ("", ""),
        ] {
            assert_eq!(redacted(written), logged, "{written}");
        }
    }

    #[test]
    fn a_host_keeps_no_user() {
        assert_eq!(host(b"a.example:80"), b"a.example:80");
        assert_eq!(host(b"user:pass@a.example"), b"a.example");
        assert_eq!(host(b"a@b:c@a.example"), b"a.example");
        assert_eq!(host(b"@"), b"");
    }

    #[test]
    fn a_referer_keeps_its_page_only() {
        for (written, logged) in [
            ("https://example.org/a?token=abc&b=1#frag", "https://example.org/a?token=***&b=1"),
            ("https://user:pass@example.org/a", "https://example.org/a"),
            ("https://a@b:c@example.org", "https://example.org"),
            ("https://example.org/@x", "https://example.org/@x"),
            ("/relative?api_key=1", "/relative?api_key=***"),
            ("https://u:p@example.org?token=1", "https://example.org?token=***"),
            ("", ""),
        ] {
            let mut out = String::new();
            referer(written, &names(), &mut out);
            assert_eq!(out, logged, "{written}");
        }
    }
}
