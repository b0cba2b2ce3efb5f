//! Names of everything that can be invalidated, and which of them a question or a write touches.
//!
//! A path is named by what the *origin* sees, not by the public address: hosts, routes and API versions that lead to
//! one resource of one origin then share its scope, and a write through one of them reaches what was read through
//! another. The name is also blurred on purpose: escapes are decoded, those in escapes too, `\` is a slash, `;parameters` and
//! final slashes are dropped. Two
//! paths that blur into one name are only invalidated together, which is always safe; an origin that takes two
//! spellings for one resource would otherwise serve the old one under the other spelling.
//!
//! An answer at `/a/b/c` belongs to its own path and to the subtrees of `/a/b`, `/a` and `/`. A write at `/a/b` with
//! `invalidate = "tree"` reaches the path `/a/b`, the subtree below it, and the paths `/a` and `/` (as far as the API goes).

use super::pattern::Captures;
use super::settings::{Api, PurgeRule, Reach};
use http::Method;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Segments beyond which nothing is stored, so that neither an answer nor a write has more scopes than this and a few.
pub const MAX_DEPTH: usize = 32;

/// How often escapes are decoded: some origins do it twice.
const DECODINGS: usize = 2;

/// One thing that can be invalidated. Only a keyed hash of it is kept: two names that collide are invalidated together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope<'a> {
    /// All that is stored.
    Everything,
    /// All answers of one API (`name/version`).
    Api(&'a str),
    /// One path of an origin, with every query, caller and variant.
    Path(&'a str, &'a [String]),
    /// Everything below a path of an origin, not the path itself.
    Below(&'a str, &'a [String]),
    /// The paths that a `[[api.purge]]` pattern means, with its names filled in.
    Pattern(&'a str, &'a str, Vec<String>),
    /// A tag within an API.
    Tag(&'a str, &'a str),
    /// An authenticated caller within an API.
    Caller(&'a str, &'a str),
}

/// A path of an origin as scopes name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    segments: Vec<String>,
}

impl Place {
    /// The blurred form of a path that is sent to an origin.
    pub fn new(path: &str) -> Self {
        let mut plain = Cow::Borrowed(path);
        for _ in 0..DECODINGS {
            if plain.contains('%') {
                plain = Cow::Owned(percent_decode_str(&plain).decode_utf8_lossy().into_owned());
            }
        }
        let bare = plain.split(['/', '\\']).map(|s| s.split_once(';').map_or(s, |(name, _)| name));
        Place { segments: bare.filter(|s| !s.is_empty()).map(String::from).collect() }
    }

    /// A place that is named letter for letter.
    pub(super) fn exactly(segments: Vec<String>) -> Self {
        Place { segments }
    }

    /// Whether nothing at this path can be stored.
    pub fn is_too_deep(&self) -> bool {
        self.segments.len() > MAX_DEPTH
    }

    /// The scope of the path itself.
    pub fn path<'a>(&'a self, origin: &'a str) -> Scope<'a> {
        Scope::Path(origin, &self.segments)
    }

    /// The scope of what lies below the path.
    pub fn below<'a>(&'a self, origin: &'a str) -> Scope<'a> {
        Scope::Below(origin, &self.segments)
    }

    /// The subtrees that the path lies in, outermost first.
    fn within<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = Scope<'a>> {
        (0..self.segments.len()).map(move |n| Scope::Below(origin, &self.segments[..n]))
    }

    /// The paths above this one, from the parent up, not above `root`.
    fn ancestors<'a>(&'a self, origin: &'a str, root: &Place) -> impl Iterator<Item = Scope<'a>> {
        let top = root.segments.len();
        (top..self.segments.len())
            .rev()
            .filter(|n| *n <= MAX_DEPTH)
            .map(move |n| Scope::Path(origin, &self.segments[..n]))
    }
}

/// A path as the most generous of readers may take it: escapes decoded and written anew where they are needed, parameters, empty segments
/// and blanks at the ends of segments left out. `None` where it is the path itself.
pub(super) fn blurred(path: &str) -> Option<String> {
    if !path.contains(['%', ';']) {
        return None;
    }
    let mut text = String::with_capacity(path.len());
    for segment in &Place::new(path).segments {
        text.push('/');
        for byte in segment.trim().bytes() {
            match byte {
                b'%' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' | b'?' => {
                    text.push_str(&format!("%{byte:02X}"));
                }
                _ if byte.is_ascii_graphic() => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    (text != path.trim_end_matches('/')).then_some(text)
}

/// Where a request stands: its API, the origin's name and the place there.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The API.
    pub api: &'a Api,
    /// `name/version`.
    pub id: &'a str,
    /// The name of the origin (shared by all APIs that have an endpoint in common).
    pub origin: &'a str,
    /// The API's root at the origin.
    pub root: &'a Place,
    /// The path at the origin.
    pub place: Place,
    /// The path relative to the API, for `[[api.purge]]`.
    pub relative: &'a str,
    /// Of an object of the cache that has a source: its place there, by the name of that origin.
    pub source: Option<(&'a str, Place)>,
}

impl Standing<'_> {
    /// The scopes of a question that are known before it is asked (tags become known with the answer).
    pub fn known<'s>(&'s self, user: Option<&'s str>) -> Vec<Scope<'s>> {
        let mut scopes = vec![Scope::Everything, Scope::Api(self.id), self.place.path(self.origin)];
        scopes.extend(self.place.within(self.origin));
        if self.api.source().is_some() {
            scopes.push(self.place.below(self.origin)); // there is nothing below an object: it is for what was asked of its source
        }
        if let Some((origin, place)) = &self.source {
            scopes.push(place.path(origin));
            scopes.extend(place.within(origin));
        }
        scopes.extend(user.map(|user| Scope::Caller(self.id, user)));
        for pattern in self.api.purges.iter().flat_map(|rule| &rule.paths).filter(|p| p.is_open()) {
            for spelling in spellings(self.relative) {
                let Some(captures) = pattern.matches(&spelling) else { continue };
                let filled = pattern.names().filter_map(|name| captures.get(name)).map(String::from).collect();
                let scope = Scope::Pattern(self.id, pattern.text(), filled);
                if !scopes.contains(&scope) {
                    scopes.push(scope);
                }
            }
        }
        scopes
    }

    /// What a write here reaches by `invalidate`.
    pub fn reached(&self, reach: Reach) -> Vec<Scope<'_>> {
        let own = self.place.path(self.origin);
        match reach {
            Reach::Own => vec![own],
            Reach::Collection => {
                std::iter::once(own).chain(self.place.ancestors(self.origin, self.root).take(1)).collect()
            }
            Reach::Tree => {
                let mut scopes = vec![own, self.place.below(self.origin)];
                scopes.extend(self.place.ancestors(self.origin, self.root));
                scopes
            }
            Reach::Api => vec![own, Scope::Api(self.id), self.root.path(self.origin), self.root.below(self.origin)],
        }
    }
}

/// What a `[[api.purge]]` rule names for one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A path relative to the API.
    Path(String),
    /// A pattern with wildcards: its text and what its names stand for.
    Pattern(&'a str, Vec<String>),
    /// A tag.
    Tag(String),
}

/// What the `[[api.purge]]` rules of an API name for a write of `method` at `relative`.
pub fn named<'a>(rules: &'a [PurgeRule], method: &Method, relative: &str) -> Vec<Named<'a>> {
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| rule.methods.contains(method)) {
        for spelling in spellings(relative) {
            let Some(captures) = rule.path.matches(&spelling) else { continue };
            all.extend(rule.paths.iter().filter_map(|path| named_path(path, &captures)));
            all.extend(rule.tags.iter().filter_map(|tag| tag.fill(&captures)).map(Named::Tag));
        }
    }
    all
}

/// The spellings of a path that the patterns of `[[api.purge]]` are tried with: as written, and blurred like a
/// [`Place`], so that `/books;v=1/7` is meant where `/books/{id}` stands. Either may match: `{id}` of `/books/a%2Fb` is
/// `a%2Fb` as written, but `/books%2F7` is two segments to many an origin.
fn spellings(relative: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let blurred =
        relative.contains(['%', ';']).then(|| Cow::Owned(format!("/{}", Place::new(relative).segments.join("/"))));
    std::iter::once(Cow::Borrowed(relative)).chain(blurred)
}

fn named_path<'a>(path: &'a super::pattern::Pattern, captures: &Captures<'_>) -> Option<Named<'a>> {
    if !path.is_open() {
        return path.fill(captures).map(Named::Path);
    }
    let filled = path.names().map(|name| captures.get(name).map(String::from)).collect::<Option<Vec<_>>>()?;
    Some(Named::Pattern(path.text(), filled))
}
