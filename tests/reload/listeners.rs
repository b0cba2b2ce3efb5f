//! Listeners that come and go, and what new connections are given.

use super::support::{Authority, Client, Fields, Gate, Gateway, Origin, Piece, Reply, within};
use super::{api, numbered};
use freshgate::serve::Refused;
use std::future::ready;
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn listeners_come_and_go_and_the_others_notice_nothing() {
    let gate = Gate::closed();
    let slow = Reply::status(200).chunked().body("begun").wait(&gate).body(" and done");
    let origin = Origin::start(move |request| {
        ready(if request.target == "/a/slow" { slow.clone() } else { Reply::ok("quick") })
    })
    .await;
    let apis = api("a", "/a", &origin, "");
    let gateway = Gateway::with("", &apis).await;
    let mut first = gateway.client().await;
    assert_eq!(first.get("/a/1").await.status, 200);
    let two = "listen = [\"127.0.0.1:0\", \"[::1]:0\"]\n";
    let report = gateway.reload_all(two, "", &apis).unwrap();
    let addresses = gateway.running.addresses();
    assert_eq!((addresses[0], addresses.len()), (gateway.addr, 2));
    assert_eq!((report.listeners.opened, report.listeners.closed.len()), (vec![addresses[1]], 0));
    let (mut second, mut busy) = (Client::connect(addresses[1]).await, Client::connect(addresses[1]).await);
    assert_eq!((first.get("/a/1").await.status, second.get("/a/1").await.status), (200, 200));
    busy.send("GET", "/a/slow", &[], "").await;
    assert_eq!(busy.answer_head().await.unwrap().status, 200);
    assert_eq!(busy.at_least(5).await, b"begun");
    let report = gateway.reload_all("", "", &apis).unwrap();
    assert_eq!(report.listeners.closed, [addresses[1]]);
    assert_eq!(second.closed().await, b"", "who is idle is told to go");
    within("the socket to be closed", async { while TcpStream::connect(addresses[1]).await.is_ok() {} }).await;
    gate.open();
    assert_eq!(busy.at_least(9).await, b" and done", "who isn't ends what it is at");
    assert_eq!(busy.piece().await, Piece::End(Fields::default()));
    assert_eq!(busy.closed().await, b"");
    assert_eq!(first.get("/a/1").await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_taken_changes_nothing() {
    let origin = numbered().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::with("", &api("a", "/a", &origin, "")).await;
    let listen = format!("listen = [\"127.0.0.1:0\", \"{}\"]\n", taken.local_addr().unwrap());
    let refused = gateway.reload_all(&listen, "", &api("b", "/b", &origin, "")).unwrap_err();
    assert!(matches!(refused, Refused::CantStart(_)));
    assert!(refused.to_string().starts_with("server.listen = \"127.0.0.1:"), "{refused}");
    let mut client = gateway.client().await;
    assert_eq!((client.get("/a/1").await.status, client.get("/b/1").await.status), (200, 404));
    assert_eq!(gateway.running.addresses().len(), 1);
}

#[tokio::test]
async fn new_connections_have_the_new_limits_and_old_ones_keep_theirs() {
    let origin = numbered().await;
    let apis = api("a", "/a", &origin, "");
    let gateway = Gateway::with("", &apis).await;
    let long = "x".repeat(20_000);
    let fields = [("x-long", long.as_str())];
    let mut old = gateway.client().await;
    assert_eq!(old.get_with("/a/1", &fields).await.status, 200);
    gateway.reload_all("[server.limits]\nheader_bytes = \"8KiB\"\nrequest_body = \"4B\"\n", "", &apis).unwrap();
    assert_eq!(gateway.client().await.get_with("/a/1", &fields).await.status, 431);
    assert_eq!(old.get_with("/a/1", &fields).await.status, 200);
    assert_eq!(old.put("/a/1", "12345").await.status, 413, "what is looked at with each request counts for each");
}

#[tokio::test]
async fn tls_comes_and_goes_for_new_connections() {
    let (origin, authority) = (numbered().await, Authority::new());
    authority.install(&authority.pair("a gateway"));
    let apis = api("a", "/a", &origin, "");
    let gateway = Gateway::with("", &apis).await;
    let mut plain = gateway.client().await;
    assert_eq!(plain.get("/a/1").await.status, 200);
    gateway.reload_all(&authority.table(""), "", &apis).unwrap();
    let stream = within("a handshake", authority.connect(gateway.addr, &["http/1.1"], None)).await.unwrap();
    let mut secure = Client::over(stream, "localhost");
    assert_eq!((secure.get("/a/1").await.status, plain.get("/a/1").await.status), (200, 200));
    gateway.reload(&apis);
    assert_eq!(gateway.client().await.get("/a/1").await.status, 200);
    assert_eq!(secure.get("/a/1").await.status, 200);
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_taken_out_tells_nothing_any_more() {
    let (origin, authority, other) = (numbered().await, Authority::new(), Authority::new());
    authority.install(&authority.pair("a gateway"));
    let [clients, same, others] = [("clients", &authority), ("same", &authority), ("others", &other)]
        .map(|(name, of)| authority.write(&format!("{name}.pem"), &of.pem()));
    let apis = api("a", "/a", &origin, "auth = { kind = \"client-certificate\" }");
    let table =
        |file: &Path| authority.table(&format!(", client_ca = \"{}\", client_auth = \"optional\"", file.display()));
    let gateway = Gateway::from_parts(&table(&clients), "", &apis).await;
    let own = authority.pair("alice");
    let stream = within("a handshake", authority.connect(gateway.addr, &["http/1.1"], Some(&own))).await.unwrap();
    let mut alice = Client::over(stream, "localhost");
    assert_eq!(alice.get("/a/1").await.status, 200);
    gateway.reload_all(&table(&same), "", &apis).unwrap();
    assert_eq!(alice.get("/a/1").await.status, 200, "another file of the same authority");
    gateway.reload_all(&table(&others), "", &apis).unwrap();
    assert_eq!(alice.get("/a/1").await.status, 401);
}
