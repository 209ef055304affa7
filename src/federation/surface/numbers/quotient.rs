//! `quotient(a, b)`: a / b of decimals, rounded at its last place where MariaDB does so, or with all the digits that MariaDB
//! goes on with (`finer`); DataFusion cuts it off, and has no room for what it divides.

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

use super::decimals::{MAX_SCALE, WIDE, as_type, decimal, is_half, nearest};
use crate::federation::remote::digits;

/// Places after the point that a quotient has more than what is divided.
const PLACES: i16 = AVERAGE_PLACES as i16;

/// The places of a quotient of what has `after` places.
pub(in crate::federation::surface) fn places(after: i16) -> i16 {
    (after + PLACES).min(MAX_SCALE.max(after))
}

/// Whether a quotient of what has `after` places, by what has `divided`, is cut off at its last place. MariaDB divides by
/// nine digits at a time, and has none left to round by where these are all.
pub(in crate::federation::surface) fn is_cut_off(after: i16, divided: i16) -> bool {
    let places = places(after);
    divided == 0 && places % 9 == 0 && places == after + PLACES
}

/// `left / right`, both decimals, with the places that it is shown with.
pub(in crate::federation::surface) fn quotient(left: Expr, right: Expr) -> Expr {
    of(Places::Shown, vec![left, right])
}

fn of(places: Places, operands: Vec<Expr>) -> Expr {
    let function = Quotient { places, signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, operands))
}

/// Whether `call` is a quotient with the places that it is shown with.
pub(in crate::federation::surface) fn is_shown(call: &ScalarFunction) -> bool {
    call.func.inner().downcast_ref::<Quotient>().is_some_and(|of| of.places == Places::Shown)
}

/// `call`, a quotient, with all places that MariaDB divides to.
pub(in crate::federation::surface) fn whole(call: ScalarFunction) -> Expr {
    of(Places::All, call.args)
}

/// What is divided by what, if `call` is a [`quotient`].
pub(crate) fn operands(call: &ScalarFunction) -> Option<[&Expr; 2]> {
    call.func.inner().downcast_ref::<Quotient>()?;
    match &call.args[..] {
        [left, right] => Some([left, right]),
        _ => None,
    }
}

/// Which places a quotient has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Places {
    /// Those that MariaDB shows: four more than what is divided.
    Shown,
    /// All that it divides to, as long as there is room.
    All,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    places: Places,
    signature: Signature,
}

/// What becomes of a quotient.
struct Shape {
    to: DataType,
    /// By which power of ten a quotient of unscaled values is to be multiplied.
    power: i16,
    is_cut_off: bool,
}

/// How far MariaDB divides what has `after` places by what has `divided`: it takes nine digits at a time of either, and goes on
/// until there are four more than these are.
fn all_places(after: i16, divided: i16) -> i16 {
    let words = |places: i16| (places + 8) / 9 * 9;
    let taken = words(after) + words(divided);
    let more = (PLACES - (taken - after - divided)).max(0);
    words(taken + more)
}

fn shape(left: &DataType, right: &DataType, which: Places) -> Result<Shape> {
    let (Some((before, after)), Some((_, divided))) = (digits(left), digits(right)) else {
        return plan_err!("{left} / {right} is not a quotient of decimals");
    };
    let all = all_places(after, divided);
    if which == Places::All && before + divided + all <= WIDE {
        let to = decimal(before + divided, all);
        return Ok(Shape { to, power: all - after + divided, is_cut_off: true });
    }
    let places = places(after);
    let to = decimal(before + divided, places);
    Ok(Shape { to, power: places - after + divided, is_cut_off: is_cut_off(after, divided) })
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
        let (left, right) = (left.schema_name(), right.schema_name());
        Ok(match self.places {
            Places::Shown => format!("{left} / {right}"),
            Places::All => format!("{}({left}, {right})", self.name()),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(shape(&arg_types[0], &arg_types[1], self.places)?.to)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else { return internal_err!("a quotient has two operands") };
        let shape = shape(&left.data_type(), &right.data_type(), self.places)?;
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
    let Shape { to, is_cut_off, .. } = shape;
    let Ok(power) = u32::try_from(shape.power) else {
        return internal_err!("{} / {} has places before the point", left.data_type(), right.data_type());
    };
    if let (DataType::Decimal128(digits, _), DataType::Decimal128(..), DataType::Decimal128(..)) =
        (left.data_type(), right.data_type(), to)
        && u32::from(*digits) + power <= 38
    {
        let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
        let unit = 10_i128.pow(power);
        let quotients: Decimal128Array = try_binary(left, right, |a, b| narrow(a * unit, b, *is_cut_off))?;
        return Ok(Arc::new(quotients.with_data_type(to.clone())));
    }
    let wide = |array: &ArrayRef| match array.data_type() {
        DataType::Decimal128(precision, scale) => as_type(array, &DataType::Decimal256(*precision, *scale)),
        _ => Ok(Arc::clone(array)),
    };
    let (left, right) = (wide(left)?, wide(right)?);
    let (left, right) = (left.as_primitive::<Decimal256Type>(), right.as_primitive::<Decimal256Type>());
    let quotients: Decimal256Array = try_binary(left, right, |a, b| divided(a, b, power, *is_cut_off))?;
    let DataType::Decimal128(precision, scale) = *to else {
        return Ok(Arc::new(quotients.with_data_type(to.clone())));
    };
    let quotients: ArrayRef = Arc::new(quotients.with_data_type(DataType::Decimal256(precision, scale)));
    as_type(&quotients, to)
}

/// `a / b`, cut off or rounded away from zero at half.
fn narrow(a: i128, b: i128, is_cut_off: bool) -> Result<i128, ArrowError> {
    if b == 0 {
        return Err(ArrowError::DivideByZero);
    }
    Ok(if is_cut_off { a / b } else { nearest(a, b) })
}

/// `a * 10^power / b`, cut off or rounded away from zero at half: digit by digit where the product has no room.
fn divided(a: i256, b: i256, power: u32, is_cut_off: bool) -> Result<i256, ArrowError> {
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
    if !is_cut_off && is_half(rest, b) {
        quotient = quotient.checked_add(i256::ONE).ok_or_else(overflow)?;
    }
    Ok(if negative { quotient.wrapping_neg() } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_at_half_or_cut_off() {
        for (a, b, power, rounded, cut_off) in [
            (2, 3, 2, 67, 66),
            (-2, 3, 2, -67, -66),
            (1, 3, 2, 33, 33),
            (1, -2, 0, -1, 0),
            (1, 8, 2, 13, 12),
            (0, 5, 4, 0, 0),
            (5, 1, 1, 50, 50),
        ] {
            for (is_cut_off, expected) in [(false, rounded), (true, cut_off)] {
                let wide = divided(i256::from_i128(a), i256::from_i128(b), power, is_cut_off).unwrap();
                assert_eq!(wide, i256::from_i128(expected), "{a} / {b}");
                assert_eq!(narrow(a * 10_i128.pow(power), b, is_cut_off).unwrap(), expected, "{a} / {b}");
            }
        }
        let large = i256::from_string(&"9".repeat(65)).unwrap();
        assert_eq!(divided(large, large, 34, false).unwrap(), i256::from_i128(10_i128.pow(34)));
        assert!(divided(large, i256::ONE, 34, false).unwrap_err().to_string().contains("out of range"));
        assert!(divided(large, i256::ZERO, 34, false).is_err());
    }

    #[test]
    fn divides_as_far_as_mariadb_does() {
        for (after, divided, expected) in
            [(0, 0, 9), (2, 0, 9), (2, 2, 18), (5, 0, 9), (6, 0, 18), (10, 4, 27), (38, 38, 90)]
        {
            assert_eq!(all_places(after, divided), expected, "{after} by {divided}");
        }
    }

    #[test]
    fn all_digits_that_mariadb_divides_are_the_last() {
        for (after, divided, expected) in
            [(5, 0, true), (5, 1, false), (4, 0, false), (14, 0, true), (32, 0, true), (38, 0, false)]
        {
            assert_eq!(is_cut_off(after, divided), expected, "{after} by {divided}");
        }
    }
}
