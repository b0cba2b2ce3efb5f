//! W3C Trace Context: the fields in which a request says to which trace it belongs.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Which trace, and whose span is the parent.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What each vendor on the way notes for itself.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The flag of a trace that is sampled.
const SAMPLED: u8 = 1;
/// The flags that have a meaning: sampled, and that the trace's number is random (Level 2).
const KNOWN: u8 = 3;
/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// Members that a `tracestate` may have (§3.3.1.1).
const MEMBERS: usize = 32;
/// Bytes of `tracestate` that are passed on; the recommendation asks for at least 512.
const STATE: usize = 2048;

/// A span of a trace, as others are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Its flags, as far as they have a meaning.
    pub flags: u8,
}

impl Context {
    /// Reads `traceparent` (§3.2): one line, lower-case hexadecimal, no zeros, and of a version that isn't known yet as much as is known.
    /// What isn't so is nobody's context.
    pub fn read(fields: &HeaderMap) -> Option<Context> {
        let mut lines = fields.get_all(&TRACEPARENT).iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let line = line.as_bytes();
        let version = hex(line.get(..2)?)?;
        let fits = if version == 0 { line.len() == LENGTH } else { line.get(LENGTH).is_none_or(|next| *next == b'-') };
        let (dashes, &[trace, span, flags]) = (
            [2, 35, 52].map(|at| line.get(at) == Some(&b'-')),
            &[line.get(3..35)?, line.get(36..52)?, line.get(53..LENGTH)?],
        );
        if version == 0xff || !fits || dashes.contains(&false) {
            return None;
        }
        let (trace, span, flags) = (hex(trace)?, hex(span)?, hex(flags)?);
        let context = Context { trace, span: u64::try_from(span).ok()?, flags: u8::try_from(flags).ok()? & KNOWN };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// Whether whoever named it records it.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags of a trace that begins.
    pub(super) fn flags(sampled: bool) -> u8 {
        if sampled { SAMPLED } else { 0 }
    }

    /// As `traceparent`.
    pub fn field(self) -> Option<HeaderValue> {
        let Context { trace, span, flags } = self;
        HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-{flags:02x}")).ok()
    }
}

/// All lines of `tracestate` as one (§3.3), where they are a list of members; else nothing: it is then to be dropped, which does no harm to the trace.
pub(super) fn state(fields: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = fields.get_all(&TRACESTATE).iter();
    let first = lines.next()?;
    let mut all = first.as_bytes().to_vec();
    for line in lines {
        all.push(b',');
        all.extend_from_slice(line.as_bytes());
    }
    let members = || all.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    let sane = all.len() <= STATE && (1..=MEMBERS).contains(&members().count()) && members().all(is_member);
    sane.then(|| HeaderValue::from_bytes(&all).ok()).flatten()
}

/// `key=value` (§3.3.1.3).
fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|b| *b == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let in_key = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(b);
    let in_value = |b: &u8| matches!(b, b' '..=b'~') && !b",=".contains(b);
    (1..=256).contains(&key.len()) && key.iter().all(in_key) && value.len() <= 256 && value.iter().all(in_value)
}

/// A number in lower-case hexadecimal digits.
fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<Context> {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append(TRACEPARENT, HeaderValue::from_str(line).unwrap());
        }
        Context::read(&fields)
    }

    #[test]
    fn a_context_is_read_and_written_as_the_recommendation_has_it() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = read(&[text]).unwrap();
        let expected =
            Context { trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span: 0x00f0_67aa_0ba9_02b7, flags: 1 };
        assert_eq!(context, expected);
        assert!(context.is_sampled());
        assert_eq!(context.field().unwrap(), text);
        assert!(!Context { flags: 2, ..context }.is_sampled());
    }

    #[test]
    fn what_is_no_context_is_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&[good, good]), None, "two are none");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn of_a_later_version_what_is_known_counts() {
        for later in ["01", "cc"] {
            let plain = format!("{later}-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff");
            assert_eq!(read(&[&plain]).unwrap().flags, 3);
            assert!(read(&[&format!("{plain}-more")]).is_some());
        }
    }

    #[test]
    fn a_state_is_a_list_of_members_or_nothing() {
        let many = |n: usize| (0..n).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let read = |lines: &[&str]| {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(TRACESTATE, HeaderValue::from_str(line).unwrap());
            }
            state(&fields).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(read(&["a=1, b@c=2"]).as_deref(), Some("a=1, b@c=2"));
        assert_eq!(read(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        assert!(read(&[&many(32)]).is_some());
        for bad in ["", "a", "A=1", "a=1=2", "=1", "a=1,b", &many(33), &format!("a={}", "x".repeat(257))] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
    }
}
