//! What the shop knows: books, authors, reviews.

use super::answer::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Books that can be kept, and reviews of one book.
const MAX_BOOKS: usize = 10_000;
const MAX_REVIEWS: usize = 1_000;

/// A book, an author or a review together with the number it goes by.
#[derive(Debug, Serialize)]
pub(super) struct Numbered<'a, T> {
    id: u32,
    #[serde(flatten)]
    value: &'a T,
}

/// A book as a client sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    pub(super) title: String,
    pub(super) author_id: u32,
    pub(super) price: f64,
}

/// An author as a client sends them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Author {
    pub(super) name: String,
}

/// A review as a client sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    pub(super) stars: u8,
    pub(super) text: String,
}

/// Which books to list, in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) author: Option<u32>,
    pub(super) sort: Sort,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Id,
    Price,
    Title,
}

/// Everything the shop knows. Numbers are never given twice.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    books: BTreeMap<u32, Book>,
    authors: BTreeMap<u32, Author>,
    reviews: BTreeMap<u32, Vec<Review>>,
    last_book: u32,
}

impl Catalogue {
    /// Three books by two authors, with a review.
    pub(super) fn sample() -> Self {
        let book = |title: &str, author_id, price| Book { title: title.to_owned(), author_id, price };
        let author = |name: &str| Author { name: name.to_owned() };
        let review = |stars, text: &str| Review { stars, text: text.to_owned() };
        Catalogue {
            books: BTreeMap::from([
                (1, book("The Left Hand of Darkness", 1, 12.5)),
                (2, book("The Dispossessed", 1, 11.0)),
                (3, book("Kindred", 2, 9.9)),
            ]),
            authors: BTreeMap::from([(1, author("Ursula K. Le Guin")), (2, author("Octavia E. Butler"))]),
            reviews: BTreeMap::from([(1, vec![review(5, "Bring a warm coat.")])]),
            last_book: 3,
        }
    }

    /// Books in the order asked for; equal ones by number.
    pub(super) fn list(&self, listing: Listing) -> Vec<Numbered<'_, Book>> {
        let wanted = |book: &Book| listing.author.is_none_or(|id| id == book.author_id);
        let mut books: Vec<_> = numbered(&self.books).filter(|book| wanted(book.value)).collect();
        match listing.sort {
            Sort::Id => {}
            Sort::Price => books.sort_by(|a, b| a.value.price.total_cmp(&b.value.price)),
            Sort::Title => books.sort_by(|a, b| a.value.title.cmp(&b.value.title)),
        }
        books
    }

    pub(super) fn book(&self, id: u32) -> Result<Numbered<'_, Book>, Refusal> {
        one(&self.books, "book", id)
    }

    /// Adds a book and gives its number.
    pub(super) fn add_book(&mut self, book: Book) -> Result<u32, Refusal> {
        self.check_book(&book)?;
        if self.books.len() >= MAX_BOOKS {
            return Err(Refusal::full(format!("the shop keeps at most {MAX_BOOKS} books")));
        }
        self.last_book += 1;
        self.books.insert(self.last_book, book);
        Ok(self.last_book)
    }

    pub(super) fn change_book(&mut self, id: u32, book: Book) -> Result<(), Refusal> {
        self.check_book(&book)?;
        replace(&mut self.books, "book", id, book)
    }

    /// Takes a book out, with its reviews.
    pub(super) fn remove_book(&mut self, id: u32) -> Result<(), Refusal> {
        self.books.remove(&id).ok_or_else(|| Refusal::absent("book", id))?;
        self.reviews.remove(&id);
        Ok(())
    }

    pub(super) fn reviews(&self, book: u32) -> Result<&[Review], Refusal> {
        self.book(book)?;
        Ok(self.reviews.get(&book).map_or(&[], Vec::as_slice))
    }

    pub(super) fn add_review(&mut self, book: u32, review: Review) -> Result<(), Refusal> {
        self.book(book)?;
        if !(1..=5).contains(&review.stars) {
            return Err(Refusal::bad(format!("stars: expected 1 to 5, got {}", review.stars)));
        }
        let reviews = self.reviews.entry(book).or_default();
        if reviews.len() >= MAX_REVIEWS {
            return Err(Refusal::full(format!("the shop keeps at most {MAX_REVIEWS} reviews of a book")));
        }
        reviews.push(review);
        Ok(())
    }

    pub(super) fn authors(&self) -> Vec<Numbered<'_, Author>> {
        numbered(&self.authors).collect()
    }

    pub(super) fn author(&self, id: u32) -> Result<Numbered<'_, Author>, Refusal> {
        one(&self.authors, "author", id)
    }

    pub(super) fn change_author(&mut self, id: u32, author: Author) -> Result<(), Refusal> {
        if author.name.trim().is_empty() {
            return Err(Refusal::bad("name: expected some text, got none".to_owned()));
        }
        replace(&mut self.authors, "author", id, author)
    }

    fn check_book(&self, book: &Book) -> Result<(), Refusal> {
        if book.title.trim().is_empty() {
            return Err(Refusal::bad("title: expected some text, got none".to_owned()));
        }
        if !(0.0..=1_000_000.0).contains(&book.price) {
            return Err(Refusal::bad(format!("price: expected 0 to 1000000, got {}", book.price)));
        }
        if !self.authors.contains_key(&book.author_id) {
            return Err(Refusal::bad(format!("author_id: there is no author {}", book.author_id)));
        }
        Ok(())
    }
}

fn numbered<T>(all: &BTreeMap<u32, T>) -> impl Iterator<Item = Numbered<'_, T>> {
    all.iter().map(|(&id, value)| Numbered { id, value })
}

fn one<'a, T>(all: &'a BTreeMap<u32, T>, what: &str, id: u32) -> Result<Numbered<'a, T>, Refusal> {
    all.get(&id).map(|value| Numbered { id, value }).ok_or_else(|| Refusal::absent(what, id))
}

/// Puts `value` where one is already; numbers are the shop's to give, so a PUT makes nothing new.
fn replace<T>(all: &mut BTreeMap<u32, T>, what: &str, id: u32, value: T) -> Result<(), Refusal> {
    *all.get_mut(&id).ok_or_else(|| Refusal::absent(what, id))? = value;
    Ok(())
}
