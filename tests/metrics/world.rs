//! A gateway to which all has happened that is counted.

use crate::parser::{self, Families};
use crate::support::{Authority, Client, Gateway, Origin, Reply, TOKEN};
use serde_json::json;

/// What a stranger's every word has in it: none of it may be in the metrics.
pub(crate) const MARK: &str = "zzq";

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    apis: String,
    rest: String,
    _origin: Origin,
    _authority: Authority,
}

impl World {
    pub(crate) async fn new() -> World {
        let origin = Origin::start(|request| {
            let reply = Reply::ok(request.target.clone());
            let private = request.target.contains("private");
            std::future::ready(if private { reply.field("cache-control", "no-store") } else { reply })
        })
        .await;
        let authority = Authority::new();
        authority.install(&authority.pair("localhost"));
        let url = origin.url();
        let api = |name: &str, url: &str, more: &str| {
            format!(
                "[[api]]\nname = \"{name}\"\nversion = \"v1\"\npath = \"/{name}\"\nupstream = [\"{url}\"]\n{more}\n"
            )
        };
        let keys = "auth = { kind = \"api-key\", header = \"x-api-key\", keys = [{ user = \"a\", sha256 = \"\
                    0000000000000000000000000000000000000000000000000000000000000000\" }] }";
        let breaker = "breaker = { calls = 1 }\nretry = { times = 0 }\ntimeouts = { connect = \"1s\" }";
        let apis = api("shop", &url, "ttl = \"10m\"")
            + &api("locked", &url, keys)
            + &api("broken", "http://127.0.0.1:1", breaker);
        let rest = format!(
            "[objects]\nlisten = \"127.0.0.1:0\"\n{}\n[[objects.namespace]]\nname = \"codes\"\nttl = \"1h\"\n\
             [[events.source]]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:1\"\nstreams = [\"x\"]\n\
             [[events.rule]]\nwhen = {{ type = \"t\" }}\npurge = [{{ api = \"shop/v1\", tag = \"x\" }}]\n",
            authority.table("")
        );
        let gateway = Gateway::with(&rest, &apis).await;
        World { gateway, apis, rest, _origin: origin, _authority: authority }
    }

    /// Everything once, in words that were never used before.
    pub(crate) async fn traffic(&self, round: usize) {
        let mut client = self.gateway.client().await;
        let word = format!("{MARK}{round}");
        for _ in 0..2 {
            assert_eq!(client.get(&format!("/shop/{word}?{word}={word}")).await.status, 200);
            self.gateway.settled().await;
        }
        client.get_with(&format!("/shop/private/{word}"), &[("user-agent", &word), ("cookie", &word)]).await;
        assert_eq!(client.get_with(&format!("/locked/{word}"), &[("x-api-key", &word)]).await.status, 401);
        assert!(client.get(&format!("/broken/{word}")).await.status >= 502);
        assert_eq!(client.get(&format!("/{word}")).await.status, 404);
        client.request("PROPFIND", &format!("/shop/{word}"), &[], "").await;
        client.put(&format!("/shop/{word}"), &word).await;
        let mut other = self.gateway.client().await.host(&format!("{word}.example"));
        other.request(&word.to_uppercase(), &format!("/shop/{word}"), &[], "").await;
        for soft in [false, true] {
            self.gateway.purge(json!({ "api": "shop/v1", "soft": soft })).await;
        }
        let event = json!({ "specversion": "1.0", "id": word, "source": word, "type": "t" });
        let bearer = format!("Bearer {TOKEN}");
        let fields = [("content-type", "application/cloudevents+json"), ("authorization", bearer.as_str())];
        let mut admin = Client::connect(self.gateway.admin).await;
        let told = admin.request("POST", "/v1/events", &fields, &event.to_string()).await;
        assert_eq!(told.status, 200);
    }

    /// Another configuration comes, and the first one again.
    pub(crate) fn reloads(&self) {
        let other = self.apis.replace("ttl = \"10m\"", "ttl = \"9m\"");
        for apis in [&other, &self.apis] {
            self.gateway.reload_all("", &self.rest, apis).unwrap_or_else(|refused| panic!("{refused}"));
        }
    }

    pub(crate) async fn text(&self) -> String {
        self.gateway.admin("GET", "/metrics", "").await.text().to_owned()
    }

    pub(crate) async fn metrics(&self) -> Families {
        let text = self.text().await;
        parser::read(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
    }
}
