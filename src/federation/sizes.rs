//! How large the values of rows are, wherever their buffers lie and whoever shares them.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, ByteView, MAX_INLINE_VIEW_LEN, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of the values of `rows` of `batch`, about.
pub fn bytes_of_rows(batch: &RecordBatch, rows: Range<usize>) -> usize {
    batch.columns().iter().map(|column| of(column, rows.clone())).sum()
}

fn of(array: &ArrayRef, rows: Range<usize>) -> usize {
    let count = rows.len();
    match array.data_type() {
        DataType::Utf8 => between(array.as_string::<i32>().value_offsets(), &rows),
        DataType::LargeUtf8 => between(array.as_string::<i64>().value_offsets(), &rows),
        DataType::Binary => between(array.as_binary::<i32>().value_offsets(), &rows),
        DataType::LargeBinary => between(array.as_binary::<i64>().value_offsets(), &rows),
        DataType::Utf8View => of_views(&array.as_string_view().views()[rows]),
        DataType::BinaryView => of_views(&array.as_binary_view().views()[rows]),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            of(list.values(), offsets[rows.start] as usize..offsets[rows.end] as usize)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            of(list.values(), offsets[rows.start] as usize..offsets[rows.end] as usize)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|part| of(part, rows.clone())).sum(),
        DataType::Dictionary(..) => {
            let values = array.as_any_dictionary().values();
            count * of(values, 0..values.len()).div_ceil(values.len().max(1))
        }
        other => count * other.primitive_width().unwrap_or(1),
    }
}

fn between<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> usize {
    (offsets[rows.end] - offsets[rows.start]).as_usize()
}

fn of_views(views: &[u128]) -> usize {
    lengths(views).sum()
}

/// Bytes of the texts among `views` that do not lie in the views themselves.
pub(super) fn beyond_views(views: &[u128]) -> usize {
    lengths(views).filter(|length| *length > MAX_INLINE_VIEW_LEN as usize).sum()
}

fn lengths(views: &[u128]) -> impl Iterator<Item = usize> {
    views.iter().map(|view| ByteView::from(*view).length as usize)
}
