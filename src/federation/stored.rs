//! Which memory of a batch is a cache's.
//!
//! A cached scan hands out rows as they are stored, and what passes them on hands on the same buffers: they take no
//! memory but the cache's, however many queries hold them.

use std::collections::HashSet;

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use parking_lot::Mutex;

/// Where the buffers begin that one query's cached scans have handed out. The scans find it among the extensions of
/// their session's settings.
#[derive(Debug, Default)]
pub struct StoredBuffers(Mutex<HashSet<usize>>);

impl StoredBuffers {
    /// Notes that the buffers of `batch` are a cache's.
    pub(super) fn note(&self, batch: &RecordBatch) {
        let mut known = self.0.lock();
        for_each_buffer(batch, |buffer| {
            known.insert(buffer.data_ptr().as_ptr() as usize);
        });
    }

    /// Bytes that are kept in memory for `batch` alone.
    pub fn bytes_of_its_own(&self, batch: &RecordBatch) -> usize {
        let known = self.0.lock();
        let mut counted = HashSet::new();
        let mut bytes = 0;
        for_each_buffer(batch, |buffer| {
            let address = buffer.data_ptr().as_ptr() as usize;
            if !known.contains(&address) && counted.insert(address) {
                bytes += buffer.capacity();
            }
        });
        bytes
    }
}

fn for_each_buffer(batch: &RecordBatch, mut each: impl FnMut(&Buffer)) {
    fn walk(data: &ArrayData, each: &mut impl FnMut(&Buffer)) {
        data.buffers().iter().for_each(&mut *each);
        if let Some(nulls) = data.nulls() {
            each(nulls.buffer());
        }
        data.child_data().iter().for_each(|child| walk(child, each));
    }
    batch.columns().iter().for_each(|column| walk(&column.to_data(), &mut each));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn buffers_of_caches_and_those_that_occur_twice_are_not_counted() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..1000).map(|n| (n % 2 == 0).then_some(n))));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(100); 1000]));
        let field = Arc::new(Field::new("t", DataType::Utf8, true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(field, Arc::clone(&texts))]));
        let batch = |columns: &[&ArrayRef]| {
            let named = columns.iter().enumerate().map(|(i, column)| (i.to_string(), Arc::clone(column)));
            RecordBatch::try_from_iter(named).unwrap()
        };
        let stored = StoredBuffers::default();
        let all = stored.bytes_of_its_own(&batch(&[&numbers, &texts]));
        assert!((112_000..200_000).contains(&all), "{all}");
        let twice = batch(&[&numbers, &texts, &nested, &numbers]);
        assert_eq!(stored.bytes_of_its_own(&twice), all);
        stored.note(&batch(&[&texts]));
        let numbers_alone = StoredBuffers::default().bytes_of_its_own(&batch(&[&numbers]));
        assert_eq!(stored.bytes_of_its_own(&twice.slice(5, 1)), numbers_alone);
    }
}
