//! A link between the gateway and an origin that does to its connections what it is told.

use crate::support::within;
use freshgate::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What happens to connections that begin from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// They are taken, and nothing ever comes back.
    Hang,
    /// They end after so many bytes of answers.
    Close(usize),
    /// They are reset after so many bytes of answers.
    Reset(usize),
    /// They are reset after so many bytes of requests, which the origin gets.
    ResetRequest(usize),
    /// Answers come byte by byte.
    Trickle,
    /// These bytes come after the first piece of an answer.
    Extra(&'static str),
}

/// The link. It ends with every connection when it is dropped.
pub(crate) struct Link {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    to: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    /// Connections so far.
    connections: Arc<watch::Sender<usize>>,
    up: Option<CancellationToken>,
    tasks: Tasks,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Link {
    pub(crate) async fn to(to: SocketAddr) -> Link {
        let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (fault, connections) = (Arc::new(Mutex::new(Fault::None)), Arc::new(watch::Sender::new(0)));
        let mut link = Link { addr, to, fault, connections, up: None, tasks: Tasks::default() };
        link.mend();
        link
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Nobody listens any more, and every connection is reset: what `kill -9` looks like from here.
    pub(crate) fn cut(&mut self) {
        if let Some(up) = self.up.take() {
            up.cancel();
        }
    }

    /// The same, and waits until the last connection is gone.
    pub(crate) async fn cut_off(&mut self) {
        self.cut();
        within("the end of a link's connections", self.tasks.ended()).await;
    }

    /// Listens again on the same port.
    pub(crate) fn mend(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.addr).unwrap();
        let (listener, up) = (socket.listen(128).unwrap(), CancellationToken::new());
        self.up = Some(up.clone());
        let (to, fault, connections, tasks) =
            (self.to, Arc::clone(&self.fault), Arc::clone(&self.connections), self.tasks.clone());
        self.tasks.spawn(async move {
            while let Some(Ok((stream, _))) = up.run_until_cancelled(listener.accept()).await {
                connections.send_modify(|n| *n += 1);
                let fault = *fault.lock().unwrap();
                let up = up.clone();
                tasks.spawn(async move {
                    let _cut = up.run_until_cancelled(carry(stream, to, fault)).await;
                });
            }
        });
    }
}

/// Resets on drop, so that a link that is cut looks like a process that was killed.
async fn carry(client: TcpStream, to: SocketAddr, fault: Fault) {
    let linger = |stream: &TcpStream| socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    client.set_nodelay(true).unwrap();
    linger(&client);
    let Ok(origin) = TcpStream::connect(to).await else { return };
    origin.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_origin, to_origin)) = (client.into_split(), origin.into_split());
    tokio::select! {
        () = requests(from_client, to_origin, fault) => {}
        () = answers(from_origin, to_client, fault) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let (mut piece, mut passed) = (vec![0; 16 << 10], 0);
    while let Ok(n) = from.read(&mut piece).await {
        if n == 0 || to.write_all(&piece[..n]).await.is_err() {
            return;
        }
        passed += n;
        if matches!(fault, Fault::ResetRequest(most) if passed >= most) {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let (mut piece, mut passed) = (vec![0; 16 << 10], 0);
    loop {
        if let Fault::Close(0) | Fault::Reset(0) = fault {
            // Not before the request has gone through.
            drop(from.readable().await);
            return end(to, fault);
        }
        let Ok(n @ 1..) = from.read(&mut piece).await else { return end(to, Fault::None) };
        let with_extra;
        let bytes = match fault {
            Fault::Hang => continue,
            Fault::Close(most) | Fault::Reset(most) => &piece[..n.min(most - passed)],
            Fault::None | Fault::Trickle | Fault::ResetRequest(_) => &piece[..n],
            // In one piece: what comes later might be taken for the answer to a later request, by anybody.
            Fault::Extra(more) => {
                with_extra = [&piece[..n], more.as_bytes()].concat();
                &with_extra
            }
        };
        passed += bytes.len();
        let step = if fault == Fault::Trickle { 1 } else { bytes.len().max(1) };
        for part in bytes.chunks(step) {
            if to.write_all(part).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        match fault {
            Fault::Close(most) | Fault::Reset(most) if passed >= most => return end(to, fault),
            Fault::None | Fault::Hang | Fault::Trickle | Fault::Extra(_) | Fault::ResetRequest(_) => {}
            Fault::Close(_) | Fault::Reset(_) => {}
        }
    }
}

/// Ends properly, or with a reset.
fn end(to: OwnedWriteHalf, fault: Fault) {
    if !matches!(fault, Fault::Reset(_)) {
        drop(socket2::SockRef::from(to.as_ref()).set_linger(None));
    }
}
