//! Which request does what.

use super::answer::{self, Answer, Refusal};
use super::catalogue::{Listing, Sort};
use super::{Bookstore, MAX_DELAY};
use bytes::Bytes;
use http::{Method, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Books,
    Book(u32),
    Reviews(u32),
    Authors,
    Author(u32),
    AuthorBooks(u32),
    Delay,
    Requests,
}

/// `{"ms": 300}`
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    ms: u64,
}

/// `{"requests": 7}`
#[derive(Serialize)]
struct Requests {
    requests: u64,
}

/// Whether a request is for the demo's own switches, which are neither counted nor held back.
pub(super) fn is_switch(path: &str) -> bool {
    path.starts_with("/_demo/")
}

/// Does what the request asks for; the body is wholly there.
pub(super) fn answer(store: &Bookstore, request: &Request<Bytes>) -> Answer {
    let path = request.uri().path();
    let done = place(path).ok_or_else(|| Refusal::nowhere(path)).and_then(|place| act(store, place, request));
    done.unwrap_or_else(|refusal| refusal.answer())
}

fn place(path: &str) -> Option<Place> {
    let id = |text: &str| text.parse::<u32>().ok();
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    Some(match segments[..] {
        ["books"] => Place::Books,
        ["books", book] => Place::Book(id(book)?),
        ["books", book, "reviews"] => Place::Reviews(id(book)?),
        ["authors"] => Place::Authors,
        ["authors", author] => Place::Author(id(author)?),
        ["authors", author, "books"] => Place::AuthorBooks(id(author)?),
        ["_demo", "delay"] => Place::Delay,
        ["_demo", "requests"] => Place::Requests,
        _ => return None,
    })
}

fn act(store: &Bookstore, place: Place, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    // HEAD is a GET whose body hyper leaves out.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    match (place, method.as_str()) {
        (Place::Books, "POST") => add_book(store, request),
        (Place::Book(id), "PUT") => change_book(store, id, request),
        (Place::Book(id), "DELETE") => remove_book(store, id, request),
        (Place::Reviews(id), "POST") => add_review(store, id, request),
        (Place::Author(id), "PUT") => change_author(store, id, request),
        (Place::Delay, "PUT") => set_delay(store, request),
        (_, "GET") => look(store, place, request),
        (Place::Books | Place::Reviews(_), _) => Err(Refusal::method("GET, HEAD, POST")),
        (Place::Book(_), _) => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
        (Place::Author(_) | Place::Delay, _) => Err(Refusal::method("GET, HEAD, PUT")),
        (Place::Authors | Place::AuthorBooks(_) | Place::Requests, _) => Err(Refusal::method("GET, HEAD")),
    }
}

fn look(store: &Bookstore, place: Place, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let catalogue = store.catalogue();
    let fields = request.headers();
    Ok(match place {
        Place::Books => answer::read(fields, &catalogue.list(listing(request.uri().query().unwrap_or(""))?)),
        Place::Book(id) => answer::read(fields, &catalogue.book(id)?),
        Place::Reviews(id) => answer::read(fields, &catalogue.reviews(id)?),
        Place::Authors => answer::read(fields, &catalogue.authors()),
        Place::Author(id) => answer::read(fields, &catalogue.author(id)?),
        Place::AuthorBooks(id) => {
            catalogue.author(id)?;
            answer::read(fields, &catalogue.list(Listing { author: Some(id), ..Listing::default() }))
        }
        Place::Delay => answer::unkept(&Delay { ms: crate::clock::millis(store.delay()) }),
        Place::Requests => answer::unkept(&Requests { requests: store.requests() }),
    })
}

fn add_book(store: &Bookstore, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let book = parse(request.body())?;
    let mut catalogue = store.catalogue();
    let id = catalogue.add_book(book)?;
    Ok(answer::created(&format!("/books/{id}"), &catalogue.book(id)?))
}

fn change_book(store: &Bookstore, id: u32, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let book = parse(request.body())?;
    let mut catalogue = store.catalogue();
    answer::unchanged(request.headers(), &catalogue.book(id)?)?;
    catalogue.change_book(id, book)?;
    Ok(answer::changed(&catalogue.book(id)?))
}

fn remove_book(store: &Bookstore, id: u32, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let mut catalogue = store.catalogue();
    answer::unchanged(request.headers(), &catalogue.book(id)?)?;
    catalogue.remove_book(id)?;
    Ok(answer::done())
}

fn add_review(store: &Bookstore, book: u32, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let review = parse(request.body())?;
    let mut catalogue = store.catalogue();
    catalogue.add_review(book, review)?;
    Ok(answer::created(&format!("/books/{book}/reviews"), &catalogue.reviews(book)?))
}

fn change_author(store: &Bookstore, id: u32, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let author = parse(request.body())?;
    let mut catalogue = store.catalogue();
    answer::unchanged(request.headers(), &catalogue.author(id)?)?;
    catalogue.change_author(id, author)?;
    Ok(answer::changed(&catalogue.author(id)?))
}

fn set_delay(store: &Bookstore, request: &Request<Bytes>) -> Result<Answer, Refusal> {
    let delay: Delay = parse(request.body())?;
    let most = crate::clock::millis(MAX_DELAY);
    if delay.ms > most {
        return Err(Refusal::bad(format!("ms: expected 0 to {most}, got {}", delay.ms)));
    }
    store.set_delay(delay.ms);
    Ok(answer::unkept(&delay))
}

/// `author=1&sort=price`; anything else in the query is ignored, as most APIs do.
fn listing(query: &str) -> Result<Listing, Refusal> {
    let mut listing = Listing::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "author" => {
                let id = value.parse().map_err(|_| refuse_value("author", "an author's number", value))?;
                listing.author = Some(id);
            }
            "sort" => listing.sort = sort(value)?,
            _ => {}
        }
    }
    Ok(listing)
}

fn sort(value: &str) -> Result<Sort, Refusal> {
    match value {
        "id" => Ok(Sort::Id),
        "price" => Ok(Sort::Price),
        "title" => Ok(Sort::Title),
        _ => Err(refuse_value("sort", "id, price or title", value)),
    }
}

fn refuse_value(name: &str, expected: &str, got: &str) -> Refusal {
    Refusal::bad(format!("{name}: expected {expected}, got {got:?}"))
}

/// The body as JSON, whatever its `Content-Type`: plain `curl -d` should do.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body isn't what was expected: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_place_or_none() {
        assert_eq!(place("/books"), Some(Place::Books));
        assert_eq!(place("/books/12/reviews"), Some(Place::Reviews(12)));
        assert_eq!(place("/authors/2/books"), Some(Place::AuthorBooks(2)));
        for path in ["", "/", "*", "/books/", "/books/x", "/books/-1", "/books/99999999999", "/books/1/reviews/1"] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn a_listing_takes_what_it_knows_and_refuses_bad_values() {
        let both = Listing { author: Some(2), sort: Sort::Price };
        assert_eq!(listing("utm_source=x&author=2&sort=price&&"), Ok(both));
        assert_eq!(listing(""), Ok(Listing::default()));
        assert!(listing("author=me").is_err());
        assert!(listing("sort=colour").is_err());
    }
}
