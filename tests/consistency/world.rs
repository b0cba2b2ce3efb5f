//! What there is to read and to write, how it hangs together, and the configurations it is served with.
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
/// Versions that a weak entity tag takes for the same.
pub const COARSE: u32 = 4;
/// The gateway's `timeouts.first_byte`, in milliseconds; the scopes of a write with an unknown outcome settle as long.
pub const FIRST_BYTE: u64 = 150;

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
            Root | View(..) | Reviews(_) | Shelf(_) => Tagged::Weak,
            Page(_) | Cover(_) => Tagged::Not,
        }
    }

    /// Its entity tag when it shows `versions`.
    pub fn etag(self, versions: &[u32]) -> Option<String> {
        let joined = |coarse: u32| versions.iter().map(|v| (v / coarse).to_string()).collect::<Vec<_>>().join(".");
        match self.tagged() {
            Tagged::Strong => Some(format!("\"{}\"", joined(1))),
            Tagged::Weak => Some(format!("W/\"{}\"", joined(COARSE))),
            Tagged::Not => None,
        }
    }

    /// Whether it carries the tag `book-{book}`.
    fn carries(self, book: usize) -> bool {
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

/// Something that changes a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `PUT /books/{id}`.
    Put,
    /// `DELETE /books/{id}`.
    Delete,
    /// `POST /books/{id}/reviews`.
    Review,
    /// `POST /books`, answered with Location.
    Create,
    /// `PATCH /import/{id}`, answered with Content-Location.
    Import,
}

impl Change {
    pub const ALL: [Change; 5] = [Change::Put, Change::Delete, Change::Review, Change::Create, Change::Import];

    /// Method and target for a book.
    pub fn request(self, book: usize) -> (&'static str, String) {
        match self {
            Change::Put => ("PUT", format!("/books/{book}")),
            Change::Delete => ("DELETE", format!("/books/{book}")),
            Change::Review => ("POST", format!("/books/{book}/reviews")),
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
            other => other.carries(book),
        };
        resource.shows(book)
            && match (self, reach) {
                (_, Reach::Api) => true,
                (Change::Put | Change::Delete, Reach::Tree) => own_book || reviews || list || resource == Root || named,
                (Change::Put | Change::Delete, Reach::Collection) => own_book || list || named,
                (Change::Put | Change::Delete, Reach::Own) => own_book || named,
                (Change::Review, Reach::Tree) => reviews || own_book || list || resource == Root,
                (Change::Review, Reach::Collection) => reviews || own_book,
                (Change::Review, Reach::Own) => reviews,
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

/// A configuration and the traffic it gets.
#[derive(Debug)]
pub struct Mode {
    pub name: &'static str,
    pub reach: Reach,
    /// Lines of `[[api]]`.
    pub api: &'static str,
    /// Further tables.
    pub rest: &'static str,
    /// The origin's `max-age`, in seconds; without one the operator's `ttl` counts.
    pub max_age: Option<u32>,
    /// How many different `?view=` there are.
    pub views: u64,
    /// Whether half of the readers say who they are.
    pub callers: bool,
    /// Whether what a caller is given is his alone.
    pub mine: bool,
}

/// `[[api.purge]]` in every mode.
pub const RULES: &str = "[[api.purge]]\non = \"PUT,DELETE /books/{id}\"\n\
    paths = [\"/authors/*/books\", \"/shelves/{id}/*\", \"/covers/{id}\"]\ntags = [\"book-{id}\"]\n";

const PLAIN: Mode = Mode {
    name: "tree",
    reach: Reach::Tree,
    api: "ttl = \"10m\"",
    rest: "",
    max_age: None,
    views: 2,
    callers: false,
    mine: false,
};

pub const MODES: [Mode; 5] = [
    PLAIN,
    Mode {
        name: "grace, callers apart, tinylfu",
        api: "grace = \"10m\"",
        rest: "[cache]\neviction = \"tinylfu\"",
        max_age: Some(1),
        callers: true,
        mine: true,
        ..PLAIN
    },
    Mode {
        name: "collection, small cache",
        reach: Reach::Collection,
        api: "ttl = \"10m\"\ninvalidate = \"collection\"",
        rest: "[cache]\nmax_size = \"1MiB\"\nmax_object_size = \"64KiB\"",
        views: 400,
        ..PLAIN
    },
    Mode {
        name: "api, assume-public, keep_on_error",
        reach: Reach::Api,
        api: "invalidate = \"api\"\nkeep_on_error = \"10m\"\nkey = { share = \"assume-public\" }",
        max_age: Some(1),
        callers: true,
        ..PLAIN
    },
    Mode {
        name: "self, no grace, callers apart",
        reach: Reach::Own,
        api: "ttl = \"1s\"\ninvalidate = \"self\"",
        callers: true,
        mine: true,
        ..PLAIN
    },
];
