//! `tls = { … }` of `[server]` and `[admin]`.

use super::table::{Table, Value};
use super::words::Words;
use crate::tls::{ClientAuth, Server, Settings};
use std::path::{Path, PathBuf};

/// Whether clients must show a certificate.
pub(super) const CLIENT_AUTH: &Words<ClientAuth> =
    &[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)];

/// Reads the table `tls` of `t`, if it is there, and tries its files.
pub(super) fn tls(t: &Table<'_>) -> Option<Settings> {
    let table = t.table("tls")?;
    let cert = table.need("cert", "a file with our certificate in PEM", path);
    let key = table.need("key", "a file with its private key in PEM", path);
    let client_ca = table.get("client_ca", path);
    let client_auth = table.get("client_auth", |v| v.word(CLIENT_AUTH));
    if client_auth.is_some() && table.find("client_ca").is_none() {
        table.place_of("client_auth").fault("says nothing without client_ca, the authorities whose certificates count");
    }
    let place = table.at.clone();
    table.finish();
    let client_auth = client_auth.unwrap_or(ClientAuth::Required);
    let settings = Settings { cert: cert?, key: key?, client_ca, client_auth };
    if let Err(reason) = Server::load(settings.clone(), &[]) {
        place.fault(reason);
    }
    Some(settings)
}

/// The same of one that the gateway makes.
pub(super) fn path_to_be(value: &Value<'_>) -> Option<PathBuf> {
    let path = path(value)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        value.at.warn(format!("there is no folder {}", folder.display()));
    } else if path.is_dir() {
        value.at.warn(format!("{} is a folder, expected a file or nothing", path.display()));
    }
    Some(path)
}

/// A file's path; a relative one begins at the folder of the configuration.
pub(super) fn path(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    if text.is_empty() {
        return value.wrong("the path of a file");
    }
    let folder = Path::new(value.at.reader.file()).parent().unwrap_or(Path::new(""));
    Some(folder.join(text))
}
