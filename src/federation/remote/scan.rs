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
use crossweave_contract::{Relation, RemoteQuery};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use crate::federation::live::LiveSource;
use crate::federation::shape::relabel;

#[derive(Clone)]
pub(super) struct LiveScanExec {
    query: RemoteQuery,
    /// The tables that are read.
    tables: String,
    /// As sent, with placeholders: safe to show.
    statement: String,
    source: Arc<LiveSource>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LiveScanExec {
    pub(super) fn new(query: RemoteQuery, schema: SchemaRef, source: Arc<LiveSource>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let tables: Vec<String> = query.tables().iter().map(|table| table.id.to_string()).collect();
        Self {
            statement: source.render(&query),
            tables: tables.join(", "),
            query,
            source,
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
        let tables = &self.tables;
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={tables}")?;
                writeln!(f, "route=live")?;
                writeln!(f, "statement={}", self.statement)
            }
            _ => write!(f, "LiveScan: {tables}, route=live, statement={}", self.statement),
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
            return internal_err!("a live scan of {} has one partition", self.tables);
        }
        self.source.statements.increment();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = {
            // What the connector starts belongs on the runtime that serves its sockets, not on that of plans.
            let _on_io = self.source.io.enter();
            self.source.view.scan(self.query.clone())
        };
        let schema = self.schema();
        let label = Arc::clone(&schema);
        let table = self.query.tables().first().map(|table| table.id.clone());
        let batches = batches.map(move |batch| -> Result<RecordBatch> {
            let batch = batch.map_err(|mut error| {
                error.table = error.table.or_else(|| table.clone());
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
        let query = match (&self.query.relation, limit) {
            (_, None) => self.query.clone(),
            (Relation::Limit { input, skip, fetch }, Some(limit)) => {
                let fetch = fetch.map_or(limit as u64, |fetch| fetch.min(limit as u64));
                let relation = Relation::Limit { input: input.clone(), skip: *skip, fetch: Some(fetch) };
                RemoteQuery { relation, columns: self.query.columns.clone() }
            }
            (_, Some(limit)) => self.query.clone().limited(limit as u64),
        };
        Some(Arc::new(Self {
            statement: self.source.render(&query),
            query,
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        }))
    }

    fn fetch(&self) -> Option<usize> {
        match &self.query.relation {
            Relation::Limit { fetch, .. } => fetch.and_then(|fetch| usize::try_from(fetch).ok()),
            _ => None,
        }
    }
}
