//! What is refused changes nothing, and says why.

use super::support::{Authority, Client, Gateway};
use super::{CODES, cache, codes};
use freshgate::secret::digest;

const LONG: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn bad_input() {
    let (_gateway, mut client) = cache(&codes("max_ttl = \"200d\"")).await;
    let etag = client.put("/codes/AT", "there").await.fields.one("etag").to_owned();
    let long = format!("/codes/{}", "k".repeat(513));
    let many = serde_json::to_string(&vec!["k"; 101]).unwrap();
    let rows: &[(&str, &str, &str, u16, &str)] = &[
        ("GET", &long, "", 400, "bad-key"),
        ("PUT", &long, "x", 400, "bad-key"),
        ("PUT", "/codes/a%0Ab", "x", 400, "bad-key"),
        ("PUT", "/codes/a%7f", "x", 400, "bad-key"),
        ("GET", "/codes/%ff", "", 400, "bad-key"),
        ("PUT", "/codes/_mine", "x", 400, "bad-key"),
        ("PUT", "/codes/a/b", "x", 400, "bad-key"),
        ("PUT", "/codes/..", "x", 400, "bad-key"),
        ("PUT", "/codes/AT?ttl=201d", "x", 400, "bad-query"),
        ("PUT", "/codes/AT?ttl=forever", "x", 400, "bad-query"),
        ("PUT", "/codes/AT?ttl=-1", "x", 400, "bad-query"),
        ("PUT", "/codes/AT?ttl=soon", "x", 400, "bad-query"),
        ("PUT", "/codes/AT?tll=1", "x", 400, "bad-query"),
        ("GET", "/codes/AT?x=1", "", 400, "bad-query"),
        ("GET", "/nothing/AT", "", 404, "no-namespace"),
        ("PUT", "/nothing/AT", "x", 404, "no-namespace"),
        ("GET", "/nothing", "", 404, "no-namespace"),
        ("POST", "/nothing/_get", "[\"a\"]", 404, "no-namespace"),
        ("PATCH", "/codes/AT", "x", 405, "method-refused"),
        ("OPTIONS", "/codes/AT", "", 405, "method-refused"),
        ("PUT", "/codes", "x", 405, "method-refused"),
        ("DELETE", "/codes/", "", 405, "method-refused"),
        ("GET", "/codes/_get", "", 405, "method-refused"),
        ("POST", "/", "x", 405, "method-refused"),
        ("POST", "/codes/_get", "", 400, "bad-batch"),
        ("POST", "/codes/_get", "{\"key\":[]}", 400, "bad-batch"),
        ("POST", "/codes/_get", "[]", 400, "bad-batch"),
        ("POST", "/codes/_get", "[1]", 400, "bad-batch"),
        ("POST", "/codes/_get", "{\"keys\":[\"a\"],\"x\":1}", 400, "bad-batch"),
        ("PUT", "/codes/a%2F..%2Fb", "x", 400, "bad-key"),
        ("POST", "/codes/_get", &many, 400, "bad-batch"),
        ("POST", "/codes/_get", "[\"_x\"]", 400, "bad-key"),
    ];
    for (method, target, body, status, name) in rows {
        let answer = client.request(method, target, &[], body).await;
        assert_eq!(answer.status, *status, "{method} {target} {body}: {}", answer.text());
        assert_eq!(answer.json()["type"], format!("urn:freshgate:problem:{name}"), "{method} {target}");
        assert_eq!(answer.fields.one("content-type"), "application/problem+json");
        assert!(answer.json()["detail"].as_str().unwrap().len() > 10, "{method} {target}");
        if answer.fields.get("connection") == Some("close") {
            client = Client::connect(_gateway.running.objects.unwrap()).await;
        }
    }
    let tags = "t".repeat(5000);
    assert_eq!(client.request("PUT", "/codes/AT", &[("surrogate-key", &tags)], "x").await.status, 400);
    let still = client.get("/codes/AT").await;
    assert_eq!((still.text(), still.fields.one("etag")), ("there", &*etag));
}

#[tokio::test]
async fn without_tokens_no_web_page_may_ask() {
    let (gateway, mut client) = cache(CODES).await;
    let addr = gateway.running.objects.unwrap().to_string();
    for (field, status) in [
        (("origin", "https://evil.example"), 403),
        (("sec-fetch-site", "cross-site"), 403),
        (("sec-fetch-site", "same-site"), 403),
        (("host", "rebound.example"), 403),
        (("host", "rebound.example:8081"), 403),
        (("host", "localhost:8081"), 201),
        (("host", "[::1]:8081"), 204),
        (("host", &addr), 204),
    ] {
        let answer = client.request("PUT", "/codes/AT", &[field], "x").await;
        assert_eq!(answer.status, status, "{field:?}");
    }
    let mut raw = Client::connect(gateway.running.objects.unwrap()).await;
    raw.send_raw("GET /codes/AT HTTP/1.1\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 400, "no Host");
}

fn token(name: &str, role: &str) -> String {
    let hex: String = digest(format!("{name}-{LONG}").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[objects.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hex}\"\n")
}

#[tokio::test]
async fn tokens_and_what_they_may() {
    let tokens = format!("{}{}", token("reader", "viewer"), token("writer", "operator"));
    let (_gateway, mut client) = cache(&format!("{tokens}{CODES}")).await;
    let bearer = |name: &str| format!("Bearer {name}-{LONG}");
    let (reader, writer) = (bearer("reader"), bearer("writer"));
    let ask = async |client: &mut Client, method: &str, target: &str, token: &str| {
        client.request(method, target, &[("authorization", token)], "[\"a\"]").await.status
    };
    for (method, target) in [("GET", "/codes/a"), ("PUT", "/codes/a"), ("GET", "/"), ("GET", "/nothing/x")] {
        let refused = client.request(method, target, &[], "x").await;
        assert_eq!(
            (refused.status, refused.fields.get("www-authenticate").is_some()),
            (401, true),
            "{method} {target}"
        );
        assert_eq!(ask(&mut client, method, target, "Bearer wrong").await, 401);
    }
    for (method, target, read, write) in [
        ("PUT", "/codes/a", 403, 201),
        ("GET", "/codes/a", 200, 200),
        ("HEAD", "/codes/a", 200, 200),
        ("GET", "/codes", 200, 200),
        ("POST", "/codes/_get", 200, 200),
        ("POST", "/codes/a", 403, 409),
        ("DELETE", "/codes/a", 403, 204),
    ] {
        assert_eq!(ask(&mut client, method, target, &reader).await, read, "reader: {method} {target}");
        assert_eq!(ask(&mut client, method, target, &writer).await, write, "writer: {method} {target}");
    }
    let page = [("authorization", &*writer), ("origin", "https://app.example"), ("host", "objects.example")];
    assert_eq!(client.request("GET", "/codes", &page, "").await.status, 200, "who has a token may be anywhere");
}

#[tokio::test]
async fn over_tls() {
    let authority = Authority::new();
    authority.install(&authority.pair("objects"));
    let rest = format!("[objects]\nlisten = \"127.0.0.1:0\"\n{}{CODES}", authority.table(""));
    let gateway = Gateway::with(&rest, "").await;
    let stream = authority.connect(gateway.running.objects.unwrap(), &["http/1.1"], None).await.unwrap();
    let mut client = Client::over(stream, "localhost");
    assert_eq!(client.put("/codes/a", "x").await.status, 201);
    assert_eq!(client.get("/codes/a").await.text(), "x");
}
