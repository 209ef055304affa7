//! `whole(x)`: a wide decimal without what is after its point, in 128 bits.
//!
//! Arrow casts 256 bits to an integer by their lowest 64, whatever the others are; from 128 it does so with care.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal256Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const WHOLE: DataType = DataType::Decimal128(38, 0);

/// `expr`, a wide decimal, as it can be cast to an integer: NULL if it is too large and the cast `is_safe`, as TRY_CAST.
pub(super) fn whole(expr: Expr, is_safe: bool) -> Expr {
    let function = Whole { is_safe, signature: Signature::any(1, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    is_safe: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        "whole"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(WHOLE)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[..] {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(wholes(array, self.is_safe)?)),
            [ColumnarValue::Scalar(value)] => {
                let wholes = wholes(&value.to_array()?, self.is_safe)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&wholes, 0)?))
            }
            _ => internal_err!("whole takes a decimal"),
        }
    }
}

fn wholes(array: &ArrayRef, is_safe: bool) -> Result<ArrayRef> {
    let DataType::Decimal256(_, scale) = *array.data_type() else {
        return internal_err!("whole takes a wide decimal, not {}", array.data_type());
    };
    let Ok(places) = u32::try_from(scale) else {
        return internal_err!("{} has places before the point", array.data_type());
    };
    let unit = i256::from_i128(10).wrapping_pow(places);
    let narrow = |value: i256| value.wrapping_div(unit).to_i128();
    let array = array.as_primitive::<Decimal256Type>();
    let wholes: Decimal128Array = match is_safe {
        true => array.unary_opt(narrow),
        false => array.try_unary(|value| {
            narrow(value).ok_or_else(|| {
                ArrowError::ArithmeticOverflow(
                    "BIGINT value is out of range: a decimal does not fit".to_owned(),
                )
            })
        })?,
    };
    Ok(Arc::new(wholes.with_data_type(WHOLE)))
}
