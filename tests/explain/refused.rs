//! What is no request is refused by the name of what is wrong.

use super::support::{Gateway, Origin, Reply};

#[tokio::test]
async fn bad_input_is_named() {
    let origin = Origin::always(Reply::ok("x")).await;
    let gateway = Gateway::before(&origin, "").await;
    for (body, member) in [
        ("", "body"),
        ("[]", "body"),
        ("{}", "url"),
        ("{\"url\":\"books\"}", "url"),
        ("{\"url\":\"http://h\"}", "url"),
        ("{\"url\":\"ftp://h/a\"}", "url"),
        ("{\"url\":\"/a b\"}", "url"),
        ("{\"url\":\"\"}", "url"),
        ("{\"url\":\"/\",\"method\":\"G T\"}", "method"),
        ("{\"url\":\"/\",\"method\":\"\"}", "method"),
        ("{\"url\":\"/\",\"headers\":{\"a b\":\"c\"}}", "headers"),
        ("{\"url\":\"/\",\"headers\":[[\"a\",\"b\\u0000\"]]}", "headers"),
        ("{\"url\":\"/\",\"headers\":7}", "headers"),
        ("{\"url\":\"/\",\"caller\":{}}", "caller"),
        ("{\"url\":\"/\",\"address\":\"nowhere\"}", "address"),
        ("{\"url\":\"/\",\"color\":\"red\"}", "body"),
    ] {
        let answer = gateway.admin("POST", "/v1/explain", body).await;
        assert_eq!((answer.status, answer.one("content-type")), (400, "application/problem+json"), "{body}");
        assert_eq!(answer.json()["member"], member, "{body}: {}", answer.text());
    }
    let long = format!("{{\"url\":\"/{}\"}}", "a".repeat(200 << 10));
    assert_eq!(gateway.admin("POST", "/v1/explain", &long).await.status, 413);
    assert_eq!(origin.count(), 0);
}
