//! What somebody is told who has asked what would happen to a request.

use super::super::view::EntryView;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The answer to `POST /v1/explain`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Explained {
    /// The request as it was understood.
    pub request: RequestView,
    /// What is found on its way, in order.
    pub steps: Vec<StepView>,
    /// The API that answers it, `name/version`.
    pub api: Option<String>,
    /// The `on` of the route that it takes; `null` where none matches.
    pub route: Option<String>,
    /// Who is calling.
    pub caller: CallerView,
    /// What it is looked for by; `null` where the store isn't asked.
    pub key: Option<KeyView>,
    /// What lies there.
    pub stored: Vec<EntryView>,
    /// What would happen.
    pub verdict: VerdictView,
    /// What would change that.
    pub changes: Vec<String>,
}

/// A request as it was understood; no secret of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RequestView {
    /// Its method.
    pub method: String,
    /// The Host that it names, or that was taken for it.
    pub host: String,
    /// Its path, as the API sees it.
    pub path: String,
    /// Its query, secrets hidden.
    pub query: Option<String>,
    /// Its fields by their names; `(hidden)` stands for a value that isn't told.
    pub fields: BTreeMap<String, String>,
    /// Bytes of its content.
    pub content: usize,
}

/// What is found at one step.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StepView {
    /// `admit`, `caller`, `policy`, `store`, `freshness` or `origin`.
    pub step: &'static str,
    /// In words.
    pub says: String,
    /// Where that is laid down.
    pub section: Option<&'static str>,
    /// Which key of the configuration says so.
    pub config: Option<String>,
}

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct CallerView {
    /// The name.
    pub user: Option<String>,
    /// `shared`, or `own`: it finds what is its own, and of what is shared what may be.
    pub partition: &'static str,
    /// How that is known.
    pub how: String,
}

/// What a request is looked for by.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KeyView {
    /// Host and port.
    pub host: String,
    /// The path.
    pub path: String,
    /// The query as it counts, secrets hidden.
    pub query: Option<String>,
    /// As in an entry.
    pub partition: Option<String>,
    /// The fields that count beside those, by `key.headers`, as credentials, or by the `Vary` of what is stored.
    pub fields: Vec<String>,
}

/// What would happen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct VerdictView {
    /// `hit`; `stale`: a stale answer is given; `validate`: the origin is asked whether what is stored still holds; `miss`: it is asked; `join`: the answer
    /// to somebody else's question is awaited; `pass`: past the cache; `write`; `refused`; `unknown`: somebody would have to be asked who is calling.
    pub decision: &'static str,
    /// The status of the answer; `null` where the origin says it.
    pub status: Option<u16>,
    /// The named reason, as logs and `Cache-Status` have it.
    pub reason: Option<&'static str>,
    /// In a sentence.
    pub says: String,
    /// Where that is laid down.
    pub section: &'static str,
    /// What `Cache-Status` would say, as far as that is known before the origin was asked.
    pub cache_status: Option<String>,
}
