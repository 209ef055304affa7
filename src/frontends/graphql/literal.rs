//! From a value in a document or in its variables to a literal that compares with a column.
//!
//! Clients send keys and numbers as numbers or as text, whatever the column is, so a value counts by what it says
//! and not by how JSON spells it. And it is never rounded to the column's type: `_gt: 50.375` on a DECIMAL(…,2)
//! means what it says.

use async_graphql::Value;
use crossweave_contract::{Column, ColumnType};
use datafusion::arrow::datatypes::{DataType, TimeUnit, i256};
use datafusion::scalar::ScalarValue;

use super::model::{TableType, scalar};

/// Digits of the largest integer column, BIGINT UNSIGNED.
const INTEGER_DIGITS: u8 = 20;
/// Digits that fit a `Decimal128`.
const MAX_DIGITS_128: u8 = 38;

/// `values` as literals of one type that compare with the column.
///
/// # Errors
///
/// Names the value that is none, and the column.
pub(super) fn literals(table: &TableType, column: usize, values: &[Value]) -> Result<Vec<ScalarValue>, String> {
    let column = &table.def.columns[column];
    let mismatch = |value: &Value| {
        format!("{value} is not a {} for {}.{}", scalar(&column.column_type), table.name, column.name)
    };
    let texts = values.iter().map(|value| text(column, value).ok_or_else(|| mismatch(value)));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    // The first value that is none is the one to name.
    let each = |literal: &dyn Fn(&str) -> Option<ScalarValue>| -> Result<Vec<ScalarValue>, String> {
        let pairs = texts.iter().zip(values);
        pairs.map(|(text, value)| literal(text).ok_or_else(|| mismatch(value))).collect()
    };
    let numbers = |precision, scale| -> Result<Vec<Number>, String> {
        let pairs = texts.iter().zip(values);
        let read = |(text, value): (&String, &Value)| match loses_digits(value, precision, scale) {
            true => Err(format!(
                "{value} is a number that JSON rounds before {}.{} can be compared with it: write it as a string",
                table.name, column.name
            )),
            false => number(text, precision, scale).ok_or_else(|| mismatch(value)),
        };
        pairs.map(read).collect()
    };
    match column.column_type.data_type() {
        DataType::Utf8View | DataType::Dictionary(..) => {
            each(&|text| Some(ScalarValue::Utf8View(Some(text.to_owned()))))
        }
        DataType::Boolean => each(&|text| Some(ScalarValue::Boolean(Some(truth(text)?)))),
        integer if integer.is_integer() => Ok(integers(&numbers(INTEGER_DIGITS, 0)?)),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Ok(decimals(&numbers(precision, scale)?, precision, scale))
        }
        DataType::Float32 | DataType::Float64 => each(&float),
        DataType::BinaryView => each(&|text| Some(ScalarValue::BinaryView(Some(from_base64(text)?)))),
        DataType::Date32 if !texts.iter().any(|text| has_time(text)) => {
            each(&|text| cast(text, &DataType::Date32))
        }
        DataType::Date32 => each(&|text| cast(text, &DataType::Timestamp(TimeUnit::Microsecond, None))),
        // The surface turns text into a duration where it is compared with one.
        DataType::Duration(_) => each(&|text| Some(ScalarValue::Utf8(Some(text.to_owned())))),
        DataType::FixedSizeList(..) => each(&|_| None),
        other => each(&|text| cast(text, &other)),
    }
}

/// A truth value, as a Boolean or as what says one.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::Number(number) => truth(&number.to_string()),
        Value::String(text) => truth(text),
        _ => None,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// What `value` says, as text; `None` if it says nothing to a column of this type.
fn text(column: &Column, value: &Value) -> Option<String> {
    let is_json = matches!(column.column_type, ColumnType::Json { .. });
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Enum(name) => Some(name.to_string()),
        other if is_json => serde_json::to_string(&other.clone().into_json().ok()?).ok(),
        Value::Number(number) => Some(number.to_string()),
        Value::Boolean(truth) => match column.column_type.data_type() {
            DataType::Boolean => Some(truth.to_string()),
            // MariaDB's true is the number 1.
            data_type if data_type.is_numeric() => Some(u8::from(*truth).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a number as large as `value` is, which came through a double, may have been one between two others of a column's
/// values, or another one of these.
fn loses_digits(value: &Value, precision: u8, scale: i8) -> bool {
    let Value::Number(number) = value else { return false };
    let Some(size) = number.as_f64().filter(|_| number.is_f64()).map(f64::abs) else { return false };
    let unit = 10_f64.powi(-i32::from(scale));
    size <= 10_f64.powi(i32::from(precision) - i32::from(scale)) && size * f64::EPSILON > unit / 2.0
}

fn cast(text: &str, to: &DataType) -> Option<ScalarValue> {
    let scalar = ScalarValue::try_from_string(text.trim().to_owned(), to).ok()?;
    (!scalar.is_null()).then_some(scalar)
}

fn float(text: &str) -> Option<ScalarValue> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(ScalarValue::Float64(Some(number)))
}

fn has_time(text: &str) -> bool {
    text.trim().contains([':', 'T', 't', ' '])
}

/// A number, as a column of `precision` digits, `scale` of them after the point, sees it. What lies between two
/// values of the column, or beyond all of them, compares as anything else that lies there, so no digit more than
/// one after the column's last has to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    /// In units of the column's last digit, towards zero.
    units: i256,
    negative: bool,
    /// Whether it lies past `units`, before the next.
    between: bool,
    /// Whether it lies beyond all values of the column; `units` does not count then.
    beyond: bool,
}

fn number(text: &str, precision: u8, scale: i8) -> Option<Number> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = all.trim_start_matches('0');
    let point = whole.len() as i64 - (all.len() - digits.len()) as i64 + exponent;
    if digits.is_empty() {
        return Some(Number { units: i256::ZERO, negative: false, between: false, beyond: false });
    }
    if point > i64::from(precision) - i64::from(scale) {
        return Some(Number { units: i256::ZERO, negative, between: false, beyond: true });
    }
    let kept = usize::try_from(point + i64::from(scale)).unwrap_or(0);
    let (units, rest) = digits.split_at(kept.min(digits.len()));
    let units = i256::from_string(&format!("0{units:0<kept$}"))?;
    let between = rest.bytes().any(|byte| byte != b'0');
    Some(Number { units, negative, between, beyond: false })
}

/// An exponent. Past any column's digits it makes no difference how far.
fn power(text: &str) -> Option<i64> {
    const FAR: i64 = 1_000_000;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let power = digits.parse().unwrap_or(FAR).min(FAR);
    Some(if text.starts_with('-') { -power } else { power })
}

/// Literals for an integer column: integers wherever that is what they all are.
fn integers(numbers: &[Number]) -> Vec<ScalarValue> {
    let exact = numbers.iter().all(|number| !number.between && !number.beyond);
    let value = |number: &Number| {
        let units = if number.negative { number.units.wrapping_neg() } else { number.units };
        units.to_i128()
    };
    let values: Option<Vec<i128>> = numbers.iter().map(value).collect();
    let values = values.filter(|_| exact).unwrap_or_default();
    let all = |literal: fn(i128) -> Option<ScalarValue>| -> Option<Vec<ScalarValue>> {
        values.iter().map(|value| literal(*value)).collect()
    };
    let signed = |value: i128| Some(ScalarValue::Int64(Some(i64::try_from(value).ok()?)));
    let unsigned = |value: i128| Some(ScalarValue::UInt64(Some(u64::try_from(value).ok()?)));
    let literals = all(signed).or_else(|| all(unsigned));
    match literals {
        Some(literals) if exact => literals,
        _ => decimals(numbers, INTEGER_DIGITS, 0),
    }
}

/// Literals for a DECIMAL column: of its own type, if they are all values of it; else with a digit more at each
/// end.
fn decimals(numbers: &[Number], precision: u8, scale: i8) -> Vec<ScalarValue> {
    let ten = i256::from_i128(10);
    let exact = numbers.iter().all(|number| !number.between && !number.beyond);
    let (digits, scale_of) = if exact { (precision, scale) } else { (precision + 2, scale + 1) };
    let literal = |number: &Number| {
        let units = match number {
            Number { beyond: true, .. } => ten.wrapping_pow(u32::from(precision) + 1),
            Number { units, .. } if exact => *units,
            Number { units, between, .. } => {
                let half = i256::from_i128(if *between { 5 } else { 0 });
                units.wrapping_mul(ten).wrapping_add(half)
            }
        };
        let units = if number.negative { units.wrapping_neg() } else { units };
        match units.to_i128() {
            Some(units) if digits <= MAX_DIGITS_128 => ScalarValue::Decimal128(Some(units), digits, scale_of),
            _ => ScalarValue::Decimal256(Some(units), digits, scale_of),
        }
    };
    numbers.iter().map(literal).collect()
}

/// The bytes that base64 `text` says, with or without padding, as answers write them.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0u32;
        for digit in chunk {
            word = word << 6 | base64_digit(*digit)?;
        }
        word <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    Some(match digit {
        b'A'..=b'Z' => u32::from(digit - b'A'),
        b'a'..=b'z' => u32::from(digit - b'a') + 26,
        b'0'..=b'9' => u32::from(digit - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A literal's units, digits and scale.
    fn shown(literal: &ScalarValue) -> String {
        match literal {
            ScalarValue::Decimal128(Some(units), digits, scale) => format!("{units},{digits},{scale}"),
            other => other.to_string(),
        }
    }

    fn decimal(text: &str) -> String {
        shown(&decimals(&[number(text, 6, 2).unwrap()], 6, 2)[0])
    }

    #[test]
    fn decimals_keep_what_they_say_beyond_the_columns_digits() {
        for (text, literal) in [
            ("50.37", "5037,6,2"),
            ("+1.5e2", "15000,6,2"),
            ("-0.5e-1", "-5,6,2"),
            ("50.370", "5037,6,2"),
            ("50.375", "50375,8,3"),
            ("50.379", "50375,8,3"),
            ("50.370001", "50375,8,3"),
            ("-0.001", "-5,8,3"),
            ("10000", "10000000,8,3"),
            ("-1e400", "-10000000,8,3"),
            ("1e-400", "5,8,3"),
            ("-0", "0,6,2"),
            ("9999.99", "999999,6,2"),
        ] {
            assert_eq!(decimal(text), literal, "{text}");
        }
        for none in ["", ".", "-", "1e", "e5", "1.2.3", "Infinity", "NaN", "0x1", "1 2"] {
            assert_eq!(number(none, 6, 2), None, "{none}");
        }
        let wide = decimals(&[number("0.5", 65, 30).unwrap()], 65, 30);
        assert!(matches!(wide[0], ScalarValue::Decimal256(Some(_), 65, 30)));
    }

    #[test]
    fn integers_of_one_list_have_one_type() {
        let types = |texts: &[&str]| {
            let numbers: Vec<_> = texts.iter().map(|text| number(text, INTEGER_DIGITS, 0).unwrap()).collect();
            integers(&numbers).iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(types(&["7", "-1", "3.0"]), "7 -1 3");
        assert_eq!(types(&["18446744073709551615", "1"]), "18446744073709551615 1");
        assert_eq!(types(&["18446744073709551615", "-1"]), "18446744073709551615,20,0 -1,20,0");
        assert_eq!(types(&["7.5", "1"]), "75,22,1 10,22,1");
        assert_eq!(types(&["1e30"]), "1000000000000000000000,22,1");
    }

    #[test]
    fn reads_base64_as_it_is_written() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("AA==", b"\0"),
            ("AP8=", b"\0\xff"),
            ("AP8", b"\0\xff"),
            ("+/+/", b"\xfb\xff\xbf"),
        ] {
            assert_eq!(from_base64(text).as_deref(), Some(bytes), "{text}");
        }
        for none in ["A", "AA=A", "AA===", "é", "A A="] {
            assert_eq!(from_base64(none), None, "{none}");
        }
    }
}
