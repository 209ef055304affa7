//! Which memory of a batch is a cache's.
//!
//! A cached scan hands out rows as they are stored, and what passes them on hands on the same buffers: they take no
//! memory but the cache's, however many queries hold them.

use std::collections::HashSet;

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use parking_lot::Mutex;

use super::sizes::beyond_views;

/// Where the buffers begin that one query's cached scans have handed out. The scans find it among the extensions of
/// their session's settings.
#[derive(Debug, Default)]
pub struct StoredBuffers(Mutex<HashSet<usize>>);

impl StoredBuffers {
    /// Notes that the buffers of `batch` are a cache's.
    pub(super) fn note(&self, batch: &RecordBatch) {
        let mut known = self.0.lock();
        for_each_array(batch, &mut |data| {
            known.extend(buffers(data).map(address));
        });
    }

    /// Bytes that are kept in memory for `batch` alone. Of texts that share their buffers with others, as the rows of a
    /// sort do, no more than those of its own rows: the others are counted where they are kept.
    pub fn bytes_of_its_own(&self, batch: &RecordBatch) -> usize {
        let known = self.0.lock();
        let mut counted = HashSet::new();
        let mut bytes = 0;
        for_each_array(batch, &mut |data| {
            let own = buffers(data).filter(|buffer| !known.contains(&address(buffer)));
            let fresh = own.filter(|buffer| counted.insert(address(buffer)));
            bytes += match data.data_type() {
                DataType::Utf8View | DataType::BinaryView => {
                    let is_views = |buffer: &&Buffer| address(buffer) == address(&data.buffers()[0]);
                    let (views, texts): (Vec<&Buffer>, Vec<&Buffer>) = fresh.partition(is_views);
                    let sum =
                        |buffers: &[&Buffer]| buffers.iter().map(|buffer| buffer.capacity()).sum::<usize>();
                    sum(&views) + sum(&texts).min(bytes_of_texts(data))
                }
                _ => fresh.map(Buffer::capacity).sum(),
            };
        });
        bytes
    }
}

fn address(buffer: &Buffer) -> usize {
    buffer.data_ptr().as_ptr() as usize
}

fn buffers(data: &ArrayData) -> impl Iterator<Item = &Buffer> {
    data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer()))
}

/// Bytes of the texts that do not lie in their views.
fn bytes_of_texts(data: &ArrayData) -> usize {
    beyond_views(&data.buffers()[0].typed_data::<u128>()[data.offset()..data.offset() + data.len()])
}

fn for_each_array(batch: &RecordBatch, each: &mut impl FnMut(&ArrayData)) {
    fn walk(data: &ArrayData, each: &mut impl FnMut(&ArrayData)) {
        each(data);
        data.child_data().iter().for_each(|child| walk(child, each));
    }
    batch.columns().iter().for_each(|column| walk(&column.to_data(), each));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, StringViewArray, StructArray};
    use arrow::compute::filter_record_batch;
    use arrow::datatypes::Field;

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
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..1000).map(|_| "x".repeat(100))));
        let (whole, few) = (batch(&[&views]), batch(&[&views.slice(0, 10)]));
        assert!((116_000..200_000).contains(&stored.bytes_of_its_own(&whole)));
        assert_eq!(stored.bytes_of_its_own(&few), stored.bytes_of_its_own(&batch(&[&views.slice(3, 10)])));
        assert!((17_000..20_000).contains(&stored.bytes_of_its_own(&few)), "{}", stored.bytes_of_its_own(&few));
        stored.note(&whole);
        let but_one = BooleanArray::from_iter((0..1000).map(|row| Some(row != 5)));
        let kept = stored.bytes_of_its_own(&filter_record_batch(&whole, &but_one).unwrap());
        assert!((15_000..18_000).contains(&kept), "views alone are new where a row is deleted: {kept}");
        let numbers_alone = StoredBuffers::default().bytes_of_its_own(&batch(&[&numbers]));
        assert_eq!(stored.bytes_of_its_own(&twice.slice(5, 1)), numbers_alone);
    }
}
