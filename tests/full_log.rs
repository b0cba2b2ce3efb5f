//! A log that can't be written: the disk is full, or whoever was to read it is gone. Requests are served, what is lost is counted, it is said once
//! where it still can be (standard error), and what comes when there is room again is there.
#![cfg(test)]
#![cfg(target_os = "linux")]

mod support;

use assert_cmd::cargo::CommandCargoExt;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStderr, Command, Stdio};
use support::{Client, Origin, Reply, within};
use tempfile::NamedTempFile;

/// A gateway whose log goes to `stdout`. Its ports are taken beforehand, since it can't say them.
struct Mute {
    child: Child,
    data: SocketAddr,
    probe: SocketAddr,
    stderr: ChildStderr,
    _config: NamedTempFile,
}

impl Drop for Mute {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// `before` is a command that goes on as the one that its arguments are, if any.
async fn logging(before: &mut Command, stdout: Stdio, origin: &Origin) -> Mute {
    let (data, probe) = (free_port(), free_port());
    let config = NamedTempFile::new().unwrap();
    let text = format!(
        "[server]\nlisten = [\"{data}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\nprobe_listen = \"{probe}\"\n\
         [[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\nsha256 = \"{}\"\n\
         [[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\ncache = false\n",
        "0".repeat(64),
        origin.url()
    );
    std::fs::write(config.path(), text).unwrap();
    let program = Command::cargo_bin("freshgate").unwrap();
    let command = before.arg(program.get_program()).args(["run", "--config"]).arg(config.path());
    let mut child = command.env_remove("FRESHGATE_CONFIG").stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    within("a listener", async {
        while tokio::net::TcpStream::connect(data).await.is_err()
            || tokio::net::TcpStream::connect(probe).await.is_err()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    Mute { child, data, probe, stderr, _config: config }
}

impl Mute {
    async fn lost(&self) -> u64 {
        let metrics = Client::connect(self.probe).await.get("/metrics").await;
        let mut lines = metrics.text().lines();
        lines.find_map(|line| line.strip_prefix("freshgate_log_lines_lost_total ")?.parse().ok()).unwrap()
    }

    async fn ask(&self, times: usize) {
        let mut client = Client::connect(self.data).await;
        for _ in 0..times {
            assert_eq!(client.get("/x").await.text(), "here");
        }
    }

    /// What it says on standard error until it ends.
    fn stopped(mut self) -> String {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let origin = Origin::always(Reply::ok("here")).await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let gateway = logging(&mut Command::new("env"), full.into(), &origin).await;
    gateway.ask(200).await;
    within("every line to be counted", async {
        // Those of the requests, and the one that says that it is ready.
        while gateway.lost().await < 201 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gateway.ask(50).await;
    let said = tokio::task::spawn_blocking(move || gateway.stopped()).await.unwrap();
    assert_eq!(said.matches("the log can't be written").count(), 1, "once, and no more: {said}");
    assert!(said.starts_with("freshgate: ") && said.contains("No space left on device"), "{said}");
}

/// A file that may have 8 KiB, and then somebody makes room: what a full disk is, for the length of a test.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_again() {
    let origin = Origin::always(Reply::ok("here")).await;
    let log = NamedTempFile::new().unwrap();
    let file = std::fs::OpenOptions::new().append(true).open(log.path()).unwrap();
    // In blocks of 512 bytes. The signal that tells of it would end the process.
    let before = r#"ulimit -f 16 && trap "" XFSZ && exec "$0" "$@""#;
    let gateway = logging(Command::new("sh").arg("-c").arg(before), file.into(), &origin).await;
    while gateway.lost().await == 0 {
        gateway.ask(10).await;
    }
    gateway.ask(20).await;
    std::fs::File::options().write(true).open(log.path()).unwrap().set_len(0).unwrap();
    let events = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(log.path()).unwrap();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        // What was torn apart when there was no more room doesn't spoil what comes after it.
        let lines = whole.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {whole}"))).collect()
    };
    within("a line in the log", async {
        while !events().iter().any(|event| event["path"] == "/x") {
            gateway.ask(1).await;
        }
    })
    .await;
    within("how many were lost", async {
        while !events().iter().any(|event| event["lost"].as_u64().is_some_and(|lost| lost > 0)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let said = tokio::task::spawn_blocking(move || gateway.stopped()).await.unwrap();
    assert_eq!(said.matches("the log can't be written").count(), 1, "{said}");
}
