//! What the demo prints: where everything is, and lines to paste.

use std::fmt::Write;
use std::net::SocketAddr;

/// The path under which the gateway shows the bookstore.
pub const PREFIX: &str = "/bookstore/v1";

/// The text that the demo prints once everything listens: the addresses, the admin token, and a walk in `curl` lines.
///
/// `gateway` is where clients go, `admin` the admin port, `origin` the bookstore itself, `token` an administrator's
/// secret. Every line that isn't indented is prose; the indented ones can be pasted into a shell.
pub fn welcome(gateway: SocketAddr, admin: SocketAddr, origin: SocketAddr, token: &str, program: &str) -> String {
    let mut text = format!(
        "Freshgate demo: a bookstore API behind a caching gateway.\n\n\
         gateway        http://{gateway}{PREFIX}\n\
         control panel  http://{admin}/  (open it in a browser and sign in with the admin token)\n\
         admin API      http://{admin}/v1\n\
         admin token    {token}\n\
         bookstore      http://{origin}  (the origin itself; every answer takes a while)\n\n\
         Paste this first:\n    {}\n",
        settings(gateway, admin, origin, token, program).join("\n    ")
    );
    for (number, (what, lines)) in (1..).zip(WALK) {
        // Writing to a string can't fail.
        let _ = write!(text, "\n{number}. {what}\n    {}\n", lines.join("\n    "));
    }
    text.push_str("\nCtrl-C stops the demo.\n");
    text
}

fn settings(gateway: SocketAddr, admin: SocketAddr, origin: SocketAddr, token: &str, program: &str) -> [String; 5] {
    [
        format!("API=http://{gateway}{PREFIX}"),
        format!("ORIGIN=http://{origin}"),
        format!("export FRESHGATE_ADMIN=http://{admin}"),
        format!("export FRESHGATE_TOKEN={token}"),
        format!("FRESHGATE='{program}'"),
    ]
}

/// What to try, step by step.
const WALK: &[(&str, &[&str])] = &[
    (
        "Read a book twice. The first answer comes from the bookstore, slowly; the second from the cache (see Cache-Status and Age).",
        &["curl -i $API/books/1", "curl -i $API/books/1"],
    ),
    (
        "Fill the cache with a listing and with the author's books, too.",
        &["curl -s \"$API/books?sort=price\"", "curl -s $API/authors/1/books"],
    ),
    (
        "Change the price. Once this is answered, nobody gets the old one any more.",
        &["curl -i -X PUT $API/books/1 -d '{\"title\":\"The Left Hand of Darkness\",\"author_id\":1,\"price\":8.5}'"],
    ),
    (
        "Read all three again: each shows the new price at once, though none had run out.",
        &["curl -i $API/books/1", "curl -i \"$API/books?sort=price\"", "curl -i $API/authors/1/books"],
    ),
    (
        "Change it behind the gateway's back, and the old price stays until ttl ends or somebody purges.",
        &[
            "curl -s -X PUT $ORIGIN/books/1 -d '{\"title\":\"The Left Hand of Darkness\",\"author_id\":1,\"price\":7}'",
            "curl -s $API/books/1",
        ],
    ),
    (
        "So purge: from the command line, or with curl.",
        &[
            "\"$FRESHGATE\" purge --path /bookstore/v1/books/1",
            "curl -s $FRESHGATE_ADMIN/v1/purge -H \"Authorization: Bearer $FRESHGATE_TOKEN\" \\\n        \
             -H 'Content-Type: application/json' -d '{\"prefix\":\"/bookstore/v1/books\"}'",
            "curl -s $API/books/1",
        ],
    ),
    (
        "See what the cache saved: hits, misses, entries; and how many requests reached the bookstore.",
        &[
            "curl -s $FRESHGATE_ADMIN/v1/apis -H \"Authorization: Bearer $FRESHGATE_TOKEN\"",
            "curl -s $ORIGIN/_demo/requests",
        ],
    ),
    (
        "Make the bookstore slower (milliseconds), to feel it.",
        &["curl -s -X PUT $ORIGIN/_demo/delay -d '{\"ms\":1500}'"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_address_and_the_token() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = welcome(address(8081), address(9092), address(9003), "s3cret", "/bin/freshgate");
        assert!(text.contains("API=http://127.0.0.1:8081/bookstore/v1\n"), "{text}");
        assert!(text.contains("export FRESHGATE_ADMIN=http://127.0.0.1:9092\n"), "{text}");
        assert!(text.contains("control panel  http://127.0.0.1:9092/ "), "{text}");
        assert!(text.contains("ORIGIN=http://127.0.0.1:9003\n"), "{text}");
        assert!(text.contains("export FRESHGATE_TOKEN=s3cret\n"), "{text}");
        assert!(text.contains("\n8. "), "{text}");
    }

    #[test]
    fn every_body_to_send_is_json() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let text = welcome(address, address, address, "t", "freshgate");
        let bodies: Vec<&str> = text.split("-d '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert_eq!(bodies.len(), 4);
        for body in bodies {
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        }
    }
}
