//! Rows between a plan and its client.
//!
//! How much waits for a slow client? Little: no further batch is asked of the plan while [`WAITING`] bytes or more are on
//! their way, and a batch is on its way until the client asks for the next. What they take is lent (`memory`), so that
//! clients that take nothing cannot hold more than `[queries] memory` together: a query that gets no more of it fails.
//! Rows of caches take no memory of their own and are not counted.

use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use crossweave_contract::Lender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::QueryError;
use super::memory::{LentForRows, QueryMemory};
use crate::federation::StoredBuffers;

/// Batches on their way to the client.
const BATCHES: usize = 2;
/// Bytes on their way past which no further batch is asked of the plan.
const WAITING: usize = 16 << 20;
/// A batch with fewer bytes passes though nothing is left to be lent: there are as many of them as connections.
const SMALL: usize = 64 << 10;
/// Bytes of one permit.
const UNIT: usize = 1 << 10;

/// The plan's side.
pub(super) struct Outflow {
    batches: mpsc::Sender<(RecordBatch, Held)>,
    room: Arc<Semaphore>,
    lent: LentForRows,
    stored: Arc<StoredBuffers>,
}

/// The client's side.
pub(super) struct Inflow {
    batches: mpsc::Receiver<(RecordBatch, Held)>,
    /// What the batch takes that was handed out last.
    held: Option<Held>,
}

/// What a batch takes until it is let go of.
struct Held {
    _lent: LentForRows,
    _room: Option<OwnedSemaphorePermit>,
}

/// Both sides. Memory is lent by `memory`, but for what is `stored`.
pub(super) fn outflow(memory: &QueryMemory, stored: Arc<StoredBuffers>) -> (Outflow, Inflow) {
    let (sender, batches) = mpsc::channel(BATCHES);
    let lent = memory.for_rows("rows on their way to the client");
    let room = Arc::new(Semaphore::new(WAITING / UNIT));
    (Outflow { batches: sender, room, lent, stored }, Inflow { batches, held: None })
}

impl Outflow {
    /// Waits until the client has taken so much that a further batch may be made; false if nobody reads any more.
    pub(super) async fn has_room(&self) -> bool {
        tokio::select! {
            biased;
            () = self.batches.closed() => false,
            room = self.room.acquire() => room.is_ok(),
        }
    }

    /// Hands over `batch`; false if nobody reads any more.
    ///
    /// # Errors
    ///
    /// `Limit` if the memory that it takes is not lent.
    pub(super) async fn send(&self, batch: RecordBatch) -> Result<bool, QueryError> {
        let bytes = self.stored.bytes_of_its_own(&batch);
        let lent = self.lent.new_empty();
        if bytes <= SMALL {
            lent.lend(bytes);
        } else {
            lent.try_grow(bytes)?;
        }
        let units = (bytes / UNIT).min(WAITING / UNIT) as u32;
        let room = tokio::select! {
            biased;
            () = self.batches.closed() => return Ok(false),
            room = Arc::clone(&self.room).acquire_many_owned(units) => room.ok(),
        };
        Ok(self.batches.send((batch, Held { _lent: lent, _room: room })).await.is_ok())
    }
}

impl Inflow {
    /// The next batch, once the last one is done with; `None` after all.
    pub(super) fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<RecordBatch>> {
        self.held = None;
        self.batches.poll_recv(context).map(|next| {
            next.map(|(batch, held)| {
                self.held = Some(held);
                batch
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use arrow::array::{ArrayRef, UInt8Array};
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
        let (memory, outflow, mut inflow) = sides(1 << 30);
        assert!(outflow.has_room().await && outflow.send(batch(WAITING + 1)).await.unwrap());
        assert!(outflow.has_room().now_or_never().is_none());
        assert_eq!(poll_fn(|context| inflow.poll_batch(context)).await.unwrap().num_rows(), WAITING + 1);
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
        let (memory, outflow, mut inflow) = sides(2 << 20);
        assert!(outflow.send(batch(1 << 20)).await.unwrap());
        let error = outflow.send(batch((1 << 20) + 1)).await.unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::Limit, "{error}");
        assert!(error.message.contains("rows on their way to the client"), "{error}");
        assert!(outflow.send(batch(SMALL - 64)).await.unwrap());
        for bytes in [1 << 20, SMALL - 64] {
            assert_eq!(poll_fn(|context| inflow.poll_batch(context)).await.unwrap().num_rows(), bytes);
        }
        drop(inflow);
        assert_eq!(memory.reserved(), 0);
    }
}
