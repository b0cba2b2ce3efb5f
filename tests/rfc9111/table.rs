//! Requirements as rows: what a client asks, what the origin answers, and what has to come of it. Each row is a short
//! talk over real sockets, at a path of its own; the rows of a table share one gateway and one origin.
//!
//! ```ignore
//! row("9111 3-1.4", "no-store").cc("no-store, max-age=60").again(0).fwd("uri-miss"),
//! row("9111 5.3-2", "max-age, not Expires").ok(&[MINUTE, "Expires: 0"]).again(30).hit(),
//! ```
//!
//! What is called before the first [`Row::again`] (or `get`, `ask`) is about the first request, which is a GET without
//! fields. The origin's answers have the contents `one`, `two`, … in the order of the row. In fields `{t}` is the time at
//! which the row begins, `{t+60}` a minute later; `{path}` the row's path, `{host}` the gateway's and `{origin}` the origin's
//! address. An expected value that ends in `*` may go on in any way.

use crate::support::{Answer, Client, Fields, Gateway, Origin, Reply, Request};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// `Cache-Control` of an answer that is fresh for a minute.
pub(crate) const MINUTE: &str = "Cache-Control: max-age=60";
/// Entity tags.
pub(crate) const A: &str = "ETag: \"a\"";
pub(crate) const B: &str = "ETag: \"b\"";
pub(crate) const WEAK_A: &str = "ETag: W/\"a\"";
/// A modification time.
pub(crate) const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";

type Lines = &'static [&'static str];

/// A row begins: the requirements that it cites, and what it is about.
pub(crate) fn row(cites: &'static str, why: &'static str) -> Row {
    Row { cites, why, api: "", talk: vec![Exchange::new("GET", &[])] }
}

/// A row that cites nothing: it shows that another one doesn't hold for a simpler reason, or what a cache only should do.
pub(crate) fn contrast(why: &'static str) -> Row {
    row("", why)
}

/// A talk.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) cites: &'static str,
    why: &'static str,
    /// Further lines of its `[[api]]` table.
    api: &'static str,
    talk: Vec<Exchange>,
}

/// A request, the answers that the origin has for it, and what has to come of it.
#[derive(Clone, Debug)]
struct Exchange {
    step: u64,
    method: &'static str,
    /// What follows the row's own path in the target.
    at: &'static str,
    fields: Lines,
    tells: Vec<Tell>,
    want: Want,
}

/// An answer of the origin.
#[derive(Clone, Debug)]
struct Tell {
    status: u16,
    fields: Lines,
    content: Option<&'static str>,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Whole,
    /// With this trailer field.
    Trailer(&'static str, &'static str),
    /// Of a content for which so many bytes are promised, only a part.
    Short(u64),
    /// No answer, only the end of the connection.
    Nothing,
    /// These bytes.
    Raw(&'static str),
}

/// Where the answer has to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A row must say.
    Unsaid,
    /// From the cache, without asking.
    Hit,
    /// From the origin, or confirmed by it, for this reason.
    Fwd(&'static str),
    /// From the cache because the origin failed.
    Kept,
    /// Made by the gateway, without asking.
    Ours,
}

#[derive(Clone, Debug)]
struct Want {
    source: Source,
    status: Option<u16>,
    content: Option<&'static str>,
    broken: bool,
    age: Option<u64>,
    has: Lines,
    lacks: Lines,
    says: Lines,
    sent: Lines,
    unsent: Lines,
    /// Whether it is asked with other conditions than those of `sent`.
    anyhow: bool,
    interim: &'static [u16],
}

impl Exchange {
    fn new(method: &'static str, fields: Lines) -> Exchange {
        let want = Want {
            source: Source::Unsaid,
            status: None,
            content: None,
            broken: false,
            age: None,
            has: &[],
            lacks: &[],
            says: &[],
            sent: &[],
            unsent: &[],
            anyhow: false,
            interim: &[],
        };
        Exchange { step: 0, method, at: "", fields, tells: Vec::new(), want }
    }
}

/// Requests.
impl Row {
    /// The API's settings.
    pub(crate) fn api(self, api: &'static str) -> Row {
        Row { api, ..self }
    }

    /// A GET without fields, so many seconds later.
    pub(crate) fn again(self, step: u64) -> Row {
        self.step(step).get(&[])
    }

    /// The clock goes on by so many seconds; the next request comes after that.
    pub(crate) fn step(mut self, seconds: u64) -> Row {
        self.talk.push(Exchange { step: seconds, ..Exchange::new("", &[]) });
        self
    }

    /// A GET with these fields.
    pub(crate) fn get(self, fields: Lines) -> Row {
        self.ask("GET", fields)
    }

    /// A request with these fields.
    pub(crate) fn ask(mut self, method: &'static str, fields: Lines) -> Row {
        let stepped = self.talk.pop_if(|last| last.method.is_empty()).map_or(0, |last| last.step);
        self.talk.push(Exchange { step: stepped, ..Exchange::new(method, fields) });
        self
    }

    /// The first request isn't a plain GET.
    pub(crate) fn first(mut self, method: &'static str, fields: Lines) -> Row {
        self.talk = vec![Exchange::new(method, fields)];
        self
    }

    /// What follows the row's path in the target: `?q`, `/below`.
    pub(crate) fn at(mut self, at: &'static str) -> Row {
        self.last().at = at;
        self
    }

    fn last(&mut self) -> &mut Exchange {
        self.talk.last_mut().unwrap()
    }
}

/// What the origin answers.
impl Row {
    /// This status with these fields. Called twice, it answers twice.
    pub(crate) fn tells(mut self, status: u16, fields: Lines) -> Row {
        self.last().tells.push(Tell { status, fields, content: None, how: How::Whole });
        self
    }

    /// 200 with these fields.
    pub(crate) fn ok(self, fields: Lines) -> Row {
        self.tells(200, fields)
    }

    /// 200 with this `Cache-Control`.
    pub(crate) fn cc(self, directives: &'static str) -> Row {
        let line: &'static str = Box::leak(format!("Cache-Control: {directives}").into_boxed_str());
        self.tells(200, Box::leak(Box::new([line])))
    }

    /// 304 with these fields.
    pub(crate) fn confirms(self, fields: Lines) -> Row {
        self.tells(304, fields)
    }

    /// The answer's content.
    pub(crate) fn content(mut self, content: &'static str) -> Row {
        self.telling().content = Some(content);
        self
    }

    /// The answer's trailer field.
    pub(crate) fn trailer(self, name: &'static str, value: &'static str) -> Row {
        self.how(How::Trailer(name, value))
    }

    /// The answer's content breaks off; so many bytes were promised.
    pub(crate) fn of(self, promised: u64) -> Row {
        self.how(How::Short(promised))
    }

    /// There is no answer.
    pub(crate) fn fails(self) -> Row {
        self.tells(0, &[]).how(How::Nothing)
    }

    /// These bytes are the answer.
    pub(crate) fn raw(self, bytes: &'static str) -> Row {
        self.tells(200, &[]).how(How::Raw(bytes))
    }

    fn how(mut self, how: How) -> Row {
        self.telling().how = how;
        self
    }

    fn telling(&mut self) -> &mut Tell {
        let exchange = self.last();
        if exchange.tells.is_empty() {
            exchange.tells.push(Tell { status: 200, fields: &[], content: None, how: How::Whole });
        }
        exchange.tells.last_mut().unwrap()
    }
}

/// What has to come of it. By default an answer from the cache has the status and content that were stored, and an answer
/// from the origin those that it sent.
impl Row {
    /// From the cache; the origin isn't asked.
    pub(crate) fn hit(self) -> Row {
        self.from(Source::Hit)
    }

    /// The origin is asked, as often as it has answers, and with no other conditions than [`Row::sent`] names;
    /// `Cache-Status` gives this reason (`""`: any). A 304 makes the stored answer the client's.
    pub(crate) fn fwd(self, reason: &'static str) -> Row {
        self.from(Source::Fwd(reason))
    }

    /// The origin is asked and fails, and the stored answer is used.
    pub(crate) fn kept(self) -> Row {
        self.from(Source::Kept)
    }

    /// The gateway refuses with this status; the origin isn't asked.
    pub(crate) fn refused(self, status: u16) -> Row {
        self.from(Source::Ours).status(status)
    }

    fn from(mut self, source: Source) -> Row {
        self.last().want.source = source;
        self
    }

    /// The client's status.
    pub(crate) fn status(mut self, status: u16) -> Row {
        self.last().want.status = Some(status);
        self
    }

    /// The client's content.
    pub(crate) fn gets(mut self, content: &'static str) -> Row {
        self.last().want.content = Some(content);
        self
    }

    /// The origin ends the connection after its answer, and what the client gets breaks off.
    pub(crate) fn broken(mut self) -> Row {
        self.last().want.broken = true;
        self
    }

    /// Its `Age`, give or take what a slow machine needs.
    pub(crate) fn age(mut self, seconds: u64) -> Row {
        self.last().want.age = Some(seconds);
        self
    }

    /// Fields of the client's answer.
    pub(crate) fn has(mut self, fields: Lines) -> Row {
        self.last().want.has = fields;
        self
    }

    /// Fields that it doesn't have, or not with this value.
    pub(crate) fn lacks(mut self, fields: Lines) -> Row {
        self.last().want.lacks = fields;
        self
    }

    /// Parameters of `Cache-Status` beside the reason.
    pub(crate) fn says(mut self, parameters: Lines) -> Row {
        self.last().want.says = parameters;
        self
    }

    /// Fields of the request that the origin gets.
    pub(crate) fn sent(mut self, fields: Lines) -> Row {
        self.last().want.sent = fields;
        self
    }

    /// Fields that it doesn't have.
    pub(crate) fn unsent(mut self, fields: Lines) -> Row {
        self.last().want.unsent = fields;
        self
    }

    /// The cache may add conditions of its own.
    pub(crate) fn anyhow(mut self) -> Row {
        self.last().want.anyhow = true;
        self
    }

    /// Interim answers that the client gets.
    pub(crate) fn interim(mut self, statuses: &'static [u16]) -> Row {
        self.last().want.interim = statuses;
        self
    }
}

/// Runs a table; fails with every row that doesn't hold.
pub(crate) async fn holds(rows: &[Row]) {
    let failures = failures(rows).await;
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

/// The rows that don't hold, and why.
pub(crate) async fn failures(rows: &[Row]) -> Vec<String> {
    let stage = Stage::of(rows).await;
    let mut failures = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if let Err(fault) = stage.play(row, number).await {
            failures.push(format!("- {} [{}] {fault}", row.why, row.cites));
        }
    }
    failures
}

/// What the origin has to say at a path, and what it was asked there.
#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// What it says when there are no replies left.
    otherwise: Option<Reply>,
    asked: Vec<Request>,
}

/// By the first two segments of the path: API and row.
type Scripts = Arc<Mutex<HashMap<String, Script>>>;

/// A gateway and an origin for a table.
struct Stage {
    gateway: Gateway,
    origin: Origin,
    scripts: Scripts,
    /// The settings of the API at `/0`, `/1`, …
    apis: Vec<&'static str>,
}

/// What is known of a row on its way.
struct Play<'a> {
    stage: &'a Stage,
    path: String,
    began: SystemTime,
    /// How many answers the origin has given.
    told: usize,
    /// Status and content of the last whole answer to a GET.
    kept: (u16, String),
    /// What the client has to get by default.
    expected: (u16, String),
}

impl Stage {
    async fn of(rows: &[Row]) -> Stage {
        let mut apis: Vec<&'static str> = Vec::new();
        for row in rows {
            if !apis.contains(&row.api) {
                apis.push(row.api);
            }
        }
        let scripts = Scripts::default();
        let theirs = Arc::clone(&scripts);
        let origin = Origin::start(move |request| std::future::ready(told(&theirs, request))).await;
        let table = |(n, api): (usize, &&str)| {
            let url = origin.url();
            format!("[[api]]\nname = \"{n}\"\nversion = \"v1\"\npath = \"/{n}\"\nupstream = [\"{url}\"]\n{api}\n")
        };
        let tables: String = apis.iter().enumerate().map(table).collect();
        Stage { gateway: Gateway::with("", &tables).await, origin, scripts, apis }
    }

    async fn play(&self, row: &Row, number: usize) -> Result<(), String> {
        let api = self.apis.iter().position(|api| *api == row.api).unwrap();
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(self.gateway.clock.now().unix);
        let path = format!("/{api}/{number}");
        let nothing = (0, String::new());
        let mut play = Play { stage: self, path, began, told: 0, kept: nothing.clone(), expected: nothing };
        let mut client = self.gateway.client().await;
        for (number, exchange) in row.talk.iter().enumerate() {
            self.gateway.step(exchange.step);
            play.exchange(&mut client, exchange, number).await.map_err(|fault| {
                format!("request {}, {} {:?}: {fault}", number + 1, exchange.method, exchange.fields)
            })?;
            self.gateway.settled().await;
        }
        Ok(())
    }

    /// Tells the origin what to say at `path`.
    fn prepare(&self, path: &str, replies: VecDeque<Reply>, otherwise: Option<Reply>) {
        self.scripts.lock().unwrap().insert(path.to_owned(), Script { replies, otherwise, asked: Vec::new() });
    }

    /// What the origin was asked at `path`, and whether it has answers left.
    fn asked(&self, path: &str) -> (Vec<Request>, usize) {
        let mut scripts = self.scripts.lock().unwrap();
        let script = scripts.remove(path).unwrap_or_default();
        (script.asked, script.replies.len())
    }
}

fn told(scripts: &Scripts, request: Request) -> Reply {
    let path: Vec<&str> = request.target.split(['/', '?']).take(3).collect();
    let mut scripts = scripts.lock().unwrap();
    let script = scripts.entry(path.join("/")).or_default();
    script.asked.push(request);
    let reply = script.replies.pop_front().or_else(|| script.otherwise.clone());
    reply.unwrap_or_else(|| Reply::status(500).body("more than the row has answers for"))
}

impl Play<'_> {
    async fn exchange(&mut self, client: &mut Client, exchange: &Exchange, number: usize) -> Result<(), String> {
        let Exchange { method, at, want, .. } = exchange;
        let replies = self.replies(exchange, number);
        // It goes on to fail when it is tried again.
        let fails = exchange.tells.last().is_some_and(|tell| tell.how == How::Nothing);
        self.stage.prepare(&self.path, replies, fails.then(Reply::nothing));
        let fields = self.pairs(exchange.fields);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = client.request(method, &format!("{}{at}", self.path), &fields, "").await;
        if !answer.complete || answer.lists("connection", "close") {
            *client = self.stage.gateway.client().await;
        }
        let (asked, left) = self.stage.asked(&self.path);
        self.came_from(exchange, number, &answer, &asked, left)?;
        if let Some(request) = asked.first() {
            self.was_sent(want, request)?;
        }
        self.is_right(exchange, &answer)
    }

    /// The origin's answers, and what of them is going to be the stored one.
    fn replies(&mut self, exchange: &Exchange, number: usize) -> VecDeque<Reply> {
        let plain = [Tell { status: 200, fields: &[], content: None, how: How::Whole }];
        let asks = number == 0 || matches!(exchange.want.source, Source::Fwd(_) | Source::Kept);
        let tells: &[Tell] = if exchange.tells.is_empty() && asks { &plain } else { &exchange.tells };
        let mut replies = VecDeque::new();
        self.expected = self.kept.clone();
        for tell in tells {
            const NUMBERS: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
            let content = tell.content.unwrap_or(NUMBERS[self.told]);
            self.told += 1;
            let reply = self.reply(tell, content);
            replies.push_back(if exchange.want.broken { reply.cut() } else { reply });
            if tell.status != 304 && exchange.want.source != Source::Kept {
                self.expected = (tell.status, content.to_owned());
            }
        }
        if exchange.method == "GET" {
            self.kept = self.expected.clone();
        }
        replies
    }

    fn reply(&self, tell: &Tell, content: &str) -> Reply {
        let reply = Reply::status(tell.status);
        let silent = matches!(tell.status, 204 | 205 | 304);
        let reply = if silent && tell.content.is_none() { reply } else { reply.body(content) };
        let reply = self.pairs(tell.fields).iter().fold(reply, |reply, (name, value)| reply.field(name, value));
        match tell.how {
            How::Whole => reply,
            How::Trailer(name, value) => reply.trailer(name, value),
            How::Short(promised) => reply.claiming(promised),
            How::Nothing => Reply::nothing(),
            How::Raw(bytes) => Reply::raw(bytes),
        }
    }

    fn came_from(
        &self,
        exchange: &Exchange,
        number: usize,
        answer: &Answer,
        asked: &[Request],
        left: usize,
    ) -> Result<(), String> {
        let says = answer.all("cache-status").join(", ");
        let (asks, hit, reason) = match exchange.want.source {
            Source::Unsaid if number == 0 => (true, false, None),
            Source::Unsaid => return Err("the row doesn't say what has to come of it".into()),
            Source::Hit => (false, true, None),
            Source::Fwd("") => (true, false, None),
            Source::Fwd(reason) => (true, false, Some(reason)),
            Source::Ours => (false, false, None),
            Source::Kept => (true, false, Some("stale")),
        };
        if asked.is_empty() == asks || left > 0 && asks {
            return Err(format!("the origin was asked {} times, with {left} answers left: {says}", asked.len()));
        }
        if answer.cache_says("hit") != hit {
            return Err(format!("Cache-Status: {says}"));
        }
        // What is dead may have been swept away in the meantime.
        let dead = matches!(reason, Some("miss" | "stale")) && exchange.want.sent.is_empty();
        let swept = dead && answer.cache_says("fwd=uri-miss");
        let reason = reason.filter(|_| !swept).map(|reason| format!("fwd={reason}"));
        let said = exchange.want.says.iter().copied().chain(reason.as_deref());
        match said.into_iter().find(|parameter| !answer.cache_says(parameter)) {
            Some(parameter) => Err(format!("no {parameter} in Cache-Status: {says}")),
            None => Ok(()),
        }
    }

    fn was_sent(&self, want: &Want, request: &Request) -> Result<(), String> {
        const CONDITIONS: [&str; 6] =
            ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"];
        self.check(request, want.sent, want.unsent).map_err(|fault| format!("the origin got {fault}"))?;
        let named = |name: &&str| want.anyhow || want.sent.iter().any(|line| split(line).0.eq_ignore_ascii_case(name));
        match CONDITIONS.iter().find(|name| !named(name) && !request.all(name).is_empty()) {
            Some(name) => Err(format!("the origin got {name}: {:?}", request.all(name))),
            None => Ok(()),
        }
    }

    fn is_right(&self, exchange: &Exchange, answer: &Answer) -> Result<(), String> {
        let want = &exchange.want;
        let status = want.status.unwrap_or(self.expected.0);
        let empty = exchange.method == "HEAD" || matches!(status, 204 | 205 | 304);
        let content = want.content.unwrap_or(if empty { "" } else { &self.expected.1 });
        // An error of our own has a content of its own.
        let ours = want.content.is_none() && want.status.is_some() && status >= 400;
        if answer.status != status || !ours && answer.body != content.as_bytes() {
            return Err(format!("{status} {content:?} expected, {} {:?} came", answer.status, answer.text()));
        }
        if answer.complete == want.broken {
            return Err(format!("complete: {}", answer.complete));
        }
        let interim: Vec<u16> = answer.interim.iter().map(|(status, _)| *status).collect();
        if interim != want.interim {
            return Err(format!("interim answers {interim:?}"));
        }
        if let Some(expected) = want.age {
            let age = answer.get("age").and_then(|age| age.parse::<u64>().ok());
            if !age.is_some_and(|age| (expected..expected + 30).contains(&age)) {
                return Err(format!("Age: {age:?} instead of {expected}"));
            }
        }
        self.check(answer, want.has, want.lacks).map_err(|fault| format!("the client got {fault}"))
    }

    fn check(&self, fields: &Fields, has: Lines, lacks: Lines) -> Result<(), String> {
        let there = |line: &&&'static str| {
            let (name, wanted) = split(line);
            let lines = fields.all(name);
            let wanted = wanted.map(|value| self.filled(value));
            !lines.is_empty() && wanted.is_none_or(|wanted| fits(&lines.join(", "), &wanted))
        };
        if let Some(line) = has.iter().find(|line| !there(line)) {
            return Err(format!("no `{}` in {:?}", self.filled(line), fields.0));
        }
        lacks.iter().find(there).map_or(Ok(()), |line| Err(format!("`{line}` in {:?}", fields.0)))
    }

    fn pairs(&self, lines: Lines) -> Vec<(String, String)> {
        lines.iter().map(|line| split(line)).map(|(n, v)| (n.to_owned(), self.filled(v.unwrap_or_default()))).collect()
    }

    /// A value with its placeholders filled in.
    fn filled(&self, value: &str) -> String {
        let mut text = value
            .replace("{path}", &self.path)
            .replace("{host}", &self.stage.gateway.addr.to_string())
            .replace("{origin}", &self.stage.origin.url());
        while let Some(at) = text.find("{t") {
            let end = at + text[at..].find('}').unwrap();
            let seconds: i64 = text[at + 2..end].parse().unwrap_or(0);
            let by = Duration::from_secs(seconds.unsigned_abs());
            let time = if seconds < 0 { self.began - by } else { self.began + by };
            text.replace_range(at..=end, &httpdate::fmt_http_date(time));
        }
        text
    }
}

/// `Name: value`, or a name alone.
fn split(line: &'static str) -> (&'static str, Option<&'static str>) {
    line.split_once(':').map_or((line, None), |(name, value)| (name, Some(value.trim())))
}

fn fits(value: &str, wanted: &str) -> bool {
    wanted.strip_suffix('*').map_or(value == wanted, |begins| value.starts_with(begins))
}

/// Tables with one wrong row each: every part of a row can make it fail.
#[tokio::test]
async fn a_row_that_does_not_hold_is_found() {
    let stored = || row("", "").ok(&[MINUTE, A, "X-A: 1"]);
    let right = [
        stored().again(0).hit().has(&["x-a: 1", "age", "etag: *"]).lacks(&["x-b", "x-a: 2"]).age(0),
        stored().again(90).confirms(&[A]).fwd("stale").sent(&["if-none-match: \"a\""]).says(&["fwd-status=304"]),
    ];
    assert_eq!(failures(&right).await, [""; 0]);
    let wrong = [
        stored().again(0),
        stored().again(0).fwd("stale"),
        stored().again(90).hit(),
        stored().again(90).confirms(&[A]).fwd("stale"),
        stored().again(90).confirms(&[A]).fwd("uri-miss").sent(&["if-none-match: \"a\""]),
        stored().again(90).confirms(&[A]).fwd("stale").sent(&["if-none-match: \"b\""]),
        stored().again(90).fwd("stale").sent(&["if-none-match: \"a\""]).gets("one"),
        stored().again(90).ok(&[]).ok(&[]).fwd("stale").sent(&["if-none-match: *"]),
        stored().again(0).hit().says(&["detail=stale"]),
        stored().again(0).hit().status(304),
        stored().again(0).hit().gets("two"),
        stored().again(0).hit().has(&["x-a: 2"]),
        stored().again(0).hit().lacks(&["X-A"]),
        stored().again(0).hit().age(50),
        stored().again(0).hit().interim(&[103]),
        stored().again(0).hit().broken(),
        stored().unsent(&["host"]).again(0).hit(),
        stored().again(90).kept(),
    ];
    assert_eq!(failures(&wrong).await.len(), wrong.len());
}
