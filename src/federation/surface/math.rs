//! DataFusion's functions of numbers, computed on BIGINT and DOUBLE as MariaDB computes them, not on the narrower
//! types of columns: `abs` of the TINYINT -128 is 128, and `round(f, 1)` of a FLOAT equals 1.1.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// The functions of numbers, to be registered over DataFusion's.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    datafusion::functions::math::functions()
        .into_iter()
        .filter(|function| function.signature().volatility == Volatility::Immutable && function.name() != "pi")
        .map(|function| Arc::new(ScalarUDF::new_from_impl(OverWide::new(function))))
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
}

fn wide(data_type: &DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::UInt64,
        whole if whole.is_integer() => DataType::Int64,
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
        let fields: Vec<FieldRef> =
            arg_types.iter().map(|arg| Arc::new(Field::new("", wide(arg), true))).collect();
        let coerced = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.inner.invoke_with_args(args) {
            Err(error) if error.to_string().contains("verflow") => {
                exec_err!("BIGINT value is out of range: the result of {} does not fit", self.name())
            }
            other => other,
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
