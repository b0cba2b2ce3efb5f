//! The panel's page and files: for everybody, kept for as long as they are the same, and allowed nothing but what is here.

use crate::support::{call, port, raw};

/// What a page or a module loads, as it is written in it.
fn loads(text: &str) -> Vec<String> {
    let marks = ["from \"", "import(\"", "import \"", "src=\"", "href=\""];
    let after = |mark| text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).map(String::from);
    marks.iter().flat_map(|mark| after(*mark)).filter(|name| !name.starts_with('#')).collect()
}

/// The path that `name` means in the file at `base`.
fn path(base: &str, name: &str) -> String {
    let mut parts: Vec<&str> = if name.starts_with('/') { vec![] } else { base.split('/').collect() };
    parts.pop();
    for part in name.trim_start_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/").trim_start_matches('/'))
}

#[tokio::test]
async fn everything_that_the_page_loads_is_here() {
    let port = port().await;
    let (mut seen, mut next) = (Vec::new(), vec!["/".to_owned()]);
    while let Some(file) = next.pop() {
        let answer = call(&port, "", "GET", &file).await;
        assert_eq!(answer.status, 200, "{file}");
        let kind = answer.field("content-type").unwrap().to_owned();
        let expected = match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{other}"),
        };
        assert_eq!(kind, expected, "{file}");
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        for name in loads(&answer.body) {
            assert!(!name.contains("://") && !name.starts_with("//"), "{file} loads {name}");
            let path = path(&file, &name);
            if !seen.contains(&path) {
                seen.push(path.clone());
                next.push(path);
            }
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
    for missing in ["/panel/", "/panel/nothing.js", "/panel/../session", "/panel/pages", "/panel/%2e%2e/mod.rs"] {
        let status = call(&port, "", "GET", missing).await.status;
        assert!(matches!(status, 401 | 404), "{missing}: {status}");
    }
}

#[tokio::test]
async fn the_page_may_load_from_here_only_and_run_nothing_else() {
    let port = port().await;
    let page = call(&port, "", "GET", "/").await;
    let policy = page.field("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split("; ").any(|said| said == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    assert_eq!(page.field("x-frame-options"), Some("deny"));
    assert_eq!(page.field("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.field("set-cookie"), None);
    for inline in [" style=", " onclick=", " onload=", "<style", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn files_are_kept_until_they_change_and_answers_never() {
    let port = port().await;
    let mut tags = Vec::new();
    for file in ["/", "/panel/app.js", "/panel/panel.css"] {
        let first = call(&port, "", "GET", file).await;
        assert_eq!(first.field("cache-control"), Some("no-cache"));
        let tag = first.field("etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
        for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}")] {
            let head = format!("GET {file} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {known}\r\nConnection: close\r\n\r\n");
            let again = raw(port.address, &head).await;
            assert_eq!((again.status, again.field("etag"), &*again.body), (304, Some(&*tag), ""));
        }
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3);
    assert_eq!(call(&port, "viewer", "GET", "/v1/apis").await.field("cache-control"), Some("no-store"));
    assert_eq!(call(&port, "", "GET", "/panel/nothing.js").await.field("cache-control"), Some("no-store"));
}
