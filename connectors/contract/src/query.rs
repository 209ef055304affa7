//! What is asked of a source: a small relational algebra, never SQL text.
//!
//! Crossweave's push-down rule makes a [`RemoteQuery`]; a connector renders it in its server's dialect with
//! every literal a bound parameter. So nothing that a user sends reaches a source as SQL text (I6).

use std::sync::Arc;

use crate::{ColumnType, TableDef, Value};

/// Rows of one table: `SELECT columns FROM table WHERE filter LIMIT limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteQuery {
    /// The table.
    pub table: Arc<TableDef>,
    /// Which of its columns, as indices, in the order of the result. May be empty: only the number of rows
    /// counts then.
    pub columns: Vec<usize>,
    /// Which rows: those for which it is true.
    pub filter: Option<RemoteExpr>,
    /// How many rows at most, any of those that pass the filter.
    pub limit: Option<u64>,
}

impl RemoteQuery {
    /// All rows and columns of `table`.
    pub fn whole(table: Arc<TableDef>) -> Self {
        Self { columns: (0..table.columns.len()).collect(), table, filter: None, limit: None }
    }
}

/// A condition or value that the server computes. Only what a test has shown to give the same there and here.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoteExpr {
    /// A column of the table, by index.
    Column(usize),
    /// A literal of the type with which it is compared; always bound, never rendered.
    Literal(Value, ColumnType),
    /// `left op right`.
    Compare {
        /// The comparison.
        op: CompareOp,
        /// Left side.
        left: Box<RemoteExpr>,
        /// Right side.
        right: Box<RemoteExpr>,
    },
    /// `expr [NOT] IN (list)`; the list is not empty.
    In {
        /// What is looked for.
        expr: Box<RemoteExpr>,
        /// Among these.
        list: Vec<RemoteExpr>,
        /// NOT IN.
        negated: bool,
    },
    /// `expr [NOT] BETWEEN low AND high`.
    Between {
        /// What is compared.
        expr: Box<RemoteExpr>,
        /// Lower bound, included.
        low: Box<RemoteExpr>,
        /// Upper bound, included.
        high: Box<RemoteExpr>,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// `expr IS [NOT] NULL`.
    IsNull {
        /// What is tested.
        expr: Box<RemoteExpr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// All are true; not empty.
    And(Vec<RemoteExpr>),
    /// One is true; not empty.
    Or(Vec<RemoteExpr>),
}

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum CompareOp {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}
