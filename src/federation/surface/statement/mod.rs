//! What is rewritten in the parsed statement, for DataFusion has no hook for it later.
//!
//! [`conditions`] goes through the statement, and asks the others: `any` (`= ANY (array)`), `any_of_subquery` (`= ANY (SELECT …)`),
//! `among` (rows that are looked for in a subquery), `exists` (EXISTS and IN as values), `precedence` (IS DISTINCT FROM), `rows`
//! (rows that are compared), `texts` (casts to a length, SIMILAR TO).

pub(super) mod among;
pub(super) mod any;
pub(super) mod any_of_subquery;
pub(super) mod conditions;
pub(super) mod exists;
pub(super) mod precedence;
pub(super) mod rows;
pub(super) mod texts;
