//! How a literal is bound so that the server compares it as what it is.
//!
//! A decimal bound as text would make the comparison one of doubles, and a time cast without digits after the
//! second would lose its microseconds; so these say their type.

use arrow::datatypes::i256;
use crossweave_contract::{ColumnType, MICROS_OF_A_DAY, Value};
use mysql_async::Value as Bound;

use crate::values::{date_text, datetime_text, decimal_text, time_text};

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01: the dates that are dates on both sides.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// The same in µs.
const DATETIMES: std::ops::RangeInclusive<i64> = -719_162 * MICROS_OF_A_DAY..=2_932_897 * MICROS_OF_A_DAY - 1;

/// −838:59:59.999999 to 838:59:59.999999 in µs.
const TIMES: std::ops::RangeInclusive<i64> = -3_020_399_999_999..=3_020_399_999_999;

/// A literal, as the server is given it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::scan) enum Literal {
    /// Bound.
    Bound {
        /// What stands in the statement: `?`, with a cast where the type would be lost.
        placeholder: String,
        /// What is bound.
        value: Bound,
    },
    /// A date or time that no column can hold.
    Beyond {
        /// Later than all of them; else earlier.
        above: bool,
    },
}

/// How `value` of `column_type` is bound; `None` for types that are not compared on the server.
pub(in crate::scan) fn bind(value: &Value, column_type: &ColumnType) -> Option<Literal> {
    let plain = |value| Some(Literal::Bound { placeholder: "?".to_owned(), value });
    match value {
        Value::Null => plain(Bound::NULL),
        Value::Bool(v) => plain(Bound::Int(i64::from(*v))),
        Value::Int(v) => plain(Bound::Int(*v)),
        Value::UInt(v) => plain(Bound::UInt(*v)),
        Value::Float(v) => plain(Bound::Float(*v)),
        Value::Double(v) => plain(Bound::Double(*v)),
        Value::Decimal(v) => decimal(i256::from_i128(*v), column_type),
        Value::WideDecimal(v) => decimal(i256::from_le_bytes(*v), column_type),
        Value::Text(v) => Some(Literal::Bound {
            placeholder: text_placeholder(column_type).to_owned(),
            value: Bound::Bytes(v.as_bytes().to_vec()),
        }),
        Value::Bytes(_) if matches!(column_type, ColumnType::Geometry | ColumnType::Vector { .. }) => None,
        Value::Bytes(v) => cast(v.to_vec(), "BINARY"),
        Value::Date(v) if DATES.contains(v) => cast(date_text(*v), "DATE"),
        Value::Date(v) => Some(Literal::Beyond { above: *v > 0 }),
        Value::Micros(v) if matches!(column_type, ColumnType::Time { .. }) => match TIMES.contains(v) {
            true => cast(time_text(*v), "TIME(6)"),
            false => Some(Literal::Beyond { above: *v > 0 }),
        },
        Value::Micros(v) if DATETIMES.contains(v) => cast(datetime_text(*v), "DATETIME(6)"),
        Value::Micros(v) => Some(Literal::Beyond { above: *v > 0 }),
        Value::Enum(index) => match column_type {
            ColumnType::Enum { values, .. } => {
                let text =
                    usize::from(*index).checked_sub(1).map_or(Some(""), |i| values.get(i).map(String::as_str));
                plain(Bound::Bytes(text?.as_bytes().to_vec()))
            }
            _ => None,
        },
        Value::Set(_) => None,
    }
}

fn decimal(unscaled: i256, column_type: &ColumnType) -> Option<Literal> {
    let ColumnType::Decimal { precision, scale } = column_type else { return None };
    cast(decimal_text(unscaled, *scale), &format!("DECIMAL({precision},{scale})"))
}

fn text_placeholder(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Uuid => "CAST(? AS UUID)",
        ColumnType::Inet4 => "CAST(? AS INET4)",
        ColumnType::Inet6 => "CAST(? AS INET6)",
        _ => "?",
    }
}

fn cast(value: impl Into<Vec<u8>>, to: &str) -> Option<Literal> {
    Some(Literal::Bound { placeholder: format!("CAST(? AS {to})"), value: Bound::Bytes(value.into()) })
}
