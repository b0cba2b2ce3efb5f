//! What a service manager gives a process and hears of it: `LISTEN_FDS`, `NOTIFY_SOCKET`.

use crate::support::process::{ADMIN, Process, activated, command};
use crate::support::{Client, Origin, Reply, within};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

fn config(folder: &TempDir, origin: &Origin, server: &str) -> PathBuf {
    let path = folder.path().join("freshgate.toml");
    let api = format!("[[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n", origin.url());
    std::fs::write(&path, format!("[server]\n{server}\n{ADMIN}{api}")).unwrap();
    path
}

fn bound(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn inherited_sockets_stand_where_the_file_says() {
    let (folder, origin) = (TempDir::new().unwrap(), Origin::always(Reply::ok("x")).await);
    let ((first, one), (second, two)) = (bound("127.0.0.1:0"), bound("127.0.0.2:0"));
    let mut early = Client::connect(one).await;
    early.send("GET", "/early", &[], "").await;
    let config = config(&folder, &origin, &format!("listen = [\"127.0.0.1:0\", \"{two}\"]"));
    let mut command = activated(&config, &first, &second);
    drop((first, second));
    command.stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(early.answer().await.text(), "x", "who came before the process is served");
    assert_eq!(Client::connect(two).await.get("/").await.text(), "x");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_no_address_wants_is_named() {
    let (folder, origin) = (TempDir::new().unwrap(), Origin::always(Reply::ok("x")).await);
    let ((first, _), (second, stray)) = (bound("127.0.0.1:0"), bound("127.0.0.3:0"));
    let config = config(&folder, &origin, "listen = [\"127.0.0.1:0\"]");
    let output = activated(&config, &first, &second).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("a socket on {stray} (LISTEN_FDS)")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told() {
    let (folder, origin) = (TempDir::new().unwrap(), Origin::always(Reply::ok("x")).await);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = command(&config(&folder, &origin, "listen = [\"127.0.0.1:0\"]"), "");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000");
    let mut process = Process::of(command);
    let hear = async |wanted: &str| {
        within(wanted, async {
            let mut bytes = [0; 1024];
            loop {
                let length = socket.recv(&mut bytes).await.unwrap();
                if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == wanted) {
                    return;
                }
            }
        })
        .await;
    };
    hear("READY=1").await;
    hear("WATCHDOG=1").await;
    hear("WATCHDOG=1").await;
    process.signal("-TERM");
    hear("STOPPING=1").await;
    assert_eq!(process.ended().await, Some(0));
}
