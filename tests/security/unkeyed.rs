//! What an origin might read and no key knows; and `Connection`, which would take away what a key does know.

use super::origin::{Recorder, plain};
use super::row::{Row, Said, says, seen};
use super::support::Gateway;

pub fn rows() -> Vec<Row> {
    let mut rows = dropped();
    rows.extend(replaced());
    rows.extend(connection());
    rows
}

fn dropped() -> Vec<Row> {
    let names = [
        ("X-Original-URL", "x-original-url"),
        ("X-Rewrite-URL", "x-rewrite-url"),
        ("X-Original-URI", "x-original-uri"),
        ("X-Original-Host", "x-original-host"),
        ("X-HTTP-Method-Override", "x-http-method-override"),
        ("X-HTTP-Method", "x-http-method"),
        ("X-Method-Override", "x-method-override"),
        ("X-Forwarded-Prefix", "x-forwarded-prefix"),
        ("X-Forwarded-Port", "x-forwarded-port"),
        ("X-Forwarded-Scheme", "x-forwarded-scheme"),
        ("X-Forwarded-Server", "x-forwarded-server"),
        ("X-Forwarded-SSL", "x-forwarded-ssl"),
        ("X-Forwarded-Path", "x-forwarded-path"),
        ("X-Forwarded-Whatever", "x-forwarded-whatever"),
        ("X-Forwarded", "x-forwarded"),
        ("X-Host", "x-host"),
        ("X-HTTP-Host-Override", "x-http-host-override"),
        ("X-Real-IP", "x-real-ip"),
        ("X-Client-IP", "x-client-ip"),
        ("True-Client-IP", "true-client-ip"),
        ("CF-Connecting-IP", "cf-connecting-ip"),
        ("Front-End-HTTPS", "front-end-https"),
        ("X-URL-Scheme", "x-url-scheme"),
        ("Proxy", "proxy"),
        ("X_Original_URL", "x_original_url"),
        ("X_Rewrite_URL", "x_rewrite_url"),
        ("X-HTTP_Method_Override", "x-http_method_override"),
        ("X_Forwarded_Host", "x_forwarded_host"),
        ("X_Forwarded_For", "x_forwarded_for"),
        ("X_Real_IP", "x_real_ip"),
        ("Forwarded_For", "forwarded_for"),
    ];
    let row = |(name, lower): (&'static str, &str)| {
        let said = Said::get("/x").with(name, "/evil");
        says(name, "Practical Web Cache Poisoning", said, seen("GET /x").without(&[lower]))
    };
    let mut rows: Vec<Row> = names.into_iter().map(row).collect();
    rows.push(says(
        "an override of a POST",
        "Practical Web Cache Poisoning",
        Said::get("/x").method("POST").with("X-HTTP-Method-Override", "DELETE").body("hello"),
        seen("POST /x").without(&["x-http-method-override"]).body("hello"),
    ));
    rows
}

fn replaced() -> Vec<Row> {
    let cites = "RFC 7239; Practical Web Cache Poisoning";
    let get = || Said::get("/x");
    vec![
        says(
            "X-Forwarded-Host",
            cites,
            get().with("X-Forwarded-Host", "evil"),
            seen("GET /x").with("x-forwarded-host", "a"),
        ),
        says(
            "X-Forwarded-Host twice",
            cites,
            get().with("X-Forwarded-Host", "evil").with("X-Forwarded-Host", "a"),
            seen("GET /x").with("x-forwarded-host", "a"),
        ),
        says(
            "X-Forwarded-For",
            cites,
            get().with("X-Forwarded-For", "1.2.3.4"),
            seen("GET /x").with("x-forwarded-for", "127.0.0.1"),
        ),
        says(
            "X-Forwarded-Proto",
            cites,
            get().with("X-Forwarded-Proto", "https"),
            seen("GET /x").with("x-forwarded-proto", "http"),
        ),
        says(
            "Forwarded",
            cites,
            get().with("Forwarded", "for=1.2.3.4;host=evil"),
            seen("GET /x").with("forwarded", "for=127.0.0.1;host=\"a\";proto=http"),
        ),
        says(
            "Surrogate-Capability",
            "Edge Architecture",
            get().with("Surrogate-Capability", "evil=\"ESI/1.0\""),
            seen("GET /x").with("surrogate-capability", "freshgate=\"Surrogate/1.0\""),
        ),
    ]
}

/// What `Connection` names (RFC 9110 §7.6.1).
fn connection() -> Vec<Row> {
    let names = |options: &str| Said::get("/x").with("Connection", options);
    let cites = "RFC 9110 §7.6.1; hop-by-hop abuse";
    let stays = |row, name: &str, value: &str| {
        let said = names(&format!("close, {name}")).with(name, value);
        says(row, cites, said, seen("GET /x").with(&name.to_ascii_lowercase(), value).without(&["connection"]))
    };
    vec![
        stays("Connection names Authorization", "Authorization", "Bearer x"),
        stays("Connection names Cookie", "Cookie", "a=1"),
        stays("Connection names X-Api-Key", "X-Api-Key", "secret"),
        stays("Connection names X-Forwarded-User", "X-Forwarded-User", "alice"),
        stays("Connection names Content-Type", "Content-Type", "text/plain"),
        stays("Connection names Cache-Control", "Cache-Control", "no-cache"),
        stays("Connection names If-Match", "If-Match", "\"x\""),
        says("Connection names Host", cites, names("Host, close"), seen("GET /x").with("x-forwarded-host", "a")),
        says(
            "Connection names X-Forwarded-For",
            cites,
            names("X-Forwarded-For").with("X-Forwarded-For", "1.2.3.4"),
            seen("GET /x").with("x-forwarded-for", "127.0.0.1"),
        ),
        says(
            "Connection names Content-Length",
            cites,
            names("Content-Length").method("POST").body("hello"),
            seen("POST /x").with("content-length", "5").body("hello"),
        ),
        says(
            "Connection names another",
            cites,
            names("x-mine").with("X-Mine", "1"),
            seen("GET /x").without(&["x-mine"]),
        ),
        says(
            "Connection in two lines",
            cites,
            names("close").with("Connection", "X-Mine, keep-alive").with("X-Mine", "1").with("Keep-Alive", "timeout=5"),
            seen("GET /x").without(&["x-mine", "keep-alive", "connection"]),
        ),
        says(
            "fields of one hop that Connection doesn't name",
            cites,
            Said::get("/x").with("Keep-Alive", "1").with("Proxy-Connection", "keep-alive").with("TE", "gzip"),
            seen("GET /x").without(&["keep-alive", "proxy-connection", "te"]),
        ),
        says(
            "Connection with what is no name",
            cites,
            names("\"x\", x y, ,;"),
            seen("GET /x").without(&["connection"]),
        ),
    ]
}

/// An origin of which every answer may be kept, and tells what it was told.
async fn echoing(told: &'static [&'static str]) -> Recorder {
    Recorder::answering(move |request| {
        let lines: Vec<String> = told.iter().map(|name| format!("{name}={:?}", request.all(name))).collect();
        plain("Cache-Control: public, max-age=600\r\n", &lines.join(" "))
    })
    .await
}

fn api(origin: &Recorder, more: &str) -> String {
    format!("[[api]]\nname = \"one\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://{}\"]\n{more}", origin.addr)
}

/// A proxy that is trusted passes on what its own clients say.
#[tokio::test]
async fn what_a_trusted_proxy_says_is_in_the_key() {
    for name in ["x-forwarded-host", "x-original-url", "x-http-method-override", "x_original_url", "x-forwarded-prefix"]
    {
        let origin = echoing(&["x-forwarded-host", "x-original-url", "x-http-method-override"]).await;
        let gateway = Gateway::trusting("127.0.0.0/8", &api(&origin, "")).await;
        let mut client = gateway.client().await;
        let own = client.get("/x").await.text().to_owned();
        gateway.settled().await;
        let evil = client.get_with("/x", &[(name, "evil")]).await;
        gateway.settled().await;
        assert!(!evil.cache_says("hit"), "{name}");
        for (value, hit) in [("evil", true), ("other", false)] {
            assert_eq!(client.get_with("/x", &[(name, value)]).await.cache_says("hit"), hit, "{name}: {value}");
            gateway.settled().await;
        }
        let again = client.get("/x").await;
        assert_eq!((again.cache_says("hit"), again.text()), (true, &*own), "{name}");
    }
    let origin = echoing(&["forwarded"]).await;
    let gateway = Gateway::trusting("127.0.0.0/8", &api(&origin, "")).await;
    let mut client = gateway.client().await;
    for (name, value, hit) in [
        ("x-forwarded-for", "1.2.3.4", false),
        ("x-forwarded-for", "5.6.7.8", true),
        ("x-real-ip", "5.6.7.8", true),
        ("forwarded", "for=1.2.3.4;by=x", true),
        ("forwarded", "for=1.2.3.4;host=b", false),
        ("forwarded", "For=\"[::1]\"; host=b, for=x", true),
        ("forwarded", "for=1.2.3.4;host=c", false),
    ] {
        assert_eq!(client.get_with("/x", &[(name, value)]).await.cache_says("hit"), hit, "{name}: {value}");
        gateway.settled().await;
    }
}

/// Behind CGI-like interfaces `X_User` is `X-User`, and a proxy that sets the one passes on the other.
#[tokio::test]
async fn a_trusted_field_has_no_twin() {
    let auth = "auth = { kind = \"trusted-header\", header = \"X-User\" }\n";
    let origin = echoing(&["x-user", "x_user"]).await;
    let gateway = Gateway::trusting("127.0.0.0/8", &api(&origin, auth)).await;
    let mut client = gateway.client().await;
    let answer = client.get_with("/x", &[("X_User", "root"), ("X-User", "alice")]).await;
    assert_eq!(answer.text(), "x-user=[\"alice\"] x_user=[]");
    assert_eq!(client.get_with("/x", &[("X_User", "root")]).await.status, 401);
    let origin = echoing(&["x-user", "x_user"]).await;
    let open = format!("{auth}[[api.route]]\non = \"/x\"\nauth = {{ kind = \"none\" }}\n");
    let gateway = Gateway::with("", &api(&origin, &open)).await;
    let answer = gateway.client().await.get_with("/x", &[("X_User", "root"), ("X-User", "alice")]).await;
    assert_eq!(answer.text(), "x-user=[] x_user=[]", "a stranger is no proxy");
}
