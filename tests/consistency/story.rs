//! The story of a stale read, for who has to find out why.

use super::history::{Events, Moment, Read};
use super::promises::{Cause, Floor};
use std::fmt::Write as _;

/// How many lines are told.
const LINES: usize = 40;

/// Everything about one book from the promise to the read that breaks it.
pub fn story(events: &Events, read: &Read, book: usize, (least, cause): Floor) -> String {
    let (from, who) = match cause {
        Cause::Nobody => (0, String::new()),
        Cause::Write(i) => (events.writes[i].began, format!("write #{}", events.writes[i].id)),
        Cause::Purge(i) => (events.purges[i].began, format!("a purge of {:?}", events.purges[i].purge)),
    };
    let mut lines: Vec<(Moment, String)> = Vec::new();
    let within = |at: Moment| (from..=read.ended).contains(&at);
    for write in events.writes.iter().filter(|w| w.book == book) {
        let (method, target) = write.change.request(book);
        lines.push((write.began, format!("write #{}: {method} {target} begins", write.id)));
        lines.push((write.ended, format!("write #{}: {:?}", write.id, write.ending)));
    }
    for change in events.applied.iter().filter(|a| a.book == book) {
        let by = if change.id == 0 { "behind its back".into() } else { format!("for write #{}", change.id) };
        lines.push((change.at, format!("the origin has version {} ({by})", change.version)));
    }
    for purged in &events.purges {
        let how = if purged.soft { "soft purge" } else { "purge" };
        lines.push((purged.began, format!("{how} of {:?} begins; the origin has {}", purged.purge, purged.had[book])));
        lines.push((purged.ended, format!("{how} of {:?} is acknowledged", purged.purge)));
    }
    for other in events.reads.iter().filter(|r| r.resource == read.resource && !std::ptr::eq(*r, read)) {
        let Some(version) = shown(other, book) else { continue };
        lines
            .push((other.ended, format!("read by {}, begun {}: {version} {:?}", other.reader, other.began, other.how)));
    }
    lines.retain(|(at, _)| within(*at));
    lines.sort();
    let told = lines.len().saturating_sub(LINES);
    let mut text = format!(
        "stale: {} begun at {} by reader {} and ended at {} shows version {} of book {book}; {who} had acknowledged {least}. {:?}",
        read.resource.target(),
        read.began,
        read.reader,
        read.ended,
        shown(read, book).unwrap_or_default(),
        read.how,
    );
    for (at, line) in lines.iter().take(LINES / 2).chain(lines.iter().skip(told.max(LINES / 2))) {
        let _ = write!(text, "\n  {at:>8} {line}");
        if *at < read.began && lines.iter().find(|(later, _)| later > at).is_some_and(|(later, _)| *later > read.began)
        {
            let _ = write!(text, "\n  {:>8} THE READ BEGINS", read.began);
        }
    }
    text
}

fn shown(read: &Read, book: usize) -> Option<u32> {
    read.resource.books().position(|b| b == book).and_then(|at| read.got.get(at).copied())
}
