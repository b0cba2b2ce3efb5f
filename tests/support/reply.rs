//! What a scripted origin answers, good or bad.

use super::gate::Gate;
use super::wire::Wire;
use tokio::net::TcpStream;

/// An answer, built up in the order in which it is sent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Sent before the head: 1xx answers.
    interim: Vec<u8>,
    status: u16,
    fields: Vec<(String, String)>,
    framing: Framing,
    steps: Vec<Step>,
    trailers: Vec<(String, String)>,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Content-Length, counted from the steps.
    Counted,
    /// Content-Length, whatever the steps are.
    Claimed(u64),
    Chunked,
    /// Neither: the body ends with the connection.
    Close,
    /// No head at all: the steps are all that is sent.
    Raw,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Wait(Gate),
}

/// What becomes of the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    Close,
    /// Ends it in the middle of the message: no last chunk, no trailers.
    Cut,
    /// The same with a TCP reset.
    Reset,
}

impl Reply {
    /// An answer without fields and body.
    pub fn status(status: u16) -> Reply {
        Reply {
            interim: Vec::new(),
            status,
            fields: Vec::new(),
            framing: Framing::Counted,
            steps: Vec::new(),
            trailers: Vec::new(),
            then: Then::Keep,
        }
    }

    /// 200 with a body.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::status(200).body(body)
    }

    /// These bytes and nothing else.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply { framing: Framing::Raw, ..Reply::status(0) }.body(bytes)
    }

    /// No answer: the connection is closed.
    pub fn nothing() -> Reply {
        Reply::raw("").cut()
    }

    /// Adds a field line.
    pub fn field(mut self, name: &str, value: impl AsRef<str>) -> Reply {
        self.fields.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds bytes to the body; a chunk of their own when chunked.
    pub fn body(mut self, bytes: impl AsRef<[u8]>) -> Reply {
        if !bytes.as_ref().is_empty() {
            self.steps.push(Step::Send(bytes.as_ref().to_vec()));
        }
        self
    }

    /// Goes on only when `gate` is open. What came before, at least the head, is sent by then.
    pub fn wait(mut self, gate: &Gate) -> Reply {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Sends a 103 with a Link first.
    pub fn early_hints(mut self, link: &str) -> Reply {
        self.interim.extend(format!("HTTP/1.1 103 Early Hints\r\nLink: {link}\r\n\r\n").into_bytes());
        self
    }

    /// Each piece of the body is a chunk.
    pub fn chunked(mut self) -> Reply {
        self.framing = Framing::Chunked;
        self
    }

    /// Adds a trailer field; makes the body chunked.
    pub fn trailer(mut self, name: &str, value: &str) -> Reply {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self.chunked()
    }

    /// The body ends with the connection.
    pub fn until_close(mut self) -> Reply {
        self.framing = Framing::Close;
        self.then = Then::Close;
        self
    }

    /// Says `Content-Length: n`, true or not.
    pub fn claiming(mut self, n: u64) -> Reply {
        self.framing = Framing::Claimed(n);
        self
    }

    /// Closes the connection after the answer, unannounced.
    pub fn close(mut self) -> Reply {
        self.then = Then::Close;
        self
    }

    /// Closes after the steps, without the proper end of the body.
    pub fn cut(mut self) -> Reply {
        self.then = Then::Cut;
        self
    }

    /// Resets the connection after the steps, without the proper end of the body.
    pub fn reset(mut self) -> Reply {
        self.then = Then::Reset;
        self
    }

    /// Sends it; an error means that the other side is gone. No body goes out in answer to HEAD, nor with 204 and 304.
    pub(super) async fn send(&self, wire: &mut Wire<TcpStream>, method: &str) -> std::io::Result<Then> {
        wire.send(&self.interim).await?;
        if self.framing != Framing::Raw {
            wire.send(&self.head()).await?;
        }
        let bodiless = self.framing != Framing::Raw && (method == "HEAD" || matches!(self.status, 204 | 304));
        for step in &self.steps {
            match step {
                Step::Wait(gate) => gate.pass().await,
                Step::Send(bytes) if !bodiless => wire.send(&self.framed(bytes)).await?,
                Step::Send(_) => {}
            }
        }
        if self.framing == Framing::Chunked && !bodiless && matches!(self.then, Then::Keep | Then::Close) {
            wire.send(format!("0\r\n{}\r\n", lines(&self.trailers)).as_bytes()).await?;
        }
        Ok(self.then)
    }

    fn head(&self) -> Vec<u8> {
        let framing = match self.framing {
            Framing::Counted if self.status == 204 || self.status == 304 => String::new(),
            Framing::Counted => format!("Content-Length: {}\r\n", self.counted()),
            Framing::Claimed(n) => format!("Content-Length: {n}\r\n"),
            Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            Framing::Close | Framing::Raw => String::new(),
        };
        format!("HTTP/1.1 {} Scripted\r\n{}{framing}\r\n", self.status, lines(&self.fields)).into_bytes()
    }

    fn counted(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum()
    }

    fn framed(&self, bytes: &[u8]) -> Vec<u8> {
        if self.framing != Framing::Chunked {
            return bytes.to_vec();
        }
        [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
    }
}

fn lines(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}
