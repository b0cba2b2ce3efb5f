//! What is an event, and what is wrong with what isn't.

use super::*;
use http::HeaderName;
use serde_json::json;

const STRUCTURED: &str = "application/cloudevents+json";

fn read_with(fields: &[(&str, &str)], body: &str) -> Result<Vec<Event>, Refused> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    read(&map, body.as_bytes(), 3)
}

fn one(body: &str) -> Result<Event, Refused> {
    read_with(&[("content-type", STRUCTURED)], body).map(|mut events| events.remove(0))
}

/// An event with these members beside what is needed; one of the same name takes its place, `null` takes it away.
fn event(members: Value) -> String {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/db", "type": "t" });
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn plain() -> Event {
    let [id, source, kind] = ["1", "/db", "t"].map(|text| Some(text.to_owned()));
    Event { id, source, kind, ..Event::default() }
}

/// Why it is refused.
fn why(body: &str) -> String {
    match one(body) {
        Err(Refused::Bad { index: None, why }) => why,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_structured_event_is_read() {
    assert_eq!(one(&event(json!({}))), Ok(plain()));
    let all = json!({
        "subject": "AT", "time": "2026-07-01T00:00:00Z", "datacontenttype": "application/json", "dataschema": "http://s",
        "myext": "x", "seq": 7, "last": true, "none": null, "data": { "a": [1] },
    });
    let expected = Event { subject: Some("AT".into()), data: Some(json!({ "a": [1] })), ..plain() };
    assert_eq!(one(&event(all)), Ok(expected));
    for (media, data) in [("text/plain", json!("AT")), ("application/json", json!("AT")), ("a/b+json", json!(7))] {
        let read = one(&event(json!({ "datacontenttype": media, "data": data }))).unwrap();
        assert_eq!(read.data, Some(data), "{media}");
    }
}

#[test]
fn encoded_data_is_decoded_where_it_is_json() {
    // {"a":"b"} and {"a":"ü"}
    for (encoded, data) in [("eyJhIjoiYiJ9", json!({ "a": "b" })), ("eyJhIjoiw7wifQ==", json!({ "a": "ü" }))] {
        assert_eq!(one(&event(json!({ "data_base64": encoded }))).unwrap().data, Some(data));
    }
    let opaque = json!({ "data_base64": "AAEC", "datacontenttype": "application/octet-stream" });
    assert_eq!(one(&event(opaque)).unwrap().data, None);
    assert!(why(&event(json!({ "data_base64": "AAEC" }))).contains("isn't the JSON"));
    for bad in ["A", "AA", "AAA", "AA=A", "A===", "A-A_", "AAE=\n", "AB==", "=AAA", "AA=="] {
        let refused = one(&event(json!({ "data_base64": bad, "datacontenttype": "a/b" })));
        assert_eq!(refused.is_ok(), bad == "AA==", "{bad}: {refused:?}");
    }
}

#[test]
fn bytes_come_out_of_base64_as_they_went_in() {
    for (text, encoded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(decoded(encoded).as_deref(), Some(text.as_bytes()), "RFC 4648 §10");
    }
    assert_eq!(decoded("+/+/").as_deref(), Some(&[0xfb, 0xff, 0xbf][..]));
}

#[test]
fn bad_events_are_refused_with_the_reason() {
    for (members, reason) in [
        (json!({ "specversion": "0.3" }), "`specversion` must be \"1.0\""),
        (json!({ "specversion": "1.0.2" }), "`specversion` must be \"1.0\""),
        (json!({ "specversion": 1.0 }), "`specversion` must be a text"),
        (json!({ "specversion": null }), "`specversion` is missing"),
        (json!({ "id": null }), "`id` is missing"),
        (json!({ "id": "" }), "`id` is empty"),
        (json!({ "id": 7 }), "`id` must be a text"),
        (json!({ "source": null }), "`source` is missing"),
        (json!({ "source": "" }), "`source` is empty"),
        (json!({ "type": null }), "`type` is missing"),
        (json!({ "type": "a\nb" }), "`type` has control characters"),
        (json!({ "subject": "" }), "`subject` is empty"),
        (json!({ "subject": ["AT"] }), "`subject` must be a text"),
        (json!({ "subject": "x".repeat(2049) }), "more than 2048 bytes"),
        (json!({ "time": "" }), "`time` is empty"),
        (json!({ "myExt": "x" }), "`myExt` is no name of an attribute"),
        (json!({ "my_ext": "x" }), "`my_ext` is no name of an attribute"),
        (json!({ "": "x" }), "`` is no name of an attribute"),
        (json!({ "ext": {} }), "`ext` must be a text"),
        (json!({ "ext": 0.5 }), "32 bits"),
        (json!({ "ext": 1_u64 << 31 }), "32 bits"),
        (json!({ "data": 1, "data_base64": "AAEC" }), "exclude each other"),
        (json!({ "data_base64": 7 }), "`data_base64` must be a text"),
    ] {
        let why = why(&event(members.clone()));
        assert!(why.contains(reason), "{members}: {why}");
    }
    let twice = r#"{"specversion":"1.0","id":"1","source":"/db","type":"t","id":"2"}"#;
    assert_eq!(why(twice), "`id` stands twice");
    for body in ["[]", "7", "\"x\"", "null", "true"] {
        assert_eq!(why(body), "a structured event is a JSON object", "{body}");
    }
    for body in ["", "{", "{}x", "{\"id\":}"] {
        assert!(why(body).starts_with("the body isn't JSON"), "{body}");
    }
    assert!(why(&format!("{{\"data\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000))).contains("recursion"));
}

#[test]
fn a_batch_is_read_whole_or_not_at_all() {
    let batch = |events: &[&str]| read_with(&[("content-type", BATCH)], &format!("[{}]", events.join(",")));
    let good = event(json!({}));
    assert_eq!(batch(&[]), Ok(vec![]));
    assert_eq!(batch(&[&good, &event(json!({ "id": "2" }))]).unwrap()[1].id.as_deref(), Some("2"));
    assert_eq!(batch(&[good.as_str(); 4]), Err(Refused::TooMany { most: 3 }));
    for (bad, reason) in [("7", "JSON object"), ("[]", "JSON object"), ("{}", "`specversion` is missing")] {
        let Err(Refused::Bad { index: Some(1), why }) = batch(&[&good, bad, &good]) else { panic!("{bad}") };
        assert!(why.contains(reason), "{bad}: {why}");
    }
    let alone = read_with(&[("content-type", BATCH)], &good);
    assert_eq!(alone, Err(Refused::bad(None, "a batch is a JSON array of events")));
}

const BINARY: [(&str, &str); 4] = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/db"), ("ce-type", "t")];

#[test]
fn a_binary_event_is_read_from_fields_and_content() {
    let read = |more: &[(&str, &str)], body: &str| {
        read_with(&[&BINARY[..], more].concat(), body).map(|mut events| events.remove(0))
    };
    assert_eq!(read(&[], ""), Ok(plain()));
    let json = ("content-type", "Application/JSON; charset=utf-8");
    let expected = Event { data: Some(json!({ "a": 1 })), ..plain() };
    assert_eq!(read(&[json, ("ce-ext", "x")], "{\"a\":1}"), Ok(expected));
    assert_eq!(read(&[("content-type", "text/plain")], "{\"a\":1}"), Ok(plain()), "no JSON");
    assert_eq!(read(&[json], ""), Ok(plain()));
    for (value, subject) in [
        ("AT", "AT"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("ü", "ü"),
        ("%22", "\""),
        ("%2541", "%41"),
        ("\"a b\"", "a b"),
        ("\"a\\\"\\\\b\"", "a\"\\b"),
    ] {
        assert_eq!(read(&[("ce-subject", value)], "").unwrap().subject.as_deref(), Some(subject), "{value}");
    }
    for (more, reason) in [
        (&[("ce-id", "2")][..], "`ce-id` stands twice"),
        (&[("ce-subject", "100%")], "two hexadecimal digits"),
        (&[("ce-subject", "%4")], "two hexadecimal digits"),
        (&[("ce-subject", "%zz")], "two hexadecimal digits"),
        (&[("ce-subject", "%ff")], "isn't UTF-8"),
        (&[("ce-subject", "%0A")], "control characters"),
        (&[("ce-subject", "")], "`subject` is empty"),
        (&[("ce-datacontenttype", "text/plain")], "Content-Type"),
        (&[("ce-data", "x")], "the body"),
        (&[("ce-my-ext", "x")], "no name of an attribute"),
        (&[json], "isn't the JSON"),
    ] {
        let Err(Refused::Bad { index: None, why }) = read(more, "{") else { panic!("{more:?}") };
        assert!(why.contains(reason), "{more:?}: {why}");
    }
    for left_out in BINARY {
        let fields: Vec<_> = BINARY.into_iter().filter(|field| *field != left_out).collect();
        let Err(Refused::Bad { why, .. }) = read_with(&fields, "") else { panic!() };
        assert_eq!(why, format!("`{}` is missing", &left_out.0[3..]));
    }
}

#[test]
fn what_is_no_cloud_event_is_told_so() {
    for kind in [
        "application/json",
        "application/cloudevents",
        "application/cloudevents+xml",
        "application/cloudevents+json; charset=latin1",
        "text/plain",
        "",
    ] {
        assert_eq!(read_with(&[("content-type", kind)], &event(json!({}))), Err(Refused::Unsupported), "{kind}");
    }
    assert_eq!(read_with(&[], &event(json!({}))), Err(Refused::Unsupported));
    let twice = [("content-type", STRUCTURED), ("content-type", STRUCTURED)];
    assert_eq!(read_with(&twice, &event(json!({}))), Err(Refused::Unsupported));
    for kind in [
        "APPLICATION/cloudevents+JSON",
        "application/cloudevents+json;charset=UTF-8",
        "application/cloudevents+json; charset=\"utf-8\"",
    ] {
        assert_eq!(read_with(&[("content-type", kind)], &event(json!({}))), Ok(vec![plain()]), "{kind}");
    }
    // Fields say what the content says as well, for those on the way (HTTP binding §3.2.3).
    let both = [&[("content-type", STRUCTURED)], &BINARY[..]].concat();
    assert_eq!(read_with(&both, &event(json!({ "id": "inside" }))).unwrap()[0].id.as_deref(), Some("inside"));
}
