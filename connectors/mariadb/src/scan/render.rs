//! From [`RemoteQuery`] to a statement whose literals are all bound.
//!
//! - `sql`: pieces of text with the parameters that stand in them
//! - `blocks`: relations as SELECT blocks, as few as the order of SQL's clauses allows
//! - `joins`: joins, and rows that have partners
//! - `expressions`: conditions and values; `functions`: what is computed by functions

mod blocks;
mod cells;
mod expressions;
mod functions;
mod joins;
mod sql;

use std::sync::Arc;

use crossweave_contract::{ConnectorError, ErrorKind, Relation, RemoteQuery, Result, TableDef};
use mysql_async::Value;

use blocks::{Renderer, Rendering};

/// More parameters than this a prepared statement cannot have.
const MOST_PARAMETERS: usize = u16::MAX as usize;

/// A statement with `?` for each of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// What is prepared.
    pub(crate) sql: String,
    /// What is bound, in order.
    pub(crate) params: Vec<Value>,
    pub(crate) limit: Limited,
    /// What may be prepared in the place of `sql`, where rows of a table are grouped: it has them grouped without the order of
    /// an index.
    pub(crate) unordered: Option<String>,
}

/// What the LIMIT of a statement does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limited {
    /// There is none.
    No,
    /// It ends the statement after so many rows: those passed over and those given.
    Early(u64),
    /// Nothing: it is of the one group that all rows make, which is there when all have been read.
    Late,
}

impl Limited {
    /// After how many rows it ends the statement.
    pub(crate) fn early(self) -> Option<u64> {
        match self {
            Self::Early(rows) => Some(rows),
            Self::No | Self::Late => None,
        }
    }
}

/// Of the rows of a table those whose column `column` lies in a range of its order on the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The column's index in the table.
    pub(crate) column: usize,
    /// The least value; `None` for all that come before `below`.
    pub(crate) from: Option<Value>,
    /// The value after the greatest; `None` for all from `from` on.
    pub(crate) below: Option<Value>,
}

/// How LIMIT is written.
const LIMIT: &str = " LIMIT ?";

impl Statement {
    /// Whether there is a LIMIT anywhere in it, or a name that reads so.
    pub(crate) fn is_limited(&self) -> bool {
        self.sql.contains(LIMIT)
    }

    /// The types of what is bound.
    pub(crate) fn parameter_types(&self) -> Vec<&'static str> {
        let name = |value: &Value| match value {
            Value::NULL => "NULL",
            Value::Bytes(_) => "VARCHAR",
            Value::Int(_) => "BIGINT",
            Value::UInt(_) => "BIGINT UNSIGNED",
            Value::Float(_) => "FLOAT",
            Value::Double(_) => "DOUBLE",
            Value::Date(..) => "DATETIME",
            Value::Time(..) => "TIME",
        };
        self.params.iter().map(name).collect()
    }

    /// The statement, which the server ends once it has examined `most` rows. It joins without a buffer: what it compares
    /// within one it does not count.
    pub(crate) fn counted(mut self, most: u64) -> Self {
        let limit = if self.limit == Limited::No { " LIMIT" } else { "" };
        self.sql = format!("SET STATEMENT join_cache_level = 0 FOR {}{limit} ROWS EXAMINED ?", self.sql);
        self.params.push(Value::UInt(most));
        self
    }
}

/// The statement that answers `query`.
pub(crate) fn statement(query: &RemoteQuery) -> Result<Statement> {
    rendered(query, Rows::All)
}

/// The statement that answers `query`, which reads one table once, for a part of its rows.
pub(crate) fn statement_of_part(query: &RemoteQuery, part: &Part) -> Result<Statement> {
    rendered(query, Rows::Of(part))
}

/// The same, for its rows that are in one of `parts`, or whose column `null`, if one is given, is NULL.
pub(crate) fn statement_among(query: &RemoteQuery, parts: &[Part], null: Option<usize>) -> Result<Statement> {
    rendered(query, Rows::Among { parts, null })
}

/// Which rows of a table are read.
#[derive(Debug, Clone, Copy)]
enum Rows<'q> {
    All,
    Of(&'q Part),
    Among { parts: &'q [Part], null: Option<usize> },
}

fn rendered(query: &RemoteQuery, rows: Rows<'_>) -> Result<Statement> {
    let Rendering { sql, limit, groups_a_table } = Renderer::new(query, rows, false).statement()?;
    let unordered = match groups_a_table {
        true => Some(Renderer::new(query, rows, true).statement()?.sql.text),
        false => None,
    };
    if sql.params.len() > MOST_PARAMETERS {
        let message = format!(
            "{}: the statement would have {} parameters, at most {MOST_PARAMETERS} are possible",
            names(query),
            sql.params.len()
        );
        return Err(about(query, ConnectorError::new(ErrorKind::Limit, message)));
    }
    Ok(Statement { sql: sql.text, params: sql.params, limit, unordered })
}

/// The table of which `relation` gives the rows or some of them, in whatever order, and once each; `None` where it is
/// more than that.
pub(crate) fn only_table(relation: &Relation) -> Option<&Arc<TableDef>> {
    match relation {
        Relation::Table { table, .. } => Some(table),
        Relation::Filter { input, .. } | Relation::Project { input, .. } => only_table(input),
        _ => None,
    }
}

/// The tables of `query`, in words.
fn names(query: &RemoteQuery) -> String {
    let names: Vec<String> = query.tables().iter().map(|table| table.id.to_string()).collect();
    names.join(", ")
}

fn about(query: &RemoteQuery, error: ConnectorError) -> ConnectorError {
    match query.tables().first() {
        Some(table) => error.with_table(table.id.clone()),
        None => error,
    }
}

/// What the push-down rule should not have asked for.
fn bug(query: &RemoteQuery, what: &str) -> ConnectorError {
    let message =
        format!("{}: {what} was pushed down, which the MariaDB connector does not render", names(query));
    about(query, ConnectorError::new(ErrorKind::Bug, message))
}
