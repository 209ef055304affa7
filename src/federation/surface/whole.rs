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

/// `expr`, a wide decimal, as it can be cast to an integer.
pub(super) fn whole(expr: Expr) -> Expr {
    let function = Arc::new(ScalarUDF::new_from_impl(Whole::default()));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    signature: Signature,
}

impl Default for Whole {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
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
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(wholes(array)?)),
            [ColumnarValue::Scalar(value)] => {
                let wholes = wholes(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&wholes, 0)?))
            }
            _ => internal_err!("whole takes a decimal"),
        }
    }
}

fn wholes(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Decimal256(_, scale) = *array.data_type() else {
        return internal_err!("whole takes a wide decimal, not {}", array.data_type());
    };
    let unit = i256::from_i128(10).wrapping_pow(u32::try_from(scale).unwrap_or(0));
    let narrow = |value: i256| match value.wrapping_div(unit).to_i128() {
        Some(whole) => Ok(whole),
        None => Err(ArrowError::ArithmeticOverflow(
            "BIGINT value is out of range: a decimal does not fit".to_owned(),
        )),
    };
    let wholes: Decimal128Array = array.as_primitive::<Decimal256Type>().try_unary(narrow)?;
    Ok(Arc::new(wholes.with_data_type(WHOLE)))
}
