//! What a write makes invalid (RFC 9111 §4.4).

use crate::table::{A, MINUTE, Row, contrast, row};

pub(crate) fn section_4_4() -> Vec<Row> {
    const CITES: &str = "9111 4.4-1";
    let written =
        |why, method, status| row(CITES, why).ok(&[MINUTE, A]).ask(method, &[]).tells(status, &[]).fwd("method");
    let refused =
        |why, status| contrast(why).ok(&[MINUTE]).ask("PUT", &[]).tells(status, &[]).fwd("method").again(0).hit();
    vec![
        written("PUT", "PUT", 200).again(0).fwd("miss"),
        written("PUT makes it", "PUT", 201).again(0).fwd("miss"),
        written("PUT without content", "PUT", 204).again(0).fwd("miss"),
        written("POST", "POST", 200).again(0).fwd("miss"),
        written("POST that is taken for later", "POST", 202).again(0).fwd("miss"),
        written("POST that leads elsewhere", "POST", 303).again(0).fwd("miss"),
        written("POST with a redirection", "POST", 302).again(0).fwd("miss"),
        row(CITES, "POST that leads to a page for signing in")
            .api("login = []")
            .ok(&[MINUTE])
            .ask("POST", &[])
            .tells(302, &["Location: /login"])
            .fwd("method")
            .again(0)
            .fwd("miss"),
        written("POST with the last status of the class", "POST", 399).again(0).fwd("miss"),
        written("PATCH", "PATCH", 200).again(0).fwd("miss"),
        written("DELETE", "DELETE", 204).again(0).fwd("miss"),
        written("a method that nobody knows", "FROBNICATE", 200).again(0).fwd("miss"),
        written("a method that nobody knows, in small letters", "frob", 200).again(0).fwd("miss"),
        written("before a HEAD", "PUT", 200).ask("HEAD", &[]).fwd("miss"),
        row(CITES, "each variant")
            .first("GET", &["X-A: 1"])
            .ok(&[MINUTE, "Vary: X-A"])
            .get(&["X-A: 2"])
            .ok(&[MINUTE, "Vary: X-A"])
            .fwd("vary-miss")
            .ask("PUT", &["X-A: 2"])
            .fwd("method")
            .get(&["X-A: 1"])
            .fwd("miss"),
        row(CITES, "each caller's")
            .first("GET", &["Authorization: Basic YW5uOg=="])
            .ok(&[MINUTE])
            .ask("PUT", &["Authorization: Basic Ym9iOg=="])
            .fwd("method")
            .get(&["Authorization: Basic YW5uOg=="])
            .fwd("miss"),
        row(CITES, "with its query")
            .at("?q=1")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .at("?q=1")
            .fwd("method")
            .get(&[])
            .at("?q=1")
            .fwd("miss"),
        row(CITES, "under another spelling")
            .at("/a")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .at("/%61")
            .fwd("method")
            .get(&[])
            .at("/a")
            .fwd("miss"),
        row(CITES, "under another spelling of the host")
            .first("GET", &["Host: a.example"])
            .ok(&[MINUTE])
            .ask("PUT", &["Host: A.example:80"])
            .fwd("method")
            .get(&["Host: a.example"])
            .fwd("miss"),
        row(CITES, "what is stale, though the origin then fails")
            .api("keep_on_error = \"10m\"")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .fwd("method")
            .again(90)
            .tells(503, &[])
            .fwd("miss"),
        refused("a 4xx invalidates nothing", 404),
        refused("nor does a 500", 500),
        contrast("nor does a safe method").ok(&[MINUTE]).ask("OPTIONS", &[]).fwd("method").again(0).hit(),
        contrast("nor a write elsewhere")
            .at("/a")
            .ok(&[MINUTE])
            .ask("PUT", &[])
            .at("/b")
            .fwd("method")
            .get(&[])
            .at("/a")
            .hit(),
    ]
}

pub(crate) fn section_4_4_others() -> Vec<Row> {
    const CITES: &str = "9111 4.4-2";
    let names = |why, fields| {
        row(CITES, why)
            .at("/a")
            .ok(&[MINUTE])
            .ask("POST", &[])
            .at("/w")
            .tells(201, fields)
            .fwd("method")
            .get(&[])
            .at("/a")
    };
    let own = |why, fields| {
        contrast(why)
            .at("/a")
            .ok(&[MINUTE])
            .ask("POST", &[])
            .at("/w")
            .tells(201, fields)
            .fwd("method")
            .get(&[])
            .at("/a")
    };
    vec![
        names("Location at another host", &["Location: http://other.example{path}/a"]).hit(),
        names("Location at another port", &["Location: http://127.0.0.1:1{path}/a"]).hit(),
        names("Location at another scheme", &["Location: ftp://{host}{path}/a"]).hit(),
        names("Location at another host, without a scheme", &["Location: //other.example{path}/a"]).hit(),
        names("Location that only looks like ours", &["Location: http://{host}@other.example{path}/a"]).hit(),
        names("Content-Location at another host", &["Content-Location: http://other.example{path}/a"]).hit(),
        names("the second of two", &["Content-Location: {path}/b", "Location: http://other.example{path}/a"]).hit(),
        own("Location here", &["Location: {path}/a"]).fwd("miss"),
        own("Location here, in full", &["Location: http://{host}{path}/a"]).fwd("miss"),
        own("Location at the origin's own address", &["Location: {origin}{path}/a"]).fwd("miss"),
        own("Content-Location here", &["Content-Location: {path}/a"]).fwd("miss"),
    ]
}
