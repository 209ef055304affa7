//! Gathering the keys of rows on their way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::federation::hands_through::hands_through;

/// With more keys than this all rows of the other side are asked for.
pub(super) const MOST_KEYS: usize = 10_000;

/// The keys of one side of a join, as far as they are gathered.
#[derive(Debug)]
pub(in crate::federation::remote) struct Gathered {
    /// `None` once there are too many.
    keys: Mutex<Option<HashSet<ScalarValue>>>,
    /// Parts of the side that have not ended.
    open: AtomicUsize,
    complete: watch::Sender<bool>,
}

impl Gathered {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(Some(HashSet::new())),
            open: AtomicUsize::new(usize::MAX),
            complete: watch::Sender::new(false),
        })
    }

    /// All keys, none of them NULL; `None` if there are too many. Waits until the side has ended.
    pub(super) async fn keys(&self) -> Option<HashSet<ScalarValue>> {
        let mut complete = self.complete.subscribe();
        // It lives as long as this does.
        let _ = complete.wait_for(|complete| *complete).await;
        self.keys.lock().clone()
    }

    fn add(&self, values: &ArrayRef) -> Result<()> {
        let mut kept = self.keys.lock();
        let Some(keys) = kept.as_mut() else { return Ok(()) };
        for row in (0..values.len()).filter(|&row| values.is_valid(row)) {
            let key = ScalarValue::try_from_array(values, row)?;
            if keys.contains(&key) {
                continue;
            }
            if keys.len() == MOST_KEYS {
                *kept = None;
                self.complete.send_replace(true);
                return Ok(());
            }
            keys.insert(key);
        }
        Ok(())
    }

    /// One of `parts` has ended.
    fn ended(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete.send_replace(true);
        }
    }
}

/// Gives the rows of its input, and gathers the keys of all that were taken of it.
#[derive(Debug)]
pub(super) struct GatherKeys {
    input: Arc<dyn ExecutionPlan>,
    key: PhysicalExprRef,
    gathered: Arc<Gathered>,
}

hands_through!(GatherKeys);

/// Says that a part has ended, however it did: what was not taken of it has no partner to find.
struct Part(Arc<Gathered>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl GatherKeys {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, key: PhysicalExprRef, gathered: Arc<Gathered>) -> Self {
        Self { input, key, gathered }
    }

    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, Arc::clone(&self.key), Arc::clone(&self.gathered))
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.input.output_partitioning().partition_count();
        let _ = self.gathered.open.compare_exchange(usize::MAX, parts, Ordering::AcqRel, Ordering::Acquire);
        let part = Part(Arc::clone(&self.gathered));
        let key = Arc::clone(&self.key);
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let rows = rows.map(move |batch| {
            let batch = batch?;
            part.0.add(&key.evaluate(&batch)?.into_array(batch.num_rows())?)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
