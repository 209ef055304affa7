//! Functions that give one of their arguments, such as `coalesce`: what they choose between makes one type.
//!
//! The surface's rule converts the arguments; here the types are told while the query is read, when DataFusion
//! would refuse `coalesce(pause, '00:00:00')`.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions::core;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::coercions::{TIME, is_day, is_moment, widened};
use super::spelling::becomes_text;
use crate::federation::collation::is_text;
use crate::federation::taken_types;

/// Compares its arguments and gives the first.
pub(in crate::federation::surface) const COMPARED: &str = "nullif";

/// Gives the first of two that is not NULL.
const NVL: &str = "nvl";

/// Whether the function gives one of its arguments.
pub(in crate::federation::surface) fn is_choice(name: &str) -> bool {
    matches!(name, "coalesce" | "nvl" | "ifnull" | "greatest" | "least")
}

/// The functions, to be registered over DataFusion's.
pub(in crate::federation::surface) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    // DataFusion's nvl knows numbers and texts alone, and makes a text of a date.
    [
        (core::coalesce(), core::coalesce()),
        (core::nvl(), core::coalesce()),
        (core::greatest(), core::greatest()),
        (core::least(), core::least()),
        (core::nullif(), core::nullif()),
    ]
    .into_iter()
    .map(|(named, inner)| Arc::new(ScalarUDF::new_from_impl(Choice::new(named, inner))))
}

/// DataFusion's function of the same name, of more types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Choice {
    /// Whose names and number of arguments it has.
    named: Arc<ScalarUDF>,
    /// What does the work.
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Choice {
    fn new(named: Arc<ScalarUDF>, inner: Arc<ScalarUDF>) -> Self {
        Self { named, inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn coerced(&self, arg_types: Vec<DataType>) -> Result<Vec<DataType>> {
        taken_types(arg_types, self.inner.as_ref())
    }
}

impl ScalarUDFImpl for Choice {
    fn name(&self) -> &str {
        self.named.name()
    }

    fn aliases(&self) -> &[String] {
        self.named.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if let (NVL, found) = (self.name(), arg_types.len())
            && found != 2
        {
            return plan_err!("{NVL} takes 2 arguments, {found} were given");
        }
        let texts = arg_types.iter().any(is_text);
        let chosen = self.name() != COMPARED;
        let text = |arg: DataType| {
            if texts && (arg == TIME || (chosen && becomes_text(&arg))) { DataType::Utf8View } else { arg }
        };
        let wide: Vec<DataType> = widened(arg_types).into_iter().map(text).collect();
        // A text is read as the date that it is compared with, or stands in for.
        let date = wide.iter().find(|arg| is_moment(arg) || is_day(arg)).filter(|_| texts).cloned();
        let Some(date) = date else { return self.coerced(wide) };
        let read = |arg: &DataType| if is_text(arg) { date.clone() } else { arg.clone() };
        let dates: Vec<DataType> = wide.iter().map(read).collect();
        match self.name() {
            COMPARED => self.coerced(wide).or_else(|_| self.coerced(dates)),
            _ => self.coerced(dates),
        }
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
        self.named.documentation()
    }
}
