//! A key's bytes: one form for values that come from the log and values that are stored.
//!
//! **Why can a changed row always be found again?** The log and the store write some values differently: the
//! binlog cuts trailing zero bytes off BINARY, an integer may arrive signed or unsigned, an ENUM as text or
//! index. Both sides are brought to one form here before they are encoded, hashed and compared; nothing else in
//! the crate compares keys. Comparison is by bytes, whatever the collation: the binlog's row images carry the
//! exact bytes that were stored.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use crossweave_contract::{ColumnType, PadAttribute, TableDef, Value, ValueRef, encode_key, value_at};
use twox_hash::XxHash3_64;

/// Columns whose values together are looked up: a table's key, or the referencing columns of a foreign key.
#[derive(Debug)]
pub(crate) struct KeyColumns {
    columns: Vec<(usize, ColumnType)>,
    /// Foreign keys match as the server matches them, where trailing spaces do not count. A table's own key is
    /// looked up by exactly what was stored.
    ignore_padding: bool,
}

impl KeyColumns {
    /// The key of `def`.
    pub(crate) fn key_of(def: &TableDef) -> Self {
        Self::new(def, def.key.iter().copied(), false)
    }

    /// Columns of `def` that refer to, or are referred to by, another table.
    pub(crate) fn reference(def: &TableDef, columns: impl IntoIterator<Item = usize>) -> Self {
        Self::new(def, columns, true)
    }

    fn new(def: &TableDef, columns: impl IntoIterator<Item = usize>, ignore_padding: bool) -> Self {
        let columns = columns.into_iter().map(|i| (i, def.columns[i].column_type.clone())).collect();
        Self { columns, ignore_padding }
    }

    /// The columns' indices.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|(index, _)| *index)
    }

    /// Encodes the key of a whole row into `out`, which is cleared first. False if one of its values is NULL.
    pub(crate) fn encode_row(&self, row: &[Value], out: &mut Vec<u8>) -> bool {
        self.encode(self.indices().map(|index| row[index].as_ref()), out)
    }

    /// Encodes a key's values, in the order of the columns. False if one of them is NULL.
    pub(crate) fn encode<'a>(&self, values: impl IntoIterator<Item = ValueRef<'a>>, out: &mut Vec<u8>) -> bool {
        out.clear();
        let mut complete = true;
        for ((_, column_type), value) in self.columns.iter().zip(values) {
            complete &= value != ValueRef::Null;
            encode_key([self.canonical(column_type, value)], out);
        }
        complete
    }

    /// Encodes the key of a stored row. False if one of its values is NULL.
    pub(crate) fn encode_stored(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> bool {
        self.encode(self.columns.iter().map(|(i, column_type)| stored(column_type, batch.column(*i), row)), out)
    }

    /// The index hash of each row of `batch`.
    pub(crate) fn hashes(&self, batch: &RecordBatch) -> Vec<u32> {
        let mut scratch = Vec::new();
        let hash = |row| {
            self.encode_stored(batch, row, &mut scratch);
            hash(&scratch)
        };
        (0..batch.num_rows()).map(hash).collect()
    }

    fn canonical<'a>(&self, column_type: &ColumnType, value: ValueRef<'a>) -> ValueRef<'a> {
        match (column_type, value) {
            (ColumnType::Boolean | ColumnType::Bit { width: 1 }, ValueRef::Int(v)) => ValueRef::Bool(v != 0),
            (ColumnType::Boolean | ColumnType::Bit { width: 1 }, ValueRef::UInt(v)) => ValueRef::Bool(v != 0),
            // A negative number never stands in an unsigned column, so one form holds both.
            (_, ValueRef::UInt(v)) => i64::try_from(v).map_or(ValueRef::UInt(v), ValueRef::Int),
            (ColumnType::Binary { fixed: Some(_) }, ValueRef::Bytes(v)) => {
                let end = v.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                ValueRef::Bytes(&v[..end])
            }
            (ColumnType::Text { collation }, ValueRef::Text(v))
                if self.ignore_padding && collation.pad() == PadAttribute::PadSpace =>
            {
                ValueRef::Text(v.trim_end_matches(' '))
            }
            (ColumnType::Enum { values, .. }, ValueRef::Text(v)) => {
                let index = values.iter().position(|value| value == v).map_or(0, |at| at + 1);
                ValueRef::Enum(index as u16)
            }
            (ColumnType::Decimal { precision: 39.., .. }, ValueRef::Decimal(v)) => {
                ValueRef::WideDecimal(arrow::datatypes::i256::from_i128(v))
            }
            (_, value) => value,
        }
    }
}

/// The hash of an encoded key, as indexes store it.
pub(crate) fn hash(encoded: &[u8]) -> u32 {
    (XxHash3_64::oneshot(encoded) >> 32) as u32
}

/// A key's values as an error shows them.
pub(crate) fn show(columns: &KeyColumns, row: &[Value]) -> String {
    let values: Vec<String> = columns.indices().map(|index| format!("{:?}", row[index])).collect();
    format!("({})", values.join(", "))
}

/// The value at `row`, borrowed where it can be: `value_at` without its allocations.
fn stored<'a>(column_type: &ColumnType, array: &'a dyn Array, row: usize) -> ValueRef<'a> {
    if array.is_null(row) {
        return ValueRef::Null;
    }
    match array.data_type() {
        DataType::Boolean => ValueRef::Bool(array.as_boolean().value(row)),
        DataType::Int8 => ValueRef::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => ValueRef::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => ValueRef::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => ValueRef::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => ValueRef::UInt(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => ValueRef::UInt(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => ValueRef::UInt(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => ValueRef::UInt(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => ValueRef::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => ValueRef::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => ValueRef::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Decimal256(..) => ValueRef::WideDecimal(array.as_primitive::<Decimal256Type>().value(row)),
        DataType::Dictionary(..) => ValueRef::Enum(array.as_dictionary::<UInt16Type>().keys().value(row)),
        DataType::BinaryView => ValueRef::Bytes(array.as_binary_view().value(row)),
        DataType::Date32 => ValueRef::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            ValueRef::Micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Duration(_) => ValueRef::Micros(array.as_primitive::<DurationMicrosecondType>().value(row)),
        DataType::FixedSizeList(_, width) => {
            let width = *width as usize * size_of::<f32>();
            let elements = array.as_fixed_size_list().values().as_primitive::<Float32Type>();
            ValueRef::Bytes(&elements.values().inner().as_slice()[row * width..(row + 1) * width])
        }
        _ => match (column_type, array.as_string_view().value(row)) {
            (ColumnType::Set { .. }, _) => match value_at(column_type, array, row) {
                Value::Set(bits) => ValueRef::Set(bits),
                _ => ValueRef::Null,
            },
            (_, text) => ValueRef::Text(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossweave_contract::{Collation, RowsBuilder};

    use super::*;
    use crate::testing::{column, table};

    /// Each row's key, encoded from the values and from the array that was built of them, is the same.
    fn round_trip(column_type: ColumnType, values: &[Value]) {
        let def = table("t", vec![column("k", column_type)], &[0]);
        let key = KeyColumns::key_of(&def);
        let mut builder = RowsBuilder::new(&def, &[0], values.len());
        for value in values {
            builder.append_row(std::slice::from_ref(value)).unwrap();
        }
        let batch = builder.finish().unwrap();
        let (mut logged, mut kept) = (Vec::new(), Vec::new());
        let mut seen = std::collections::HashSet::new();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(key.encode_row(std::slice::from_ref(value), &mut logged), !value.is_null());
            key.encode_stored(&batch, row, &mut kept);
            assert_eq!(logged, kept, "{value:?}");
            assert!(seen.insert(logged.clone()), "{value:?} is encoded as another value is");
        }
    }

    #[test]
    fn stored_and_logged_values_have_the_same_bytes() {
        use Value::*;
        let collation = Collation::new("utf8mb4", "utf8mb4_bin");
        let members = vec!["a".to_owned(), "b".to_owned()];
        round_trip(ColumnType::BigInt { unsigned: true }, &[UInt(u64::MAX), UInt(0), UInt(7), Null]);
        round_trip(ColumnType::BigInt { unsigned: false }, &[Int(-1), Int(0), Int(i64::MAX)]);
        round_trip(ColumnType::Int { unsigned: true }, &[Int(3), UInt(4)]);
        round_trip(ColumnType::Boolean, &[Int(1), Bool(false)]);
        round_trip(ColumnType::Bit { width: 1 }, &[Bool(true), Bool(false)]);
        round_trip(ColumnType::Binary { fixed: Some(4) }, &[Bytes([1].into()), Bytes([1, 0, 2].into())]);
        round_trip(ColumnType::Binary { fixed: None }, &[Bytes([1].into()), Bytes([1, 0].into())]);
        let text = ColumnType::Text { collation: collation.clone() };
        round_trip(text, &[Text("a".into()), Text("a ".into()), Text("A".into()), Text("".into())]);
        let enum_type = ColumnType::Enum { values: members.clone(), collation: collation.clone() };
        round_trip(enum_type, &[Enum(1), Text("b".into()), Enum(0)]);
        round_trip(ColumnType::Set { values: members, collation }, &[Set(0), Set(3), Set(2)]);
        round_trip(ColumnType::Decimal { precision: 12, scale: 2 }, &[Decimal(-1), Decimal(100)]);
        round_trip(ColumnType::Decimal { precision: 60, scale: 2 }, &[Decimal(-1), Decimal(100)]);
        round_trip(ColumnType::Date, &[Date(-1), Date(1)]);
        round_trip(ColumnType::DateTime { fsp: 6 }, &[Micros(-1), Micros(1)]);
        round_trip(ColumnType::Time { fsp: 0 }, &[Micros(-1_000_000), Micros(1_000_000)]);
        let vector = |x: f32| Bytes([x, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect());
        round_trip(ColumnType::Vector { dimensions: 2 }, &[vector(0.5), vector(-0.5)]);
    }

    #[test]
    fn a_foreign_key_ignores_trailing_spaces_where_its_collation_does() {
        let check = |collation: &str| {
            let text = ColumnType::Text { collation: Collation::new("utf8mb4", collation) };
            let def = Arc::new(table("t", vec![column("k", text)], &[0]));
            let columns = KeyColumns::reference(&def, [0]);
            let (mut left, mut right) = (Vec::new(), Vec::new());
            columns.encode([ValueRef::Text("a")], &mut left);
            columns.encode([ValueRef::Text("a  ")], &mut right);
            left == right
        };
        assert!(check("utf8mb4_bin"));
        assert!(!check("utf8mb4_nopad_bin"));
    }
}
