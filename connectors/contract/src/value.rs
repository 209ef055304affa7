//! One value of one column, outside Arrow: what a change carries.

use arrow::datatypes::i256;
use serde::{Deserialize, Serialize};

/// Microseconds of a day.
pub const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// A row's values, in the order of its table's columns.
pub type Row = Box<[Value]>;

/// A value as its [`ColumnType`](crate::ColumnType) has it. Which variant a column uses is fixed by its type:
/// see [`ValueRef`], which this owns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BIT(1), and TINYINT(1) declared boolean.
    Bool(bool),
    /// Signed integers.
    Int(i64),
    /// Unsigned integers, YEAR, BIT(n).
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL to 38 digits: the unscaled number.
    Decimal(i128),
    /// DECIMAL of 39 to 65 digits: the unscaled number, little-endian two's complement.
    WideDecimal([u8; 32]),
    /// Text, JSON, UUID, INET4, INET6.
    Text(Box<str>),
    /// BINARY (filled up to its length), VARBINARY, BLOB, geometry (WKB), VECTOR (little-endian f32s).
    Bytes(Box<[u8]>),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// DATETIME and TIMESTAMP: µs since 1970-01-01 00:00:00 (UTC for TIMESTAMP); TIME: signed µs.
    Micros(i64),
    /// ENUM: the 1-based index; 0 is MariaDB's error value, the empty string.
    Enum(u16),
    /// SET: one bit per member.
    Set(u64),
}

/// A borrowed [`Value`]: what decoders hand to [`ColumnBuilder`](crate::ColumnBuilder) without allocating.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "each variant is the borrowed form of Value's variant of the same name")]
pub enum ValueRef<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Decimal(i128),
    WideDecimal(i256),
    Text(&'a str),
    Bytes(&'a [u8]),
    Date(i32),
    Micros(i64),
    Enum(u16),
    Set(u64),
}

impl Value {
    /// Borrows it.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(v) => ValueRef::Bool(*v),
            Self::Int(v) => ValueRef::Int(*v),
            Self::UInt(v) => ValueRef::UInt(*v),
            Self::Float(v) => ValueRef::Float(*v),
            Self::Double(v) => ValueRef::Double(*v),
            Self::Decimal(v) => ValueRef::Decimal(*v),
            Self::WideDecimal(v) => ValueRef::WideDecimal(i256::from_le_bytes(*v)),
            Self::Text(v) => ValueRef::Text(v),
            Self::Bytes(v) => ValueRef::Bytes(v),
            Self::Date(v) => ValueRef::Date(*v),
            Self::Micros(v) => ValueRef::Micros(*v),
            Self::Enum(v) => ValueRef::Enum(*v),
            Self::Set(v) => ValueRef::Set(*v),
        }
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let held = match self {
            Self::Text(v) => v.len(),
            Self::Bytes(v) => v.len(),
            _ => 0,
        };
        size_of::<Self>() + held
    }
}

impl ValueRef<'_> {
    /// An owned copy.
    pub fn to_owned(&self) -> Value {
        match *self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::UInt(v) => Value::UInt(v),
            Self::Float(v) => Value::Float(v),
            Self::Double(v) => Value::Double(v),
            Self::Decimal(v) => Value::Decimal(v),
            Self::WideDecimal(v) => Value::WideDecimal(v.to_le_bytes()),
            Self::Text(v) => Value::Text(v.into()),
            Self::Bytes(v) => Value::Bytes(v.into()),
            Self::Date(v) => Value::Date(v),
            Self::Micros(v) => Value::Micros(v),
            Self::Enum(v) => Value::Enum(v),
            Self::Set(v) => Value::Set(v),
        }
    }
}

/// Appends the bytes of a key's values to `out`: equal keys give equal bytes and different keys different ones.
/// A NULL is distinct from every value. Bytes do not order as the values do.
pub fn encode_key<'a>(values: impl IntoIterator<Item = ValueRef<'a>>, out: &mut Vec<u8>) {
    for value in values {
        match value {
            ValueRef::Null => out.push(0),
            ValueRef::Bool(v) => out.extend([1, u8::from(v)]),
            ValueRef::Int(v) => fixed(out, 2, &v.to_le_bytes()),
            ValueRef::UInt(v) => fixed(out, 3, &v.to_le_bytes()),
            ValueRef::Float(v) => fixed(out, 4, &(v + 0.0).to_bits().to_le_bytes()),
            ValueRef::Double(v) => fixed(out, 5, &(v + 0.0).to_bits().to_le_bytes()),
            ValueRef::Decimal(v) => fixed(out, 6, &v.to_le_bytes()),
            ValueRef::WideDecimal(v) => fixed(out, 7, &v.to_le_bytes()),
            ValueRef::Text(v) => variable(out, 8, v.as_bytes()),
            ValueRef::Bytes(v) => variable(out, 9, v),
            ValueRef::Date(v) => fixed(out, 10, &v.to_le_bytes()),
            ValueRef::Micros(v) => fixed(out, 11, &v.to_le_bytes()),
            ValueRef::Enum(v) => fixed(out, 12, &v.to_le_bytes()),
            ValueRef::Set(v) => fixed(out, 13, &v.to_le_bytes()),
        }
    }
}

fn fixed(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn variable(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}
