//! `freshgate purge` against an admin port.

use crate::support::{Port, port};
use clap::Parser;
use freshgate::cli::{explain, purge};
use freshgate::gateway::{AskedFields, GivenCaller};
use freshgate::purge::{Selector, Target};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: purge::Args,
}

fn parsed(args: &[&str]) -> Result<purge::Args, clap::Error> {
    Command::try_parse_from(["purge"].iter().chain(args)).map(|command| command.args)
}

async fn run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = purge::run(&parsed(args).unwrap(), &mut out, &mut err).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

async fn purge(port: &Port, who: &str, args: &[&str]) -> (u8, String, String) {
    let (admin, token) = (format!("http://{}", port.address), format!("{who}-secret"));
    run(&[&["--admin", &admin, "--token", &token], args].concat()).await
}

#[tokio::test]
async fn each_selector_reaches_the_gateway_and_its_answer_is_one_line() {
    let port = port().await;
    let path = Target::Path { host: None, path: "/books/7".into() };
    let below = Target::Prefix { host: Some("a.example".into()), path: "/books".into() };
    let tag = || Target::Tag("x".into());
    let hard = |target| Selector { target, api: None, soft: false, dry_run: false };
    for (args, line, selector) in [
        (&["--path", "/books/7"][..], "invalidated 12 answers, epoch 1\n", hard(path)),
        (&["--prefix", "/books", "--host", "a.example"], "invalidated (not counted), epoch 2\n", hard(below)),
        (&["--tag", "x", "--soft"], "marked stale (not counted), epoch 3\n", Selector { soft: true, ..hard(tag()) }),
        (&["--tag", "x", "--dry-run"], "would invalidate 1 answer\n", Selector { dry_run: true, ..hard(tag()) }),
        (&["--user", "alice"], "invalidated (not counted), epoch 5\n", hard(Target::User("alice".into()))),
        (&["--api", "bookstore/v1"], "invalidated (not counted), epoch 6\n", hard(Target::Api("bookstore/v1".into()))),
        (
            &["--api", "bookstore/v1", "--tag", "x"],
            "invalidated (not counted), epoch 7\n",
            Selector { api: Some("bookstore/v1".into()), ..hard(tag()) },
        ),
        (&["--all"], "invalidated (not counted), epoch 8\n", hard(Target::All)),
    ] {
        assert_eq!(purge(&port, "administrator", args).await, (0, line.into(), String::new()), "{args:?}");
        assert_eq!(port.double.purges.lock().unwrap().last(), Some(&selector), "{args:?}");
    }
}

#[tokio::test]
async fn when_the_gateway_says_no_its_reason_is_shown() {
    let port = port().await;
    for (who, args, reason) in [
        ("operator", &["--all"][..], "needs the role administrator"),
        ("nobody", &["--tag", "x"], "the token is not one of this gateway's"),
        ("operator", &["--path", "/nowhere"], "no API answers on `/nowhere`"),
        ("operator", &["--path", "books"], "`path` must begin with /"),
        ("operator", &["--api", "nobody/v1"], "there is no API `nobody/v1`"),
    ] {
        let (code, out, err) = purge(&port, who, args).await;
        assert_eq!((code, &*out), (1, ""), "{args:?}");
        assert!(err.starts_with("freshgate purge: ") && err.contains(reason), "{err}");
        assert!(!err.contains("-secret"), "{err}");
    }
}

#[test]
fn wrong_usage_is_told_before_anybody_is_asked() {
    for args in [
        &[][..],
        &["--soft"],
        &["--path", "/a", "--tag", "b"],
        &["--all", "--user", "a"],
        &["--all", "--api", "a/v1"],
        &["--tag", "a", "--host", "b"],
        &["--path"],
        &["--nothing"],
    ] {
        assert!(parsed(args).is_err_and(|error| error.exit_code() == 2), "{args:?}");
    }
    assert!(parsed(&["--path", "/a", "--api", "a/v1", "--host", "b", "--soft", "--dry-run"]).is_ok());
}

#[tokio::test]
async fn a_token_and_an_http_url_are_needed() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    for (args, reason) in [
        (&["--admin", "ftp://127.0.0.1:1", "--token", "x"][..], "http:// or https://"),
        (&["--admin", "https://127.0.0.1:1", "--token", "x", "--cacert", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        (&["--admin", "127.0.0.1:1", "--token", "x"], "http://"),
        (&["--admin", "not a url", "--token", "x"], "not a URL"),
        (&["--admin", "http://u:p@127.0.0.1:1", "--token", "x"], "not in the URL"),
        (&["--admin", "http://127.0.0.1:1", "--token", ""], "the token is empty"),
        (&["--admin", "http://127.0.0.1:1", "--token", "a\nb"], "the token can't be sent"),
        (&["--admin", "http://127.0.0.1:1", "--token-file", "/nowhere/token"], "/nowhere/token"),
        (&["--admin", &closed, "--token", "x"], "no answer from 127.0.0.1"),
    ] {
        let (code, out, err) = run(&[args, &["--tag", "x"]].concat()).await;
        assert_eq!((code, &*out), (2, ""), "{args:?}");
        assert!(err.contains(reason), "{err}");
    }
}

#[tokio::test]
async fn a_token_file_wins_and_its_line_end_is_not_part_of_it() {
    let port = port().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "operator-secret").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let (code, _, err) = purge(&port, "nobody", &["--token-file", &path, "--tag", "x"]).await;
    assert_eq!((code, &*err), (0, ""));
}

/// Answers one request with `answer`, whatever it is.
async fn stranger(answer: &'static str) -> (u8, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    let args = ["--admin", &admin, "--token", "x", "--tag", "x"];
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            socket.read_buf(&mut request).await.unwrap();
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
    };
    tokio::join!(run(&args), serve).0
}

#[tokio::test]
async fn a_stranger_is_not_taken_for_a_gateway() {
    let (code, _, err) = stranger("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(code == 2 && err.contains("not the admin port of a Freshgate"), "{err}");
    let (code, _, err) = stranger("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    assert!(code == 1 && err.contains("502 Bad Gateway"), "{err}");
    let (code, _, err) = stranger("HTTP/1.1 403 No\r\nContent-Length: 21\r\n\r\n{\"detail\":\"a\\u001bb\"} ").await;
    assert!(code == 1 && err.contains("a?b"), "{err}");
    let (code, _, err) = stranger("").await;
    assert!(code == 2 && err.contains("no answer from"), "{err}");
}

#[derive(Parser)]
struct Explain {
    #[command(flatten)]
    args: explain::Args,
}

async fn explained(port: &Port, who: &str, args: &[&str]) -> (u8, String, String) {
    let (admin, token) = (format!("http://{}", port.address), format!("{who}-secret"));
    let all = [&["explain", "--admin", &admin, "--token", &token], args].concat();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = explain::run(&Explain::try_parse_from(all).unwrap().args, &mut out, &mut err).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn an_explanation_is_printed_for_a_terminal() {
    let port = port().await;
    let args = ["GET", "/books/7?a=1", "-H", "Accept: a/b", "-H", "X-A:b:c", "--user", "alice", "--right", "read"];
    let (code, out, err) = explained(&port, "viewer", &args).await;
    assert_eq!((code, &*err), (0, ""));
    let page = "GET h/books/7?a=1\nmiss: the origin is asked [RFC 9111 §4]\nCache-Status: freshgate; fwd=uri-miss\n\n\
                api     bookstore/v1\ncaller  nobody by name, partition shared: nobody is asked\n  \
                store     nothing? is stored [RFC 9111 §4]\n\nwhat would change it\n  - set ttl\n";
    assert_eq!(out, page);
    let asked = port.double.explained.lock().unwrap().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.url.as_str()), ("GET", "/books/7?a=1"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(asked.headers, AskedFields::List(vec![pair("Accept", "a/b"), pair("X-A", "b:c")]));
    let caller = GivenCaller { user: "alice".into(), rights: Some(vec!["read".into()]), claims: None };
    assert_eq!(asked.caller, Some(caller));
    let (code, out, _) = explained(&port, "viewer", &["GET", "/", "--json"]).await;
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["verdict"]["decision"]), (0, &"miss".into()));
}

#[tokio::test]
async fn an_explanation_that_cannot_be_had_is_told_by_exit_code() {
    let port = port().await;
    let (code, out, err) = explained(&port, "viewer", &["GET", "/nowhere"]).await;
    assert_eq!((code, &*out, &*err), (1, "", "freshgate explain: `url`: nobody\n"));
    let (code, _, err) = explained(&port, "nobody", &["GET", "/"]).await;
    assert!(code == 1 && err.contains("not one of this gateway's"), "{err}");
    let (code, _, err) = explained(&port, "viewer", &["GET", "/", "-H", "s3cret"]).await;
    assert!(code == 2 && err.contains("Name: value") && !err.contains("s3cret"), "{err}");
    for args in [&["explain"][..], &["explain", "GET"], &["explain", "GET", "/", "--right", "a"]] {
        assert!(Explain::try_parse_from(args).is_err_and(|error| error.exit_code() == 2), "{args:?}");
    }
}
