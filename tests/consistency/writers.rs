//! Writers, who write through the gateway, and operators, who change things behind its back and then purge.

use super::changes::{Change, Purge};
use super::history::{Ending, Purged, Write};
use super::modes::Upheaval;
use super::origin::Shop;
use super::readers::Reading;
use super::support::TOKEN;
use super::wire::{Dice, Wire};
use super::world::{AUTHORS, BOOKS, GENRES, Resource};
use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Numbers of writes, from 1.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Writes whenever the readers let it, until they close.
pub async fn write(all: Arc<Reading>, mut dice: Dice) {
    let mut kept = None;
    while let Ok(permit) = all.writes.acquire().await {
        permit.forget();
        let change = Change::ALL[dice.index(Change::ALL.len())];
        let book = if dice.permille(500) { dice.index(2) } else { dice.index(BOOKS) };
        let id = NEXT.fetch_add(1, Ordering::SeqCst);
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => Wire::connect(all.addr).await,
        };
        let (began, began_ms) = (all.history.moment(), all.history.now());
        let ending = once(&mut wire, &mut dice, change, book, id).await;
        let ended = all.history.moment();
        let ending = ending.unwrap_or_else(|error| {
            all.broken.lock().unwrap().push(format!("{:?} of {book}: {error}", change));
            Ending::Left
        });
        // A process that ends closes connections that wait for their next request.
        if ending != Ending::Left && !all.mode.upheaval.is_of_processes() {
            kept = Some(wire);
        }
        if matches!((all.mode.upheaval, change), (Upheaval::Killed, Change::Put | Change::Delete)) {
            assert!(matches!(ending, Ending::Acknowledged(_) | Ending::Left), "{change:?} of {book}: {ending:?}");
        }
        all.history.add(|events| events.writes.push(Write { id, change, book, began, began_ms, ended, ending }));
    }
}

async fn once(wire: &mut Wire, dice: &mut Dice, change: Change, book: usize, id: u64) -> Result<Ending> {
    let (method, target) = change.request(book);
    let number = Change::ALL.iter().position(|c| *c == change).unwrap();
    let body = "some content of a write";
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: history\r\nX-Write: {id}\r\nX-Book: {book}\r\nX-Change: {number}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = head + body;
    if dice.permille(60) {
        let end = request.len() - if dice.permille(300) { 1 + dice.index(body.len()) } else { 0 };
        let _ = wire.send(&request[..end]).await;
        tokio::time::sleep(Duration::from_millis(dice.below(6))).await;
        return Ok(Ending::Left);
    }
    wire.send(&request).await?;
    let answer = wire.message(false).await?;
    Ok(match answer.status() {
        200..400 => {
            let version = answer.field("x-version").unwrap_or(answer.text());
            Ending::Acknowledged(version.trim().parse().unwrap())
        }
        status @ 502..=504 => Ending::Unknown(status),
        status => Ending::Refused(status),
    })
}

/// Changes some books behind the gateway's back and purges something, whenever the readers let it.
pub async fn purge(all: Arc<Reading>, shop: Arc<Shop>, admin: SocketAddr, mut dice: Dice) {
    while let Ok(permit) = all.purges.acquire().await {
        permit.forget();
        for _ in 0..=dice.below(3) {
            shop.apply(0, if dice.permille(500) { dice.index(2) } else { dice.index(BOOKS) });
        }
        let purge = choose(&mut dice);
        let soft = purge != Purge::Clear && dice.permille(350);
        let (method, target, body) = purge.request(soft);
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut wire = Wire::connect(admin).await; // the admin port ends its connections after a while
        let had = shop.versions();
        let began = all.history.moment();
        wire.send(&request).await.unwrap();
        let answer = wire.message(false).await.unwrap();
        let ended = all.history.moment();
        assert!(matches!(answer.status(), 200 | 204), "{purge:?}: {} {}", answer.status(), answer.text());
        all.history.add(|events| events.purges.push(Purged { began, ended, purge, soft, had }));
    }
}

fn choose(dice: &mut Dice) -> Purge {
    let book = if dice.permille(500) { dice.index(2) } else { dice.index(BOOKS) };
    match dice.below(100) {
        0 => Purge::All,
        1 => Purge::Api,
        2 => Purge::Clear,
        3..25 => Purge::Path(Resource::Book(book)),
        25..33 => Purge::Path(Resource::List),
        33..40 => Purge::Path(Resource::Catalogue),
        40..45 | 76..85 => Purge::Path(Resource::Root),
        45..50 => Purge::Path(Resource::Author(dice.index(AUTHORS))),
        50..55 => Purge::Path(Resource::Shelf(book)),
        55..60 => Purge::Path(Resource::Mine(book)),
        60..70 => Purge::Prefix(book),
        70..76 => Purge::Book(book),
        _ => Purge::Genre(dice.index(GENRES)),
    }
}
