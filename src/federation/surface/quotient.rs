//! `quotient(a, b)`: a / b of decimals, rounded at its last place as in MariaDB; DataFusion cuts it off, and has no
//! room for what it divides.
//!
//! MariaDB divides by nine digits at a time, and has none to round by where these are all that the quotient has: there it
//! is cut off.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array};
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, i256};
use arrow::error::ArrowError;
use crossweave_contract::AVERAGE_PLACES;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::decimals::{MAX_SCALE, as_type, decimal};
use crate::federation::remote::digits;

/// Places after the point that a quotient has more than what is divided.
const PLACES: i16 = AVERAGE_PLACES as i16;

/// `left / right`, both decimals.
pub(super) fn quotient(left: Expr, right: Expr) -> Expr {
    let function = Arc::new(ScalarUDF::new_from_impl(Quotient::default()));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

impl Default for Quotient {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

/// Digits that MariaDB divides by at a time.
const AT_A_TIME: i16 = 9;

/// What becomes of what is divided.
struct Shape {
    result: DataType,
    /// By which power of ten a quotient of unscaled values is to be multiplied.
    power: i16,
    last: LastPlace,
}

/// What becomes of a quotient's last place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LastPlace {
    /// It is rounded away from zero at half.
    Rounded,
    /// What comes after it is left out.
    CutOff,
}

fn shape(left: &DataType, right: &DataType) -> Result<Shape> {
    let (Some((before, after)), Some((_, divided))) = (digits(left), digits(right)) else {
        return plan_err!("{left} / {right} is not a quotient of decimals");
    };
    let places = (after + PLACES).min(MAX_SCALE.max(after));
    let is_cut_off = divided == 0 && places == after + PLACES && places % AT_A_TIME == 0;
    Ok(Shape {
        result: decimal(before + divided, places),
        power: places - after + divided,
        last: if is_cut_off { LastPlace::CutOff } else { LastPlace::Rounded },
    })
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "quotient"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("a quotient has two operands") };
        Ok(format!("{left} / {right}"))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("a quotient has two operands") };
        Ok(format!("{} / {}", left.schema_name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(shape(&arg_types[0], &arg_types[1])?.result)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else { return internal_err!("a quotient has two operands") };
        let shape = shape(&left.data_type(), &right.data_type())?;
        let scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let [left, right] = [left.to_array(rows)?, right.to_array(rows)?];
        let quotients = quotients(&left, &right, &shape)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&quotients, 0)?),
            false => ColumnarValue::Array(quotients),
        })
    }
}

fn quotients(left: &ArrayRef, right: &ArrayRef, shape: &Shape) -> Result<ArrayRef> {
    let Shape { result: to, power, last } = shape;
    let Ok(power) = u32::try_from(*power) else {
        return internal_err!("{} / {} has places before the point", left.data_type(), right.data_type());
    };
    if let (DataType::Decimal128(digits, _), DataType::Decimal128(..), DataType::Decimal128(..)) =
        (left.data_type(), right.data_type(), to)
        && u32::from(*digits) + power <= 38
    {
        let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
        let unit = 10_i128.pow(power);
        let quotients: Decimal128Array = try_binary(left, right, |a, b| narrow(a * unit, b, *last))?;
        return Ok(Arc::new(quotients.with_data_type(to.clone())));
    }
    let wide = |array: &ArrayRef| match array.data_type() {
        DataType::Decimal128(precision, scale) => as_type(array, &DataType::Decimal256(*precision, *scale)),
        _ => Ok(Arc::clone(array)),
    };
    let (left, right) = (wide(left)?, wide(right)?);
    let (left, right) = (left.as_primitive::<Decimal256Type>(), right.as_primitive::<Decimal256Type>());
    let quotients: Decimal256Array = try_binary(left, right, |a, b| divided(a, b, power, *last))?;
    let DataType::Decimal128(precision, scale) = *to else {
        return Ok(Arc::new(quotients.with_data_type(to.clone())));
    };
    let quotients: ArrayRef = Arc::new(quotients.with_data_type(DataType::Decimal256(precision, scale)));
    as_type(&quotients, to)
}

/// `a / b`.
fn narrow(a: i128, b: i128, last: LastPlace) -> Result<i128, ArrowError> {
    if b == 0 {
        return Err(ArrowError::DivideByZero);
    }
    let (quotient, rest) = (a / b, a % b);
    let up = last == LastPlace::Rounded && rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs();
    Ok(if up { quotient + a.signum() * b.signum() } else { quotient })
}

/// `a * 10^power / b`: digit by digit where the product has no room.
fn divided(a: i256, b: i256, power: u32, last: LastPlace) -> Result<i256, ArrowError> {
    if b == i256::ZERO {
        return Err(ArrowError::DivideByZero);
    }
    let overflow = || ArrowError::ArithmeticOverflow("DECIMAL value is out of range: a quotient".to_owned());
    let negative = a.is_negative() != b.is_negative();
    let (a, b) = (a.wrapping_abs(), b.wrapping_abs());
    let ten = i256::from_i128(10);
    let (a, digits) = match ten.checked_pow(power).and_then(|unit| a.checked_mul(unit)) {
        Some(a) => (a, 0),
        None => (a, power),
    };
    let (mut quotient, mut rest) = (a.div_checked(b)?, a.mod_checked(b)?);
    for _ in 0..digits {
        let next = rest.checked_mul(ten).ok_or_else(overflow)?;
        let digit = next.div_checked(b)?;
        quotient = quotient.checked_mul(ten).and_then(|q| q.checked_add(digit)).ok_or_else(overflow)?;
        rest = next.mod_checked(b)?;
    }
    if last == LastPlace::Rounded && rest >= b.wrapping_sub(rest) {
        quotient = quotient.checked_add(i256::ONE).ok_or_else(overflow)?;
    }
    Ok(if negative { quotient.wrapping_neg() } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::LastPlace::{CutOff, Rounded};
    use super::*;

    #[test]
    fn quotients_are_rounded_at_half() {
        for (a, b, power, expected) in [
            (2, 3, 2, 67),
            (-2, 3, 2, -67),
            (1, 3, 2, 33),
            (1, -2, 0, -1),
            (1, 8, 2, 13),
            (0, 5, 4, 0),
            (5, 1, 1, 50),
        ] {
            let wide = divided(i256::from_i128(a), i256::from_i128(b), power, Rounded).unwrap();
            assert_eq!(wide, i256::from_i128(expected), "{a} / {b}");
            assert_eq!(narrow(a * 10_i128.pow(power), b, Rounded).unwrap(), expected, "{a} / {b}");
        }
        let large = i256::from_string(&"9".repeat(65)).unwrap();
        assert_eq!(divided(large, large, 34, Rounded).unwrap(), i256::from_i128(10_i128.pow(34)));
        assert!(divided(large, i256::ONE, 34, Rounded).unwrap_err().to_string().contains("out of range"));
        assert!(divided(large, i256::ZERO, 34, Rounded).is_err());
        assert_eq!(narrow(-200, 3, CutOff).unwrap(), -66);
        assert_eq!(divided(i256::from_i128(2), i256::from_i128(-3), 2, CutOff).unwrap(), i256::from_i128(-66));
    }

    #[test]
    fn all_digits_that_mariadb_divides_are_the_last() {
        let last = |after: i8, divided: i8| {
            shape(&DataType::Decimal128(38, after), &DataType::Decimal128(38, divided)).unwrap().last
        };
        for (after, divided, expected) in [
            (5, 0, CutOff),
            (5, 1, Rounded),
            (4, 0, Rounded),
            (14, 0, CutOff),
            (32, 0, CutOff),
            (38, 0, Rounded),
        ] {
            assert_eq!(last(after, divided), expected, "{after} by {divided}");
        }
    }
}
