//! Reading a table from its cache.
//!
//! The operator knows the exact number of rows, which decides join order and build side, and reads in as many
//! partitions as there are segments worth reading side by side. It takes no filters: those run above it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use crossweave_cache::TableSnapshot;
use crossweave_contract::{Position, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Constraints, DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs};

use super::shape::{Shape, relabel};
use super::stored::StoredBuffers;

/// Fewer rows than this per partition are not worth a partition of their own.
const ROWS_PER_PARTITION: usize = 8192;

/// A table of a pinned snapshot.
#[derive(Debug)]
pub struct CachedTable {
    shape: Shape,
    table: Arc<TableSnapshot>,
    position: Position,
}

impl CachedTable {
    /// `table`, seen as the definition `planned`, which the plan was made with; `position` is its snapshot's.
    pub fn new(planned: Arc<TableDef>, table: Arc<TableSnapshot>, position: Position) -> Self {
        Self { shape: Shape::new(planned, Arc::clone(table.def())), table, position }
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.table.num_rows()
    }

    /// The name of the column that alone is its key.
    pub(super) fn only_key(&self) -> Option<&str> {
        let def = self.shape.actual();
        match def.key[..] {
            [column] => Some(&def.columns[column].name),
            _ => None,
        }
    }
}

#[async_trait]
impl TableProvider for CachedTable {
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
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.shape.check_key()?;
        let planned = self.shape.projection(projection);
        let columns = planned.iter().map(|&index| self.shape.column(index)).collect::<Result<Vec<_>>>()?;
        let wanted = self.table.num_rows().div_ceil(ROWS_PER_PARTITION);
        let mut partitions = self.table.partitions(wanted.clamp(1, state.config().target_partitions().max(1)));
        if partitions.is_empty() {
            partitions.push(0..0);
        }
        let schema = self.shape.projected(&planned)?;
        let table = Arc::clone(&self.table);
        Ok(Arc::new(CachedScanExec::new(table, columns, schema, partitions, &self.position)))
    }
}

#[derive(Debug)]
struct CachedScanExec {
    table: Arc<TableSnapshot>,
    columns: Arc<[usize]>,
    /// Segments, by partition.
    partitions: Vec<Range<usize>>,
    position: String,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CachedScanExec {
    fn new(
        table: Arc<TableSnapshot>,
        columns: Vec<usize>,
        schema: SchemaRef,
        partitions: Vec<Range<usize>>,
        position: &Position,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            table,
            columns: columns.into(),
            partitions,
            position: position.to_string(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn column_statistics(&self) -> Vec<ColumnStatistics> {
        let def = self.table.def();
        let statistics = |index: &usize| {
            let mut statistics = ColumnStatistics::new_unknown();
            if def.key == [*index] {
                statistics.distinct_count = Precision::Exact(self.table.num_rows());
                statistics.null_count = Precision::Exact(0);
            }
            statistics
        };
        self.columns.iter().map(statistics).collect()
    }
}

impl DisplayAs for CachedScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.table.def().id;
        match format {
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={table}")?;
                writeln!(f, "route=cached")?;
                writeln!(f, "position={}", self.position)
            }
            _ => write!(
                f,
                "CachedScan: {table}, route=cached, position={}, rows={}, partitions={}",
                self.position,
                self.table.num_rows(),
                self.partitions.len()
            ),
        }
    }
}

impl ExecutionPlan for CachedScanExec {
    fn name(&self) -> &str {
        "CachedScan"
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
        if children.is_empty() { Ok(self) } else { internal_err!("a cached scan has no inputs") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(segments) = self.partitions.get(partition).cloned() else {
            return internal_err!("a cached scan of {} has no partition {partition}", self.table.def().id);
        };
        let schema = self.schema();
        let (table, columns, label) = (Arc::clone(&self.table), Arc::clone(&self.columns), Arc::clone(&schema));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let stored = context.session_config().get_extension::<StoredBuffers>();
        // One segment at a time: rows are only gathered, where some are deleted, when they are asked for.
        let batches = segments.filter_map(move |segment| {
            let timer = metrics.elapsed_compute().timer();
            let found = table.segment(segment, &columns)?;
            if let (Some(stored), Ok(found)) = (stored.as_deref(), &found) {
                stored.note(&found.stored);
            }
            let batch = found
                .and_then(|found| found.live())
                .map_err(DataFusionError::from)
                .and_then(|batch| relabel(&label, batch.columns().to_vec(), batch.num_rows()));
            timer.done();
            if let Ok(batch) = &batch {
                metrics.record_output(batch.num_rows());
            }
            Some(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        match args.partition() {
            None => {
                statistics.num_rows = Precision::Exact(self.table.num_rows());
                statistics.column_statistics = self.column_statistics();
            }
            Some(_) => {
                let each = self.table.num_rows().div_ceil(self.partitions.len().max(1));
                statistics.num_rows = Precision::Inexact(each);
            }
        }
        Ok(Arc::new(statistics))
    }
}
