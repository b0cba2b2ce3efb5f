//! Which content coding a client takes (RFC 9110 §12.5.3).

use super::fields::list_bytes;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding that answers can be given in (§8.4.1; `br` is RFC 7932, `zstd` RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

    /// As `Content-Encoding` names it.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    fn is_called(self, name: &[u8]) -> bool {
        // §8.4.1.3: a recipient takes `x-gzip` for `gzip`.
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || self == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// How much something is wanted, in thousandths; 0 is not at all.
type Weight = u16;

/// Which of `offered` a client with these fields likes best, the earlier one of two that it likes alike; `None` is the content as it
/// is. That is what a client gets that says nothing, though it would take anything, and one that takes nothing of what there is.
pub fn choose(request: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    if !request.contains_key(ACCEPT_ENCODING) {
        return None;
    }
    let weight = |is: &dyn Fn(&[u8]) -> bool| {
        list_bytes(request, &ACCEPT_ENCODING).map(weighted).find(|(name, _)| is(name)).map(|(_, weight)| weight)
    };
    let any = weight(&|name| name == b"*");
    let mut best: Option<(Coding, Weight)> = None;
    for coding in offered {
        let own = weight(&|name| coding.is_called(name)).or(any).unwrap_or(0);
        if own > best.map_or(0, |(_, weight)| weight) {
            best = Some((*coding, own));
        }
    }
    let plain = weight(&|name| name.eq_ignore_ascii_case(b"identity")).or(any).unwrap_or(0);
    best.filter(|(_, weight)| *weight >= plain).map(|(coding, _)| coding)
}

/// A member's name, and its weight; of one that can't be read, or has parameters that it mustn't have, 0.
fn weighted(member: &[u8]) -> (&[u8], Weight) {
    let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let weight = match (parts.next(), parts.next()) {
        (None, _) => Some(1000),
        (Some([b'q' | b'Q', b'=', value @ ..]), None) => qvalue(value),
        (Some(_), _) => None,
    };
    (name, weight.unwrap_or(0))
}

/// §12.4.2: `0`, `1`, and at most three digits after the point.
fn qvalue(text: &[u8]) -> Option<Weight> {
    let (whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => &[],
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| digits.get(at).map_or(0, |digit| Weight::from(digit - b'0'));
    let weight = Weight::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc9110::{Lines, fields_of};
    use Coding::{Brotli, Gzip, Zstd};

    #[test]
    fn the_best_one_by_12_5_3() {
        let all: &[Coding] = &[Zstd, Brotli, Gzip];
        let cases: &[(&str, Lines<'_>, &[Coding], Option<Coding>)] = &[
            ("nothing said: anything would do", &[], all, None),
            ("empty: nothing but the content", &[("accept-encoding", "")], all, None),
            ("one", &[("accept-encoding", "gzip")], all, Some(Gzip)),
            ("case", &[("accept-encoding", "GZip")], all, Some(Gzip)),
            ("its old name", &[("accept-encoding", "x-gzip")], all, Some(Gzip)),
            ("alike: our order", &[("accept-encoding", "gzip, br, zstd")], all, Some(Zstd)),
            ("alike: our other order", &[("accept-encoding", "zstd, br, gzip")], &[Gzip, Brotli], Some(Gzip)),
            ("by weight", &[("accept-encoding", "zstd;q=0.5, br;q=0.9, gzip;q=0.8")], all, Some(Brotli)),
            ("a thousandth", &[("accept-encoding", "br;q=0.123, gzip;q=0.124")], all, Some(Gzip)),
            ("over two lines", &[("accept-encoding", "br;q=0.1"), ("accept-encoding", "gzip")], all, Some(Gzip)),
            ("not offered", &[("accept-encoding", "br")], &[Gzip], None),
            ("unknown", &[("accept-encoding", "deflate, compress")], all, None),
            ("none of it", &[("accept-encoding", "gzip;q=0, br;q=0.0, zstd;q=0.000")], all, None),
            ("any", &[("accept-encoding", "*")], all, Some(Zstd)),
            ("any but", &[("accept-encoding", "zstd;q=0, *;q=0.1")], all, Some(Brotli)),
            ("none but", &[("accept-encoding", "br, *;q=0")], all, Some(Brotli)),
            ("none at all", &[("accept-encoding", "*;q=0")], all, None),
            ("rather as it is", &[("accept-encoding", "identity, gzip;q=0.5")], all, None),
            ("as it is, or any other", &[("accept-encoding", "identity, gzip")], all, Some(Gzip)),
            ("as it is only if need be", &[("accept-encoding", "identity;q=0.5, gzip;q=0.6")], all, Some(Gzip)),
            ("not as it is", &[("accept-encoding", "identity;q=0, gzip;q=0.001")], all, Some(Gzip)),
            ("not as it is, but nothing else is there", &[("accept-encoding", "identity;q=0")], all, None),
            ("any rather than this", &[("accept-encoding", "gzip;q=0.5, *")], &[Gzip], None),
            ("blanks", &[("accept-encoding", " gzip ; q=1.000 ,, br;q=0.9")], all, Some(Gzip)),
            ("more than all", &[("accept-encoding", "gzip;q=1.001")], all, None),
            ("too exact", &[("accept-encoding", "gzip;q=0.1234")], all, None),
            ("no number", &[("accept-encoding", "gzip;q=high, br;q=.5, zstd;q=")], all, None),
            ("another parameter", &[("accept-encoding", "gzip;level=1, br;q=1;x=2")], all, None),
            ("said twice: the first", &[("accept-encoding", "gzip;q=0, gzip")], all, None),
        ];
        for (why, fields, offered, want) in cases {
            assert_eq!(choose(&fields_of(fields), offered), *want, "{why}");
        }
    }
}
