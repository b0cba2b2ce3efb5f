//! Chromium as a person has it, with a profile and a cache of its own, driven over WebDriver by chromedriver.

use crate::support::{Client, within};
use crate::world::{Got, Process, latin1, program};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;

/// Quiet, and nothing to anybody but the pages that it is told to open. It ends with the pipe, and so with chromedriver.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// Asks for a URL as a page's script does, and waits for the browser's own measure of it. The body is read as bytes.
const FETCH: &str = "
    const [url, options, done] = arguments;
    const measured = new Promise(resolve => new PerformanceObserver(list =>
        list.getEntries().forEach(entry => entry.name === url && resolve(entry))).observe({type: 'resource'}));
    fetch(url, options).then(async answer => {
        const bytes = new Uint8Array(await answer.arrayBuffer());
        const body = Array.from(bytes, byte => String.fromCharCode(byte)).join('');
        const {transferSize} = await measured;
        done({status: answer.status, fields: [...answer.headers], body, transferred: transferSize});
    }).catch(error => done({error: String(error)}));";

/// A running browser. [`Browser::close`] ends it in good order, dropping it ends it as well.
pub(crate) struct Browser {
    wire: Client,
    session: String,
    driver: Process,
    /// Its profile, and whatever else it writes.
    _files: TempDir,
}

/// An answer as a page's script gets it, and how many bytes came over the network by the browser's own account: 0 from
/// its cache; what the fields take, 300 by its rule, where a 304 confirmed what it had.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) got: Got,
    pub(crate) transferred: u64,
}

/// chromedriver and where it listens. It takes a free port, and ends when that isn't free for IPv6 as well.
fn driver(files: &TempDir) -> Option<(Process, u16)> {
    let mut command = program("chromedriver");
    command.arg("--port=0").env("TMPDIR", files.path());
    let driver = Process::start(command);
    loop {
        let line = driver.try_line().ok()?;
        if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
            return Some((driver, port.trim_end_matches('.').parse().unwrap()));
        }
    }
}

impl Browser {
    pub(crate) async fn start() -> Browser {
        Browser::start_with(json!({})).await
    }

    /// With more of `goog:chromeOptions` and of the other capabilities; flags are added to those that all have.
    pub(crate) async fn start_with(more: Value) -> Browser {
        let files = TempDir::new().unwrap();
        let (driver, port) = (0..5).find_map(|_| driver(&files)).expect("chromedriver finds no port");
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", files.path().join("profile").display()));
        flags.extend(more["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from));
        let wire = Client::connect(SocketAddr::from(([127, 0, 0, 1], port))).await;
        let mut browser = Browser { wire, session: String::new(), driver, _files: files };
        let mut wish = json!({"browserName": "chrome", "goog:chromeOptions": {"args": flags}});
        for (name, value) in more["options"].as_object().into_iter().flatten() {
            wish["goog:chromeOptions"][name] = value.clone();
        }
        for (name, value) in more["capabilities"].as_object().into_iter().flatten() {
            wish[name] = value.clone();
        }
        let session = browser.command("POST", "", &json!({"capabilities": {"alwaysMatch": wish}})).await;
        browser.session = format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    /// A WebDriver command of this session; what it gives.
    pub(crate) async fn command(&mut self, method: &str, what: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let target = format!("/session{}{what}", self.session);
        let json = [("content-type", "application/json")];
        let answer = within("chromedriver", self.wire.request(method, &target, &json, &body)).await;
        let said = answer.json()["value"].take();
        let hint = if self.session.is_empty() { "; is it there? run ./test.sh" } else { "" };
        assert_eq!(answer.status, 200, "{method} {target}: {said}{hint}; chromedriver says: {}", self.driver.errors());
        said
    }

    /// Goes to a page, and waits until it is loaded.
    pub(crate) async fn open(&mut self, url: &str) {
        self.command("POST", "/url", &json!({"url": url})).await;
    }

    /// Leaves for an empty page, then goes to a page: a visit, which going to where one is already wouldn't be.
    /// How many bytes came over the network for it.
    pub(crate) async fn visit(&mut self, url: &str) -> u64 {
        self.open("about:blank").await;
        self.open(url).await;
        self.page_transferred().await
    }

    /// What the button does. How many bytes came over the network for the page.
    pub(crate) async fn reload(&mut self) -> u64 {
        self.command("POST", "/refresh", &json!({})).await;
        self.page_transferred().await
    }

    async fn page_transferred(&mut self) -> u64 {
        let entry = self.run("return performance.getEntriesByType('navigation')[0].toJSON()", json!([]), "sync").await;
        entry["transferSize"].as_u64().unwrap_or_else(|| panic!("{entry}"))
    }

    /// The text that the page shows.
    pub(crate) async fn text(&mut self) -> String {
        let text = self.run("return document.body.innerText", json!([]), "sync").await;
        text.as_str().unwrap().to_owned()
    }

    /// Runs a script in the page, `"sync"` or `"async"`; what it returns, or gives to its last argument.
    pub(crate) async fn run(&mut self, script: &str, arguments: Value, how: &str) -> Value {
        self.command("POST", &format!("/execute/{how}"), &json!({"script": script, "args": arguments})).await
    }

    /// GET by the page's script.
    pub(crate) async fn get(&mut self, url: &str) -> Fetched {
        self.fetch(url, json!({})).await
    }

    /// Any request by the page's script, with the options of `fetch()`.
    pub(crate) async fn fetch(&mut self, url: &str, options: Value) -> Fetched {
        let said = self.run(FETCH, json!([url, options]), "async").await;
        let status = said["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.unwrap_or_else(|| panic!("{url}: {said}"));
        let fields = serde_json::from_value(said["fields"].clone()).unwrap();
        let transferred = said["transferred"].as_u64().unwrap();
        let got = Got::new(status, fields, latin1(said["body"].as_str().unwrap()), transferred == 0);
        Fetched { got, transferred }
    }

    /// Ends it, and waits until it has ended.
    pub(crate) async fn close(mut self) {
        self.command("DELETE", "", &Value::Null).await;
    }
}
