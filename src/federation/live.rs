//! Reading a table from its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use crossweave_contract::{RemoteExpr, RemoteQuery, Source, SourceView, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use futures::future::{self, BoxFuture};
use tokio::runtime::Handle;

use super::live_scan::LiveScanExec;
use super::pushdown::to_remote;
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

/// A table of a pinned view. Takes conditions that the whitelist allows, columns, and a limit.
pub struct LiveTable {
    shape: Shape,
    source: Arc<dyn Source>,
    view: Arc<dyn SourceView>,
    io: Handle,
    statements: StatementCounter,
}

impl std::fmt::Debug for LiveTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveTable").field("table", &self.shape.actual().id).finish_non_exhaustive()
    }
}

impl LiveTable {
    /// The table that `view` of `source` shows as `actual`, seen as the definition `planned`, which the plan was
    /// made with. `io` is the runtime on which the source works; `statements` counts what is sent.
    pub fn new(
        planned: Arc<TableDef>,
        actual: Arc<TableDef>,
        source: Arc<dyn Source>,
        view: Arc<dyn SourceView>,
        io: Handle,
        statements: StatementCounter,
    ) -> Self {
        Self { shape: Shape::new(planned, actual), source, view, io, statements }
    }
}

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

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match to_remote(filter, self.shape.actual()) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    // Written out as the macro would, but for its future, which holds no expression: to prove that one can cross
    // threads takes the compiler several seconds in each method that the macro makes.
    fn scan<'table, 'state, 'projection, 'filters, 'scan>(
        &'table self,
        state: &'state dyn Session,
        projection: Option<&'projection Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'scan, Result<Arc<dyn ExecutionPlan>>>
    where
        'table: 'scan,
        'state: 'scan,
        'projection: 'scan,
        'filters: 'scan,
    {
        Box::pin(future::ready(self.plan_scan(state, projection, filters, limit)))
    }
}

impl LiveTable {
    fn plan_scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.shape.check_key()?;
        let planned = self.shape.projection(projection);
        let table = self.shape.actual();
        let mut conditions = Vec::with_capacity(filters.len());
        // What was taken in `supports_filters_pushdown` is simplified after it, maybe to what the source may not compute.
        let mut here = Vec::new();
        for filter in filters {
            match to_remote(filter, table) {
                Some(RemoteExpr::And(list)) => conditions.extend(list),
                Some(condition) => conditions.push(condition),
                None => here.push(filter.clone()),
            }
        }
        let filter = match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(RemoteExpr::And(conditions)),
        };
        let Some(here) = conjunction(here) else { return self.ask(&planned, filter, limit) };
        let mut read = planned.clone();
        for column in here.column_refs() {
            let index = self.shape.schema().index_of(&column.name)?;
            if !read.contains(&index) {
                read.push(index);
            }
        }
        let rows = self.ask(&read, filter, None)?;
        let schema = DFSchema::try_from(rows.schema())?;
        let here = state.create_physical_expr(unnormalize_col(here), &schema)?;
        let first = (0..planned.len()).collect();
        let passing = FilterExecBuilder::new(here, rows).apply_projection(Some(first))?;
        Ok(Arc::new(passing.build()?))
    }

    /// The planned columns `read` of the rows that fulfil `filter`.
    fn ask(
        &self,
        read: &[usize],
        filter: Option<RemoteExpr>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let query = RemoteQuery {
            columns: read.iter().map(|&index| self.shape.column(index)).collect::<Result<_>>()?,
            table: Arc::clone(self.shape.actual()),
            filter,
            limit: limit.map(|limit| limit as u64),
        };
        let schema = self.shape.projected(read)?;
        Ok(Arc::new(LiveScanExec::new(
            query,
            schema,
            Arc::clone(&self.source),
            Arc::clone(&self.view),
            self.io.clone(),
            self.statements.clone(),
        )))
    }
}
