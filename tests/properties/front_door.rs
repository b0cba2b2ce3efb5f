//! The front door: what it lets through is, as the origin receives it, well-formed and the request that a strict reader finds in what the
//! client has sent; and where that reader finds none, nothing comes through.
//!
//! Requests are put together of sound and unsound pieces, and then some bytes are changed. Each comes in pieces of some size, with a
//! sound one behind it.

use super::cases;
use super::request::{Read, Taste, Whole, read, read_as};
use super::support::{Gateway, within};
use freshgate::policy::{KeyRules, canonical_path, canonical_query};
use freshgate::tasks::Tasks;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Fields that pass as they are.
const PLAIN: [&str; 4] = ["x-a", "x-b", "accept", "user-agent"];

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![30 => Just("\r\n"), 1 => select(&["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\0\r\n", " \r\n"][..])]
}

fn request_line() -> impl Strategy<Value = String> {
    let target = prop_oneof![
        6 => vec(select(&["/", "a", "b", "%2f", "%41", "..", ".", ";x", "?", "c=d", "&", "%zz", "//"][..]), 0..6).prop_map(|t| format!("/{}", t.concat())),
        1 => select(&["http://a/x", "http://A", "http://b/x", "*", "x", "a:80", "/x#y", "/x\\y", "/\u{e9}", "https://a/y?z"][..]).prop_map(String::from),
    ];
    let method = prop_oneof![6 => select(&["GET", "POST", "PUT", "HEAD", "DELETE"][..]), 1 => select(&["get", "G@T", "", "QUERY", "TRACE", "M-X"][..])];
    let version = prop_oneof![12 => Just("HTTP/1.1"), 1 => select(&["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "", "http/1.1", "HTTP/1.1 "][..])];
    let blank = prop_oneof![20 => Just(" "), 1 => select(&["  ", "\t", "\x0b", ""][..])];
    (method, blank.clone(), target, blank, version).prop_map(|(m, a, t, b, v)| format!("{m}{a}{t}{b}{v}"))
}

fn field() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        10 => select(&PLAIN[..]),
        1 => select(&["X-A", "x_a", "", "x a", "x\u{e9}", " x-a", "connection", "host", "Host ", "expect", "cookie", "x-forwarded-host"][..]),
    ];
    let colon = prop_oneof![20 => Just(": "), 3 => Just(":"), 1 => select(&[" : ", ":\t", "", "::"][..])];
    let value = prop_oneof![8 => "[!-~]{0,8}", 1 => "[ -~\t]{0,8}", 1 => select(&["\u{e9}", "\0", "\x7f", "a\rb", "a\nb", "\x01", "a\r\n b"][..]).prop_map(String::from)];
    (name, colon, value).prop_map(|(n, c, v)| format!("{n}{c}{v}"))
}

/// Lines about the body, and the body.
fn body() -> impl Strategy<Value = (Vec<String>, String)> {
    let size = prop_oneof![10 => Just("5"), 1 => select(&["05", "+5", "5 ", "0x5", "5;x", "5;x=\"y\"", "5;", "6", "4", "", "5;x\ny", "FFFFFFFFFFFFFFFF", "00000000000000005", "5 ;x"][..])];
    let end = prop_oneof![10 => Just("0\r\n\r\n"), 1 => select(&["0\r\nx: y\r\n\r\n", "0\n\r\n", "0\r\n\n", "0\r\nhost: b\r\n\r\n", "", "0\r\nx\r\n\r\n", "00\r\n\r\n"][..])];
    let chunked =
        (size, line_end(), line_end(), end).prop_map(|(size, a, b, end)| format!("{size}{a}hello{b}{end}")).boxed();
    let coding = prop_oneof![10 => Just("Transfer-Encoding: chunked"), 1 => select(&["transfer-encoding:\tCHUNKED", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:"][..])];
    let length = prop_oneof![10 => Just("Content-Length: 5"), 1 => select(&["Content-Length: 05", "Content-Length: +5", "content-length:5", "Content-Length: 5, 5", "Content-Length: 6", "Content-Length: 0", "Content-Length: 5\x0c"][..])];
    prop_oneof![
        4 => Just((vec![], String::new())),
        4 => length.clone().prop_map(|l| (vec![l.to_owned()], "hello".to_owned())),
        4 => (coding.clone(), chunked.clone()).prop_map(|(c, body)| (vec![c.to_owned()], body)),
        1 => (length.clone(), length.clone()).prop_map(|(a, b)| (vec![a.to_owned(), b.to_owned()], "hello".to_owned())),
        1 => (length, coding, chunked).prop_map(|(l, c, body)| (vec![l.to_owned(), c.to_owned()], body)),
    ]
}

/// A request, as its bytes; each character is one.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let host = prop_oneof![15 => Just(Some("Host: a")), 1 => select(&[None, Some("Host: b"), Some("Host: a\r\nHost: a"), Some("Host:"), Some("Host: a b"), Some("host:A")][..])];
    let fields = vec((field(), line_end()), 0..4);
    (request_line(), line_end(), host, fields, body(), line_end()).prop_map(
        |(first, end, host, fields, (lines, body), last)| {
            let mut text = format!("{first}{end}");
            text.extend(host.map(|host| format!("{host}\r\n")));
            text.extend(fields.iter().flat_map(|(line, end)| [line.as_str(), end]));
            text.extend(lines.iter().map(|line| format!("{line}\r\n")));
            (text + last + &body).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
        },
    )
}

/// One or two of them, with a few bytes changed now and then.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), select(&b"\r\n \t:;\0#5a/,\x7f\xe9"[..]), 0..3u8);
    let changes = prop_oneof![3 => Just(vec![]), 2 => vec(change, 1..3)];
    (vec(message(), 1..3), changes).prop_map(|(messages, changes)| {
        let mut bytes = messages.concat();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => _ = bytes.remove(at),
            }
        }
        bytes
    })
}

/// One gateway for all cases. It gives up soon on who sends half a request; what it has answered by then is as good.
struct World {
    runtime: Runtime,
    gateway: Gateway,
    noted: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: Tasks,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (noted, tasks) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Tasks::default());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let table = format!(
        "[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/\"\nhost = \"a\"\ncache = false\nupstream = [\"http://{}\"]\n",
        listener.local_addr().unwrap()
    );
    let limits = "[server.limits]\nidle_timeout = \"100ms\"\nheader_timeout = \"100ms\"";
    let gateway = runtime.block_on(Gateway::with(limits, &table));
    let (theirs, their_tasks) = (Arc::clone(&noted), tasks.clone());
    let entered = runtime.enter();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            their_tasks.spawn(record(stream, Arc::clone(&theirs)));
        }
    });
    drop(entered);
    World { runtime, gateway, noted, _tasks: tasks }
});

async fn record(mut stream: TcpStream, noted: Arc<Mutex<Vec<Vec<u8>>>>) {
    let number = {
        let mut noted = noted.lock().unwrap();
        noted.push(Vec::new());
        noted.len() - 1
    };
    let (mut buffer, mut more) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(n @ 1..) = stream.read(&mut more).await {
        buffer.extend_from_slice(&more[..n]);
        noted.lock().unwrap()[number].extend_from_slice(&more[..n]);
        if let Read::Whole(..) = read(&buffer) {
            // Each case has connections of its own.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            return;
        }
    }
}

impl World {
    /// What the origin has got of these bytes.
    async fn feed(&self, bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
        self.noted.lock().unwrap().clear();
        let stream = within("a connection", TcpStream::connect(self.gateway.addr)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut read, mut write) = stream.into_split();
        let send = async {
            for piece in bytes.chunks(size) {
                if write.write_all(piece).await.is_err() {
                    break;
                }
            }
            write
        };
        let receive = async {
            let mut more = vec![0; 16 << 10];
            while let Ok(1..) = read.read(&mut more).await {}
        };
        let _write = within("the end of a connection", async { tokio::join!(send, receive) }).await;
        self.noted.lock().unwrap().clone()
    }
}

/// What a strict reader finds in what a client sends, up to where it finds nothing more.
fn meant(bytes: &[u8]) -> Vec<Whole> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    while let Read::Whole(whole, end) = read_as(rest, Taste::Clients) {
        all.push(whole);
        rest = &rest[end..];
    }
    all
}

/// Whether the one is the other as the gateway sends it on.
fn is_same(got: &Whole, meant: &Whole) -> Result<(), String> {
    let target = meant.target.strip_prefix("http://").or_else(|| meant.target.strip_prefix("https://"));
    let target = target
        .map_or(meant.target.clone(), |rest| rest.find(['/', '?']).map_or("/".to_owned(), |at| rest[at..].to_owned()));
    let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
    let path = canonical_path(if path.is_empty() { "/" } else { path }).map_err(|why| why.to_string())?;
    // A request past the cache keeps its query.
    let queries = [query.map(String::from), canonical_query(&KeyRules::default(), query).map(String::from)];
    let targets = queries.map(|query| query.map_or(path.to_string(), |query| format!("{path}?{query}")));
    if got.method != meant.method || !targets.contains(&got.target) {
        return Err(format!("{} is not {} {targets:?}", got.line(), meant.method));
    }
    if got.body != meant.body {
        return Err("another body".to_owned());
    }
    let lines = |whole: &Whole, name: &str| -> Vec<Vec<u8>> {
        whole.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    };
    // What `Connection` names may go.
    let named = meant.all("connection").join(",").to_ascii_lowercase();
    for name in PLAIN.into_iter().filter(|name| !named.contains(name)) {
        if lines(got, name) != lines(meant, name) {
            return Err(format!("another {name}"));
        }
    }
    let ours = [
        "via",
        "forwarded",
        "surrogate-capability",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "host",
        "transfer-encoding",
    ];
    match got.fields.iter().find(|(name, _)| !ours.contains(&name.as_str()) && lines(meant, name).is_empty()) {
        Some((name, _)) => Err(format!("{name} comes from nowhere")),
        None => Ok(()),
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn what_comes_through_is_what_a_strict_reader_reads(sent in sent(), size in select(&[1, 3, 7, 50, 10_000][..])) {
        let world = &*WORLD;
        let end = b"GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let bytes = [&sent[..], end].concat();
        let got = world.runtime.block_on(world.feed(&bytes, size));
        let meant = meant(&bytes);
        let mut whole = Vec::new();
        for bytes in got.iter().filter(|bytes| !bytes.is_empty()) {
            match read(bytes) {
                Read::Whole(request, end) => {
                    prop_assert_eq!(end, bytes.len(), "more than a request on one connection");
                    whole.push(request);
                }
                Read::Unfinished => {}
                Read::Malformed(fault) => prop_assert!(false, "{fault}"),
            }
        }
        prop_assert!(whole.len() <= meant.len(), "the origin got {whole:#?}, a strict reader finds {meant:#?}");
        // Some may have been refused or answered here; what came is in order.
        let mut left = meant.iter();
        for request in &whole {
            let why: Vec<_> = meant.iter().map(|meant| is_same(request, meant)).collect();
            prop_assert!(left.any(|meant| is_same(request, meant).is_ok()), "{request:#?} is none of {meant:#?}: {why:?}");
        }
    }
}
