//! The hash table from keys to rows of a run: built once, never changed, shared by writer and readers.
//!
//! A slot is 8 bytes: 32 bits of the key's hash and the row's place. At three quarters full that is 10.7 bytes a
//! row, with no allocation per key. Keys themselves are not stored: who looks up compares the row that is found.
//! Entries of rows that died later stay until the run is merged; they are told by the delete bits.

/// A row's place in its run: the segment's number in the run, and the row in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) fn new(segment: usize, row: usize) -> Self {
        debug_assert!(segment < 1 << 16 && row < 1 << 16);
        Self((segment << 16 | row) as u32)
    }

    pub(crate) fn segment(self) -> usize {
        (self.0 >> 16) as usize
    }

    pub(crate) fn row(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

// Segment 65,535 of a run is never reached (`run::RUN_ROWS`), so no entry looks like this.
const EMPTY: u64 = u64::MAX;

/// An immutable multimap from hashes to places.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    slots: Box<[u64]>,
    entries: usize,
}

impl PlaceIndex {
    /// An index of `entries`.
    pub(crate) fn build(entries: impl IntoIterator<Item = (u32, Place)>, count: usize) -> Self {
        let mut index = Self { slots: vec![EMPTY; count * 4 / 3 + 1].into(), entries: 0 };
        for (hash, place) in entries {
            index.insert(hash, place);
        }
        index
    }

    fn insert(&mut self, hash: u32, place: Place) {
        assert!(self.entries + 1 < self.slots.len(), "more entries than were announced");
        let mut slot = self.home(hash);
        while self.slots[slot] != EMPTY {
            slot = self.after(slot);
        }
        self.slots[slot] = u64::from(hash) << 32 | u64::from(place.0);
        self.entries += 1;
    }

    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    /// The places of all keys with this hash.
    pub(crate) fn find(&self, hash: u32) -> impl Iterator<Item = Place> {
        let mut slot = self.home(hash);
        std::iter::from_fn(move || {
            loop {
                let entry = self.slots[slot];
                if entry == EMPTY {
                    return None;
                }
                slot = self.after(slot);
                if (entry >> 32) as u32 == hash {
                    return Some(Place(entry as u32));
                }
            }
        })
    }

    /// All entries, in no particular order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, Place)> {
        let used = self.slots.iter().filter(|entry| **entry != EMPTY);
        used.map(|entry| ((entry >> 32) as u32, Place(*entry as u32)))
    }

    /// Number of entries, those of rows that died since included.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_place_of_a_hash_and_no_other() {
        // Few distinct hashes, some at the very end of the range, so that probing runs long and wraps round.
        let hash = |i: usize| if i.is_multiple_of(3) { u32::MAX } else { (i as u32 % 50) << 25 };
        let entries: Vec<_> = (0..1000).map(|i| (hash(i), Place::new(i % 7, i))).collect();
        let index = PlaceIndex::build(entries.iter().copied(), entries.len());
        for (wanted, _) in &entries {
            let mut found: Vec<_> = index.find(*wanted).map(|place| place.row()).collect();
            let mut expected: Vec<_> = (0..1000).filter(|i| hash(*i) == *wanted).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
        assert_eq!(index.find(12345).count(), 0);
        assert_eq!(index.entries().count(), 1000);
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        assert_eq!(PlaceIndex::build([], 0).find(7).count(), 0);
    }

    #[test]
    fn takes_less_than_sixteen_bytes_a_row() {
        let entries = (0..60_000usize).map(|i| ((i as u32).wrapping_mul(2_654_435_761), Place::new(0, i)));
        let index = PlaceIndex::build(entries, 60_000);
        assert!(index.bytes() < 16 * 60_000, "{} bytes", index.bytes());
    }
}
