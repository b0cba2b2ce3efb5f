//! `kill -9` of one of two endpoints under load: nobody notices but those whose POST was on its way there at that moment.
//!
//! Once with a link that is cut, where it can be told exactly which requests were where, and once with real processes.

use crate::link::Link;
use crate::support::{Client, Gate, Gateway, Origin, Reply, Request, within};
use freshgate::tasks::Tasks;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Those who ask, two of each kind.
const KINDS: [&str; 5] = ["GET /live", "GET /kept", "PUT", "DELETE", "POST"];

/// What the clients did, by the number of the request.
#[derive(Default)]
struct Tally {
    next: AtomicUsize,
    /// Method and number of what has begun and not ended.
    under_way: Mutex<BTreeSet<usize>>,
    posts: Mutex<BTreeSet<usize>>,
    /// Number, kind and status of what wasn't answered by an origin.
    failed: Mutex<Vec<(usize, &'static str, u16)>>,
    done: watch::Sender<usize>,
    stop: AtomicBool,
}

impl Tally {
    /// Those whose POST is under way just now.
    fn posts_under_way(&self) -> BTreeSet<usize> {
        let posts = self.posts.lock().unwrap();
        self.under_way.lock().unwrap().intersection(&posts).copied().collect()
    }

    /// Waits until `n` more requests have ended.
    async fn more(&self, n: usize) {
        let mut done = self.done.subscribe();
        let enough = *done.borrow() + n;
        within("more requests", done.wait_for(|done| *done >= enough)).await.unwrap();
    }
}

/// Asks one thing after the other until told to stop; its connection is made anew when it has ended.
async fn ask(gateway: SocketAddr, kind: &'static str, tally: Arc<Tally>) {
    let mut client = Client::connect(gateway).await;
    while !tally.stop.load(SeqCst) {
        let id = tally.next.fetch_add(1, SeqCst);
        tally.under_way.lock().unwrap().insert(id);
        let (method, target) = match kind {
            "GET /live" => ("GET", format!("/live/{id}")),
            // Of few names, so that there are hits as well.
            "GET /kept" => ("GET", format!("/kept/{}", id % 4)),
            "POST" => {
                tally.posts.lock().unwrap().insert(id);
                ("POST", format!("/w/{id}"))
            }
            write => (write, format!("/w/{id}")),
        };
        let body = if matches!(method, "PUT" | "POST") { "some" } else { "" };
        let answer = client.request(method, &target, &[], body).await;
        if answer.status != 200 || !answer.complete || answer.text() != target {
            tally.failed.lock().unwrap().push((id, kind, answer.status));
        }
        tally.under_way.lock().unwrap().remove(&id);
        tally.done.send_modify(|done| *done += 1);
    }
}

fn asking(gateway: SocketAddr, tally: &Arc<Tally>) -> Tasks {
    let clients = Tasks::default();
    for kind in KINDS.iter().chain(&KINDS) {
        clients.spawn(ask(gateway, kind, Arc::clone(tally)));
    }
    clients
}

async fn stopped(clients: &Tasks, tally: &Tally) {
    tally.stop.store(true, SeqCst);
    within("the clients' end", clients.ended()).await;
}

const API: &str = "balance = \"round-robin\"\nttl = \"1s\"\n\
    health = { failures = 3, rest = \"1s\", max_rest = \"1s\", slow_start = \"0s\" }\n\
    [[api.route]]\non = \"GET /live/**\"\ncache = false\n";

/// An answer in one piece: one that has begun when its origin is killed can be completed by nobody.
fn whole(text: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
}

/// Answers with what it was asked for.
async fn echo(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |request: Request| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            whole(&request.target)
        }
    })
    .await
}

#[tokio::test]
async fn of_two_endpoints_one_is_cut_off_under_load() {
    let gates = [Gate::closed(), Gate::closed()];
    gates.iter().for_each(Gate::open);
    let origins = [echo(&gates[0]).await, echo(&gates[1]).await];
    let mut links = [Link::to(origins[0].addr).await, Link::to(origins[1].addr).await];
    let text = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\", \"{}\"]\n{API}",
        links[0].url(),
        links[1].url()
    );
    let gateway = Gateway::with("", &text).await;
    let tally = Arc::<Tally>::default();
    let clients = asking(gateway.addr, &tally);
    let mut may_fail = BTreeSet::<usize>::new();
    for round in 0..6 {
        let here = round % 2;
        tally.more(200).await;
        // What is at this endpoint stays there; by and by everybody is, and then it is gone.
        gates[here].close();
        let arrived = gates[here].count();
        gates[here].arrived(arrived + 8).await;
        let here_now = tally.posts_under_way();
        links[here].cut_off().await;
        may_fail.extend(here_now.union(&tally.posts_under_way()));
        gates[here].open();
        tally.more(200).await;
        links[here].mend();
        gateway.step(2);
    }
    stopped(&clients, &tally).await;
    let failed = tally.failed.lock().unwrap().clone();
    assert!(
        failed.iter().all(|(id, kind, status)| *kind == "POST" && *status == 502 && may_fail.contains(id)),
        "{failed:?}"
    );
    assert!(
        !failed.is_empty() && failed.len() <= 2 * 6,
        "those under way there do fail, and they are no more: {failed:?}"
    );
    // A POST is at one endpoint only, whatever becomes of it, and not at another one after it failed.
    let mut seen = BTreeMap::<String, usize>::new();
    for request in origins.iter().flat_map(Origin::requests).filter(|request| request.method == "POST") {
        *seen.entry(request.target).or_default() += 1;
    }
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    let metrics = gateway.admin("GET", "/metrics", "").await;
    assert!(metrics.text().contains("freshgate_retries_refused_total{api=\"test/v1\"} 0\n"), "{}", metrics.text());
}

/// More are under way than retries are allowed for anyhow: what was asked lately has room for them.
#[tokio::test]
async fn many_are_at_it_when_it_is_cut_off() {
    const MANY: usize = 60;
    let gates = [Gate::closed(), Gate::closed()];
    gates.iter().for_each(Gate::open);
    let origins = [echo(&gates[0]).await, echo(&gates[1]).await];
    let mut links = [Link::to(origins[0].addr).await, Link::to(origins[1].addr).await];
    let upstream = format!("upstream = [\"{}\", \"{}\"]", links[0].url(), links[1].url());
    let api = "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nbalance = \"round-robin\"\ncache = false\n";
    let gateway = Gateway::with("", &format!("{api}{upstream}\n")).await;
    let mut client = gateway.client().await;
    for i in 0..4 * MANY {
        assert_eq!(client.get(&format!("/before/{i}")).await.status, 200);
    }
    gateway.step(10);
    gates[0].close();
    let arrived = gates[0].count();
    let mut clients = Vec::new();
    for i in 0..MANY {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gates[0].arrived(arrived + MANY / 2).await;
    links[0].cut_off().await;
    for (i, client) in clients.iter_mut().enumerate() {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (200, format!("/{i}").as_str()), "{i}");
    }
}

/// The test proper's endpoint: a process of its own that says where it listens, and serves until it is killed.
#[tokio::test]
#[ignore = "run by of_two_processes_one_is_killed_under_load"]
async fn an_endpoint() {
    let port = std::env::var("ENDPOINT_PORT").expect("only as a child of the test proper");
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(format!("127.0.0.1:{port}").parse().unwrap()).unwrap();
    let answer = |request: Request| std::future::ready(whole(&request.target));
    let origin = Origin::on(socket.listen(128).unwrap(), answer);
    eprintln!("\nendpoint {}", origin.addr.port());
    std::future::pending::<()>().await;
}

/// That process.
struct Endpoint {
    child: std::process::Child,
    port: u16,
}

impl Endpoint {
    /// On this port; on a free one for 0.
    fn start(port: u16) -> Endpoint {
        use std::io::{BufRead, BufReader};
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "killed::an_endpoint"])
            .env("ENDPOINT_PORT", port.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.find_map(|line| line.strip_prefix("endpoint ")?.parse().ok()).expect("a line with the port");
        Endpoint { child, port }
    }

    /// SIGKILL; when this returns there is nothing left of it.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_is_killed_under_load() {
    let mut endpoints = [Endpoint::start(0), Endpoint::start(0)];
    let text = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}\"]\n{API}",
        endpoints[0].port, endpoints[1].port
    );
    let gateway = Gateway::with("", &text).await;
    let tally = Arc::<Tally>::default();
    let clients = asking(gateway.addr, &tally);
    let mut may_fail = BTreeSet::<usize>::new();
    for round in 0..6 {
        let here = round % 2;
        tally.more(200).await;
        may_fail.extend(tally.posts_under_way());
        let first = tally.next.load(SeqCst);
        endpoints[here].kill();
        // And those that began while it was being killed.
        may_fail.extend(first..tally.next.load(SeqCst));
        tally.more(200).await;
        endpoints[here] = Endpoint::start(endpoints[here].port);
        gateway.step(2);
    }
    stopped(&clients, &tally).await;
    let failed = tally.failed.lock().unwrap().clone();
    assert!(
        failed.iter().all(|(id, kind, status)| *kind == "POST" && *status == 502 && may_fail.contains(id)),
        "{failed:?}"
    );
    assert!(failed.len() <= 2 * 6, "one of each client each time, at the most: {failed:?}");
}
