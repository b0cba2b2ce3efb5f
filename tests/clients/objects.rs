//! The calls of a key/value application, from clients as they come.

use crate::support::Gateway;
use crate::world::{plain, wanted};

/// Method, key with its query, fields, body; expected are the status and, of an answer that has one to check, the body.
type Call =
    (&'static str, &'static str, &'static [(&'static str, &'static str)], Option<&'static str>, u16, &'static str);

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

const CALLS: &[Call] = &[
    // get
    ("GET", "user:1", &[], None, 404, "urn:freshgate:problem:no-object"),
    // insert
    ("POST", "user:1", JSON, Some("{\"name\":\"Ada\"}"), 201, ""),
    ("GET", "user:1", &[], None, 200, "{\"name\":\"Ada\"}"),
    ("POST", "user:1", JSON, Some("{\"name\":\"Eve\"}"), 409, "urn:freshgate:problem:object-exists"),
    ("GET", "user:1", &[], None, 200, "{\"name\":\"Ada\"}"),
    // upsert
    ("PUT", "user:1", JSON, Some("{\"name\":\"Ada L.\"}"), 204, ""),
    ("PUT", "user:2", JSON, Some("{\"name\":\"Bob\"}"), 201, ""),
    ("GET", "user:1", &[], None, 200, "{\"name\":\"Ada L.\"}"),
    ("HEAD", "user:2", &[], None, 200, ""),
    // with an expiry
    ("PUT", "session%2F7?ttl=60", &[], Some("token"), 201, ""),
    ("GET", "session%2F7", &[], None, 200, "token"),
    ("PUT", "session%2F7?ttl=never", &[], Some("token"), 400, "urn:freshgate:problem:bad-query"),
    // remove
    ("DELETE", "user:2", &[], None, 204, ""),
    ("DELETE", "user:2", &[], None, 404, "urn:freshgate:problem:no-object"),
    ("GET", "user:2", &[], None, 404, "urn:freshgate:problem:no-object"),
    // several
    ("POST", "_get", JSON, Some("{\"keys\":[\"user:1\",\"user:2\"]}"), 200, "\"missing\":[\"user:2\"]"),
    ("GET", "_mine", &[], None, 400, "urn:freshgate:problem:bad-key"),
    // compare and set
    ("PUT", "user:1", &[("If-None-Match", "*")], Some("x"), 412, "urn:freshgate:problem:precondition-failed"),
    ("PUT", "user:1", &[("If-Match", "\"not this one\"")], Some("x"), 412, "urn:freshgate:problem:precondition-failed"),
    ("PUT", "user:1", &[("If-Match", "*")], Some("last"), 204, ""),
    ("GET", "user:1", &[], None, 200, "last"),
];

#[tokio::test(flavor = "multi_thread")]
async fn get_insert_upsert_remove_and_expiry() {
    if !wanted() {
        return;
    }
    for mut client in plain() {
        let objects = "[objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"app\"\nttl = \"1d\"\n";
        let gateway = Gateway::with(objects, "").await;
        let base = format!("http://{}/app", gateway.running.objects.unwrap());
        let name = client.name();
        for (method, key, fields, body, status, expected) in CALLS {
            let got = client.ask(method, &format!("{base}/{key}"), fields, *body);
            let text = String::from_utf8_lossy(&got.body);
            assert_eq!(got.status, *status, "{name}: {method} {key}: {text}");
            assert!(text.contains(expected), "{name}: {method} {key}: {text}");
        }
        let etag = client.get(&format!("{base}/user:1")).get("etag").unwrap().to_owned();
        let same = client.get_with(&format!("{base}/user:1"), &[("If-None-Match", &etag)]);
        assert_eq!(same.status, 304, "{name}");
        gateway.step(61);
        assert_eq!(client.get(&format!("{base}/session%2F7")).status, 404, "{name}: its time is over");
        assert_eq!(client.get(&format!("{base}/user:1")).status, 200, "{name}");
    }
}
