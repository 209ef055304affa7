//! One statement to a source, as an operator.
//!
//! Why a plan with several of them cannot hang, though all scans of a service share one connection: the view runs
//! its statements in the order in which they were asked, keeps the rows of each for its reader within a bound,
//! and fails past it, so no statement waits for the reader of another. Here each partition of a plan asks when it
//! is started, and dropping its stream ends the statement on the server.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use crossweave_contract::{RemoteQuery, Source, SourceView};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::StatementCounter;
use super::shape::relabel;

#[derive(Clone)]
pub(super) struct LiveScanExec {
    query: RemoteQuery,
    /// As sent, with placeholders: safe to show.
    statement: String,
    source: Arc<dyn Source>,
    view: Arc<dyn SourceView>,
    io: Handle,
    statements: StatementCounter,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LiveScanExec {
    pub(super) fn new(
        query: RemoteQuery,
        schema: SchemaRef,
        source: Arc<dyn Source>,
        view: Arc<dyn SourceView>,
        io: Handle,
        statements: StatementCounter,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            statement: source.render(&query),
            query,
            source,
            view,
            io,
            statements,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl fmt::Debug for LiveScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveScanExec").field("statement", &self.statement).finish_non_exhaustive()
    }
}

impl DisplayAs for LiveScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.query.table.id;
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={table}")?;
                writeln!(f, "route=live")?;
                writeln!(f, "statement={}", self.statement)
            }
            _ => write!(f, "LiveScan: {table}, route=live, statement={}", self.statement),
        }
    }
}

impl ExecutionPlan for LiveScanExec {
    fn name(&self) -> &str {
        "LiveScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a live scan has no inputs") }
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a live scan of {} has one partition", self.query.table.id);
        }
        self.statements.increment();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = {
            // What the connector starts belongs on the runtime that serves its sockets, not on that of plans.
            let _on_io = self.io.enter();
            self.view.scan(self.query.clone())
        };
        let schema = self.schema();
        let label = Arc::clone(&schema);
        let table = self.query.table.id.clone();
        let batches = batches.map(move |batch| -> Result<RecordBatch> {
            let batch = batch.map_err(|mut error| {
                error.table.get_or_insert_with(|| table.clone());
                DataFusionError::External(Box::new(error))
            })?;
            metrics.record_output(batch.num_rows());
            relabel(&label, batch.columns().to_vec(), batch.num_rows())
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let asked = limit.map(|limit| limit as u64);
        let mut query = self.query.clone();
        query.limit = match (query.limit, asked) {
            (Some(limit), Some(asked)) => Some(limit.min(asked)),
            (limit, asked) => limit.or(asked),
        };
        Some(Arc::new(Self {
            statement: self.source.render(&query),
            query,
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        }))
    }

    fn fetch(&self) -> Option<usize> {
        self.query.limit.and_then(|limit| usize::try_from(limit).ok())
    }
}
