//! What strangers send neither forges a line of the log nor leaves a secret anywhere: in the log at any level and in any format,
//! in the metrics, in what the admin port shows, in error bodies. The program itself runs, since its own lines (and its libraries') count.

#![cfg(test)]

mod support;

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use support::{Answer, Client, H2, Origin, Reply};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

/// Whatever has this word in it is a secret.
const HUSH: &str = "hush";
const ADMIN: &str = "hush-of-the-administrator";
const KEY: &str = "hush-key-of-alice";
const ISSUER: &str = "hush-of-the-issuer-which-is-long-enough";

fn hex(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a token, for which the same holds: it has the word in none of its parts.
fn token(secret: &str) -> String {
    let claims = serde_json::json!({ "sub": "alice", "iss": "i", "aud": "a", "exp": 4_000_000_000_u64 });
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256), &claims, &key).unwrap()
}

/// A gateway as a process of its own. It is killed when this is dropped.
struct Process {
    child: Child,
    data: SocketAddr,
    admin: SocketAddr,
    output: std::thread::JoinHandle<Vec<String>>,
    _config: NamedTempFile,
    /// Where traces go; it takes what it is sent and says nothing.
    _collector: TcpListener,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

impl Process {
    fn start(format: &str, origin: &Origin) -> Process {
        let api = |name: &str, upstream: &str, more: &str| {
            let basics =
                format!("name = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{upstream}\"]");
            format!("[[api]]\n{basics}\nttl = \"10m\"\n{more}\n")
        };
        let keys = format!("keys = [{{ user = \"alice\", sha256 = \"{}\" }}]", hex(KEY));
        let jwt = "kind = \"jwt\", algorithms = [\"HS256\"], secret_env = \"ISSUER\", issuer = \"i\", audience = \"a\"";
        let apis = [
            api("open", &origin.url(), ""),
            api("field", &origin.url(), &format!("auth = {{ kind = \"api-key\", header = \"x-api-key\", {keys} }}")),
            api("query", &origin.url(), &format!("auth = {{ kind = \"api-key\", query = \"pass\", {keys} }}")),
            api("jwt", &origin.url(), &format!("auth = {{ {jwt} }}")),
            api("dead", "http://127.0.0.1:1", ""),
        ];
        let config = NamedTempFile::new().unwrap();
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let traces = format!(
            "[telemetry]\notlp = \"http://{}\"\nheaders = [{{ name = \"authorization\", value = \"hush-to-the-collector\" }}]\n",
            collector.local_addr().unwrap()
        );
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\npurge_method = true\n[server.limits]\nrequest_body = \"1KiB\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[[admin.tokens]]\nname = \"ops\"\nrole = \"administrator\"\n\
             token_env = \"ADMIN\"\n[log]\nformat = \"{format}\"\nlevel = \"trace\"\n{traces}{}",
            apis.concat()
        );
        std::fs::write(config.path(), text).unwrap();
        let mut child = Command::cargo_bin("freshgate")
            .unwrap()
            .args(["run", "--config", config.path().to_str().unwrap()])
            .env_remove("FRESHGATE_CONFIG")
            .envs([("ADMIN", ADMIN), ("ISSUER", ISSUER)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut begun = Vec::new();
        let ready = loop {
            let line = lines.next().expect("a ready line");
            begun.push(line.clone());
            if line.contains("ready") && line.contains("probe") {
                break line;
            }
        };
        let address = |name: &str| {
            let after = ready.split_once(&format!("{name}\":\"")).or_else(|| ready.split_once(&format!("{name}=\"")));
            after.unwrap().1.split('"').next().unwrap().parse().unwrap()
        };
        let (data, admin) = (address("data"), address("admin"));
        // Somebody has to read what it goes on to say.
        let output = std::thread::spawn(move || begun.into_iter().chain(lines).collect());
        Process { child, data, admin, output, _config: config, _collector: collector }
    }

    async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        Client::connect(self.data).await.host("a.example").request(method, target, fields, body).await
    }

    /// Ends it; all that it has said, to standard output and to standard error.
    async fn said(mut self) -> (Vec<String>, String) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        spawn_blocking(move || {
            assert_eq!(self.child.wait().unwrap().code(), Some(0));
            let mut errors = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            let output = std::mem::replace(&mut self.output, std::thread::spawn(Vec::new));
            (output.join().unwrap(), errors)
        })
        .await
        .unwrap()
    }
}

/// Requests with a secret wherever one may be; `/n/…` in each path tells its line.
async fn with_secrets(process: &Process) -> Vec<Answer> {
    let (good, bad) = (token(ISSUER), token("hush-of-another-issuer-that-is-long-too"));
    let bearer = |token: &str| format!("Bearer {token}");
    let basic = "Basic aHVzaDpodXNo";
    let mut answers = Vec::new();
    let fields: &[(&str, &str)] = &[
        ("authorization", "hush-1"),
        ("authorization", basic),
        ("authorization", &bearer(&good)),
        ("proxy-authorization", "Basic hush"),
        ("cookie", "session=hush; other=\"hush\""),
        ("x-api-key", "hush-wrong"),
        ("x-auth-token", "hush"),
        ("x-session-id", "hush"),
        ("freshgate-token", "hush"),
        ("referer", "https://hush:hush@elsewhere.example/a?token=hush&access_token=hush;api_key=hush&code=hush#hush"),
        ("referer", "//hush@elsewhere.example?KEY=hush"),
        ("x-forwarded-for", "hush"),
        ("if-none-match", "\"hush\""),
        ("x-whatever", "hush"),
    ];
    for api in ["open", "field", "query", "jwt", "dead"] {
        for (n, field) in fields.iter().enumerate() {
            answers.push(process.ask("GET", &format!("/{api}/n/{n}"), &[*field], "").await);
        }
        let queries = [
            "token=hush",
            "access_token=hush",
            "api_key=hush",
            "key=hush",
            "code=hush",
            "TOKEN=hush&a=1",
            "a=1;token=hush",
            "%74oken=hush",
            "api%5Fkey=hush%20hush",
            "+token=hush",
            "a&token=hush=hush",
            "pass=hush",
            "p%61ss=hush",
        ];
        for (n, query) in queries.iter().enumerate() {
            answers.push(process.ask("GET", &format!("/{api}/n/q{n}?{query}"), &[], "").await);
        }
        for (n, method) in ["PUT", "POST", "PATCH", "DELETE", "QUERY", "PURGE"].iter().enumerate() {
            let body = format!("{{\"password\":\"hush-{n}\"}}");
            let fields = [("content-length", "21"), ("freshgate-token", "hush")];
            answers.push(process.ask(method, &format!("/{api}/n/w{n}"), &fields, &body).await);
        }
    }
    answers.push(process.ask("GET", "/field/n/right", &[("x-api-key", KEY)], "").await);
    answers.push(process.ask("GET", &format!("/query/n/right?pass={KEY}"), &[], "").await);
    for (n, token) in [&good, &bad, &good[..good.len() - 3], "hush.hush.hush"].iter().enumerate() {
        answers.push(process.ask("GET", &format!("/jwt/n/t{n}"), &[("authorization", &bearer(token))], "").await);
    }
    let large = "hush".repeat(1000);
    answers.push(process.ask("PUT", "/open/n/large", &[], &large).await);
    answers
}

/// What the parser refuses: its faults mustn't quote it.
async fn malformed(process: &Process) -> Vec<String> {
    let mut said = Vec::new();
    for text in [
        "GET http://hush:hush@a.example/open/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: hush@a.example\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: a.example\r\nAuthorization : hush\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: a.example\r\nAuthorization: hu\x01sh hush\r\n\r\n",
        "GET /open/x HTTP/1.1\r\nHost: a.example\r\nAuthorization: hush\r\n hush\r\n\r\n",
        "GET /open/x?token=hush hush HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET /open/x?token=hush HTTP/7.7\r\nHost: a.example\r\n\r\n",
        "GET /open/\x1b[31mx?token=hush HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "PUT /open/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nhush\r\n",
        "PUT /open/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: hush\r\n\r\n",
        "GET /open/<script>hush</script> HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET /open/x?\"hush\" HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "hush\r\n\r\n",
    ] {
        let mut client = Client::connect(process.data).await;
        client.send_raw(text).await;
        client.finish().await;
        said.push(String::from_utf8_lossy(&client.closed().await).into_owned());
    }
    said
}

/// Texts that would end a line, drive a terminal, or fill a disk.
async fn forged(process: &Process) -> usize {
    let long = "x".repeat(40_000);
    let long_path = format!("/open/n/{}", "y".repeat(20_000));
    let requests: &[(&str, &str, &[u8])] = &[
        ("GET", "/open/n/a%0a%0d%1b[31m%00", b"curl\t\"quoted\" \\ \xff\xc2\x9b[31m {\"level\":\"ERROR\"}"),
        ("GET", "/open/n/b?a=%0a%22}&{'level':'ERROR'}", b"\\\" \\n \\x0a"),
        ("G|T", "/open/n/c'\"},{\"level\":\"ERROR\"}", b"- - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 -"),
        ("GET", "/open/n/d", long.as_bytes()),
        ("GET", &long_path, b"x"),
    ];
    for (method, target, agent) in requests {
        for field in ["User-Agent", "Referer", "X-Anything"] {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{field}: ");
            let mut client = Client::connect(process.data).await;
            client.send_raw([head.as_bytes(), agent, b"\r\n\r\n"].concat()).await;
            assert_ne!(client.answer().await.status, 0);
        }
    }
    requests.len() * 3
}

async fn over_h2(process: &Process) -> Vec<Answer> {
    let mut client = H2::connect(process.data).await;
    let mut answers = Vec::new();
    for (n, field) in
        [("authorization", "hush"), ("cookie", "a=hush"), ("x-api-key", "hush"), ("x", "hush")].iter().enumerate()
    {
        let target = format!("/open/n/h{n}?token=hush&api_key=hush");
        answers.push(client.ask("GET", &target, &[*field], "").await.unwrap());
        answers.push(client.ask("PUT", &target, &[*field], "hush hush").await.unwrap());
    }
    answers
}

/// What the admin port shows to whom it may, and what it tells the others.
async fn of_admin(process: &Process) -> Vec<Answer> {
    let mut answers = Vec::new();
    for secret in [ADMIN, "hush-wrong"] {
        for target in ["/metrics", "/v1/config", "/v1/apis", "/v1/apis/open/v1?token=hush", "/hush-nothing?token=hush"]
        {
            let bearer = format!("Bearer {secret}");
            let mut client = Client::connect(process.admin).await;
            answers.push(client.get_with(target, &[("authorization", &bearer), ("cookie", "hush")]).await);
        }
    }
    answers
}

#[track_caller]
fn has_no_secret(what: &str, text: &str) {
    let (good, digests) = (token(ISSUER), [hex(ADMIN), hex(KEY)]);
    let parts = good.split('.').skip(1).map(str::to_owned);
    for secret in parts.chain(digests).chain([HUSH.to_owned(), "aHVza".to_owned()]) {
        assert!(!text.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()), "{secret} in {what}: {text}");
    }
}

fn is_access_line(format: &str, line: &str) -> bool {
    match format {
        "json" => {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value.is_object(), "{line}");
            value.get("level").is_none()
        }
        "combined" => line.starts_with("127.0.0.1 - "),
        _ => line.contains("a.example/") || line.contains(" 127.0.0.1:"),
    }
}

async fn leaves_no_secret(format: &str) {
    let origin = Origin::start(|request| async move {
        let reply = Reply::ok("fine").field("set-cookie", "id=hush").field("x-origin", "hush");
        if request.target.ends_with('0') { reply.field("surrogate-key", "hush") } else { reply }
    })
    .await;
    let process = Process::start(format, &origin);
    let mut answers = with_secrets(&process).await;
    let malformed = malformed(&process).await;
    let forged = forged(&process).await;
    answers.extend(over_h2(&process).await);
    let of_gateway = answers.len() + forged;
    answers.extend(of_admin(&process).await);
    let (lines, errors) = process.said().await;

    for answer in &answers {
        has_no_secret("a body", answer.text());
    }
    malformed.iter().for_each(|said| has_no_secret("what a malformed request is told", said));
    has_no_secret("standard error", &errors);
    assert_eq!(errors, "", "a panic, or a library that speaks for itself");
    let mut numbered = 0;
    for line in &lines {
        has_no_secret("the log", line);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.len() < 12_000, "{} bytes: {}", line.len(), &line[..200]);
        numbered += usize::from(is_access_line(format, line) && line.contains("/n/"));
    }
    assert_eq!(numbered, of_gateway, "one line for each request");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json() {
    leaves_no_secret("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn combined() {
    leaves_no_secret("combined").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pretty() {
    leaves_no_secret("pretty").await;
}
