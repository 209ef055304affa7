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
use crossweave_contract::{BatchStream, Estimate, Relation, RemoteQuery};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs};
use futures::{StreamExt, stream};

use super::bind::Bound;
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
    estimate: Option<Estimate>,
    /// Whether a join may have it ask for the rows with its keys alone.
    bindable: bool,
    /// Whose keys the rows must have.
    bounds: Vec<Bound>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LiveScanExec {
    pub(super) fn new(
        query: RemoteQuery,
        schema: SchemaRef,
        source: Arc<LiveSource>,
        estimate: Option<Estimate>,
        bindable: bool,
    ) -> Self {
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
            estimate,
            bindable,
            bounds: Vec::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl LiveScanExec {
    pub(super) fn query(&self) -> &RemoteQuery {
        &self.query
    }

    pub(super) fn is_bindable(&self) -> bool {
        self.bindable
    }

    /// The same, of which only the rows are asked for that have a key of `bound`.
    pub(super) fn bound(&self, bound: Bound) -> Self {
        let mut bounds = self.bounds.clone();
        bounds.push(bound);
        Self { bounds, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// What the source gives, once it is known which keys are wanted.
    fn answers(&self, partition: usize) -> BatchStream {
        let (source, query, bounds) = (Arc::clone(&self.source), self.query.clone(), self.bounds.clone());
        let statements = MetricBuilder::new(&self.metrics).counter("statements", partition);
        let keys = MetricBuilder::new(&self.metrics).counter("keys", partition);
        let ask = move |query: RemoteQuery| {
            source.statements.increment();
            statements.add(1);
            // What the connector starts belongs on the runtime that serves its sockets, not on that of plans.
            let _on_io = source.io.enter();
            source.view.scan(query)
        };
        if bounds.is_empty() {
            return ask(query);
        }
        let view = Arc::clone(&self.source.view);
        let restricted = async move {
            let restriction = Bound::restrict(&bounds, query, &*view).await?;
            keys.add(restriction.keys);
            Ok(restriction.queries)
        };
        let answers =
            stream::once(restricted).map(move |queries: crossweave_contract::Result<Vec<RemoteQuery>>| {
                let ask = ask.clone();
                match queries {
                    // Each is asked when the one before it is read.
                    Ok(queries) => stream::iter(queries).flat_map(ask).boxed(),
                    Err(error) => stream::iter([Err(error)]).boxed(),
                }
            });
        answers.flatten().boxed()
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
            _ => {
                write!(f, "LiveScan: {tables}, route=live")?;
                if let Some(Estimate { rows, .. }) = self.estimate {
                    write!(f, ", estimated_rows={rows}")?;
                }
                let bound: Vec<&str> = self.bounds.iter().filter_map(|bound| bound.name(&self.query)).collect();
                if !bound.is_empty() {
                    write!(f, ", for_keys_in=[{}]", bound.join(", "))?;
                }
                write!(f, ", statement={}", self.statement)
            }
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
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = self.answers(partition);
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

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if let Some(rows) = self.estimate.and_then(|estimate| usize::try_from(estimate.rows).ok()) {
            statistics.num_rows = Precision::Inexact(rows);
        }
        Ok(Arc::new(statistics))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        if !self.bounds.is_empty() {
            // It may be asked in parts.
            return None;
        }
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
