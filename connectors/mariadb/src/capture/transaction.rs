//! A transaction while its events come in, and those that XA has prepared.
//!
//! Why can none grow without bound? The bytes of its changes are counted as they are decoded; past the bound the
//! stream ends with an error, never with a part of a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{
    Change, ChangeOp, ConnectorError, ErrorKind, Fingerprint, Gtid, Position, SchemaChange, SourceId, TableDef,
    TableFault, TableId, Transaction,
};

use super::events::{GtidEvent, XaName};

/// What mends a transaction that is too large.
pub(super) const RAISE: &str = "Raise max_transaction in [change_log], or change rows in smaller transactions";

/// How a transaction ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// See [`Transaction::committed_at`].
    pub(super) at: i64,
    /// See [`Transaction::fingerprint`].
    pub(super) fingerprint: Fingerprint,
}

/// What a transaction changed.
#[derive(Debug, Default)]
pub(super) struct Content {
    tables: Vec<Arc<TableDef>>,
    changes: Vec<Change>,
    schema_changes: Vec<SchemaChange>,
    faults: Vec<TableFault>,
    /// Bytes in memory, about.
    bytes: usize,
}

impl Content {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place of `table` among the tables of the changes.
    pub(super) fn table(&mut self, table: &Arc<TableDef>) -> u32 {
        let place = self.tables.iter().rposition(|known| Arc::ptr_eq(known, table)).unwrap_or_else(|| {
            self.tables.push(Arc::clone(table));
            self.tables.len() - 1
        });
        place as u32
    }

    /// Adds a change of the table at `table`, which takes `bytes`.
    pub(super) fn change(&mut self, table: u32, op: ChangeOp, cascades: bool, bytes: usize) {
        self.bytes += bytes;
        self.changes.push(Change { table, op, cascades });
    }

    pub(super) fn schema_change(&mut self, change: SchemaChange) {
        self.bytes += change.statement.len();
        self.schema_changes.push(change);
    }

    /// Records that changes of a table cannot be decoded; the first reason stays.
    pub(super) fn fault(&mut self, fault: TableFault) {
        if !self.is_faulty(&fault.table) {
            self.faults.push(fault);
        }
    }

    pub(super) fn is_faulty(&self, table: &TableId) -> bool {
        self.faults.iter().any(|fault| fault.table == *table)
    }

    /// After a rollback that was logged: changes of tables that know transactions are void, others stand, and the
    /// binlog does not say which are which. So the tables are to be loaded anew.
    pub(super) fn undo(&mut self, database: String, statement: String) {
        self.changes.clear();
        let tables: Vec<TableId> = self.tables.drain(..).map(|table| table.id.clone()).collect();
        if !tables.is_empty() {
            self.schema_change(SchemaChange { database, statement, tables });
        }
    }

    /// The whole transaction, without the changes of tables that have a fault.
    pub(super) fn finish(
        mut self,
        source: SourceId,
        gtid: Gtid,
        previous: Position,
        ended: Ended,
    ) -> Transaction {
        if !self.faults.is_empty() {
            let faulty: Vec<bool> = self.tables.iter().map(|table| self.is_faulty(&table.id)).collect();
            self.changes.retain(|change| !faulty[change.table as usize]);
        }
        let mut used = vec![false; self.tables.len()];
        for change in &self.changes {
            used[change.table as usize] = true;
        }
        if used.contains(&false) {
            self.drop_unused(&used);
        }
        Transaction {
            source,
            gtid,
            previous,
            committed_at: ended.at,
            fingerprint: ended.fingerprint,
            tables: self.tables,
            changes: self.changes,
            schema_changes: self.schema_changes,
            faults: self.faults,
        }
    }

    fn drop_unused(&mut self, used: &[bool]) {
        let mut places = Vec::with_capacity(used.len());
        let mut kept = 0;
        for used in used {
            places.push(kept);
            kept += u32::from(*used);
        }
        for change in &mut self.changes {
            change.table = places[change.table as usize];
        }
        let mut used = used.iter();
        self.tables.retain(|_| used.next().is_some_and(|used| *used));
    }
}

/// A transaction whose end has not come.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    pub(super) gtid: Gtid,
    pub(super) event: GtidEvent,
    /// The time of the last change so far, as its event has it.
    pub(super) changed_at: Option<u32>,
    pub(super) content: Content,
}

impl OpenTransaction {
    /// Fails if the transaction takes more than `limit` bytes.
    pub(super) fn check_size(gtid: Gtid, bytes: usize, limit: usize) -> Result<(), ConnectorError> {
        if bytes <= limit {
            return Ok(());
        }
        let message = format!(
            "transaction {gtid} is too large to capture: its changes take more than {limit} bytes of memory"
        );
        Err(ConnectorError::new(ErrorKind::Limit, message).with_fix(RAISE))
    }
}

/// Transactions that XA has prepared and not ended yet.
///
/// They are bounded together. One that does not fit, or was prepared before the stream began or under other
/// definitions, is not known when it is committed; then all captured tables are loaded anew.
#[derive(Debug, Default)]
pub(super) struct PreparedTransactions {
    contents: HashMap<XaName, Content>,
    bytes: usize,
}

impl PreparedTransactions {
    /// Keeps `content` until its transaction ends, within `limit` bytes for all.
    pub(super) fn keep(&mut self, name: XaName, content: Content, limit: usize) {
        self.forget(&name);
        if self.bytes + content.bytes > limit {
            tracing::warn!(
                bytes = self.bytes + content.bytes,
                limit,
                "prepared XA transactions take more memory than one transaction may: when the last one is \
                 committed, all captured tables are loaded anew"
            );
            return;
        }
        self.bytes += content.bytes;
        self.contents.insert(name, content);
    }

    /// Takes out what `name` prepared, if it is known.
    pub(super) fn take(&mut self, name: &XaName) -> Option<Content> {
        let content = self.contents.remove(name)?;
        self.bytes -= content.bytes;
        Some(content)
    }

    /// As [`take`](Self::take), and throws it away.
    pub(super) fn forget(&mut self, name: &XaName) {
        drop(self.take(name));
    }
}
