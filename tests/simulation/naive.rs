//! What is right, by plain counting: versions at the origin, and the oldest that a read may still return.
//!
//! Nothing here knows of epochs held in cells. It remembers every invalidation by name for ever, which is what the real
//! thing can't afford and must behave as if it did.

use super::rng::mixed;
use freshgate::fill::Comer;
use freshgate::rfc9111::Sharing;
use std::collections::HashMap;

pub type Version = u32;

/// `/a`, `/a/b` and `/c`.
pub const PATHS: usize = 3;
pub const TAGS: usize = 2;
/// Nobody, Alice and Bob.
pub const CALLERS: usize = 3;

/// A name of something that can be invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Everything,
    Api,
    Path(usize),
    /// Below a path; `None` is the root.
    Below(Option<usize>),
    Tag(usize),
    Caller(usize),
}

/// The names known before a question is asked.
pub fn known(path: usize, caller: usize) -> Vec<Name> {
    let mut names = vec![Name::Everything, Name::Api, Name::Path(path), Name::Below(None)];
    if path == 1 {
        names.push(Name::Below(Some(0)));
    }
    if caller > 0 {
        names.push(Name::Caller(caller));
    }
    names
}

/// The names that a write to a path reaches (`invalidate = "tree"`), and the paths that it changes.
pub fn reached(path: usize) -> (Vec<Name>, &'static [usize]) {
    let own = [Name::Path(path), Name::Below(Some(path))];
    match path {
        0 => (own.to_vec(), &[0, 1]),
        1 => ([&own[..], &[Name::Path(0)]].concat(), &[0, 1]),
        _ => (own.to_vec(), &[2]),
    }
}

/// What a path's validators say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validator {
    None,
    /// Another one for each version.
    Strong,
    /// The same for two versions that differ.
    Weak,
    /// Strong and the same for two versions, which have one content but not the same tags.
    Equal,
}

/// How the origin behaves; fixed for a world.
#[derive(Clone, Debug)]
pub struct Origin {
    pub salt: u64,
    pub validators: [Validator; PATHS],
}

impl Origin {
    pub fn etag(&self, path: usize, version: Version) -> Option<String> {
        match self.validators[path] {
            Validator::None => None,
            Validator::Strong => Some(format!("\"{version}\"")),
            Validator::Weak => Some(format!("W/\"{}\"", version / 2)),
            Validator::Equal => Some(format!("\"{}\"", version / 2)),
        }
    }

    pub fn tags(&self, path: usize, version: Version) -> impl Iterator<Item = usize> + use<> {
        let bits = self.hash(path, version, 1);
        (0..TAGS).filter(move |tag| bits & (1 << tag) != 0)
    }

    /// How widely a version may be shared; `None` is not to be stored at all.
    pub fn sharing(&self, path: usize, version: Version) -> Option<Sharing> {
        match self.hash(path, version / 2, 2) % 8 {
            0 => None,
            1 | 2 => Some(Sharing::Unstated),
            _ => Some(Sharing::Public),
        }
    }

    pub fn varies(&self, path: usize, version: Version) -> bool {
        self.hash(path, version / 2, 3).is_multiple_of(3)
    }

    fn hash(&self, path: usize, version: Version, what: u64) -> u64 {
        mixed(self.salt ^ mixed((path as u64) << 40 | u64::from(version) << 8 | what))
    }
}

/// What an answer says; it is in its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub path: usize,
    pub version: Version,
    /// The version that the origin had when it last confirmed this one.
    pub confirmed: Version,
    /// Whose question it answered, and in which language.
    pub caller: usize,
    pub language: usize,
}

impl Said {
    pub fn write(self) -> Vec<u8> {
        let [path, caller, language] = [self.path, self.caller, self.language].map(|n| n as u8);
        let mut bytes = vec![path, caller, language];
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.confirmed.to_le_bytes());
        bytes
    }

    pub fn read(bytes: &[u8]) -> Said {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let [path, caller, language] = [bytes[0], bytes[1], bytes[2]].map(usize::from);
        Said { path, caller, language, version: number(3), confirmed: number(7) }
    }
}

/// The oldest versions that a read may return; taken when it begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    path: Version,
    tags: [Version; TAGS],
    caller: Version,
    /// As fresh: the origin must have confirmed it since.
    soft: Version,
    soft_tags: [Version; TAGS],
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Stale,
    StaleAfterTagPurge,
    StaleAfterCallerPurge,
    FreshAfterSoftPurge,
    Leak,
    WrongVariant,
    /// A reader refused the same question twice.
    Livelock,
    /// An older answer is found where a younger one was.
    Older,
    /// A second question without a reason.
    CoalescingLost,
    /// Something is left when all is over.
    Left,
    Stuck,
}

#[derive(Debug, Default)]
pub struct Naive {
    pub versions: [Version; PATHS],
    needs: [Need; PATHS],
    callers: [[Version; PATHS]; CALLERS],
    invalidated: HashMap<Name, u64>,
    settles: HashMap<Name, u64>,
}

impl Naive {
    pub fn need(&self, path: usize, caller: usize) -> Need {
        Need { caller: self.callers[caller][path], ..self.needs[path] }
    }

    /// A write that left the origin with these versions is acknowledged: its paths, and all that carries its tag.
    pub fn written(&mut self, paths: &[usize], tag: Option<usize>, left: &[Version; PATHS]) {
        for path in paths {
            raise(&mut self.needs[*path].path, left[*path]);
        }
        if let Some(tag) = tag {
            (0..PATHS).for_each(|path| raise(&mut self.needs[path].tags[tag], left[path]));
        }
    }

    /// A purge that was called when the origin had these versions is acknowledged.
    pub fn purged(&mut self, name: Name, hard: bool, had: &[Version; PATHS]) {
        for (path, version) in had.iter().copied().enumerate() {
            let covers = match name {
                Name::Everything | Name::Api | Name::Below(None) => true,
                Name::Path(p) => p == path,
                Name::Below(Some(p)) => p == 0 && path == 1,
                Name::Tag(_) | Name::Caller(_) => false,
            };
            match (name, hard) {
                (Name::Tag(tag), true) => raise(&mut self.needs[path].tags[tag], version),
                (Name::Tag(tag), false) => raise(&mut self.needs[path].soft_tags[tag], version),
                (Name::Caller(caller), true) => raise(&mut self.callers[caller][path], version),
                (_, true) if covers => raise(&mut self.needs[path].path, version),
                (_, false) if covers => raise(&mut self.needs[path].soft, version),
                _ => {}
            }
        }
    }

    /// Whether a reader may be given this; `fresh` is how it is offered.
    pub fn judge(
        &self,
        origin: &Origin,
        need: &Need,
        said: Said,
        fresh: bool,
        caller: usize,
        language: usize,
    ) -> Result<(), Fault> {
        let private = origin.sharing(said.path, said.version) != Some(Sharing::Public);
        let mut tags = origin.tags(said.path, said.version);
        let outdated = said.confirmed < need.soft || tags.any(|tag| said.confirmed < need.soft_tags[tag]);
        let checks = [
            (said.version < need.path, Fault::Stale),
            (origin.tags(said.path, said.version).any(|tag| said.version < need.tags[tag]), Fault::StaleAfterTagPurge),
            (private && said.version < need.caller, Fault::StaleAfterCallerPurge),
            (fresh && outdated, Fault::FreshAfterSoftPurge),
            (private && said.caller != caller, Fault::Leak),
            (origin.varies(said.path, said.version) && said.language != language, Fault::WrongVariant),
        ];
        checks.iter().find(|(is, _)| *is).map_or(Ok(()), |(_, fault)| Err(*fault))
    }

    pub fn invalidated(&mut self, names: &[Name], epoch: u64) {
        for name in names {
            self.invalidated.insert(*name, epoch);
        }
    }

    pub fn settling(&mut self, names: &[Name], until: u64) {
        for name in names {
            let of = self.settles.entry(*name).or_default();
            *of = (*of).max(until);
        }
    }

    /// Whether something of these names was invalidated after `asked_at`, or settles and this comer minds.
    pub fn overtaken(&self, names: &[Name], asked_at: u64, asked_time: u64, comer: &Comer) -> bool {
        let of = |map: &HashMap<Name, u64>, name: &Name| map.get(name).copied().unwrap_or_default();
        names.iter().any(|name| {
            of(&self.invalidated, name) > asked_at
                || of(&self.settles, name) > asked_time && comer.began_time >= asked_time
        })
    }

    /// The last invalidation of these names.
    pub fn last(&self, names: &[Name]) -> u64 {
        names.iter().filter_map(|name| self.invalidated.get(name)).copied().max().unwrap_or_default()
    }
}

fn raise(of: &mut Version, to: Version) {
    *of = (*of).max(to);
}
