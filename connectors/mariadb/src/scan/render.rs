//! From [`RemoteQuery`] to a statement whose literals are all bound.
//!
//! - `sql`: pieces of text with the parameters that stand in them
//! - `blocks`: relations as SELECT blocks, as few as the order of SQL's clauses allows
//! - `expressions`: conditions and values

mod blocks;
mod expressions;
mod sql;

use crossweave_contract::{ConnectorError, ErrorKind, RemoteQuery, Result};
use mysql_async::Value;

use blocks::Renderer;

/// More parameters than this a prepared statement cannot have.
const MOST_PARAMETERS: usize = u16::MAX as usize;

/// A statement with `?` for each of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// What is prepared.
    pub(crate) sql: String,
    /// What is bound, in order.
    pub(crate) params: Vec<Value>,
    /// After how many rows its LIMIT, which then ends it, has enough: those passed over and those given.
    pub(crate) limit: Option<u64>,
}

impl Statement {
    /// The statement, which the server ends once it has examined `most` rows.
    pub(crate) fn counted(mut self, most: u64) -> Self {
        self.sql.push_str(if self.limit.is_some() { " ROWS EXAMINED ?" } else { " LIMIT ROWS EXAMINED ?" });
        self.params.push(Value::UInt(most));
        self
    }
}

/// The statement that answers `query`.
pub(crate) fn statement(query: &RemoteQuery) -> Result<Statement> {
    let (sql, limit) = Renderer::statement(query)?;
    if sql.params.len() > MOST_PARAMETERS {
        let message = format!(
            "{}: the statement would have {} parameters, at most {MOST_PARAMETERS} are possible",
            names(query),
            sql.params.len()
        );
        return Err(about(query, ConnectorError::new(ErrorKind::Limit, message)));
    }
    Ok(Statement { sql: sql.text, params: sql.params, limit })
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
