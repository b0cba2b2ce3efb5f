//! What the tests run: a gateway whose clock can be stepped and whose log can be read, httpbin, and the clients.
//!
//! Clients and httpbin are processes. They are waited for on the test's own thread; the gateway is on others.

use crate::support::{Answer, Fields, Origin, within};
use freshgate::clock::Clock;
use freshgate::config::{self, Surroundings};
use freshgate::serve::{self, Running};
use freshgate::telemetry::Lines;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::sync::watch;

/// Whether the clients are wanted. `./test.sh` installs them and sets `FRESHGATE_CLIENTS=required`; from then on a missing
/// one is a failure. Without it the test says that it is skipped.
pub(crate) fn wanted() -> bool {
    match std::env::var("FRESHGATE_CLIENTS").as_deref() {
        Ok("required") => true,
        Ok(other) => panic!("FRESHGATE_CLIENTS is {other:?}; it may be \"required\" or unset"),
        Err(_) => {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            // Past the test runner, which keeps to itself what a test prints that passes.
            let _ = writeln!(io::stderr(), "{test}: SKIPPED, it needs real clients: run ./test.sh");
            false
        }
    }
}

/// What `./test.sh` makes.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python")
}

/// A program with nothing of the surroundings that would change how it asks.
pub(crate) fn program(name: impl AsRef<Path>) -> Command {
    let mut command = Command::new(name.as_ref());
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

/// One of the scripts beside this file.
pub(crate) fn script(name: &str) -> Command {
    let mut command = program(python());
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name));
    command
}

/// A program that goes on running, and what it says. It is ended, by its id, when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    errors: NamedTempFile,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        let errors = NamedTempFile::new().unwrap();
        let to = Stdio::from(errors.reopen().unwrap());
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(to).spawn();
        let mut child = started.unwrap_or_else(|e| panic!("{:?}: {e}: run ./test.sh", command.get_program()));
        let (said, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Process { child, lines, errors }
    }

    /// Its next line.
    pub(crate) fn line(&self) -> String {
        self.try_line().unwrap_or_else(|e| panic!("no line from a client ({e}); it says: {}", self.errors()))
    }

    /// Its next line, if it goes on running.
    pub(crate) fn try_line(&self) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(Duration::from_secs(30))
    }

    pub(crate) fn say(&mut self, line: &str) {
        let said = writeln!(self.child.stdin.as_mut().unwrap(), "{line}");
        said.unwrap_or_else(|e| panic!("a client doesn't listen ({e}); it says: {}", self.errors()));
    }

    /// What it has said on standard error.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.errors.path()).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    log: watch::Receiver<Vec<Value>>,
    clock: Clock,
    _running: Running,
}

impl Gateway {
    /// One API at `/` before `upstream`, with more lines of its table.
    pub(crate) async fn before(upstream: &str, api: &str) -> Gateway {
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\n\
             upstream = [\"{upstream}\"]\n{api}\n"
        );
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let loaded = config::parse(&text, "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let (lines, log) = watch::channel(Vec::new());
        let (clock, lines) = (Clock::steppable(), Lines::to(Log { lines, begun: Vec::new() }).unwrap());
        let running = serve::start(loaded.config, clock.clone(), lines).await.unwrap();
        Gateway { addr: running.data[0], log, clock, _running: running }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.addr)
    }

    /// Moves its clock forward.
    pub(crate) fn step(&self, seconds: u64) {
        self.clock.step(Duration::from_secs(seconds));
    }

    /// The log's lines of a path once there are `n`: method, status and outcome.
    pub(crate) async fn logged(&self, path: &str, n: usize) -> Vec<String> {
        let of = |lines: &[Value]| -> Vec<String> {
            let word = |line: &Value, name: &str| line[name].as_str().unwrap_or("?").to_owned();
            let lines = lines.iter().filter(|line| line["path"] == path);
            lines.map(|l| format!("{} {} {}", word(l, "method"), l["status"], word(l, "outcome"))).collect()
        };
        let mut log = self.log.clone();
        let lines = within(&format!("{n} lines about {path}"), log.wait_for(|lines| of(lines).len() >= n)).await;
        of(&lines.unwrap())
    }

    /// The log once it has `n` lines.
    pub(crate) async fn log(&self, n: usize) -> Vec<Value> {
        let mut log = self.log.clone();
        within(&format!("{n} lines in the log"), log.wait_for(|lines| lines.len() >= n)).await.unwrap().clone()
    }
}

/// Takes the log apart as it comes.
struct Log {
    lines: watch::Sender<Vec<Value>>,
    begun: Vec<u8>,
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let end = self.begun.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.begun.drain(..end).collect();
        let lines = whole.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        self.lines.send_modify(|log| log.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap())));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// httpbin, which none of us wrote.
pub(crate) struct Httpbin {
    addr: String,
    _process: Process,
}

impl Httpbin {
    pub(crate) fn start() -> Httpbin {
        let process = Process::start(script("origin.py"));
        let line = process.line();
        let port = line.strip_prefix("ready ").unwrap_or_else(|| panic!("{line}: {}", process.errors()));
        Httpbin { addr: format!("127.0.0.1:{port}"), _process: process }
    }

    /// A URL of its own, past the gateway.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.addr)
    }

    /// What it was asked about a path so far: method and status.
    pub(crate) fn seen(&self, path: &str) -> Vec<String> {
        let seen = curl(&["-i", &self.url("/-/seen")]).json();
        let about = seen.as_array().unwrap().iter().filter(|note| note["path"] == path);
        about.map(|note| format!("{} {}", note["method"].as_str().unwrap(), note["status"])).collect()
    }
}

/// What a client makes of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) answer: Answer,
    /// Whether the client says that it had it itself.
    pub(crate) kept: bool,
}

impl Deref for Got {
    type Target = Answer;
    fn deref(&self) -> &Answer {
        &self.answer
    }
}

impl Got {
    pub(crate) fn new(status: u16, fields: Vec<(String, String)>, body: Vec<u8>, kept: bool) -> Got {
        let answer = Answer {
            status,
            fields: Fields(fields),
            body,
            trailers: Fields::default(),
            complete: true,
            interim: Vec::new(),
            raw_head: Vec::new(),
        };
        Got { answer, kept }
    }

    /// End-to-end fields, sorted: without what is the gateway's own and what is about the connection. The length of a body
    /// whose length the origin didn't tell may be told, if it is right.
    pub(crate) fn said(&self) -> Vec<(String, String)> {
        const NOT: [&str; 8] =
            ["date", "age", "via", "cache-status", "connection", "keep-alive", "transfer-encoding", "content-length"];
        let lower = self.answer.fields.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut said: Vec<_> = lower.filter(|(name, _)| !NOT.contains(&name.as_str())).collect();
        said.sort_by(|a, b| a.0.cmp(&b.0)); // stable: lines of one name stay in their order
        said
    }
}

/// A client that can be asked to ask.
pub(crate) enum Client {
    /// curl, which keeps nothing unless told to.
    Curl,
    /// A Python library: its name, and the process that it runs in.
    Library(&'static str, Process),
}

/// Clients without a cache.
pub(crate) fn plain() -> [Client; 3] {
    [Client::library("requests"), Client::library("httpx"), Client::Curl]
}

/// Clients with a cache of their own.
pub(crate) fn keeping() -> [Client; 2] {
    [Client::library("cachecontrol"), Client::library("hishel")]
}

impl Client {
    fn library(name: &'static str) -> Client {
        let mut command = script("client.py");
        command.arg(name);
        Client::Library(name, Process::start(command))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Client::Curl => "curl",
            Client::Library(name, _) => name,
        }
    }

    pub(crate) fn get(&mut self, url: &str) -> Got {
        self.ask("GET", url, &[], None)
    }

    pub(crate) fn get_with(&mut self, url: &str, fields: &[(&str, &str)]) -> Got {
        self.ask("GET", url, fields, None)
    }

    /// The answer with its content as it is coded.
    pub(crate) fn ask(&mut self, method: &str, url: &str, fields: &[(&str, &str)], body: Option<&str>) -> Got {
        match self {
            Client::Curl => curl_asks(method, url, fields, body, &[]),
            Client::Library(_, process) => library_asks(process, method, url, fields, body, false),
        }
    }

    /// The answer with its content decoded.
    pub(crate) fn read(&mut self, url: &str) -> Got {
        match self {
            Client::Curl => curl_asks("GET", url, &[], None, &["--compressed"]),
            Client::Library(_, process) => library_asks(process, "GET", url, &[], None, true),
        }
    }
}

fn library_asks(
    process: &mut Process,
    method: &str,
    url: &str,
    fields: &[(&str, &str)],
    body: Option<&str>,
    decode: bool,
) -> Got {
    let fields: serde_json::Map<_, _> = fields.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
    process.say(&json!({"method": method, "url": url, "fields": fields, "body": body, "decode": decode}).to_string());
    let answer: Value = serde_json::from_str(&process.line()).unwrap();
    let body = latin1(answer["body"].as_str().unwrap());
    let status = answer["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap();
    let fields = serde_json::from_value(answer["fields"].clone()).unwrap();
    Got::new(status, fields, body, answer["kept"].as_bool().unwrap())
}

/// Bytes that were written as one character each.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn curl_asks(method: &str, url: &str, fields: &[(&str, &str)], body: Option<&str>, more: &[&str]) -> Got {
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut args = if method == "HEAD" { vec!["-I"] } else { vec!["-i", "-X", method] };
    args.extend(lines.iter().flat_map(|line| ["-H", line]));
    args.extend(body.iter().flat_map(|body| ["--data-binary", body]));
    args.extend(more);
    args.push(url);
    curl(&args)
}

/// curl with these arguments, of which one must make it print the head (`-i`, `-I` or `-D -`).
pub(crate) fn curl(args: &[&str]) -> Got {
    let mut command = program("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "30"]).args(args);
    let output = command.output().unwrap_or_else(|e| panic!("curl: {e}: run ./test.sh"));
    let complaint = || format!("curl {args:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", complaint());
    let end =
        output.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{}", complaint()));
    let head: String = output.stdout[..end].iter().map(|&b| char::from(b)).collect();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap();
    let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let fields = lines.map(|line| field(line).unwrap_or_else(|| panic!("{line}"))).collect();
    Got::new(status, fields, output.stdout[end + 4..].to_vec(), false)
}

/// How many requests an origin has had for a target.
pub(crate) fn asked(origin: &Origin, target: &str) -> usize {
    origin.requests().iter().filter(|request| request.target == target).count()
}

/// A new empty file of one's own, to be written by a client.
pub(crate) fn scratch() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    File::create(file.path()).unwrap();
    file
}
