//! Reading a table from its cache.
//!
//! The operator knows the exact number of rows, which decides join order and build side, and reads in as many
//! partitions as there are parts worth reading side by side. It takes no filters: those run above it.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use crossweave_contract::Position;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs};
use futures::StreamExt;

use super::CachedRows;
use super::shape::{Shape, relabel};

/// Fewer rows than this per partition are not worth a partition of their own.
const ROWS_PER_PARTITION: usize = 8192;

/// A table of a pinned snapshot.
#[derive(Debug)]
pub struct CachedTable {
    shape: Shape,
    rows: Arc<dyn CachedRows>,
    position: Position,
}

impl CachedTable {
    /// `rows`, seen as the definition `planned`, which the plan was made with; `position` is the snapshot's.
    pub fn new(
        planned: Arc<crossweave_contract::TableDef>,
        rows: Arc<dyn CachedRows>,
        position: Position,
    ) -> Self {
        Self { shape: Shape::new(planned, Arc::clone(rows.def())), rows, position }
    }
}

#[async_trait]
impl TableProvider for CachedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.shape.schema())
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
        let planned = self.shape.projection(projection);
        let columns = planned.iter().map(|&index| self.shape.column(index)).collect::<Result<_>>()?;
        let partitions = spread(&*self.rows, state.config().target_partitions());
        let schema = self.shape.projected(&planned)?;
        Ok(Arc::new(CachedScanExec::new(Arc::clone(&self.rows), columns, schema, partitions, &self.position)))
    }
}

/// Spreads the parts of `rows` over at most `target` partitions, the largest first to the emptiest partition.
fn spread(rows: &dyn CachedRows, target: usize) -> Vec<Vec<usize>> {
    let wanted = rows.rows().div_ceil(ROWS_PER_PARTITION).clamp(1, target.max(1)).min(rows.parts().max(1));
    let mut partitions = vec![(0, Vec::new()); wanted];
    let mut parts: Vec<usize> = (0..rows.parts()).collect();
    parts.sort_by_key(|&part| std::cmp::Reverse(rows.part_rows(part)));
    for part in parts {
        if let Some((filled, list)) = partitions.iter_mut().min_by_key(|(filled, _)| *filled) {
            *filled += rows.part_rows(part);
            list.push(part);
        }
    }
    partitions.into_iter().map(|(_, list)| list).collect()
}

#[derive(Debug)]
struct CachedScanExec {
    rows: Arc<dyn CachedRows>,
    columns: Arc<[usize]>,
    partitions: Vec<Vec<usize>>,
    position: String,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CachedScanExec {
    fn new(
        rows: Arc<dyn CachedRows>,
        columns: Vec<usize>,
        schema: SchemaRef,
        partitions: Vec<Vec<usize>>,
        position: &Position,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            rows,
            columns: columns.into(),
            partitions,
            position: position.to_string(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for CachedScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.rows.def().id;
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
                self.rows.rows(),
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

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(parts) = self.partitions.get(partition).cloned() else {
            return internal_err!("a cached scan of {} has no partition {partition}", self.rows.def().id);
        };
        let schema = self.schema();
        let (rows, columns) = (Arc::clone(&self.rows), Arc::clone(&self.columns));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let label = Arc::clone(&schema);
        let batches = parts.into_iter().flat_map(move |part| rows.read(part, &columns)).map(
            move |batch| -> Result<RecordBatch> {
                let timer = metrics.elapsed_compute().timer();
                let batch = batch.map_err(|error| DataFusionError::External(Box::new(error)))?;
                let batch = relabel(&label, batch.columns().to_vec(), batch.num_rows())?;
                timer.done();
                metrics.record_output(batch.num_rows());
                Ok(batch)
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches).fuse())))
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
        statistics.num_rows = match args.partition() {
            None => Precision::Exact(self.rows.rows()),
            Some(partition) => {
                let parts = self.partitions.get(partition).map_or(&[][..], Vec::as_slice);
                Precision::Inexact(parts.iter().map(|&part| self.rows.part_rows(part)).sum())
            }
        };
        Ok(Arc::new(statistics))
    }
}
