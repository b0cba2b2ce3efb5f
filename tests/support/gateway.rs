//! A whole gateway in this process, from configuration text to sockets, on a clock that can be stepped.

use super::{Client, Origin, within};
use freshgate::clock::Clock;
use freshgate::config::{self, Config, Surroundings};
use freshgate::serve::{self, File, Refused, Report, Running};
use freshgate::telemetry::Lines;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The administrator's secret in [`Gateway`]s.
pub const TOKEN: &str = "a-secret-for-tests";

/// A running gateway.
pub struct Gateway {
    /// Where clients connect.
    pub addr: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    /// The rest of it.
    pub running: Running,
}

impl Gateway {
    /// One API `test/v1` at `/` before `origin`, with more lines of its `[[api]]` table (and further tables).
    pub async fn before(origin: &Origin, api: &str) -> Gateway {
        let one = format!(
            "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{api}\n",
            origin.url()
        );
        Gateway::with("", &one).await
    }

    /// A gateway with these `[[api]]` tables; `rest` is what else belongs into the file (`[server.limits]`, `[cache]`).
    pub async fn with(rest: &str, apis: &str) -> Gateway {
        Gateway::from_parts("", rest, apis).await
    }

    /// The same, believing what proxies of this network say.
    pub async fn trusting(network: &str, apis: &str) -> Gateway {
        Gateway::from_parts(&format!("trusted_proxies = [\"{network}\"]\n"), "", apis).await
    }

    /// How often a bound was reached, by its name in the metrics.
    pub async fn reached(&self, limit: &str) -> u64 {
        let text = self.admin("GET", "/metrics", "").await;
        let name = format!("freshgate_limit_reached_total{{limit=\"{limit}\"}} ");
        text.text().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
    }

    /// `server` is what else belongs into `[server]`, `rest` what belongs behind it, `apis` the `[[api]]` tables.
    pub async fn from_parts(server: &str, rest: &str, apis: &str) -> Gateway {
        Gateway::from_all(server, "", rest, apis).await
    }

    /// The same with more lines of `[admin]`.
    pub async fn from_all(server: &str, admin: &str, rest: &str, apis: &str) -> Gateway {
        Gateway::made(Lines::to(std::io::sink()).unwrap(), server, admin, rest, apis).await
    }

    /// The same as `from_parts`, with its access log.
    pub async fn logging(lines: Lines, server: &str, rest: &str, apis: &str) -> Gateway {
        Gateway::made(lines, server, "", rest, apis).await
    }

    async fn made(lines: Lines, server: &str, admin: &str, rest: &str, apis: &str) -> Gateway {
        let (config, clock) = (read(&Gateway::file(server, admin, rest, apis)), Clock::steppable());
        let running = serve::start(config, clock.clone(), lines).await.unwrap();
        Gateway { addr: running.data[0], admin: running.admin.unwrap(), clock, running }
    }

    /// The text of a whole file.
    pub fn file(server: &str, admin: &str, rest: &str, apis: &str) -> String {
        let sha = sha256(TOKEN);
        let listen = if server.contains("listen = ") { "" } else { "listen = [\"127.0.0.1:0\"]\n" };
        format!(
            "[server]\n{listen}{server}[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\
             probe_listen = \"127.0.0.1:0\"\n\
             [[admin.tokens]]\nname = \"test\"\nrole = \"administrator\"\nsha256 = \"{sha}\"\n{rest}\n{apis}"
        )
    }

    /// A gateway that reads this file, and reads it again.
    pub async fn of_file(path: &Path) -> Gateway {
        let (file, loaded) = File::open(path).unwrap_or_else(|faults| panic!("{faults}"));
        let (clock, lines) = (Clock::steppable(), Lines::to(std::io::sink()).unwrap());
        let running = serve::start_from(Some(file), loaded.config, clock.clone(), lines, Vec::new()).await.unwrap();
        Gateway { addr: running.data[0], admin: running.admin.unwrap(), clock, running }
    }

    /// Takes over these `[[api]]` tables in the place of those it has.
    pub fn reload(&self, apis: &str) -> Report {
        self.reload_all("", "", apis).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// The same with what else belongs into the file.
    pub fn reload_all(&self, server: &str, rest: &str, apis: &str) -> Result<Report, Refused> {
        self.running.take_over(read(&Gateway::file(server, "", rest, apis)))
    }

    /// A new connection.
    pub async fn client(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// Moves its clock forward.
    pub fn step(&self, seconds: u64) {
        self.clock.step(Duration::from_secs(seconds));
    }

    /// Waits until what is kept of all answers so far is in the store.
    pub async fn settled(&self) {
        within("the end of a recording", async {
            while !self.admin("GET", "/metrics", "").await.text().contains("freshgate_fills 0") {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// `POST /v1/purge` with this selector; gives the answer's JSON.
    pub async fn purge(&self, selector: Value) -> Value {
        let answer = self.admin("POST", "/v1/purge", &selector.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// A call of the admin API as administrator.
    pub async fn admin(&self, method: &str, target: &str, body: &str) -> super::Answer {
        let bearer = format!("Bearer {TOKEN}");
        let fields = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        Client::connect(self.admin).await.request(method, target, &fields, body).await
    }
}

fn read(text: &str) -> Config {
    let around = Surroundings { env: &|_| None, memory_limit: None };
    config::parse(text, "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
}

pub fn sha256(secret: &str) -> String {
    let mut hex = Vec::new();
    freshgate::cli::hash_token::run(&freshgate::cli::hash_token::Args {}, secret.as_bytes(), &mut hex, std::io::sink());
    String::from_utf8(hex).unwrap().trim().into()
}
