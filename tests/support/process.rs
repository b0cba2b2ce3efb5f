//! `freshgate run` as a process of its own.

use super::within;
use super::{Answer, Client};
use assert_cmd::cargo::CommandCargoExt;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// What `[admin]` needs at least; its port is a free one.
pub const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n[[admin.tokens]]\nname = \"a\"\nrole = \"viewer\"\n\
    sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

/// A running process, killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// The process.
    pub child: Child,
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where its admin port is.
    pub admin: SocketAddr,
    /// Every line that it has said so far.
    pub said: Arc<Mutex<Vec<String>>>,
}

/// `freshgate run` on this file, from a shell that first does what `before` says.
pub fn command(config: &Path, before: &str) -> Command {
    let binary = Command::cargo_bin("freshgate").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before} exec \"$0\" run --config \"$1\"")]).arg(binary.get_program()).arg(config);
    command.env_remove("FRESHGATE_CONFIG");
    command
}

/// The command with copies of these as its descriptors 3 and 4, as systemd does it.
pub fn activated(config: &Path, first: &TcpListener, second: &TcpListener) -> Command {
    let move_them = "exec 3<&0 4<&2 0</dev/null 2>&1; LISTEN_PID=$$ LISTEN_FDS=2";
    let copy = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    let mut command = command(config, move_them);
    command.stdin(copy(first)).stderr(copy(second));
    command
}

impl Process {
    /// Starts it and waits for its ready line.
    pub fn start(config: &Path) -> Process {
        Process::of(command(config, ""))
    }

    /// The same by a command of one's own.
    pub fn of(command: Command) -> Process {
        Process::try_of(command).unwrap_or_else(|said| panic!("not ready: {said:?}"))
    }

    /// The same; what it said where it has ended instead.
    pub fn try_of(mut command: Command) -> Result<Process, Vec<String>> {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = Arc::<Mutex<Vec<String>>>::default();
        let ready = lines.find_map(|line| {
            said.lock().unwrap().push(line.clone());
            let json: serde_json::Value = serde_json::from_str(&line).ok()?;
            let address = |name: &str| json[name].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
            (json["message"] == "ready").then(|| (address("data"), address("admin")))
        });
        let Some((addr, admin)) = ready else {
            child.wait().unwrap();
            return Err(said.lock().unwrap().clone());
        };
        let heard = Arc::clone(&said);
        std::thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        Ok(Process { child, addr, admin, said })
    }

    /// Waits until it has said this.
    pub async fn says(&self, text: &str) {
        within(&format!("the words {text:?}"), async {
            while !self.said.lock().unwrap().iter().any(|line| line.contains(text)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Whether it has said this.
    pub fn has_said(&self, text: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Sends it a signal, such as `-TERM`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Its exit code, once it has ended.
    pub async fn ended(&mut self) -> Option<i32> {
        within("the end of a process", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// A GET over a connection of its own.
    pub async fn get(&self, target: &str) -> Answer {
        Client::connect(self.addr).await.host("shop.example").get(target).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
