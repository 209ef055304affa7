//! The one way from values to Arrow arrays.
//!
//! Live scans, first snapshots and changes all append [`ValueRef`]s here. What MariaDB does to a value on
//! storage (zero bytes cut off BINARY, an ENUM's index in place of its text) is undone here and nowhere else.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, DictionaryArray,
    FixedSizeListBuilder, Float32Builder, PrimitiveBuilder, StringArray, StringViewBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use crate::{ColumnType, ValueRef};

/// A value that its column's type does not allow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{found} is not a value of {expected}")]
pub struct BuildError {
    /// The column's type.
    pub expected: String,
    /// The value, as debug text.
    pub found: String,
}

enum Inner {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(Decimal128Builder),
    WideDecimal(Decimal256Builder),
    Text(StringViewBuilder),
    Set(StringViewBuilder),
    Enum { keys: PrimitiveBuilder<UInt16Type>, values: ArrayRef },
    Bytes(BinaryViewBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Duration(PrimitiveBuilder<DurationMicrosecondType>),
    Vector(FixedSizeListBuilder<Float32Builder>),
}

/// Builds one column's array out of values.
pub struct ColumnBuilder {
    column_type: ColumnType,
    inner: Inner,
    scratch: Vec<u8>,
}

impl ColumnBuilder {
    /// A builder for `column_type` with room for `capacity` rows.
    pub fn new(column_type: &ColumnType, capacity: usize) -> Self {
        Self { inner: Inner::new(column_type, capacity), column_type: column_type.clone(), scratch: Vec::new() }
    }

    /// Appends one value. Fails, appending nothing, for a value that the type does not allow.
    pub fn append(&mut self, value: ValueRef<'_>) -> Result<(), BuildError> {
        let appended = match value {
            ValueRef::Null => {
                self.append_null();
                true
            }
            ValueRef::Bool(v) => self.append_bool(v),
            ValueRef::Int(v) => self.append_int(v),
            ValueRef::UInt(v) => self.append_uint(v),
            ValueRef::Float(v) => self.append_float(v),
            ValueRef::Double(v) => self.append_double(v),
            ValueRef::Decimal(v) => self.append_decimal(v),
            ValueRef::WideDecimal(v) => self.append_wide_decimal(v),
            ValueRef::Text(v) => self.append_text(v),
            ValueRef::Bytes(v) => self.append_bytes(v),
            ValueRef::Date(v) => self.append_date(v),
            ValueRef::Micros(v) => self.append_micros(v),
            ValueRef::Enum(v) => self.append_enum(v),
            ValueRef::Set(v) => self.append_set(v),
        };
        match appended {
            true => Ok(()),
            false => {
                Err(BuildError { expected: format!("{:?}", self.column_type), found: format!("{value:?}") })
            }
        }
    }

    fn append_bool(&mut self, value: bool) -> bool {
        match &mut self.inner {
            Inner::Bool(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    /// As [`append`](Self::append), of a [`ValueRef::Int`]; false where the type does not allow it. This and the next
    /// are for decoders, which know at each place what they have, and for which a [`ValueRef`] is a detour through memory.
    #[inline]
    pub fn append_int(&mut self, value: i64) -> bool {
        match &mut self.inner {
            Inner::Bool(b) => append_some(zero_or_one(value), |v| b.append_value(v)),
            Inner::Int8(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::Int16(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::Int32(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::Int64(b) => append_some(Some(value), |v| b.append_value(v)),
            Inner::UInt8(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::UInt16(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::UInt32(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            Inner::UInt64(b) => append_some(value.try_into().ok(), |v| b.append_value(v)),
            _ => false,
        }
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::UInt`].
    #[inline]
    pub fn append_uint(&mut self, value: u64) -> bool {
        match (&mut self.inner, i64::try_from(value)) {
            (Inner::UInt64(b), _) => append_some(Some(value), |v| b.append_value(v)),
            (_, Ok(value)) => self.append_int(value),
            (_, Err(_)) => false,
        }
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Float`].
    #[inline]
    pub fn append_float(&mut self, value: f32) -> bool {
        match &mut self.inner {
            Inner::Float32(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Double`].
    #[inline]
    pub fn append_double(&mut self, value: f64) -> bool {
        match &mut self.inner {
            Inner::Float64(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Decimal`].
    #[inline]
    pub fn append_decimal(&mut self, value: i128) -> bool {
        match &mut self.inner {
            Inner::Decimal(b) => b.append_value(value),
            Inner::WideDecimal(b) => b.append_value(i256::from_i128(value)),
            _ => return false,
        }
        true
    }

    fn append_wide_decimal(&mut self, value: i256) -> bool {
        match &mut self.inner {
            Inner::WideDecimal(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Text`].
    #[inline]
    pub fn append_text(&mut self, value: &str) -> bool {
        match &mut self.inner {
            Inner::Text(b) | Inner::Set(b) => b.append_value(value),
            Inner::Enum { keys, .. } => {
                return append_some(enum_index(&self.column_type, value), |v| keys.append_value(v));
            }
            _ => return false,
        }
        true
    }

    fn append_bytes(&mut self, value: &[u8]) -> bool {
        match (&mut self.inner, &self.column_type) {
            (Inner::Bytes(b), ColumnType::Binary { fixed: Some(length) }) if value.len() < *length as usize => {
                self.scratch.clear();
                self.scratch.extend_from_slice(value);
                self.scratch.resize(*length as usize, 0);
                b.append_value(&self.scratch);
            }
            (Inner::Bytes(b), _) => b.append_value(value),
            (Inner::Vector(b), _) => return append_vector(b, value).is_some(),
            _ => return false,
        }
        true
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Date`].
    #[inline]
    pub fn append_date(&mut self, value: i32) -> bool {
        match &mut self.inner {
            Inner::Date(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    /// As [`append_int`](Self::append_int), of a [`ValueRef::Micros`].
    #[inline]
    pub fn append_micros(&mut self, value: i64) -> bool {
        match &mut self.inner {
            Inner::Timestamp(b) => b.append_value(value),
            Inner::Duration(b) => b.append_value(value),
            _ => return false,
        }
        true
    }

    fn append_enum(&mut self, index: u16) -> bool {
        match &mut self.inner {
            Inner::Enum { keys, values } if usize::from(index) < values.len() => keys.append_value(index),
            _ => return false,
        }
        true
    }

    fn append_set(&mut self, bits: u64) -> bool {
        match &mut self.inner {
            Inner::Set(b) => append_some(set_text(&self.column_type, bits), |v| b.append_value(v)),
            _ => false,
        }
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        match &mut self.inner {
            Inner::Bool(b) => b.append_null(),
            Inner::Int8(b) => b.append_null(),
            Inner::Int16(b) => b.append_null(),
            Inner::Int32(b) => b.append_null(),
            Inner::Int64(b) => b.append_null(),
            Inner::UInt8(b) => b.append_null(),
            Inner::UInt16(b) => b.append_null(),
            Inner::UInt32(b) => b.append_null(),
            Inner::UInt64(b) => b.append_null(),
            Inner::Float32(b) => b.append_null(),
            Inner::Float64(b) => b.append_null(),
            Inner::Decimal(b) => b.append_null(),
            Inner::WideDecimal(b) => b.append_null(),
            Inner::Text(b) | Inner::Set(b) => b.append_null(),
            Inner::Enum { keys, .. } => keys.append_null(),
            Inner::Bytes(b) => b.append_null(),
            Inner::Date(b) => b.append_null(),
            Inner::Timestamp(b) => b.append_null(),
            Inner::Duration(b) => b.append_null(),
            Inner::Vector(b) => {
                for _ in 0..b.value_length() {
                    b.values().append_value(0.0);
                }
                b.append(false);
            }
        }
    }

    /// The array of what was appended; the builder starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.inner {
            Inner::Bool(b) => Arc::new(b.finish()),
            Inner::Int8(b) => Arc::new(b.finish()),
            Inner::Int16(b) => Arc::new(b.finish()),
            Inner::Int32(b) => Arc::new(b.finish()),
            Inner::Int64(b) => Arc::new(b.finish()),
            Inner::UInt8(b) => Arc::new(b.finish()),
            Inner::UInt16(b) => Arc::new(b.finish()),
            Inner::UInt32(b) => Arc::new(b.finish()),
            Inner::UInt64(b) => Arc::new(b.finish()),
            Inner::Float32(b) => Arc::new(b.finish()),
            Inner::Float64(b) => Arc::new(b.finish()),
            Inner::Decimal(b) => Arc::new(b.finish()),
            Inner::WideDecimal(b) => Arc::new(b.finish()),
            Inner::Text(b) | Inner::Set(b) => Arc::new(b.finish()),
            Inner::Enum { keys, values } => {
                // Every key was checked against the dictionary when it was appended.
                Arc::new(DictionaryArray::new(keys.finish(), Arc::clone(values)))
            }
            Inner::Bytes(b) => Arc::new(b.finish()),
            Inner::Date(b) => Arc::new(b.finish()),
            Inner::Timestamp(b) => Arc::new(b.finish()),
            Inner::Duration(b) => Arc::new(b.finish()),
            Inner::Vector(b) => Arc::new(b.finish()),
        }
    }
}

impl Inner {
    fn new(column_type: &ColumnType, capacity: usize) -> Self {
        if let ColumnType::Enum { values, .. } = column_type {
            let entries = std::iter::once("").chain(values.iter().map(String::as_str));
            return Self::Enum {
                keys: PrimitiveBuilder::with_capacity(capacity),
                values: Arc::new(StringArray::from_iter_values(entries)),
            };
        }
        let data_type = column_type.data_type();
        match &data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int8 => Self::Int8(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Int16 => Self::Int16(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Int32 => Self::Int32(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::with_capacity(capacity)),
            DataType::UInt8 => Self::UInt8(PrimitiveBuilder::with_capacity(capacity)),
            DataType::UInt16 => Self::UInt16(PrimitiveBuilder::with_capacity(capacity)),
            DataType::UInt32 => Self::UInt32(PrimitiveBuilder::with_capacity(capacity)),
            DataType::UInt64 => Self::UInt64(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Float32 => Self::Float32(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Float64 => Self::Float64(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Decimal128(..) => {
                Self::Decimal(Decimal128Builder::with_capacity(capacity).with_data_type(data_type))
            }
            DataType::Decimal256(..) => {
                Self::WideDecimal(Decimal256Builder::with_capacity(capacity).with_data_type(data_type))
            }
            DataType::BinaryView => Self::Bytes(BinaryViewBuilder::with_capacity(capacity)),
            DataType::Date32 => Self::Date(PrimitiveBuilder::with_capacity(capacity)),
            DataType::Timestamp(..) => {
                Self::Timestamp(PrimitiveBuilder::with_capacity(capacity).with_data_type(data_type))
            }
            DataType::Duration(_) => Self::Duration(PrimitiveBuilder::with_capacity(capacity)),
            DataType::FixedSizeList(item, length) => Self::Vector(
                FixedSizeListBuilder::with_capacity(Float32Builder::new(), *length, capacity)
                    .with_field(Arc::clone(item)),
            ),
            _ if matches!(column_type, ColumnType::Set { .. }) => {
                Self::Set(StringViewBuilder::with_capacity(capacity))
            }
            _ => Self::Text(StringViewBuilder::with_capacity(capacity)),
        }
    }
}

fn zero_or_one(value: i64) -> Option<bool> {
    match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[inline]
fn append_some<T>(value: Option<T>, append: impl FnOnce(T)) -> bool {
    value.map(append).is_some()
}

fn append_vector(builder: &mut FixedSizeListBuilder<Float32Builder>, bytes: &[u8]) -> Option<()> {
    let (elements, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || elements.len() != usize::try_from(builder.value_length()).ok()? {
        return None;
    }
    for element in elements {
        builder.values().append_value(f32::from_le_bytes(*element));
    }
    builder.append(true);
    Some(())
}

fn set_text(column_type: &ColumnType, bits: u64) -> Option<String> {
    let ColumnType::Set { values, .. } = column_type else { return None };
    if values.len() < 64 && bits >> values.len() != 0 {
        return None;
    }
    let members = values.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    Some(members.map(|(_, member)| member.as_str()).collect::<Vec<_>>().join(","))
}

pub(crate) fn enum_index(column_type: &ColumnType, text: &str) -> Option<u16> {
    let ColumnType::Enum { values, .. } = column_type else { return None };
    if text.is_empty() && !values.iter().any(String::is_empty) {
        return Some(0);
    }
    let index = values.iter().position(|value| value == text)?;
    u16::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collation, Value, value_at};

    fn round_trip(column_type: ColumnType, values: &[Value]) {
        let mut builder = ColumnBuilder::new(&column_type, values.len());
        for value in values {
            builder.append(value.as_ref()).unwrap();
        }
        let array = builder.finish();
        assert_eq!(array.data_type(), &column_type.data_type());
        for (row, value) in values.iter().enumerate() {
            assert_eq!(&value_at(&column_type, &array, row), value, "{column_type:?}");
        }
    }

    fn collation() -> Collation {
        Collation::new("utf8mb4", "utf8mb4_general_ci")
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        use Value::*;
        round_trip(ColumnType::BigInt { unsigned: true }, &[UInt(u64::MAX), Null, UInt(0)]);
        round_trip(ColumnType::TinyInt { unsigned: false }, &[Int(-128), Int(127), Null]);
        round_trip(ColumnType::Bit { width: 1 }, &[Bool(true), Bool(false), Null]);
        round_trip(ColumnType::Decimal { precision: 38, scale: 10 }, &[Decimal(i128::MAX / 10), Null]);
        let wide = WideDecimal(i256::from_string(&"9".repeat(65)).unwrap().to_le_bytes());
        round_trip(ColumnType::Decimal { precision: 65, scale: 30 }, &[wide, Null]);
        round_trip(ColumnType::Text { collation: collation() }, &[Text("a ".into()), Text("".into()), Null]);
        let values = vec!["new".to_owned(), "paid".to_owned()];
        let enum_type = ColumnType::Enum { values: values.clone(), collation: collation() };
        round_trip(enum_type, &[Enum(2), Enum(0), Null, Enum(1)]);
        round_trip(ColumnType::Set { values, collation: collation() }, &[Set(3), Set(0), Null, Set(2)]);
        round_trip(ColumnType::Binary { fixed: Some(2) }, &[Bytes([1, 0].into()), Null]);
        round_trip(ColumnType::Time { fsp: 6 }, &[Micros(-3_020_399_000_000), Null]);
        round_trip(ColumnType::Timestamp { fsp: 6 }, &[Micros(1), Null]);
        round_trip(ColumnType::Date, &[Date(-719_162), Null]);
        let vector = Bytes([1.5f32, -0.0].iter().flat_map(|v| v.to_le_bytes()).collect());
        round_trip(ColumnType::Vector { dimensions: 2 }, &[vector, Null]);
    }

    #[test]
    fn binary_is_filled_up_with_the_zero_bytes_that_storage_cut_off() {
        let column_type = ColumnType::Binary { fixed: Some(4) };
        let mut builder = ColumnBuilder::new(&column_type, 1);
        builder.append(ValueRef::Bytes(&[7])).unwrap();
        assert_eq!(value_at(&column_type, &builder.finish(), 0), Value::Bytes([7, 0, 0, 0].into()));
    }

    #[test]
    fn refuses_values_that_the_type_does_not_allow() {
        let refuse = |column_type: ColumnType, value: Value| {
            assert!(ColumnBuilder::new(&column_type, 1).append(value.as_ref()).is_err(), "{column_type:?}");
        };
        refuse(ColumnType::Boolean, Value::Int(2));
        refuse(ColumnType::TinyInt { unsigned: true }, Value::Int(-1));
        refuse(ColumnType::Enum { values: vec![], collation: collation() }, Value::Enum(1));
        refuse(ColumnType::Set { values: vec!["a".into()], collation: collation() }, Value::Set(2));
        refuse(ColumnType::Vector { dimensions: 3 }, Value::Bytes([0; 8].into()));
        refuse(ColumnType::Date, Value::Text("2020-01-01".into()));
    }
}
