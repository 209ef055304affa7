//! One statement to a source, as an operator.
//!
//! Why a plan with several of them cannot hang, though all scans of a service may share one connection: while a
//! statement waits for one, the view keeps the rows of those that run for their readers, within a bound, and fails
//! past it, so no statement waits for the reader of another. Where a question is asked in several statements, for
//! lists of keys, one of them runs, or waits so; the others run beside it where a connection is free, and keep nobody
//! from anything, for all are read by the one stream. Here each partition of a plan asks when it is started, and
//! dropping its stream ends the statements on the server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use crossweave_contract::{BatchStream, Examined, Expectation, Relation, RemoteQuery, Rendered, ScanWork};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, MetricsSet, RecordOutput, Time,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs};
use futures::{Stream, StreamExt, stream};

use super::bind::{Bound, Compared, Gathered};
use super::pages::{Page, Paged};
use crate::federation::live::LiveSource;
use crate::federation::shape::relabel;

#[derive(Clone)]
pub(super) struct LiveScanExec {
    query: RemoteQuery,
    /// The tables that are read.
    tables: String,
    /// As sent: safe to show.
    rendered: Rendered,
    source: Arc<LiveSource>,
    /// What the source expects.
    expected: Option<Expectation>,
    /// Whether it may be asked for the rows with keys or values alone that are known once the plan runs.
    bindable: bool,
    /// What the rows are compared with.
    compared: Vec<Compared>,
    /// Whose keys the rows must have.
    bounds: Vec<Bound>,
    /// How it is asked for pages, and the page.
    paged: Option<Arc<Paged>>,
    page: Option<Arc<Page>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LiveScanExec {
    pub(super) fn new(
        query: RemoteQuery,
        schema: SchemaRef,
        source: Arc<LiveSource>,
        expected: Option<Expectation>,
        bindable: bool,
        paged: Option<Arc<Paged>>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let tables: Vec<String> = query.tables().iter().map(|table| table.id.to_string()).collect();
        Self {
            rendered: source.render(&query),
            tables: tables.join(", "),
            query,
            source,
            expected,
            bindable,
            compared: Vec::new(),
            bounds: Vec::new(),
            paged,
            page: None,
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

    pub(super) fn is_bound(&self) -> bool {
        !self.bounds.is_empty()
    }

    /// Whether it can be asked for pages.
    pub(super) fn is_paged(&self) -> bool {
        self.paged.is_some()
    }

    /// The same for another page of rows, and other keys; it counts on.
    pub(super) fn renewed(
        &self,
        page: &Arc<Page>,
        mut anew: impl FnMut(&Arc<Gathered>) -> Arc<Gathered>,
    ) -> Self {
        let bounds = self.bounds.iter().map(|bound| bound.renewed(&mut anew)).collect();
        Self { bounds, page: Some(Arc::clone(page)), ..self.clone() }
    }

    /// The same, of which only the rows are asked for that have a key of `bound`.
    pub(super) fn bound(&self, bound: Bound) -> Self {
        let mut bounds = self.bounds.clone();
        bounds.push(bound);
        Self { bounds, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// The same, of which only the rows are asked for that pass `compared`.
    pub(super) fn compared(&self, compared: Compared) -> Self {
        let all = self.compared.iter().cloned().chain([compared]).collect();
        Self { compared: all, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    pub(super) fn is_compared(&self) -> bool {
        !self.compared.is_empty()
    }

    /// What is asked, of a page or of all rows, before keys are known; `None` where no row may pass.
    fn asked(&self) -> Option<RemoteQuery> {
        match (&self.paged, &self.page) {
            (Some(paged), Some(page)) => paged.query(page, &self.compared),
            _ => Compared::narrowed(&self.compared, self.query.clone(), |place| place),
        }
    }

    /// What the source gives, once it is known which keys are wanted.
    fn answers(&self, partition: usize, work: &Arc<ScanWork>) -> BatchStream {
        let (source, bounds) = (Arc::clone(&self.source), self.bounds.clone());
        let Some(query) = self.asked() else { return stream::empty().boxed() };
        let keys = MetricBuilder::new(&self.metrics).counter("keys", partition);
        let work = Arc::clone(work);
        let ask = move |queries: Vec<RemoteQuery>| {
            queries.iter().for_each(|_| source.statements.increment());
            // What the connector starts belongs on the runtime that serves its sockets, not on that of plans.
            let _on_io = source.io.enter();
            source.view.scan_all(queries, Arc::clone(&work))
        };
        if bounds.is_empty() {
            return ask(vec![query]);
        }
        let view = Arc::clone(&self.source.view);
        let restricted = async move {
            let restriction = Bound::restrict(&bounds, query, &*view).await?;
            keys.add(restriction.keys);
            Ok(restriction.queries)
        };
        let answers =
            stream::once(restricted).map(move |queries: crossweave_contract::Result<Vec<RemoteQuery>>| {
                match queries {
                    // The view asks them side by side where it can, without one waiting for another's rows to be taken.
                    Ok(queries) => ask(queries),
                    Err(error) => stream::iter([Err(error)]).boxed(),
                }
            });
        answers.flatten().boxed()
    }
}

/// `stream`, dropped at its end and not when an operator drops it: the view that it reads through ends with the last one.
pub(super) fn let_go<S: Stream + Unpin>(stream: S) -> impl Stream<Item = S::Item> {
    stream::unfold(stream, |mut stream| async move { stream.next().await.map(|item| (item, stream)) }).fuse()
}

/// What a scan has taken, as EXPLAIN ANALYZE shows it.
struct Work {
    of: Arc<ScanWork>,
    statements: Count,
    retries: Count,
    bytes: Count,
    /// Of the first page alone: those of the next are the same.
    connections: Option<Gauge>,
    waited: Time,
    read: Time,
}

impl Work {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize, is_first: bool) -> Self {
        let new = || MetricBuilder::new(metrics);
        Self {
            of: Arc::default(),
            statements: new().counter("statements", partition),
            retries: new().counter("retries", partition),
            bytes: new().counter("bytes", partition),
            connections: is_first.then(|| new().gauge("connections", partition)),
            waited: new().subset_time("time_to_first_row", partition),
            read: new().subset_time("time_reading", partition),
        }
    }

    fn show(&mut self) {
        let said = |counter: &AtomicU64| usize::try_from(counter.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let count = |shown: &Count, now: usize| shown.add(now.saturating_sub(shown.value()));
        count(&self.statements, said(&self.of.statements));
        count(&self.retries, said(&self.of.retries));
        count(&self.bytes, said(&self.of.bytes));
        if let Some(connections) = &self.connections {
            connections.set(said(&self.of.connections));
        }
        for (shown, counter) in [(&self.waited, &self.of.waited), (&self.read, &self.of.read)] {
            let now = Duration::from_micros(counter.load(Ordering::Relaxed));
            shown.add_duration(now.saturating_sub(Duration::from_nanos(shown.value() as u64)));
        }
    }
}

/// Also of what came after the last batch, and where the rest of the rows is not wanted.
impl Drop for Work {
    fn drop(&mut self) {
        self.show();
    }
}

/// `VARCHAR, 3 × BIGINT` of what may be thousands.
fn told(types: &[&'static str]) -> String {
    let groups = types.chunk_by(|one, next| one == next).map(|group| match group {
        [one] => (*one).to_owned(),
        _ => format!("{} × {}", group.len(), group[0]),
    });
    groups.collect::<Vec<_>>().join(", ")
}

impl fmt::Debug for LiveScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveScanExec").field("statement", &self.rendered.statement).finish_non_exhaustive()
    }
}

impl DisplayAs for LiveScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = &self.tables;
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={tables}")?;
                writeln!(f, "route=live")?;
                writeln!(f, "statement={}", self.rendered.statement)
            }
            _ => {
                write!(f, "LiveScan: {tables}, route=live")?;
                if let Some(expected) = &self.expected {
                    write!(f, ", estimated_rows={}", expected.rows)?;
                    if let Some(Examined { rows, allowed }) =
                        expected.examined.filter(|_| self.bounds.is_empty() && self.compared.is_empty())
                    {
                        write!(f, ", examined_rows={rows}")?;
                        if rows > allowed {
                            write!(f, " (refused: at most {allowed} may be)")?;
                        }
                    }
                }
                let bound: Vec<String> =
                    self.bounds.iter().filter_map(|bound| bound.name(&self.query)).collect();
                if !bound.is_empty() {
                    write!(f, ", for_keys_in=[{}]", bound.join(", "))?;
                }
                if !self.compared.is_empty() {
                    let compared: Vec<String> = self.compared.iter().map(ToString::to_string).collect();
                    write!(f, ", for_values=[{}]", compared.join(", "))?;
                }
                if self.is_paged() {
                    write!(f, ", in_pages=true")?;
                }
                if !self.rendered.parameters.is_empty() {
                    write!(f, ", parameters=[{}]", told(&self.rendered.parameters))?;
                }
                write!(f, ", statement={}", self.rendered.statement)
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
        let is_first = self.page.as_ref().is_none_or(|page| page.skip == 0);
        let mut work = Work::new(&self.metrics, partition, is_first);
        let batches = self.answers(partition, &work.of);
        let schema = self.schema();
        let label = Arc::clone(&schema);
        let table = self.query.tables().first().map(|table| table.id.clone());
        let page = self.page.clone().filter(|_| self.is_paged());
        let batches = batches.map(move |batch| -> Result<RecordBatch> {
            let batch = batch.map_err(|mut error| {
                error.table = error.table.or_else(|| table.clone());
                DataFusionError::External(Box::new(error))
            })?;
            work.show();
            if let Some(page) = &page {
                page.given.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            }
            let batch = relabel(&label, batch.columns().to_vec(), batch.num_rows())?;
            Ok(batch.record_output(&metrics))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, let_go(batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        // The order of joins is settled (`order`); by numbers of its own DataFusion would turn their sides.
        Ok(Arc::new(Statistics::new_unknown(&self.schema())))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        if !self.bounds.is_empty() || !self.compared.is_empty() {
            // It may be asked in parts, or of what was asked for before.
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
            rendered: self.source.render(&query),
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
