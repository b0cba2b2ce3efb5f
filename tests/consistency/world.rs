//! What there is to read, and how it hangs together.
//!
//! Everything shows the versions of books: a book its own, a list those of all that are in it. A version is a counter
//! at the origin that every write raises by one.

/// How many books there are.
pub const BOOKS: usize = 12;
/// Authors: author `a` wrote the books that leave `a` when divided by this.
pub const AUTHORS: usize = 3;
/// Genres: a book changes its genre, and so its tag, with every version.
pub const GENRES: usize = 3;
/// Books on one page of the list.
pub const PAGE: usize = 4;
/// Versions that a weak or dull entity tag takes for the same.
pub const COARSE: u32 = 16;
/// The gateway's `timeouts.first_byte`, in milliseconds; the scopes of a write with an unknown outcome settle as long.
pub const FIRST_BYTE: u64 = 300;

/// Something that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `/`: all books.
    Root,
    /// `/books`: all books.
    List,
    /// `/books?page=…`: some of them.
    Page(usize),
    /// `/books/{id}`.
    Book(usize),
    /// `/books/{id}?view=…`.
    View(usize, u32),
    /// `/books/{id}/reviews`.
    Reviews(usize),
    /// `/authors/{a}/books`: reached by a pattern of `[[api.purge]]`.
    Author(usize),
    /// `/shelves/{id}/top`: reached by a pattern with a name.
    Shelf(usize),
    /// `/covers/{id}`: reached by a path of `[[api.purge]]`.
    Cover(usize),
    /// `/catalogue`: all books; reached by tags alone.
    Catalogue,
    /// `/mine/{id}`: another answer for every caller; reached by a tag alone.
    Mine(usize),
}

/// How an answer may be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    Strong,
    /// By a strong tag that doesn't change with every version, as those of a size and a second don't.
    Dull,
    Weak,
    Not,
}

use Resource::{Author, Book, Catalogue, Cover, List, Mine, Page, Reviews, Root, Shelf, View};

impl Resource {
    /// Where it is.
    pub fn target(self) -> String {
        match self {
            Root => "/".into(),
            List => "/books".into(),
            Page(n) => format!("/books?page={n}"),
            Book(i) => format!("/books/{i}"),
            View(i, n) => format!("/books/{i}?view={n}"),
            Reviews(i) => format!("/books/{i}/reviews"),
            Author(a) => format!("/authors/{a}/books"),
            Shelf(i) => format!("/shelves/{i}/top"),
            Cover(i) => format!("/covers/{i}"),
            Catalogue => "/catalogue".into(),
            Mine(i) => format!("/mine/{i}"),
        }
    }

    /// What is at a target.
    pub fn at(target: &str) -> Option<Resource> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let number = |text: &str| text.parse::<usize>().ok().filter(|i| *i < BOOKS);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (&parts[..], query.split_once('=')) {
            ([""], None) => Some(Root),
            (["books"], None) => Some(List),
            (["books"], Some(("page", n))) => n.parse().ok().map(Page),
            (["books", i], None) => number(i).map(Book),
            (["books", i], Some(("view", n))) => Some(View(number(i)?, n.parse().ok()?)),
            (["books", i, "reviews"], None) => number(i).map(Reviews),
            (["authors", a, "books"], None) => number(a).map(Author),
            (["shelves", i, "top"], None) => number(i).map(Shelf),
            (["covers", i], None) => number(i).map(Cover),
            (["catalogue"], None) => Some(Catalogue),
            (["mine", i], None) => number(i).map(Mine),
            _ => None,
        }
    }

    /// The books whose versions it shows.
    pub fn shows(self, book: usize) -> bool {
        match self {
            Root | List | Catalogue => true,
            Page(n) => book / PAGE == n,
            Author(a) => book % AUTHORS == a,
            Book(i) | View(i, _) | Reviews(i) | Shelf(i) | Cover(i) | Mine(i) => book == i,
        }
    }

    pub fn books(self) -> impl Iterator<Item = usize> {
        (0..BOOKS).filter(move |book| self.shows(*book))
    }

    pub fn tagged(self) -> Tagged {
        match self {
            List | Book(_) | Author(_) | Catalogue | Mine(_) => Tagged::Strong,
            View(..) | Shelf(_) => Tagged::Dull,
            Root | Reviews(_) => Tagged::Weak,
            Page(_) | Cover(_) => Tagged::Not,
        }
    }

    /// Its entity tag when it shows `versions`.
    pub fn etag(self, versions: &[u32]) -> Option<String> {
        let joined = |coarse: u32| versions.iter().map(|v| (v / coarse).to_string()).collect::<Vec<_>>().join(".");
        match self.tagged() {
            Tagged::Strong => Some(format!("\"{}\"", joined(1))),
            Tagged::Dull => Some(format!("\"{}\"", joined(COARSE))),
            Tagged::Weak => Some(format!("W/\"{}\"", joined(COARSE))),
            Tagged::Not => None,
        }
    }

    /// Whether it carries the tag `book-{book}`.
    pub fn carries(self, book: usize) -> bool {
        match self {
            Book(i) | View(i, _) | Mine(i) => i == book,
            Catalogue => true,
            Root | List | Page(_) | Reviews(_) | Author(_) | Shelf(_) | Cover(_) => false,
        }
    }

    /// Whether it carries the tags of its books' genres.
    pub fn has_genres(self) -> bool {
        matches!(self, Book(_) | Catalogue)
    }

    /// Its tags when it shows `versions`.
    pub fn tags(self, versions: &[u32]) -> String {
        let mut tags: Vec<String> = (0..BOOKS).filter(|b| self.carries(*b)).map(|b| format!("book-{b}")).collect();
        if self.has_genres() {
            tags.extend(versions.iter().map(|v| format!("genre-{}", genre(*v))));
        }
        tags.sort();
        tags.dedup();
        tags.join(" ")
    }
}

/// The genre that a book has at a version.
pub fn genre(version: u32) -> usize {
    version as usize % GENRES
}

/// One of everything; floors are kept for these, whatever the query of a [`View`].
pub fn everything() -> Vec<Resource> {
    let mut all = vec![Root, List, Catalogue];
    all.extend((0..BOOKS / PAGE).map(Page));
    all.extend((0..AUTHORS).map(Author));
    for i in 0..BOOKS {
        all.extend([Book(i), View(i, 0), Reviews(i), Shelf(i), Cover(i), Mine(i)]);
    }
    all
}
