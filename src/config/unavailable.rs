//! Keys that the contract names and this version doesn't have yet. Each is a fault of its own, so that nobody believes
//! that a setting holds which doesn't. Whoever builds one takes its line away here and reads it where it belongs.

/// The path of each, as in the file, without indexes; what stands below it is meant as well. A key of `[[api]]` stands
/// for the same key of `[[api.route]]`.
pub(super) const UNAVAILABLE: &[&str] = &["cluster"];

/// What is said of them.
pub(super) const MESSAGE: &str = "not available in this version";

/// Whether the key at `path` (as faults write it, e.g. `api[0].route[1].retry`) is one of them.
pub(super) fn is_unavailable(path: &str) -> bool {
    let plain = without_indexes(path).replacen("api.route.", "api.", 1);
    UNAVAILABLE.contains(&plain.as_str())
}

/// `api.route.retry` for `api[0].route[1].retry`.
pub(super) fn without_indexes(path: &str) -> String {
    let mut pieces = path.split('[');
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| piece.split_once(']').map_or("", |(_, after)| after));
    std::iter::once(first).chain(rest).collect()
}
