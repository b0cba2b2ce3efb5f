//! Patterns of paths as the file writes them: `GET,HEAD /books/{id}`, `/authors/*/books`, `book-{id}`.

use http::Method;
use std::fmt;

/// The methods before a pattern; none written means every method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// Whether `method` is among them. HEAD is, where GET is: it asks for the same (RFC 9110 §9.3.2).
    pub fn contains(&self, method: &Method) -> bool {
        self.0.is_empty() || self.0.contains(method) || *method == Method::HEAD && self.0.contains(&Method::GET)
    }
}

impl fmt::Display for Methods {
    /// As the file writes them: `PUT,DELETE`, or `*` for every method.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(Method::as_str).collect();
        f.write_str(if names.is_empty() { "*" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// A path pattern, relative to its API: `{name}` stands for one segment and keeps it, `*` for one segment, and `**`
/// at the end for any number of segments, also none. A final slash makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name(String),
    One,
    Rest,
}

/// The segments that a [`Pattern`]'s names stood for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Captures<'a> {
    /// The segment that `name` stood for.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// Names with their segments, in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.0.iter().copied()
    }
}

/// What is wrong with a pattern, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads `on = "PUT,DELETE /books/{id}"`: methods (none: every method) and a path pattern.
pub fn parse_on(text: &str) -> Result<(Methods, Pattern), BadPattern> {
    let text = text.trim();
    let (methods, path) = match text.split_once(char::is_whitespace) {
        Some((methods, path)) => (methods, path.trim()),
        None => ("", text),
    };
    let mut list = Vec::new();
    for name in methods.split(',').map(str::trim).filter(|m| !m.is_empty() && *m != "*") {
        let known = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        match Method::from_bytes(name.as_bytes()) {
            Ok(method) if known => list.push(method),
            Ok(_) | Err(_) => {
                return Err(BadPattern(format!("`{name}` is not a method; write e.g. \"PUT,DELETE /books/{{id}}\"")));
            }
        }
    }
    Ok((Methods(list), Pattern::parse(path)?))
}

impl Pattern {
    /// Reads a pattern that begins with `/`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(BadPattern(format!("`{text}` must begin with `/`")));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut parts = Vec::new();
        for segment in rest.split('/').filter(|_| !rest.is_empty()) {
            if parts.last() == Some(&Part::Rest) {
                return Err(BadPattern(format!("`**` must be the last segment of `{text}`")));
            }
            parts.push(part(segment, text)?);
        }
        let mut names: Vec<&str> = parts.iter().filter_map(Part::name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(BadPattern(format!("`{{{}}}` stands twice in `{text}`", twice[0])));
        }
        Ok(Pattern { text: text.into(), parts })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names in it, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(Part::name)
    }

    /// Whether it holds `*` or `**`, so that it stands for more than one path even with its names filled in.
    pub fn is_open(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::One | Part::Rest))
    }

    /// The segments behind its names if `path` (relative to the API, beginning with `/` or empty) matches.
    pub fn matches<'a>(&'a self, path: &'a str) -> Option<Captures<'a>> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/').filter(|_| !path.is_empty());
        let mut captures = Captures::default();
        for part in &self.parts {
            if *part == Part::Rest {
                return Some(captures);
            }
            let segment = segments.next()?;
            match part {
                Part::Literal(text) if text != segment => return None,
                Part::Literal(_) | Part::One | Part::Rest => {}
                Part::Name(name) => captures.0.push((name, segment)),
            }
        }
        segments.next().is_none().then_some(captures)
    }

    /// The path with names filled in from `captures`; `None` when a name is missing or it [is open](Self::is_open).
    pub fn fill(&self, captures: &Captures<'_>) -> Option<String> {
        let mut path = String::new();
        for part in &self.parts {
            path.push('/');
            path.push_str(match part {
                Part::Literal(text) => text,
                Part::Name(name) => captures.get(name)?,
                Part::One | Part::Rest => return None,
            });
        }
        Some(path)
    }
}

impl Part {
    fn name(&self) -> Option<&str> {
        match self {
            Part::Name(name) => Some(name),
            Part::Literal(_) | Part::One | Part::Rest => None,
        }
    }
}

fn part(segment: &str, text: &str) -> Result<Part, BadPattern> {
    if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let reason = format!("`{segment}` in `{text}`: a name is letters, digits and `_`");
        return plain.then(|| Part::Name(name.into())).ok_or(BadPattern(reason));
    }
    match segment {
        "*" => Ok(Part::One),
        "**" => Ok(Part::Rest),
        "" => Err(BadPattern(format!("`{text}` has an empty segment"))),
        s if s.contains(['*', '{', '}', '?', '#']) => {
            Err(BadPattern(format!("`{s}` in `{text}`: a segment is a word, `{{name}}`, `*` or `**`")))
        }
        s => Ok(Part::Literal(s.into())),
    }
}

/// A text with names, as in `tags = ["book-{id}"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a text in which `{name}` stands for a name.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(BadPattern(format!("`{text}` has a `{{` without its `}}`")));
            };
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Name(name.into()));
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Template(pieces))
    }

    /// The names in it, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| match p {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with its names filled in; `None` when one is missing.
    pub fn fill(&self, captures: &Captures<'_>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            text.push_str(match piece {
                Piece::Text(t) => t,
                Piece::Name(name) => captures.get(name)?,
            });
        }
        Some(text)
    }
}

impl fmt::Display for Template {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Name(name) => write!(f, "{{{name}}}"),
        })
    }
}
