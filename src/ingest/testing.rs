//! A server, a binlog and a durable log in memory, for tests without any of them.

mod durable_log;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossweave_contract::{
    BinlogEnd, BooleanColumns, Capture, CaptureEvent, CaptureStream, CaptureTables, Change, ChangeOp,
    Collation, CollationWeights, Column, ColumnType, ConnectorError, Consistency, ErrorKind, Finding,
    Fingerprint, Gtid, Position, RemoteQuery, Rendered, Resets, Result, Row, RowBudget, RowsBuilder, ScanWork,
    SchemaChange, ServiceName, ServiceTables, Source, SourceId, SourceView, TableDef, TableFault, TableId,
    TableKind, Transaction, Value,
};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) use durable_log::DurableLog;

pub(super) fn numbered(sequence: u64) -> Position {
    Position::from(Gtid { domain: 0, server: 1, sequence })
}

/// The transaction `sequence`, which follows the one before it.
pub(super) fn transaction(sequence: u64, changes: Vec<(Arc<TableDef>, ChangeOp)>) -> Arc<Transaction> {
    let (tables, changes): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .enumerate()
        .map(|(index, (def, op))| (def, Change { table: index as u32, op, cascades: true }))
        .unzip();
    Arc::new(Transaction {
        source: SourceId::from("source"),
        gtid: Gtid { domain: 0, server: 1, sequence },
        previous: numbered(sequence - 1),
        committed_at: 0,
        fingerprint: Fingerprint::default(),
        tables,
        changes,
        schema_changes: Vec::new(),
        faults: Vec::new(),
    })
}

/// The transaction `sequence`, with a row of so many bytes.
pub(super) fn of_bytes(sequence: u64, bytes: usize) -> Arc<Transaction> {
    let after: Row = Box::new([Value::Bytes(vec![0; bytes].into())]);
    transaction(sequence, vec![(Arc::new(table("shop", "users", &["id"])), ChangeOp::Insert { after })])
}

/// A table of numbers, whose key is the first.
pub(super) fn table(service: &str, name: &str, columns: &[&str]) -> TableDef {
    let column = |(index, name): (usize, &&str)| Column {
        name: (*name).to_owned(),
        column_type: ColumnType::BigInt { unsigned: false },
        nullable: index > 0,
        binlog_index: Some(index),
        max_chars: None,
    };
    TableDef {
        id: TableId::new(service, name),
        database: format!("{service}_db"),
        kind: TableKind::Base,
        columns: columns.iter().enumerate().map(column).collect(),
        key: vec![0],
        foreign_keys: Vec::new(),
        binlog_columns: columns.len(),
        row_end: None,
        live_only: Vec::new(),
    }
}

pub(super) fn row(values: &[i64]) -> Row {
    values.iter().map(|value| Value::Int(*value)).collect()
}

#[derive(Debug, Clone)]
enum Logged {
    Changes(Vec<(TableId, ChangeOp)>),
    Statement { text: String, tables: Vec<TableId> },
}

type Rows = BTreeMap<i64, Row>;

#[derive(Debug, Clone, Default)]
struct State {
    tables: BTreeMap<TableId, (Arc<TableDef>, Rows)>,
    binlog: Vec<Logged>,
    /// How often the binlog was begun anew.
    resets: u64,
    /// All is committed within one second.
    same_second: bool,
    /// Transactions up to here are no longer in the binlog.
    purged: u64,
    down: bool,
    /// A transaction that does not fit into a capture's bound.
    too_large: Option<u64>,
    /// Tables whose scan fails.
    failing: HashMap<TableId, ConnectorError>,
    views: u64,
    /// How often captures still fail to start at the binlog's end.
    missed_ends: u64,
    /// So many transactions are committed while the next one fails.
    while_missed: u64,
}

impl State {
    fn sequence(&self) -> u64 {
        self.binlog.len() as u64
    }
}

/// A source with its capture. Rows are found by their first value.
#[derive(Debug)]
pub(super) struct FakeServer {
    id: SourceId,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// Scans wait while this is true.
    pub(super) scans_wait: watch::Sender<bool>,
}

fn key(row: &Row) -> i64 {
    match row[0] {
        Value::Int(key) => key,
        _ => panic!("{row:?} has no key"),
    }
}

impl FakeServer {
    pub(super) fn new(id: SourceId) -> Arc<Self> {
        let server = Self {
            id,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            scans_wait: watch::Sender::new(false),
        };
        // A position other than the beginning of history.
        server.commit(&[]);
        Arc::new(server)
    }

    fn log(&self, logged: Logged) {
        self.state.lock().binlog.push(logged);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Creates or alters a table as a statement would; `change` makes new rows of the old ones.
    pub(super) fn define(&self, def: TableDef, change: impl Fn(&Row) -> Row) {
        let id = def.id.clone();
        {
            let mut state = self.state.lock();
            let old = state.tables.remove(&id).map(|(_, rows)| rows).unwrap_or_default();
            let rows = old.values().map(|row| (key(row), change(row))).collect();
            state.tables.insert(id.clone(), (Arc::new(def), rows));
        }
        self.log(Logged::Statement { text: format!("ALTER TABLE {}", id.table), tables: vec![id] });
    }

    pub(super) fn truncate(&self, id: &TableId) {
        self.state.lock().tables.get_mut(id).unwrap().1.clear();
        self.log(Logged::Statement { text: format!("TRUNCATE {}", id.table), tables: vec![id.clone()] });
    }

    pub(super) fn drop_table(&self, id: &TableId) {
        self.state.lock().tables.remove(id);
        self.log(Logged::Statement { text: format!("DROP TABLE {}", id.table), tables: vec![id.clone()] });
    }

    /// Commits one transaction; cascades are the caller's to apply with [`silently`](Self::silently).
    pub(super) fn commit(&self, changes: &[(&TableId, ChangeOp)]) {
        for (id, op) in changes {
            self.silently(id, op);
        }
        let changes = changes.iter().map(|(id, op)| ((*id).clone(), op.clone())).collect();
        self.log(Logged::Changes(changes));
    }

    /// Changes a row without logging it, as a cascade does.
    pub(super) fn silently(&self, id: &TableId, op: &ChangeOp) {
        let mut state = self.state.lock();
        let rows = &mut state.tables.get_mut(id).unwrap().1;
        if let Some(before) = op.before() {
            assert_eq!(rows.remove(&key(before)).as_ref(), Some(before));
        }
        if let Some(after) = op.after() {
            assert!(rows.insert(key(after), after.clone()).is_none());
        }
    }

    pub(super) fn insert(&self, id: &TableId, values: &[i64]) {
        self.commit(&[(id, ChangeOp::Insert { after: row(values) })]);
    }

    pub(super) fn rows(&self, id: &TableId) -> Vec<Row> {
        self.state.lock().tables[id].1.values().cloned().collect()
    }

    pub(super) fn sequence(&self) -> u64 {
        self.state.lock().sequence()
    }

    /// How many views were opened.
    pub(super) fn views(&self) -> u64 {
        self.state.lock().views
    }

    /// Forgets the binlog so far.
    pub(super) fn purge(&self) {
        let mut state = self.state.lock();
        state.purged = state.sequence();
    }

    /// Begins the binlog anew, as RESET MASTER does: streams that are open stay so, and get heartbeats only.
    pub(super) fn reset(&self) {
        self.reset_to(0);
    }

    /// The same, and before anybody can look it has so many transactions.
    pub(super) fn reset_to(&self, sequence: u64) {
        {
            let mut state = self.state.lock();
            state.binlog = (0..sequence).map(|_| Logged::Changes(Vec::new())).collect();
            (state.purged, state.resets) = (0, state.resets + 1);
        }
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn hold_the_clock(&self) {
        self.state.lock().same_second = true;
    }

    /// The next so many captures that are to start at the binlog's end fail; the first only after `commits`
    /// transactions.
    pub(super) fn miss_ends(&self, times: u64, commits: u64) {
        let mut state = self.state.lock();
        (state.missed_ends, state.while_missed) = (times, commits);
    }

    /// The next transaction is too large for a capture, until it is told otherwise.
    pub(super) fn next_is_too_large(&self, is: bool) {
        let mut state = self.state.lock();
        state.too_large = is.then(|| state.sequence() + 1);
    }

    pub(super) fn set_down(&self, down: bool) {
        self.state.lock().down = down;
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn fail_scans(&self, id: &TableId, error: Option<ConnectorError>) {
        let mut state = self.state.lock();
        match error {
            Some(error) => state.failing.insert(id.clone(), error),
            None => state.failing.remove(id),
        };
    }

    fn reach(&self) -> Result<State> {
        let state = self.state.lock();
        if state.down { Err(unreachable()) } else { Ok(state.clone()) }
    }

    /// The transaction `sequence` as capture decodes it by `tables`.
    fn decode(&self, sequence: u64, tables: &CaptureTables) -> Arc<Transaction> {
        let (logged, resets, same_second) = {
            let state = self.state.lock();
            (state.binlog[sequence as usize - 1].clone(), state.resets, state.same_second)
        };
        let mut decoded = Arc::unwrap_or_clone(transaction(sequence, Vec::new()));
        // What has the same number after a reset was committed later.
        decoded.fingerprint = Fingerprint { server: 1, hash: resets };
        decoded.committed_at += if same_second { 0 } else { resets as i64 * 1_000_000 };
        match logged {
            Logged::Statement { text, tables: named } => {
                let known = named.into_iter().filter(|id| tables.tables.iter().any(|def| def.id == *id));
                decoded.schema_changes.push(SchemaChange {
                    database: "shop_db".to_owned(),
                    statement: text,
                    tables: known.collect(),
                });
            }
            Logged::Changes(changes) => {
                for (id, op) in changes {
                    let Some(def) = tables.tables.iter().find(|def| def.id == id) else { continue };
                    if op.before().or(op.after()).is_some_and(|row| row.len() != def.columns.len()) {
                        let reason = "expected another number of columns".to_owned();
                        decoded.faults.push(TableFault { table: id, reason });
                        continue;
                    }
                    let table = decoded.tables.len() as u32;
                    decoded.tables.push(Arc::clone(def));
                    decoded.changes.push(Change { table, op, cascades: true });
                }
            }
        }
        Arc::new(decoded)
    }
}

fn unreachable() -> ConnectorError {
    ConnectorError::new(ErrorKind::Unreachable, "connection refused")
}

#[async_trait]
impl Source for FakeServer {
    fn id(&self) -> &SourceId {
        &self.id
    }

    async fn tables(&self, service: &ServiceName, _: &str, _: &BooleanColumns) -> Result<ServiceTables> {
        let state = self.reach()?;
        let own = state.tables.values().filter(|(def, _)| def.id.service == *service);
        Ok(ServiceTables { tables: own.map(|(def, _)| (**def).clone()).collect(), ..ServiceTables::default() })
    }

    async fn check(&self, _: &str, _: Option<&[TableId]>) -> Vec<Finding> {
        Vec::new()
    }

    async fn sample_booleans(&self, _: &str) -> Result<Vec<(String, String, i64)>> {
        Ok(Vec::new())
    }

    async fn weights(&self, _: &Collation) -> Result<CollationWeights> {
        Err(unreachable())
    }

    async fn open_view_of(&self, _: Consistency, _: Duration, _: RowBudget) -> Result<Arc<dyn SourceView>> {
        let state = self.reach()?;
        self.state.lock().views += 1;
        let position = numbered(state.sequence());
        Ok(Arc::new(FakeView { state, position, wait: self.scans_wait.subscribe() }))
    }

    async fn binlog_end(&self) -> Result<BinlogEnd> {
        let state = self.reach()?;
        let resets = Resets { server: 1, count: state.resets };
        Ok(BinlogEnd { position: numbered(state.sequence()), resets })
    }

    fn render(&self, _: &RemoteQuery) -> Rendered {
        Rendered::default()
    }
}

struct FakeView {
    state: State,
    position: Position,
    wait: watch::Receiver<bool>,
}

#[async_trait]
impl SourceView for FakeView {
    fn position(&self) -> Option<Position> {
        Some(self.position.clone())
    }

    async fn definition(&self, table: &TableId, _: &str, _: &BooleanColumns) -> Result<TableDef> {
        let found = self.state.tables.get(table).map(|(def, _)| (**def).clone());
        found.ok_or_else(|| {
            ConnectorError::new(ErrorKind::DefinitionChanged, format!("{table} is not there any more"))
        })
    }

    async fn estimate(&self, _: &RemoteQuery) -> Result<Option<crossweave_contract::Estimate>> {
        Ok(None)
    }

    fn scan_counted(&self, query: RemoteQuery, _: Arc<ScanWork>) -> crossweave_contract::BatchStream {
        let (def, rows) = self.state.tables[&query.tables()[0].id].clone();
        let failing = self.state.failing.get(&def.id).cloned();
        let mut wait = self.wait.clone();
        let batch = async move {
            let _ = wait.wait_for(|wait| !wait).await;
            if let Some(error) = failing {
                return Err(error);
            }
            let mut builder = RowsBuilder::of(&query.columns, rows.len());
            rows.values().for_each(|row| builder.append_row(row).unwrap());
            Ok(builder.finish().unwrap())
        };
        futures::stream::once(batch).boxed()
    }
}

/// The capture of a [`FakeServer`].
#[derive(Debug)]
pub(super) struct FakeCapture(pub(super) Arc<FakeServer>);

#[async_trait]
impl Capture for FakeCapture {
    fn source(&self) -> &SourceId {
        &self.0.id
    }

    async fn start_at_end(
        &self,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<(Position, CaptureStream), ConnectorError> {
        let (missed, commits) = {
            let mut state = self.0.state.lock();
            let missed = state.missed_ends > 0;
            state.missed_ends -= u64::from(missed);
            (missed, if missed { std::mem::take(&mut state.while_missed) } else { 0 })
        };
        (0..commits).for_each(|_| self.0.commit(&[]));
        if missed {
            return Err(unreachable());
        }
        let end = self.0.position().await?;
        Ok((end.clone(), self.start(end, tables).await?))
    }

    async fn start(
        &self,
        from: Position,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<CaptureStream, ConnectorError> {
        let state = self.0.reach()?;
        let from = from.gtids().next().map_or(0, |gtid| gtid.sequence);
        if from < state.purged {
            let message = format!("the binlog begins after {}", state.purged);
            return Err(ConnectorError::new(ErrorKind::PositionGone, message));
        }
        let (server, changed, resets) = (Arc::clone(&self.0), self.0.changed.subscribe(), state.resets);
        // The resets at the last heartbeat, if nothing has followed it.
        let told: Option<u64> = None;
        let events = futures::stream::unfold((from, told, changed), move |(at, told, mut changed)| {
            let (server, tables) = (Arc::clone(&server), tables.clone());
            async move {
                loop {
                    changed.mark_unchanged();
                    let (down, end, too_large, now) = {
                        let state = server.state.lock();
                        let end = if state.resets == resets { state.sequence() } else { at };
                        (state.down, end, state.too_large, state.resets)
                    };
                    if down {
                        return Some((Err(unreachable()), (at, told, changed)));
                    }
                    if at < end && too_large == Some(at + 1) {
                        let error = ConnectorError::new(ErrorKind::Limit, "the transaction is too large");
                        return Some((Err(error), (at, told, changed)));
                    }
                    if at < end {
                        let tables = Arc::clone(&tables.borrow());
                        let transaction = server.decode(at + 1, &tables);
                        return Some((Ok(CaptureEvent::Transaction(transaction)), (at + 1, None, changed)));
                    }
                    if told != Some(now) {
                        return Some((Ok(CaptureEvent::Heartbeat(numbered(at))), (at, Some(now), changed)));
                    }
                    if changed.changed().await.is_err() {
                        return None;
                    }
                }
            }
        });
        Ok(Box::pin(events))
    }
}
