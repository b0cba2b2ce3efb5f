//! `/metrics` of a gateway with 1,000 APIs, each of which has had traffic: how long a scrape takes, over a socket, and how large it is.
//!
//! `cargo bench --bench scrape [-- APIS SCRAPES]`; one connection, so that nothing but the scrape is measured. It fails where the
//! median is above 100 ms; the worst one is told as well, and says as much of what else the machine does.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program for the terminal")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::serve;
use freshgate::telemetry::Lines;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MOST: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (apis, scrapes) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(50));
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", origin.local_addr().unwrap());
    tokio::spawn(answer(origin));
    let mut text =
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\nmetrics_public = true\n".to_owned();
    for n in 0..apis {
        write!(
            text,
            "[[api]]\nname = \"api-{n}\"\nversion = \"v1\"\npath = \"/{n}\"\nupstream = [\"{url}\"]\nttl = \"1h\"\n"
        )
        .unwrap();
    }
    let around = Surroundings { env: &|_| None, memory_limit: None };
    let config = config::parse(&text, "bench.toml", &around).unwrap_or_else(|faults| panic!("{faults}")).config;
    let running = serve::start(config, Clock::system(), Lines::to(std::io::sink()).unwrap()).await.unwrap();

    let mut client = TcpStream::connect(running.data[0]).await.unwrap();
    for n in 0..apis {
        for _ in 0..2 {
            call(&mut client, &format!("/{n}/1")).await;
        }
    }
    let mut admin = TcpStream::connect(running.admin.unwrap()).await.unwrap();
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..scrapes {
        let began = Instant::now();
        bytes = call(&mut admin, "/metrics").await.len();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{apis} APIs: {bytes} bytes; {scrapes} scrapes, the median took {median:.1?}, the worst {worst:.1?}");
    running.stop().await;
    if median < MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An origin of one word.
async fn answer(listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut head = [0; 16 << 10];
            while socket.read(&mut head).await.is_ok_and(|n| n > 0) {
                if socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The whole answer to a GET.
async fn call(socket: &mut TcpStream, target: &str) -> Vec<u8> {
    socket.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::with_capacity(16 << 20);
    let end = |answer: &[u8]| Some(answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4);
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0, "it has ended");
        if whole.is_none()
            && let Some(head) = end(&answer)
        {
            let fields = String::from_utf8_lossy(&answer[..head]).to_lowercase();
            let length = fields.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            whole = Some(head + length.parse::<usize>().unwrap());
            assert!(fields.starts_with("http/1.1 200"), "{fields}");
        }
    }
    answer
}
