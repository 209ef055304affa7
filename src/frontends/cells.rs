//! Values as text and as JSON: one encoding for every frontend.
//!
//! What a client sees of a value depends on its type alone, never on its route:
//!
//! | type | text | in JSON |
//! | --- | --- | --- |
//! | integers | digits | a number to ±2^53, beyond that a string |
//! | DECIMAL | digits, all of the scale | a string |
//! | FLOAT, DOUBLE | shortest that reads back the same | a number; `NaN`, `Infinity` as strings |
//! | BOOLEAN, BIT(1) | `true`, `false` | the same |
//! | text, ENUM, SET, UUID, … | itself | a string |
//! | JSON | itself | a string, or itself where [`Style::embed_json`] says so |
//! | binary, geometry | base64 | a string |
//! | DATE | `2024-02-29` | a string |
//! | DATETIME | `2024-02-29T10:00:00.5`, with the column's digits | a string |
//! | TIMESTAMP | the same with `Z` | a string |
//! | TIME | `-838:59:59`, as MariaDB shows it | a string |
//! | lists, structs | their JSON | themselves |

use std::fmt::Write as _;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, LargeBinaryArray, LargeStringArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Field, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use crossweave_contract::{ColumnType, column_type_of};

use crate::federation::entry_places;

/// The largest integer that every JSON reader holds exactly.
const EXACT: u64 = 1 << 53;
/// Days from 0001-01-01 to 1970-01-01, counted from 1.
const EPOCH_FROM_CE: i32 = 719_163;

/// How a column's values are written; made once per column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Digits after the second, where the column says it.
    fsp: Option<u8>,
    json: bool,
    /// Whether JSON values stand in JSON as themselves.
    embed_json: bool,
    /// Whether integers beyond ±2^53 are numbers in JSON all the same.
    big_numbers: bool,
}

impl Style {
    /// The style of `field`.
    pub fn of(field: &Field) -> Self {
        let column_type = column_type_of(field);
        let fsp = match column_type {
            Some(ColumnType::DateTime { fsp } | ColumnType::Timestamp { fsp } | ColumnType::Time { fsp }) => {
                Some(fsp)
            }
            _ => None,
        };
        let json = matches!(column_type, Some(ColumnType::Json { .. }));
        Self { fsp, json, embed_json: false, big_numbers: false }
    }

    /// Lets values of a JSON column stand in JSON as themselves.
    #[must_use]
    pub fn embed_json(mut self) -> Self {
        self.embed_json = true;
        self
    }

    /// Lets integers beyond ±2^53 be numbers in JSON.
    #[must_use]
    pub fn big_numbers(mut self) -> Self {
        self.big_numbers = true;
        self
    }
}

/// The name of a column's type, as answers state it.
pub fn type_name(field: &Field) -> String {
    if matches!(column_type_of(field), Some(ColumnType::Json { .. })) {
        return "json".to_owned();
    }
    if matches!(column_type_of(field), Some(ColumnType::Uuid)) {
        return "uuid".to_owned();
    }
    arrow_type_name(field.data_type())
}

fn arrow_type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Dictionary(_, values) => return arrow_type_name(values),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary"
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            return format!("decimal({precision},{scale})");
        }
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "datetime",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Duration(_) => "time",
        DataType::Interval(_) => "interval",
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return format!("list({})", arrow_type_name(item.data_type()));
        }
        DataType::Struct(_) => "struct",
        other => return other.to_string().to_lowercase(),
    };
    name.to_owned()
}

type Get<'a, T> = Box<dyn Fn(usize) -> T + Send + Sync + 'a>;

/// The values of one array, ready to be written.
pub struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
    style: &'a Style,
}

enum Kind<'a> {
    Null,
    Bool(&'a BooleanArray),
    Signed(Get<'a, i64>),
    Unsigned(Get<'a, u64>),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal128(&'a Decimal128Array),
    Decimal256(&'a Decimal256Array),
    Text(Get<'a, &'a str>),
    Bytes(Get<'a, &'a [u8]>),
    /// Days since 1970-01-01.
    Date(Get<'a, i64>),
    /// Nanoseconds since 1970-01-01, and whether they are of UTC.
    Timestamp(Get<'a, i128>, bool),
    /// Nanoseconds.
    Time(Get<'a, i128>),
    /// Which entry, and the entries.
    Dictionary(Get<'a, usize>, Box<Cells<'a>>),
    /// First and past-last element, and the elements.
    List(Get<'a, (usize, usize)>, Box<Cells<'a>>),
    Struct(&'a StructArray, Vec<Cells<'a>>),
    Other(Option<ArrayFormatter<'a>>),
}

impl<'a> Cells<'a> {
    /// The values of `array`, written in `style`.
    pub fn new(array: &'a ArrayRef, style: &'a Style) -> Self {
        Self { array, kind: kind(array, style), style }
    }

    /// Whether the value at `row` is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Dictionary(key, entries) => self.array.is_null(row) || entries.is_null(key(row)),
            _ => self.array.is_null(row),
        }
    }

    /// Appends the text of the value at `row`; nothing for NULL.
    pub fn write_text(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return;
        }
        // Writing to a string cannot fail; a formatter that refuses a value leaves it out.
        let _ = match &self.kind {
            Kind::Null => Ok(()),
            Kind::Bool(array) => write!(out, "{}", array.value(row)),
            Kind::Signed(get) => write!(out, "{}", get(row)),
            Kind::Unsigned(get) => write!(out, "{}", get(row)),
            Kind::Float32(array) => write_float(f64::from(array.value(row)), array.value(row), out),
            Kind::Float64(array) => write_float(array.value(row), array.value(row), out),
            Kind::Decimal128(array) => out.write_str(&array.value_as_string(row)),
            Kind::Decimal256(array) => out.write_str(&array.value_as_string(row)),
            Kind::Text(get) => out.write_str(get(row)),
            Kind::Bytes(get) => {
                write_base64(get(row), out);
                Ok(())
            }
            Kind::Date(get) => write_date(get(row), out),
            Kind::Timestamp(get, utc) => write_timestamp(get(row), *utc, self.style.fsp, out),
            Kind::Time(get) => write_time(get(row), self.style.fsp, out),
            Kind::Dictionary(key, entries) => {
                entries.write_text(key(row), out);
                Ok(())
            }
            Kind::List(..) | Kind::Struct(..) => {
                self.write_json(row, out);
                Ok(())
            }
            Kind::Other(formatter) => {
                formatter.as_ref().map_or(Ok(()), |formatter| write!(out, "{}", formatter.value(row)))
            }
        };
    }

    /// Appends the value at `row` as JSON.
    pub fn write_json(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str("null");
            return;
        }
        let exact = |magnitude: u64| magnitude <= EXACT || self.style.big_numbers;
        let bare = match &self.kind {
            Kind::Bool(_) => true,
            Kind::Signed(get) => exact(get(row).unsigned_abs()),
            Kind::Unsigned(get) => exact(get(row)),
            Kind::Float32(array) => array.value(row).is_finite(),
            Kind::Float64(array) => array.value(row).is_finite(),
            Kind::Text(get) => {
                if self.style.json && self.style.embed_json {
                    out.push_str(get(row));
                } else {
                    write_json_string(get(row), out);
                }
                return;
            }
            Kind::Dictionary(key, entries) => return entries.write_json(key(row), out),
            Kind::List(range, items) => return write_list(range(row), items, out),
            Kind::Struct(array, members) => return write_struct(array, members, row, out),
            _ => false,
        };
        if bare {
            self.write_text(row, out);
        } else if let Kind::Other(_) = self.kind {
            let mut text = String::new();
            self.write_text(row, &mut text);
            write_json_string(&text, out);
        } else {
            out.push('"');
            self.write_text(row, out);
            out.push('"');
        }
    }
}

fn kind<'a>(array: &'a ArrayRef, style: &'a Style) -> Kind<'a> {
    match array.data_type() {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Bool(array.as_boolean()),
        DataType::Int8 => signed::<Int8Type>(array),
        DataType::Int16 => signed::<Int16Type>(array),
        DataType::Int32 => signed::<Int32Type>(array),
        DataType::Int64 => signed::<Int64Type>(array),
        DataType::UInt8 => unsigned::<UInt8Type>(array),
        DataType::UInt16 => unsigned::<UInt16Type>(array),
        DataType::UInt32 => unsigned::<UInt32Type>(array),
        DataType::UInt64 => unsigned::<UInt64Type>(array),
        DataType::Float32 => Kind::Float32(array.as_primitive()),
        DataType::Float64 => Kind::Float64(array.as_primitive()),
        DataType::Decimal128(..) => Kind::Decimal128(array.as_primitive()),
        DataType::Decimal256(..) => Kind::Decimal256(array.as_primitive()),
        DataType::Utf8 => {
            let array: &StringArray = array.as_string();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array: &LargeStringArray = array.as_string();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::Utf8View => {
            let array: &StringViewArray = array.as_string_view();
            Kind::Text(Box::new(|row| array.value(row)))
        }
        DataType::Binary => {
            let array: &BinaryArray = array.as_binary();
            Kind::Bytes(Box::new(|row| array.value(row)))
        }
        DataType::LargeBinary => {
            let array: &LargeBinaryArray = array.as_binary();
            Kind::Bytes(Box::new(|row| array.value(row)))
        }
        DataType::BinaryView => {
            let array: &BinaryViewArray = array.as_binary_view();
            Kind::Bytes(Box::new(|row| array.value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Kind::Bytes(Box::new(|row| array.value(row)))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = entry_places(dictionary);
            Kind::Dictionary(Box::new(move |row| keys[row]), Box::new(Cells::new(dictionary.values(), style)))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let range =
                |row: usize| (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
            Kind::List(Box::new(range), Box::new(Cells::new(list.values(), style)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let range =
                |row: usize| (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
            Kind::List(Box::new(range), Box::new(Cells::new(list.values(), style)))
        }
        DataType::FixedSizeList(_, size) => {
            let (list, size) = (array.as_fixed_size_list(), usize::try_from(*size).unwrap_or_default());
            let range = move |row: usize| (row * size, (row + 1) * size);
            Kind::List(Box::new(range), Box::new(Cells::new(list.values(), style)))
        }
        DataType::Struct(_) => {
            let members = array.as_struct();
            Kind::Struct(members, members.columns().iter().map(|member| Cells::new(member, style)).collect())
        }
        other => temporal(array, other),
    }
}

fn temporal<'a>(array: &'a ArrayRef, data_type: &DataType) -> Kind<'a> {
    let day = |ms: i64| ms.div_euclid(86_400_000);
    match data_type {
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Kind::Date(Box::new(|row| array.value(row).into()))
        }
        DataType::Date64 => {
            let array = array.as_primitive::<Date64Type>();
            Kind::Date(Box::new(move |row| day(array.value(row))))
        }
        DataType::Timestamp(unit, zone) => {
            let get = match unit {
                TimeUnit::Second => nanos::<TimestampSecondType>(array, unit),
                TimeUnit::Millisecond => nanos::<TimestampMillisecondType>(array, unit),
                TimeUnit::Microsecond => nanos::<TimestampMicrosecondType>(array, unit),
                TimeUnit::Nanosecond => nanos::<TimestampNanosecondType>(array, unit),
            };
            Kind::Timestamp(get, zone.is_some())
        }
        DataType::Duration(unit) => Kind::Time(match unit {
            TimeUnit::Second => nanos::<DurationSecondType>(array, unit),
            TimeUnit::Millisecond => nanos::<DurationMillisecondType>(array, unit),
            TimeUnit::Microsecond => nanos::<DurationMicrosecondType>(array, unit),
            TimeUnit::Nanosecond => nanos::<DurationNanosecondType>(array, unit),
        }),
        _ => Kind::Other(ArrayFormatter::try_new(array, &FORMAT).ok()),
    }
}

const FORMAT: FormatOptions<'static> = FormatOptions::new().with_display_error(true);

fn signed<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Kind<'_> {
    let array = array.as_primitive::<T>();
    Kind::Signed(Box::new(|row| array.value(row).into()))
}

fn unsigned<T: ArrowPrimitiveType<Native: Into<u64>>>(array: &ArrayRef) -> Kind<'_> {
    let array = array.as_primitive::<T>();
    Kind::Unsigned(Box::new(|row| array.value(row).into()))
}

fn nanos<'a, T: ArrowPrimitiveType<Native = i64>>(array: &'a ArrayRef, unit: &TimeUnit) -> Get<'a, i128> {
    let array = array.as_primitive::<T>();
    let factor: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    Box::new(move |row| i128::from(array.value(row)) * factor)
}

/// `text` is `value` at its own precision, which decides how many digits it takes.
fn write_float(
    value: f64,
    text: impl std::fmt::Display + std::fmt::Debug,
    out: &mut String,
) -> std::fmt::Result {
    if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else if value != 0.0 && !(1e-5..1e16).contains(&value.abs()) {
        write!(out, "{text:?}")
    } else {
        write!(out, "{text}")
    }
}

fn write_date(days: i64, out: &mut String) -> std::fmt::Result {
    let date = i32::try_from(days).ok().and_then(|days| days.checked_add(EPOCH_FROM_CE));
    match date.and_then(NaiveDate::from_num_days_from_ce_opt) {
        Some(date) => write!(out, "{}", date.format("%Y-%m-%d")),
        None => write!(out, "{days} days from 1970-01-01"),
    }
}

fn write_timestamp(nanos: i128, utc: bool, fsp: Option<u8>, out: &mut String) -> std::fmt::Result {
    let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time: Option<NaiveDateTime> = DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc());
    match time {
        Some(time) => write!(out, "{}", time.format("%Y-%m-%dT%H:%M:%S"))?,
        None => write!(out, "{seconds} seconds from 1970-01-01")?,
    }
    write_fraction(fraction, fsp, out)?;
    out.write_str(if utc { "Z" } else { "" })
}

fn write_time(nanos: i128, fsp: Option<u8>, out: &mut String) -> std::fmt::Result {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.abs();
    let seconds = nanos / 1_000_000_000;
    write!(out, "{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    write_fraction(nanos % 1_000_000_000, fsp, out)
}

/// The column's digits after the second; else as many, in groups of three, as are not all zero.
fn write_fraction(nanos: i128, fsp: Option<u8>, out: &mut String) -> std::fmt::Result {
    let digits = match fsp {
        Some(fsp) => usize::from(fsp.min(9)),
        None if nanos == 0 => 0,
        None if nanos % 1_000_000 == 0 => 3,
        None if nanos % 1_000 == 0 => 6,
        None => 9,
    };
    if digits == 0 {
        return Ok(());
    }
    let all = format!("{nanos:09}");
    write!(out, ".{}", &all[..digits])
}

fn write_list((start, end): (usize, usize), items: &Cells<'_>, out: &mut String) {
    out.push('[');
    for item in start..end {
        if item > start {
            out.push(',');
        }
        items.write_json(item, out);
    }
    out.push(']');
}

fn write_struct(array: &StructArray, members: &[Cells<'_>], row: usize, out: &mut String) {
    out.push('{');
    for (index, (name, member)) in array.column_names().into_iter().zip(members).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_json_string(name, out);
        out.push(':');
        member.write_json(row, out);
    }
    out.push('}');
}

/// Appends `text` as a JSON string.
pub fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)).as_usize() & 63];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod tests;
