//! The layers of the house, held by a machine.
//!
//! # What is held
//! 1. **Layers.** A file names only what stands below its own top-level part (`ORDER`).
//! 2. **No circles** among the files of one folder. `super::x` and `crate::folder::x` into a sibling are arrows, also
//!    when they take the way through the door (`mod.rs`), which re-exports.
//! 3. **Doors.** A `mod.rs` knows its children; a child that names something *defined* in its `mod.rs` makes a circle.
//!    It is allowed where one type is the folder's subject and its `impl` is spread over the files, each a step of it
//!    (`impl Gateway` in `read.rs`); such names are listed in `SPREAD` with their reason, and a line there that isn't
//!    needed any more is a fault too.
//! 4. **Purity.** `rfc9110`, `rfc9111` and `policy` know no sockets, files, tasks and clocks.
//! 5. **One place** each for reading the clock (`clock.rs`) and for spawning tasks (`tasks.rs`), and none for `unsafe`.
//!    (`spawn_blocking` is not meant: who calls it waits for it. The two threads that outlive a request, the sweeper and
//!    the log's writer, are made with `thread::Builder` by those who end them.)
//!
//! What is compiled for tests only may do as it likes.
//!
//! # How
//! Source is read as text: comments, strings and `#[cfg(test)]` items are taken out, and what is left is split into
//! words. A path counts wherever it stands, in a `use` or in the middle of an expression. Macros that make paths out of
//! pieces would escape; there are none. The last tests show that each rule can be broken.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From the top down. `client` stands below `gateway`, which tells a client what it gets, and below `listener`, which
/// makes one for each request. `alarm` is a timeout that costs little and that both rims use, `listener` and `upstream`.
/// `policy` stands above `auth` and `upstream`, since an API names its endpoints and how its callers are told apart; `auth` above
/// `upstream`, since an issuer and a judge of callers are asked over connections of the same kind.
const ORDER: [&str; 38] = [
    "main",
    "cli",
    "serve",
    "config",
    "listener",
    "objects",
    "admin",
    "events",
    "audit",
    "telemetry",
    "gateway",
    "purge",
    "snapshot",
    "fill",
    "store",
    "policy",
    "encode",
    "rfc9111",
    "rfc9110",
    "auth",
    "upstream",
    "client",
    "trace",
    "tls",
    "secret",
    "limit",
    "reached",
    "counted",
    "descriptors",
    "files",
    "tasks",
    "units",
    "alarm",
    "gather",
    "body",
    "clock",
    "sync",
    "lib",
];

/// What children may name of their own `mod.rs`: folder, name, why.
const SPREAD: [(&str, &str, &str); 10] = [
    ("cli", "CANNOT", "the exit codes are one short list for all commands"),
    ("cli", "complain", "all commands complain in one voice"),
    ("cli::demo::bookstore", "Bookstore", "the subject of the folder"),
    ("cli::demo::bookstore", "MAX_DELAY", "a bound of Bookstore"),
    ("config", "Config", "what all its files read is written out again by one"),
    ("fill", "Fills", "impl Fills: asking is a file of its own"),
    ("gateway", "Gateway", "impl Gateway: each way of a request is a file of its own"),
    ("gateway", "Settings", "a part of Gateway"),
    ("gateway", "Served", "a part of Gateway"),
    ("objects", "Objects", "impl Objects: each kind of request is a file of its own"),
];

const PURE: [&str; 3] = ["rfc9110", "rfc9111", "policy"];
/// Addresses of `std::net` are mere values.
const IMPURE: [&str; 10] = [
    "tokio",
    "hyper",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::fs",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// A file: its module's path (`gateway::read`; `gateway` for its `mod.rs`) and its words.
struct File {
    module: Vec<String>,
    words: Vec<String>,
}

impl File {
    fn new(path: &str, text: &str) -> File {
        let bare = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Vec<String> = bare.split('/').map(String::from).collect();
        if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        File { module, words: without_tests(words(&bare_code(text))) }
    }

    fn name(&self) -> String {
        self.module.join("::")
    }

    /// Every path that the file names, each as a list of words, as it is written.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            let begins = is_name(&self.words[at]) && (at == 0 || self.words[at - 1] != "::");
            if begins && self.words.get(at + 1).is_some_and(|word| word == "::") {
                at = tree(&self.words, at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }
}

/// Reads the use-tree that begins at `at`; returns where it ends.
fn tree(words: &[String], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    let next = tree(words, at, &path, found);
                    at = if next == at { at + 1 } else { next };
                    if words.get(at).is_some_and(|word| word == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(word) if is_name(word) || word == "*" => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
        if words.get(at).is_none_or(|word| word != "::") {
            break;
        }
        at += 1;
    }
    if words.get(at).is_some_and(|word| word == "as") {
        at += 2;
    }
    found.push(path);
    at
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Code without comments, and with empty strings and characters.
fn bare_code(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), String::new(), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else if let Some(raw) = raw_string(rest) {
            out.push_str("\"\"");
            at += raw;
        } else if rest.starts_with('"') {
            out.push_str("\"\"");
            at += quoted(rest);
        } else if let Some(length) = character(rest) {
            at += length;
        } else {
            let c = rest.chars().next().unwrap();
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let content = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest.len() - content.len() + content.find(&end)? + end.len())
}

/// The length of a character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let c = inner.chars().next()?;
    if c == '\\' {
        return Some(1 + 2 + inner[2..].find('\'')? + 1);
    }
    inner[c.len_utf8()..].starts_with('\'').then(|| c.len_utf8() + 2)
}

fn words(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

/// Takes out what `#[cfg(test)]` stands before.
fn without_tests(words: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if !words[at..].iter().map(String::as_str).take(MARK.len()).eq(MARK) {
            kept.push(words[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        while at < words.len() {
            match words[at].as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && matches!(words[at - 1].as_str(), ";" | "}") {
                break;
            }
        }
    }
    kept
}

/// The whole house.
struct House {
    files: Vec<File>,
    /// What doors re-export: door and name → module.
    doors: BTreeMap<(String, String), Vec<String>>,
    spread: BTreeSet<(String, String)>,
}

impl House {
    fn new(sources: &[(&str, &str)], spread: &[(&str, &str, &str)]) -> House {
        let files: Vec<File> = sources.iter().map(|(path, text)| File::new(path, text)).collect();
        let spread = spread.iter().map(|(folder, name, _)| ((*folder).to_owned(), (*name).to_owned())).collect();
        let mut house = House { files, doors: BTreeMap::new(), spread };
        let mut doors = BTreeMap::new();
        for file in &house.files {
            for path in file.paths() {
                let target = house.resolve(file, &path);
                if let (Some((module, _)), Some(name)) = (target, path.last())
                    && module.len() == file.module.len() + 1
                    && module.starts_with(&file.module)
                {
                    doors.insert((file.name(), name.clone()), module);
                }
            }
        }
        house.doors = doors;
        house
    }

    fn is_module(&self, path: &[String]) -> bool {
        self.files.iter().any(|file| file.module == path)
    }

    /// The module that a path of `file` leads to, and the name in it; `None` outside the house.
    fn resolve(&self, file: &File, path: &[String]) -> Option<(Vec<String>, Option<String>)> {
        let mut full = match path[0].as_str() {
            "crate" | "freshgate" => Vec::new(),
            "self" | "super" => file.module.clone(),
            child => {
                let mut inner = file.module.clone();
                inner.push(child.to_owned());
                if !self.is_module(&inner) {
                    return None;
                }
                file.module.clone()
            }
        };
        let mut rest = path;
        while let Some(first) = rest.first()
            && matches!(first.as_str(), "crate" | "freshgate" | "self" | "super")
        {
            if first == "super" {
                full.pop();
            }
            rest = &rest[1..];
        }
        while let Some(next) = rest.first() {
            full.push(next.clone());
            if !self.is_module(&full) {
                full.pop();
                break;
            }
            rest = &rest[1..];
        }
        let name = rest.first().cloned();
        let door = name.as_ref().and_then(|name| self.doors.get(&(full.join("::"), name.clone())));
        match door {
            Some(module) => Some((module.clone(), name)),
            None => Some((full, name)),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut used = BTreeSet::new();
        let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for file in &self.files {
            for path in file.paths() {
                faults.extend(outside(file, &path));
                let Some((to, name)) = self.resolve(file, &path) else { continue };
                let (Some(from_top), Some(to_top)) = (file.module.first(), to.first()) else { continue };
                if from_top != to_top {
                    faults.extend(upwards(&file.name(), from_top, to_top));
                    continue;
                }
                let common = file.module.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let node = |path: &[String]| path.get(common).cloned().unwrap_or_else(|| "mod".to_owned());
                let (a, b) = (node(&file.module), node(&to));
                let folder = file.module[..common].join("::");
                if b == "mod" && a != "mod" {
                    let key = (folder, name.unwrap_or_default());
                    if self.spread.contains(&key) {
                        used.insert(key);
                        continue;
                    }
                }
                if a != b {
                    folders.entry(file.module[..common].to_vec()).or_default().entry(a).or_default().insert(b);
                }
            }
            faults.extend(self.one_place(file));
        }
        for (folder, arrows) in &folders {
            faults.extend(circle(arrows).map(|circle| format!("{}: a circle: {circle}", folder.join("::"))));
        }
        faults.extend(self.spread.difference(&used).map(|(f, n)| format!("{f}: {n} needn't be excepted any more")));
        faults.sort();
        faults.dedup();
        faults
    }

    fn one_place(&self, file: &File) -> Vec<String> {
        let mut faults = Vec::new();
        let paths: Vec<String> = file.paths().iter().map(|path| path.join("::")).collect();
        // tokio's instant is for timeouts, and stands still where a test stops it.
        let tokios = paths.iter().any(|path| path == "tokio::time::Instant");
        for path in paths {
            let reads = ["Instant::now", "SystemTime::now"].iter().any(|clock| path.ends_with(clock));
            if reads && !path.starts_with("tokio::") && !(tokios && path == "Instant::now") && file.name() != "clock" {
                faults.push(format!("{}: reads the clock: {path}", file.name()));
            }
            let spawns = ["tokio::spawn", "task::spawn", "thread::spawn"].iter().any(|s| path.ends_with(s));
            if spawns && file.name() != "tasks" {
                faults.push(format!("{}: spawns: {path}", file.name()));
            }
        }
        if file.words.iter().any(|word| word == "unsafe") {
            faults.push(format!("{}: unsafe", file.name()));
        }
        faults
    }
}

fn upwards(file: &str, from: &str, to: &str) -> Option<String> {
    let place = |part: &str| ORDER.iter().position(|name| *name == part);
    match (place(from), place(to)) {
        (Some(from), Some(to)) if from < to => None,
        (Some(_), Some(_)) => Some(format!("{file}: {to} stands above {from}")),
        (None, _) => Some(format!("{file}: {from} has no place in the order")),
        (_, None) => Some(format!("{file}: {to} has no place in the order")),
    }
}

fn outside(file: &File, path: &[String]) -> Option<String> {
    let pure = file.module.first().is_some_and(|top| PURE.contains(&top.as_str()));
    let path = path.join("::");
    let is = |part: &&str| path == **part || path.starts_with(&format!("{part}::"));
    (pure && IMPURE.iter().any(is)).then(|| format!("{}: isn't pure: {path}", file.name()))
}

/// Some circle, if there is one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    fn walk<'a>(
        at: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        arrows: &'a BTreeMap<String, BTreeSet<String>>,
    ) -> Option<String> {
        if let Some(begin) = way.iter().position(|node| *node == at) {
            return Some([&way[begin..], &[at]].concat().join(" > "));
        }
        if !done.insert(at) {
            return None;
        }
        way.push(at);
        let found = arrows.get(at).into_iter().flatten().find_map(|next| walk(next, way, done, arrows));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|node| walk(node, &mut Vec::new(), &mut done, arrows))
}

fn read(folder: &Path, under: &str, sources: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{under}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            read(&path, &format!("{name}/"), sources);
        } else if name.ends_with(".rs") && !name.ends_with("/tests.rs") {
            sources.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_house_stands() {
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 100, "where is the source?");
    let sources: Vec<(&str, &str)> = sources.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let faults = House::new(&sources, &SPREAD).faults();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn faults(sources: &[(&str, &str)]) -> String {
    House::new(sources, &[]).faults().join("\n")
}

#[test]
fn an_arrow_upwards_is_seen() {
    let store = ("store/mod.rs", "");
    for fill in
        ["use crate::fill::Fills;", "use crate::{clock::Now, fill::{self, Fills}};", "fn f() { crate::fill::f() }"]
    {
        let found = faults(&[("store/entry.rs", fill), ("fill/mod.rs", ""), store, ("clock.rs", "")]);
        assert_eq!(found, "store::entry: fill stands above store", "{fill}");
    }
    assert_eq!(faults(&[("fill/mod.rs", "pub use crate::store::{Entry as E, *};"), store]), "");
    let said =
        "// crate::fill\n/* crate::fill */ const A: &str = \"crate::fill\\\"\"; const B: char = '\"'; fn f<'a>() {}";
    assert_eq!(faults(&[("store/entry.rs", said), ("fill/mod.rs", ""), store]), "");
    let tests = "#[cfg(test)]\nmod tests { use crate::fill::Fills; fn f() {} }\nuse crate::clock;";
    assert_eq!(faults(&[("store/entry.rs", tests), ("fill/mod.rs", ""), store, ("clock.rs", "")]), "");
    assert_eq!(
        faults(&[("cellar.rs", "use crate::clock;"), ("clock.rs", "")]),
        "cellar: cellar has no place in the order"
    );
}

#[test]
fn a_circle_is_seen() {
    let door = "mod a; mod b; pub use a::A; pub use b::B;";
    let files = |a, b| faults(&[("fill/mod.rs", door), ("fill/a.rs", a), ("fill/b.rs", b)]);
    assert_eq!(files("use super::b::B;", ""), "");
    assert_eq!(files("use super::b::B;", "use super::a::A;"), "fill: a circle: a > b > a");
    assert_eq!(files("use super::B;", "use crate::fill::A;"), "fill: a circle: a > b > a", "through the door");
    assert_eq!(files("use super::Fills;", ""), "fill: a circle: a > mod > a");
    let house = House::new(&[("fill/mod.rs", door), ("fill/a.rs", "use super::Fills;"), ("fill/b.rs", "")], &SPREAD);
    assert!(!house.faults().iter().any(|fault| fault.contains("circle")));
    assert!(house.faults().contains(&"gateway: Gateway needn't be excepted any more".to_owned()));
}

#[test]
fn impurity_is_seen() {
    let pure = |text| faults(&[("policy/mod.rs", text)]);
    assert_eq!(pure("use std::time::Duration;"), "");
    assert_eq!(pure("use std::time::{Duration, Instant};"), "policy: isn't pure: std::time::Instant");
    assert_eq!(pure("fn f() { tokio::time::sleep(d) }"), "policy: isn't pure: tokio::time::sleep");
    assert_eq!(faults(&[("purge.rs", "fn f() { Instant::now() }")]), "purge: reads the clock: Instant::now");
    assert_eq!(faults(&[("clock.rs", "fn f() { Instant::now() }")]), "");
    assert_eq!(faults(&[("purge.rs", "fn f() { tokio::spawn(g()) }")]), "purge: spawns: tokio::spawn");
    assert_eq!(faults(&[("purge.rs", "fn f() { unsafe { g() } }")]), "purge: unsafe");
}
