//! Endpoints of HTTP/2 that say in their frames what no library lets them say: streams that end before their content, connections that
//! end before a request, fewer streams than are wanted, and silence.

use crate::support::{Answer, Gate, Gateway, within};
use freshgate::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END: u8 = 1;
/// SETTINGS_MAX_CONCURRENT_STREAMS.
const ONE: &[u8] = &[0, 3, 0, 0, 0, 1];
const TWO: &[u8] = &[0, 3, 0, 0, 0, 2];
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;

/// A request, once its head is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// Which one it is of all.
    nth: usize,
    /// On which connection.
    connection: usize,
    stream: u32,
}

/// What it does then.
#[derive(Clone, Debug)]
enum Say {
    /// 200, fresh for a minute; whether the stream ends with it.
    Head(bool),
    /// Content, likewise.
    Content(&'static str, bool),
    Trailers,
    Reset(u32),
    /// The last stream, and why.
    GoAway(u32, u32),
    /// Nothing before the gate is open.
    Wait(Gate),
    /// This connection neither reads nor writes any more.
    FallSilent,
    Close,
}

fn whole(text: &'static str) -> Vec<Say> {
    vec![Say::Head(false), Say::Content(text, true)]
}

type Script = Arc<dyn Fn(Asked) -> Vec<Say> + Send + Sync>;

struct Frames {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
    _stop: DropGuard,
}

impl Frames {
    /// `settings`: the content of the first frame; none at all without.
    async fn start(
        settings: Option<&'static [u8]>,
        script: impl Fn(Asked) -> Vec<Say> + Send + Sync + 'static,
    ) -> Frames {
        let now = Gate::closed();
        now.open();
        Frames::saying(settings, now, script).await
    }

    /// The same; says what it allows once the gate is open.
    async fn saying(
        settings: Option<&'static [u8]>,
        when: Gate,
        script: impl Fn(Asked) -> Vec<Say> + Send + Sync + 'static,
    ) -> Frames {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop, tasks) = (listener.local_addr().unwrap(), CancellationToken::new(), Tasks::default());
        let (asked, connections) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<usize>>::default());
        let (script, all, count, until): (Script, _, _, _) =
            (Arc::new(script), asked.clone(), connections.clone(), stop.clone());
        tasks.clone().spawn(async move {
            while let Some(Ok((stream, _))) = until.run_until_cancelled(listener.accept()).await {
                let number = {
                    let mut count = count.lock().unwrap();
                    *count += 1;
                    *count - 1
                };
                let line = Line { number, asked: all.clone(), script: script.clone(), tasks: tasks.clone() };
                let (until, when) = (until.clone(), when.clone());
                tasks.spawn(async move {
                    until.run_until_cancelled(line.serve(stream, settings, when)).await;
                });
            }
        });
        Frames { addr, asked, connections, _stop: stop.drop_guard() }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    async fn gateway(&self, more: &str) -> Gateway {
        let url = format!("http://{}", self.addr);
        let head = format!("[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{url}\"]\n");
        let pool = if more.contains("pool") { "" } else { "pool = { http2 = true }\n" };
        Gateway::with("", &format!("{head}{pool}{more}\n")).await
    }
}

/// One connection.
struct Line {
    number: usize,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Script,
    tasks: Tasks,
}

type Writer = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

impl Line {
    async fn serve(self, stream: TcpStream, settings: Option<&'static [u8]>, when: Gate) {
        let (mut reader, writer) = stream.into_split();
        let (writer, silent) = (Arc::new(tokio::sync::Mutex::new(writer)), CancellationToken::new());
        if reader.read_exact(&mut [0; 24]).await.is_err() {
            return;
        }
        if let Some(settings) = settings {
            let writer = Arc::clone(&writer);
            self.tasks.spawn(async move {
                when.pass().await;
                write(&writer, &frame(SETTINGS, 0, 0, settings)).await;
            });
        }
        let reading = self.read(&mut reader, &writer, &silent);
        if silent.run_until_cancelled(reading).await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    async fn read(&self, reader: &mut OwnedReadHalf, writer: &Writer, silent: &CancellationToken) {
        loop {
            let mut head = [0; 9];
            if reader.read_exact(&mut head).await.is_err() {
                return;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            let mut content = vec![0; length];
            if reader.read_exact(&mut content).await.is_err() {
                return;
            }
            match kind {
                SETTINGS if flags & END == 0 => write(writer, &frame(SETTINGS, END, 0, b"")).await,
                PING if flags & END == 0 => write(writer, &frame(PING, END, 0, &content)).await,
                HEADERS => {
                    let asked = {
                        let mut all = self.asked.lock().unwrap();
                        let asked = Asked { nth: all.len(), connection: self.number, stream };
                        all.push(asked);
                        asked
                    };
                    let (says, writer, silent) = ((self.script)(asked), Arc::clone(writer), silent.clone());
                    self.tasks.spawn(async move { answer(stream, says, &writer, &silent).await });
                }
                _ => {}
            }
        }
    }
}

async fn answer(stream: u32, says: Vec<Say>, writer: &Writer, silent: &CancellationToken) {
    const FIELDS: &[u8] = b"\x88\x00\x0dcache-control\x0amax-age=60";
    for say in says {
        let bytes = match say {
            Say::Head(ends) => frame(HEADERS, 4 | u8::from(ends), stream, FIELDS),
            Say::Content(text, ends) => frame(DATA, u8::from(ends), stream, text.as_bytes()),
            Say::Trailers => frame(HEADERS, 4 | END, stream, b"\x00\x05x-sum\x0242"),
            Say::Reset(why) => frame(RST_STREAM, 0, stream, &why.to_be_bytes()),
            Say::GoAway(last, why) => frame(GOAWAY, 0, 0, &[last.to_be_bytes(), why.to_be_bytes()].concat()),
            Say::Wait(gate) => {
                gate.pass().await;
                continue;
            }
            Say::FallSilent => return silent.cancel(),
            Say::Close => return drop(writer.lock().await.shutdown().await),
        };
        write(writer, &bytes).await;
    }
}

async fn write(writer: &Writer, bytes: &[u8]) {
    drop(writer.lock().await.write_all(bytes).await);
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

async fn ask(gateway: &Gateway, target: &str) -> Option<Answer> {
    let mut client = gateway.client().await;
    client.send("GET", target, &[], "").await;
    client.try_answer().await
}

/// RFC 9113 §8.1: NO_ERROR says that the rest of a *request* isn't needed, once the answer is complete. It makes none complete.
#[tokio::test]
async fn a_stream_that_ends_before_its_content_is_cut() {
    use Say::{Content, GoAway, Head, Reset};
    let rows = [
        ("inside its content", vec![Head(false), Content("[1,", false), Reset(NO_ERROR)]),
        ("before it", vec![Head(false), Reset(NO_ERROR)]),
        ("with the connection", vec![Head(false), Content("[1,", false), GoAway(0, NO_ERROR)]),
    ];
    for (why, cut) in rows {
        let origin =
            Frames::start(Some(b""), move |asked| if asked.nth == 0 { cut.clone() } else { whole("[1,2]") }).await;
        let gateway = origin.gateway("health = { failures = 1, max_resting = 1.0 }\n").await;
        let answer = ask(&gateway, "/a").await;
        assert!(answer.as_ref().is_none_or(|answer| !answer.complete), "{why}: {answer:?}");
        let metrics = gateway.admin("GET", "/metrics", "").await;
        let rests = "freshgate_endpoints{api=\"test/v1\",state=\"resting\"} 1\n";
        assert!(metrics.text().contains(rests), "{why}: {}", metrics.text());
        gateway.settled().await;
        let next = gateway.client().await.get("/a").await;
        assert_eq!((next.text(), next.cache_says("hit"), origin.count()), ("[1,2]", false, 2), "{why}");
    }
}

/// What NO_ERROR is for. The origin never reads the request's content, which is larger than it has allowed.
#[tokio::test]
async fn a_whole_answer_stays_whole_though_its_request_was_not_read() {
    use Say::{Content, Head, Reset, Trailers};
    let rows = [
        ("content", "early", vec![Head(false), Content("early", true), Reset(NO_ERROR)]),
        ("nothing", "", vec![Head(true), Reset(NO_ERROR)]),
        ("trailers", "early", vec![Head(false), Content("early", false), Trailers, Reset(NO_ERROR)]),
    ];
    for (why, text, says) in rows {
        let origin = Frames::start(Some(b""), move |_| says.clone()).await;
        let gateway = origin.gateway("health = { failures = 1, max_resting = 1.0 }\n").await;
        let answer = gateway.client().await.post("/a", &"x".repeat(200_000)).await;
        assert_eq!((answer.status, answer.text(), answer.complete), (200, text, true), "{why}");
        let metrics = gateway.admin("GET", "/metrics", "").await;
        assert!(metrics.text().contains("freshgate_endpoints{api=\"test/v1\",state=\"well\"} 1\n"), "{why}");
    }
}

#[tokio::test]
async fn what_ends_in_a_frame_of_its_own_is_whole_and_kept() {
    for last in [Say::Trailers, Say::Content("", true)] {
        let says = vec![Say::Head(false), Say::Content("sum", false), last.clone()];
        let origin = Frames::start(Some(b""), move |_| says.clone()).await;
        let gateway = origin.gateway("").await;
        for hit in [false, true] {
            let answer = gateway.client().await.get("/a").await;
            assert_eq!((answer.text(), answer.complete, answer.cache_says("hit")), ("sum", true, hit), "{last:?}");
            gateway.settled().await;
        }
        assert_eq!(origin.count(), 1);
    }
}

/// A stream that the origin refused is a try that it has seen: `retry` says how many there are.
#[tokio::test]
async fn a_refusal_is_a_try() {
    for (retry, streams) in [
        ("times = 0", 20),
        ("times = 1, budget = 1.0, backoff = \"1ms\"", 40),
        // Ten retries are in any budget.
        ("times = 3, budget = 0.0, backoff = \"1ms\"", 30),
    ] {
        let origin = Frames::start(Some(b""), |_| vec![Say::Reset(REFUSED_STREAM)]).await;
        let gateway = origin.gateway(&format!("retry = {{ {retry} }}\nhealth = {{ failures = 0 }}\n")).await;
        for i in 0..20 {
            let method = if i % 2 == 0 { "GET" } else { "POST" };
            let answer = gateway.client().await.request(method, &format!("/{i}"), &[], "").await;
            assert_eq!(answer.status, 502, "{retry}: {method}");
        }
        assert_eq!((origin.count(), origin.connections()), (streams, 1), "{retry}");
    }
}

/// RFC 9113 §6.8: a request above the last stream was not processed, whatever its method, and needs another connection, no retry.
#[tokio::test]
async fn a_connection_that_ends_turns_nobody_away() {
    use Say::{Close, GoAway};
    for (how, rest) in [("closes", vec![GoAway(1, NO_ERROR), Close]), ("lingers", vec![GoAway(1, NO_ERROR)])] {
        for method in ["GET", "POST", "PUT"] {
            let rest = rest.clone();
            let origin = Frames::start(Some(b""), move |asked| match asked {
                Asked { connection: 0, stream: 3, .. } => rest.clone(),
                _ => whole("done"),
            })
            .await;
            let more = "retry = { times = 0 }\nhealth = { failures = 1, max_resting = 1.0 }\n";
            let gateway = origin.gateway(more).await;
            assert_eq!(gateway.client().await.get("/first").await.text(), "done");
            let answer = gateway.client().await.request(method, "/a", &[], "").await;
            assert_eq!((answer.status, answer.text()), (200, "done"), "{method}, {how}");
            assert_eq!((origin.count(), origin.connections()), (3, 2), "{method}, {how}");
            let metrics = gateway.admin("GET", "/metrics", "").await;
            assert!(metrics.text().contains("freshgate_endpoints{api=\"test/v1\",state=\"well\"} 1\n"));
        }
    }
}

#[tokio::test]
async fn all_that_are_turned_away_share_one_new_connection() {
    let origin = Frames::start(Some(b""), move |asked| match asked {
        Asked { connection: 0, nth: 10, .. } => vec![Say::GoAway(0, NO_ERROR)],
        Asked { connection: 0, .. } => vec![],
        _ => whole("done"),
    })
    .await;
    let gateway = origin.gateway("cache = false\nretry = { times = 0 }\n").await;
    let mut clients = Vec::new();
    for i in 0..11 {
        let mut client = gateway.client().await;
        client.send("POST", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "done");
    }
    assert_eq!((origin.count(), origin.connections()), (22, 2));
}

/// The way round a connection that ends is a new one: the others of an origin that goes are about to end too.
#[tokio::test]
async fn where_all_connections_end_nobody_is_turned_away() {
    let gate = Gate::closed();
    let wait = gate.clone();
    let says = move |asked| match asked {
        Asked { stream: 1, nth: 0..2, .. } => [vec![Say::Wait(wait.clone())], whole("done")].concat(),
        Asked { connection: 0..2, .. } => vec![Say::GoAway(1, NO_ERROR)],
        _ => whole("done"),
    };
    let origin = Frames::start(Some(ONE), says).await;
    let gateway = origin.gateway("cache = false\nretry = { times = 0 }\n").await;
    let (mut one, mut other) = (gateway.client().await, gateway.client().await);
    one.send("GET", "/a", &[], "").await;
    other.send("GET", "/b", &[], "").await;
    gate.arrived(2).await;
    gate.open();
    assert_eq!((one.answer().await.text(), other.answer().await.text()), ("done", "done"));
    assert_eq!(gateway.client().await.post("/c", "").await.text(), "done");
    assert_eq!((origin.count(), origin.connections()), (4, 3));
}

/// One that turns everything away is asked twice and no more.
#[tokio::test]
async fn an_origin_that_turns_everybody_away_is_not_asked_for_ever() {
    let origin = Frames::start(Some(b""), |_| vec![Say::GoAway(0, NO_ERROR)]).await;
    let gateway = origin.gateway("retry = { times = 0 }\n").await;
    assert_eq!(gateway.client().await.get("/a").await.status, 502);
    assert_eq!((origin.count(), origin.connections()), (2, 2));
}

/// What may have been processed isn't sent again, whatever reason the connection's end names.
#[tokio::test]
async fn a_write_at_or_below_the_last_stream_is_sent_once() {
    for why in [NO_ERROR, REFUSED_STREAM, 2] {
        let origin = Frames::start(Some(b""), move |asked| vec![Say::GoAway(asked.stream, why), Say::Close]).await;
        let gateway = origin.gateway("retry = { times = 2, backoff = \"1ms\" }\n").await;
        assert_eq!(gateway.client().await.post("/a", "").await.status, 502);
        assert_eq!(origin.count(), 1, "{why}");
    }
}

/// Also for those who come before the first connection's origin has said what it allows.
#[tokio::test]
async fn no_connection_has_more_streams_than_its_origin_allows() {
    let (gate, says_so) = (Gate::closed(), Gate::closed());
    let wait = gate.clone();
    let says = move |_| [vec![Say::Wait(wait.clone())], whole("late")].concat();
    let origin = Frames::saying(Some(TWO), says_so.clone(), says).await;
    let gateway = origin.gateway("cache = false\n").await;
    let mut clients = Vec::new();
    for i in 0..7 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    for _ in 0..5 {
        gateway.admin("GET", "/metrics", "").await; // meanwhile they have come
    }
    says_so.open();
    gate.arrived(7).await;
    assert_eq!(origin.connections(), 4);
    for connection in 0..4 {
        let streams = origin.asked.lock().unwrap().iter().filter(|asked| asked.connection == connection).count();
        assert!(streams <= 2, "{connection}: {streams}");
    }
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "late");
    }
}

/// Many connections may be needed at once, but few are kept.
#[tokio::test]
async fn as_many_idle_ones_are_kept_as_may_be() {
    let gate = Gate::closed();
    let wait = gate.clone();
    let says = move |_| [vec![Say::Wait(wait.clone())], whole("late")].concat();
    let origin = Frames::start(Some(ONE), says).await;
    let gateway = origin.gateway("cache = false\npool = { http2 = true, idle = 1 }\n").await;
    let mut clients = Vec::new();
    for i in 0..3 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gate.arrived(3).await;
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer().await.text(), "late");
    }
    assert_eq!(gateway.client().await.get("/next").await.text(), "late");
    within("one connection", async {
        let one = "freshgate_origin_connections{api=\"test/v1\"} 1\n";
        while !gateway.admin("GET", "/metrics", "").await.text().contains(one) {}
    })
    .await;
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn an_origin_that_does_not_say_what_it_allows_is_asked_all_the_same() {
    let gate = Gate::closed();
    let wait = gate.clone();
    let origin = Frames::start(None, move |_| [vec![Say::Wait(wait.clone())], whole("late")].concat()).await;
    let gateway = origin.gateway("cache = false\n").await;
    let mut clients = Vec::new();
    for i in 0..3 {
        let mut client = gateway.client().await;
        client.send("GET", &format!("/{i}"), &[], "").await;
        clients.push(client);
    }
    gate.arrived(3).await;
    assert_eq!(origin.connections(), 1);
    gate.open();
}

/// It costs one request, not all of the half minute until the connection is known to be dead.
#[tokio::test]
async fn a_connection_that_has_fallen_silent_is_left() {
    for limit in ["first_byte", "total"] {
        let origin = Frames::start(Some(b""), |asked| match asked {
            Asked { connection: 0, stream: 3, .. } => vec![Say::FallSilent],
            _ => whole("well"),
        })
        .await;
        let gateway = origin.gateway(&format!("cache = false\ntimeouts = {{ {limit} = \"300ms\" }}\n")).await;
        assert_eq!(gateway.client().await.get("/a").await.text(), "well");
        assert_eq!(gateway.client().await.get("/b").await.status, 504, "{limit}");
        for i in 0..3 {
            assert_eq!(gateway.client().await.get(&format!("/c{i}")).await.text(), "well", "{limit}");
        }
        assert_eq!(origin.connections(), 2, "{limit}");
    }
}
