//! What a client gets from the store is what it would have got from the origin, and so is what fills the store: the status
//! with its words, the fields for all recipients with every line and byte, the content and its trailers.
//!
//! What may differ: `Age`, `Via`, `Cache-Status` (ours is added to the origin's), the fields of one hop and of framing, a
//! `Date` where the origin has sent none, and fields for surrogates only.

use super::cases;
use super::support::{Answer, Client, Gateway, Origin, Reply};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::runtime::Runtime;

const STATUSES: [u16; 24] = [
    200, 200, 200, 200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 418, 451, 500, 501,
    599,
];
/// In ASCII: the library that reads them takes others for none.
const WORDS: [&str; 6] = ["OK", "", "Here You Are", "not  quite\tso", "I'm \"it\"!", "418"];
/// Fields that are for all recipients, in whichever case.
const NAMES: [&str; 24] = [
    "x-a",
    "X-A",
    "X-Plain",
    "X-LOUD",
    "x-b",
    "Content-Type",
    "content-language",
    "Content-Encoding",
    "Content-Disposition",
    "Content-Security-Policy",
    "Link",
    "Set-Cookie",
    "set-cookie",
    "Server",
    "Warning",
    "WWW-Authenticate",
    "Allow",
    "Retry-After",
    "Accept-Ranges",
    "Pragma",
    "Via",
    "Cache-Status",
    "ETag",
    "Last-Modified",
];
/// Whole lines with a meaning of their own.
const LINES: [(&str, &str); 14] = [
    ("Date", "Wed, 01 Jul 2099 00:00:00 GMT"),
    ("date", "today"),
    ("Age", "3"),
    ("Vary", "Accept-Language, x-unsent"),
    ("Connection", "X-Hop, keep-alive"),
    ("X-Hop", "for the gateway"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Surrogate-Key", "a b"),
    ("Cache-Tag", "a,b"),
    ("Surrogate-Control", "content=\"ESI/1.0\""),
    ("ETag", "W/\"caf\u{e9}\""),
    ("Location", "https://elsewhere.example/a?b#c"),
    ("access-control-allow-origin", "*"),
];
const LIFETIMES: [(&str, &str); 4] = [
    ("Cache-Control", "max-age=600, public"),
    ("cache-control", "PUBLIC , Max-Age=600"),
    ("CACHE-CONTROL", "public,,s-maxage=\"600\""),
    ("CDN-Cache-Control", "max-age=600, public"),
];
/// The fields of one hop and of framing, those for surrogates, and `Age`.
const NOT_COMPARED: [&str; 12] = [
    "age",
    "cache-tag",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "surrogate-control",
    "surrogate-key",
    "trailer",
    "transfer-encoding",
    "x-hop",
    "xkey",
];

/// What an origin answers; each character of a text is a byte.
#[derive(Clone, Debug)]
struct Written {
    status: u16,
    words: &'static str,
    lines: Vec<(String, String)>,
    length: usize,
    seed: u64,
    framing: Framing,
}

#[derive(Clone, Debug)]
enum Framing {
    Length,
    Close {
        old: bool,
    },
    /// Sizes of the chunks, again and again, and trailer fields.
    Chunked {
        sizes: Vec<usize>,
        trailers: Vec<(&'static str, String)>,
    },
}

impl Written {
    fn has_no_content(&self) -> bool {
        self.status == 204
    }

    fn body(&self) -> Vec<u8> {
        let mut state = self.seed | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..if self.has_no_content() { 0 } else { self.length }).map(next).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn reply(&self) -> Reply {
        let old = matches!(self.framing, Framing::Close { old: true });
        let mut head = format!("HTTP/1.{} {} {}\r\n", u8::from(!old), self.status, self.words);
        for (name, value) in &self.lines {
            head += &format!("{name}:{value}\r\n");
        }
        let body = self.body();
        let framed = match &self.framing {
            _ if self.has_no_content() => Vec::new(),
            Framing::Close { .. } => body,
            Framing::Length => {
                head += &format!("Content-Length: {}\r\n", body.len());
                body
            }
            Framing::Chunked { sizes, trailers } => {
                head += "transfer-ENCODING: Chunked\r\n";
                // The library passes on only what `Trailer` names.
                for (name, _) in trailers {
                    head += &format!("Trailer: {name}\r\n");
                }
                chunked(&body, sizes, trailers)
            }
        };
        let head: Vec<u8> = (head + "\r\n").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let reply = Reply::raw([head, framed].concat());
        if matches!(self.framing, Framing::Close { .. }) { reply.close() } else { reply }
    }
}

fn chunked(mut body: &[u8], sizes: &[usize], trailers: &[(&str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, size) in sizes.iter().cycle().enumerate() {
        if body.is_empty() {
            break;
        }
        let (chunk, rest) = body.split_at((*size).min(body.len()));
        // All extensions of a message together may have 16 KiB; with more of them the library calls it broken.
        let extension = if number < 1000 { ";x=\"y\"" } else { "" };
        out.extend(format!("{:X}{extension}\r\n", chunk.len()).into_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        body = rest;
    }
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A value with blanks around it, as it stands behind the colon.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        4 => "[ \t]?[!-~\u{80}-\u{ff}]([ -~\t\u{80}-\u{ff}]{0,30}[!-~\u{80}-\u{ff}])?[ \t]{0,2}",
    ]
}

fn framing() -> impl Strategy<Value = Framing> {
    let trailer = (select(vec!["X-Sum", "x-sum", "X-Other"]), "[!-~]{0,12}");
    prop_oneof![
        3 => Just(Framing::Length),
        2 => any::<bool>().prop_map(|old| Framing::Close { old }),
        4 => (vec(1usize..20_000, 1..4), vec(trailer, 0..4)).prop_map(|(sizes, trailers)| Framing::Chunked { sizes, trailers }),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let any_line = (select(&NAMES[..]), value()).prop_map(|(name, value)| (name.to_owned(), value));
    let known =
        |lines: &'static [(&str, &str)]| select(lines).prop_map(|(name, value)| (name.to_owned(), format!(" {value}")));
    let lines = vec(prop_oneof![3 => any_line, 1 => known(&LINES)], 0..12);
    let length = prop_oneof![1 => Just(0), 4 => 1usize..2_000, 3 => 2_000usize..=102_400];
    (
        select(&STATUSES[..]),
        select(&WORDS[..]),
        lines,
        known(&LIFETIMES),
        any::<usize>(),
        (length, any::<u64>()),
        framing(),
    )
        .prop_map(|(status, words, mut lines, lifetime, at, (length, seed), framing)| {
            // More than one is as old as can be, and isn't stored.
            let mut ages = 0;
            lines.retain(|(name, _)| {
                ages += usize::from(name == "Age");
                name != "Age" || ages == 1
            });
            lines.insert(at % (lines.len() + 1), lifetime);
            Written { status, words, lines, length, seed, framing }
        })
}

/// One origin and one gateway for all cases; each has a path of its own.
struct World {
    runtime: Runtime,
    origin: Origin,
    gateway: Gateway,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    paths: AtomicUsize,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let replies: Arc<Mutex<HashMap<String, Reply>>> = Arc::default();
    let told = Arc::clone(&replies);
    let (origin, gateway) = runtime.block_on(async move {
        let origin =
            Origin::start(move |request| std::future::ready(told.lock().unwrap()[&request.target].clone())).await;
        let gateway = Gateway::before(&origin, "error_answers = \"rfc\"\n").await;
        (origin, gateway)
    });
    World { runtime, origin, gateway, replies, paths: AtomicUsize::new(0) }
});

impl World {
    /// The origin's own answer, the one that fills the store, and the stored one.
    async fn ask(&self, written: &Written) -> [Answer; 3] {
        let path = format!("/{}", self.paths.fetch_add(1, Ordering::SeqCst));
        self.replies.lock().unwrap().insert(path.clone(), written.reply());
        let direct = get(Client::connect(self.origin.addr).await, &path).await;
        let fetched = get(self.gateway.client().await, &path).await;
        self.gateway.settled().await;
        [direct, fetched, get(self.gateway.client().await, &path).await]
    }
}

async fn get(mut client: Client, path: &str) -> Answer {
    let takes = [("TE", "trailers"), ("Connection", "TE"), ("Accept-Language", "mi")];
    client.get_with(path, &takes).await
}

/// The status and its words.
fn status_line(answer: &Answer) -> Vec<u8> {
    let end = answer.raw_head.iter().position(|&b| b == b'\r').unwrap();
    answer.raw_head["HTTP/1.1 ".len()..end].to_vec()
}

/// The lines by their names, in the order in which they came, without what isn't compared. `added` says that the last `Via` and
/// `Cache-Status` are the gateway's.
fn for_all(answer: &Answer, added: bool, has_date: bool) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.fields.0 {
        all.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
    }
    for name in ["via", "cache-status"] {
        let lines = all.entry(name.to_owned()).or_default();
        assert!(!added || lines.pop().is_some_and(|line| line.contains("freshgate")), "{answer:?}");
    }
    all.retain(|name, lines| {
        !NOT_COMPARED.contains(&name.as_str()) && !lines.is_empty() && (has_date || name != "date")
    });
    all
}

fn trailers(answer: &Answer) -> BTreeMap<String, Vec<&str>> {
    let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in &answer.trailers.0 {
        all.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    all
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn what_is_stored_is_what_was_fetched(written in written()) {
        let [direct, fetched, stored] = WORLD.runtime.block_on(WORLD.ask(&written));
        prop_assert_eq!(&direct.body, &written.body());
        prop_assert!(!fetched.cache_says("hit") && stored.cache_says("hit"), "{:?}\n{:?}", fetched.fields, stored.fields);
        let has_date = written.has("date");
        let own = for_all(&direct, false, has_date);
        for answer in [&fetched, &stored] {
            prop_assert_eq!(status_line(answer), status_line(&direct));
            prop_assert_eq!(&for_all(answer, true, has_date), &own);
            prop_assert!(answer.body == direct.body && answer.complete, "{} bytes for {}", answer.body.len(), direct.body.len());
            prop_assert_eq!(trailers(answer), trailers(&direct));
            for gone in ["x-hop", "keep-alive", "proxy-connection", "surrogate-key", "cache-tag", "surrogate-control"] {
                let named = gone != "x-hop" || written.has("connection");
                prop_assert!(!named || answer.all(gone).is_empty(), "{} has passed", gone);
            }
        }
    }
}
