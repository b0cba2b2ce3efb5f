//! A gateway before a recording origin, and how a row is fed to it and judged.

use super::origin::Recorder;
use super::row::{Outcome, Row, Seen, Sent};
use super::strict::Whole;
use super::support::{Gateway, H2, within};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What must never be seen at an origin: it stands behind each row.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// How the bytes of a row come: all at once, byte by byte, and in between.
const PIECES: [usize; 3] = [usize::MAX, 1, 7];

pub struct World {
    pub gateway: Gateway,
    pub origin: Recorder,
}

impl World {
    /// The API `one/v1` at `/`, and another that wants a key to be shown; `api` is more of the first's table.
    pub async fn new(api: &str) -> World {
        World::before(Recorder::start().await, api).await
    }

    pub async fn before(origin: Recorder, api: &str) -> World {
        let url = format!("upstream = [\"http://{}\"]", origin.addr);
        let apis = format!(
            "[[api]]\nname = \"one\"\nversion = \"v1\"\nhost = \"a\"\npath = \"/\"\n{url}\n\
             timeouts = {{ first_byte = \"3s\" }}\n{api}\n[[api]]\nname = \"keyed\"\nversion = \"v1\"\nhost = \"keyed\"\npath = \"/\"\n{url}\n\
             auth = {{ kind = \"api-key\", keys = [{{ user = \"alice\", sha256 = \"{}\" }}] }}\n",
            "0".repeat(64)
        );
        // So that one that isn't closed is found out soon.
        let limits = "[server.limits]\nidle_timeout = \"5s\"\nheader_timeout = \"5s\"\nrequest_body = \"64KiB\"";
        World { gateway: Gateway::with(limits, &apis).await, origin }
    }

    /// Feeds a row; gives what is wrong, if anything is.
    async fn feed(&self, row: &Row, size: usize, number: usize) -> Option<String> {
        let before = self.origin.requests().len();
        let mut bytes = row.bytes();
        // Behind what is answered and stays open the next answer would be mixed up with this one's.
        if !matches!(row.outcome, Outcome::Reaches(_)) {
            bytes.extend(SMUGGLED.as_bytes());
        }
        let answers = exchange(self.gateway.addr, &bytes, size, wanted(&row.outcome)).await;
        let marker = format!("/marker/{number}/{size}");
        let harmless = format!("GET {marker} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answered = exchange(self.gateway.addr, harmless.as_bytes(), usize::MAX, 1).await;
        let mut requests = self.origin.requests().split_off(before);
        let marked = requests.pop_if(|request| request.line() == format!("GET {marker}")).is_some();
        if !marked || answered.statuses != [200] || !answered.text.ends_with(&format!("GET {marker}")) {
            return Some(format!("the next request was harmed: {answered:?}, {requests:?}"));
        }
        judge(&row.outcome, &answers, &requests).err()
    }
}

/// How many answers to wait for; after as many as there are where the connection is closed.
fn wanted(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Refused(_) | Outcome::Broken(_) | Outcome::ReachesThenRefused(..) => usize::MAX,
        // The next one is what comes behind.
        Outcome::Own(_) => usize::MAX,
        Outcome::Reaches(requests) => requests.len(),
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answers {
    /// Final statuses.
    pub statuses: Vec<u16>,
    /// Interim ones.
    pub interim: Vec<u16>,
    pub text: String,
    pub closed: bool,
}

/// Sends `bytes` in pieces, and reads until there are so many answers or the connection ends.
pub async fn exchange(addr: SocketAddr, bytes: &[u8], size: usize, answers: usize) -> Answers {
    let stream = within("a connection", TcpStream::connect(addr)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut read, mut write) = stream.into_split();
    let send = async {
        for piece in bytes.chunks(size.min(bytes.len()).max(1)) {
            // The gateway may have closed already.
            if write.write_all(piece).await.is_err() {
                break;
            }
        }
        write
    };
    let receive = async {
        let (mut all, mut more) = (Vec::new(), vec![0; 16 << 10]);
        loop {
            let found = parse(&all, false);
            if found.statuses.len() >= answers {
                return found;
            }
            match read.read(&mut more).await {
                Ok(n @ 1..) => all.extend_from_slice(&more[..n]),
                Ok(_) | Err(_) => return parse(&all, true),
            }
        }
    };
    let (_write, found) = within("answers", async { tokio::join!(send, receive) }).await;
    found
}

/// The whole answers in some bytes, each with a length told.
fn parse(all: &[u8], closed: bool) -> Answers {
    let mut found =
        Answers { statuses: vec![], interim: vec![], text: String::from_utf8_lossy(all).into_owned(), closed };
    let mut rest = all;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        assert!(head.starts_with("HTTP/1.1 ") || head.starts_with("HTTP/1.0 "), "no answer: {head:?}");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let length = length.filter(|_| status >= 200).unwrap_or(0);
        if rest.len() < end + 4 + length {
            break;
        }
        if status < 200 { &mut found.interim } else { &mut found.statuses }.push(status);
        rest = &rest[end + 4 + length..];
    }
    found
}

fn judge(outcome: &Outcome, answers: &Answers, requests: &[Whole]) -> Result<(), String> {
    let ensure = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(format!("{what}: {answers:?}, the origin saw {requests:#?}")) }
    };
    let problem = || answers.text.contains("application/problem+json") && answers.text.contains("no-store");
    match outcome {
        Outcome::Refused(status) | Outcome::Broken(status) => {
            ensure(answers.statuses == [*status], &format!("not one answer of {status}"))?;
            ensure(answers.closed && problem(), "not closed, or without saying why")?;
            ensure(requests.is_empty(), "something reached the origin")
        }
        Outcome::Own(status) => {
            let first = answers.statuses.first() == Some(status);
            ensure(first && answers.statuses.len() <= 2, "not that answer")?;
            // What came behind was answered for itself, or not at all.
            let behind = answers.statuses.len() - 1;
            let follower = requests.iter().all(|request| request.line() == "GET /smuggled");
            ensure(requests.len() == behind && follower, "something reached the origin")
        }
        Outcome::Reaches(seen) => {
            ensure(answers.statuses == vec![200; seen.len()], "not answered by the origin")?;
            compare(seen, requests)
        }
        Outcome::ReachesThenRefused(seen, status) => {
            let mut all = vec![200; seen.len()];
            all.push(*status);
            ensure(answers.statuses == all && answers.closed, "not answered, then refused")?;
            compare(seen, requests)
        }
    }
}

fn compare(seen: &[Seen], requests: &[Whole]) -> Result<(), String> {
    if seen.len() != requests.len() {
        return Err(format!("the origin saw {requests:#?}"));
    }
    for (seen, request) in seen.iter().zip(requests) {
        let wrong = |what: String| Err(format!("{what}: the origin saw {request:#?}"));
        if seen.line != request.line() {
            return wrong(format!("not {:?}", seen.line));
        }
        for (name, value) in &seen.facts {
            let all = request.all(name);
            if all != Vec::from_iter(value.clone()) {
                return wrong(format!("{name} is {all:?}, not {value:?}"));
            }
        }
        if seen.body.as_ref().is_some_and(|body| body.as_bytes() != request.body) {
            return wrong(format!("the body isn't {:?}", seen.body));
        }
        let names = || request.trailers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if seen.trailers.as_ref().is_some_and(|trailers| *trailers != names()) {
            return wrong(format!("the trailers are {:?}", names()));
        }
    }
    Ok(())
}

/// Feeds every row in every way, one after the other, and says what is wrong with all of them.
pub async fn run(class: &str, rows: Vec<Row>) {
    let world = World::new("").await;
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        for size in PIECES {
            // A long head isn't sent byte by byte.
            if size == usize::MAX || row.bytes().len() < 4096 {
                let how = if size == usize::MAX { "whole".to_owned() } else { format!("in pieces of {size}") };
                let fed = world.feed(row, size, number).await;
                wrong.extend(fed.map(|fault| format!("{} ({}), {how}: {fault}", row.name, row.cites)));
            }
        }
    }
    wrong.extend(world.origin.faults());
    if world.origin.has_seen("GET /smuggled") && !rows.iter().any(|row| matches!(row.outcome, Outcome::Own(_))) {
        wrong.push("something was smuggled".to_owned());
    }
    println!("{class}: {} rows", rows.len());
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// Asks over HTTP/2 what rows of all classes say by its meaning, as far as it can be said there at all.
pub async fn run_over_http2(rows: Vec<Row>) {
    let world = World::new("").await;
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for row in rows {
        let Sent::Said(said) = &row.sent else { continue };
        let stream = TcpStream::connect(world.gateway.addr).await.unwrap();
        let mut client = H2::over(stream, &said.host, "http", h2::client::Builder::new()).await;
        // What a library for clients refuses to say.
        let fields: Vec<(&str, &str)> =
            said.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let target: Result<http::Uri, _> = format!("http://{}{}", said.host, said.target).parse();
        let is_sayable = target.is_ok_and(|uri| {
            let whole = said.target.starts_with('/')
                && uri.path_and_query().is_some_and(|target| target.as_str() == said.target);
            whole && uri.authority().is_some_and(|authority| authority.as_str() == said.host)
        });
        let of_one_hop = ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
        if !is_sayable || fields.iter().any(|(name, _)| of_one_hop.contains(&&*name.to_ascii_lowercase())) {
            continue;
        }
        asked += 1;
        let before = world.origin.requests().len();
        let answer = client.ask(said.method, &said.target, &fields, said.body).await;
        let requests = world.origin.requests().split_off(before);
        let fault = match (&row.outcome, answer.as_ref().map(|answer| answer.status)) {
            (Outcome::Refused(status), Ok(got)) if got == *status && requests.is_empty() => None,
            (Outcome::Reaches(seen), Ok(200)) => compare(seen, &requests).err(),
            (outcome, _) => Some(format!("{answer:?} is not {outcome:?}, the origin saw {requests:#?}")),
        };
        wrong.extend(fault.map(|fault| format!("{} ({}): {fault}", row.name, row.cites)));
    }
    wrong.extend(world.origin.faults());
    println!("over HTTP/2: {asked} rows");
    assert!(wrong.is_empty() && asked > 100, "{} faults of {asked}\n{}", wrong.len(), wrong.join("\n"));
}
