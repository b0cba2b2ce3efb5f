//! A gateway with a file of its own.

use super::support::{Answer, Client, Gateway, Origin, Reply, TOKEN};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) gateway: Gateway,
}

/// An `[[api]]` of version v1 at `/name` with more lines.
pub(crate) fn api(name: &str, origin: &Origin, more: &str) -> String {
    let url = origin.url();
    format!(
        "# The API {name}.\n[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{url}\"]\n{more}\n"
    )
}

/// An origin that says nothing of caching, and whose n-th answer is `n`, from 0.
pub(crate) async fn numbered() -> Origin {
    let next = AtomicUsize::new(0);
    Origin::start(move |_| std::future::ready(Reply::ok(next.fetch_add(1, Ordering::SeqCst).to_string()))).await
}

impl World {
    /// With these `[[api]]` tables.
    pub(crate) async fn with(apis: &str) -> World {
        World::of("", apis).await
    }

    /// With more lines of `[admin]`.
    pub(crate) async fn of(admin: &str, apis: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f.toml"), Gateway::file("", admin, "", apis)).unwrap();
        let gateway = Gateway::of_file(&folder.path().join("f.toml")).await;
        World { folder, gateway }
    }

    /// The same file, another gateway.
    pub(crate) async fn restarted(self) -> World {
        let World { folder, gateway } = self;
        gateway.running.stop().await;
        let gateway = Gateway::of_file(&folder.path().join("f.toml")).await;
        World { folder, gateway }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("f.toml")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    /// A call as administrator, about an API.
    pub(crate) async fn call(&self, method: &str, api: &str, body: &str) -> Answer {
        self.call_with(TOKEN, method, api, &[], body).await
    }

    /// The same with this token and more fields.
    pub(crate) async fn call_with(
        &self,
        token: &str,
        method: &str,
        api: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        fields.extend(more);
        Client::connect(self.gateway.admin).await.request(method, &format!("/v1/apis/{api}"), &fields, body).await
    }

    /// The problem that this answer is, by the last part of its type, with its detail.
    #[track_caller]
    pub(crate) fn problem(answer: &Answer, status: u16, name: &str) -> Value {
        assert_eq!(answer.status, status, "{}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:freshgate:problem:{name}"), "{problem}");
        problem
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.gateway.client().await.get(target).await
    }

    /// What is stored, of all fills so far.
    pub(crate) async fn settled(&self) {
        self.gateway.settled().await;
    }
}

/// The seconds for which an answer from the cache is fresh, as `Cache-Status` says it.
pub(crate) fn ttl(answer: &Answer) -> i64 {
    let line = answer.get("cache-status").unwrap();
    let value = line.split(';').find_map(|p| p.trim().strip_prefix("ttl="));
    value.unwrap_or_else(|| panic!("no ttl in {line}")).parse().unwrap()
}
