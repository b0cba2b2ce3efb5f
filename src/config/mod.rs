//! The TOML as written, turned into checked settings of every part.
//!
//! One pass, top to bottom: [`parse`] reads the text into tables that know their places, hands each section to the file
//! of that name, and each of those fills the settings type of its part. Nothing is returned before everything has been
//! read, so that a person sees all faults of a file at once, each with line and column. Three kinds of notes come out:
//! faults (there is no configuration), warnings (there is one, probably not the one that was meant) and remarks (what a
//! setting means, in words).
//!
//! `reader`, `table` and `read` are the typed reader; `unavailable` lists what the contract names and this version lacks;
//! `bounds` has the least and the most of every number; `effective` writes a configuration back, and `write_back` one `[[api]]` into the
//! text of its file.

mod address;
mod admin;
mod api;
mod auth;
mod bounds;
mod cache;
mod compress;
mod effective;
mod events;
mod fault;
mod key;
mod log;
mod objects;
mod origin;
mod read;
mod reader;
mod route;
mod rules;
mod secret;
mod server;
mod shown;
mod sources;
mod surroundings;
mod table;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod unavailable;
mod words;
pub mod write_back;

pub use effective::effective;
pub use fault::{Fault, Faults};
pub use surroundings::Surroundings;

use crate::upstream::Endpoint;
use crate::{admin as admin_port, auth as callers, listener, objects as objects_cache, policy, store};
use reader::{Notes, Reader};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use table::Table;
use toml::de::DeTable;

/// Whether some of its callers are asked in this way.
fn asks(api: &policy::Api, way: impl Fn(&callers::Settings) -> bool) -> bool {
    let mut rules = std::iter::once(&api.rules).chain(api.routes.iter().map(|route| &route.rules));
    rules.any(|rules| way(&rules.auth))
}

/// A key that callers show in the query is never logged, whatever it is called.
fn hide_keys(hidden: &mut Vec<String>, apis: &[policy::Api]) {
    let rules =
        apis.iter().flat_map(|api| std::iter::once(&api.rules).chain(api.routes.iter().map(|route| &route.rules)));
    for name in rules.filter_map(|rules| rules.auth.parameter()) {
        if !hidden.iter().any(|known| known == name) {
            hidden.push(name.to_owned());
        }
    }
}

/// A file is read no further than this, in bytes.
pub(crate) const LONGEST_FILE: u64 = 16 << 20;

/// The settings of every part.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: listener::Settings,
    /// `[cache]`.
    pub cache: store::Settings,
    /// `[admin]`.
    pub admin: admin_port::Settings,
    /// `[objects]`; `None` is no object cache.
    pub objects: Option<objects_cache::Settings>,
    /// `[log]`.
    pub log: crate::telemetry::Settings,
    /// `[telemetry]`; `None` is no traces.
    pub telemetry: Option<crate::telemetry::traces::Settings>,
    /// `[events]`.
    pub events: crate::events::Settings,
    /// Every `[[api]]`, in the order of the file.
    pub apis: Vec<policy::Api>,
}

impl Config {
    /// Every API, those included that are namespaces of objects.
    pub fn all_apis(&self) -> Vec<policy::Api> {
        let namespaces = self.objects.iter().flat_map(|objects| &objects.namespaces);
        self.apis.iter().cloned().chain(namespaces.map(|namespace| namespace.api.clone())).collect()
    }
}

/// A configuration, and what its reader should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Fault>,
    /// What some settings mean, in words, in the order of the file.
    pub remarks: Vec<Fault>,
}

/// Reads and checks a file, with the environment and the memory limit of this process.
///
/// # Errors
/// Every fault of the file at once, or why it can't be read.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    understand(&read_file(path)?, path)
}

/// The bytes of a file.
///
/// # Errors
/// Why it can't be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Faults> {
    bytes_of(path).map_err(|e| Faults::Unreadable { file: path.display().to_string(), reason: e.to_string() })
}

/// The same of a file that is read again and again: a pipe has nothing to say a second time, and to open one is to wait for who writes to it.
///
/// # Errors
/// Why it can't be read.
pub fn read_file_again(path: &Path) -> Result<Vec<u8>, Faults> {
    match std::fs::metadata(path) {
        Ok(about) if !about.is_file() => {
            let reason = "it isn't a regular file".into();
            Err(Faults::Unreadable { file: path.display().to_string(), reason })
        }
        Ok(_) | Err(_) => read_file(path),
    }
}

/// Checks what was read from `path`, as [`load`] does.
///
/// # Errors
/// Every fault at once.
pub fn understand(bytes: &[u8], path: &Path) -> Result<Loaded, Faults> {
    let file = path.display().to_string();
    let around = Surroundings::of_this_process();
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, &file, &around),
        Err(e) => {
            let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
            let reader = Reader::new(&before, &file, &around);
            reader.place("", before.len()).fault("the file is not UTF-8");
            Err(Faults::Invalid(reader.into_notes().faults))
        }
    }
}

fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    let too_long = bytes.len() as u64 > LONGEST_FILE;
    let limit = || std::io::Error::other(format!("it has more than {}", crate::units::show_size(LONGEST_FILE)));
    if too_long { Err(limit()) } else { Ok(bytes) }
}

/// Checks `text`, which faults call `file`; relative paths in it begin at that file's folder.
///
/// # Errors
/// Every fault at once. Where the text is not TOML these are the faults of its syntax only: what the rest means can't be
/// known.
pub fn parse(text: &str, file: &str, around: &Surroundings<'_>) -> Result<Loaded, Faults> {
    let reader = Reader::new(text, file, around);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.place("", error.span().map_or(0, |span| span.start)).fault(error.message());
    }
    if !errors.is_empty() {
        return Err(Faults::Invalid(reader.into_notes().faults));
    }
    let config = config(Table::new(reader.place("", 0), table.get_ref()));
    let Notes { faults, warnings, remarks, .. } = reader.into_notes();
    if faults.is_empty() { Ok(Loaded { config, warnings, remarks }) } else { Err(Faults::Invalid(faults)) }
}

fn config(root: Table<'_>) -> Config {
    let mut bound = Vec::new();
    let server = server::server(&root, &mut bound);
    let admin = admin::admin(&root, &mut bound);
    let objects = objects::objects(&root, &mut bound);
    server::no_clash(&bound);
    if server.purge_method && admin.tokens.is_empty() {
        root.place_of("server").warn("purge_method = true lets nobody purge: there are no [[admin.tokens]]");
    }
    let (cache, mut log, telemetry) = (cache::cache(&root), log::log(&root), telemetry::telemetry(&root));
    let apis = api::apis(&root);
    let spaces = objects.iter().flat_map(|objects| &objects.namespaces);
    let namespaces: Vec<String> = spaces.map(|space| space.api.version.clone()).collect();
    let known = events::Known { apis: &apis, namespaces: &namespaces, channels: &[] };
    let events = events::events(&root, &known);
    if !events.rules.is_empty() && admin.listen.is_none() && events.sources.is_empty() {
        root.place_of("events")
            .warn("no event can come: there is neither [admin], which takes them, nor an [[events.source]]");
    }
    hide_keys(&mut log.redact_query, &apis);
    let asked = server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !asked && apis.iter().any(|api| asks(api, |auth| matches!(auth, callers::Settings::ClientCertificate(_)))) {
        root.place_of("server")
            .fault("kind = \"client-certificate\" needs tls with client_ca here, or nobody shows one");
    }
    if server.trusted_proxies.is_empty()
        && apis.iter().any(|api| asks(api, |auth| matches!(auth, callers::Settings::TrustedHeader(_))))
    {
        root.place_of("server").warn("kind = \"trusted-header\" lets nobody in: there are no trusted_proxies");
    }
    for api in &apis {
        if api.upstream.iter().any(|endpoint| server.listen.iter().any(|own| is_at(endpoint, *own))) {
            root.place_of("api").warn(format!("an upstream of {} is the address of this gateway itself", api.id()));
        }
    }
    for space in objects.iter().flat_map(|objects| &objects.namespaces) {
        if apis.iter().any(|api| api.id() == space.api.id()) {
            root.place_of("api").fault(format!("`{}` is the name of a namespace of [objects]", space.api.id()));
        }
    }
    root.finish();
    Config { server, cache, admin, objects, log, telemetry, events, apis }
}

/// Whether an endpoint is what is reached at this address of our own.
fn is_at(endpoint: &Endpoint, own: SocketAddr) -> bool {
    let address = endpoint.host.parse::<IpAddr>();
    let same = |ip: IpAddr| ip == own.ip() || own.ip().is_unspecified() && ip.is_loopback();
    own.port() != 0 && endpoint.port == own.port() && address.map_or(endpoint.host == "localhost", same)
}
