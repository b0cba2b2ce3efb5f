//! What would happen to a request, and why (`POST /v1/explain`): told by the functions that decide for real, without any effect.
//!
//! Nobody is asked: no origin, no judge of callers, no issuer. Nothing is counted, stored, remembered or invalidated, and no rate is used up. Who is calling is told
//! by the request's own fields as far as that is known here, or is given by the one who asks, who may not have the caller's token.
//! What a store does when it is looked into stays: the key counts as looked at when it is chosen what has to go for want of room.
//!
//! Of what happens at the origin nothing is foretold: whether it answers, and with what. So `miss` and `validate` say what it would be asked, and `steps` what
//! would be done instead if it failed.

mod answer;
mod asked;
mod reading;
mod telling;
mod way;
mod words;

pub use answer::{CallerView, Explained, KeyView, RequestView, StepView, VerdictView};
pub use asked::{Asked, AskedFields, GivenCaller};
pub use telling::Around;
