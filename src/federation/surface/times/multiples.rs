//! `interval_times(x, n)`: an interval as often as a whole number says, months, days and the rest each by itself as in
//! PostgreSQL. DataFusion multiplies no intervals.

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use super::lengths::{INTERVAL, is_interval};

/// The product of `factors`, of `types`, if one is an interval and the other a whole number.
pub(in crate::federation::surface) fn multiple(factors: &[Expr], types: &[DataType]) -> Option<Expr> {
    let ([left, right], [left_type, right_type]) = (factors, types) else { return None };
    let is_number =
        |expr: &Expr, of: &DataType| of.is_integer() || matches!(expr, Expr::Literal(ScalarValue::Null, _));
    let (interval, number) = match (left_type, right_type) {
        (of, by) if is_interval(of) && is_number(right, by) => (left, right),
        (by, of) if is_interval(of) && is_number(left, by) => (right, left),
        _ => return None,
    };
    let function = IntervalTimes { signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    let args = vec![cast(interval.clone(), INTERVAL), cast(number.clone(), DataType::Int64)];
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, args)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalTimes {
    signature: Signature,
}

impl ScalarUDFImpl for IntervalTimes {
    fn name(&self) -> &str {
        "interval_times"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // What DataFusion asks with, to find out what becomes of NULL, has no type.
        if args.args.iter().any(|arg| arg.data_type().is_null()) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&INTERVAL)?));
        }
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [intervals, numbers] = &arrays[..] else {
            return internal_err!("{} takes two values", self.name());
        };
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.as_primitive::<Int64Type>();
        let multiples = intervals.iter().zip(numbers).map(|(interval, number)| match (interval, number) {
            (Some(interval), Some(number)) => match times(interval, number) {
                Some(multiple) => Ok(Some(multiple)),
                None => exec_err!("a multiple of an interval is out of range"),
            },
            _ => Ok(None),
        });
        let multiples = multiples.collect::<Result<IntervalMonthDayNanoArray>>()?;
        Ok(match is_scalar && multiples.len() == 1 {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&multiples, 0)?),
            false => ColumnarValue::Array(Arc::new(multiples)),
        })
    }
}

fn times(interval: IntervalMonthDayNano, number: i64) -> Option<IntervalMonthDayNano> {
    let part = |part: i32| i32::try_from(i64::from(part).checked_mul(number)?).ok();
    let nanos = interval.nanoseconds.checked_mul(number)?;
    Some(IntervalMonthDayNano::new(part(interval.months)?, part(interval.days)?, nanos))
}
