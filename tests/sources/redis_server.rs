//! A Redis of the test's own.

use crate::support::within;
use crate::world::{as_user, end, folder_of, free, said, wanted};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server that keeps what it has over a restart; it ends with the test.
pub(crate) struct Redis {
    pub(crate) addr: SocketAddr,
    program: PathBuf,
    folder: PathBuf,
    /// More of its settings.
    more: Vec<String>,
    child: Option<Child>,
    outer: tempfile::TempDir,
}

impl Redis {
    /// Starts one; `None` where there is none on this machine.
    pub(crate) async fn start() -> Option<Redis> {
        Redis::start_with(&[]).await
    }

    /// With more settings.
    pub(crate) async fn start_with(more: &[String]) -> Option<Redis> {
        let program = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].map(PathBuf::from);
        let program = program.into_iter().find(|program| program.exists());
        if !wanted(program.as_ref(), "Redis") {
            return None;
        }
        let (program, outer) = (program.unwrap(), tempfile::tempdir().unwrap());
        let folder = folder_of("redis", outer.path());
        let mut server = Redis { addr: free(), program, folder, more: more.to_vec(), child: None, outer };
        server.go_on().await;
        Some(server)
    }

    /// Starts it, or starts it again.
    pub(crate) async fn go_on(&mut self) {
        let mut redis = as_user("redis", &self.program);
        redis.arg("--port").arg(self.addr.port().to_string()).arg("--dir").arg(&self.folder);
        redis.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--enable-debug-command", "yes"]);
        redis.args(&self.more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(redis.spawn().unwrap());
        within("Redis", async {
            while !self.answers() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn answers(&self) -> bool {
        let output = self.cli(&["PING"]).output().unwrap();
        output.stdout.starts_with(b"PONG") || output.stdout.starts_with(b"NOAUTH")
    }

    /// Stops it, as it is stopped for a restart.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, "-TERM");
        }
    }

    /// Stops it, and takes away what it has kept.
    pub(crate) fn stop_and_forget(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.folder.join("appendonlydir")).unwrap();
    }

    /// More settings, from the next start on.
    pub(crate) fn set(&mut self, settings: impl IntoIterator<Item = String>) {
        self.more.extend(settings);
    }

    /// Where certificates of a test may lie.
    pub(crate) fn outer(&self) -> PathBuf {
        self.outer.path().to_owned()
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same server by another way.
    pub(crate) fn url_at(&self, addr: SocketAddr) -> String {
        format!("redis://{addr}")
    }

    fn cli(&self, words: &[&str]) -> Command {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.addr.port().to_string()]).args(words).stdin(Stdio::null());
        cli
    }

    /// What it says to a command.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        let mut cli = self.cli(&["-e"]);
        cli.args(words);
        said(cli).trim().to_owned()
    }

    /// Adds an entry whose payload is this.
    pub(crate) fn add(&self, stream: &str, payload: &str) {
        self.say(&["XADD", stream, "*", "payload", payload]);
    }

    /// `[[events.source]]` with this url and these streams.
    pub(crate) fn source(url: &str, streams: &[&str], more: &str) -> String {
        format!(
            "[[events.source]]\nkind = \"redis\"\nurl = {url:?}\nstreams = {streams:?}\nbackoff = \"10ms\"\nmax_backoff = \"50ms\"\n{more}"
        )
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
