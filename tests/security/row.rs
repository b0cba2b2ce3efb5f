//! One row of the table.

/// What a row sends.
#[derive(Clone, Debug)]
pub enum Sent {
    /// These bytes, which only HTTP/1.1 has.
    Raw(Vec<u8>),
    /// This request, which another version of HTTP can say as well.
    Said(Said),
}

/// A request by its meaning.
#[derive(Clone, Debug)]
pub struct Said {
    pub method: &'static str,
    /// As HTTP/1.1 writes it, or `:path`.
    pub target: String,
    /// `Host`, or `:authority`.
    pub host: String,
    pub fields: Vec<(String, String)>,
    pub body: &'static str,
}

impl Said {
    /// A GET of `target` at the host `a`.
    pub fn get(target: &str) -> Said {
        Said { method: "GET", target: target.to_owned(), host: "a".to_owned(), fields: Vec::new(), body: "" }
    }

    pub fn method(mut self, method: &'static str) -> Said {
        self.method = method;
        self
    }

    pub fn host(mut self, host: &str) -> Said {
        host.clone_into(&mut self.host);
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Said {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &'static str) -> Said {
        self.body = body;
        self
    }

    /// Its bytes in HTTP/1.1.
    pub fn to_http1(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        (head + "\r\n" + self.body).into_bytes()
    }
}

/// What must come of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The gateway's own answer of this status, then the connection is closed; the origin has seen nothing.
    Refused(u16),
    /// As before, but the body is found to be broken while it streams: the origin may have seen the head of it, never the whole.
    Broken(u16),
    /// The gateway's own answer of this status; what comes behind is answered if the connection stays, and never taken for another.
    Own(u16),
    /// Answered 200 by the origin, which has seen exactly these requests.
    Reaches(Vec<Seen>),
    /// Some requests reach the origin and are answered, and then one is refused with this status and the connection closed.
    ReachesThenRefused(Vec<Seen>, u16),
}

/// What the origin must have seen of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method and target.
    pub line: String,
    /// Fields with the value that they must have, or `None` where they must not be there.
    pub facts: Vec<(String, Option<String>)>,
    pub body: Option<String>,
    /// Trailer fields, all of them.
    pub trailers: Option<Vec<String>>,
}

/// A request of this line.
pub fn seen(line: &str) -> Seen {
    Seen { line: line.to_owned(), facts: Vec::new(), body: None, trailers: None }
}

impl Seen {
    /// With this field, once, of this value.
    pub fn with(mut self, name: &str, value: &str) -> Seen {
        self.facts.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Without these fields.
    pub fn without(mut self, names: &[&str]) -> Seen {
        self.facts.extend(names.iter().map(|name| ((*name).to_owned(), None)));
        self
    }

    pub fn body(mut self, body: &str) -> Seen {
        self.body = Some(body.to_owned());
        self
    }

    pub fn trailers(mut self, names: &[&str]) -> Seen {
        self.trailers = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub cites: &'static str,
    pub sent: Sent,
    pub outcome: Outcome,
}

impl Row {
    pub fn bytes(&self) -> Vec<u8> {
        match &self.sent {
            Sent::Raw(bytes) => bytes.clone(),
            Sent::Said(said) => said.to_http1(),
        }
    }
}

fn row(name: &'static str, cites: &'static str, sent: Sent, outcome: Outcome) -> Row {
    Row { name, cites, sent, outcome }
}

/// Bytes that are refused with 400.
pub fn refused(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Row {
    refused_with(400, name, cites, bytes)
}

pub fn refused_with(status: u16, name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Row {
    row(name, cites, Sent::Raw(bytes.as_ref().to_vec()), Outcome::Refused(status))
}

/// Bytes of which the head passes and the body is found to be broken.
pub fn broken(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Row {
    row(name, cites, Sent::Raw(bytes.as_ref().to_vec()), Outcome::Broken(400))
}

/// Bytes that reach the origin.
pub fn reaches(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>, requests: Vec<Seen>) -> Row {
    row(name, cites, Sent::Raw(bytes.as_ref().to_vec()), Outcome::Reaches(requests))
}

pub fn reaches_then_refused(
    name: &'static str,
    cites: &'static str,
    bytes: impl AsRef<[u8]>,
    requests: Vec<Seen>,
) -> Row {
    row(name, cites, Sent::Raw(bytes.as_ref().to_vec()), Outcome::ReachesThenRefused(requests, 400))
}

/// Bytes that the gateway answers by itself.
pub fn own(status: u16, name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Row {
    row(name, cites, Sent::Raw(bytes.as_ref().to_vec()), Outcome::Own(status))
}

/// A request that is refused with 400.
pub fn says_refused(name: &'static str, cites: &'static str, said: Said) -> Row {
    row(name, cites, Sent::Said(said), Outcome::Refused(400))
}

/// A request that reaches the origin.
pub fn says(name: &'static str, cites: &'static str, said: Said, request: Seen) -> Row {
    row(name, cites, Sent::Said(said), Outcome::Reaches(vec![request]))
}

/// A POST to `/x` with these lines beside Host, joined by CRLF, and this body.
pub fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}").into_bytes()
}

/// A POST to `/x` in chunks.
pub fn chunked(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked", body)
}

/// A GET of `/x` with these lines beside Host, joined by CRLF.
pub fn get(fields: &str) -> Vec<u8> {
    format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes()
}
