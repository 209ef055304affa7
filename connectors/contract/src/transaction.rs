//! What flows on the write path: a source's transactions.
//!
//! A [`Transaction`] is self-contained: it carries the definitions of the tables whose rows it changes, so that
//! a reader of the log needs nothing else to apply it, and it names the position before it, so that a reader can
//! tell a gap from a GTID that was merely skipped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Gtid, Position, Row, SourceId, TableDef, TableId, Value};

/// A change's place within its transaction, counted from 0.
pub type Ordinal = u32;

/// Everything a source committed under one GTID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// Where it was committed.
    pub source: SourceId,
    /// Its number.
    pub gtid: Gtid,
    /// The position before it: what has to be applied first. After it, the position is this advanced by `gtid`.
    pub previous: Position,
    /// The source's clock at its last change, µs since the epoch (MariaDB's binlog has whole seconds). Replicas keep it,
    /// unlike the time of the commit itself.
    pub committed_at: i64,
    /// Of what ended it in the binlog that it was read from. Logs do not keep it.
    #[serde(skip)]
    pub fingerprint: Fingerprint,
    /// Definitions of the tables that `changes` name, each once.
    pub tables: Vec<Arc<TableDef>>,
    /// Row changes in the order of the binlog. The index is the [`Ordinal`].
    pub changes: Vec<Change>,
    /// DDL, and changes of captured tables that were logged as statements: those tables are loaded anew.
    pub schema_changes: Vec<SchemaChange>,
    /// Tables whose changes in this transaction could not be decoded: they stop at it, visibly, and are loaded
    /// anew. The transaction is never passed over.
    pub faults: Vec<TableFault>,
}

/// Tells a transaction from another of its number in the binlog of one server; each replica writes its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The number of the server that wrote the binlog.
    pub server: u32,
    /// Of the event that ended the transaction.
    pub hash: u64,
}

impl Fingerprint {
    /// Whether two transactions of one number are known not to be the same.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.server == other.server && self.hash != other.hash
    }
}

impl Transaction {
    /// The position after this transaction.
    pub fn position(&self) -> Position {
        let mut position = self.previous.clone();
        position.advance(self.gtid);
        position
    }

    /// Bytes that it takes in memory, about: what queues count. Definitions are shared with other transactions.
    pub fn bytes(&self) -> usize {
        let rows = |change: &Change| -> usize {
            let rows = [change.op.before(), change.op.after()];
            rows.into_iter().flatten().flatten().map(Value::bytes).sum()
        };
        let tables = |change: &SchemaChange| change.tables.len() * size_of::<TableId>();
        let statements = self
            .schema_changes
            .iter()
            .map(|change| change.statement.len() + change.database.len() + tables(change));
        size_of::<Self>()
            + self.changes.iter().map(|change| size_of::<Change>() + rows(change)).sum::<usize>()
            + statements.map(|bytes| size_of::<SchemaChange>() + bytes).sum::<usize>()
            + self.faults.iter().map(|fault| size_of::<TableFault>() + fault.reason.len()).sum::<usize>()
    }

    /// The definition of the table that `change` changes.
    ///
    /// # Panics
    ///
    /// If `change` is not one of this transaction's.
    pub fn table_of(&self, change: &Change) -> &Arc<TableDef> {
        &self.tables[change.table as usize]
    }
}

/// One row's insert, update or delete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Index into [`Transaction::tables`].
    pub table: u32,
    /// What happened, with the row's values.
    pub op: ChangeOp,
    /// Whether the server followed foreign keys (`foreign_key_checks`, on by default): only then do cascades
    /// follow from this change.
    pub cascades: bool,
}

/// A row before and after; each row has the values of all of the table's columns, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ChangeOp {
    /// A new row.
    Insert {
        /// The row.
        after: Row,
    },
    /// A changed row; its key may have changed as well.
    Update {
        /// The row as it was.
        before: Row,
        /// The row as it is.
        after: Row,
    },
    /// A row that is gone.
    Delete {
        /// The row as it was.
        before: Row,
    },
}

impl ChangeOp {
    /// The row as it was.
    pub fn before(&self) -> Option<&Row> {
        match self {
            Self::Insert { .. } => None,
            Self::Update { before, .. } | Self::Delete { before } => Some(before),
        }
    }

    /// The row as it is.
    pub fn after(&self) -> Option<&Row> {
        match self {
            Self::Delete { .. } => None,
            Self::Insert { after } | Self::Update { after, .. } => Some(after),
        }
    }
}

/// A statement in the binlog that is not a row change.
///
/// It is not parsed. The tables whose names occur in it may have changed in definition or content, so they are
/// loaded anew from a snapshot that includes it; a false hit costs a load, a missed one cannot happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// The session's database.
    pub database: String,
    /// The statement's text, as the binlog has it.
    pub statement: String,
    /// Captured tables whose names occur in it.
    pub tables: Vec<TableId>,
}

/// Changes of one table that could not be decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableFault {
    /// The table.
    pub table: TableId,
    /// What was expected and what was found.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_all_rows_and_statements() {
        let row = |text: usize| -> Row { Box::new([Value::Int(1), Value::Text("x".repeat(text).into())]) };
        let transaction = |changes: Vec<ChangeOp>, statement: usize| Transaction {
            source: SourceId::from("source"),
            gtid: Gtid { domain: 0, server: 1, sequence: 2 },
            previous: Position::origin(),
            committed_at: 0,
            fingerprint: Fingerprint::default(),
            tables: Vec::new(),
            changes: changes.into_iter().map(|op| Change { table: 0, op, cascades: true }).collect(),
            schema_changes: vec![SchemaChange {
                database: String::new(),
                statement: "x".repeat(statement),
                tables: Vec::new(),
            }],
            faults: Vec::new(),
        };
        let none = transaction(Vec::new(), 0).bytes();
        let values = |rows: usize| rows * 2 * size_of::<Value>();
        let ops = vec![
            ChangeOp::Insert { after: row(1000) },
            ChangeOp::Update { before: row(100), after: row(10) },
            ChangeOp::Delete { before: row(1) },
        ];
        assert_eq!(transaction(ops, 7).bytes(), none + 3 * size_of::<Change>() + values(4) + 1111 + 7);
    }
}
