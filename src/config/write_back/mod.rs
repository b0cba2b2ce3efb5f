//! An `[[api]]` put, patched or taken out of the text of a file, and not a byte of the rest.
//!
//! The text is read with the places of everything in it, the `[[api]]` is compared with what is wanted, and what differs is spliced into
//! the text: a value in the place of a value, a line at the end of a table, a table after the last one of its API. What isn't touched is
//! copied, whatever its comments, order, quotes, numbers and line ends are; nothing is printed anew. Then the new text is read again: unless
//! it says exactly what was wanted, and of everything else what it said before, there is no new text. Some layouts that TOML allows,
//! such as one API's tables strewn among those of others, may be refused that way; none is written wrongly.
//!
//! `json` is what TOML and JSON have in common, `wanted` makes of a change what the API shall be, `layout` knows the places, `diff` compares,
//! `render` says values in TOML, `splice` puts it together.

mod diff;
mod json;
mod layout;
mod list;
mod render;
mod rewrite;
mod splice;
#[cfg(test)]
mod tests;
mod wanted;

pub use layout::texts;
pub use rewrite::{Rewritten, Unwritten, rewrite};
