//! `divisor(x)`: what is divided by. By 0 there is no quotient and no remainder, which is NULL, as in MariaDB.
//!
//! An error would come too soon, besides: AND computes both its sides, so that `x <> 0 AND 1 / x > 2` has to pass over
//! a 0.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type,
    UInt64Type, i256,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const NAME: &str = "divisor";

/// `expr`, of type `of`, as what is divided by.
pub(in crate::federation::surface) fn divisor(expr: Expr, of: &DataType) -> Expr {
    match &expr {
        Expr::Literal(value, _) if !is_zero(value) => expr,
        Expr::Literal(..) => match ScalarValue::try_new_null(of) {
            Ok(null) => Expr::Literal(null, None),
            Err(_) => expr,
        },
        Expr::ScalarFunction(call) if call.name() == NAME => expr,
        _ => {
            let function = Divisor { is_negative: false, signature: Signature::any(1, Volatility::Immutable) };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
        }
    }
}

/// As [`divisor`], of a decimal, and negative: by that the same is left. DataFusion takes what is left by 1 for 0.
pub(in crate::federation::surface) fn negative_divisor(expr: Expr, of: &DataType) -> Expr {
    match divisor(expr, of) {
        Expr::Literal(value, metadata) => Expr::Literal(negative_value(&value).unwrap_or(value), metadata),
        Expr::ScalarFunction(ScalarFunction { args, .. }) => {
            let function = Divisor { is_negative: true, signature: Signature::any(1, Volatility::Immutable) };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
        }
        other => other,
    }
}

fn negative_value(value: &ScalarValue) -> Result<ScalarValue> {
    ScalarValue::try_from_array(&negative(&value.to_array()?)?, 0)
}

/// `-|x|` of each of `array`, of decimals; others as they are.
fn negative(array: &ArrayRef) -> Result<ArrayRef> {
    let data_type = array.data_type().clone();
    Ok(match data_type {
        DataType::Decimal128(..) => {
            let numbers = array.as_primitive::<Decimal128Type>();
            let numbers =
                numbers.unary::<_, Decimal128Type>(|number| if number > 0 { -number } else { number });
            Arc::new(numbers.with_data_type(data_type))
        }
        DataType::Decimal256(..) => {
            let numbers = array.as_primitive::<Decimal256Type>();
            let numbers = numbers.unary::<_, Decimal256Type>(|number| match number > i256::ZERO {
                true => number.wrapping_neg(),
                false => number,
            });
            Arc::new(numbers.with_data_type(data_type))
        }
        _ => Arc::clone(array),
    })
}

fn is_zero(value: &ScalarValue) -> bool {
    match value {
        // -0 as well.
        ScalarValue::Float64(value) => *value == Some(0.0),
        value => ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| *value == zero),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Divisor {
    is_negative: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Divisor {
    fn name(&self) -> &str {
        NAME
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(Expr::to_string).unwrap_or_default())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = |array: &ArrayRef| {
            let array = without_zeros(array);
            if self.is_negative { negative(&array) } else { Ok(array) }
        };
        match &args.args[..] {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(made(array)?)),
            [ColumnarValue::Scalar(value)] => {
                let made = made(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?))
            }
            _ => internal_err!("divisor takes a number"),
        }
    }
}

fn without_zeros(array: &ArrayRef) -> ArrayRef {
    fn of<T: ArrowPrimitiveType>(array: &ArrayRef) -> ArrayRef {
        let numbers = array.as_primitive::<T>();
        if !numbers.values().contains(&T::Native::ZERO) {
            return Arc::clone(array);
        }
        let numbers = numbers.unary_opt::<_, T>(|number| (number != T::Native::ZERO).then_some(number));
        Arc::new(numbers.with_data_type(array.data_type().clone()))
    }
    match array.data_type() {
        DataType::Int64 => of::<Int64Type>(array),
        DataType::UInt64 => of::<UInt64Type>(array),
        DataType::Float64 => of::<Float64Type>(array),
        DataType::Decimal128(..) => of::<Decimal128Type>(array),
        DataType::Decimal256(..) => of::<Decimal256Type>(array),
        _ => Arc::clone(array),
    }
}
