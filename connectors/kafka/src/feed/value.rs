//! One value in Debezium's default JSON encoding.
//!
//! | MariaDB | JSON | Debezium's name |
//! | --- | --- | --- |
//! | integers, YEAR | number | |
//! | TINYINT(1) declared boolean, BIT(1) | true, false | |
//! | BIT(n) | base64 of the bits, little-endian | `io.debezium.data.Bits` |
//! | DECIMAL, BIGINT UNSIGNED | base64 of the unscaled number, big-endian two's complement, as short as it can be | `Decimal` (`precise`) |
//! | FLOAT, DOUBLE | number | |
//! | text, JSON, UUID, INET4, INET6 | string | |
//! | ENUM, SET | string; members separated by commas | |
//! | BINARY, VARBINARY, BLOB | base64 | |
//! | DATE | days since 1970-01-01 | `io.debezium.time.Date` |
//! | DATETIME(0–3), DATETIME(4–6) | ms, µs since 1970-01-01 00:00:00 | `Timestamp`, `MicroTimestamp` |
//! | TIMESTAMP(f) | `2018-06-20T13:37:03Z`, with f digits after the second | `ZonedTimestamp` |
//! | TIME | µs | `MicroTime` |
//! | spatial types | `{"wkb": base64, "srid": number or null}` | `io.debezium.data.geometry.Geometry` |
//! | VECTOR | array of numbers | `io.debezium.data.FloatVector` |

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Datelike, Timelike};
use crossweave_contract::{ColumnType, Value};
use serde::ser::{Error, SerializeStruct};
use serde::{Serialize, Serializer};

/// A value with its column's type, to be serialized.
pub(super) struct FeedValue<'a>(pub(super) &'a ColumnType, pub(super) &'a Value);

impl Serialize for FeedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(column_type, value) = self;
        match (column_type, value) {
            (_, Value::Null) => serializer.serialize_none(),
            (ColumnType::BigInt { unsigned: true }, Value::UInt(v)) => {
                base64(serializer, shortest(&i128::from(*v).to_be_bytes()))
            }
            (ColumnType::Bit { width }, Value::UInt(v)) => {
                let length = usize::from(width.div_ceil(8)).min(8);
                base64(serializer, &v.to_le_bytes()[..length])
            }
            (_, Value::Bool(v)) => serializer.serialize_bool(*v),
            (_, Value::Int(v)) => serializer.serialize_i64(*v),
            (_, Value::UInt(v)) => serializer.serialize_u64(*v),
            (_, Value::Float(v)) => serializer.serialize_f32(*v),
            (_, Value::Double(v)) => serializer.serialize_f64(*v),
            (_, Value::Decimal(v)) => base64(serializer, shortest(&v.to_be_bytes())),
            (_, Value::WideDecimal(v)) => {
                let mut big_endian = *v;
                big_endian.reverse();
                base64(serializer, shortest(&big_endian))
            }
            (_, Value::Text(v)) => serializer.serialize_str(v),
            (ColumnType::Geometry, Value::Bytes(v)) => geometry(serializer, v),
            (ColumnType::Vector { .. }, Value::Bytes(v)) => {
                let (elements, _) = v.as_chunks::<4>();
                serializer.collect_seq(elements.iter().map(|element| f32::from_le_bytes(*element)))
            }
            (ColumnType::Binary { fixed: Some(length) }, Value::Bytes(v)) if v.len() < *length as usize => {
                let mut filled = v.to_vec();
                filled.resize(*length as usize, 0);
                base64(serializer, &filled)
            }
            (_, Value::Bytes(v)) => base64(serializer, v),
            (_, Value::Date(v)) => serializer.serialize_i32(*v),
            (ColumnType::Timestamp { fsp }, Value::Micros(v)) => zoned(serializer, *v, *fsp),
            (ColumnType::DateTime { fsp: 0..=3 }, Value::Micros(v)) => {
                serializer.serialize_i64(v.div_euclid(1000))
            }
            (_, Value::Micros(v)) => serializer.serialize_i64(*v),
            (ColumnType::Enum { values, .. }, Value::Enum(index)) => enum_text(serializer, values, *index),
            (ColumnType::Set { values, .. }, Value::Set(bits)) => set_text(serializer, values, *bits),
            (column_type, value) => {
                Err(S::Error::custom(format_args!("{value:?} is not a value of {column_type:?}")))
            }
        }
    }
}

fn base64<S: Serializer>(serializer: S, bytes: &[u8]) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

/// The shortest two's complement of the same number, as Java's `BigInteger.toByteArray` has it.
fn shortest(mut big_endian: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = big_endian
        && let Some(next) = rest.first()
        && matches!((first, next), (0, 0..=0x7f) | (0xff, 0x80..=0xff))
    {
        big_endian = rest;
    }
    big_endian
}

fn geometry<S: Serializer>(serializer: S, bytes: &[u8]) -> Result<S::Ok, S::Error> {
    // MariaDB stores the SRID before the WKB. A WKB begins with its byte order and its type.
    let is_wkb = |bytes: &[u8]| matches!(bytes, [1, 1..=7, 0, 0, 0, ..] | [0, 0, 0, 0, 1..=7, ..]);
    let (srid, wkb) = match bytes.split_first_chunk::<4>() {
        Some((srid, wkb)) if !is_wkb(bytes) && is_wkb(wkb) => (u32::from_le_bytes(*srid), wkb),
        _ => (0, bytes),
    };
    let mut fields = serializer.serialize_struct("Geometry", 2)?;
    fields.serialize_field("wkb", &BASE64.encode(wkb))?;
    fields.serialize_field("srid", &(srid != 0).then_some(srid))?;
    fields.end()
}

fn zoned<S: Serializer>(serializer: S, micros: i64, fsp: u8) -> Result<S::Ok, S::Error> {
    let Some(time) = DateTime::from_timestamp_micros(micros) else {
        return Err(S::Error::custom(format_args!("{micros} µs is no time that a TIMESTAMP holds")));
    };
    let mut text = String::with_capacity(27);
    let (date, clock) = (time.date_naive(), time.time());
    // Writing to a String cannot fail.
    let _ = write!(text, "{:04}-{:02}-{:02}T", date.year(), date.month(), date.day());
    let _ = write!(text, "{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    if (1..=6).contains(&fsp) {
        let width = usize::from(fsp);
        let fraction = micros.rem_euclid(1_000_000) / 10_i64.pow(6 - u32::from(fsp));
        let _ = write!(text, ".{fraction:0width$}");
    }
    text.push('Z');
    serializer.serialize_str(&text)
}

fn enum_text<S: Serializer>(serializer: S, values: &[String], index: u16) -> Result<S::Ok, S::Error> {
    let value = match usize::from(index).checked_sub(1) {
        None => "",
        Some(at) => values.get(at).ok_or_else(|| {
            S::Error::custom(format_args!("{index} is no index of an ENUM of {} values", values.len()))
        })?,
    };
    serializer.serialize_str(value)
}

fn set_text<S: Serializer>(serializer: S, values: &[String], bits: u64) -> Result<S::Ok, S::Error> {
    if values.len() < 64 && bits >> values.len() != 0 {
        let message = format_args!("{bits:#b} are no bits of a SET of {} members", values.len());
        return Err(S::Error::custom(message));
    }
    let members = values.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    let members: Vec<&str> = members.map(|(_, member)| member.as_str()).collect();
    serializer.serialize_str(&members.join(","))
}

#[cfg(test)]
mod tests {
    use crossweave_contract::Collation;

    use super::*;

    fn check(column_type: &ColumnType, value: &Value, expected: &str) {
        assert_eq!(serde_json::to_string(&FeedValue(column_type, value)).unwrap(), expected, "{column_type:?}");
    }

    fn collation() -> Collation {
        Collation::new("utf8mb4", "utf8mb4_general_ci")
    }

    #[test]
    fn numbers_are_encoded_as_debezium_does() {
        use Value::*;
        let decimal = ColumnType::Decimal { precision: 10, scale: 2 };
        check(&ColumnType::Int { unsigned: true }, &UInt(4_294_967_295), "4294967295");
        check(&ColumnType::BigInt { unsigned: false }, &Int(i64::MIN), "-9223372036854775808");
        check(&ColumnType::BigInt { unsigned: true }, &UInt(1), "\"AQ==\"");
        check(&ColumnType::BigInt { unsigned: true }, &UInt(11_111_111_111_111_111_111), "\"AJoymK+1rHHH\"");
        check(&decimal, &Decimal(0), "\"AA==\"");
        check(&decimal, &Decimal(12_345), "\"MDk=\"");
        check(&decimal, &Decimal(-1), "\"/w==\"");
        check(&decimal, &Decimal(-129), "\"/38=\"");
        check(&decimal, &Decimal(128), "\"AIA=\"");
        let wide = arrow::datatypes::i256::from_i128(-129);
        check(&ColumnType::Decimal { precision: 60, scale: 0 }, &WideDecimal(wide.to_le_bytes()), "\"/38=\"");
        check(&ColumnType::Bit { width: 1 }, &Bool(true), "true");
        check(&ColumnType::Bit { width: 9 }, &UInt(0x102), "\"AgE=\"");
        check(&ColumnType::Year, &UInt(2024), "2024");
        check(&ColumnType::Float, &Float(0.1), "0.1");
        check(&ColumnType::Double, &Null, "null");
    }

    #[test]
    fn times_are_encoded_by_their_precision() {
        use Value::*;
        let micros = 1_529_501_823_120_450;
        check(&ColumnType::Date, &Date(-1), "-1");
        check(&ColumnType::DateTime { fsp: 0 }, &Micros(1_529_501_823_000_000), "1529501823000");
        check(&ColumnType::DateTime { fsp: 3 }, &Micros(-1), "-1");
        check(&ColumnType::DateTime { fsp: 6 }, &Micros(micros), "1529501823120450");
        check(&ColumnType::Timestamp { fsp: 0 }, &Micros(micros), "\"2018-06-20T13:37:03Z\"");
        check(&ColumnType::Timestamp { fsp: 2 }, &Micros(micros), "\"2018-06-20T13:37:03.12Z\"");
        check(&ColumnType::Timestamp { fsp: 6 }, &Micros(micros), "\"2018-06-20T13:37:03.120450Z\"");
        check(&ColumnType::Time { fsp: 0 }, &Micros(-3_020_399_000_000), "-3020399000000");
    }

    #[test]
    fn text_and_bytes_are_encoded_as_debezium_does() {
        use Value::*;
        let values = vec!["new".to_owned(), "paid".to_owned()];
        let enumeration = ColumnType::Enum { values: values.clone(), collation: collation() };
        let set = ColumnType::Set { values, collation: collation() };
        check(&enumeration, &Enum(2), "\"paid\"");
        check(&enumeration, &Enum(0), "\"\"");
        check(&set, &Set(3), "\"new,paid\"");
        check(&ColumnType::Json { collation: collation() }, &Text("{\"a\":1}".into()), r#""{\"a\":1}""#);
        check(&ColumnType::Binary { fixed: Some(3) }, &Bytes([1].into()), "\"AQAA\"");
        check(&ColumnType::Binary { fixed: None }, &Bytes([255, 254].into()), "\"//4=\"");
        check(&ColumnType::Vector { dimensions: 1 }, &Bytes(1.5f32.to_le_bytes().into()), "[1.5]");
        let mut point = vec![1, 1, 0, 0, 0];
        point.extend([0; 16]);
        let wkb = BASE64.encode(&point);
        check(
            &ColumnType::Geometry,
            &Bytes(point.clone().into()),
            &format!(r#"{{"wkb":"{wkb}","srid":null}}"#),
        );
        let stored = [vec![0xe6, 0x10, 0, 0], point].concat();
        check(&ColumnType::Geometry, &Bytes(stored.into()), &format!(r#"{{"wkb":"{wkb}","srid":4326}}"#));
    }

    #[test]
    fn refuses_what_the_type_does_not_hold() {
        let refuse = |column_type: ColumnType, value: Value| {
            assert!(serde_json::to_string(&FeedValue(&column_type, &value)).is_err(), "{column_type:?}");
        };
        refuse(ColumnType::Enum { values: vec![], collation: collation() }, Value::Enum(1));
        refuse(ColumnType::Set { values: vec!["a".into()], collation: collation() }, Value::Set(2));
        refuse(ColumnType::Year, Value::Enum(1));
        refuse(ColumnType::Timestamp { fsp: 0 }, Value::Micros(i64::MAX));
    }
}
