//! A gateway that was started from a file, with a token for each role and two APIs before one origin.

use crate::support::{Answer, Client, Origin, Reply, within};
use freshgate::clock::Clock;
use freshgate::serve::{self, File, Running};
use freshgate::telemetry::Lines;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const ROLES: [&str; 3] = ["viewer", "operator", "administrator"];

pub(crate) struct House {
    pub(crate) origin: Origin,
    pub(crate) clock: Clock,
    folder: TempDir,
    running: Option<Running>,
}

fn sha256(secret: &str) -> String {
    Sha256::digest(secret).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The secret of a role's token.
pub(crate) fn token(role: &str) -> String {
    format!("{role}-secret-of-these-tests")
}

/// One `[[api]]` as most here are.
pub(crate) fn api(name: &str, origin: &str, more: &str) -> String {
    format!(
        "\n# What is sold.\n[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}/v1\"\nupstream = [\"{origin}\"]\n\
         ttl = \"10m\" # ten minutes\n{more}"
    )
}

impl House {
    /// With `bookstore/v1` and `music/v1`, each with an interval of ten minutes.
    pub(crate) async fn open() -> House {
        House::with("", |origin| api("bookstore", origin, "") + &api("music", origin, "")).await
    }

    /// With more lines of `[admin]`, and these APIs before its origin.
    pub(crate) async fn with(admin: &str, apis: impl Fn(&str) -> String) -> House {
        let origin = Origin::start(async |request| Reply::ok(format!("{} {}", request.method, request.target))).await;
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}");
        for role in ROLES {
            let sha256 = sha256(&token(role));
            write!(text, "\n[[admin.tokens]]\nname = \"{role}'s\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
                .unwrap();
        }
        text += &apis(&origin.url());
        std::fs::write(folder.path().join("freshgate.toml"), text).unwrap();
        let mut house = House { origin, clock: Clock::steppable(), folder, running: None };
        house.start().await;
        house
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("freshgate.toml")
    }

    async fn start(&mut self) {
        let (file, loaded) = File::open(&self.file()).unwrap_or_else(|faults| panic!("{faults}"));
        let lines = Lines::to(std::io::sink()).unwrap();
        let running = serve::start_from(Some(file), loaded.config, self.clock.clone(), lines, Vec::new()).await;
        self.running = Some(running.unwrap());
    }

    /// Stops it, and starts it from what is in the file then.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Stops it.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        within("the end of a gateway", running.stop()).await;
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.running().admin.unwrap()
    }

    pub(crate) fn step(&self, seconds: u64) {
        self.clock.step(Duration::from_secs(seconds));
    }

    /// GET through the gateway; kept when this is answered.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        let answer = Client::connect(self.running().data[0]).await.get(target).await;
        within("the end of a recording", async {
            while !self.call("administrator", "GET", "/metrics", "").await.text().contains("freshgate_fills 0") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        answer
    }

    /// A call of the admin API with a role's token.
    pub(crate) async fn call(&self, role: &str, method: &str, target: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", token(role));
        let fields = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        Client::connect(self.admin()).await.request(method, target, &fields, body).await
    }
}
