//! Reading rows: a [`RemoteQuery`](crossweave_contract::RemoteQuery) becomes a statement with bound parameters,
//! and its rows become batches.

mod literal;
mod render;
mod stream;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use render::Limited;
pub(crate) use render::{Part, Statement, only_table, statement, statement_among, statement_of_part};
pub(crate) use stream::{Sink, run};
