//! Gathering the keys of rows on their way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::federation::hands_through::hands_through;
use crate::federation::remote::scan::let_go;

/// With more keys than this, or more than there is memory for, all rows of the other side are asked for.
pub(in crate::federation::remote) const MOST_KEYS: usize = 200_000;

/// So it is with keys of more bytes.
const MOST_BYTES: usize = 16 << 20;

/// The keys of one side of a join, as far as they are gathered.
#[derive(Debug)]
pub(in crate::federation::remote) struct Gathered {
    /// `None` once there are too many.
    keys: Mutex<Option<Keys>>,
    /// Parts of the side that have not ended.
    open: AtomicUsize,
    complete: watch::Sender<bool>,
}

/// What is gathered.
#[derive(Debug, Default)]
struct Keys {
    values: Arc<HashSet<ScalarValue>>,
    bytes: usize,
    /// What questions are made of them takes as well: of what the engine lends.
    lent: Option<MemoryReservation>,
}

/// How many times the bytes of a key it takes until it is asked for: itself, its literal, and that in a question.
const TIMES: usize = 4;

impl Gathered {
    pub(in crate::federation::remote) fn new() -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(Some(Keys::default())),
            open: AtomicUsize::new(usize::MAX),
            complete: watch::Sender::new(false),
        })
    }

    /// All keys, none of them NULL; `None` if there are too many. Waits until the side has ended.
    pub(super) async fn keys(&self) -> Option<Arc<HashSet<ScalarValue>>> {
        let mut complete = self.complete.subscribe();
        // It lives as long as this does.
        let _ = complete.wait_for(|complete| *complete).await;
        self.keys.lock().as_ref().map(|keys| Arc::clone(&keys.values))
    }

    /// One of `parts` begins. After all have ended they are read once more, in the next round of WITH RECURSIVE, and have
    /// other keys.
    fn begin(&self, parts: usize, lender: &Arc<dyn MemoryPool>) {
        let begins_at =
            |open| self.open.compare_exchange(open, parts, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !begins_at(usize::MAX) && begins_at(0) {
            *self.keys.lock() = Some(Keys::default());
            self.complete.send_replace(false);
        }
        if let Some(keys) = self.keys.lock().as_mut() {
            keys.lent.get_or_insert_with(|| MemoryConsumer::new("keys of a join").register(lender));
        }
    }

    fn add(&self, values: &ArrayRef) -> Result<()> {
        let mut kept = self.keys.lock();
        let Some(Keys { values: keys, bytes, lent }) = kept.as_mut() else { return Ok(()) };
        for row in (0..values.len()).filter(|&row| values.is_valid(row)) {
            let key = ScalarValue::try_from_array(values, row)?;
            if keys.contains(&key) {
                continue;
            }
            *bytes += key.size();
            let is_lent = lent.as_ref().is_none_or(|lent| lent.try_grow(TIMES * key.size()).is_ok());
            if keys.len() == MOST_KEYS || *bytes > MOST_BYTES || !is_lent {
                *kept = None;
                self.complete.send_replace(true);
                return Ok(());
            }
            // Nobody has taken them before all are there.
            Arc::make_mut(keys).insert(key);
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
pub(in crate::federation::remote) struct GatherKeys {
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

    pub(in crate::federation::remote) fn gathered(&self) -> &Arc<Gathered> {
        &self.gathered
    }

    /// The same, gathering to `gathered`.
    pub(in crate::federation::remote) fn renewed(
        &self,
        input: Arc<dyn ExecutionPlan>,
        gathered: Arc<Gathered>,
    ) -> Self {
        Self::new(input, Arc::clone(&self.key), gathered)
    }

    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, Arc::clone(&self.key), Arc::clone(&self.gathered))
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.input.output_partitioning().partition_count();
        self.gathered.begin(parts, context.memory_pool());
        let part = Part(Arc::clone(&self.gathered));
        let key = Arc::clone(&self.key);
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let rows = rows.map(move |batch| {
            let batch = batch?;
            part.0.add(&key.evaluate(&batch)?.into_array(batch.num_rows())?)?;
            Ok(batch)
        });
        // An operator may keep the stream that it has read to the end.
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, let_go(rows))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn gathering(parts: &[&[Option<i64>]]) -> (GatherKeys, Arc<Gathered>) {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let batch = |rows: &&[Option<i64>]| {
            let column: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
            vec![RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap()]
        };
        let parts: Vec<_> = parts.iter().map(batch).collect();
        let input = MemorySourceConfig::try_new_exec(&parts, Arc::clone(&schema), None).unwrap();
        let gathered = Gathered::new();
        (GatherKeys::new(input, Arc::new(Column::new("id", 0)), Arc::clone(&gathered)), gathered)
    }

    async fn read(gathering: &GatherKeys, part: usize) -> usize {
        let mut rows = gathering.read(part, Arc::default()).unwrap();
        let mut read = 0;
        while let Some(batch) = rows.next().await {
            read += batch.unwrap().num_rows();
        }
        read
    }

    async fn known(gathered: &Gathered) -> Option<Option<usize>> {
        let keys = tokio::time::timeout(Duration::from_millis(50), gathered.keys()).await;
        keys.ok().map(|keys| keys.map(|keys| keys.len()))
    }

    #[tokio::test]
    async fn keys_are_known_once_all_parts_have_ended() {
        let (gathering, gathered) = gathering(&[&[Some(1), None, Some(1)], &[Some(2)]]);
        assert_eq!(read(&gathering, 0).await, 3);
        assert_eq!(known(&gathered).await, None, "another part may have more");
        assert_eq!(read(&gathering, 1).await, 1);
        assert_eq!(known(&gathered).await, Some(Some(2)));
    }

    #[tokio::test]
    async fn what_is_read_once_more_has_its_own_keys() {
        let (gathering, gathered) = gathering(&[&[Some(1)], &[Some(2), Some(3)]]);
        assert_eq!((read(&gathering, 0).await, read(&gathering, 1).await), (1, 2));
        assert_eq!(known(&gathered).await, Some(Some(3)));
        assert_eq!(read(&gathering, 1).await, 2);
        assert_eq!(known(&gathered).await, None, "the first part is read again as well");
        assert_eq!(read(&gathering, 0).await, 1);
        assert_eq!(known(&gathered).await, Some(Some(3)));
    }

    #[tokio::test]
    async fn too_many_keys_are_told_at_once_and_all_rows_go_on() {
        let many: Vec<Option<i64>> = (0..=MOST_KEYS as i64).map(Some).collect();
        let (gathering, gathered) = gathering(&[&many, &[Some(1)]]);
        assert_eq!(read(&gathering, 0).await, many.len());
        assert_eq!(known(&gathered).await, Some(None), "no other part is waited for");
        assert_eq!(read(&gathering, 1).await, 1);
    }

    #[tokio::test]
    async fn a_side_that_is_left_early_keeps_nobody_waiting() {
        let (gathering, gathered) = gathering(&[&[Some(1)]]);
        drop(gathering.read(0, Arc::default()).unwrap());
        assert_eq!(known(&gathered).await, Some(Some(0)));
    }
}
