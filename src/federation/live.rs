//! Reading a table from its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use crossweave_contract::{RemoteExpr, RemoteQuery, Source, SourceView, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
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
        _state: &'state dyn Session,
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
        Box::pin(future::ready(self.plan_scan(projection, filters, limit)))
    }
}

impl LiveTable {
    fn plan_scan(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.shape.check_key()?;
        let planned = self.shape.projection(projection);
        let table = self.shape.actual();
        let mut conditions = Vec::with_capacity(filters.len());
        for filter in filters {
            match to_remote(filter, table) {
                Some(RemoteExpr::And(list)) => conditions.extend(list),
                Some(condition) => conditions.push(condition),
                // Declared exact before, so leaving it out would give wrong rows.
                None => {
                    return datafusion::common::internal_err!("{} was offered {filter} twice", table.id);
                }
            }
        }
        let filter = match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(RemoteExpr::And(conditions)),
        };
        let query = RemoteQuery {
            columns: planned.iter().map(|&index| self.shape.column(index)).collect::<Result<_>>()?,
            table: Arc::clone(table),
            filter,
            limit: limit.map(|limit| limit as u64),
        };
        let schema = self.shape.projected(&planned)?;
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
