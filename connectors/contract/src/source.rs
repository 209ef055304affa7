//! The traits of a source: reading tables as they are now, and capturing what changes.
//!
//! Why a query can read several tables of a service and still see one instant: all its scans go through one
//! [`SourceView`], a read-only transaction with a consistent snapshot on one connection, or several at one position.
//! Why that cannot hang: while a statement waits for a connection, the view keeps the rows of those that run here,
//! within the bound given to [`Source::open_view`], so that no statement waits for the reader of another.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::{
    Collation, CollationWeights, ConnectorError, Position, Protection, RemoteQuery, Result, RowBudget,
    ServiceName, SourceId, TableDef, TableId, Transaction,
};

/// Record batches as they arrive; dropping it ends the work on the server.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// Leave to wait for a connection of a source, held by whoever opens views of several: it waits for one at a time.
pub type Turn = OwnedMutexGuard<()>;

/// The server behind one or more services.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// Its identity.
    fn id(&self) -> &SourceId;

    /// The tables and views of `database`, owned by `service`, as they are defined now. `booleans` tells which
    /// TINYINT(1) columns are declared boolean, by table and column.
    async fn tables(
        &self,
        service: &ServiceName,
        database: &str,
        booleans: &BooleanColumns,
    ) -> Result<ServiceTables>;

    /// Whether the server, the account and `database` are as needed, one finding per thing looked at.
    /// `cached` names the tables that are to be captured, as far as they are known; `None` where nothing is.
    async fn check(&self, database: &str, cached: Option<&[TableId]>) -> Vec<Finding>;

    /// TINYINT(1) columns of `database` in which a sample holds a value other than 0 and 1, with that value.
    async fn sample_booleans(&self, database: &str) -> Result<Vec<(String, String, i64)>>;

    /// The weights of `collation`, which must be of the per-character family.
    async fn weights(&self, collation: &Collation) -> Result<CollationWeights>;

    /// Opens a consistent view for one query or one first snapshot. Statements of the view are ended after
    /// `time_limit`; rows are kept for slow readers within `budget`; where it has no more, or its lender, the view
    /// may fail with [`ErrorKind::Limit`](crate::ErrorKind::Limit).
    async fn open_view(&self, time_limit: Duration, budget: RowBudget) -> Result<Arc<dyn SourceView>> {
        self.open_view_of(Consistency::Snapshot, time_limit, budget).await
    }

    /// As [`Source::open_view`], where the rows need not all be of one instant.
    async fn open_view_of(
        &self,
        consistency: Consistency,
        time_limit: Duration,
        budget: RowBudget,
    ) -> Result<Arc<dyn SourceView>>;

    /// As [`Source::open_view_of`]. Gives `turn` back once it waits for no connection any more that somebody else may have.
    async fn open_view_in_turn(
        &self,
        consistency: Consistency,
        time_limit: Duration,
        budget: RowBudget,
        turn: Turn,
    ) -> Result<Arc<dyn SourceView>> {
        let view = self.open_view_of(consistency, time_limit, budget).await;
        drop(turn);
        view
    }

    /// As [`Source::open_view`], for loading whole tables: what bounds one query's reading does not hold for it.
    async fn open_load(&self, time_limit: Duration, budget: RowBudget) -> Result<Arc<dyn SourceView>> {
        self.open_view(time_limit, budget).await
    }

    /// What keeps the source safe, as it stands now.
    fn protection(&self) -> Protection {
        Protection::default()
    }

    /// Where the server's binlog ends now. It may be ahead of what a view shows, never behind it.
    async fn binlog_end(&self) -> Result<BinlogEnd>;

    /// The position of [`Source::binlog_end`].
    async fn position(&self) -> Result<Position> {
        Ok(self.binlog_end().await?.position)
    }

    /// How `query` reads as a statement, with placeholders for its literals.
    fn render(&self, query: &RemoteQuery) -> Rendered;
}

/// A statement as it can be shown to anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// With placeholders for its literals.
    pub statement: String,
    /// What types are bound to them, in order; never their values.
    pub parameters: Vec<&'static str>,
}

/// Where a binlog ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogEnd {
    /// The last transaction of each domain.
    pub position: Position,
    /// Told together with `position`: nothing is reset and comes so far again in between.
    pub resets: Resets,
}

/// How often a server was told to reset something, its binlog or another thing, since it was started: positions of
/// before and after are of one binlog if this has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resets {
    /// The number of the server that answered; behind one address there may be several.
    pub server: u32,
    /// As it counts them.
    pub count: u64,
}

impl Resets {
    /// Whether the binlog may have been reset since it was at `earlier`.
    pub fn may_have_reset_since(&self, earlier: &Self) -> bool {
        self.server == earlier.server && self.count != earlier.count
    }
}

/// TINYINT(1) columns that the config declares boolean: a whole service, or single columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BooleanColumns {
    /// All TINYINT(1) columns of the service, but those that `columns` says otherwise of.
    pub by_default: bool,
    /// By table and column, in lower case.
    pub columns: HashMap<(String, String), bool>,
}

/// What was found in a service's database.
#[derive(Debug, Clone, Default)]
pub struct ServiceTables {
    /// The tables and views that can be read.
    pub tables: Vec<TableDef>,
    /// Columns that were hidden and tables that cannot be read, each with its reason.
    pub problems: Vec<TableProblem>,
    /// The columns of each table's unique keys, the primary key among them; also of those in which NULL may occur.
    pub unique: BTreeMap<TableId, Vec<Vec<String>>>,
}

/// What of a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    /// The table.
    pub table: TableId,
    /// The hidden column; `None` if it is the whole table.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
}

/// What of a source one query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Consistency {
    /// One instant, the same for all its statements.
    #[default]
    Snapshot,
    /// For each statement, and for each range of a large table that is read in several, an instant of its own.
    Statement,
}

impl Consistency {
    /// That which is called `name`: `snapshot` or `statement`.
    pub fn called(name: &str) -> Option<Self> {
        match name {
            "snapshot" => Some(Self::Snapshot),
            "statement" => Some(Self::Statement),
            _ => None,
        }
    }
}

/// A read-only transaction with a consistent snapshot, or several at one position. Its streams keep it open: once it and
/// all of them are dropped, the transaction ends, and a statement that still runs is killed. Dropping a stream ends its
/// statement.
#[async_trait]
pub trait SourceView: Send + Sync {
    /// The position of exactly what the view shows; `None` where the server does not tell it (it has no binlog), and where statements see
    /// instants of their own. Until rows are asked for, [`prepare`](SourceView::prepare) may make it a later one.
    fn position(&self) -> Option<Position>;

    /// The server that the view reads, where the source has several.
    fn server(&self) -> Option<&ServerRead> {
        None
    }

    /// The definition of `table` as the view sees it. From here on the definition cannot change under the view.
    /// Fails with [`ErrorKind::DefinitionChanged`](crate::ErrorKind::DefinitionChanged) if it was altered after
    /// the view was opened, or is gone.
    async fn definition(&self, table: &TableId, database: &str, booleans: &BooleanColumns) -> Result<TableDef>;

    /// The definitions of several tables, in their order, as [`definition`](SourceView::definition) gives them.
    async fn definitions(&self, tables: &[TableWanted]) -> Result<Vec<TableDef>> {
        let mut found = Vec::with_capacity(tables.len());
        for TableWanted { table, database, booleans } in tables {
            found.push(self.definition(table, database, booleans).await?);
        }
        Ok(found)
    }

    /// What the server expects of `query`; `None` where it does not say.
    async fn estimate(&self, query: &RemoteQuery) -> Result<Option<Estimate>>;

    /// What the server expects of the answer to `query`; `None` where it does not say. May look at some rows of its tables.
    async fn expectation(&self, query: &RemoteQuery) -> Result<Option<Expectation>> {
        let estimate = self.estimate(query).await?;
        let distinct = vec![None; query.columns.len()];
        Ok(estimate.map(|Estimate { rows, examined }| Expectation { rows, examined: Some(examined), distinct }))
    }

    /// How many statements the view may send at once for one question that could be asked in one.
    fn statements(&self) -> usize {
        usize::MAX
    }

    /// Says that the rows of `query` will be asked for, all of them: the view may have connections ready then, where
    /// that takes the server long. What goes wrong with that leaves the view as it was.
    async fn prepare(&self, _query: &RemoteQuery) {}

    /// Runs `query`; batches have exactly the query's columns, in its order.
    fn scan(&self, query: RemoteQuery) -> BatchStream {
        self.scan_counted(query, Arc::default())
    }

    /// As [`scan`](SourceView::scan); `work` counts what it takes.
    fn scan_counted(&self, query: RemoteQuery, work: Arc<ScanWork>) -> BatchStream;

    /// Runs `queries`, which have the same columns, and gives all their rows in whatever order: side by side where
    /// that can be had without others waiting for it, else one after the other.
    fn scan_all(&self, queries: Vec<RemoteQuery>, work: Arc<ScanWork>) -> BatchStream {
        // Each begins when it is first polled.
        let scans: Vec<BatchStream> =
            queries.into_iter().map(|query| self.scan_counted(query, Arc::clone(&work))).collect();
        stream::iter(scans).flatten().boxed()
    }
}

/// A table whose definition is wanted.
#[derive(Debug, Clone)]
pub struct TableWanted {
    /// Which.
    pub table: TableId,
    /// Where on the server it is.
    pub database: String,
    /// Which of its service's columns are declared boolean.
    pub booleans: BooleanColumns,
}

/// What reading has taken, counted while it goes on.
#[derive(Debug, Default)]
pub struct ScanWork {
    /// Statements that were run.
    pub statements: AtomicU64,
    /// Connections that ran them side by side: the most for one question.
    pub connections: AtomicU64,
    /// Statements that were run once more, for their connection was lost.
    pub retries: AtomicU64,
    /// Bytes of values on the wire, about.
    pub bytes: AtomicU64,
    /// Time from sending statements to the first row of each, in µs.
    pub waited: AtomicU64,
    /// Time from there to the last row, in µs.
    pub read: AtomicU64,
}

/// Which of a source's servers a view reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRead {
    /// `10.0.0.13:3306`.
    pub server: String,
    /// Of a replica: everything was visible there that the primary had committed so long before the view was opened.
    /// `None` of the primary.
    pub age: Option<Duration>,
}

/// What a server expects of a question, by its own statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Rows of tables and indexes that it looks at.
    pub examined: Examined,
    /// Rows of the answer.
    pub rows: u64,
}

/// What a server expects of the answer to a question, for whoever decides in which order several are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Rows of the answer.
    pub rows: u64,
    /// What finding them takes, where that is known.
    pub examined: Option<Examined>,
    /// For each of its columns how many different values the table has in it, where that is known.
    pub distinct: Vec<Option<u64>>,
}

/// How many rows a server looks at for one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// As it estimates.
    pub rows: u64,
    /// How many its owner allows at most.
    pub allowed: u64,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// As needed.
    Good,
    /// Works, with a restriction.
    Warning,
    /// Does not work until mended.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How serious.
    pub level: FindingLevel,
    /// What was looked at: `binlog_format`, `grant REPLICATION SLAVE`, `table orders.orders`.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What is needed.
    pub needed: String,
    /// The statement or setting that mends it.
    pub fix: Option<String>,
}

/// Which tables a capture decodes, with their definitions at the position it starts from.
#[derive(Debug, Clone, Default)]
pub struct CaptureTables {
    /// Cached tables, and tables from which cascades into cached ones can come.
    pub tables: Vec<Arc<TableDef>>,
    /// Databases whose DDL matters, with the services that own them.
    pub databases: Vec<(String, ServiceName)>,
}

/// What a capture yields.
#[derive(Debug, Clone)]
pub enum CaptureEvent {
    /// A whole transaction. Those without changes of captured tables are not left out: they move the position.
    Transaction(Arc<Transaction>),
    /// Nothing more was committed up to now; the position is current.
    Heartbeat(Position),
}

/// Transactions in commit order. It ends only with an error.
pub type CaptureStream = BoxStream<'static, Result<CaptureEvent>>;

/// Turns a source's binlog into transactions.
#[async_trait]
pub trait Capture: Send + Sync + fmt::Debug {
    /// Whose.
    fn source(&self) -> &SourceId;

    /// Starts after `from`. Fails with [`ErrorKind::PositionGone`](crate::ErrorKind::PositionGone) when the
    /// binlog does not go back that far. `tables` may be replaced while the stream runs: after a table was
    /// loaded anew, its new definition is used from the next transaction on.
    async fn start(
        &self,
        from: Position,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<CaptureStream, ConnectorError>;

    /// Starts where the binlog ends now, found by its place and not by a number that the binlog may have more than
    /// once. Gives the position of that place.
    async fn start_at_end(
        &self,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<(Position, CaptureStream), ConnectorError>;
}
