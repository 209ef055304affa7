//! Rows between the task that reads them from the server and the stream that takes them.
//!
//! | who waits for the connection | the writer of a batch |
//! | --- | --- |
//! | nobody | goes on until the reader is a quarter of the budget behind, then waits for it |
//! | another request | goes on, never waiting; fails with [`ErrorKind::Limit`] past the budget |

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{ConnectorError, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::scan::Sink;

/// Bytes of rows that one view keeps for its readers, over all its scans.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.used.load(Ordering::Acquire).saturating_add(bytes) <= self.limit
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

struct Shared {
    budget: Arc<Budget>,
    state: Mutex<State>,
    readable: Notify,
    writable: Notify,
    /// Cancelled when the reader is dropped.
    gone: CancellationToken,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(RecordBatch, usize)>,
    bytes: usize,
    /// Set once, by the writer: no more batches follow, but the error if there is one.
    end: Option<Option<ConnectorError>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, bytes: usize) {
        self.budget.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// A buffer of one scan, within `budget`; `waiting` is the number of requests that wait for the connection.
pub(super) fn channel(budget: Arc<Budget>, waiting: watch::Receiver<usize>) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        budget,
        state: Mutex::default(),
        readable: Notify::new(),
        writable: Notify::new(),
        gone: CancellationToken::new(),
    });
    (Writer { shared: Arc::clone(&shared), waiting }, Reader { shared })
}

/// The error of a scan whose task ended without saying why.
pub(super) fn ended() -> ConnectorError {
    ConnectorError::new(ErrorKind::Bug, "the view of the service ended without an answer")
}

/// The task's side.
pub(super) struct Writer {
    shared: Arc<Shared>,
    waiting: watch::Receiver<usize>,
}

impl Writer {
    /// Cancelled when the reader goes away.
    pub(super) fn gone(&self) -> CancellationToken {
        self.shared.gone.clone()
    }

    /// Says that no more batches follow.
    pub(super) fn finish(self, outcome: Result<()>) {
        self.shared.state().end = Some(outcome.err());
    }

    fn overflow(&self, bytes: usize) -> ConnectorError {
        let limit = self.shared.budget.limit;
        let message = format!(
            "rows that wait for a slow part of the query would take {} bytes, more than the {limit} that one \
             view may keep",
            self.shared.budget.used.load(Ordering::Acquire) + bytes
        );
        let fix = "Ask for fewer rows or columns, read the tables from the cache, or raise the bound on the rows \
                   kept for one query (live_buffer)";
        ConnectorError::new(ErrorKind::Limit, message).with_fix(fix)
    }
}

#[async_trait]
impl Sink for Writer {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let bytes = batch.get_array_memory_size();
        let ahead = self.shared.budget.limit / 4;
        loop {
            if self.shared.gone.is_cancelled() {
                return Err(ConnectorError::new(ErrorKind::Cancelled, "nobody reads the rows any more"));
            }
            let crowded = *self.waiting.borrow_and_update() > 0;
            {
                let mut state = self.shared.state();
                let fits = self.shared.budget.has_room(bytes) && state.bytes.saturating_add(bytes) <= ahead;
                let free = state.bytes == 0 || fits;
                if crowded && !self.shared.budget.has_room(bytes) {
                    return Err(self.overflow(bytes));
                }
                if crowded || free {
                    self.shared.budget.used.fetch_add(bytes, Ordering::AcqRel);
                    state.bytes += bytes;
                    state.batches.push_back((batch, bytes));
                    drop(state);
                    self.shared.readable.notify_one();
                    return Ok(());
                }
            }
            tokio::select! {
                () = self.shared.writable.notified() => {}
                _ = self.waiting.changed() => {}
                () = self.shared.gone.cancelled() => {}
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state().end.get_or_insert_with(|| Some(ended()));
        self.shared.readable.notify_one();
    }
}

/// The stream's side; dropped, it gives back the memory of what it did not take, and ends the statement.
pub(super) struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// The next batch, the error, or the end.
    pub(super) async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            {
                let mut state = self.shared.state();
                if let Some((batch, bytes)) = state.batches.pop_front() {
                    state.bytes -= bytes;
                    drop(state);
                    self.shared.release(bytes);
                    self.shared.writable.notify_one();
                    return Some(Ok(batch));
                }
                if let Some(end) = &mut state.end {
                    return end.take().map(Err);
                }
            }
            self.shared.readable.notified().await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.gone.cancel();
        let mut state = self.shared.state();
        state.batches.clear();
        let bytes = std::mem::take(&mut state.bytes);
        drop(state);
        self.shared.release(bytes);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, UInt8Array};

    use super::*;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt8Array::from(vec![7; 1_000]));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    /// A budget for `batches` of them, and how many requests wait.
    fn buffer(batches: usize) -> (Writer, Reader, Arc<Budget>, watch::Sender<usize>) {
        let (sender, waiting) = watch::channel(0);
        let budget = Budget::new(batches * batch().get_array_memory_size());
        let (writer, reader) = channel(Arc::clone(&budget), waiting);
        (writer, reader, budget, sender)
    }

    #[tokio::test]
    async fn alone_the_writer_waits_for_its_reader() {
        let (mut writer, mut reader, _, _waiting) = buffer(8);
        writer.push(batch()).await.unwrap();
        writer.push(batch()).await.unwrap();
        let third = tokio::spawn(async move {
            writer.push(batch()).await.unwrap();
            writer.finish(Ok(()));
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        for _ in 0..3 {
            assert_eq!(reader.next().await.unwrap().unwrap().num_rows(), 1_000);
        }
        assert!(reader.next().await.is_none());
        third.await.unwrap();
    }

    #[tokio::test]
    async fn a_waiting_request_makes_it_read_on_to_the_budget_and_not_beyond() {
        let (mut writer, reader, budget, waiting) = buffer(8);
        writer.push(batch()).await.unwrap();
        writer.push(batch()).await.unwrap();
        let blocked = tokio::spawn(async move {
            let mut pushed = 2;
            loop {
                match writer.push(batch()).await {
                    Ok(()) => pushed += 1,
                    Err(error) => return (pushed, error),
                }
            }
        });
        tokio::task::yield_now().await;
        assert!(!blocked.is_finished());
        waiting.send(1).unwrap();
        let (pushed, error) = blocked.await.unwrap();
        assert_eq!((pushed, error.kind), (8, ErrorKind::Limit));
        assert!(error.to_string().contains("bytes"), "{error}");
        drop(reader);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_frees_its_rows_and_stops_the_writer() {
        let (mut writer, reader, budget, _waiting) = buffer(4);
        writer.push(batch()).await.unwrap();
        let blocked = tokio::spawn(async move { writer.push(batch()).await });
        tokio::task::yield_now().await;
        drop(reader);
        assert_eq!(blocked.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_writer_that_is_lost_is_an_error_not_an_end() {
        let (writer, mut reader, _, _waiting) = buffer(4);
        drop(writer);
        assert_eq!(reader.next().await.unwrap().unwrap_err().kind, ErrorKind::Bug);
    }
}
