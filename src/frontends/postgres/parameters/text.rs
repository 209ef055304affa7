//! Values in the text format.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use postgres_types::Kind;

use super::{Decoded, array, decimal};
use crate::federation::surface::parse_time;

/// `text` as a value of the type `wire`.
pub(super) fn decode(wire: &Type, text: &str) -> Decoded {
    match *wire {
        Type::BOOL => boolean(text).ok_or_else(|| wrong(text, wire)),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => integer(wire, text),
        Type::FLOAT4 => {
            text.trim().parse().map(|float| ScalarValue::Float32(Some(float))).map_err(|_| wrong(text, wire))
        }
        Type::FLOAT8 => {
            text.trim().parse().map(|float| ScalarValue::Float64(Some(float))).map_err(|_| wrong(text, wire))
        }
        Type::NUMERIC => decimal::decode(text),
        Type::BYTEA => bytes(text).ok_or_else(|| wrong(text, wire)),
        Type::DATE => date(wire, text),
        Type::TIME => cast(wire, text.trim(), &DataType::Time64(TimeUnit::Microsecond)),
        // It has no zone, and ignores one.
        Type::TIMESTAMP => cast(wire, without_zone(text), &DataType::Timestamp(TimeUnit::Microsecond, None)),
        Type::TIMESTAMPTZ => {
            cast(wire, text.trim(), &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))
        }
        Type::INTERVAL => interval(wire, text),
        _ => match wire.kind() {
            Kind::Array(element) => array::from_text(element, text),
            _ => Ok(ScalarValue::from(text)),
        },
    }
}

fn wrong(text: &str, wire: &Type) -> String {
    let shown: String = text.chars().take(100).collect();
    format!("{shown:?} is not a value of type {}", wire.name())
}

fn cast(wire: &Type, text: &str, data_type: &DataType) -> Decoded {
    match ScalarValue::from(text).cast_to(data_type) {
        Ok(value) if !value.is_null() => Ok(value),
        _ => Err(wrong(text, wire)),
    }
}

fn boolean(text: &str) -> Option<ScalarValue> {
    let flag = match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => true,
        "f" | "false" | "n" | "no" | "off" | "0" => false,
        _ => return None,
    };
    Some(ScalarValue::Boolean(Some(flag)))
}

/// A number that no integer is may still be compared with one, and MariaDB's booleans are integers.
fn integer(wire: &Type, text: &str) -> Decoded {
    if let Ok(number) = text.trim().parse() {
        return Ok(ScalarValue::Int64(Some(number)));
    }
    if let "true" | "false" = text {
        return boolean(text).ok_or_else(|| wrong(text, wire));
    }
    decimal::decode(text).map(decimal::whole).map_err(|_| wrong(text, wire))
}

/// Units and a clock, `1 day 02:00:00`, as PostgreSQL writes it; of a clock, Arrow knows nothing.
fn interval(wire: &Type, text: &str) -> Decoded {
    let (clocks, units): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(|word| word.contains(':'));
    let micros = match clocks.as_slice() {
        [] => 0,
        [clock] => parse_time(clock).map_err(|_| wrong(text, wire))?,
        _ => return Err(wrong(text, wire)),
    };
    if !clocks.is_empty() && units.is_empty() {
        return Ok(ScalarValue::new_interval_mdn(0, 0, micros * 1_000));
    }
    match cast(wire, &units.join(" "), &DataType::Interval(IntervalUnit::MonthDayNano))? {
        ScalarValue::IntervalMonthDayNano(Some(units)) => {
            let nanos = units.nanoseconds.checked_add(micros * 1_000).ok_or_else(|| wrong(text, wire))?;
            Ok(ScalarValue::new_interval_mdn(units.months, units.days, nanos))
        }
        _ => Err(wrong(text, wire)),
    }
}

/// A day; a moment of it as that moment, for the day alone would be another value.
fn date(wire: &Type, text: &str) -> Decoded {
    const DAY: usize = "2024-05-06".len();
    let text = without_zone(text);
    if text.len() <= DAY {
        return cast(wire, text, &DataType::Date32);
    }
    cast(wire, text, &DataType::Timestamp(TimeUnit::Microsecond, None))
}

/// `text` without the zone at its end: drivers send one where the type has none, and mean the time as it stands.
fn without_zone(text: &str) -> &str {
    let text = text.trim();
    let Some(clock) = text.find([' ', 'T']) else { return text };
    let zone = text[clock..].find(['+', '-', 'Z', 'z']).map_or(text.len(), |zone| clock + zone);
    text[..zone].trim_end()
}

/// `\x` and hexadecimal digits, or text with octal escapes.
fn bytes(text: &str) -> Option<ScalarValue> {
    let raw = match text.strip_prefix("\\x") {
        Some(digits) => hexadecimal(digits.as_bytes())?,
        None => escaped(text.as_bytes())?,
    };
    Some(ScalarValue::Binary(Some(raw)))
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}

fn escaped(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut raw = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        text = rest;
        match (first, rest) {
            (b'\\', [b'\\', rest @ ..]) => {
                raw.push(b'\\');
                text = rest;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                raw.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                text = rest;
            }
            (b'\\', _) => return None,
            (other, _) => raw.push(*other),
        }
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_drivers_send() {
        let moment = |micros| ScalarValue::TimestampMicrosecond(Some(micros), None);
        let day = ScalarValue::Date32(Some(19724));
        let noon = 1_704_196_800_000_000;
        let cases = [
            (Type::BOOL, "TRUE", ScalarValue::Boolean(Some(true))),
            (Type::INT8, "18446744073709551615", ScalarValue::UInt64(Some(u64::MAX))),
            (Type::INT2, "1048576", ScalarValue::Int64(Some(1_048_576))),
            (Type::INT2, "true", ScalarValue::Boolean(Some(true))),
            (Type::FLOAT8, "1e3", ScalarValue::Float64(Some(1000.0))),
            (Type::DATE, "2024-01-02", day.clone()),
            // As pgjdbc writes java.sql.Date
            (Type::DATE, "2024-01-02 +05", day),
            (Type::DATE, "2024-01-02 12:00:00", moment(noon)),
            (Type::TIMESTAMP, "2024-01-02 12:00:00", moment(noon)),
            (Type::TIMESTAMP, "2024-01-02 12:00:00-05:30", moment(noon)),
            (Type::TIMESTAMP, "2024-01-02T12:00:00.000Z", moment(noon)),
            (
                Type::TIMESTAMPTZ,
                "2024-01-02 17:00:00+05",
                ScalarValue::TimestampMicrosecond(Some(noon), Some("+00:00".into())),
            ),
            (Type::TIME, "10:00:00", ScalarValue::Time64Microsecond(Some(36_000_000_000))),
            (Type::INTERVAL, "1 day 02:00:00", ScalarValue::new_interval_mdn(0, 1, 7_200_000_000_000)),
            (Type::INTERVAL, "-00:00:01", ScalarValue::new_interval_mdn(0, 0, -1_000_000_000)),
            (Type::INTERVAL, "2 months 3 days", ScalarValue::new_interval_mdn(2, 3, 0)),
            (Type::BYTEA, "\\x00fF", ScalarValue::Binary(Some(vec![0, 255]))),
            (Type::BYTEA, "a\\\\\\001", ScalarValue::Binary(Some(b"a\\\x01".to_vec()))),
            (Type::UUID, "0b2c", ScalarValue::from("0b2c")),
        ];
        for (wire, text, expect) in cases {
            assert_eq!(decode(&wire, text), Ok(expect), "{wire} {text}");
        }
    }

    #[test]
    fn names_the_type_that_a_text_is_none_of() {
        let cases = [
            (Type::BOOL, "maybe"),
            (Type::INT4, "five"),
            (Type::DATE, "2024-13-01"),
            (Type::TIMESTAMP, "noon"),
            (Type::INTERVAL, "long"),
            (Type::BYTEA, "\\x0"),
            (Type::BYTEA, "\\9"),
        ];
        for (wire, text) in cases {
            let message = format!("{text:?} is not a value of type {}", wire.name());
            assert_eq!(decode(&wire, text), Err(message));
        }
    }
}
