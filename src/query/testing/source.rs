//! A source whose tables are batches in memory. It keeps what it was asked.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{
    BatchStream, BinlogEnd, BooleanColumns, Collation, CollationWeights, ConnectorError, Consistency,
    ErrorKind, Expectation, Finding, Position, Relation, RemoteColumn, RemoteQuery, Rendered, Resets, Result,
    RowBudget, ScanWork, ServiceName, ServiceTables, Source, SourceId, SourceView, TableDef, TableId,
};
use datafusion::common::ScalarValue;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Tables, answer};

/// What goes wrong from now on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// No view can be opened.
    Open(ErrorKind),
    /// The next view's definitions have changed; the one after it is right.
    DefinitionChangedOnce,
    /// Scans fail after their first batch.
    Scan(ErrorKind),
    /// Scans never give a row.
    Hang,
}

#[derive(Debug)]
pub(crate) struct FakeSource {
    id: SourceId,
    tables: Mutex<Tables>,
    pub(crate) asked: Arc<Mutex<Vec<RemoteQuery>>>,
    pub(crate) views: AtomicUsize,
    pub(crate) fault: Mutex<Fault>,
    /// Scans that were started and neither ended nor were dropped.
    pub(crate) running: Arc<watch::Sender<usize>>,
}

impl FakeSource {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            tables: Mutex::default(),
            asked: Arc::default(),
            views: AtomicUsize::new(0),
            fault: Mutex::default(),
            running: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn put(&self, def: Arc<TableDef>, rows: RecordBatch) {
        self.tables.lock().insert(def.id.clone(), (def, rows));
    }
}

#[async_trait]
impl Source for FakeSource {
    fn id(&self) -> &SourceId {
        &self.id
    }

    async fn tables(&self, _: &ServiceName, _: &str, _: &BooleanColumns) -> Result<ServiceTables> {
        Ok(ServiceTables::default())
    }

    async fn check(&self, _: &str, _: Option<&[TableId]>) -> Vec<Finding> {
        Vec::new()
    }

    async fn sample_booleans(&self, _: &str) -> Result<Vec<(String, String, i64)>> {
        Ok(Vec::new())
    }

    async fn weights(&self, collation: &Collation) -> Result<CollationWeights> {
        Err(ConnectorError::new(ErrorKind::Query, format!("no weights of {}", collation.name)))
    }

    async fn open_view_of(&self, _: Consistency, _: Duration, _: RowBudget) -> Result<Arc<dyn SourceView>> {
        self.views.fetch_add(1, Ordering::SeqCst);
        let mut fault = self.fault.lock();
        if let Fault::Open(kind) = *fault {
            let message = format!("server {} refuses connections", self.id);
            return Err(ConnectorError::new(kind, message).with_fix("Start it"));
        }
        let changed = *fault == Fault::DefinitionChangedOnce;
        if changed {
            *fault = Fault::None;
        }
        Ok(Arc::new(FakeView {
            position: "0-1-100".parse().ok(),
            tables: self.tables.lock().clone(),
            asked: Arc::clone(&self.asked),
            fault: fault.clone(),
            changed,
            running: Arc::clone(&self.running),
        }))
    }

    async fn binlog_end(&self) -> Result<BinlogEnd> {
        Ok(BinlogEnd { position: Position::origin(), resets: Resets { server: 1, count: 0 } })
    }

    fn render(&self, query: &RemoteQuery) -> Rendered {
        let names: Vec<&str> = query.columns.iter().map(|column| column.name().unwrap_or("…")).collect();
        let tables: Vec<&str> = query.tables().iter().map(|table| &*table.id.table).collect();
        let clauses = clauses(&query.relation);
        let statement = format!("SELECT {} FROM {}{clauses}", names.join(", "), tables.join(" JOIN "));
        Rendered { statement, parameters: Vec::new() }
    }
}

/// What is done with tables, about as SQL says it.
fn clauses(relation: &Relation) -> String {
    let (input, clause) = match relation {
        Relation::Table { .. } => return String::new(),
        Relation::Join { left, right, .. } => return clauses(left) + &clauses(right),
        Relation::Union { inputs } => {
            return inputs.iter().map(clauses).collect::<Vec<_>>().join(" UNION ALL ");
        }
        Relation::Project { input, .. } => (input, ""),
        Relation::Filter { input, .. } => (input, " WHERE …"),
        Relation::Aggregate { input, .. } => (input, " GROUP BY …"),
        Relation::Sort { input, .. } => (input, " ORDER BY …"),
        Relation::Limit { input, .. } => (input, " LIMIT ?"),
    };
    clauses(input) + clause
}

struct FakeView {
    position: Option<Position>,
    tables: Tables,
    asked: Arc<Mutex<Vec<RemoteQuery>>>,
    fault: Fault,
    changed: bool,
    running: Arc<watch::Sender<usize>>,
}

/// Counts a scan as running until it is dropped.
struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[async_trait]
impl SourceView for FakeView {
    fn position(&self) -> Option<Position> {
        self.position.clone()
    }

    async fn definition(&self, table: &TableId, _: &str, _: &BooleanColumns) -> Result<TableDef> {
        match self.tables.get(table) {
            Some((def, _)) if !self.changed => Ok((**def).clone()),
            _ => Err(ConnectorError::new(ErrorKind::DefinitionChanged, format!("{table} was altered"))),
        }
    }

    async fn estimate(&self, _: &RemoteQuery) -> Result<Option<crossweave_contract::Estimate>> {
        Ok(None)
    }

    async fn expectation(&self, query: &RemoteQuery) -> Result<Option<Expectation>> {
        let rows = answer(query, &self.tables).num_rows() as u64;
        let values = |column: &RemoteColumn| {
            let (table, index) = column.origin.as_ref()?;
            let query = RemoteQuery::of(Arc::clone(table), [*index]);
            let values = answer(&query, &self.tables);
            let values =
                (0..values.num_rows()).map(|row| ScalarValue::try_from_array(values.column(0), row).ok());
            Some(values.collect::<HashSet<_>>().len() as u64)
        };
        Ok(Some(Expectation { rows, examined: None, distinct: query.columns.iter().map(values).collect() }))
    }

    fn scan_counted(&self, query: RemoteQuery, work: Arc<ScanWork>) -> BatchStream {
        work.statements.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().push(query.clone());
        self.running.send_modify(|running| *running += 1);
        let running = Running(Arc::clone(&self.running));
        let rows = answer(&query, &self.tables);
        let after = match &self.fault {
            Fault::Scan(kind) => {
                stream::iter([Err(ConnectorError::new(*kind, "the connection was lost"))]).boxed()
            }
            Fault::Hang => stream::pending().boxed(),
            _ => stream::empty().boxed(),
        };
        let first = if self.fault == Fault::Hang { None } else { Some(Ok(rows)) };
        stream::iter(first).chain(after).inspect(move |_| _ = &running).boxed()
    }
}
