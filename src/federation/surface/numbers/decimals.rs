//! Decimals as wide as what is computed.
//!
//! DataFusion keeps to 128 bits as long as the operands do: of a result that needs more than 38 digits it says that it
//! has 38, and what is beyond them fails, or is cut off where the value is shown. MariaDB has 65 digits. So types are
//! chosen here by the digits that a result may have, up to the 76 that 256 bits hold; a value beyond those is an error.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DecimalType};
use arrow::error::ArrowError;
use crossweave_contract::DECIMAL_PLACES;
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;

use crate::federation::remote::digits;

/// What 128 bits hold.
pub(in crate::federation::surface) const NARROW: i16 = 38;
/// What 256 bits hold.
pub(in crate::federation::surface) const WIDE: i16 = 76;
/// MariaDB gives no result more places after the point.
pub(in crate::federation::surface) const MAX_SCALE: i16 = DECIMAL_PLACES as i16;

/// The decimal with so many digits before and after the point, as far as there is one.
pub(in crate::federation::surface) fn decimal(before: i16, after: i16) -> DataType {
    let precision = (before.max(0) + after).clamp(1, WIDE);
    wide_if(precision > NARROW, precision, after)
}

fn wide_if(wide: bool, precision: i16, scale: i16) -> DataType {
    let precision = u8::try_from(precision).unwrap_or(u8::MAX);
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    if wide { DataType::Decimal256(precision, scale) } else { DataType::Decimal128(precision, scale) }
}

/// Fails unless a decimal can have so many digits, so many of them after the point: more, or places before the point,
/// are nowhere reckoned with.
pub(crate) fn check_decimal(digits: u64, places: i64) -> Result<()> {
    let most = u64::try_from(WIDE).unwrap_or(u64::MAX);
    if !(1..=most).contains(&digits) {
        return plan_err!("DECIMAL({digits},{places}) is no type: expected 1 to {most} digits");
    }
    match u64::try_from(places) {
        Ok(places) if places <= digits => Ok(()),
        _ => plan_err!("DECIMAL({digits},{places}) is no type: expected 0 to {digits} places after the point"),
    }
}

/// As [`check_decimal`], of all decimals in `data_type`.
pub(in crate::federation::surface) fn check_type(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Decimal32(digits, places)
        | DataType::Decimal64(digits, places)
        | DataType::Decimal128(digits, places)
        | DataType::Decimal256(digits, places) => check_decimal(u64::from(*digits), i64::from(*places)),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            check_type(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_type(field.data_type())),
        DataType::Map(entries, _) => check_type(entries.data_type()),
        DataType::Dictionary(_, value) => check_type(value),
        _ => Ok(()),
    }
}

pub(in crate::federation::surface) fn is_wide(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal256(..))
}

pub(in crate::federation::surface) fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// The decimal that has the digits of `data_type`, a whole number or a decimal, in 256 bits if `wide`.
pub(in crate::federation::surface) fn as_decimal(data_type: &DataType, wide: bool) -> DataType {
    match digits(data_type) {
        Some((before, after)) => wide_if(wide || before + after > NARROW, (before + after).max(1), after),
        None => data_type.clone(),
    }
}

/// The type of `expr`, or of a whole literal, the decimal with its digits, as in MariaDB.
pub(in crate::federation::surface) fn spelled(expr: &Expr, data_type: &DataType) -> DataType {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => {
            let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
            decimal(i16::try_from(digits).unwrap_or(NARROW), 0)
        }
        _ => data_type.clone(),
    }
}

/// One type for values of `types`, where these are decimals or whole numbers and need more digits together than
/// DataFusion would give them.
pub(in crate::federation::surface) fn common(types: &[DataType]) -> Option<DataType> {
    let known = types.iter().filter(|data_type| !data_type.is_null());
    let all: Vec<(i16, i16)> = known.clone().map(digits).collect::<Option<_>>()?;
    let (before, after) = (all.iter().map(|d| d.0).max()?, all.iter().map(|d| d.1).max()?);
    let alike = known.clone().all(|data_type| data_type == &types[0]);
    let decimals = known.clone().any(is_decimal);
    (!alike && decimals && before + after > NARROW).then(|| decimal(before, after))
}

/// `value / unit`, as decimals are rounded: halves away from 0. The unit is not 0, and neither is the least number.
pub(in crate::federation::surface) fn nearest<N: ArrowNativeTypeOp>(value: N, unit: N) -> N {
    let magnitude = |of: N| if of.is_lt(N::ZERO) { of.neg_wrapping() } else { of };
    let whole = value.div_wrapping(unit);
    if !is_half(magnitude(value.mod_wrapping(unit)), magnitude(unit)) {
        return whole;
    }
    match value.is_lt(N::ZERO) == unit.is_lt(N::ZERO) {
        true => whole.add_wrapping(N::ONE),
        false => whole.sub_wrapping(N::ONE),
    }
}

/// Whether `rest`, what a division by `unit` has left, is half of it at least. Both have no sign.
pub(in crate::federation::surface) fn is_half<N: ArrowNativeTypeOp>(rest: N, unit: N) -> bool {
    rest.is_ge(unit.sub_wrapping(rest))
}

/// `array` as `to`, an error where a value has no room.
pub(in crate::federation::surface) fn as_type(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|error| out_of_range(&error.to_string()))
}

fn out_of_range(why: &str) -> DataFusionError {
    ArrowError::ArithmeticOverflow(format!("DECIMAL value is out of range: {why}")).into()
}

/// Fails if `array`, of decimals, holds one of more than `precision` digits.
pub(in crate::federation::surface) fn within(array: &dyn Array, precision: u8) -> Result<()> {
    match array.data_type() {
        DataType::Decimal128(..) => check(array.as_primitive::<Decimal128Type>(), precision),
        DataType::Decimal256(..) => check(array.as_primitive::<Decimal256Type>(), precision),
        _ => Ok(()),
    }
}

fn check<T: DecimalType>(array: &PrimitiveArray<T>, precision: u8) -> Result<()> {
    match array.iter().flatten().all(|value| T::is_valid_decimal_precision(value, precision)) {
        true => Ok(()),
        false => Err(out_of_range(&format!("a result has more than {precision} digits"))),
    }
}

/// Fails if `array`, of decimals, holds one with more digits than its type says: it would be shown without them.
pub(crate) fn check_digits(array: &dyn Array) -> Result<()> {
    match array.data_type() {
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => within(array, *precision),
        _ => Ok(()),
    }
}
