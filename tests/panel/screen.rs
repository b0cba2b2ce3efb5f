//! What one who sits before the panel sees and does. Elements are named by their role's words: a button by what it says, a field by its label.

use crate::browser::Browser;
use crate::house::{House, token};
use serde_json::{Value, json};
use std::path::PathBuf;

/// How the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Light,
    Dark,
    Phone,
}

pub(crate) const LOOKS: [Look; 3] = [Look::Light, Look::Dark, Look::Phone];

pub(crate) struct Screen {
    browser: Browser,
    origin: String,
}

/// Looks until an expression of the page is true; what the page says when it doesn't become so.
const UNTIL: &str = "
    const done = arguments[arguments.length - 1], end = performance.now() + 20000;
    const look = () => {
        let found = null;
        try { found = (EXPRESSION); } catch { }
        if (found) return done({found});
        if (performance.now() > end) return done({said: document.body.innerText});
        setTimeout(look, 10);
    };
    look();";

/// The control or button whose words are these, or that carries them as its label.
const NAMED: &str = "(words => {
    const text = element => element.getAttribute('aria-label') ?? element.textContent.trim();
    const all = [...document.querySelectorAll('dialog[open] button, dialog[open] input')];
    const seen = all.length ? all : [...document.querySelectorAll('button, a, summary, input, select, textarea')];
    const label = element => element.labels?.[0]?.textContent.trim();
    return seen.find(element => element.offsetParent !== null && (label(element) === words || text(element) === words));
})";

impl Screen {
    /// A browser at the panel's first page.
    pub(crate) async fn open(house: &House, look: Look) -> Screen {
        let mut flags = vec!["--hide-scrollbars", "--window-size=1280,900"];
        if look == Look::Dark {
            flags.push("--blink-settings=preferredColorScheme=0");
        }
        let mut options = json!({"perfLoggingPrefs": {"enableNetwork": true}});
        if look == Look::Phone {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": 375, "height": 812, "pixelRatio": 1, "touch": false}});
        }
        let capabilities = json!({"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}});
        let more = json!({"flags": flags, "options": options, "capabilities": capabilities});
        let mut screen =
            Screen { browser: Browser::start_with(more).await, origin: format!("http://{}", house.admin()) };
        let first = format!("{}/", screen.origin);
        screen.browser.open(&first).await;
        screen
    }

    /// Signed in with a role's token.
    pub(crate) async fn signed_in(house: &House, look: Look, role: &str) -> Screen {
        let mut screen = Screen::open(house, look).await;
        screen.sign_in(&token(role)).await;
        screen.sees("Sign out").await;
        screen
    }

    pub(crate) async fn sign_in(&mut self, secret: &str) {
        self.writes("Token", secret).await;
        self.clicks("Sign in").await;
    }

    /// What an expression says once it is true.
    pub(crate) async fn until(&mut self, expression: &str) -> Value {
        let mut said = self.browser.run(&UNTIL.replace("EXPRESSION", expression), json!([]), "async").await;
        assert!(
            !said["found"].is_null(),
            "not on the page: {expression}\n{}",
            said["said"].as_str().unwrap_or_default()
        );
        said["found"].take()
    }

    /// What an expression says now.
    pub(crate) async fn now(&mut self, expression: &str) -> Value {
        self.browser.run(&format!("return ({expression})"), json!([]), "sync").await
    }

    /// Waits until these words are there.
    pub(crate) async fn sees(&mut self, words: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(words))).await;
    }

    /// Whether something with this name can be used.
    pub(crate) async fn offers(&mut self, name: &str) -> bool {
        !self.now(&format!("{NAMED}({}) ?? null", json!(name))).await.is_null()
    }

    async fn element(&mut self, name: &str) -> String {
        let found = self.until(&format!("{NAMED}({})", json!(name))).await;
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// As with a mouse.
    pub(crate) async fn clicks(&mut self, name: &str) {
        let element = self.element(name).await;
        self.browser.command("POST", &format!("/element/{element}/click"), &json!({})).await;
    }

    /// In the place of what is there, as with a keyboard.
    pub(crate) async fn writes(&mut self, name: &str, text: &str) {
        let element = self.element(name).await;
        self.browser.command("POST", &format!("/element/{element}/clear"), &json!({})).await;
        self.browser.command("POST", &format!("/element/{element}/value"), &json!({"text": text})).await;
    }

    /// Presses a key where the focus is.
    pub(crate) async fn presses(&mut self, key: char) {
        let keys = json!([{"type": "keyDown", "value": key.to_string()}, {"type": "keyUp", "value": key.to_string()}]);
        self.browser
            .command("POST", "/actions", &json!({"actions": [{"type": "key", "id": "k", "actions": keys}]}))
            .await;
    }

    /// Follows `#/…`, and waits until that page's heading is there.
    pub(crate) async fn goes(&mut self, place: &str) {
        self.now(&format!("void (location.hash = {})", json!(place))).await;
        self.until("document.querySelector('main h1') && !document.querySelector('.loading')").await;
    }

    pub(crate) async fn reloads(&mut self) {
        self.browser.command("POST", "/refresh", &json!({})).await;
    }

    /// The row of an API.
    pub(crate) fn row(name: &str) -> String {
        format!("document.querySelector('tr[data-api=\"{name}\"]')")
    }

    /// What the browser's console said since the last look, without what it says of a call that was refused as it should be.
    pub(crate) async fn complaints(&mut self) -> Vec<String> {
        let log = self.browser.command("POST", "/se/log", &json!({"type": "browser"})).await;
        let lines = log.as_array().unwrap().iter().filter(|line| line["level"] != "DEBUG" && line["level"] != "INFO");
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// All that was asked for over a network, by whatever part of the browser.
    pub(crate) async fn requests(&mut self) -> Vec<String> {
        let log = self.browser.command("POST", "/se/log", &json!({"type": "performance"})).await;
        let messages = log.as_array().unwrap().iter();
        let messages = messages.map(|line| serde_json::from_str::<Value>(line["message"].as_str().unwrap()).unwrap());
        let sent = messages.filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        let urls = sent.map(|m| m["message"]["params"]["request"]["url"].as_str().unwrap().to_owned());
        urls.filter(|url| !url.starts_with("chrome:") && !url.starts_with("data:")).collect()
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What axe finds that is serious or worse.
    pub(crate) async fn barriers(&mut self) -> Vec<String> {
        let script = std::fs::read_to_string(axe()).unwrap_or_else(|e| panic!("axe: {e}: run ./test.sh"));
        self.browser.run(&format!("{script}; window.axe = axe;"), json!([]), "sync").await;
        let found = self.browser.run(AXE, json!([]), "async").await;
        assert!(found["passes"].as_u64().is_some_and(|passes| passes > 10), "{found}");
        serde_json::from_value(found["barriers"].clone()).unwrap()
    }

    /// Draws the whole page, where somebody wants to see it.
    pub(crate) async fn drawn(&mut self, name: &str, look: Look) {
        let Some(folder) = std::env::var_os("FRESHGATE_SCREENSHOTS").map(PathBuf::from) else { return };
        let size = self.now("[document.documentElement.clientWidth, document.documentElement.scrollHeight]").await;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let parameters = json!({"captureBeyondViewport": true, "clip": clip});
        let shot = json!({"cmd": "Page.captureScreenshot", "params": parameters});
        let drawn = self.browser.command("POST", "/goog/cdp/execute", &shot).await;
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, drawn["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}-{look:?}.png").to_lowercase()), bytes).unwrap();
    }

    pub(crate) async fn close(self) {
        self.browser.close().await;
    }
}

const AXE: &str = "
    const done = arguments[0];
    axe.run(document, {resultTypes: ['violations']}).then(result => done({
        passes: result.passes.length,
        barriers: result.violations.filter(one => ['serious', 'critical'].includes(one.impact))
            .map(one => `${one.id}: ${one.nodes.map(node => node.html).join(' | ')}`),
    }), error => done({error: String(error)}));";

/// axe-core, as a Python package brings it.
fn axe() -> PathBuf {
    let library = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients/lib");
    let pythons = std::fs::read_dir(library).into_iter().flatten().filter_map(Result::ok);
    let scripts = pythons.map(|python| python.path().join("site-packages/axe_playwright_python/axe.min.js"));
    scripts.into_iter().find(|script| script.exists()).unwrap_or_default()
}
