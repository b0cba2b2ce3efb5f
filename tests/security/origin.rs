//! An origin that notes every byte it gets, reads it strictly, and tells in its answer what it was asked.

use super::strict::{Read, Whole, read};
use freshgate::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What an origin answers: fields, and content.
pub type Answer = dyn Fn(&Whole) -> String + Send + Sync;

/// A recording origin; it ends when it is dropped.
pub struct Recorder {
    pub addr: SocketAddr,
    noted: Arc<Noted>,
    _stop: DropGuard,
}

#[derive(Default)]
struct Noted {
    /// Whole requests in the order in which they came.
    requests: Mutex<Vec<Whole>>,
    /// The bytes of each connection.
    bytes: Mutex<Vec<Vec<u8>>>,
}

impl Recorder {
    /// Answers what is asked for with the request line as content, and says that it isn't to be kept.
    pub async fn start() -> Recorder {
        Recorder::answering(|request| plain("Cache-Control: no-store\r\n", &request.line())).await
    }

    pub async fn answering(answer: impl Fn(&Whole) -> String + Send + Sync + 'static) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (noted, stop, tasks) = (Arc::<Noted>::default(), CancellationToken::new(), Tasks::default());
        let (theirs, their_stop, their_tasks) = (Arc::clone(&noted), stop.clone(), tasks.clone());
        let answer: Arc<Answer> = Arc::new(answer);
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = their_stop.run_until_cancelled(listener.accept()).await {
                let (noted, answer, stop) = (Arc::clone(&theirs), Arc::clone(&answer), their_stop.clone());
                their_tasks.spawn(async move {
                    stop.run_until_cancelled(converse(stream, noted, answer)).await;
                });
            }
        });
        Recorder { addr, noted, _stop: stop.drop_guard() }
    }

    /// Whole requests so far.
    pub fn requests(&self) -> Vec<Whole> {
        self.noted.requests.lock().unwrap().clone()
    }

    /// What of all that has come isn't well-formed.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for bytes in self.noted.bytes.lock().unwrap().iter() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                match read(rest) {
                    Read::Whole(_, end) => rest = &rest[end..],
                    Read::Unfinished => break,
                    Read::Malformed(fault) => {
                        faults.push(fault);
                        break;
                    }
                }
            }
        }
        faults
    }

    /// All bytes that have come, for what must not be anywhere in them.
    pub fn has_seen(&self, text: &str) -> bool {
        let bytes = self.noted.bytes.lock().unwrap();
        bytes.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// A 200 with these field lines and this content.
pub fn plain(fields: &str, content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{content}", content.len())
}

async fn converse(mut stream: TcpStream, noted: Arc<Noted>, answer: Arc<Answer>) {
    stream.set_nodelay(true).unwrap();
    let number = {
        let mut bytes = noted.bytes.lock().unwrap();
        bytes.push(Vec::new());
        bytes.len() - 1
    };
    let (mut buffer, mut more) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(n @ 1..) = stream.read(&mut more).await {
        buffer.extend_from_slice(&more[..n]);
        noted.bytes.lock().unwrap()[number].extend_from_slice(&more[..n]);
        loop {
            let (request, end) = match read(&buffer) {
                Read::Whole(request, end) => (request, end),
                Read::Unfinished => break,
                Read::Malformed(_) => return,
            };
            buffer.drain(..end);
            let text = answer(&request);
            noted.requests.lock().unwrap().push(request);
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
