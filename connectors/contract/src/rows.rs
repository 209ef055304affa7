//! Batches of rows, and the way back from Arrow arrays to values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::builder::enum_index;
use crate::{BuildError, ColumnBuilder, ColumnType, RemoteColumn, Row, TableDef, Value};

/// Builds record batches of a table's rows.
pub struct RowsBuilder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
}

impl RowsBuilder {
    /// A builder for the columns `columns` (indices) of `table`, with room for `capacity` rows.
    pub fn new(table: &TableDef, columns: &[usize], capacity: usize) -> Self {
        let columns = columns.iter().filter_map(|&i| table.columns.get(i));
        Self::with(columns.map(|c| (c.name.as_str(), &c.column_type, c.nullable)), capacity)
    }

    /// A builder for what a source answers as `columns`, with room for `capacity` rows.
    pub fn of(columns: &[RemoteColumn], capacity: usize) -> Self {
        Self::with(columns.iter().map(|c| (c.name().unwrap_or(""), &c.column_type, c.nullable)), capacity)
    }

    fn with<'a>(
        columns: impl Iterator<Item = (&'a str, &'a ColumnType, bool)> + Clone,
        capacity: usize,
    ) -> Self {
        let fields = columns.clone().map(|(name, column_type, nullable)| column_type.field(name, nullable));
        Self {
            schema: Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())),
            columns: columns.map(|(_, column_type, _)| ColumnBuilder::new(column_type, capacity)).collect(),
            rows: 0,
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows appended since the last [`finish`](Self::finish).
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether nothing was appended since the last [`finish`](Self::finish).
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns' builders, for a decoder that fills them one by one; it calls [`end_row`](Self::end_row)
    /// after each row.
    pub fn columns_mut(&mut self) -> &mut [ColumnBuilder] {
        &mut self.columns
    }

    /// Counts a row whose values were appended through [`columns_mut`](Self::columns_mut).
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Appends a whole row.
    pub fn append_row(&mut self, row: &[Value]) -> Result<(), BuildError> {
        for (builder, value) in self.columns.iter_mut().zip(row) {
            builder.append(value.as_ref())?;
        }
        self.end_row();
        Ok(())
    }

    /// The batch of what was appended; the builder starts anew.
    pub fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// The value at `row` of `array`, which holds a column of `column_type`: the inverse of [`ColumnBuilder`].
///
/// # Panics
///
/// If `array` is not of `column_type`'s Arrow type, or `row` is out of bounds.
pub fn value_at(column_type: &ColumnType, array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match column_type.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::UInt(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::UInt(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::UInt(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => Value::UInt(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => {
            Value::Decimal(array.as_primitive::<arrow::datatypes::Decimal128Type>().value(row))
        }
        DataType::Decimal256(..) => {
            let wide = array.as_primitive::<arrow::datatypes::Decimal256Type>().value(row);
            Value::WideDecimal(wide.to_le_bytes())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<UInt16Type>();
            let key = dictionary.keys().value(row);
            let text = dictionary.values().as_string::<i32>().value(key.into());
            Value::Enum(enum_index(column_type, text).unwrap_or(key))
        }
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).into()),
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => Value::Micros(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Duration(_) => Value::Micros(array.as_primitive::<DurationMicrosecondType>().value(row)),
        DataType::FixedSizeList(..) => {
            let elements = array.as_fixed_size_list().value(row);
            let elements = elements.as_primitive::<Float32Type>();
            Value::Bytes(elements.values().iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        _ => {
            let text = array.as_string_view().value(row);
            match column_type {
                ColumnType::Set { .. } => Value::Set(set_bits(column_type, text)),
                _ => Value::Text(text.into()),
            }
        }
    }
}

/// Row `row` of `batch`, which holds all columns of `table` in order.
///
/// # Panics
///
/// As [`value_at`] does.
pub fn row_values(table: &TableDef, batch: &RecordBatch, row: usize) -> Row {
    let columns = table.columns.iter().zip(batch.columns());
    columns.map(|(column, array)| value_at(&column.column_type, array, row)).collect()
}

fn set_bits(column_type: &ColumnType, text: &str) -> u64 {
    let ColumnType::Set { values, .. } = column_type else { return 0 };
    let bit = |member: &str| values.iter().position(|value| value == member).map_or(0, |bit| 1 << bit);
    text.split(',').map(bit).fold(0, |bits, bit| bits | bit)
}
