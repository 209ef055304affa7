//! `[queries] memory`, and who is lent what of it.
//!
//! Three quarters are for operators and for rows that wait for whoever reads them. Sorts go on on disk where nothing is
//! left, but first they take all that there is. So an eighth is kept for rows that wait, and an eighth for merges of what
//! was sorted: a sort that leaves nothing else can still be read.

use std::sync::Arc;

use crossweave_contract::Lender;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
    TrackConsumersPool,
};
use parking_lot::Mutex;

/// Of the borrowers, so many are named where nothing is left.
const NAMED: usize = 5;

/// Bytes that a sort holds for a run that it merges from disk, about: batches of 2 MiB, twice, two ahead.
const RUN: usize = 8 << 20;

/// What all queries share.
#[derive(Debug)]
pub(super) struct QueryMemory {
    operators: Arc<dyn MemoryPool>,
    merges: Arc<dyn MemoryPool>,
    rows: Arc<dyn MemoryPool>,
}

impl QueryMemory {
    pub(super) fn new(bytes: usize) -> Self {
        let named = std::num::NonZeroUsize::MIN.saturating_add(NAMED - 1);
        let kept = bytes / 8;
        let greedy = || -> Arc<dyn MemoryPool> { Arc::new(GreedyMemoryPool::new(kept)) };
        let operators = TrackConsumersPool::new(FairSpillPool::new(bytes - 2 * kept), named);
        Self { operators: Arc::new(operators), merges: greedy(), rows: greedy() }
    }

    /// What operators borrow from.
    pub(super) fn operators(&self) -> &Arc<dyn MemoryPool> {
        &self.operators
    }

    /// How many runs of sorted rows are merged from disk at once: what a sort holds for each is not lent to others.
    pub(super) fn runs_at_once(&self) -> usize {
        let bytes = match self.operators.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            _ => usize::MAX,
        };
        (bytes / 4 / RUN).clamp(2, 64)
    }

    /// What merges of sorted rows borrow from.
    pub(super) fn merges(&self) -> &Arc<dyn MemoryPool> {
        &self.merges
    }

    /// Nothing yet, for rows that wait, which `name` says in errors.
    pub(super) fn for_rows(&self, name: &str) -> LentForRows {
        let of = |pool: &Arc<dyn MemoryPool>| MemoryConsumer::new(name).register(pool);
        LentForRows(Mutex::new(Lent { rows: of(&self.rows), operators: of(&self.operators) }))
    }

    /// Bytes that are lent.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        self.operators.reserved() + self.merges.reserved() + self.rows.reserved()
    }
}

/// Memory lent for rows that wait; given back when dropped.
#[derive(Debug)]
pub(super) struct LentForRows(Mutex<Lent>);

#[derive(Debug)]
struct Lent {
    rows: MemoryReservation,
    operators: MemoryReservation,
}

impl LentForRows {
    /// Nothing yet, of the same name.
    pub(super) fn new_empty(&self) -> Self {
        let lent = self.0.lock();
        Self(Mutex::new(Lent { rows: lent.rows.new_empty(), operators: lent.operators.new_empty() }))
    }

    /// Borrows `bytes`.
    ///
    /// # Errors
    ///
    /// `ResourcesExhausted` if there is not so much left.
    pub(super) fn try_grow(&self, bytes: usize) -> Result<()> {
        let lent = self.0.lock();
        lent.operators.try_grow(bytes).or_else(|error| lent.rows.try_grow(bytes).map_err(|_| error))
    }
}

impl Lender for LentForRows {
    fn try_lend(&self, bytes: usize) -> bool {
        self.try_grow(bytes).is_ok()
    }

    fn lend(&self, bytes: usize) {
        self.0.lock().operators.grow(bytes);
    }

    fn take_back(&self, bytes: usize) {
        let lent = self.0.lock();
        let of_rows = bytes.min(lent.rows.size());
        lent.rows.shrink(of_rows);
        lent.operators.shrink(bytes - of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_that_takes_all_leaves_room_for_rows_and_for_a_merge() {
        let memory = QueryMemory::new(8 << 20);
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(memory.operators());
        assert!(sort.try_grow(6 << 20).is_ok() && sort.try_grow(1).is_err());
        let rows = memory.for_rows("rows");
        assert!(rows.try_lend(1 << 20) && !rows.try_lend(1));
        assert!(rows.try_grow(1).unwrap_err().to_string().contains("rows"));
        let merge = MemoryConsumer::new("merge").register(memory.merges());
        assert!(merge.try_grow(1 << 20).is_ok() && merge.try_grow(1).is_err());
        merge.free();
        rows.take_back(1 << 20);
        sort.free();
        assert!(rows.try_lend(6 << 20) && rows.try_lend(1 << 20) && !rows.try_lend(1));
        rows.take_back((6 << 20) + 7);
        assert_eq!(memory.reserved(), (1 << 20) - 7);
        rows.lend(1 << 20);
        drop(rows);
        assert_eq!(memory.reserved(), 0);
    }
}
