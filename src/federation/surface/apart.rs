//! `apart(x, 'how')`: x, a cast or a text with a collation, as long as a query is read.
//!
//! DataFusion calls `CAST(x AS DATE)` what it calls x, and refuses two columns of one name. An item of a list can be given an alias;
//! what stands in an aggregate or a GROUP BY (`max(x), max(x::date)`) cannot, and is told apart by this.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, VisitMut, VisitorMut,
};

use super::statement::conditions::call;
use crate::federation::collation::COLLATE_FUNCTION;

const APART: &str = "apart";

/// Has what is cast and what is given a collation in `statement` told apart from what is not; whether there is any.
pub fn tell_apart(statement: &mut Statement) -> bool {
    struct Telling {
        found: bool,
    }
    impl VisitorMut for Telling {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Ast) -> ControlFlow<()> {
            if let Some(how) = how(expr) {
                let told = vec![expr.clone(), Ast::value(Value::SingleQuotedString(how))];
                *expr = call(APART, told);
                self.found = true;
            }
            ControlFlow::Continue(())
        }
    }
    let mut telling = Telling { found: false };
    let _ = VisitMut::visit(statement, &mut telling);
    telling.found
}

/// What `expr` does that DataFusion has no name for.
fn how(expr: &Ast) -> Option<String> {
    match expr {
        // DataFusion asks for constants in some places.
        Ast::Cast { expr, .. } if matches!(**expr, Ast::Value(_)) => None,
        Ast::Cast { data_type, .. } => Some(format!("::{data_type}")),
        Ast::Function(function) => match &function.args {
            FunctionArguments::List(list) if function.name.to_string() == COLLATE_FUNCTION => {
                match list.args.last()? {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(name)) => Some(format!(" COLLATE {name}")),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// `expr` as it was written.
pub(super) fn as_written(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.inner().downcast_ref::<Apart>().is_some() && !args.is_empty() =>
        {
            Transformed::yes(args.swap_remove(0))
        }
        expr => Transformed::no(expr),
    }
}

/// The function. The surface's rule takes it away.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Apart {
    signature: Signature,
}

impl Default for Apart {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Apart {
    fn name(&self) -> &str {
        APART
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [expr, how] = args else { return internal_err!("{APART} has two arguments") };
        match how {
            Expr::Literal(ScalarValue::Utf8(Some(how)), _) => Ok(format!("{}{how}", expr.schema_name())),
            how => Ok(format!("{APART}({}, {})", expr.schema_name(), how.schema_name())),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("{APART} has the type of its argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(FieldRef::clone(field)),
            None => internal_err!("{APART} has an argument"),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{APART} was left in a plan")
    }
}
