//! `freshgate top`: what it prints of a real gateway, and how it looks.

use crate::history::begin;
use crate::support::{Gateway, Origin, Reply, TOKEN};
use clap::Parser;
use freshgate::cli::top::{self, Api, Figures, Health, Hour, Quantiles, State, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: top::Args,
}

async fn once(admin: &str, token: &str) -> (u8, String, String) {
    let args = Command::try_parse_from(["top", "--once", "--admin", admin, "--token", token]).unwrap().args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = top::run(&args, &mut out, &mut err).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Two APIs, one of them used: three of four requests are hits.
async fn gateway() -> (Gateway, Origin) {
    let origin = Origin::always(Reply::ok("x".repeat(5_000))).await;
    let url = origin.url();
    let api = |name: &str| {
        format!(
            "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{url}\"]\nttl = \"1h\"\n"
        )
    };
    let gateway = Gateway::with("", &(api("quiet") + &api("shop"))).await;
    for n in 0..8 {
        gateway.client().await.get(&format!("/shop/{}", n % 2)).await;
        gateway.settled().await;
    }
    (gateway, origin)
}

/// The words of the line that begins with `first`.
#[track_caller]
fn line<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(first)).unwrap_or_else(|| panic!("no {first} in\n{text}"));
    line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[tokio::test]
async fn once_prints_every_apis_figures() {
    let (gateway, _origin) = gateway().await;
    begin(&gateway);
    gateway.client().await.get("/shop/0").await;
    gateway.step(5);
    gateway.running.sample();
    let (code, text, err) = once(&format!("http://{}", gateway.admin), TOKEN).await;
    assert_eq!((code, &*err), (0, ""));
    let api = gateway.admin("GET", "/v1/apis/shop/v1", "").await.json();
    let shop = line(&text, "shop/v1");
    assert_eq!(
        line(&text, "API"),
        ["API", "req/s", "hit %", "hit p99", "origin p99", "saved", "entries", "bytes", "health"]
    );
    assert_eq!(shop[0..3], ["shop/v1", "0.2", "77.8"], "one in five seconds; seven of nine\n{text}");
    assert!(shop[3].ends_with(" ms") && shop[4].ends_with("s"), "{text}");
    let kib = format!("{:.1} KiB", api["bytes"].as_f64().unwrap() / 1024.0);
    assert_eq!(shop[6..], ["2", &*kib, "1 well"], "{text}");
    assert_eq!(line(&text, "quiet/v1"), ["quiet/v1", "0", "-", "-", "-", "0 ms", "0", "0 B", "1 well"]);
    assert!(text.find("shop/v1") < text.find("quiet/v1"), "the busiest first\n{text}");
    assert_eq!(line(&text, "hits")[0..2], ["hits 100.0 %", "requests 0.2/s"], "of the last step\n{text}");
    assert_eq!(line(&text, "stored")[0..2], [format!("stored {kib}"), "entries 2".to_owned()]);
}

#[tokio::test]
async fn why_there_is_nothing_to_see() {
    let (gateway, _origin) = gateway().await;
    let admin = format!("http://{}", gateway.admin);
    let (code, out, err) = once(&admin, "a-wrong-one").await;
    assert_eq!((code, &*out), (1, ""));
    assert!(err.starts_with("freshgate top: the token is not one"), "{err}");
    let (code, _, err) = once(&format!("http://{}", gateway.addr), TOKEN).await;
    assert_eq!(code, 1, "{err}");
    gateway.running.stop().await;
    let (code, _, err) = once(&admin, TOKEN).await;
    assert_eq!(code, 2);
    assert!(err.contains("no answer from"), "{err}");
    assert!(Command::try_parse_from(["top", "--interval", "0"]).is_err());
}

/// The program itself, with nobody at its output.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_terminal_it_prints_once() {
    let (gateway, _origin) = gateway().await;
    let admin = format!("http://{}", gateway.admin);
    let run = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_freshgate"));
        command.arg("top").env("FRESHGATE_ADMIN", admin).env("FRESHGATE_TOKEN", TOKEN).output().unwrap()
    });
    let output = run.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{:?}", output.stderr);
    assert_eq!(line(&text, "shop/v1")[2], "75.0", "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

fn state() -> State {
    let api = |name: &str, rate, health| Api {
        name: name.into(),
        version: "v1".into(),
        requests_per_second: rate,
        hit_ratio: Some(0.931),
        hit_ms: Quantiles { p50: Some(0.1), p99: Some(0.42) },
        origin_ms: Quantiles { p50: Some(90.0), p99: Some(301.0) },
        origin_ms_saved: 3_700_000,
        entries: 1_234,
        bytes: 5 << 20,
        health,
    };
    let well = Health { well: 2, ..Health::default() };
    let mut apis = vec![api("bookstore", 120.4, well), api("broken", 3.0, Health { open: 1, ..well })];
    apis.extend((0..40).map(|n| api(&format!("a{n:02}"), 0.0, well)));
    let hour = Hour { requests: (0..720).map(f64::from).collect(), hit_ratio: vec![Some(0.5)], ..Hour::default() };
    let mut state = State::new("http://127.0.0.1:9090", 2);
    state.take(Figures { apis, hour });
    state
}

fn drawn(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect()
}

#[test]
fn a_wide_terminal_shows_all_of_it() {
    let screen = drawn(&state(), 110, 24);
    assert_eq!(screen[0], "freshgate top  http://127.0.0.1:9090  every 2 s  42 APIs");
    assert_eq!(
        screen[1],
        "hits 50.0 %   requests 719/s   hit p50 / p99 - / -   origin p50 / p99 - / -   stored 210 MiB   entries 52k"
    );
    assert_eq!(screen[2], "evictions -   invalidations -");
    assert!(screen[3].starts_with("req/s") && screen[4].starts_with("max 719"), "{screen:#?}");
    assert!(screen[3].ends_with('█') && screen[5].contains('▁'), "the curve rises to the right: {screen:#?}");
    let titles: Vec<&str> = screen[6].split("  ").map(str::trim).filter(|title| !title.is_empty()).collect();
    assert_eq!(titles, ["API", "▼req/s", "hit %", "hit p99", "origin p99", "saved", "entries", "bytes", "health"]);
    let row: Vec<&str> = screen[7].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(row, ["bookstore/v1", "120", "93.1", "0.42 ms", "301 ms", "1h 01m", "1.2k", "5.0 MiB", "2 well"]);
    assert!(screen[8].starts_with("broken/v1") && screen[8].ends_with("1/3 open"), "{}", screen[8]);
    assert!(screen[23].starts_with("q quit, / filter, sort by n API, r req/s"), "{}", screen[23]);
}

#[test]
fn a_narrow_one_leaves_columns_out_and_none_is_too_small() {
    let screen = drawn(&state(), 60, 10);
    assert_eq!(screen[1], "hits 50.0 %   requests 719/s   hit p50 / p99 - / -");
    assert_eq!(screen[2], "origin p50 / p99 - / -   stored 210 MiB   entries 52k");
    assert_eq!(
        screen[4].split_whitespace().collect::<Vec<_>>(),
        ["API", "▼req/s", "hit", "%", "origin", "p99", "entries", "health"]
    );
    assert!(screen[5].ends_with("2 well") && screen[6].ends_with("1/3 open"), "{screen:#?}");
    let screen = drawn(&state(), 24, 8);
    assert_eq!(screen[4].split_whitespace().collect::<Vec<_>>(), ["API", "▼req/s"]);
    for (width, height) in [(1, 1), (3, 2), (10, 4), (500, 3), (12, 100)] {
        drawn(&state(), width, height);
    }
    drawn(&State::new("http://x", 1), 80, 24);
}

#[test]
fn scrolling_filtering_and_what_is_wrong_can_be_seen() {
    let mut state = state();
    for _ in 0..2 {
        assert!(state.press(KeyCode::Down.into()));
    }
    assert!(drawn(&state, 110, 24)[7].starts_with("a00/v1"));
    for key in "/BOOK".chars() {
        state.press(KeyCode::Char(key).into());
    }
    let screen = drawn(&state, 110, 24);
    assert!(screen[7].starts_with("bookstore/v1") && screen[8].is_empty(), "{screen:#?}");
    assert!(screen[23].starts_with("/BOOK"), "{}", screen[23]);
    state.press(KeyCode::Enter.into());
    assert!(drawn(&state, 110, 24)[23].starts_with("only `BOOK`"));
    state.fail("no answer from 127.0.0.1:9090: refused");
    let screen = drawn(&state, 110, 24);
    assert!(screen[23].starts_with("not up to date: no answer"), "{}", screen[23]);
    assert!(screen[7].starts_with("bookstore/v1"), "what was known stays");
}
