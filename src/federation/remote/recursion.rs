//! What WITH RECURSIVE reads in each round.
//!
//! A round is the recursive term executed anew. What a source is asked for there, and does not depend on the round before,
//! has the same rows each time: it is asked for once, and kept for as long as there is memory to lend.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, stream};
use parking_lot::Mutex;

use super::scan::LiveScanExec;
use crate::federation::hands_through::hands_through;

/// Has the rows kept of questions that each round would ask again. Has to run once keys are bound.
#[derive(Debug)]
pub struct KeepRounds;

impl PhysicalOptimizerRule for KeepRounds {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !node.is::<RecursiveQueryExec>() {
                return Ok(Transformed::no(node));
            }
            let terms = node.children().into_iter().map(Arc::clone).enumerate();
            let terms = terms.map(|(at, term)| match at {
                0 => Ok(term),
                _ => {
                    // Those above it have one value in all rounds.
                    let has_values = term.exists(|node| Ok(node.is::<ScalarSubqueryExec>()))?;
                    term.transform_down(|node| kept(node, has_values)).data()
                }
            });
            let terms = terms.collect::<Result<Vec<_>>>()?;
            replace_children_if_necessary(node, terms).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "keep_rounds"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `node` with its rows kept, if they are the same each round; `has_values` says that subqueries are answered anew in each.
fn kept(node: Arc<dyn ExecutionPlan>, has_values: bool) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    // Those of a recursion within are kept already.
    if node.is::<KeepRows>() {
        return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
    }
    let is_another =
        |scan: &LiveScanExec| scan.is_bound() || scan.is_paged() || (has_values && scan.is_compared());
    if node.downcast_ref::<LiveScanExec>().is_none_or(is_another) {
        return Ok(Transformed::no(node));
    }
    let parts = (0..node.output_partitioning().partition_count()).map(|_| Mutex::default()).collect();
    let kept = Arc::new(KeepRows { input: node, parts }) as Arc<dyn ExecutionPlan>;
    Ok(Transformed::new(kept, true, TreeNodeRecursion::Jump))
}

/// Gives the rows of its input: from the second time on those that it has kept.
#[derive(Debug)]
struct KeepRows {
    input: Arc<dyn ExecutionPlan>,
    /// By partition.
    parts: Arc<[Mutex<Part>]>,
}

#[derive(Debug, Default)]
enum Part {
    /// It was not read to its end yet.
    #[default]
    Unread,
    /// All there is.
    Kept(Arc<[RecordBatch]>, #[expect(dead_code, reason = "given back when it is dropped")] MemoryReservation),
    /// There is no memory for it.
    TooLarge,
}

hands_through!(KeepRows);

impl KeepRows {
    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, parts: Arc::clone(&self.parts) }
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        match &*self.parts[partition].lock() {
            Part::Unread => {}
            Part::TooLarge => return self.input.execute(partition, context),
            Part::Kept(rows, _) => {
                let rows: Vec<_> = rows.iter().cloned().map(Ok).collect();
                return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(rows))));
            }
        }
        let mut keeping = Some(Keeping::new(context.memory_pool()));
        let parts = Arc::clone(&self.parts);
        let rows = self.input.execute(partition, context)?;
        // None is the end.
        let rows = rows.map(Some).chain(stream::once(async { None })).filter_map(move |batch| {
            let given = match batch {
                Some(Ok(batch)) => {
                    if !keeping.as_mut().is_some_and(|keeping| keeping.keep(&batch)) && keeping.take().is_some()
                    {
                        *parts[partition].lock() = Part::TooLarge;
                    }
                    Some(Ok(batch))
                }
                Some(Err(error)) => {
                    keeping = None;
                    Some(Err(error))
                }
                None => {
                    if let Some(Keeping { rows, lent }) = keeping.take() {
                        *parts[partition].lock() = Part::Kept(rows.into(), lent);
                    }
                    None
                }
            };
            std::future::ready(given)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Rows that are on their way.
struct Keeping {
    rows: Vec<RecordBatch>,
    lent: MemoryReservation,
}

impl Keeping {
    fn new(lender: &Arc<dyn MemoryPool>) -> Self {
        Self { rows: Vec::new(), lent: MemoryConsumer::new("rows of each round").register(lender) }
    }

    /// Whether there was memory for `batch`.
    fn keep(&mut self, batch: &RecordBatch) -> bool {
        let is_lent = self.lent.try_grow(batch.get_array_memory_size()).is_ok();
        if is_lent {
            self.rows.push(batch.clone());
        }
        is_lent
    }
}
