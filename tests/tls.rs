//! TLS towards clients: certificates that are swapped, certificates that clients show, and what the origin hears of it.

#![cfg(test)]

mod support;

use std::future::ready;
use support::{Authority, Client, Gateway, H2, Origin, Pair, Reply, TOKEN, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const API: &str = "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"ORIGIN\"]\n";

async fn kept() -> Origin {
    Origin::start(|request| ready(Reply::ok(request.target).field("Cache-Control", "max-age=60"))).await
}

async fn before(origin: &Origin, authority: &Authority, tls: &str, more: &str, api: &str) -> Gateway {
    authority.install(&authority.pair("a gateway"));
    let server = format!("{}{more}", authority.table(tls));
    Gateway::from_parts(&server, "", &format!("{}{api}\n", API.replace("ORIGIN", &origin.url()))).await
}

/// A connection of HTTP/1.1.
async fn client(
    gateway: &Gateway,
    authority: &Authority,
    own: Option<&Pair>,
) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = within("a handshake", authority.connect(gateway.addr, &["http/1.1"], own)).await.unwrap();
    Client::over(stream, "localhost")
}

/// Whether a client gets an answer: with TLS 1.3 a handshake may look good from its side and be refused all the same.
async fn gets_in(gateway: &Gateway, authority: &Authority, own: Option<&Pair>) -> bool {
    let Ok(stream) = within("a handshake", authority.connect(gateway.addr, &["http/1.1"], own)).await else {
        return false;
    };
    let mut client = Client::over(stream, "localhost");
    client.send("GET", "/a", &[], "").await;
    client.try_answer().await.is_some()
}

#[tokio::test]
async fn the_handshake_chooses_the_version_and_the_origin_hears_https() {
    let (origin, authority) = (kept().await, Authority::new());
    let gateway = before(&origin, &authority, "", "", "").await;
    let mut one = client(&gateway, &authority, None).await;
    assert_eq!(one.get("/a").await.text(), "/a");
    gateway.settled().await;
    for protocols in [&["h2", "http/1.1"][..], &["h2"]] {
        let stream = authority.connect(gateway.addr, protocols, None).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut two = H2::over(stream, "localhost", "https", h2::client::Builder::new()).await;
        assert!(two.get("/a").await.cache_says("hit"));
    }
    let silent = authority.connect(gateway.addr, &[], None).await.unwrap();
    assert!(Client::over(silent, "localhost").get("/a").await.cache_says("hit"), "no ALPN is HTTP/1.1");
    assert!(authority.connect(gateway.addr, &["spdy/1"], None).await.is_err(), "RFC 7301 §3.2");
    let request = &origin.requests()[0];
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert!(request.get("forwarded").unwrap().ends_with(";proto=https"), "{request:?}");

    authority.install(&authority.pair("another"));
    let without = Gateway::from_parts(
        &format!("{}http2 = false\n", authority.table("")),
        "",
        &API.replace("ORIGIN", &origin.url()),
    )
    .await;
    let stream = authority.connect(without.addr, &["h2", "http/1.1"], None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn what_is_asked_by_another_scheme_is_another_answer() {
    let origin = Origin::start(|request| {
        let told = request.get("x-forwarded-proto").unwrap().to_owned();
        ready(Reply::ok(told).field("Cache-Control", "max-age=60"))
    })
    .await;
    let gateway = Gateway::trusting("127.0.0.1", &API.replace("ORIGIN", &origin.url())).await;
    let mut client = gateway.client().await;
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[], "http"),
        (&[("X-Forwarded-Proto", "https")], "https"),
        (&[("X-Forwarded-Proto", "http")], "http"),
        (&[("X-Forwarded-Proto", "wss")], "wss"),
    ];
    for (fields, told) in rows {
        for way in ["fwd=uri-miss", "hit"] {
            let answer = client.get_with("/a", fields).await;
            assert!(answer.text() == told && answer.cache_says(way), "{fields:?} {answer:?}");
            gateway.settled().await;
        }
    }
    // A stranger's word counts for nothing.
    let distrusting = Gateway::before(&origin, "").await;
    let answer = distrusting
        .client()
        .await
        .get_with("/b", &[("X-Forwarded-Proto", "https"), ("Forwarded", "proto=https")])
        .await;
    assert_eq!(answer.text(), "http");
    // A write reaches both.
    assert_eq!(client.put("/a", "x").await.status, 200);
    for fields in [&[][..], &[("X-Forwarded-Proto", "https")]] {
        assert!(!client.get_with("/a", fields).await.cache_says("hit"));
    }
}

#[tokio::test]
async fn a_certificate_is_swapped_and_connections_go_on() {
    let (origin, authority) = (kept().await, Authority::new());
    let gateway = before(&origin, &authority, "", "", "").await;
    let shown = async || {
        let stream = authority.connect(gateway.addr, &["http/1.1"], None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let mut open = client(&gateway, &authority, None).await;
    assert_eq!(open.get("/a").await.status, 200);
    let first = shown().await;
    gateway.running.look_at_files();
    assert_eq!(shown().await, first, "nothing has changed");

    // A certificate without its key changes nothing, and neither does junk, or a file that isn't there.
    let next = authority.pair("the next");
    authority.write("cert.pem", &next.cert);
    gateway.running.look_at_files();
    assert_eq!(shown().await, first);
    authority.write("key.pem", "junk");
    gateway.running.look_at_files();
    assert_eq!(shown().await, first);
    authority.write("key.pem", &next.key);
    gateway.running.look_at_files();
    let second = shown().await;
    assert_ne!(second, first);
    assert_eq!(open.get("/a").await.status, 200, "it goes on with what it began with");
    let metrics = gateway.admin("GET", "/metrics", "").await;
    assert!(metrics.text().contains("freshgate_certificate_expires_seconds{listener=\"data\"} "), "{}", metrics.text());
}

#[tokio::test]
async fn a_client_without_a_good_certificate_stays_outside() {
    let (origin, authority, other) = (kept().await, Authority::new(), Authority::new());
    let (alice, mallory) = (authority.pair("alice"), other.pair("alice"));
    let gateway = before(&origin, &authority, ", client_ca = \"CA\"", "", "").await;
    assert!(gets_in(&gateway, &authority, Some(&alice)).await);
    assert!(!gets_in(&gateway, &authority, None).await);
    assert!(!gets_in(&gateway, &authority, Some(&mallory)).await, "another authority's");
    let optional = before(&origin, &authority, ", client_ca = \"CA\", client_auth = \"optional\"", "", "").await;
    assert!(gets_in(&optional, &authority, None).await);
    assert!(gets_in(&optional, &authority, Some(&alice)).await);
    assert!(!gets_in(&optional, &authority, Some(&mallory)).await, "worse than none");
}

#[tokio::test]
async fn a_handshake_that_never_ends_ends_the_connection_and_plain_words_are_no_handshake() {
    let (origin, authority) = (kept().await, Authority::new());
    let gateway = before(&origin, &authority, "", "limits = { header_timeout = \"200ms\" }\n", "").await;
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let mut seen = Vec::new();
        within("the end", stream.read_to_end(&mut seen)).await.unwrap();
        assert!(seen.is_empty());
    }
    assert_eq!(gateway.reached("header_timeout").await, 2);
    let mut plain = TcpStream::connect(gateway.addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    drop(within("the end", plain.read_to_end(&mut seen)).await);
    assert!(!seen.starts_with(b"HTTP"), "an alert at most");
    assert_eq!(origin.count(), 0);
    // After the handshake the head has what is left of the time.
    let mut late = authority.connect(gateway.addr, &["http/1.1"], None).await.unwrap();
    late.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    drop(within("the end", late.read_to_end(&mut Vec::new())).await);
    assert_eq!(gateway.reached("header_timeout").await, 3);
}

#[tokio::test]
async fn a_session_over_tls_is_for_this_host_and_for_tls_alone() {
    let (origin, authority) = (kept().await, Authority::new());
    authority.install(&authority.pair("a gateway"));
    let tls = authority.table(", client_ca = \"CA\", client_auth = \"optional\"");
    let token = "[[admin.tokens]]\nname = \"by certificate\"\nrole = \"viewer\"\ncertificate = \"olga\"\n";
    let gateway = Gateway::from_all("", &tls, token, &API.replace("ORIGIN", &origin.url())).await;
    let olga = authority.pair("olga");
    let ask = async |own: Option<&Pair>, method: &str, target: &str, fields: &[(&str, &str)], body: &str| {
        let stream = within("a handshake", authority.connect(gateway.admin, &["http/1.1"], own)).await.unwrap();
        Client::over(stream, "localhost").request(method, target, fields, body).await
    };
    let token = format!("{{\"token\":\"{TOKEN}\"}}");
    let answer = ask(None, "POST", "/session", &[("content-type", "application/json")], &token).await;
    let (cookie, attributes) = answer.get("set-cookie").unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Secure");
    let id = cookie.strip_prefix("__Host-freshgate_session=").unwrap();
    let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
    let clear = async |own: Option<&Pair>, cookie: &str, origin: &str| {
        let fields = [("cookie", cookie), ("x-freshgate-csrf", &csrf), ("origin", origin)];
        ask(own, "DELETE", "/v1/cache", &fields, "").await.status
    };
    assert_eq!(clear(None, cookie, "https://localhost").await, 200);
    assert_eq!(clear(None, cookie, "http://localhost").await, 401, "a page that came in the clear");
    assert_eq!(clear(None, &format!("freshgate_session={id}"), "https://localhost").await, 401, "anybody can set that");
    // A session counts before the certificate, and the certificate is still there when the session is over.
    assert_eq!(clear(Some(&olga), cookie, "https://localhost").await, 200);
    let over = [("cookie", "__Host-freshgate_session=over")];
    assert_eq!(ask(Some(&olga), "GET", "/session", &over, "").await.json()["name"], "by certificate");
    assert_eq!(ask(None, "GET", "/session", &over, "").await.status, 401);
}

#[tokio::test]
async fn the_admin_port_knows_operators_by_their_certificates() {
    let (origin, authority, other) = (kept().await, Authority::new(), Authority::new());
    authority.install(&authority.pair("a gateway"));
    let tls = authority.table(", client_ca = \"CA\", client_auth = \"optional\"");
    let token = "[[admin.tokens]]\nname = \"by certificate\"\nrole = \"operator\"\ncertificate = \"olga\"\n";
    let gateway = Gateway::from_all("", &tls, token, &API.replace("ORIGIN", &origin.url())).await;
    let (olga, eve) = (authority.pair("olga"), authority.pair("eve"));
    let ask = async |own: Option<&Pair>, method: &str, target: &str, fields: &[(&str, &str)], body: &str| {
        let stream = within("a handshake", authority.connect(gateway.admin, &["http/1.1"], own)).await.unwrap();
        Client::over(stream, "localhost").request(method, target, fields, body).await
    };
    let bearer = format!("Bearer {TOKEN}");
    let json = ("content-type", "application/json");
    let purge = r#"{"path":"/a"}"#;
    assert_eq!(ask(Some(&olga), "POST", "/v1/purge", &[json], purge).await.status, 200);
    assert_eq!(ask(Some(&olga), "DELETE", "/v1/cache", &[], "").await.status, 403, "an operator");
    assert_eq!(
        ask(Some(&eve), "POST", "/v1/purge", &[json], purge).await.status,
        401,
        "of the authority, and none of the file's"
    );
    assert_eq!(ask(None, "POST", "/v1/purge", &[json], purge).await.status, 401);
    assert_eq!(ask(None, "DELETE", "/v1/cache", &[("authorization", &bearer)], "").await.status, 200);
    assert_eq!(
        ask(Some(&olga), "DELETE", "/v1/cache", &[("authorization", &bearer)], "").await.status,
        200,
        "a token counts first"
    );
    assert_eq!(
        ask(Some(&olga), "POST", "/v1/purge", &[json, ("authorization", "Bearer wrong")], purge).await.status,
        401
    );
    // A browser shows the certificate for whichever page asks it to.
    for field in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        assert_eq!(ask(Some(&olga), "POST", "/v1/purge", &[json, field], purge).await.status, 401, "{field:?}");
    }
    for field in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")] {
        assert_eq!(ask(Some(&olga), "POST", "/v1/purge", &[json, field], purge).await.status, 200, "{field:?}");
    }
    let open = authority.connect(gateway.admin, &["http/1.1"], Some(&olga)).await.unwrap();
    let mut open = Client::over(open, "localhost");
    assert_eq!(open.get("/v1/apis").await.status, 200);
    authority.write("ca.pem", &other.pem());
    gateway.running.look_at_files();
    assert_eq!(open.get("/v1/apis").await.status, 401, "her authority was taken out");
    authority.write("ca.pem", &authority.pem());
    gateway.running.look_at_files();
    let mallory = other.pair("olga");
    let refused = match authority.connect(gateway.admin, &[], Some(&mallory)).await {
        Err(_) => true,
        Ok(stream) => {
            let mut client = Client::over(stream, "localhost");
            client.send("GET", "/v1/apis", &[], "").await;
            client.try_answer().await.is_none()
        }
    };
    assert!(refused);
}

#[tokio::test]
async fn guesses_throw_nobody_out_who_has_a_certificate() {
    let (origin, authority) = (kept().await, Authority::new());
    authority.install(&authority.pair("a gateway"));
    let tls = authority.table(", client_ca = \"CA\", client_auth = \"optional\"");
    let token = "[admin.limits]\nwrong_tokens = 1\n\
                 [[admin.tokens]]\nname = \"by certificate\"\nrole = \"viewer\"\ncertificate = \"olga\"\n";
    let gateway = Gateway::from_all("", &tls, token, &API.replace("ORIGIN", &origin.url())).await;
    let olga = authority.pair("olga");
    let ask = async |own: Option<&Pair>, fields: &[(&str, &str)]| {
        let stream = within("a handshake", authority.connect(gateway.admin, &["http/1.1"], own)).await.unwrap();
        Client::over(stream, "localhost").get_with("/v1/apis", fields).await.status
    };
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(ask(None, &[("authorization", "Bearer guess")]).await, 401);
    assert_eq!(ask(None, &[("authorization", &bearer)]).await, 429);
    assert_eq!(ask(Some(&olga), &[]).await, 200, "nobody guesses a certificate");
}

#[tokio::test]
async fn callers_are_who_their_certificates_say() {
    let origin = Origin::start(|request| {
        let who = request.get("x-client").unwrap_or("nobody").to_owned();
        ready(Reply::ok(who).field("Cache-Control", "max-age=60"))
    })
    .await;
    let authority = Authority::new();
    let auth = "auth = { kind = \"client-certificate\", tell = \"X-Client\" }\n\
                [[api.route]]\non = \"/open\"\nauth = { kind = \"none\" }\n\
                [[api.route]]\non = \"/uri\"\nauth = { kind = \"client-certificate\", name_from = \"uri\", tell = \"X-Client\" }\n\
                [[api.route]]\non = \"/email\"\nauth = { kind = \"client-certificate\", name_from = \"email\" }";
    let gateway = before(&origin, &authority, ", client_ca = \"CA\", client_auth = \"optional\"", "", auth).await;
    let (alice, bob) = (authority.pair("alice"), authority.pair("bob"));
    for _ in 0..2 {
        for (pair, name) in [(&alice, "alice"), (&bob, "bob")] {
            let mut one = client(&gateway, &authority, Some(pair)).await;
            let answer = one.get_with("/a", &[("X-Client", "root"), ("X_Client", "root")]).await;
            assert_eq!(answer.text(), name);
            assert_eq!(one.get("/uri").await.text(), format!("spiffe://example/{name}"));
            let none = one.get("/email").await;
            assert_eq!((none.status, none.cache_says("detail=credentials-malformed")), (401, true));
            gateway.settled().await;
        }
    }
    assert_eq!(origin.count(), 4, "the second time from memory, each from its own partition");
    let mut open = client(&gateway, &authority, Some(&alice)).await;
    assert!(open.get("/a").await.cache_says("hit"));
    // Another certificate of ours changes nothing for callers; another authority does, for open connections as well.
    authority.install(&authority.pair("the next"));
    gateway.running.look_at_files();
    assert!(open.get("/a").await.cache_says("hit"));
    let taken_out = authority.write("ca.pem", &Authority::new().pem());
    gateway.running.look_at_files();
    assert!(open.get("/a").await.cache_says("detail=token-expired"));
    authority.write("ca.pem", &authority.pem());
    gateway.running.look_at_files();
    assert!(open.get("/a").await.cache_says("detail=token-expired"), "{taken_out:?} was there meanwhile");
    let mut late = client(&gateway, &authority, Some(&alice)).await;
    assert!(late.get("/a").await.cache_says("hit"));
    gateway.clock.step(std::time::Duration::from_secs(3600 * 24 * 365 * 3000));
    assert!(late.get("/a").await.cache_says("detail=token-expired"), "its time is over");

    let mut nobody = client(&gateway, &authority, None).await;
    let refused = nobody.get("/a").await;
    assert_eq!((refused.status, refused.get("www-authenticate")), (401, Some("ClientCertificate")));
    assert_eq!(nobody.get_with("/open", &[("X-Client", "root")]).await.text(), "nobody");
    let faults = freshgate::config::parse(
        "[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/\"\nupstream = [\"http://127.0.0.1:1\"]\nauth = { kind = \"client-certificate\" }",
        "f.toml",
        &freshgate::config::Surroundings { env: &|_| None, memory_limit: None },
    );
    assert!(faults.unwrap_err().to_string().contains("needs tls with client_ca"));
}
