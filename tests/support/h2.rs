//! A client of HTTP/2 that hides nothing: each answer with its fields and how it ended.

use super::client::Answer;
use super::gate::within;
use super::message::Fields;
use bytes::Bytes;
use freshgate::tasks::Tasks;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// One connection.
pub struct H2 {
    pub send: SendRequest<Bytes>,
    host: String,
    scheme: &'static str,
    /// The task that carries it.
    pub carrying: Tasks,
}

/// How a stream ended that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was reset, for this reason.
    Reset(Reason),
    /// The connection ended.
    Closed,
}

impl H2 {
    /// A connection without TLS, by prior knowledge.
    pub async fn connect(addr: SocketAddr) -> H2 {
        let stream = within("a connection", TcpStream::connect(addr)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        H2::over(stream, &addr.to_string(), "http", h2::client::Builder::new()).await
    }

    /// Over any stream; `host` and `scheme` are what its requests say.
    pub async fn over<S>(stream: S, host: &str, scheme: &'static str, builder: h2::client::Builder) -> H2
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = within("a handshake", builder.handshake(stream)).await.unwrap();
        let carrying = Tasks::default();
        carrying.spawn(async move { drop(connection.await) });
        H2 { send, host: host.to_owned(), scheme, carrying }
    }

    /// The request as it will be sent; `:authority` is left out where `host` is among the fields as an empty text.
    pub fn request_of(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Request<()> {
        let uri = format!("{}://{}{target}", self.scheme, self.host);
        let mut request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// Opens a stream.
    pub async fn open(&mut self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = within("room for a stream", self.send.clone().ready()).await.unwrap();
        send.send_request(request, ends).unwrap()
    }

    /// A request and its answer.
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Ended> {
        let request = self.request_of(method, target, fields);
        let (answer, mut stream) = self.open(request, body.is_empty()).await;
        if !body.is_empty() {
            // The other side may have answered already.
            let _ = stream.send_data(Bytes::from(body.to_owned()), true);
        }
        receive(answer).await
    }

    /// GET and its answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, &[], "").await.unwrap()
    }
}

/// An answer to its end.
pub async fn receive(answer: ResponseFuture) -> Result<Answer, Ended> {
    let (head, mut body) = within("an answer", answer).await.map_err(ended)?.into_parts();
    let fields = head.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
    let (bytes, complete) = contents(&mut body).await;
    let trailers = Fields::default();
    Ok(Answer {
        status: head.status.as_u16(),
        fields: Fields(fields),
        body: bytes,
        trailers,
        complete,
        interim: Vec::new(),
        raw_head: Vec::new(),
    })
}

async fn contents(body: &mut RecvStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(data) = within("a piece of a body", body.data()).await {
        let Ok(data) = data else { return (bytes, false) };
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    (bytes, true)
}

fn ended(error: h2::Error) -> Ended {
    match error.reason() {
        Some(reason) if error.is_reset() => Ended::Reset(reason),
        _ => Ended::Closed,
    }
}
