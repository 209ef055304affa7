//! The hook that every scan passes: which rows and columns a role may see.
//!
//! It is asked once per table of a query, after names are resolved and before anything is read, on each route
//! alike; what it hides therefore cannot reach a result, an aggregate or an error text (I4).

use std::fmt::Debug;
use std::sync::Arc;

use crossweave_contract::TableId;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's name as the frontend authenticated it.
    pub user: Arc<str>,
    /// The role under which the query runs.
    pub role: Arc<str>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { user: "crossweave".into(), role: "all".into() }
    }
}

/// What a role may see of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Every row and column.
    Full,
    /// Nothing: the query is refused with this reason.
    Denied(String),
}

/// Decides what is seen.
pub trait Policy: Debug + Send + Sync {
    /// What `identity` may see of `table`.
    fn access(&self, identity: &Identity, table: &TableId) -> Access;
}

/// Lets everybody see everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn access(&self, _identity: &Identity, _table: &TableId) -> Access {
        Access::Full
    }
}
