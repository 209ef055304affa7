//! Functions that give one of their arguments, such as `coalesce`: what they choose between makes one type.
//!
//! The surface's rule converts the arguments; here the types are told while the query is read, when DataFusion
//! would refuse `coalesce(pause, '00:00:00')`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::functions::core;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::coercions::{TIME, widened};
use crate::federation::collation::is_text;

/// Compares its arguments and gives the first.
pub(super) const COMPARED: &str = "nullif";

/// Whether the function gives one of its arguments.
pub(super) fn is_choice(name: &str) -> bool {
    matches!(name, "coalesce" | "nvl" | "ifnull" | "greatest" | "least")
}

/// The functions, to be registered over DataFusion's.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [core::coalesce(), core::nvl(), core::greatest(), core::least(), core::nullif()]
        .into_iter()
        .map(|inner| Arc::new(ScalarUDF::new_from_impl(Choice::new(inner))))
}

/// DataFusion's function of the same name, of more types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Choice {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Choice {
    fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Choice {
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
        let texts = arg_types.iter().any(is_text);
        let text = |arg: DataType| if texts && arg == TIME { DataType::Utf8View } else { arg };
        let fields: Vec<FieldRef> =
            widened(arg_types).into_iter().map(|arg| Arc::new(Field::new("", text(arg), true))).collect();
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
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
