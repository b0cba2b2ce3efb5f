//! Running out of descriptors delays connections and ends nothing.
#![cfg(unix)]

mod wire_support;

use freshgate::body::Body;
use freshgate::client::Client;
use freshgate::listener::{Gate, Handler, Serving, Settings, run, stop};
use freshgate::tasks::Tasks;
use http::{Request, Response};
use std::fs::File;
use std::process::Command;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use wire_support::{Raw, soon};

#[derive(Clone)]
struct Ok200;

impl Handler for Ok200 {
    async fn handle(&self, _: Request<Body>, _: Arc<Client>) -> Response<Body> {
        Response::new(Body::full("fine"))
    }
}

/// The limit holds for a whole process, so the test proper runs in a child of its own.
#[test]
fn accepting_goes_on_after_descriptors_ran_out() {
    let script = r#"ulimit -n 64 && exec "$0" --ignored --exact with_few_descriptors"#;
    let me = std::env::current_exe().unwrap();
    let child = Command::new("sh").arg("-c").arg(script).arg(me).env("FEW_DESCRIPTORS", "64").output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "the test proper has run");
}

#[tokio::test]
#[ignore = "run by accepting_goes_on_after_descriptors_ran_out"]
async fn with_few_descriptors() {
    assert!(std::env::var_os("FEW_DESCRIPTORS").is_some(), "it would use up every descriptor of this process");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Arc::new(Settings::default());
    let (_stopper, stopped) = stop();
    let gate = Gate::new(&settings.limits, Default::default());
    let accepting = Tasks::default();
    accepting.spawn(run(listener, Serving::new(&settings, None, Ok200, gate, Tasks::default()), stopped));

    let mut early = Raw::new(soon(TcpSocket::new_v4().unwrap().connect(address)).await.unwrap());
    let socket = TcpSocket::new_v4().unwrap();
    ask(&mut early).await;
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    let mut late = Raw::new(soon(socket.connect(address)).await.unwrap());
    // The early connection is served as ever; meanwhile the late one is tried in vain.
    for _ in 0..100 {
        ask(&mut early).await;
    }
    assert_eq!(accepting.running(), 1);
    drop(hoard);
    ask(&mut late).await;
    let last = "GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    late.send(last).await;
    assert!(late.rest().await.unwrap().ends_with("\r\n\r\nfine"));
    early.send(last).await;
    early.closed().await;
}

async fn ask(raw: &mut Raw) {
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    raw.until("fine").await;
}
