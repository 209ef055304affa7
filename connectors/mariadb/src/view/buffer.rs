//! Rows between the task that reads them from the server and the stream that takes them.
//!
//! | who waits for the connection | the writer of a batch |
//! | --- | --- |
//! | nobody | goes on until the reader is a quarter of the budget behind, or no more is lent, then waits for it |
//! | another request | goes on, never waiting; fails with [`ErrorKind::Limit`] past the budget |

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{ConnectorError, ErrorKind, Result, RowBudget};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::scan::Sink;

/// Bytes of rows that one view keeps for its readers, over all its scans.
#[derive(Debug)]
pub(super) struct Budget {
    of: RowBudget,
    used: AtomicUsize,
}

/// Why there is no room.
enum Full {
    /// The view keeps as much as it may.
    View,
    /// Its lender has no more.
    Lender,
}

impl Budget {
    pub(super) fn new(of: RowBudget) -> Arc<Self> {
        Arc::new(Self { of, used: AtomicUsize::new(0) })
    }

    /// Takes `bytes`, if there is room for them.
    fn try_take(&self, bytes: usize) -> std::result::Result<(), Full> {
        let most = self.of.bytes();
        let with_these = |used: usize| used.checked_add(bytes).filter(|used| *used <= most);
        if self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, with_these).is_err() {
            return Err(Full::View);
        }
        if !self.of.lender().try_lend(bytes) {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
            return Err(Full::Lender);
        }
        Ok(())
    }

    /// Takes `bytes` for a reader for whom nothing is kept yet.
    fn take(&self, bytes: usize) {
        self.of.lender().lend(bytes);
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        self.of.lender().take_back(bytes);
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
}

/// A buffer of one scan, within `budget`; `waiting` is the number of requests that count as waiting
/// for a connection.
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

    fn overflow(&self, full: &Full, bytes: usize) -> ConnectorError {
        let budget = &self.shared.budget;
        let wanted = budget.used.load(Ordering::Acquire) + bytes;
        let most = match full {
            Full::View => format!("more than the {} that one view may keep", budget.of.bytes()),
            Full::Lender => "more than is left of the memory that queries share".to_owned(),
        };
        let message = format!("rows that wait for a slow part of the query would take {wanted} bytes, {most}");
        ConnectorError::new(ErrorKind::Limit, message)
            .with_fix("Ask for fewer rows or columns, or read the tables from the cache")
    }
}

#[async_trait]
impl Sink for Writer {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let bytes = batch.get_array_memory_size();
        let ahead = self.shared.budget.of.bytes() / 4;
        loop {
            let crowded = *self.waiting.borrow_and_update() > 0;
            {
                let mut state = self.shared.state();
                // Under the lock, under which a reader that goes gives back what it did not take.
                if self.shared.gone.is_cancelled() {
                    return Err(ConnectorError::new(ErrorKind::Cancelled, "nobody reads the rows any more"));
                }
                let taken = if crowded {
                    self.shared.budget.try_take(bytes).map_err(|full| self.overflow(&full, bytes))?;
                    true
                } else if state.bytes == 0 {
                    self.shared.budget.take(bytes);
                    true
                } else {
                    state.bytes.saturating_add(bytes) <= ahead && self.shared.budget.try_take(bytes).is_ok()
                };
                if taken {
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
                    self.shared.budget.give_back(bytes);
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
        let mut state = self.shared.state();
        self.shared.gone.cancel();
        state.batches.clear();
        let bytes = std::mem::take(&mut state.bytes);
        drop(state);
        self.shared.budget.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, UInt8Array};
    use crossweave_contract::Lender;

    use super::*;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt8Array::from(vec![7; 1_000]));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    /// A budget for `batches` of them, and how many requests wait.
    fn buffer(batches: usize) -> (Writer, Reader, Arc<Budget>, watch::Sender<usize>) {
        within((batches * batch().get_array_memory_size()).into())
    }

    fn within(budget: RowBudget) -> (Writer, Reader, Arc<Budget>, watch::Sender<usize>) {
        let (sender, waiting) = watch::channel(0);
        let budget = Budget::new(budget);
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

    /// Lends so many bytes.
    #[derive(Debug)]
    struct Purse(Mutex<usize>);

    impl Purse {
        fn left(&self) -> usize {
            *self.0.lock().unwrap()
        }
    }

    impl Lender for Purse {
        fn try_lend(&self, bytes: usize) -> bool {
            let mut left = self.0.lock().unwrap();
            let enough = *left >= bytes;
            *left -= if enough { bytes } else { 0 };
            enough
        }

        fn lend(&self, bytes: usize) {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_sub(bytes);
        }

        fn take_back(&self, bytes: usize) {
            *self.0.lock().unwrap() += bytes;
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_lent_and_given_back() {
        let bytes = batch().get_array_memory_size();
        let purse = Arc::new(Purse(Mutex::new(3 * bytes)));
        let lender = Arc::clone(&purse) as Arc<dyn Lender>;
        let (mut writer, mut reader, budget, waiting) = within(RowBudget::lent_by(lender, 100 * bytes));
        for _ in 0..3 {
            writer.push(batch()).await.unwrap();
        }
        assert_eq!(purse.left(), 0);
        let mut fourth = tokio::spawn(async move {
            writer.push(batch()).await.unwrap();
            writer
        });
        tokio::task::yield_now().await;
        assert!(!fourth.is_finished(), "it waits for its reader");
        reader.next().await.unwrap().unwrap();
        let mut writer = (&mut fourth).await.unwrap();
        waiting.send(1).unwrap();
        let error = writer.push(batch()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit);
        assert!(error.to_string().contains("more than is left of the memory that queries share"), "{error}");
        drop(reader);
        assert_eq!((budget.used(), purse.left()), (0, 3 * bytes));
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
