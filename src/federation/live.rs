//! Reading a table from its source.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use crossweave_contract::{Position, RemoteQuery, Rendered, ServerRead, Source, SourceView, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, Result, internal_err};
use datafusion::datasource::DefaultTableSource;
use datafusion::logical_expr::{Expr, TableScan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::runtime::Handle;

use super::shape::Shape;

/// Counts the statements that were sent to sources to read rows.
#[derive(Debug, Clone, Default)]
pub struct StatementCounter(Arc<AtomicU64>);

impl StatementCounter {
    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pinned view of a source, and what reading through it takes. All tables of one view share it.
pub struct LiveSource {
    source: Arc<dyn Source>,
    pub(super) view: Arc<dyn SourceView>,
    /// The runtime on which the source works.
    pub(super) io: Handle,
    /// Counts what is sent.
    pub(super) statements: StatementCounter,
}

impl LiveSource {
    /// `view` of `source`.
    pub fn new(
        source: Arc<dyn Source>,
        view: Arc<dyn SourceView>,
        io: Handle,
        statements: StatementCounter,
    ) -> Self {
        Self { source, view, io, statements }
    }

    /// How `query` reads as a statement.
    pub(super) fn render(&self, query: &RemoteQuery) -> Rendered {
        self.source.render(query)
    }

    /// The position of what the view shows.
    pub fn position(&self) -> Option<Position> {
        self.view.position()
    }

    /// The server that is read, where the source has several.
    pub fn server(&self) -> Option<&ServerRead> {
        self.view.server()
    }
}

impl fmt::Debug for LiveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSource").field("source", self.source.id()).finish_non_exhaustive()
    }
}

/// A table of a pinned view. What of a plan its source computes is for [`push_down`](super::push_down) to say, which puts
/// a question in its place; until then it takes no conditions.
#[derive(Debug)]
pub struct LiveTable {
    shape: Shape,
    source: Arc<LiveSource>,
}

impl LiveTable {
    /// The table that `source` shows as `actual`, seen as the definition `planned`, which the plan was made with.
    pub fn new(planned: Arc<TableDef>, actual: Arc<TableDef>, source: Arc<LiveSource>) -> Self {
        Self { shape: Shape::new(planned, actual), source }
    }

    /// The live table that `scan` reads, if it is one.
    pub(super) fn of(scan: &TableScan) -> Option<&Self> {
        let source = scan.source.downcast_ref::<DefaultTableSource>()?;
        source.table_provider.downcast_ref::<Self>()
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn source(&self) -> &Arc<LiveSource> {
        &self.source
    }
}

#[async_trait]
impl TableProvider for LiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.shape.schema())
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(self.shape.constraints())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("{}: push-down has put no question in the place of a live table", self.shape.actual().id)
    }
}
