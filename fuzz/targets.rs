//! What is fuzzed: each target reads some bytes in every way that the gateway does, and holds what must be true of whatever it
//! reads. libFuzzer calls them by way of `fuzz_targets/`; `tests/corpus.rs` calls them with what `corpus/` has kept.
//!
//! The bytes are lines, as fields are, so that a file of the corpus can be read, and written by hand.
#![allow(missing_docs, unreachable_pub, reason = "each target is what its name says; a test has no outside")]

mod readers;
#[path = "../tests/security/strict.rs"]
mod requests;
mod strict;

use freshgate::clock::Now;
use freshgate::events::{Event, Message, Template, read, understand};
use freshgate::listener::Scanner;
use freshgate::policy::{KeyRules, Place, canonical_host, canonical_path, canonical_query, check_query, write_key};
use freshgate::rfc9110::range::{ContentRange, Part, Ranged};
use freshgate::rfc9110::{Validators, conditional, date, etag, range};
use freshgate::rfc9111::directives::{Extent, MAX_DELTA_SECONDS, ResponseDirectives};
use freshgate::rfc9111::storing::Storable;
use freshgate::rfc9111::targeted::{SURROGATE_CONTROL, Surrogate, TARGETS, targeted};
use freshgate::rfc9111::{
    CACHE_GROUPS, NO_VARY_SEARCH, Operator, Question, RequestDirectives, Reuse, Selection, UrlVariation, Vary,
};
use freshgate::rfc9111::{
    consider as considered, effective, freshen, groups, is_of_target, reuse, targets, usable_on_error,
};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, AGE, CACHE_CONTROL, CONTENT_TYPE, COOKIE, DATE, ETAG, EXPIRES, IF_NONE_MATCH,
    IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use readers::{Reader, decoded};
use requests::{Read, Taste, read_as};
use strict::Strict;

/// Wed, 01 Jul 2026 00:00:00.500 GMT.
const NOW: Now = Now { mono: 5_000_000, unix: 1_782_864_000_500 };

/// Fri, 01 Jan 2100 00:00:00 GMT.
const IN_2100: u64 = 4_102_444_800_000;
/// The lines that can be a field's value.
fn values(data: &[u8]) -> Vec<HeaderValue> {
    data.split(|&b| b == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect()
}

/// Fields from lines `name: value`; others are passed over.
fn fields(data: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in data.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    fields
}

/// A field with these lines, and nothing else.
fn with(name: &HeaderName, lines: &[HeaderValue]) -> HeaderMap {
    lines.iter().map(|line| (name.clone(), line.clone())).collect()
}

/// The lines as one.
fn joined(lines: &[HeaderValue]) -> Vec<HeaderValue> {
    let bytes = lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
    if lines.is_empty() { Vec::new() } else { vec![HeaderValue::from_bytes(&bytes).unwrap()] }
}

fn in_capitals(lines: &[HeaderValue]) -> Vec<HeaderValue> {
    lines.iter().map(|line| HeaderValue::from_bytes(&line.as_bytes().to_ascii_uppercase()).unwrap()).collect()
}

/// Without quotes it makes no difference whether members stand in one line or in several.
fn has_quotes(lines: &[HeaderValue]) -> bool {
    lines.iter().any(|line| line.as_bytes().contains(&b'"'))
}

/// How many of the lines to leave, to see what the rest of them adds.
fn fewer(lines: &[HeaderValue]) -> [usize; 2] {
    [lines.len() / 2, lines.len().saturating_sub(1)]
}

/// Lines of `Cache-Control`, `CDN-Cache-Control` or `Surrogate-Control`.
pub fn cache_control(data: &[u8]) {
    let lines = values(data);
    of_responses(&lines);
    of_requests(&lines);
    for name in TARGETS {
        let said = targeted(&with(&name, &lines));
        assert_eq!(said, targeted(&with(&name, &joined(&lines))), "several lines are one value");
        let Some(said) = said else { continue };
        assert!(!said.malformed && !lines.is_empty());
        are_bounded(&said);
    }
    let surrogate = Surrogate::parse(&with(&SURROGATE_CONTROL, &lines));
    assert!(!surrogate.by_name || surrogate.max_age.is_some());
    assert!(surrogate.max_age <= Some(MAX_DELTA_SECONDS));
    if !has_quotes(&lines) {
        assert_eq!(surrogate, Surrogate::parse(&with(&SURROGATE_CONTROL, &joined(&lines))));
    }
}

fn of_responses(lines: &[HeaderValue]) {
    let read = |lines: &[HeaderValue]| ResponseDirectives::parse(&with(&CACHE_CONTROL, lines));
    let all = read(lines);
    are_bounded(&all);
    assert!(
        !all.malformed || !(all.public || all.immutable || all.must_understand),
        "nothing that permits is believed"
    );
    assert_eq!(all, read(&in_capitals(lines)));
    if !has_quotes(lines) {
        assert_eq!(all, read(&joined(lines)));
    }
    for most in fewer(lines) {
        is_no_looser(&read(&lines[..most]), &all);
    }
    for (line, holds) in [
        ("no-store", (|d| d.no_store) as fn(&ResponseDirectives) -> bool),
        ("x y, No-Store", |d| d.no_store && d.malformed),
        ("x=\"y, private", |d| d.private == Extent::Whole),
        ("no-cache", |d| d.no_cache == Extent::Whole),
        ("max-age=-1, s-maxage=\"\"", |d| d.max_age == Some(0) && d.s_maxage == Some(0)),
    ] {
        let more = [lines, &[HeaderValue::from_static(line)]].concat();
        assert!(holds(&read(&more)), "{line} isn't heard");
    }
}

fn are_bounded(said: &ResponseDirectives) {
    let numbers = [said.max_age, said.s_maxage, said.stale_while_revalidate, said.stale_if_error];
    assert!(numbers.into_iter().flatten().all(|seconds| seconds <= MAX_DELTA_SECONDS), "{said:?}");
}

/// More lines never permit more.
fn is_no_looser(some: &ResponseDirectives, all: &ResponseDirectives) {
    let stays = |had: bool, has: bool| !had || has;
    assert!(stays(some.no_store, all.no_store) && stays(some.malformed, all.malformed));
    assert!(stays(some.must_revalidate, all.must_revalidate) && stays(some.proxy_revalidate, all.proxy_revalidate));
    for (had, has) in [(&some.private, &all.private), (&some.no_cache, &all.no_cache)] {
        assert!(stays(*had == Extent::Whole, *has == Extent::Whole));
        assert!(had.fields().iter().all(|name| *has == Extent::Whole || has.fields().contains(name)));
    }
    for (had, has) in [
        (some.max_age, all.max_age),
        (some.s_maxage, all.s_maxage),
        (some.stale_while_revalidate, all.stale_while_revalidate),
        (some.stale_if_error, all.stale_if_error),
    ] {
        assert!(had.is_none_or(|had| has.is_some_and(|has| has <= had)));
    }
}

fn of_requests(lines: &[HeaderValue]) {
    let read = |lines: &[HeaderValue]| RequestDirectives::parse(&with(&CACHE_CONTROL, lines));
    let all = read(lines);
    assert_eq!(all, read(&in_capitals(lines)));
    if !has_quotes(lines) {
        assert_eq!(all, read(&joined(lines)));
    }
    for most in fewer(lines) {
        let some = read(&lines[..most]);
        assert!((!some.no_cache || all.no_cache) && (!some.no_store || all.no_store));
        assert!(!some.only_if_cached || all.only_if_cached);
        assert!(some.max_age.is_none_or(|had| all.max_age.is_some_and(|has| has <= had)));
        assert!(some.min_fresh <= all.min_fresh);
        let bound = |most: Option<u64>| most.unwrap_or(u64::MAX);
        assert!(some.max_stale.is_none_or(|had| all.max_stale.is_some_and(|has| bound(has) <= bound(had))));
    }
}

/// One date.
pub fn dates(data: &[u8]) {
    let _ = date::parse(data, u64::MAX);
    for now in [NOW.unix, 0, IN_2100] {
        let Some(at) = date::parse(data, now) else { continue };
        let text = date::format(at);
        assert_eq!(date::parse(text.as_bytes(), now), Some(at), "{text}");
        assert_eq!(date::parse(&data.to_ascii_uppercase(), now), Some(at));
        assert_eq!(date::parse(&data.to_ascii_lowercase(), now), Some(at));
        assert_eq!(date::parse(&[b" \t", data, b" "].concat(), now), Some(at));
        // Only years of two digits depend on the present one; and the other library guesses them in its own way.
        assert!(data.contains(&b'-') || date::parse(data, 0) == Some(at));
    }
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let theirs = std::str::from_utf8(data).ok().and_then(|text| httpdate::parse_http_date(text).ok());
    if let Some(theirs) = theirs.filter(|_| !data.contains(&b'-')) {
        let theirs = theirs.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() * 1000;
        assert_eq!(date::parse(data, NOW.unix), Some(theirs), "what the other library reads");
    }
    let one = date::parse(data, NOW.unix).map_or(date::DateField::Invalid, date::DateField::At);
    assert_eq!(date::field(&with(&EXPIRES, std::slice::from_ref(&value)), &EXPIRES, NOW.unix), one);
    let twice = with(&EXPIRES, &[value.clone(), value]);
    assert_eq!(date::field(&twice, &EXPIRES, NOW.unix), date::DateField::Invalid);
}

/// An answer's fields, a request's and another's, with an empty line between them.
pub fn vary(data: &[u8]) {
    let mut blocks = Vec::new();
    let mut rest = data;
    while let (Some(end), true) = (rest.windows(2).position(|pair| pair == b"\n\n"), blocks.len() < 2) {
        blocks.push(fields(&rest[..end]));
        rest = &rest[end + 2..];
    }
    blocks.push(fields(rest));
    blocks.resize_with(3, HeaderMap::new);
    let (answer, asked, other) = (&blocks[0], &blocks[1], &blocks[2]);

    let lines: Vec<_> = answer.get_all(VARY).iter().cloned().collect();
    assert_eq!(Vary::parse(answer), Vary::parse(&with(&VARY, &joined(&lines))));
    assert_eq!(Vary::parse(answer), Vary::parse(&with(&VARY, &in_capitals(&lines))));
    let star = [&lines[..], &[HeaderValue::from_static(" ,*")]].concat();
    assert_eq!(Vary::parse(&with(&VARY, &star)), Vary::Any);
    for (vary, only_by_ttl) in [(Vary::parse(answer), false), (effective(asked, answer, true), true)] {
        let Vary::Fields(names) = vary else { continue };
        assert!(names.is_sorted_by(|a, b| a.as_str() < b.as_str()) && names.len() <= 32);
        if let (true, Vary::Fields(said)) = (only_by_ttl, Vary::parse(answer)) {
            assert!(said.iter().all(|name| names.contains(name)), "a name of Vary is forgotten");
        }
        are_alike_or_not(&names, asked, other);
    }
}

fn are_alike_or_not(names: &[HeaderName], asked: &HeaderMap, other: &HeaderMap) {
    let (mine, theirs) = (Selection::capture(names, asked), Selection::capture(names, other));
    assert!(mine.matches(asked) && theirs.matches(other), "a request matches itself");
    let matches = mine.matches(other);
    assert_eq!(matches, theirs.matches(asked));
    assert_eq!(matches, mine == theirs);
    let written = |request| {
        let mut out = Vec::new();
        mine.write_variant(request, &mut out);
        out
    };
    assert_eq!(matches, written(asked) == written(other));
    for name in names {
        assert!(!matches || asked.contains_key(name) == other.contains_key(name));
        // As one line it is the same list; cookies are no list.
        let lines: Vec<_> = asked.get_all(name).iter().cloned().collect();
        if *name != COOKIE && !has_quotes(&lines) {
            let mut one = asked.clone();
            one.remove(name);
            one.extend(with(name, &joined(&lines)));
            assert!(mine.matches(&one), "{name}");
        }
        if [ACCEPT_LANGUAGE, ACCEPT_ENCODING].contains(name) {
            let mut loud = asked.clone();
            loud.remove(name);
            loud.extend(with(name, &in_capitals(&lines)));
            assert!(mine.matches(&loud), "{name} has no case");
        }
        // Letters and digits are never meaningless.
        let bare = |request: &HeaderMap| -> Vec<u8> {
            let bytes = request.get_all(name).into_iter().flat_map(|line| line.as_bytes().to_ascii_lowercase());
            bytes.filter(u8::is_ascii_alphanumeric).collect()
        };
        assert!(!matches || bare(asked) == bare(other), "{name}");
    }
}

/// A request's fields and a stored answer's; `Content-Range` says what of it is stored.
pub fn ranges(data: &[u8]) {
    let fields = fields(data);
    let stored = Validators::of(&fields);
    let content = ContentRange::of(&fields);
    if let Some(content) = content {
        is_sound(content);
    }
    for length in [content.map_or(1000, |content| content.complete), 0, 1, 40, u64::MAX] {
        let ranged = range::select(&fields, &stored, length, NOW);
        lie_within(&ranged, length);
        if fields.get_all(RANGE).iter().count() != 1 || fields.get_all(IF_RANGE).iter().count() > 1 {
            assert_eq!(ranged, Ranged::Whole);
        }
        if let (Ranged::Part(wanted), Some(content)) = (&ranged, content.filter(|content| content.complete == length)) {
            let first = wanted.first.checked_sub(content.part.first);
            let fits = first.is_some_and(|first| first + wanted.len() <= content.part.len());
            assert_eq!(content.covers(wanted), fits);
        }
        // A condition can only make less of the request.
        let mut unconditional = fields.clone();
        unconditional.remove(IF_RANGE);
        let free = range::select(&unconditional, &stored, length, NOW);
        assert!(ranged == free || ranged == Ranged::Whole);
        let weak = stored.etag.is_none_or(|tag| !etag::is_strong(tag)) && stored.last_modified.is_none();
        assert!(!weak || !fields.contains_key(IF_RANGE) || ranged == Ranged::Whole, "a strong match of nothing");
    }
    tags(&fields);
}

fn is_sound(content: ContentRange) {
    let Part { first, last } = content.part;
    assert!(first <= last && last < content.complete && content.part.len() == last - first + 1);
    let text = format!("bytes {first}-{last}/{}", content.complete);
    assert_eq!(ContentRange::parse(text.as_bytes()), Some(content));
    assert_eq!(content.is_whole(), Some(content) == ContentRange::whole(content.complete));
    assert!(content.covers(&content.part));
}

fn lie_within(ranged: &Ranged, length: u64) {
    let parts = match ranged {
        Ranged::Part(part) => vec![*part],
        Ranged::Parts(parts) => {
            assert!((2..=16).contains(&parts.len()));
            parts.clone()
        }
        Ranged::Whole | Ranged::Unsatisfiable => return,
    };
    assert!(parts.iter().all(|part| part.first <= part.last && part.last < length), "{parts:?} of {length}");
    let apart = |(at, a): (usize, &Part)| parts[at + 1..].iter().all(|b| a.last < b.first || b.last < a.first);
    assert!(parts.iter().enumerate().all(apart), "{parts:?} overlap");
}

fn tags(fields: &HeaderMap) {
    let stored = Validators::of(fields);
    let tag = stored.etag.and_then(etag::EntityTag::parse);
    if let Some(tag) = tag {
        assert!(tag.weak_match(&tag) && tag.strong_match(&tag) != tag.weak);
        let mut asked = fields.clone();
        asked.append(IF_NONE_MATCH, HeaderValue::from_bytes(stored.etag.unwrap()).unwrap());
        assert!(conditional::not_modified(&asked, &stored, NOW), "the stored tag is among them");
    } else if fields.contains_key(IF_NONE_MATCH)
        && !fields.get_all(IF_NONE_MATCH).iter().any(|v| etag::is_any(v.as_bytes()))
    {
        assert!(!conditional::not_modified(fields, &stored, NOW), "there is no tag to match");
    }
}

/// A status, and the fields of an answer.
pub fn consider(data: &[u8]) {
    let (first, rest) = data.split_at(data.iter().position(|&b| b == b'\n').unwrap_or(data.len()));
    let status = StatusCode::from_bytes(first).unwrap_or(StatusCode::OK);
    let fields = fields(rest);
    let asked = Now { mono: NOW.mono - 1, unix: NOW.unix - 1 };
    let ask = |fields: &HeaderMap, authorization, part| {
        let q = Question { method: &Method::GET, authorization, request_no_store: false, part };
        let op = Operator { drop_errors: false, ..Operator::default() };
        considered(&q, status, fields, asked, NOW, &op)
    };
    let part = status == StatusCode::PARTIAL_CONTENT;
    let stored = ask(&fields, false, part);
    if let Ok(stored) = &stored {
        is_coherent(stored, &fields);
        let again = ask(&fields, true, part).unwrap();
        assert_eq!(again.facts, stored.facts, "who asks makes no answer fresher");
        for (name, line) in [("age", "0"), ("expires", "0"), ("date", "today"), ("cache-control", "x y")] {
            let mut more = fields.clone();
            more.append(HeaderName::from_static(name), HeaderValue::from_static(line));
            let Ok(worse) = ask(&more, false, part) else { continue };
            assert!(worse.facts.lifetime <= stored.facts.lifetime, "one more {name} gives more time");
            assert!(worse.facts.initial_age >= stored.facts.initial_age, "one more {name} makes younger");
        }
    }
    compare(&fields, stored.ok().as_ref());
    rest_of_it(&fields);
}

fn is_coherent(stored: &Storable, fields: &HeaderMap) {
    let facts = &stored.facts;
    assert!(!facts.must_revalidate || facts.stale_while_revalidate == 0 && facts.stale_if_error == 0);
    assert!(!facts.always_validate || facts.must_revalidate);
    assert!(stored.omit.iter().all(|name| fields.contains_key(name)));
    assert!(!stored.only_by_ttl && !stored.confined);
    for after in [0, 1, 60_000, facts.lifetime, u64::MAX / 2] {
        let now = Now { mono: NOW.mono.saturating_add(after), unix: NOW.unix };
        let verdict = reuse(facts, false, &RequestDirectives::NONE, now);
        assert_eq!(verdict == Reuse::Fresh, facts.is_fresh(now));
        assert!(facts.lifetime > facts.age(now) || verdict != Reuse::Fresh);
        assert!(!usable_on_error(facts, now) || !facts.must_revalidate);
        let outdated = reuse(facts, true, &RequestDirectives::NONE, now);
        assert!(matches!(outdated, Reuse::WhileRevalidating | Reuse::Validate(_)));
    }
    assert!(!facts.expired().is_fresh(NOW));
}

/// With the strict reader, where that doesn't claim too much.
fn compare(fields: &HeaderMap, stored: Option<&Storable>) {
    let Some(stored) = stored else { return };
    let control: Vec<_> = fields.get_all(CACHE_CONTROL).iter().cloned().collect();
    let has = |word: &str| control.iter().any(|line| contains(line.as_bytes(), word.as_bytes()));
    let dates = [DATE, EXPIRES].map(|name| fields.get_all(name).iter().any(|line| line.as_bytes().contains(&b'-')));
    let others = [&TARGETS[0], &TARGETS[1], &SURROGATE_CONTROL].iter().any(|name| fields.contains_key(*name));
    // Leap seconds are read by one of the two only.
    let leaps =
        [DATE, EXPIRES].iter().any(|name| fields.get_all(name).iter().any(|line| contains(line.as_bytes(), b":60")));
    if others || has_quotes(&control) || has("must-understand") || dates.contains(&true) || leaps {
        return;
    }
    let strict = Strict::read(fields, NOW.unix, 1);
    let facts = &stored.facts;
    assert!(!strict.is_forbidden, "{facts:?} {strict:?}");
    assert!(!strict.always_validate || facts.always_validate, "{facts:?} {strict:?}");
    let is_kept = fields.contains_key("x-secret") && !stored.omit.iter().any(|name| name == "x-secret");
    assert!(!strict.omits_secret || !is_kept, "{stored:?}");
    assert!(facts.lifetime <= strict.lifetime.unwrap_or(0), "{facts:?} {strict:?}");
    assert!(strict.age.is_none_or(|age| facts.initial_age >= age), "{facts:?} {strict:?}");
    for after in [0, 1, 5_000, 60_000, 600_000] {
        let now = Now { mono: NOW.mono + after, unix: NOW.unix + after };
        let may_be_stale = |stated: Option<u64>| strict.may_be_stale(after, 0, stated.unwrap_or(0));
        let allowed = match reuse(facts, false, &RequestDirectives::NONE, now) {
            Reuse::Fresh => strict.may_be_fresh(after, 0),
            Reuse::WhileRevalidating => may_be_stale(strict.while_revalidating),
            Reuse::Stale => false,
            Reuse::Validate(_) => true,
        };
        assert!(allowed, "after {after} ms: {facts:?} {strict:?}");
        assert!(
            !usable_on_error(facts, now) || may_be_stale(strict.on_error),
            "after {after} ms: {facts:?} {strict:?}"
        );
    }
    let public = strict.is_public || stored.sharing != freshgate::rfc9111::Sharing::Public;
    let shared = strict.may_be_shared || stored.sharing == freshgate::rfc9111::Sharing::Unstated;
    assert!(public && shared, "{stored:?} {strict:?}");
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|there| there.eq_ignore_ascii_case(word))
}

/// What else is read of an answer.
fn rest_of_it(fields: &HeaderMap) {
    let once = freshen(fields, fields);
    assert_eq!(freshen(&once, fields), once, "the same 304 again changes nothing");
    for target in ["/", "/a/b?c=d"] {
        for path in targets("http", "a.example", target, fields) {
            assert!(path.starts_with('/') && path.is_ascii());
            let only = path.split('?').next().unwrap();
            assert!(only.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
            // Two slashes would be taken for another host's.
            if path.starts_with("//") {
                continue;
            }
            let mut named = HeaderMap::new();
            named.append(http::header::CONTENT_LOCATION, HeaderValue::from_str(&path).unwrap());
            assert_eq!(
                targets("http", "a.example", target, &named),
                std::slice::from_ref(&path),
                "a path names itself"
            );
            assert!(is_of_target("http", "a.example", &path, &named), "{path}");
        }
    }
    for group in groups(fields, &CACHE_GROUPS) {
        assert!(group.is_ascii());
    }
    if let Some(rule) = UrlVariation::of(fields) {
        assert!(fields.contains_key(NO_VARY_SEARCH));
        assert_eq!(rule.minded(b"&&a=1&"), rule.minded(b"a=%31"));
    }
    let kept = [AGE, ETAG, LAST_MODIFIED, LOCATION];
    assert!(kept.iter().all(|name| *name == AGE || once.contains_key(name) == fields.contains_key(name)));
}

/// What a client sends.
pub fn requests(data: &[u8]) {
    let scan = |bytes: &[u8], size: usize| {
        let mut scanner = Scanner::default();
        let taken: usize = bytes.chunks(size).map(|piece| scanner.scan(piece)).sum();
        assert_eq!(scanner.has_refused(), taken < bytes.len());
        taken
    };
    let all = scan(data, data.len().max(1));
    for size in [1, 2, 5, 64] {
        let mut taken = scan(data, size);
        // Of a long line in pieces more is let pass before it is refused.
        if taken != all && data.split(|&b| b == b'\n').any(|line| line.len() > 250) {
            taken = all;
        }
        assert_eq!(taken, all, "in pieces of {size}");
    }
    // Where a strict reader finds a request, nothing is refused, and its end is the scanner's.
    let (mut end, mut limit) = (0, 0);
    while let Read::Whole(request, length) = read_as(&data[end..], Taste::Clients) {
        end += length;
        limit += 1;
        if limit > 20 || data[..end].split(|&b| b == b'\n').any(|line| line.len() > 250) {
            return;
        }
        // A method may hold `#`, and none does: the scanner looks for it in the whole line.
        if request.method.contains('#') {
            return;
        }
        assert!(all >= end, "{request:?} is refused at {all}");
        let next = [&data[..end], b"\n"].concat();
        assert_eq!(scan(&next, next.len()), end, "{request:?} ends elsewhere");
    }
}

/// A path, a query, a Host, another path: one a line.
pub fn targets_and_keys(data: &[u8]) {
    let mut lines = data.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let (path, query) = (lines.next().unwrap_or_default(), lines.next());
    let (host, other) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Some(query) = query.filter(|query| check_query(query).is_ok()) {
        let once = canonical_query(&KeyRules::default(), Some(query));
        let twice = canonical_query(&KeyRules::default(), once.as_deref());
        assert_eq!(once, twice);
    }
    if let Ok(host) = canonical_host(host) {
        assert_eq!(canonical_host(&host).as_deref(), Ok(&*host));
        assert!(host.is_ascii() && !host.contains(['/', '@', '?', '#', '\\', '%', ' ']));
        let (mut key, mut longer) = (Vec::new(), Vec::new());
        write_key(&mut key, &host, "/a", query, b"");
        write_key(&mut longer, &host, "/a", query, b"x");
        assert!(longer.starts_with(&key) && longer != key);
    }
    let Ok(one) = canonical_path(path) else { return };
    assert_eq!(canonical_path(&one).as_deref(), Ok(&*one));
    for reader in Reader::all() {
        let segments = reader.segments(&one);
        assert!(segments.iter().all(|s| s != b"." && s != b".."), "{reader:?} sees {segments:?} in {one}");
    }
    assert!(decoded(one.as_bytes()).iter().all(|b| !b.is_ascii_control()));
    let Ok(other) = canonical_path(other) else { return };
    for reader in Reader::all().into_iter().filter(|reader| reader.segments(&one) == reader.segments(&other)) {
        assert_eq!(Place::new(&one), Place::new(&other), "{reader:?} takes {one} for {other}");
    }
}

/// Fields and a content, with an empty line between: events as they are sent, or the message of a source.
pub fn events(data: &[u8]) {
    let at = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = (&data[..at], data.get(at + 2..).unwrap_or_default());
    for event in read(&fields(head), body, 5).into_iter().flatten() {
        is_whole(&event);
        assert_eq!(read(&binary(&event), b"", 1), Ok(vec![Event { data: None, ..event.clone() }]));
        let written = structured(&event).to_string();
        let structured =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"))]);
        match read(&structured, written.as_bytes(), 1) {
            Ok(again) => assert!(again.iter().all(|again| is_same(again, &event)), "{written}"),
            // One level more than there was.
            Err(refused) => assert!(refused.to_string().contains("recursion"), "{written}"),
        }
        match understand("c", written.as_bytes(), 1 << 20) {
            Message::Event(again) => assert!(is_same(&Event { channel: None, ..again }, &event) || written.len() > 250),
            Message::Something(_) => assert!(written.len() > 250, "{written}"),
        }
    }
    if let Message::Event(event) = understand("c", body, 1000) {
        assert_eq!(event.channel.as_deref(), Some("c"));
        assert!(event.id.is_some() || event.subject.as_ref().is_some_and(|key| !key.is_empty()));
        stays_in_its_folder(&event);
    }
}

/// But for the last digit of a fraction.
fn is_same(one: &Event, other: &Event) -> bool {
    let bare = |event: &Event| Event { data: None, ..event.clone() };
    bare(one) == bare(other) && one.data.is_some() == other.data.is_some()
}

fn is_whole(event: &Event) {
    let needed = [&event.id, &event.source, &event.kind];
    assert!(needed.iter().all(|text| text.as_ref().is_some_and(|text| !text.is_empty())));
    let all = needed.into_iter().chain([&event.subject]).flatten();
    assert!(all.clone().all(|text| text.len() <= 2048 && !text.chars().any(char::is_control)));
    assert_eq!(event.channel, None);
    stays_in_its_folder(event);
}

fn binary(event: &Event) -> HeaderMap {
    let version = Some("1.0".to_owned());
    let all = [("specversion", &version), ("id", &event.id), ("source", &event.source), ("type", &event.kind)];
    let all = all.into_iter().chain([("subject", &event.subject)]);
    let written = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let field = |(name, text): (&str, &Option<String>)| {
        let name = HeaderName::from_bytes(format!("ce-{name}").as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(&written(text.as_ref()?)).ok()?))
    };
    all.filter_map(field).collect()
}

fn structured(event: &Event) -> serde_json::Value {
    let Event { id, source, kind, subject, channel: _, data } = event;
    serde_json::json!({ "specversion": "1.0", "id": id, "source": source, "type": kind, "subject": subject, "data": data })
}

/// Whatever an event fills in is one segment, and the path is canonical, unless none would be taken for it.
fn stays_in_its_folder(event: &Event) {
    for name in ["subject", "id", "data.a"] {
        let Ok(path) = Template::parse(&format!("/a/{{{name}}}/b")).unwrap().fill_path(event) else { continue };
        let segments: Vec<&str> = path.split('/').collect();
        assert!(matches!(segments[..], ["", "a", filled, "b"] if !matches!(filled, "" | "." | "..")), "{path}");
        assert!(canonical_path(&path).is_ok_and(|canonical| canonical == path) || canonical_path(&path).is_err());
    }
}
