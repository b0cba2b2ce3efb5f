//! What lies between a source and its server, and can be cut, or go silent without a word.

use freshgate::tasks::Tasks;
use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Open,
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections that are there stay and carry nothing; new ones are as ever.
    Silent,
}

/// It ends with the test.
pub(crate) struct Link {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    mode: watch::Sender<Mode>,
    /// How many connections there are now.
    through: watch::Sender<usize>,
}

impl Link {
    pub(crate) async fn to(server: SocketAddr) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link {
            addr: listener.local_addr().unwrap(),
            mode: watch::Sender::new(Mode::Open),
            through: watch::Sender::new(0),
        };
        let (tasks, mode, through) = (Tasks::default(), link.mode.clone(), link.through.clone());
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *mode.borrow() == Mode::Cut {
                    continue;
                }
                tasks.spawn(carry(client, server, mode.subscribe(), through.clone()));
            }
        });
        link
    }

    /// Ends all connections, and those that come, until it is mended. When this returns none carries anything any more.
    pub(crate) async fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
        self.through.subscribe().wait_for(|through| *through == 0).await.unwrap();
    }

    pub(crate) fn mend(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// The connections that are there carry nothing any more, and nobody is told.
    pub(crate) fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    through: watch::Sender<usize>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    through.send_modify(|n| *n += 1);
    let silent = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => false,
        changed = changed(&mut mode) => changed == Mode::Silent,
    };
    if silent {
        drop(mode.wait_for(|mode| *mode == Mode::Cut).await);
    }
    drop((client, server));
    through.send_modify(|n| *n -= 1);
}

/// Once it isn't as it was for this connection.
async fn changed(mode: &mut watch::Receiver<Mode>) -> Mode {
    mode.mark_unchanged();
    loop {
        if mode.changed().await.is_err() {
            return Mode::Cut;
        }
        let now = *mode.borrow_and_update();
        if now != Mode::Open {
            return now;
        }
    }
}
