//! DataFusion's functions of numbers, computed on BIGINT and DOUBLE as MariaDB computes them, not on the narrower
//! types of columns: `abs` of the TINYINT -128 is 128, and `round(f, 1)` of a FLOAT equals 1.1. The floor and the ceiling
//! of a decimal are whole, and may need a digit more than it has: the ceiling of 99.5 is 100. Those of a whole number are
//! the number itself. A double between two is rounded to the even one: 2.5 to 2, where the decimal 2.5 becomes 3.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::decimals::{as_type, decimal, is_decimal};
use crate::federation::remote::digits;
use crate::federation::taken_types;

/// The functions of numbers, to be registered over DataFusion's.
pub(in crate::federation::surface) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    datafusion::functions::math::functions()
        .into_iter()
        .filter(|function| function.signature().volatility == Volatility::Immutable && function.name() != "pi")
        .map(|function| Arc::new(ScalarUDF::new_from_impl(OverWide::new(function))))
        .map(|function| match function.name() {
            "signum" => Arc::new(function.as_ref().clone().with_aliases(["sign"])),
            "ceil" => Arc::new(function.as_ref().clone().with_aliases(["ceiling"])),
            _ => function,
        })
}

/// DataFusion's function of the same name, of wide numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OverWide {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl OverWide {
    fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// Whether the function gives its argument as it is.
    fn keeps(&self, arg: &DataType) -> bool {
        matches!(self.name(), "floor" | "ceil") && arg.is_integer()
    }

    /// What the whole number next to an `arg` is, if that is what the function gives.
    fn whole(&self, arg: &DataType) -> Option<DataType> {
        if self.keeps(arg) {
            return Some(arg.clone());
        }
        let (before, _) = digits(arg)?;
        (matches!(self.name(), "floor" | "ceil") && is_decimal(arg)).then(|| decimal(before + 1, 0))
    }

    fn next_whole(&self, mut args: ScalarFunctionArgs, whole: &DataType) -> Result<ColumnarValue> {
        let (Some(arg), Some((before, after))) = (args.args.pop(), digits(args.arg_fields[0].data_type()))
        else {
            return self.inner.invoke_with_args(args);
        };
        let scalar = matches!(arg, ColumnarValue::Scalar(_));
        // With room for the digit more.
        let roomy = decimal(before + 1, after);
        let values = as_type(&arg.to_array(if scalar { 1 } else { args.number_rows })?, &roomy)?;
        let field = |data_type: &DataType, like: &FieldRef| {
            Arc::new(like.as_ref().clone().with_data_type(data_type.clone()))
        };
        args.arg_fields = args.arg_fields.iter().map(|like| field(&roomy, like)).collect();
        args.return_field = field(&roomy, &args.return_field);
        args.number_rows = values.len();
        let found = self
            .inner
            .invoke_with_args(ScalarFunctionArgs { args: vec![ColumnarValue::Array(values)], ..args })?;
        let found: ArrayRef = as_type(&found.into_array(1)?, whole)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// Doubles, rounded to as many places as there is an argument for.
fn rounded(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if is_scalar { 1 } else { args.number_rows };
    let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let values = arrays[0].as_primitive::<Float64Type>();
    let found: Float64Array = match arrays.get(1) {
        None => values.unary(|value| round_to(value, 0)),
        Some(places) => {
            let places = cast(places, &DataType::Int64)?;
            binary(values, places.as_primitive::<Int64Type>(), round_to)?
        }
    };
    let found: ArrayRef = Arc::new(found);
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
        false => ColumnarValue::Array(found),
    })
}

/// The number of places as DataFusion's function takes it.
fn with_places(mut args: ScalarFunctionArgs) -> Result<ScalarFunctionArgs> {
    if let ([_, places], [_, field]) = (args.args.as_mut_slice(), args.arg_fields.as_mut_slice())
        && places.data_type().is_integer()
    {
        *places = places.cast_to(&DataType::Int32, None)?;
        *field = Arc::new(field.as_ref().clone().with_data_type(DataType::Int32));
    }
    Ok(args)
}

/// As MariaDB rounds: with a power of ten that is out of bounds there is nothing to round, or nothing left.
fn round_to(value: f64, places: i64) -> f64 {
    let unit = 10_f64.powi(places.unsigned_abs().min(400) as i32);
    let rounded = match places < 0 {
        true if unit.is_infinite() => 0.0,
        true => (value / unit).round_ties_even() * unit,
        false if !(value * unit).is_finite() => value,
        false => (value * unit).round_ties_even() / unit,
    };
    // No negative zero.
    rounded + 0.0
}

fn wide(data_type: &DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::UInt64,
        whole if whole.is_integer() || *whole == DataType::Boolean => DataType::Int64,
        float if float.is_floating() => DataType::Float64,
        other => other.clone(),
    }
}

impl ScalarUDFImpl for OverWide {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if let [arg] = arg_types
            && self.keeps(&wide(arg))
        {
            return Ok(vec![wide(arg)]);
        }
        let mut taken = taken_types(arg_types.iter().map(wide), self.inner.as_ref())?;
        // A cast is no constant until it is folded, and the number of places says of what type a decimal is: that has
        // to be known from the beginning.
        if let ("round", [_, places]) = (self.name(), arg_types)
            && places.is_integer()
        {
            taken[1] = places.clone();
        }
        Ok(taken)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first().and_then(|arg| self.whole(arg)) {
            Some(whole) => Ok(whole),
            None => self.inner.return_type(arg_types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let whole = args.arg_fields.first().and_then(|arg| self.whole(arg.data_type()));
        let field = self.inner.return_field_from_args(args)?;
        Ok(match whole {
            Some(whole) => Arc::new(field.as_ref().clone().with_data_type(whole)),
            None => field,
        })
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = match args.return_field.data_type() {
            whole if whole.is_integer() => "BIGINT",
            decimal if is_decimal(decimal) => "DECIMAL",
            _ => "DOUBLE",
        };
        let first = args.arg_fields.first().map(|arg| arg.data_type().clone());
        let found = match first.as_ref().and_then(|arg| self.whole(arg)) {
            Some(whole) if first == Some(whole.clone()) && whole.is_integer() => Ok(args.args.swap_remove(0)),
            Some(whole) => self.next_whole(args, &whole),
            None if self.name() == "round" && first == Some(DataType::Float64) => rounded(&args),
            None if self.name() == "round" => self.inner.invoke_with_args(with_places(args)?),
            None => self.inner.invoke_with_args(args),
        };
        match found {
            Err(error) if error.to_string().contains("verflow") => {
                let text = format!("{kind} value is out of range: the result of {} does not fit", self.name());
                Err(ArrowError::ArithmeticOverflow(text).into())
            }
            other => other,
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        match inputs.first().and_then(|input| self.whole(&input.data_type())) {
            Some(whole) => Interval::make_unbounded(&whole),
            None => self.inner.evaluate_bounds(inputs),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
