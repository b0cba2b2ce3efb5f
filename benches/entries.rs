//! What a listing costs those who read meanwhile: a gateway with 100,000 answers, readers over loopback who measure each request, with and
//! without somebody who pages through everything; and the store's own lookups, in this process.
//!
//! `cargo bench --bench entries [-- ANSWERS PAGE SECONDS]`

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program for the terminal")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::serve::{self, Running};
use freshgate::telemetry::Lines;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKEN: &str = "a-secret-for-benches";

/// A connection that asks and reads one answer after the other.
struct Asker(BufReader<TcpStream>);

impl Asker {
    fn new(to: SocketAddr) -> Asker {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        Asker(BufReader::new(stream))
    }

    fn get(&mut self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

/// An origin that says the same to everybody.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                let mut lines = BufReader::new(stream);
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let answer = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=3600\r\nETag: \"1\"\r\nContent-Length: 100\r\n\r\n";
                        lines.get_mut().write_all(format!("{answer}{}", "x".repeat(100)).as_bytes()).unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

fn path(n: usize) -> String {
    format!("/shelves/{}/books/{n}?page={}", n % 1000, n % 7)
}

async fn gateway(origin: SocketAddr) -> Running {
    let mut hex = Vec::new();
    freshgate::cli::hash_token::run(&freshgate::cli::hash_token::Args {}, TOKEN.as_bytes(), &mut hex, std::io::sink());
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[server.limits]\nkeys_per_caller = 10000000\n[cache]\nmax_size = \"2GiB\"\n\
         [log]\naccess = false\n[admin]\nlisten = \"127.0.0.1:0\"\n[[admin.tokens]]\nname = \"b\"\nrole = \"viewer\"\nsha256 = \"{}\"\n\
         [[api]]\nname = \"a\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://{origin}\"]\nkey = {{ share = \"assume-public\" }}\n",
        String::from_utf8(hex).unwrap().trim()
    );
    let around = Surroundings { env: &|_| None, memory_limit: None };
    let config = config::parse(&text, "bench.toml", &around).unwrap_or_else(|faults| panic!("{faults}")).config;
    serve::start(config, Clock::system(), Lines::to(std::io::sink()).unwrap()).await.unwrap()
}

/// Times in microseconds.
fn told(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what:<34} {:>8} of them, median {:>7.1} µs, p99 {:>8.1}, p99.9 {:>8.1}, max {:>8.1}",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// Reads until `stop`, each request timed.
fn reader(to: SocketAddr, answers: usize, seed: usize, stop: Arc<AtomicBool>) -> thread::JoinHandle<Vec<f64>> {
    thread::spawn(move || {
        let (mut asker, mut times, mut n) = (Asker::new(to), Vec::new(), seed);
        while !stop.load(Ordering::Relaxed) {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let target = path((n >> 33) % answers);
            let began = Instant::now();
            asker.get(&target);
            times.push(began.elapsed().as_secs_f64() * 1e6);
            thread::sleep(Duration::from_micros(300)); // a load that leaves room, so that a wait is a wait for the listing
        }
        times
    })
}

/// All pages; how many entries and pages there were.
fn listing(admin: SocketAddr, page: usize) -> (usize, usize) {
    let (mut asker, mut cursor, mut entries, mut pages) = (Asker::new(admin), String::new(), 0, 0);
    loop {
        let text = asker.get(&format!("/v1/entries?limit={page}{cursor}"));
        pages += 1;
        entries += text.matches("\"kind\":").count();
        match text.rsplit_once("\"cursor\":\"").map(|(_, rest)| rest.trim_end_matches("\"}").to_owned()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (entries, pages),
        }
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (answers, page, seconds) =
        (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(100), numbers.next().unwrap_or(5));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let running = runtime.block_on(gateway(origin()));
    let (data, admin) = (running.data[0], running.admin.unwrap());
    let filling: Vec<_> = (0..4)
        .map(|part| {
            thread::spawn(move || {
                let mut asker = Asker::new(data);
                (part..answers).step_by(4).for_each(|n| drop(asker.get(&path(n))));
            })
        })
        .collect();
    filling.into_iter().for_each(|thread| thread.join().unwrap());
    println!("stored                             {answers} answers");
    for paged in [false, true, false, true] {
        let stop = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2).map(|seed| reader(data, answers, seed + 1, Arc::clone(&stop))).collect();
        let found = Arc::new(AtomicBool::new(false));
        let finder = {
            let (store, stop) = (Arc::clone(running.store()), Arc::clone(&stop));
            thread::spawn(move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let mut key = Vec::new();
                    let (url, query) = path(times.len() * 7919 % answers)
                        .split_once('?')
                        .map(|(a, b)| (a.to_owned(), b.to_owned()))
                        .unwrap();
                    freshgate::policy::write_key(&mut key, "h", &url, Some(&query), b"");
                    let began = Instant::now();
                    let is = store.find(&key).is_some();
                    times.push(began.elapsed().as_secs_f64() * 1e6);
                    found.store(is, Ordering::Relaxed);
                    thread::sleep(Duration::from_micros(100));
                }
                times
            })
        };
        let began = Instant::now();
        if paged {
            let (entries, pages) = listing(admin, page);
            println!(
                "listed                             {entries} entries in {pages} pages in {:.1?}",
                began.elapsed()
            );
        } else {
            thread::sleep(Duration::from_secs(seconds as u64));
        }
        stop.store(true, Ordering::Relaxed);
        let how = if paged { "while it is listed" } else { "alone" };
        let times = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        told(&format!("requests {how}"), times);
        told(&format!("find() {how}"), finder.join().unwrap());
    }
    std::process::exit(0);
}
