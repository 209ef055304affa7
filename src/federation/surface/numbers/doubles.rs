//! Whatever meets a FLOAT or a DOUBLE is taken for a double, as in MariaDB; DataFusion would take it for a decimal,
//! which has no room for 1e308.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility, cast,
};

use crate::federation::surface::each::{Each, each};

/// The function that stands for a number with an exponent.
pub(in crate::federation::surface) const DOUBLE_LITERAL: &str = "double_literal";

/// The function that makes a double of a decimal.
pub(in crate::federation::surface) const DECIMAL_DOUBLE: &str = "decimal_double";

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// The whole numbers up to it are doubles.
const EXACT: u128 = 1 << 53;

/// `expr`, a number of `data_type`, as a double: the one next to it.
pub(in crate::federation::surface) fn double(expr: Expr, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Float64 => expr,
        DataType::Decimal128(..) | DataType::Decimal256(..) => match &expr {
            Expr::Literal(value, _) if decimal(value).is_some() => {
                Expr::Literal(ScalarValue::Float64(decimal(value)), None)
            }
            _ => each(DecimalDouble, expr),
        },
        other if other.is_numeric() => match &expr {
            Expr::Literal(value, _) => match value.cast_to(&DataType::Float64) {
                Ok(value) => Expr::Literal(value, None),
                Err(_) => cast(expr, DataType::Float64),
            },
            _ => cast(expr, DataType::Float64),
        },
        _ => expr,
    }
}

fn decimal(value: &ScalarValue) -> Option<f64> {
    match *value {
        ScalarValue::Decimal128(Some(unscaled), _, scale) => Some(nearest(unscaled, scale)),
        ScalarValue::Decimal256(Some(unscaled), _, scale) => Some(nearest_wide(unscaled, scale)),
        _ => None,
    }
}

/// The double next to `unscaled` / 10^`scale`: one division of exact numbers, or what its digits are read as.
fn nearest(unscaled: i128, scale: i8) -> f64 {
    match usize::try_from(scale).ok().and_then(|scale| POWERS.get(scale)) {
        Some(power) if unscaled.unsigned_abs() <= EXACT => unscaled as f64 / power,
        _ => nearest_wide(i256::from_i128(unscaled), scale),
    }
}

fn nearest_wide(unscaled: i256, scale: i8) -> f64 {
    format!("{unscaled}e{}", -i16::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The double next to a decimal. Arrow's cast rounds twice.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalDouble;

impl Each for DecimalDouble {
    const NAME: &'static str = DECIMAL_DOUBLE;
    const IS_NAMED: bool = true;

    fn makes(&self, _from: &DataType) -> DataType {
        DataType::Float64
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        doubles(values)
    }
}

fn doubles(array: &ArrayRef) -> Result<ArrayRef> {
    let doubles: Float64Array = match array.data_type() {
        DataType::Decimal128(_, scale) => {
            array.as_primitive::<Decimal128Type>().unary(|unscaled| nearest(unscaled, *scale))
        }
        DataType::Decimal256(_, scale) => {
            array.as_primitive::<Decimal256Type>().unary(|unscaled| nearest_wide(unscaled, *scale))
        }
        other => return internal_err!("decimal_double takes a decimal, not {other}"),
    };
    Ok(Arc::new(doubles))
}

/// `double_literal('1e308')`: a number with an exponent, which is a double. The surface's rule replaces it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::federation::surface) struct DoubleLiteral {
    signature: Signature,
}

impl Default for DoubleLiteral {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl DoubleLiteral {
    /// The number that `args` spell.
    pub(in crate::federation::surface) fn read(args: &[Expr]) -> Result<Expr> {
        match args {
            [Expr::Literal(text, _)] => {
                Ok(Expr::Literal(ScalarValue::Float64(Some(spelled(Some(text))?)), None))
            }
            _ => internal_err!("double_literal takes a literal"),
        }
    }
}

fn spelled(text: Option<&ScalarValue>) -> Result<f64> {
    let Some(text) = text.and_then(|text| text.try_as_str().flatten()) else {
        return internal_err!("double_literal takes a text");
    };
    match text.replace('_', "").parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => plan_err!("{text} is not a double: expected a number up to 1.7976931348623157e308"),
    }
}

impl ScalarUDFImpl for DoubleLiteral {
    fn name(&self) -> &str {
        DOUBLE_LITERAL
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [Expr::Literal(text, _)] => Ok(format!("Float64({})", spelled(Some(text))?)),
            _ => internal_err!("double_literal takes a literal"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        spelled(args.scalar_arguments.first().copied().flatten())?;
        Ok(Arc::new(arrow::datatypes::Field::new(self.name(), DataType::Float64, false)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("double_literal(…) was left in a plan")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_doubles_next_to_them() {
        for (unscaled, scale, expected) in [
            (11, 1, 1.1),
            (-5, 1, -0.5),
            (0, 3, 0.0),
            (9_007_199_254_740_993, 0, 9_007_199_254_740_992.0),
            (123_456_789_012_345_678_901_234_567_890, 6, 1.234_567_890_123_456_8e23),
            (1, 30, 1e-30),
        ] {
            assert_eq!(nearest(unscaled, scale), expected, "{unscaled} / 10^{scale}");
        }
    }

    #[test]
    fn exponents_spell_doubles() {
        let spelled = |text: &str| spelled(Some(&ScalarValue::from(text)));
        assert_eq!(spelled("5e-324").unwrap(), 5e-324);
        assert_eq!(spelled("1_0E2").unwrap(), 1000.0);
        assert!(spelled("1e400").unwrap_err().to_string().contains("1e400 is not a double"));
    }
}
