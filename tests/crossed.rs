//! Nobody gets somebody else's answer, however callers are told apart.
//!
//! One origin names in every answer, in each of its bytes, the caller that it was asked for. Callers of every kind of authentication ask
//! it for the same URLs over many connections at once: hits and misses, coalesced and alone, with `Vary`, with 304s from origin and
//! gateway (all callers' entity tags are alike), with parts of what is stored and of what isn't, and with writes in between. The clock is
//! stepped, so that things expire: answers, and what a judge has said. An answer that doesn't name the one who asked is a crossing.
//!
//! The same world with `share = "assume-public"`, which is the word that answers don't depend on the caller, has crossings of every
//! kind: so they are seen when they are there.

#![cfg(test)]

mod support;

use freshgate::tasks::Tasks;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Gateway, Origin, Reply, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CALLERS: [&str; 4] = ["alice.", "bobby.", "carol.", "david."];
const KINDS: [&str; 8] = ["key", "jwt", "jwks", "forward", "trusted", "authorization", "cookie", "x-api-key"];
const WHATS: [&str; 4] = ["plain", "vary", "etag", "part"];
const LANGUAGES: [&str; 2] = ["de", "en"];
/// Each answer is its caller and its language so many times: 8 bytes each.
const TIMES: usize = 40;
const REQUESTS: usize = 100_000;
const CONNECTIONS: usize = 16;
/// Requests that a client sends before it reads their answers.
const AHEAD: usize = 5;

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % n as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What callers show, and who they are by it.
#[derive(Default)]
struct Credentials {
    names: HashMap<String, &'static str>,
    of: HashMap<(&'static str, &'static str), Vec<(&'static str, String)>>,
}

impl Credentials {
    /// Each caller has two tokens where there are tokens: it is one caller all the same.
    fn new(key: &EncodingKey, unix: u64) -> Credentials {
        let mut all = Credentials::default();
        let token = |caller: &str, n: usize| {
            let claims = json!({ "sub": caller, "iss": "i", "aud": "shop", "exp": unix + 1_000_000, "jti": n });
            let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::ES256) };
            format!("Bearer {}", jsonwebtoken::encode(&header, &claims, key).unwrap())
        };
        for caller in CALLERS {
            let mut add = |kind, name, value: String| {
                all.names.insert(value.clone(), caller);
                all.of.entry((kind, caller)).or_default().push((name, value));
            };
            for n in 0..2 {
                add("jwt", "Authorization", token(caller, n));
                add("jwks", "Authorization", token(caller, n));
                add("forward", "Authorization", format!("Ticket {caller}{n}"));
            }
            add("key", "X-Key", format!("{caller}-secret"));
            add("trusted", "X-User", caller.to_owned());
            add("authorization", "Authorization", format!("Basic {caller}"));
            add("cookie", "Cookie", format!("id={caller}"));
            add("x-api-key", "X-Api-Key", format!("{caller}-own"));
        }
        all
    }

    /// Who asks, by what a judge or an origin of this kind looks at.
    fn who(&self, kind: &str, request: &Request) -> &'static str {
        let field = match kind {
            "key" => "x-key",
            "forward" | "trusted" => "x-user",
            "cookie" => "cookie",
            "x-api-key" => "x-api-key",
            _ => "authorization",
        };
        self.names[request.get(field).unwrap()]
    }
}

/// What the origin says to whom.
fn answer(credentials: &Credentials, request: &Request) -> Reply {
    let mut parts = request.target.split('/').skip(1);
    let (kind, what) = (parts.next().unwrap(), parts.next().unwrap());
    let caller = credentials.who(kind, request);
    let language = request.get("accept-language").filter(|_| what == "vary").unwrap_or("..");
    let body = format!("{caller}{language}").repeat(TIMES);
    let fields = |reply: Reply| {
        let reply = reply.field("Cache-Control", "max-age=60").field("X-Caller", caller);
        match what {
            "vary" => reply.field("Vary", "Accept-Language"),
            "etag" | "part" => reply.field("ETag", "\"the-same-for-all\""),
            _ => reply,
        }
    };
    if request.get("if-none-match").is_some() {
        return fields(Reply::status(304));
    }
    let range = request.get("range").filter(|_| what == "part").and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return fields(Reply::ok(body)) };
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(body.len() - 1); // the gateway asks for the rest of what it has the beginning of
    let part = fields(Reply::status(206)).field("Content-Range", format!("bytes {first}-{last}/{}", body.len()));
    part.body(&body[first..=last])
}

/// Eight APIs, one for each kind, before one origin.
struct World {
    gateway: Gateway,
    origin: Origin,
    credentials: Arc<Credentials>,
    _others: (Origin, Origin),
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(seed: u64, more: &str) -> World {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("key.pem");
        std::fs::write(&pem, pair.public_key_pem()).unwrap();
        let credentials = Arc::new(Credentials::new(&key, freshgate::clock::Clock::system().now().unix / 1000));

        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = "k".into();
        let issuer = Origin::always(Reply::ok(json!({ "keys": [jwk] }).to_string())).await;
        let names = Arc::clone(&credentials);
        let judge = Origin::start(move |request| {
            let caller = names.who("authorization", &request);
            ready(Reply::ok("").field("X-User", caller))
        })
        .await;
        let (known, rng) = (Arc::clone(&credentials), Mutex::new(Rng(seed)));
        let origin = Origin::start(move |request| {
            let (reply, turns) = (answer(&known, &request), rng.lock().unwrap().below(60));
            async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                reply
            }
        })
        .await;
        let apis: Vec<String> = KINDS
            .iter()
            .map(|kind| {
                let (auth, url) = (auth(kind, &pem, &issuer, &judge), origin.url());
                format!(
                    "[[api]]\nname = \"{kind}\"\nversion = \"v1\"\npath = \"/{kind}\"\nupstream = [\"{url}\"]\n{auth}\n{more}\n"
                )
            })
            .collect();
        let (server, quiet) = ("trusted_proxies = [\"127.0.0.1\"]\n", "[log]\naccess = false\n");
        let gateway = Gateway::from_parts(server, quiet, &apis.concat()).await;
        World { gateway, origin, credentials, _others: (issuer, judge), _folder: folder }
    }
}

fn auth(kind: &str, pem: &std::path::Path, issuer: &Origin, judge: &Origin) -> String {
    let jwt = "kind = \"jwt\", algorithms = [\"ES256\"], issuer = \"i\", audience = \"shop\"";
    let key = |caller: &&str| {
        let digest: String = Sha256::digest(format!("{caller}-secret")).iter().map(|b| format!("{b:02x}")).collect();
        format!("{{ user = \"{caller}\", sha256 = \"{digest}\" }}")
    };
    let inner = match kind {
        "key" => {
            let keys = CALLERS.iter().map(key).collect::<Vec<_>>().join(", ");
            format!("kind = \"api-key\", header = \"X-Key\", keys = [{keys}]")
        }
        "jwt" => format!("{jwt}, key_file = \"{}\"", pem.display()),
        "jwks" => format!("{jwt}, jwks_url = \"{}/\"", issuer.url()),
        "forward" => {
            format!("kind = \"forward\", url = \"{}/\", pass_back = [\"X-User\"], remember = \"100s\"", judge.url())
        }
        "trusted" => "kind = \"trusted-header\", header = \"X-User\"".into(),
        _ => "kind = \"none\"".into(),
    };
    format!("auth = {{ {inner} }}")
}

/// What a client has asked for.
struct Asked {
    kind: &'static str,
    what: &'static str,
    caller: &'static str,
    language: &'static str,
}

/// A client that reads only what is looked at here: a hundred thousand answers have to be read in a debug build.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as far as it is looked at.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Client {
    async fn new(world: &World) -> Client {
        Client { stream: TcpStream::connect(world.gateway.addr).await.unwrap(), buffer: Vec::new() }
    }

    async fn answer(&mut self) -> Answer {
        let end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None => self.more().await,
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_owned();
        let answer = Answer { head, body: Vec::new() };
        let length = answer.field("content-length").map_or(0, |length| length.parse().unwrap());
        let length = if answer.status() == "304" { 0 } else { length };
        while self.buffer.len() < end + 4 + length {
            self.more().await;
        }
        let rest = self.buffer.split_off(end + 4 + length);
        let body = std::mem::replace(&mut self.buffer, rest).split_off(end + 4);
        Answer { body, ..answer }
    }

    async fn more(&mut self) {
        self.buffer.reserve(16 << 10);
        assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the connection ended");
    }
}

impl Answer {
    fn status(&self) -> &str {
        &self.head[9..12]
    }

    /// The value of a field; the gateway writes names in small letters.
    fn field(&self, name: &str) -> Option<&str> {
        let from = memchr::memmem::find(self.head.as_bytes(), format!("\n{name}: ").as_bytes())? + name.len() + 3;
        let value = &self.head[from..];
        Some(&value[..memchr::memchr(b'\r', value.as_bytes()).unwrap_or(value.len())])
    }
}

/// What came back, by kind of caller: how often each way was taken, and crossings.
#[derive(Default)]
struct Seen {
    ways: BTreeMap<(&'static str, &'static str), usize>,
    crossed: Vec<String>,
}

impl Seen {
    fn judge(&mut self, asked: &Asked, answer: &Answer) {
        let unit = format!("{}{}", asked.caller, if asked.what == "vary" { asked.language } else { ".." });
        let own = unit.repeat(answer.body.len() / unit.len());
        let named = answer.field("x-caller").is_none_or(|name| name == asked.caller);
        if answer.body != own.as_bytes() || !named {
            let got = String::from_utf8_lossy(&answer.body[..answer.body.len().min(8)]).into_owned();
            self.crossed.push(format!("{} {}: {unit} got {got} with {}", asked.kind, asked.what, answer.head));
        }
        let says = answer.field("cache-status").unwrap();
        let way = match answer.status() {
            "206" if says.contains("; hit") => "stored part",
            "206" => "part",
            "304" => "not modified",
            "200" if says.contains("; collapsed") => "joined",
            "200" if says.contains("; fwd-status=304") => "revalidated",
            "200" if says.contains("; hit") => "hit",
            "200" if says.contains("; fwd=method") => "write",
            "200" => "miss",
            status => panic!("{status}: {}", answer.head),
        };
        *self.ways.entry((asked.kind, way)).or_default() += 1;
    }

    fn add(&mut self, other: Seen) {
        other.ways.into_iter().for_each(|(way, n)| *self.ways.entry(way).or_default() += n);
        self.crossed.extend(other.crossed);
    }
}

/// Writes one request of all that there might be.
fn ask(out: &mut String, rng: &mut Rng, credentials: &Credentials) -> Asked {
    let (kind, what, caller) = (*rng.one(&KINDS), *rng.one(&WHATS), *rng.one(&CALLERS));
    let language = *rng.one(&LANGUAGES);
    let (name, value) = rng.one(&credentials.of[&(kind, caller)]);
    let method = if rng.below(400) == 0 { "PUT" } else { "GET" };
    // Half of them want the same one.
    let number = rng.below(6).saturating_sub(3);
    *out += &format!(
        "{method} /{kind}/{what}/{number} HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nAccept-Language: {language}\r\n"
    );
    let first = 8 * rng.below(TIMES - 4);
    match (method, what, rng.below(3)) {
        ("GET", "part", 0) => *out += &format!("Range: bytes={first}-{}\r\n", first + 8 * (1 + rng.below(4)) - 1),
        ("GET", "etag", 0) => *out += "If-None-Match: \"the-same-for-all\"\r\n",
        ("PUT", ..) => *out += "Content-Length: 0\r\n",
        _ => {}
    }
    *out += "\r\n";
    Asked { kind, what, caller, language }
}

/// Many clients at once, so many requests in all.
async fn run(world: &World, seed: u64, requests: usize) -> Seen {
    let (tasks, seen) = (Tasks::default(), Arc::new(Mutex::new(Seen::default())));
    for n in 0..CONNECTIONS as u64 {
        let (mut client, mut rng) = (Client::new(world).await, Rng(seed ^ (n + 1).wrapping_mul(0x5851_f42d)));
        let (credentials, clock) = (Arc::clone(&world.credentials), world.gateway.clock.clone());
        let all = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut seen = Seen::default();
            for _ in 0..requests.div_ceil(CONNECTIONS * AHEAD) {
                let mut text = String::new();
                let asked: Vec<Asked> = (0..AHEAD).map(|_| ask(&mut text, &mut rng, &credentials)).collect();
                client.stream.write_all(text.as_bytes()).await.unwrap();
                for asked in &asked {
                    seen.judge(asked, &client.answer().await);
                }
                if rng.below(600) == 0 {
                    clock.step(Duration::from_secs(31));
                }
            }
            all.lock().unwrap().add(seen);
        });
    }
    tokio::time::timeout(Duration::from_secs(600), tasks.ended()).await.unwrap();
    assert_eq!(world.origin.faults(), [""; 0]);
    std::mem::take(&mut *seen.lock().unwrap())
}

fn seed() -> u64 {
    let given = std::env::var("FRESHGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("FRESHGATE_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_thousand_answers_none_is_crossed() {
    let seed = seed();
    let world = World::new(seed, "").await;
    let seen = run(&world, seed, REQUESTS).await;
    println!("{:?}", seen.ways);
    let first = seen.crossed.first();
    assert!(seen.crossed.is_empty(), "seed {seed}: {} crossed, the first: {first:?}", seen.crossed.len());
    assert!(seen.ways.values().sum::<usize>() >= REQUESTS);
    for kind in KINDS {
        for way in ["hit", "miss", "joined", "revalidated", "not modified", "part", "stored part", "write"] {
            assert!(seen.ways.contains_key(&(kind, way)), "seed {seed}: {kind} had no {way}: {:?}", seen.ways);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossings_are_seen_where_they_are_asked_for() {
    let seed = seed();
    let world = World::new(seed, "key = { share = \"assume-public\" }").await;
    let seen = run(&world, seed, 10_000).await;
    for kind in KINDS {
        let crossed = seen.crossed.iter().filter(|line| line.starts_with(&format!("{kind} "))).count();
        assert!(crossed > 100, "seed {seed}: {kind} {crossed}");
    }
}
