//! Which rows of a segment are deleted.
//!
//! Shared between the writer and snapshots through an `Arc`; the writer copies before it changes what a snapshot
//! holds (`Arc::make_mut`). At most 8 KiB each, which is what makes that copy cheap.

use arrow::array::BooleanArray;
use arrow::buffer::{BooleanBuffer, Buffer};

/// One bit per row, set where the row is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeleteBits {
    words: Box<[u64]>,
    deleted: usize,
}

impl DeleteBits {
    /// None of `rows` deleted.
    pub(crate) fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)].into(), deleted: 0 }
    }

    /// The bits as [`words`](Self::words) gave them, for a segment of `rows` rows; `None` if they do not fit it.
    pub(crate) fn from_words(words: Box<[u64]>, rows: usize) -> Option<Self> {
        let fits = words.len() == rows.div_ceil(64);
        let past_the_end =
            !rows.is_multiple_of(64) && words.last().is_some_and(|last| last >> (rows % 64) != 0);
        let deleted = words.iter().map(|word| word.count_ones() as usize).sum();
        (fits && !past_the_end).then_some(Self { words, deleted })
    }

    /// All bits, 64 rows a word.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of deleted rows.
    pub(crate) fn deleted(&self) -> usize {
        self.deleted
    }

    /// Whether `row` is deleted.
    pub(crate) fn get(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }

    /// Deletes `row`; false if it was deleted already.
    pub(crate) fn set(&mut self, row: usize) -> bool {
        let fresh = !self.get(row);
        self.words[row / 64] |= 1 << (row % 64);
        self.deleted += usize::from(fresh);
        fresh
    }

    /// True where one of the first `rows` rows is live: the predicate of a scan.
    pub(crate) fn live(&self, rows: usize) -> BooleanArray {
        let words: Vec<u64> = self.words.iter().map(|word| !word).collect();
        BooleanArray::new(BooleanBuffer::new(Buffer::from_vec(words), 0, rows), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_deleted_once() {
        let mut bits = DeleteBits::none(130);
        assert!(bits.set(129));
        assert!(!bits.set(129));
        assert!(bits.set(0));
        assert_eq!(bits.deleted(), 2);
        let live = bits.live(130);
        assert_eq!((live.len(), live.true_count()), (130, 128));
        assert!(!live.value(0) && live.value(1) && !live.value(129));
    }

    #[test]
    fn refuses_words_that_are_not_of_the_segment() {
        assert!(DeleteBits::from_words(vec![1].into(), 65).is_none());
        assert!(DeleteBits::from_words(vec![0b1000].into(), 3).is_none());
        assert_eq!(DeleteBits::from_words(vec![0b100].into(), 3).unwrap().deleted(), 1);
    }
}
