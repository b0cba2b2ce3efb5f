//! Texts with `*`, as `when` writes them.

/// A text in which `*` stands for any number of any characters, also none. Letter case counts, as it does in CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard(String);

impl Wildcard {
    /// Any text is one.
    pub fn new(text: &str) -> Self {
        Wildcard(text.into())
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether `text` is one of those that are meant.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut left) = text.strip_prefix(first) else { return false };
        let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first place where a piece fits is as good as any later one: more is left behind it.
        for piece in between.split('*').filter(|piece| !piece.is_empty()) {
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, text, meant) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.b", "A.b", false),
            ("*", "", true),
            ("*", "anything / at all", true),
            ("a.*", "a.", true),
            ("a.*", "a.b.c", true),
            ("a.*", "ab", false),
            ("*.updated", "codes.updated", true),
            ("*.updated", "codes.updated.not", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*b*b", "ab", false),
            ("a**c", "abc", true),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab*", "xaba", false),
            ("*aab", "aaab", true),
        ] {
            assert_eq!(Wildcard::new(pattern).matches(text), meant, "{pattern} and {text}");
        }
    }
}
