//! Endpoints by name: the name server says where they are, and then says something else.

use crate::support::{Gateway, Origin, Reply, within};
use freshgate::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A name server that knows one name.
struct NameServer {
    addr: SocketAddr,
    /// Empty: there is no such name.
    addresses: Arc<Mutex<Vec<Ipv4Addr>>>,
    asked: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl NameServer {
    async fn start(addresses: &[Ipv4Addr]) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop, tasks) = (socket.local_addr().unwrap(), CancellationToken::new(), Tasks::default());
        let (addresses, asked) = (Arc::new(Mutex::new(addresses.to_vec())), Arc::new(AtomicUsize::new(0)));
        let (known, count, until) = (Arc::clone(&addresses), Arc::clone(&asked), stop.clone());
        tasks.spawn(async move {
            let mut query = [0; 512];
            while let Some(Ok((n, from))) = until.run_until_cancelled(socket.recv_from(&mut query)).await {
                count.fetch_add(1, SeqCst);
                let answer = answer(&query[..n], &known.lock().unwrap());
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        NameServer { addr, addresses, asked, _stop: stop.drop_guard() }
    }

    fn say(&self, addresses: &[Ipv4Addr]) {
        *self.addresses.lock().unwrap() = addresses.to_vec();
    }
}

/// RFC 1035 §4: the question comes back, and behind it an A record for each address, which lives for one second.
fn answer(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap() + 13;
    let (question, kind) = (&query[12..name + 4], query[name + 1]);
    let addresses = if kind == 1 { addresses } else { &[] };
    let code = 0x80; // recursion is available, no error
    let mut answer = [&query[..2], &[0x81, code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0], question].concat();
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

const A: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A gateway before `books.test`, which `server` knows.
async fn gateway(server: &NameServer, port: u16) -> Gateway {
    let api = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://books.test:{port}\"]\ncache = false\n"
    );
    Gateway::from_parts(&format!("resolver = [\"{}\"]\n", server.addr), "", &api).await
}

/// Origins on both addresses, with the same port.
async fn both() -> [Origin; 2] {
    loop {
        let first = Origin::always(Reply::ok("a")).await;
        let at = SocketAddr::new(B.into(), first.addr.port());
        if let Ok(listener) = TcpListener::bind(at).await {
            return [first, Origin::on(listener, |_| async { Reply::ok("b") })];
        }
    }
}

async fn until(gateway: &Gateway, who: &str) {
    within(&format!("{who} to answer"), async { while gateway.client().await.get("/x").await.text() != who {} }).await;
}

#[tokio::test]
async fn a_name_that_moves_is_followed_and_its_old_connections_with_it() {
    let [a, b] = both().await;
    let server = NameServer::start(&[A]).await;
    let gateway = gateway(&server, a.addr.port()).await;
    for _ in 0..3 {
        let answer = gateway.client().await.get("/x").await;
        assert_eq!(answer.text(), "a");
    }
    assert_eq!(a.requests()[0].get("host"), Some(format!("books.test:{}", a.addr.port()).as_str()));
    server.say(&[B]);
    until(&gateway, "b").await;
    let before = a.count();
    for _ in 0..20 {
        assert_eq!(gateway.client().await.get("/x").await.text(), "b");
    }
    assert_eq!((a.count(), a.connections(), b.connections()), (before, 1, 1), "one connection each, used again");
}

#[tokio::test]
async fn one_address_of_several_may_be_dead() {
    let [a, b] = both().await;
    let port = a.addr.port();
    let server = NameServer::start(&[A, B]).await;
    let gateway = gateway(&server, port).await;
    drop(b);
    for _ in 0..10 {
        assert_eq!(gateway.client().await.request("POST", "/x", &[("connection", "close")], "").await.text(), "a");
    }
}

/// No name server is no reason to stop.
#[tokio::test]
async fn what_was_known_serves_on() {
    let [a, _b] = both().await;
    let server = NameServer::start(&[A]).await;
    let gateway = gateway(&server, a.addr.port()).await;
    until(&gateway, "a").await;
    server.say(&[]);
    let asked = server.asked.load(SeqCst);
    within("two more questions", async {
        while server.asked.load(SeqCst) < asked + 2 {
            assert_eq!(gateway.client().await.get("/x").await.text(), "a");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_without_an_address_is_said_so() {
    let [a, _b] = both().await;
    let server = NameServer::start(&[]).await;
    let gateway = gateway(&server, a.addr.port()).await;
    let asked = server.asked.load(SeqCst);
    for _ in 0..50 {
        let answer = gateway.client().await.get("/x").await;
        assert_eq!(
            (answer.status, answer.json()["type"].clone()),
            (502, "urn:freshgate:problem:origin-unresolved".into())
        );
    }
    let asked = server.asked.load(SeqCst) - asked;
    assert!(asked < 40, "{asked} questions to the name server for 50 requests");
    server.say(&[A]);
    until_well(&gateway).await;
}

async fn until_well(gateway: &Gateway) {
    within("an answer", async { while gateway.client().await.get("/x").await.status != 200 {} }).await;
}
