//! A PostgreSQL of the test's own.

use crate::support::within;
use crate::world::{as_user, end, folder_of, free, own, said, wanted};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;

/// The password of its only user, who is `postgres`.
pub(crate) const PASSWORD: &str = "a5ecret";

/// A server; it ends with the test.
pub(crate) struct Postgres {
    pub(crate) addr: SocketAddr,
    bin: PathBuf,
    data: PathBuf,
    /// More of its settings.
    more: Vec<String>,
    child: Option<Child>,
    _folder: tempfile::TempDir,
}

/// Where the newest version's programs are.
fn bin() -> Option<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql").ok()?.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.pop().map(|newest| newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}

impl Postgres {
    /// Starts one; `None` where there is none on this machine.
    pub(crate) async fn start() -> Option<Postgres> {
        let mut server = Postgres::set_up()?;
        server.go_on().await;
        Some(server)
    }

    /// One that isn't started yet.
    pub(crate) fn set_up() -> Option<Postgres> {
        let bin = bin();
        if !wanted(bin.as_ref(), "PostgreSQL") {
            return None;
        }
        let (bin, folder) = (bin.unwrap(), tempfile::tempdir().unwrap());
        let data = folder_of("postgres", folder.path());
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut initdb = as_user("postgres", &bin.join("initdb"));
        initdb.args(["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
        said(initdb);
        Some(Postgres { addr: free(), bin, data, more: Vec::new(), child: None, _folder: folder })
    }

    /// One more setting, from the next start on.
    pub(crate) fn set(&mut self, setting: String) {
        self.more.push(setting);
    }

    /// A file that it may read and nobody else.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own("postgres", &[&path]);
        path
    }

    /// Starts it, or starts it again.
    pub(crate) async fn go_on(&mut self) {
        let mut postgres = as_user("postgres", &self.bin.join("postgres"));
        postgres.arg("-D").arg(&self.data).arg("-p").arg(self.addr.port().to_string());
        postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]);
        for setting in &self.more {
            postgres.args(["-c", setting]);
        }
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(postgres.spawn().unwrap());
        let url = self.url();
        within("PostgreSQL", async {
            loop {
                let there = TcpStream::connect(self.addr).await.is_ok();
                if there && self.psql(&url).args(["-c", "SELECT 1"]).output().unwrap().status.success() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Stops it, as it is stopped for a restart: whoever is connected is thrown out.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, "-INT");
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same server by another way.
    pub(crate) fn url_at(&self, addr: SocketAddr) -> String {
        format!("postgres://postgres:{PASSWORD}@{addr}/postgres?sslmode=disable")
    }

    fn psql(&self, url: &str) -> Command {
        psql(&self.bin, url)
    }

    /// What it says to these statements.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mut psql = self.psql(&self.url());
        psql.arg("-c").arg(statements);
        said(psql).trim().to_owned()
    }

    /// The same of a file, with variables of psql.
    pub(crate) fn sql_file(&self, file: &Path) -> String {
        let mut psql = self.psql(&self.url());
        psql.arg("-f").arg(file);
        said(psql)
    }

    /// What runs one statement, for those who can't wait for a server.
    pub(crate) fn runs(&self, statement: &str) -> impl Fn() + Send + Sync + 'static {
        let (bin, url, statement) = (self.bin.clone(), self.url(), statement.to_owned());
        move || {
            let mut psql = psql(&bin, &url);
            psql.arg("-c").arg(&statement);
            said(psql);
        }
    }

    /// `[[events.source]]` with this url and these channels.
    pub(crate) fn source(url: &str, channels: &[&str], more: &str) -> String {
        format!(
            "[[events.source]]\nkind = \"postgres\"\nurl = {url:?}\nchannels = {channels:?}\nbackoff = \"10ms\"\nmax_backoff = \"50ms\"\n{more}"
        )
    }
}

fn psql(bin: &Path, url: &str) -> Command {
    let mut psql = Command::new(bin.join("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname", url]);
    psql
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}
