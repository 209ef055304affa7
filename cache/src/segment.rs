//! Segments: immutable Arrow batches, the unit of storage on heap and on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, DictionaryArray, RecordBatch, RecordBatchOptions,
    StringViewArray,
};
use arrow::compute::{concat, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef, UInt16Type};
use arrow::error::ArrowError;

use crate::bits::DeleteBits;

/// The most rows a segment has: a row's number in it fits 16 bits.
pub(crate) const SEGMENT_ROWS: usize = 1 << 16;

/// Gives each segment of a service a number of its own, across restarts too: a segment's file is named by it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentIds(Arc<AtomicU64>);

impl SegmentIds {
    /// A number that was not given before.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// From here on gives only numbers above `used`.
    pub(crate) fn skip(&self, used: u64) {
        self.0.fetch_max(used + 1, Ordering::Relaxed);
    }
}

/// Rows that never change.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) batch: RecordBatch,
    pub(crate) bytes: usize,
}

impl Segment {
    pub(crate) fn new(id: u64, batch: RecordBatch) -> Self {
        debug_assert!(batch.num_rows() <= SEGMENT_ROWS);
        let bytes = batch.columns().iter().map(|column| array_bytes(column)).sum();
        Self { id, batch, bytes }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }
}

/// Bytes that an array's values take, without what it shares with its neighbours: an ENUM's dictionary, the
/// rest of a file's buffer.
fn array_bytes(array: &dyn Array) -> usize {
    let data = array.to_data();
    let nulls = data.nulls().map_or(0, |nulls| nulls.buffer().len());
    let own: usize = data.buffers().iter().map(|buffer| buffer.len()).sum();
    let children: usize = match data.data_type() {
        DataType::Dictionary(..) => 0,
        _ => data.child_data().iter().flat_map(|child| child.buffers()).map(|buffer| buffer.len()).sum(),
    };
    nulls + own + children
}

/// A segment as of one state of its table: with the rows that are deleted by then.
#[derive(Debug, Clone)]
pub(crate) struct SegmentView {
    pub(crate) segment: Arc<Segment>,
    pub(crate) deleted: Option<Arc<DeleteBits>>,
}

impl SegmentView {
    pub(crate) fn whole(segment: Arc<Segment>) -> Self {
        Self { segment, deleted: None }
    }

    pub(crate) fn live_rows(&self) -> usize {
        self.segment.rows() - self.deleted.as_ref().map_or(0, |bits| bits.deleted())
    }

    pub(crate) fn is_live(&self, row: usize) -> bool {
        !self.deleted.as_ref().is_some_and(|bits| bits.get(row))
    }

    /// Deletes `row`; false if it was deleted already.
    pub(crate) fn delete(&mut self, row: usize) -> bool {
        let rows = self.segment.rows();
        let bits = self.deleted.get_or_insert_with(|| Arc::new(DeleteBits::none(rows)));
        Arc::make_mut(bits).set(row)
    }

    /// The live rows of the columns in `projection`, all if it is `None`. Copies nothing where nothing is
    /// deleted.
    pub(crate) fn live_batch(&self, projection: Option<&[usize]>) -> Result<RecordBatch, ArrowError> {
        self.live_of(self.stored_batch(projection)?)
    }

    /// All rows of the columns in `projection`, all if it is `None`.
    pub(crate) fn stored_batch(&self, projection: Option<&[usize]>) -> Result<RecordBatch, ArrowError> {
        match projection {
            Some(columns) => self.segment.batch.project(columns),
            None => Ok(self.segment.batch.clone()),
        }
    }

    /// The live rows of `stored`.
    pub(crate) fn live_of(&self, stored: RecordBatch) -> Result<RecordBatch, ArrowError> {
        match &self.deleted {
            Some(bits) if bits.deleted() > 0 => filter_record_batch(&stored, &bits.live(stored.num_rows())),
            _ => Ok(stored),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.segment.bytes + self.deleted.as_ref().map_or(0, |bits| size_of_val(bits.words()))
    }
}

/// One batch of the rows of `parts`, in their order, sharing no memory with them but an ENUM's dictionary.
pub(crate) fn gather(schema: &SchemaRef, parts: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let rows = parts.iter().map(RecordBatch::num_rows).sum();
    let columns = (0..schema.fields().len()).map(|column| {
        let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.column(column).as_ref()).collect();
        gather_column(&arrays)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn gather_column(arrays: &[&dyn Array]) -> Result<ArrayRef, ArrowError> {
    // Of a single array, Arrow's concatenation would make a slice that keeps the whole of it alive.
    let none = arrays[0].slice(0, 0);
    let arrays: Vec<&dyn Array> = arrays.iter().copied().chain([none.as_ref()]).collect();
    let arrays = arrays.as_slice();
    match arrays.first().map(|array| array.data_type()) {
        // Arrow's own concatenation may merge dictionaries, which would renumber the ENUM's values.
        Some(DataType::Dictionary(..)) => {
            let dictionaries: Vec<_> = arrays.iter().map(|array| array.as_dictionary::<UInt16Type>()).collect();
            let keys: Vec<&dyn Array> = dictionaries.iter().map(|d| d.keys() as &dyn Array).collect();
            let keys = concat(&keys)?.as_primitive::<UInt16Type>().clone();
            Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(dictionaries[0].values()))?))
        }
        // Arrow's own concatenation keeps the buffers of all inputs, deleted rows' texts included.
        Some(DataType::Utf8View) => {
            let array: StringViewArray = concat(arrays)?.as_string_view().gc();
            Ok(Arc::new(array))
        }
        Some(DataType::BinaryView) => {
            let array: BinaryViewArray = concat(arrays)?.as_binary_view().gc();
            Ok(Arc::new(array))
        }
        _ => concat(arrays),
    }
}
