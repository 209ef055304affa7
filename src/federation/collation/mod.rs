//! Texts are compared as MariaDB compares them, on every route (I8).
//!
//! How can one engine give MariaDB's answers for text? The first analyzer rule ([`CollationRule`]) replaces each
//! text that is compared, joined, grouped, sorted or made unique by its collation key: bytes whose order is
//! that of the collation, made of weights which the server itself gave. From then on every other rule and
//! operator works on plain bytes and cannot go wrong. LIKE becomes a function of ours, MIN and MAX aggregates of
//! ours. A text whose collation's weights are not known can be selected; comparing it is an error that says why.
//!
//! - `keys`: texts → keys; `like`: patterns; `canonical`: UUID and network addresses
//! - `kind`: how an expression's text compares, and what comes of two meeting
//! - `functions`, `aggregates`, `distinct`: what the rule puts into plans
//! - `expressions`, `membership`, `calls`, `aggregations`, `grouping`, `rule`: the rule
//! - `check`: the proof, on each finished plan, that nothing was missed

mod aggregates;
mod aggregations;
mod calls;
mod canonical;
mod check;
mod distinct;
mod expressions;
mod functions;
mod grouping;
mod keys;
mod kind;
mod like;
mod membership;
mod rule;
#[cfg(test)]
mod tests;

pub(crate) use aggregates::{CollationPick, Pick};
pub(crate) use calls::COLLATE_FUNCTION;
pub use check::check_compares_no_text_by_bytes;
pub(crate) use distinct::CollationDistinct;
pub(crate) use expressions::LITERAL_TEXT;
pub(crate) use functions::{COLLATION_KEY, COLLATION_LIKE, CollationLike, ComparisonKey, Key, compared, views};
pub use keys::KeyEncoder;
pub use kind::Collations;
pub(crate) use kind::is_text;
pub use rule::CollationRule;
