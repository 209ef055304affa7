//! `exact(x)`: a double as a decimal, by the digits that it is written with, which is how MariaDB casts it. Arrow multiplies, and
//! gives digits that nobody wrote: 0.1 would be 0.100000000000000009025.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal256Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal256Type, DecimalType, Float64Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Expr;

use super::decimals::{WIDE, as_type, nearest};
use crate::federation::surface::each::{Each, each};

/// `expr`, a double, as the decimal `to`: NULL where it has no room and the cast `is_safe`, as TRY_CAST.
pub(in crate::federation::surface) fn exact(expr: Expr, to: &DataType, is_safe: bool) -> Expr {
    each(Exact { to: to.clone(), is_safe }, expr)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    to: DataType,
    is_safe: bool,
}

impl Each for Exact {
    const NAME: &'static str = "exact";

    fn makes(&self, _from: &DataType) -> DataType {
        self.to.clone()
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = self.to else {
            return internal_err!("exact makes a decimal, not {}", self.to);
        };
        let values = cast(values, &DataType::Float64)?;
        let mut decimals = Decimal256Array::builder(values.len());
        for value in values.as_primitive::<Float64Type>() {
            let decimal = value.map(|value| {
                unscaled(value, scale).filter(|of| Decimal256Type::is_valid_decimal_precision(*of, precision))
            });
            match (decimal, value) {
                (Some(None), Some(value)) if !self.is_safe => {
                    let text = format!("DECIMAL value is out of range: {value} is no {}", self.to);
                    return Err(ArrowError::ArithmeticOverflow(text).into());
                }
                (decimal, _) => decimals.append_option(decimal.flatten()),
            }
        }
        let wide = decimals.finish().with_data_type(DataType::Decimal256(precision, scale));
        as_type(&(Arc::new(wide) as ArrayRef), &self.to)
    }
}

/// `value` · 10^`scale`, by its digits, halves away from 0; `None` where it has no room.
fn unscaled(value: f64, scale: i8) -> Option<i256> {
    if !value.is_finite() {
        return None;
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = i256::from_string(&format!("{whole}{fraction}"))?;
    let power = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()? + i32::from(scale);
    let ten = i256::from_i128(10);
    match u32::try_from(power) {
        Ok(_) if digits == i256::ZERO => Some(digits),
        Ok(power) if power > WIDE.unsigned_abs().into() => None,
        Ok(power) => digits.checked_mul(ten.checked_pow(power)?),
        // A double has no more than 17 digits.
        Err(_) if power < -17 => Some(i256::ZERO),
        Err(_) => Some(nearest(digits, ten.checked_pow(power.unsigned_abs())?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_are_written() {
        for (value, scale, expected) in [
            (0.1, 30, Some("100000000000000000000000000000")),
            (1e10, 15, Some("10000000000000000000000000")),
            (1.005, 2, Some("101")),
            (-1.005, 2, Some("-101")),
            (0.000_005, 5, Some("1")),
            (0.000_004_9, 5, Some("0")),
            (2.5, 0, Some("3")),
            (-0.0, 3, Some("0")),
            (1e-300, 38, Some("0")),
            (1e22, 3, Some("10000000000000000000000000")),
            (1e300, 0, None),
            (f64::NAN, 0, None),
        ] {
            let expected = expected.map(|text| i256::from_string(text).unwrap());
            assert_eq!(unscaled(value, scale), expected, "{value} with {scale} places");
        }
    }
}
