//! What coalescing costs where it can't help: a crowd on one key whose answers are private, before an origin that takes
//! 500 ms. Prints how long the crowd takes directly and through the gateway.
//!
//! `cargo run --example uncacheable [CLIENTS] [ROUNDS]` (100 clients, 4 rounds). On a key that nobody has asked for before,
//! the first round takes two of the origin's times: one until the answer turns out to be private, one for all who waited,
//! together. From then on nobody waits.
#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::serve;
use freshgate::tasks::Tasks;
use freshgate::telemetry::Lines;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TAKES: Duration = Duration::from_millis(500);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 3\r\n\r\nown";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let number = |at, default| std::env::args().nth(at).map_or(Ok(default), |text| text.parse::<usize>());
    let (clients, rounds) = (number(1, 100)?, number(2, 4)?);
    let tasks = Tasks::default();
    let origin = origin(&tasks).await?;
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[log]\naccess = false\n\
         [[api]]\nname = \"slow\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://{origin}\"]\nttl = \"1m\"\n"
    );
    let loaded = config::parse(&text, "example", &Surroundings { env: &|_| None, memory_limit: None })?;
    let running = serve::start(loaded.config, Clock::system(), Lines::to(io::sink())?).await?;
    println!("{clients} clients at once, an origin that takes {} ms, answers that are private", TAKES.as_millis());
    let gateway = running.data[0];
    for (what, path, rounds) in [
        ("a cold key", "/once", 1),
        ("a cold key", "/often", rounds),
        ("a key known to be private", "/often", 1),
        ("a key known to be private", "/often", rounds),
    ] {
        let direct = wave(origin, path, clients, rounds).await;
        let through = wave(gateway, path, clients, rounds).await;
        let ratio = through as f64 / direct as f64;
        println!(
            "{what}, {rounds} each: directly {direct} ms, through the gateway {through} ms, {ratio:.2} times as long"
        );
    }
    Ok(())
}

/// A server whose every answer takes its time.
async fn origin(tasks: &Tasks) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let connections = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move { drop(serve_slowly(stream).await) });
        }
    });
    Ok(address)
}

async fn serve_slowly(mut stream: TcpStream) -> io::Result<()> {
    while read_past(&mut stream, b"\r\n\r\n").await? {
        tokio::time::sleep(TAKES).await;
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}

/// Milliseconds until `clients`, each on a connection that is open already, have had `rounds` answers.
async fn wave(to: SocketAddr, path: &'static str, clients: usize, rounds: usize) -> u64 {
    let (clock, tasks, failed) = (Clock::system(), Tasks::default(), Arc::new(AtomicUsize::new(0)));
    let mut open = Vec::new();
    for _ in 0..clients {
        open.push(TcpStream::connect(to).await);
    }
    let began = clock.now().mono;
    for stream in open {
        let failed = Arc::clone(&failed);
        tasks.spawn(async move {
            if ask(stream, path, rounds).await.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.ended().await;
    let took = clock.now().mono - began;
    match failed.load(Ordering::Relaxed) {
        0 => {}
        failed => println!("{failed} of {clients} clients failed"),
    }
    took
}

async fn ask(stream: io::Result<TcpStream>, path: &str, rounds: usize) -> io::Result<()> {
    let mut stream = stream?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: slow.example\r\n\r\n");
    for _ in 0..rounds {
        stream.write_all(request.as_bytes()).await?;
        if !read_past(&mut stream, b"\r\n\r\nown").await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Reads until what has come ends with `end`; false when the other side has closed.
async fn read_past(stream: &mut TcpStream, end: &[u8]) -> io::Result<bool> {
    let mut have = Vec::with_capacity(1024);
    while !have.ends_with(end) {
        if stream.read_buf(&mut have).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
