//! Cache poisoning and deception: a hostile request comes first, then an innocent one for what is stored.

use super::origin::{Recorder, plain};
use super::row::Said;
use super::strict::Whole;
use super::support::{Client, Gateway};
use super::world::{World, exchange};

/// What must come of two requests.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// The second gets what it would have got alone.
    Clean,
    /// And it gets it from the store, where the first one's answer lies.
    Shared,
}

/// One story.
pub struct Story {
    pub name: &'static str,
    pub cites: &'static str,
    /// More of the API's table.
    pub api: &'static str,
    pub hostile: Said,
    pub innocent: Said,
    pub then: Then,
}

fn clean(name: &'static str, cites: &'static str, hostile: Said, innocent: Said) -> Story {
    Story { name, cites, api: "", hostile, innocent, then: Then::Clean }
}

impl Story {
    fn with(mut self, api: &'static str) -> Story {
        self.api = api;
        self
    }

    fn shared(mut self) -> Story {
        self.then = Then::Shared;
        self
    }
}

const UTM: &str = "key = { query = { ignore = [\"utm_*\"] } }";
const PAGE: &str = "key = { query = { only = [\"page\"] } }";

pub fn rows() -> Vec<Story> {
    let mut rows = unkeyed();
    rows.extend(errors());
    rows.extend(queries());
    rows.extend(deception());
    rows.extend(together());
    rows
}

fn unkeyed() -> Vec<Story> {
    let field = |name, field: &str| {
        clean(name, "Practical Web Cache Poisoning", Said::get("/echo").with(field, "evil"), Said::get("/echo"))
    };
    let fat = |name, said: Said| clean(name, "fat GET (Web Cache Entanglement)", said, Said::get("/echo"));
    vec![
        field("X-Forwarded-Host", "X-Forwarded-Host"),
        field("X-Forwarded-Scheme", "X-Forwarded-Scheme"),
        field("X-Forwarded-Prefix", "X-Forwarded-Prefix"),
        field("X-Original-URL", "X-Original-URL"),
        field("X_Original_URL", "X_Original_URL"),
        field("X-Rewrite-URL", "X-Rewrite-URL"),
        field("X-HTTP-Method-Override", "X-HTTP-Method-Override"),
        field("Forwarded", "Forwarded"),
        field("X-Host", "X-Host"),
        field("a credential", "X-User-Id"),
        field("a credential with an underscore", "X_User_Id"),
        field("Authorization", "Authorization"),
        field("Cookie", "Cookie"),
        fat("a GET with a body", Said::get("/echo").body("evil=1")),
        fat(
            "a GET with a chunked body",
            Said::get("/echo").with("Transfer-Encoding", "chunked").with("X-Ends", "here"),
        ),
        fat("a HEAD with a body", Said::get("/echo").method("HEAD").body("evil=1")),
        clean(
            "a field that Vary names",
            "RFC 9111 §4.1",
            Said::get("/vary").with("X-Lang", "evil"),
            Said::get("/vary"),
        ),
        clean(
            "a field that Vary names, taken by Connection",
            "hop-by-hop abuse",
            Said::get("/vary").with("Connection", "X-Lang").with("X-Lang", "evil"),
            Said::get("/vary").with("X-Lang", "evil"),
        ),
        clean(
            "a field of the key",
            "[api.key] headers",
            Said::get("/echo").with("X-Keyed", "evil"),
            Said::get("/echo"),
        )
        .with("key = { headers = [\"X-Keyed\"] }"),
        clean(
            "a field of the key that Connection names",
            "hop-by-hop abuse",
            Said::get("/echo").with("Connection", "X-Keyed").with("X-Keyed", "mine"),
            Said::get("/echo").with("X-Keyed", "mine"),
        )
        .with("key = { headers = [\"X-Keyed\"] }"),
        clean("a Range", "Gotta cache 'em all", Said::get("/echo").with("Range", "bytes=0-0"), Said::get("/echo")),
        clean("another port in Host", "host poisoning", Said::get("/echo").host("a:1337"), Said::get("/echo")),
        clean("another Host", "host poisoning", Said::get("/echo").host("b"), Said::get("/echo")),
        clean("a dot behind Host", "host poisoning", Said::get("/echo").host("a."), Said::get("/echo")),
        clean("a Host in capitals", "host poisoning", Said::get("/echo").host("A"), Said::get("/echo")),
        clean("another method", "RFC 9111 §2", Said::get("/echo").method("POST").body("evil"), Said::get("/echo")),
        clean("a method in small letters", "RFC 9110 §9.1", Said::get("/echo").method("get"), Said::get("/echo")),
        clean("an invented method", "RFC 9110 §9.1", Said::get("/echo").method("EVIL"), Said::get("/echo")),
    ]
}

/// CPDoS: what a request provokes isn't what its URL has.
fn errors() -> Vec<Story> {
    let fails = |name, status: &str| {
        clean(name, "CPDoS", Said::get("/provoked").with("X-Provoke", status), Said::get("/provoked"))
    };
    vec![
        fails("a provoked 400", "400"),
        fails("a provoked 405", "405"),
        fails("a provoked 413", "413"),
        fails("a provoked 414", "414"),
        fails("a provoked 416", "416"),
        fails("a provoked 421", "421"),
        fails("a provoked 429", "429"),
        fails("a provoked 431", "431"),
        fails("a provoked 500", "500"),
        fails("a provoked 501", "501"),
        fails("a provoked 502", "502"),
        fails("a provoked 503", "503"),
    ]
}

fn queries() -> Vec<Story> {
    let cloak = "parameter cloaking (Web Cache Entanglement)";
    let get = Said::get;
    vec![
        clean("a cloaked parameter", cloak, get("/echo?page=1&utm_content=x;page=evil"), get("/echo?page=1")).with(UTM),
        clean("an ignored parameter", cloak, get("/echo?page=1&utm_content=evil"), get("/echo?page=1"))
            .with(UTM)
            .shared(),
        clean("an ignored parameter, escaped", cloak, get("/echo?page=1&%75tm_content=evil"), get("/echo?page=1"))
            .with(UTM)
            .shared(),
        clean("a parameter twice", cloak, get("/echo?page=1&page=evil"), get("/echo?page=1")).with(PAGE),
        clean("a parameter twice, once escaped", cloak, get("/echo?page=1&pag%65=evil"), get("/echo?page=1"))
            .with(PAGE),
        clean("parameters of one name in another order", cloak, get("/echo?a=evil&%61=1"), get("/echo?%61=1&a=evil")),
        clean("a parameter with a semicolon", cloak, get("/echo?page=1;x=evil"), get("/echo?page=1")).with(PAGE),
        clean("a parameter behind an escaped &", cloak, get("/echo?page=1%26x=evil"), get("/echo?page=1")).with(PAGE),
        clean("a parameter behind an escaped ?", cloak, get("/echo%3fpage=evil"), get("/echo?page=evil")),
        clean("a name in another case", cloak, get("/echo?PAGE=evil&page=1"), get("/echo?page=1")),
        clean("brackets", cloak, get("/echo?page=1&page[]=evil"), get("/echo?page=1")),
        clean("an empty query in exact form", "RFC 3986 §6.2.3", get("/echo?"), get("/echo"))
            .with("key = { query = \"exact\" }"),
    ]
}

/// What a victim was led to isn't everybody's because of its name.
fn deception() -> Vec<Story> {
    let victim = |name, target: &str| {
        let led = Said::get(target).with("Cookie", "session=victim");
        clean(name, "Web Cache Deception (2017)", led, Said::get(target))
    };
    let bearer = |name, target: &str| {
        let led = Said::get(target).with("Authorization", "Bearer victim");
        clean(name, "Web Cache Deception (2017)", led, Said::get(target))
    };
    vec![
        victim("an ending", "/me/x.css"),
        victim("an ending behind a semicolon", "/me;x.css"),
        victim("an ending behind an escaped slash", "/me%2Fx.css"),
        victim("an ending behind an escaped question mark", "/me%3Fx.css"),
        victim("an ending behind an escaped hash", "/me%23x.css"),
        victim("a static folder", "/static/me"),
        victim("robots.txt", "/robots.txt"),
        bearer("an ending, with a token", "/me/x.js"),
        bearer("an image, with a token", "/me.png"),
        bearer("a well-known name, with a token", "/favicon.ico"),
        victim("an answer without a word of caching", "/silent/me.css").with("ttl = \"10m\""),
        bearer("an answer without a word of caching, with a token", "/silent/me.css").with("ttl = \"10m\""),
    ]
}

/// Spellings of one thing share one answer, and it is the one that the canonical spelling gets.
fn together() -> Vec<Story> {
    let same = |name, hostile: Said| clean(name, "RFC 3986 §6.2.2", hostile, Said::get("/echo")).shared();
    vec![
        same("slashes", Said::get("//echo")),
        same("dots", Said::get("/x/../echo")),
        same("escaped dots", Said::get("/x/%2e%2e/echo")),
        same("escaped letters", Said::get("/%65cho")),
        same("an empty query", Said::get("/echo?")),
        same("Host in capitals", Said::get("/echo").host("A")),
        same("a dot behind the name", Said::get("/echo").host("a.")),
    ]
}

/// Tells all that it was asked, and says that everybody may have that.
fn answer(request: &Whole) -> String {
    let path = request.target.split('?').next().unwrap();
    let provoked = request.all("x-provoke");
    if let [status] = &provoked[..] {
        return format!("HTTP/1.1 {status} Provoked\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil");
    }
    let mut fields = request.fields.clone();
    fields.retain(|(name, _)| !["via", "range", "content-length"].contains(&name.as_str()));
    fields.sort();
    let body = String::from_utf8_lossy(&request.body);
    let told: Vec<String> = fields.iter().map(|(n, v)| format!("{n}={}", String::from_utf8_lossy(v))).collect();
    let content = format!("{} | {} | {body}", request.target, told.join(" | "));
    let control = match path {
        "/vary" => "Vary: X-Lang\r\nCache-Control: max-age=600\r\n",
        _ if path.starts_with("/silent/") => "Content-Type: text/css\r\n",
        _ => "Cache-Control: max-age=600\r\n",
    };
    let whole = plain(control, &content);
    if request.method == "HEAD" { whole[..whole.len() - content.len()].to_owned() } else { whole }
}

async fn ask(gateway: &Gateway, said: &Said) -> (String, bool) {
    let mut bytes = said.to_http1();
    if said.fields.iter().any(|(name, value)| name == "Transfer-Encoding" && value == "chunked") {
        bytes.extend(b"4\r\nevil\r\n0\r\n\r\n");
    }
    let text = String::from_utf8(bytes).unwrap().replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let answers = exchange(gateway.addr, text.as_bytes(), usize::MAX, usize::MAX).await;
    let (head, body) = answers.text.split_once("\r\n\r\n").unwrap();
    (format!("{} {body}", head.lines().next().unwrap()), head.to_ascii_lowercase().contains("freshgate; hit"))
}

#[tokio::test]
async fn nobody_gets_what_another_has_provoked() {
    let (mut wrong, mut all) = (Vec::new(), 0);
    for story in rows() {
        all += 1;
        let [alone, poisoned] = [
            World::before(Recorder::answering(answer).await, story.api).await,
            World::before(Recorder::answering(answer).await, story.api).await,
        ];
        let (expected, _) = ask(&alone.gateway, &story.innocent).await;
        ask(&poisoned.gateway, &story.hostile).await;
        poisoned.gateway.settled().await;
        let (got, hit) = ask(&poisoned.gateway, &story.innocent).await;
        // The origins' addresses differ.
        let (expected, got) = (
            expected.replace(&alone.origin.addr.to_string(), "origin"),
            got.replace(&poisoned.origin.addr.to_string(), "origin"),
        );
        if got != expected || matches!(story.then, Then::Shared) && !hit {
            wrong.push(format!("{} ({}): hit {hit}, {got:?}, not {expected:?}", story.name, story.cites));
        }
        wrong.extend(poisoned.origin.faults());
    }
    println!("poisoning: {all} stories");
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn answers_of_another_type_are_not_kept() {
    let types = |request: &Whole| {
        let wanted = request.target.split_once('=').map_or("", |(_, wanted)| wanted);
        let line = if wanted.is_empty() { String::new() } else { format!("Content-Type: {wanted}\r\n") };
        plain(&format!("{line}Cache-Control: max-age=600\r\n"), "x")
    };
    let world =
        World::before(Recorder::answering(types).await, "content_types = [\"application/json\", \"Image/*\"]").await;
    let mut client = Client::connect(world.gateway.addr).await.host("a");
    for (wanted, kept) in [
        ("application/json", true),
        ("Application/JSON;charset=utf-8", true),
        ("image/png", true),
        ("image/", false),
        ("imagex/png", false),
        ("text/html", false),
        ("application/json+x", false),
        ("text/html,application/json", false),
        ("", false),
    ] {
        for again in [false, true] {
            let answer = client.get(&format!("/x?type={wanted}")).await;
            world.gateway.settled().await;
            assert_eq!(answer.cache_says("hit"), again && kept, "{wanted}: {:?}", answer.fields);
            assert!(kept || answer.cache_says("detail=content-type"), "{wanted}: {:?}", answer.fields);
        }
    }
}
