//! Events into transactions: the one place that knows which events open, fill and end a transaction.
//!
//! MariaDB opens each transaction with a GTID event. One that is standalone is a single statement; any other ends
//! with XID, with COMMIT or ROLLBACK as a statement, or, prepared by XA, with XA_PREPARE. Every transaction that
//! ends is handed out, also one without a change of a captured table, for it moves the position.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crossweave_contract::{
    CaptureEvent, CaptureTables, ConnectorError, ErrorKind, Fingerprint, Gtid, Position, Result, SchemaChange,
    SourceId,
};
use tokio::sync::watch;

use super::bytes::Bytes;
use super::definitions::Definitions;
use super::events::{
    GtidEvent, IGNORABLE_FLAG, Malformed, QueryEvent, RawEvent, RowsEvent, kind, prepares_in_one_phase,
};
use super::statement::{Role, Statement};
use super::tables::StreamTables;
use super::transaction::{Content, Ended, OpenTransaction, PreparedTransactions, RAISE};

/// What came out of an event.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) event: CaptureEvent,
    /// Bytes that it takes in memory, about.
    pub(super) bytes: usize,
}

/// Puts transactions together.
pub(super) struct Assembler {
    source: SourceId,
    /// The number of the server that writes the binlog.
    server: u32,
    tables: StreamTables,
    /// After the last transaction that was handed out.
    position: Position,
    open: Option<OpenTransaction>,
    prepared: PreparedTransactions,
    /// Bytes that a transaction may take.
    limit: usize,
}

impl Assembler {
    /// Starts after `position`. `fold_case` tells that the server ignores the case of tables' names; a
    /// transaction may take `limit` bytes.
    pub(super) fn new(
        source: SourceId,
        position: Position,
        tables: watch::Receiver<Definitions>,
        fold_case: bool,
        limit: usize,
    ) -> Self {
        let tables = StreamTables::new(tables, fold_case);
        let prepared = PreparedTransactions::default();
        Self { source, server: 0, tables, position, open: None, prepared, limit }
    }

    /// After the last transaction that was handed out.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Takes in the next event.
    pub(super) fn event(&mut self, event: &RawEvent<'_>) -> Result<Option<Assembled>> {
        if let Some(rows) = RowsEvent::classify(event.kind) {
            self.rows(rows, event)?;
            return Ok(None);
        }
        let malformed = |malformed| self.malformed(event, &malformed);
        match event.kind {
            kind::GTID => {
                let gtid = GtidEvent::parse(event.body).map_err(malformed)?;
                self.begin(gtid, event.server)?;
            }
            kind::TABLE_MAP => {
                if let Err(error) = self.tables.map(event.body) {
                    return Err(self.malformed(event, &error));
                }
            }
            kind::XID => return self.commit(event),
            kind::QUERY | kind::QUERY_COMPRESSED | kind::EXECUTE_LOAD_QUERY => {
                let query = QueryEvent::parse(event.kind, event.body, self.limit).map_err(malformed)?;
                return self.statement(Statement::new(query), event);
            }
            kind::XA_PREPARE => {
                if prepares_in_one_phase(event.body).map_err(malformed)? {
                    return self.commit(event);
                }
                return self.prepare(event);
            }
            kind::HEARTBEAT => {
                let current = self.open.is_none();
                return Ok(current
                    .then(|| Assembled { event: CaptureEvent::Heartbeat(self.position.clone()), bytes: 0 }));
            }
            kind::FORMAT_DESCRIPTION => {
                self.server = event.server;
                self.new_file(event.body);
            }
            kind::INCIDENT => return Err(self.incident(event.body)),
            // Made up for the stream, about the file, or the parts of a statement that names its tables itself.
            kind::STOP
            | kind::ROTATE
            | kind::INTVAR
            | kind::RAND
            | kind::USER_VAR
            | kind::APPEND_BLOCK
            | kind::DELETE_FILE
            | kind::BEGIN_LOAD_QUERY
            | kind::IGNORABLE
            | kind::ROWS_QUERY
            | kind::ANNOTATE_ROWS
            | kind::BINLOG_CHECKPOINT
            | kind::GTID_LIST
            | kind::START_ENCRYPTION => {}
            _ if event.flags & IGNORABLE_FLAG != 0 => {}
            unknown => {
                return Err(self.protocol(format!(
                    "an event of type {unknown}, which this version does not know and which may hold changes"
                )));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, event: GtidEvent, server: u32) -> Result<()> {
        let gtid = Gtid { domain: event.domain, server, sequence: event.sequence };
        if let Some(open) = &self.open {
            return Err(self.protocol(format!("transaction {gtid} begins before {} has ended", open.gtid)));
        }
        if self.position.contains(&gtid) {
            let message = format!(
                "source {}: the binlog has transaction {gtid} after position {}: its numbers went back, so the \
                 position does not say any more what has been seen",
                self.source, self.position
            );
            let fix = "Load the cached tables anew. SET GLOBAL gtid_strict_mode = 1 keeps numbers in order; \
                       sync_binlog = 1 keeps a crash from giving them out twice";
            return Err(ConnectorError::new(ErrorKind::PositionGone, message).with_fix(fix));
        }
        if self.tables.refresh() {
            // What they hold was decoded by other definitions, and lacks tables that are captured only now.
            self.prepared = PreparedTransactions::default();
        }
        self.open = Some(OpenTransaction { gtid, event, changed_at: None, content: Content::default() });
        Ok(())
    }

    fn rows(&mut self, class: (super::events::RowsKind, bool, bool), event: &RawEvent<'_>) -> Result<()> {
        let table = RowsEvent::table_of(event.body).map_err(|error| self.malformed(event, &error))?;
        if table == RowsEvent::NO_TABLE {
            return Ok(());
        }
        let Some(plans) = self.tables.plans(table) else {
            return Err(self.protocol(format!("rows of a table number {table}, which no event has introduced")));
        };
        let Some(open) = &mut self.open else {
            return Err(self.protocol("rows outside any transaction".to_owned()));
        };
        open.changed_at = Some(event.timestamp);
        let wanted = |plan: &&super::tables::Plan| match plan {
            Ok(plan) => !open.content.is_faulty(&plan.table.id),
            Err(_) => true,
        };
        if !plans.iter().any(|plan| wanted(&plan)) {
            return Ok(());
        }
        let rows = match RowsEvent::parse(class, event.body, self.limit) {
            Ok(rows) => rows,
            Err(Malformed::TooLarge(bytes)) => {
                return OpenTransaction::check_size(open.gtid, bytes, self.limit);
            }
            Err(error) => return Err(self.malformed(event, &error)),
        };
        for plan in plans {
            let plan = match plan {
                Ok(plan) => plan,
                Err(fault) => {
                    open.content.fault(fault.clone());
                    continue;
                }
            };
            if open.content.is_faulty(&plan.table.id) {
                continue;
            }
            let (place, gtid, limit) = (open.content.table(&plan.table), open.gtid, self.limit);
            let content = &mut open.content;
            let decoded = plan.decode(&rows, |op, bytes| {
                content.change(place, op, !rows.without_foreign_keys, bytes);
                OpenTransaction::check_size(gtid, content.bytes(), limit)
            })?;
            if let Err(reason) = decoded {
                let table = plan.table.id.clone();
                let reason = format!("table {table} cannot be decoded: {reason}");
                content.fault(crossweave_contract::TableFault { table, reason });
            }
        }
        Ok(())
    }

    fn statement(&mut self, statement: Statement, event: &RawEvent<'_>) -> Result<Option<Assembled>> {
        let Some(open) = &mut self.open else {
            return Err(self.protocol("a statement outside any transaction".to_owned()));
        };
        match statement.role() {
            Role::Nothing => return Ok(None),
            Role::Commit => return self.commit(event),
            Role::Rollback => {
                open.content.undo(statement.database, statement.text);
                return self.commit(event);
            }
            Role::RollbackTo => {
                open.content.undo(statement.database, statement.text);
                return Ok(None);
            }
            Role::XaCommit => {
                let known = open.event.completes.as_ref().and_then(|name| self.prepared.take(name));
                match known {
                    Some(content) => open.content = content,
                    None => open.content.schema_change(everything(self.tables.captured(), statement)),
                }
                return self.commit(event);
            }
            Role::XaRollback => {
                if let Some(name) = &open.event.completes {
                    self.prepared.forget(name);
                }
                return self.commit(event);
            }
            Role::Change => {}
        }
        let rows = !open.event.standalone && !open.event.ddl;
        if let Some(change) = statement.schema_change(self.tables.captured(), rows) {
            open.content.schema_change(change);
            OpenTransaction::check_size(open.gtid, open.content.bytes(), self.limit)?;
        }
        if open.event.standalone { self.commit(event) } else { Ok(None) }
    }

    /// Ends the open transaction and hands it out.
    fn commit(&mut self, event: &RawEvent<'_>) -> Result<Option<Assembled>> {
        let Some(open) = self.open.take() else {
            return Err(self.protocol("the end of a transaction that did not begin".to_owned()));
        };
        let bytes = open.content.bytes();
        let at = i64::from(open.changed_at.unwrap_or(event.timestamp)) * 1_000_000;
        let previous = self.position.clone();
        self.position.advance(open.gtid);
        // XID has a number that the server gives once; a statement comes with its thread and text.
        let mut hash = DefaultHasher::new();
        event.body.hash(&mut hash);
        let ended = Ended { at, fingerprint: Fingerprint { server: self.server, hash: hash.finish() } };
        let transaction = open.content.finish(self.source.clone(), open.gtid, previous, ended);
        Ok(Some(Assembled { event: CaptureEvent::Transaction(Arc::new(transaction)), bytes }))
    }

    /// Ends the first phase of XA: the changes are kept until the second, and the position moves without them.
    fn prepare(&mut self, event: &RawEvent<'_>) -> Result<Option<Assembled>> {
        if let Some(open) = &mut self.open
            && let Some(name) = open.event.prepares.take()
        {
            let content = std::mem::take(&mut open.content);
            self.prepared.keep(name, content, self.limit);
        }
        self.commit(event)
    }

    /// A new binlog file begins. If the server has just started, a transaction that the last file left open was
    /// never committed.
    fn new_file(&mut self, body: &[u8]) {
        let mut bytes = Bytes::new(body);
        let created = bytes.take(52).and_then(|_| bytes.u32()).unwrap_or(0);
        if created != 0 {
            self.tables.forget_maps();
            if let Some(open) = self.open.take() {
                tracing::warn!(gtid = %open.gtid, "the server crashed within this transaction: it is left out");
            }
        }
    }

    fn incident(&self, body: &[u8]) -> ConnectorError {
        let mut bytes = Bytes::new(body);
        let text = bytes.take(2).and_then(|_| bytes.short()).unwrap_or_default();
        let message = format!(
            "source {}: the server says in its binlog after position {} that changes are missing there: {}",
            self.source,
            self.position,
            String::from_utf8_lossy(text)
        );
        ConnectorError::new(ErrorKind::PositionGone, message).with_fix("Load the cached tables anew")
    }

    fn malformed(&self, event: &RawEvent<'_>, malformed: &Malformed) -> ConnectorError {
        if let Malformed::TooLarge(bytes) = malformed {
            let message = format!(
                "source {}: a statement in the binlog after position {} takes {bytes} bytes, more than the {} \
                 that a transaction may",
                self.source, self.position, self.limit
            );
            return ConnectorError::new(ErrorKind::Limit, message).with_fix(RAISE);
        }
        self.protocol(format!("an event of type {}: {malformed}", event.kind))
    }

    fn protocol(&self, what: String) -> ConnectorError {
        let message = format!("source {}: the binlog after position {} has {what}", self.source, self.position);
        ConnectorError::new(ErrorKind::Protocol, message)
    }
}

/// A change whose extent is not known: of all captured tables.
fn everything(captured: &CaptureTables, statement: Statement) -> SchemaChange {
    let tables = captured.tables.iter().map(|table| table.id.clone()).collect();
    SchemaChange { database: statement.database, statement: statement.text, tables }
}
