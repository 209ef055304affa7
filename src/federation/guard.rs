//! Keeps a running plan stoppable, and from reading twice what can be read once.
//!
//! **Why is dropping a plan's stream not enough to end it?** A task can be dropped only between two polls, and a join
//! without an equality may compare for minutes within one, because it gives back nothing before a row passes. So
//! its condition asks [`Stop`] at each batch, and ends the query there.
//!
//! **Why can such a join not keep others from being served?** Once one poll has taken [`TURN`], its thread gives its
//! place in the runtime to another: at most one for each partition of each query, of which both are bounded. Joins
//! that give back row after row yield by tokio's budget.
//!
//! **Why does a nested loop join not go on on disk where memory is short?** DataFusion 55.2 then reads the build side
//! a second time. Operators that can be read only once panic at it (apache/datafusion#24661), and outer, semi and anti
//! joins whose other side has several partitions give wrong rows (apache/datafusion#22641). Both are mended in later
//! versions. Until then the second reading is refused with what was wrong at first: that memory is short.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, exec_err, internal_err, resources_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use futures::{Stream, StreamExt};
use tokio::task::coop::{has_budget_remaining, poll_proceed};

use super::hands_through::hands_through;

/// How long one poll may keep its thread's place in the runtime.
const TURN: Duration = Duration::from_millis(10);

/// Tells a plan's operators when to end.
#[derive(Debug)]
pub struct Stop {
    deadline: Instant,
    told: AtomicBool,
}

impl Stop {
    /// At `deadline`, unless it is told before.
    pub fn at(deadline: Instant) -> Arc<Self> {
        Arc::new(Self { deadline, told: AtomicBool::new(false) })
    }

    /// Now: nobody waits for the rows any more.
    pub fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.told.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            true => exec_err!("the query was ended"),
            false => Ok(()),
        }
    }
}

/// `plan`, whose joins end when `stop` says so, and read their build side once. To be run once.
///
/// # Errors
///
/// If a join cannot be rebuilt, which is a fault in this program.
pub fn guarded(plan: Arc<dyn ExecutionPlan>, stop: &Arc<Stop>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let ask = |filter: &JoinFilter| {
            let inner = Arc::clone(filter.expression());
            let asking = Asking { inner, stop: Arc::clone(stop) };
            JoinFilter::new(Arc::new(asking), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        };
        let join: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(ask);
            let asking = NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?;
            let build = Arc::new(ReadOnce::new(Arc::clone(join.left())));
            replace_children_if_necessary(Arc::new(asking), vec![build, Arc::clone(join.right())])?
        } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            match join.filter() {
                Some(filter) => join.builder().with_filter(Some(ask(filter))).build_exec()?,
                None => Arc::clone(&node),
            }
        } else if node.downcast_ref::<CrossJoinExec>().is_some() {
            Arc::clone(&node)
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(Stoppable { input: join, stop: Arc::clone(stop) })))
    })
    .data()
}

thread_local! {
    /// When the poll that this thread is in began.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A condition that asks whether to go on before it is computed.
#[derive(Debug)]
struct Asking {
    inner: Arc<dyn PhysicalExpr>,
    stop: Arc<Stop>,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl PhysicalExpr for Asking {
    fn data_type(&self, input_schema: &Schema) -> Result<DataType> {
        self.inner.data_type(input_schema)
    }

    fn nullable(&self, input_schema: &Schema) -> Result<bool> {
        self.inner.nullable(input_schema)
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        if BEGAN.get().is_some_and(|began| began.elapsed() > TURN) {
            return tokio::task::block_in_place(|| self.inner.evaluate(batch));
        }
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.len()) {
            (Some(inner), 0) => Ok(Arc::new(Self { inner, stop: Arc::clone(&self.stop) })),
            _ => internal_err!("a condition is one expression"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

/// Its input, which it hands through: until `stop`.
#[derive(Debug)]
struct Stoppable {
    input: Arc<dyn ExecutionPlan>,
    stop: Arc<Stop>,
}

/// Its input, which it hands through to the first reader of its one partition.
#[derive(Debug)]
struct ReadOnce {
    input: Arc<dyn ExecutionPlan>,
    was_read: AtomicBool,
}

impl ReadOnce {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, was_read: AtomicBool::new(false) }
    }

    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input)
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.was_read.swap(true, Ordering::Relaxed) {
            return resources_err!("one side of a join without an equality does not fit into memory");
        }
        self.input.execute(partition, context)
    }
}

impl Stoppable {
    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, stop: Arc::clone(&self.stop) }
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(Stopping { rows, stop: Arc::clone(&self.stop) }))
    }
}

hands_through!(Stoppable);
hands_through!(ReadOnce);

/// The rows of a [`Stoppable`].
struct Stopping {
    rows: SendableRecordBatchStream,
    stop: Arc<Stop>,
}

impl Stream for Stopping {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = self.stop.check() {
            return Poll::Ready(Some(Err(error)));
        }
        // The budget is not held below: joins that are one above the other would use it up on the way down, and none of
        // them would ever give a row.
        if !has_budget_remaining() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        BEGAN.set(Some(Instant::now()));
        let polled = self.rows.poll_next_unpin(context);
        if polled.is_ready()
            && let Poll::Ready(budget) = poll_proceed(context)
        {
            budget.made_progress();
        }
        polled
    }
}

impl RecordBatchStream for Stopping {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::Field;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_plan::collect;

    use super::*;

    #[tokio::test]
    async fn joins_that_are_deeper_than_the_budget_of_a_task_give_their_rows() {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let mut plan: Arc<dyn ExecutionPlan> =
            MemorySourceConfig::try_new_exec(&[vec![batch.clone(), batch]], schema, None).unwrap();
        let stop = Stop::at(Instant::now() + Duration::from_secs(3_600));
        for _ in 0..300 {
            plan = Arc::new(Stoppable { input: plan, stop: Arc::clone(&stop) });
        }
        let read = tokio::spawn(collect(plan, Arc::default()));
        let batches = tokio::time::timeout(Duration::from_secs(20), read).await.expect("no hang").unwrap();
        assert_eq!(batches.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
    }
}
