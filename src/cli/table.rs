//! Tables in the terminal.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;

use super::failure::Failure;

/// `rows` under `columns`, aligned, whatever the scripts of the texts.
pub(super) fn format(columns: &[String], rows: &[Vec<String>]) -> Result<String, Failure> {
    if columns.is_empty() {
        return Ok(String::new());
    }
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    let arrays = (0..columns.len()).map(|column| {
        let cells = rows.iter().map(|row| row.get(column).map_or("", String::as_str));
        Arc::new(StringArray::from_iter_values(cells)) as ArrayRef
    });
    let formatted = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect())
        .and_then(|batch| pretty_format_batches(&[batch]).map(|table| table.to_string()));
    formatted
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(format!("the rows cannot be printed: {error}")))
}
