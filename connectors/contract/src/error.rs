//! What goes wrong outside, split by who can act on it.

use std::fmt;

use crate::TableId;

/// The result of a connector's work.
pub type Result<T, E = ConnectorError> = std::result::Result<T, E>;

/// Who can act on a failure, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The other side cannot be reached or went away; trying again later may help.
    Unreachable,
    /// The other side refuses the account: a wrong password or a missing grant. The operator acts.
    Denied,
    /// A setting of the server or the broker is not as needed. The operator acts.
    Settings,
    /// The position asked for is no longer in the binlog or in the log: load anew.
    PositionGone,
    /// A table's definition changed between planning and reading: plan again.
    DefinitionChanged,
    /// A bound that the owner set was reached: time, rows, bytes, connections.
    Limit,
    /// The work was cancelled: the client left or the deadline passed.
    Cancelled,
    /// A value that the column's mapping does not allow (a TINYINT(1) of 2 in a column declared boolean).
    Value,
    /// The other side refused a statement for a reason of the query's own (a division by zero, an illegal mix of
    /// collations).
    Query,
    /// The other side sent what its protocol does not allow, or what this version does not know.
    Protocol,
    /// A fault in this program.
    Bug,
}

impl ErrorKind {
    /// Whether the same work may succeed when tried again without anybody acting.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::DefinitionChanged)
    }
}

/// A failure of a connector: what happened to which thing, and what mends it.
#[derive(Debug, Clone)]
pub struct ConnectorError {
    /// Who can act.
    pub kind: ErrorKind,
    /// The thing, what was expected, what was found. Never holds a secret.
    pub message: String,
    /// What mends it, in one sentence or as a statement to run.
    pub fix: Option<String>,
    /// The table it is about, where it is about one.
    pub table: Option<TableId>,
    /// The limit of the service that it is about, as the config names it, where it is about one: `rows_examined`.
    pub limit: Option<&'static str>,
    /// Whether a definition has changed in that its table is not there any more.
    pub gone: bool,
}

impl ConnectorError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fix: None, table: None, limit: None, gone: false }
    }

    /// Adds what mends it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the limit of the service that it is about.
    #[must_use]
    pub fn with_limit(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Says that what has changed is that the table is not there any more.
    #[must_use]
    pub fn of_gone_table(mut self) -> Self {
        self.gone = true;
        self
    }

    /// Adds the table it is about.
    #[must_use]
    pub fn with_table(mut self, table: TableId) -> Self {
        self.table = Some(table);
        self
    }
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(fix) = &self.fix {
            write!(f, ". {fix}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectorError {}
