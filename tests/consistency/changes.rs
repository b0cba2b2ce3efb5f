//! What changes and what purges books, and where readers are promised to see it.

use super::world::Resource::{self, Author, Book, Catalogue, Cover, List, Mine, Page, Reviews, Root, Shelf, View};

/// Something that changes a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `PUT /books/{id}`.
    Put,
    /// `DELETE /books/{id}`.
    Delete,
    /// `POST /books/{id}/reviews`.
    Review,
    /// The same, answered with what a GET of the reviews gets now, to be kept as that (RFC 9110 §9.3.3).
    Reviewed,
    /// `POST /books`, answered with Location.
    Create,
    /// `PATCH /import/{id}`, answered with Content-Location, and applied when its answer has long begun.
    Import,
}

impl Change {
    pub const ALL: [Change; 6] =
        [Change::Put, Change::Delete, Change::Review, Change::Reviewed, Change::Create, Change::Import];

    /// Method and target for a book.
    pub fn request(self, book: usize) -> (&'static str, String) {
        match self {
            Change::Put => ("PUT", format!("/books/{book}")),
            Change::Delete => ("DELETE", format!("/books/{book}")),
            Change::Review | Change::Reviewed => ("POST", format!("/books/{book}/reviews")),
            Change::Create => ("POST", "/books".into()),
            Change::Import => ("PATCH", format!("/import/{book}")),
        }
    }

    /// Where readers of `resource` are promised to see this change of `book`. `located`: its answer's Location counts,
    /// which an unknown outcome hasn't.
    pub fn reaches(self, reach: Reach, book: usize, resource: Resource, located: bool) -> bool {
        let own_book = matches!(resource, Book(i) | View(i, _) if i == book);
        let reviews = resource == Reviews(book);
        let list = matches!(resource, List | Page(_));
        let named = match resource {
            Author(_) => true,
            Shelf(i) | Cover(i) => i == book,
            Root | List | Page(_) | Book(_) | View(..) | Reviews(_) | Catalogue | Mine(_) => resource.carries(book),
        };
        resource.shows(book)
            && match (self, reach) {
                (_, Reach::Api) => true,
                (Change::Put | Change::Delete, Reach::Tree) => own_book || reviews || list || resource == Root || named,
                (Change::Put | Change::Delete, Reach::Collection) => own_book || list || named,
                (Change::Put | Change::Delete, Reach::Own) => own_book || named,
                (Change::Review | Change::Reviewed, Reach::Tree) => reviews || own_book || list || resource == Root,
                (Change::Review | Change::Reviewed, Reach::Collection) => reviews || own_book,
                (Change::Review | Change::Reviewed, Reach::Own) => reviews,
                (Change::Create, Reach::Tree) => list || own_book || reviews || resource == Root,
                (Change::Create, Reach::Collection) => list || resource == Root || own_book && located,
                (Change::Create, Reach::Own) => list || own_book && located,
                (Change::Import, Reach::Tree) => resource == Root || own_book && located,
                (Change::Import, Reach::Collection | Reach::Own) => own_book && located,
            }
    }
}

/// `invalidate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Tree,
    Collection,
    Own,
    Api,
}

/// Something that an operator purges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    All,
    Api,
    /// `DELETE /v1/apis/{name}/{version}/cache`.
    Clear,
    Path(Resource),
    /// `/books/{id}` and below.
    Prefix(usize),
    /// `book-{id}`.
    Book(usize),
    /// `genre-{g}`: reaches only answers in which a book has that genre.
    Genre(usize),
}

impl Purge {
    /// The admin call's method, target and body.
    pub fn request(self, soft: bool) -> (&'static str, &'static str, String) {
        let post = |selector: String| ("POST", "/v1/purge", format!("{{{selector},\"soft\":{soft}}}"));
        match self {
            Purge::Clear => ("DELETE", "/v1/apis/test/v1/cache", String::new()),
            Purge::All => post("\"all\":true".into()),
            Purge::Api => post("\"api\":\"test/v1\"".into()),
            Purge::Path(r) => post(format!("\"path\":\"{}\"", r.target())),
            Purge::Prefix(i) => post(format!("\"prefix\":\"/books/{i}\"")),
            Purge::Book(i) => post(format!("\"tag\":\"book-{i}\"")),
            Purge::Genre(g) => post(format!("\"tag\":\"genre-{g}\"")),
        }
    }

    /// Whether every answer at `resource` is purged. [`Purge::Genre`] depends on the answer.
    pub fn reaches(self, resource: Resource) -> bool {
        match self {
            Purge::All | Purge::Api | Purge::Clear => true,
            Purge::Path(at) => {
                at == resource || matches!((at, resource), (List, Page(_))) || {
                    matches!((at, resource), (Book(a), View(b, _)) if a == b)
                }
            }
            Purge::Prefix(i) => matches!(resource, Book(b) | View(b, _) | Reviews(b) if b == i),
            Purge::Book(i) => resource.carries(i),
            Purge::Genre(_) => false,
        }
    }
}
