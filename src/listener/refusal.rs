//! hyper's own refusals, with the body and the fields that all of ours have.
//!
//! What hyper can't parse never reaches a handler: it writes a bare 400, 414 or 431 itself. The bytes tell: its head
//! begins with these two fields, while an answer of a handler never does, since `Connection` ends here and what hyper
//! adds comes after a handler's fields. (Where an earlier answer is still in the same buffer the bare one goes out;
//! it says the same with fewer words.)

use http::StatusCode;
use memchr::memmem;

/// Longer than the head that hyper writes then.
const LONGEST: usize = 512;

/// A request that could not be read as one: what its client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// The stable name, as in the answer.
    pub name: &'static str,
}

/// The answer to send in place of `bytes`, if those are a refusal of hyper's.
pub(super) fn in_place_of(bytes: &[u8]) -> Option<(Refused, Vec<u8>)> {
    if !bytes.starts_with(b"HTTP/1.1 4") || bytes.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let rest = fields.strip_prefix("connection: close\r\ncontent-length: 0\r\n")?;
    let end = if rest.starts_with("\r\n") { 2 } else { memmem::find(rest.as_bytes(), b"\r\n\r\n")? + 4 };
    if end != rest.len() {
        return None;
    }
    let (code, title) = line.strip_prefix("HTTP/1.1 ")?.split_once(' ')?;
    let status = StatusCode::from_bytes(code.as_bytes()).ok()?;
    let (name, detail) = match code {
        "414" => ("target-too-long", "the request's target is longer than this server takes"),
        "431" => ("head-too-large", "the request's head has more bytes or fields than server.limits allows"),
        _ => ("malformed-request", "the request isn't well-formed, or can be read in two ways"),
    };
    let body =
        format!(r#"{{"detail":"{detail}","status":{code},"title":"{title}","type":"urn:freshgate:problem:{name}"}}"#);
    let fields = format!(
        "content-type: application/problem+json\r\ncache-control: no-store\r\nvia: 1.1 freshgate\r\n\
         cache-status: freshgate; detail={name}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    Some((Refused { status, name }, format!("{line}\r\n{fields}{rest}{body}").into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let (refused, said) = in_place_of(bare.as_bytes()).unwrap();
        assert_eq!(refused, Refused { status: StatusCode::BAD_REQUEST, name: "malformed-request" });
        let said = String::from_utf8(said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with("\r\ndate: now") && head.contains(&format!("content-length: {}\r\n", body.len())),
            "{said}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["status"], 400);
        for other in [
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nvia: 1.1 freshgate\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n",
            "400",
        ] {
            assert_eq!(in_place_of(other.as_bytes()), None, "{other}");
        }
    }
}
