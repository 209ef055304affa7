//! Numbers, booleans and times as texts, where they meet texts: as MariaDB spells them.
//!
//! Arrow writes 2.0 for the double 2, MariaDB 2. A FLOAT has six digits there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Expr, cast};

use super::coercions::{TIME, number};
use crate::federation::surface::each::{Each, each};

/// Places of the point, counted from the first digit, between which no exponent is written.
const WITHOUT_EXPONENT: std::ops::RangeInclusive<i32> = -14..=15;

/// Whether a value of `data_type` becomes a text where it meets one.
pub(in crate::federation::surface) fn becomes_text(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean || *data_type == TIME
}

/// `expr`, of `data_type`, as a text, if it becomes one.
pub(in crate::federation::surface) fn text(expr: Expr, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Float32 | DataType::Float64 => each(DoubleText, expr),
        of if becomes_text(of) => cast(number(expr, of), DataType::Utf8View),
        _ => expr,
    }
}

/// The function of a double as a text.
pub(crate) const DOUBLE_TEXT: &str = "double_text";

/// A double as a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DoubleText;

impl Each for DoubleText {
    const NAME: &'static str = DOUBLE_TEXT;

    fn makes(&self, _from: &DataType) -> DataType {
        DataType::Utf8View
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        texts(values)
    }
}

fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    let mut texts = StringViewBuilder::with_capacity(array.len());
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            values.for_each(|value| texts.append_option(value.map(|value| spelled(&format!("{value:e}")))));
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().iter();
            values.for_each(|value| texts.append_option(value.map(|value| spelled(&format!("{value:.5e}")))));
        }
        other => return internal_err!("double_text takes a double, not {other}"),
    }
    Ok(Arc::new(texts.finish()))
}

/// A number of the form `-1.25e-7`, as MariaDB writes it.
fn spelled(scientific: &str) -> String {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let sign = if digits.starts_with('-') { "-" } else { "" };
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = exponent + 1;
    let (length, place) = (digits.len(), usize::try_from(point).unwrap_or(0));
    match point {
        point if !WITHOUT_EXPONENT.contains(&point) => match digits.split_at(1) {
            (first, "") => format!("{sign}{first}e{exponent}"),
            (first, rest) => format!("{sign}{first}.{rest}e{exponent}"),
        },
        ..=0 => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        _ if place >= length => format!("{sign}{digits}{}", "0".repeat(place - length)),
        _ => format!("{sign}{}.{}", &digits[..place], &digits[place..]),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array};

    use super::*;

    #[test]
    fn doubles_are_spelled_as_mariadb_spells_them() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            2.0,
            1e-15,
            1e-16,
            1e14,
            1e15,
            123_456_789_012_345.5,
            1.5e16,
            0.1 + 0.2,
            -1.25e-5,
            1e300,
            5e-324,
            12_345_678_901_234_567_890.0,
            -0.0,
            1.234_567_890_123_456_7e-10,
        ]));
        let found = texts(&values).unwrap();
        let found: Vec<&str> = found.as_string_view().iter().flatten().collect();
        assert_eq!(
            found,
            [
                "2",
                "0.000000000000001",
                "1e-16",
                "100000000000000",
                "1e15",
                "123456789012345.5",
                "1.5e16",
                "0.30000000000000004",
                "-0.0000125",
                "1e300",
                "5e-324",
                "1.2345678901234567e19",
                "0",
                "0.00000000012345678901234568",
            ]
        );
        let values: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 3e38, 16_777_216.0, 1.5, 1_234_567.9]));
        let found = texts(&values).unwrap();
        let found: Vec<&str> = found.as_string_view().iter().flatten().collect();
        assert_eq!(found, ["0.1", "3e38", "16777200", "1.5", "1234570"]);
    }
}
