//! Rows between a plan and its client.
//!
//! How much waits for a slow client? Little: no further batch is asked of the plan while [`WAITING`] bytes or more are on
//! their way, and a batch is on its way until the client asks for the next. What they take is lent (`memory`), so that
//! clients that take nothing cannot hold more than `[queries] memory` together. Rows of caches take no memory of their
//! own and are not counted.
//!
//! **Why does a slow client not keep a live table's transaction open?** A plan that reads one waits for its client for
//! [`PATIENCE`] altogether and no longer. Then all further rows go to files, as fast as the plan makes them, and the client
//! reads them from there until its deadline. So do the rows of any plan that is lent no more memory for them. Of what is
//! read back a client has a piece of 2 MiB at a time, which is lent whatever is left.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use crossweave_contract::Lender;
use datafusion::common::Result as PlanResult;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::spill_pool::{SpillPoolSink, spsc_channel};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::QueryError;
use super::memory::{LentForRows, QueryMemory};
use crate::federation::{StoredBuffers, pieces};

/// Batches on their way to the client.
const BATCHES: usize = 2;
/// Bytes on their way past which no further batch is asked of the plan.
const WAITING: usize = 16 << 20;
/// A batch with fewer bytes passes though nothing is left to be lent: there are as many of them as connections.
const SMALL: usize = 64 << 10;
/// Bytes of one permit.
const UNIT: usize = 1 << 10;
/// How long a plan that reads a live table waits for room, all in all, before its rows go to files.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes after which a file is full; it is removed when it was read.
const FILE: usize = 64 << 20;

/// The plan's side.
pub(super) struct Outflow {
    queue: mpsc::Sender<Next>,
    /// As many permits as batches may be on their way.
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    lent: LentForRows,
    stored: Arc<StoredBuffers>,
    files: Option<Files>,
}

/// Where rows go that cannot wait in memory.
struct Files {
    spill: Arc<SpillManager>,
    /// How long they may still wait in memory; for ever if the plan holds nothing open.
    patience: Option<Duration>,
    /// Once they go there, all that follow go there.
    sink: Option<SpillPoolSink>,
}

/// The client's side.
pub(super) struct Inflow {
    queue: mpsc::Receiver<Next>,
    /// What comes from files.
    rest: Option<SendableRecordBatchStream>,
    /// What the batch takes that was handed out last.
    held: Option<Held>,
    lent: LentForRows,
}

/// What comes next.
enum Next {
    Batch(RecordBatch, Held),
    /// All others, from files.
    Rest(SendableRecordBatchStream),
}

/// What a batch takes until it is let go of.
struct Held {
    _lent: LentForRows,
    _permits: Option<[OwnedSemaphorePermit; 2]>,
}

/// Both sides. Memory is lent by `memory`, but for what is `stored`.
pub(super) fn outflow(memory: &QueryMemory, stored: Arc<StoredBuffers>) -> (Outflow, Inflow) {
    // There is always room: for the batches that have a place, and for what comes after all.
    let (sender, queue) = mpsc::channel(BATCHES + 1);
    let lent = memory.for_rows("rows on their way to the client");
    let (places, room) = (Arc::new(Semaphore::new(BATCHES)), Arc::new(Semaphore::new(WAITING / UNIT)));
    let inflow = Inflow { queue, rest: None, held: None, lent: lent.new_empty() };
    (Outflow { queue: sender, places, room, lent, stored, files: None }, inflow)
}

impl Outflow {
    /// From now on rows, which have `schema`, may go to files. `is_live` is whether the plan holds a source's
    /// transaction open.
    pub(super) fn may_use_files(&mut self, runtime: Arc<RuntimeEnv>, schema: SchemaRef, is_live: bool) {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let spill = Arc::new(SpillManager::new(runtime, metrics, schema));
        self.files = Some(Files { spill, patience: is_live.then_some(PATIENCE), sink: None });
    }

    /// Waits until the client has taken so much that a further batch may be made; false if nobody reads any more.
    pub(super) async fn has_room(&mut self) -> bool {
        if self.goes_to_files() {
            return !self.queue.is_closed();
        }
        let (queue, room) = (self.queue.clone(), Arc::clone(&self.room));
        let permit = async {
            tokio::select! {
                biased;
                () = queue.closed() => false,
                room = room.acquire() => room.is_ok(),
            }
        };
        match self.patiently(permit).await {
            Some(is_read) => is_read,
            None => {
                self.go_to_files();
                true
            }
        }
    }

    /// Hands over `batch`; false if nobody reads any more.
    ///
    /// # Errors
    ///
    /// `Limit` if the memory that it takes is not lent and there are no files, or these cannot take it.
    pub(super) async fn send(&mut self, batch: RecordBatch) -> Result<bool, QueryError> {
        if self.goes_to_files() {
            return self.write(&batch);
        }
        let bytes = self.stored.bytes_of_its_own(&batch);
        let lent = self.lent.new_empty();
        if bytes <= SMALL {
            lent.lend(bytes);
        } else if let Err(error) = lent.try_grow(bytes) {
            if self.files.is_none() {
                return Err(error.into());
            }
            return self.write(&batch);
        }
        let units = (bytes / UNIT).min(WAITING / UNIT) as u32;
        let (queue, room, places) = (self.queue.clone(), Arc::clone(&self.room), Arc::clone(&self.places));
        let permits = async {
            tokio::select! {
                biased;
                () = queue.closed() => None,
                permits = async { Some([places.acquire_owned().await.ok()?, room.acquire_many_owned(units).await.ok()?]) }
                    => permits,
            }
        };
        match self.patiently(permits).await {
            Some(None) => Ok(false),
            Some(permits) => {
                Ok(self.queue.try_send(Next::Batch(batch, Held { _lent: lent, _permits: permits })).is_ok())
            }
            None => {
                drop(lent);
                self.write(&batch)
            }
        }
    }

    fn goes_to_files(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.sink.is_some())
    }

    /// What `wait` gives; `None` if it takes longer than rows may wait.
    async fn patiently<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        let Some(patience) = self.files.as_mut().and_then(|files| files.patience.as_mut()) else {
            return Some(wait.await);
        };
        let began = Instant::now();
        let found = timeout(*patience, wait).await.ok();
        *patience = patience.saturating_sub(began.elapsed());
        found
    }

    /// All rows go to files from now on.
    fn go_to_files(&mut self) {
        let Some(files) = &mut self.files else { return };
        if files.sink.is_none() {
            tracing::debug!("rows wait for their client in files");
            let (sink, rest) = spsc_channel(FILE, Arc::clone(&files.spill));
            files.sink = Some(sink);
            // Where nobody reads any more, that is seen next.
            let _ = self.queue.try_send(Next::Rest(rest));
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<bool, QueryError> {
        self.go_to_files();
        if let Some(sink) = self.files.as_ref().and_then(|files| files.sink.as_ref()) {
            // Rows that are read back should be few, for each client has some.
            pieces(batch.clone(), batch.num_rows()).try_for_each(|piece| sink.push_batch(&piece?))?;
        }
        Ok(!self.queue.is_closed())
    }
}

impl Inflow {
    /// The next batch, once the last one is done with; `None` after all.
    pub(super) fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<PlanResult<RecordBatch>>> {
        self.held = None;
        if self.rest.is_none() {
            match ready!(self.queue.poll_recv(context)) {
                Some(Next::Batch(batch, held)) => {
                    self.held = Some(held);
                    return Poll::Ready(Some(Ok(batch)));
                }
                Some(Next::Rest(rest)) => self.rest = Some(rest),
                None => return Poll::Ready(None),
            }
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let batch = ready!(rest.poll_next_unpin(context));
        if let Some(Ok(batch)) = &batch {
            let lent = self.lent.new_empty();
            lent.lend(get_record_batch_memory_size(batch));
            self.held = Some(Held { _lent: lent, _permits: None });
        }
        Poll::Ready(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use arrow::array::{ArrayRef, UInt8Array};
    use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use futures::FutureExt;

    use super::*;
    use crate::query::QueryErrorKind;

    fn batch(bytes: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt8Array::from(vec![7; bytes]));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    fn sides(memory: usize) -> (QueryMemory, Outflow, Inflow) {
        let memory = QueryMemory::new(memory);
        let (outflow, inflow) = outflow(&memory, Arc::default());
        (memory, outflow, inflow)
    }

    #[tokio::test]
    async fn one_large_batch_is_on_its_way_at_a_time_and_counted_until_the_next_is_asked_for() {
        let (memory, mut outflow, mut inflow) = sides(1 << 30);
        assert!(outflow.has_room().await && outflow.send(batch(WAITING + 1)).await.unwrap());
        assert!(outflow.has_room().now_or_never().is_none());
        assert_eq!(
            poll_fn(|context| inflow.poll_batch(context)).await.unwrap().unwrap().num_rows(),
            WAITING + 1
        );
        assert!(outflow.has_room().now_or_never().is_none(), "the client is not done with it");
        assert!(memory.reserved() > WAITING);
        assert!(poll_fn(|context| Poll::Ready(inflow.poll_batch(context))).await.is_pending());
        assert_eq!(memory.reserved(), 0);
        assert!(outflow.has_room().await);
        drop(inflow);
        assert!(!outflow.has_room().await && !outflow.send(batch(1)).await.unwrap());
        assert_eq!(memory.reserved(), 0);
    }

    #[tokio::test]
    async fn what_is_not_lent_fails_but_for_small_batches() {
        let (memory, mut outflow, mut inflow) = sides(2 << 20);
        assert!(outflow.send(batch(1 << 20)).await.unwrap());
        let error = outflow.send(batch((1 << 20) + 1)).await.unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::Limit, "{error}");
        assert!(error.message.contains("rows on their way to the client"), "{error}");
        assert!(outflow.send(batch(SMALL - 64)).await.unwrap());
        for bytes in [1 << 20, SMALL - 64] {
            assert_eq!(poll_fn(|context| inflow.poll_batch(context)).await.unwrap().unwrap().num_rows(), bytes);
        }
        drop(inflow);
        assert_eq!(memory.reserved(), 0);
    }

    /// Files in a folder, for batches of one column.
    fn with_files(outflow: &mut Outflow, is_live: bool) -> (tempfile::TempDir, impl Fn() -> usize + use<>) {
        let dir = tempfile::tempdir().unwrap();
        let mode = DiskManagerMode::Directories(vec![dir.path().to_owned()]);
        let disk = DiskManagerBuilder::default().with_mode(mode);
        let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build_arc().unwrap();
        outflow.may_use_files(runtime, batch(0).schema(), is_live);
        let path = dir.path().to_owned();
        let files = move || {
            let folders = std::fs::read_dir(&path).unwrap().map(|folder| folder.unwrap().path());
            folders.map(|folder| std::fs::read_dir(folder).unwrap().count()).sum()
        };
        (dir, files)
    }

    #[tokio::test]
    async fn a_live_plan_does_not_wait_for_its_client() {
        let (memory, mut outflow, mut inflow) = sides(1 << 30);
        let (_dir, files) = with_files(&mut outflow, true);
        let sizes: Vec<usize> = (1..40).map(|n| n << 18).collect();
        for bytes in &sizes {
            assert!(outflow.has_room().await && outflow.send(batch(*bytes)).await.unwrap());
        }
        drop(outflow);
        assert!(files() > 1 && memory.reserved() < 2 * WAITING, "{} files", files());
        for bytes in &sizes {
            let mut rows = 0;
            while rows < *bytes {
                let next = poll_fn(|context| inflow.poll_batch(context)).await.unwrap().unwrap();
                assert!(memory.reserved() <= 2 * WAITING && memory.reserved() >= next.num_rows());
                rows += next.num_rows();
            }
            assert_eq!(rows, *bytes);
        }
        assert!(poll_fn(|context| inflow.poll_batch(context)).await.is_none());
        drop(inflow);
        assert_eq!((files(), memory.reserved()), (0, 0));
    }

    #[tokio::test]
    async fn a_plan_over_caches_waits_for_its_client_unless_memory_is_short() {
        let (_memory, mut outflow, inflow) = sides(1 << 30);
        let (_dir, files) = with_files(&mut outflow, false);
        for _ in 0..BATCHES {
            assert!(outflow.has_room().await && outflow.send(batch(1 << 20)).await.unwrap());
        }
        assert!(timeout(2 * PATIENCE, outflow.send(batch(1))).await.is_err());
        assert_eq!(files(), 0);
        drop(inflow);

        // A client that drips uses up the same patience.
        let (_memory, mut outflow, mut inflow) = sides(1 << 30);
        let (_dir, files) = with_files(&mut outflow, true);
        let dripping = tokio::spawn(async move {
            let mut rows = 0;
            while let Some(batch) = poll_fn(|context| inflow.poll_batch(context)).await {
                rows += batch.unwrap().num_rows();
                tokio::time::sleep(PATIENCE / 3).await;
            }
            rows
        });
        for _ in 0..10 {
            assert!(outflow.has_room().await && outflow.send(batch(1 << 20)).await.unwrap());
        }
        assert!(files() > 0);
        drop(outflow);
        assert_eq!(dripping.await.unwrap(), 10 << 20);

        let (memory, mut outflow, mut inflow) = sides(2 << 20);
        let (_dir, files) = with_files(&mut outflow, false);
        for _ in 0..5 {
            assert!(outflow.has_room().await && outflow.send(batch(1 << 20)).await.unwrap());
        }
        assert!(files() == 1 && memory.reserved() <= 2 << 20);
        for _ in 0..5 {
            assert!(poll_fn(|context| inflow.poll_batch(context)).await.unwrap().is_ok());
        }
        drop(inflow);
        assert!(!outflow.has_room().await);
    }

    #[tokio::test]
    async fn what_files_cannot_take_is_an_error() {
        let (_memory, mut outflow, _inflow) = sides(1 << 10);
        let disk = DiskManagerBuilder::default().with_max_temp_directory_size(1 << 20);
        let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build_arc().unwrap();
        outflow.may_use_files(runtime, batch(0).schema(), false);
        let error = outflow.send(batch(4 << 20)).await.unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::Limit, "{error}");
        assert!(error.message.contains("files") && !error.message.contains("datafusion"), "{error}");
    }
}
