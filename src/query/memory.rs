//! `[queries] memory`, and who is lent what of it.
//!
//! Three quarters are for operators: sorts, joins and aggregates, of which the first go on on disk where nothing is left.
//! A quarter is for rows that wait for whoever reads them, which may have of the operators' share as well, and for merges
//! of what was sorted. Were there one share, a sort, which takes all that there is, would leave nothing for the rows that
//! it is read for.

use std::sync::Arc;

use crossweave_contract::Lender;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use parking_lot::Mutex;

/// Of the borrowers, so many are named where nothing is left.
const NAMED: usize = 5;

/// What all queries share.
#[derive(Debug)]
pub(super) struct QueryMemory {
    operators: Arc<dyn MemoryPool>,
    rows: Arc<dyn MemoryPool>,
}

impl QueryMemory {
    pub(super) fn new(bytes: usize) -> Self {
        let named = std::num::NonZeroUsize::MIN.saturating_add(NAMED - 1);
        let for_rows = bytes / 4;
        let operators = TrackConsumersPool::new(FairSpillPool::new(bytes - for_rows), named);
        Self { operators: Arc::new(operators), rows: Arc::new(GreedyMemoryPool::new(for_rows)) }
    }

    /// What operators borrow from.
    pub(super) fn operators(&self) -> &Arc<dyn MemoryPool> {
        &self.operators
    }

    /// What lends the share of rows that wait.
    pub(super) fn rows(&self) -> &Arc<dyn MemoryPool> {
        &self.rows
    }

    /// Nothing yet, for rows that wait, which `name` says in errors.
    pub(super) fn for_rows(&self, name: &str) -> LentForRows {
        let of = |pool: &Arc<dyn MemoryPool>| MemoryConsumer::new(name).register(pool);
        LentForRows(Mutex::new(Lent { rows: of(&self.rows), operators: of(&self.operators) }))
    }

    /// Bytes that are lent.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        self.operators.reserved() + self.rows.reserved()
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
        lent.rows.try_grow(bytes).or_else(|_| lent.operators.try_grow(bytes))
    }
}

impl Lender for LentForRows {
    fn try_lend(&self, bytes: usize) -> bool {
        self.try_grow(bytes).is_ok()
    }

    fn lend(&self, bytes: usize) {
        self.0.lock().rows.grow(bytes);
    }

    fn take_back(&self, bytes: usize) {
        let lent = self.0.lock();
        let of_operators = bytes.min(lent.operators.size());
        lent.operators.shrink(of_operators);
        lent.rows.shrink(bytes - of_operators);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_that_takes_all_leaves_room_for_rows() {
        let memory = QueryMemory::new(4 << 20);
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(memory.operators());
        assert!(sort.try_grow(3 << 20).is_ok() && sort.try_grow(1).is_err());
        let rows = memory.for_rows("rows");
        assert!(rows.try_lend(1 << 20) && !rows.try_lend(1));
        assert!(rows.try_grow(1).unwrap_err().to_string().contains("rows"));
        rows.take_back(1 << 20);
        sort.free();
        assert!(rows.try_lend(1 << 20) && rows.new_empty().try_lend(3 << 20) && rows.try_lend(3 << 20));
        rows.take_back((3 << 20) + 7);
        assert_eq!(memory.reserved(), (1 << 20) - 7);
        rows.lend(1 << 20);
        drop(rows);
        assert_eq!(memory.reserved(), 0);
    }
}
