//! Readers: one connection each, one read after another, now and then broken off.

use super::history::{History, How, Read};
use super::modes::Mode;
use super::wire::{Dice, Message, Wire};
use super::world::{AUTHORS, BOOKS, PAGE, Resource, Tagged};
use std::collections::HashMap;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Reads for each purge, at the least, and for each step of an upheaval.
const READS_PER_PURGE: usize = 150;
const READS_PER_STEP: usize = 40;

/// What a read shows, or what an error says.
type Seen = std::result::Result<Box<[u32]>, String>;

/// What readers have in common.
#[derive(Debug)]
pub struct Reading {
    pub addr: SocketAddr,
    pub mode: &'static Mode,
    pub history: Arc<History>,
    /// Reads that are left to do.
    pub left: AtomicUsize,
    /// What became of reads that failed.
    pub broken: Mutex<Vec<String>>,
    /// Each lets one write begin: so they keep pace with the reads, however fast those are.
    pub writes: Semaphore,
    pub purges: Semaphore,
    pub steps: Semaphore,
}

pub struct Reader {
    number: usize,
    all: Arc<Reading>,
    dice: Dice,
    wire: Wire,
    /// Who it says it is.
    caller: Option<String>,
    language: &'static str,
    /// What it has seen last, with a strong entity tag.
    known: HashMap<String, (String, Box<[u32]>)>,
}

impl Reader {
    pub async fn new(number: usize, seed: u64, all: Arc<Reading>) -> Reader {
        let caller = (all.mode.callers && number.is_multiple_of(2)).then(|| format!("Bearer caller-{}", number % 8));
        let wire = Wire::connect(all.addr).await;
        let language = ["en", "mi"][number / 2 % 2];
        Reader { number, dice: Dice::new(seed, number as u64), wire, caller, language, known: HashMap::new(), all }
    }

    /// Reads until nothing is left to do.
    pub async fn run(mut self) {
        let all = Arc::clone(&self.all);
        while let Ok(left) = all.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            if left.is_multiple_of(all.mode.reads_per_write) {
                all.writes.add_permits(1);
            }
            if left.is_multiple_of(READS_PER_PURGE.max(all.mode.reads_per_write * 3)) {
                all.purges.add_permits(1);
            }
            if left.is_multiple_of(READS_PER_STEP) {
                all.steps.add_permits(1);
            }
            if self.dice.permille(8) {
                self.leave_in_the_middle().await;
                continue;
            }
            let resource = self.choose();
            let failed = match self.read(resource).await {
                Ok(Ok(_)) => continue,
                Ok(Err(said)) => format!("{}: {said}", resource.target()),
                Err(error) => format!("{}: {error}", resource.target()),
            };
            all.broken.lock().unwrap().push(failed);
        }
    }

    /// One whole read; what it shows, or what an error says.
    pub async fn read(&mut self, resource: Resource) -> Result<Seen> {
        let answer = self.ask(resource).await;
        if answer.is_err() {
            self.wire = Wire::connect(self.all.addr).await;
        }
        answer
    }

    async fn ask(&mut self, resource: Resource) -> Result<Seen> {
        let target = resource.target();
        let known = self.known.get(&target).filter(|_| self.dice.permille(150)).cloned();
        let head = resource.tagged() == Tagged::Strong && self.dice.permille(15);
        let request = self.request(if head { "HEAD" } else { "GET" }, &target, known.as_ref().map(|k| &*k.0));
        let began = self.all.history.moment();
        self.wire.send(&request).await?;
        let answer = self.wire.message(head).await?;
        let ended = self.all.history.moment();
        if answer.is_last() {
            self.wire = Wire::connect(self.all.addr).await;
        }
        let got = match (answer.status(), known) {
            (304, Some((_, versions))) => versions,
            (200, _) if head => versions_of(answer.field("etag").unwrap_or_default().trim_matches('"'), '.'),
            (200, _) => self.understood(resource, &target, &answer),
            (status, _) if status >= 500 => return Ok(Err(format!("{status} {}", answer.text()))),
            (status, _) => panic!("{status} for {target}"),
        };
        if let (Tagged::Strong, Some(etag)) = (resource.tagged(), answer.field("etag")) {
            self.known.insert(target, (etag.to_owned(), got.clone()));
        }
        let read = Read { began, ended, reader: self.number, resource, got: got.clone(), how: how(&answer) };
        self.all.history.add(|events| events.reads.push(read));
        Ok(Ok(got))
    }

    fn request(&mut self, method: &str, target: &str, etag: Option<&str>) -> String {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: history\r\nAccept-Language: {}\r\n", self.language);
        if let Some(caller) = &self.caller {
            request += &format!("Authorization: {caller}\r\n");
        }
        if let Some(etag) = etag {
            request += &format!("If-None-Match: {etag}\r\n");
        }
        match self.dice.below(100) {
            0 => request += "Cache-Control: no-cache\r\n",
            1 => request += "Cache-Control: max-stale\r\n",
            2 => request += "Cache-Control: max-age=0\r\n",
            _ => {}
        }
        request + "\r\n"
    }

    /// The versions in a body, which must be this resource's, in this language and for this caller.
    fn understood(&self, resource: Resource, target: &str, answer: &Message) -> Box<[u32]> {
        let parts: Vec<&str> = answer.text().split('|').collect();
        let [at, who, language, versions, _] = parts[..] else { panic!("{target}: {:?}", answer.text()) };
        assert_eq!(at, target, "another resource's answer");
        if matches!(resource, Resource::Book(_)) {
            assert_eq!(language, self.language, "another variant of {target}");
        }
        if self.all.mode.mine && matches!(resource, Resource::Mine(_)) {
            assert_eq!(who, self.caller.as_deref().unwrap_or("-"), "somebody else's {target}");
        }
        versions_of(versions, ',')
    }

    /// Some things are read by everybody all the time, so that reads meet.
    fn choose(&mut self) -> Resource {
        use Resource::{Author, Book, Catalogue, Cover, List, Mine, Page, Reviews, Root, Shelf, View};
        let dice = &mut self.dice;
        let book = if dice.permille(500) { dice.index(2) } else { dice.index(BOOKS) };
        match dice.below(if self.all.mode.views > 2 { 130 } else { 100 }) {
            0..14 => Book(book),
            14..20 => Root,
            20..32 => List,
            32..44 => Catalogue,
            44..52 => Author(dice.index(AUTHORS)),
            52..62 => Reviews(book),
            62..67 => Shelf(book),
            67..72 => Cover(book),
            72..77 => Page(dice.index(BOOKS / PAGE)),
            77..82 => Root,
            82..87 => Mine(book),
            _ => View(book, dice.below(self.all.mode.views) as u32),
        }
    }

    /// Sends a request, or a part of one, waits a little, and is gone.
    async fn leave_in_the_middle(&mut self) {
        let resource = self.choose();
        let request = self.request("GET", &resource.target(), None);
        let end = if self.dice.permille(100) { self.dice.index(request.len()) } else { request.len() };
        let _ = self.wire.send(&request[..end]).await;
        tokio::time::sleep(Duration::from_millis(self.dice.below(4))).await;
        self.wire = Wire::connect(self.all.addr).await;
    }
}

fn versions_of(list: &str, separator: char) -> Box<[u32]> {
    list.split(separator).map(|v| v.parse().unwrap_or_else(|_| panic!("{list:?}"))).collect()
}

fn how(answer: &Message) -> How {
    let says = answer.field("cache-status").unwrap_or_default();
    How {
        hit: says.contains("; hit"),
        stale: ["stale-while-revalidate", "stale-if-error", "stale-after", "max-stale"]
            .iter()
            .any(|word| says.contains(word)),
        slow: says.contains("stale-after"),
        collapsed: says.contains("; collapsed"),
        stored: says.contains("; stored"),
        confirmed: says.contains("fwd-status=304"),
        not_modified: answer.status() == 304,
    }
}
