//! `operation(x, y)`: what is computed by an operator, as long as a query is read.
//!
//! How it is computed depends on the types of x and y. While a query is read these are not final: DataFusion takes CASE for
//! what its first branch is, and a UNION for what its first part is. So it is only said what type the result seems to have, and
//! the surface's rule, which knows, computes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{ExprSchema, Result, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use super::decimals::is_decimal;
use super::sums::sum;

/// `left op right`, of type `to` as far as is known. The cast says so without a look at the operands, however long a chain of
/// operators is.
pub(super) fn operation(left: Expr, op: Operator, right: Expr, to: DataType) -> Expr {
    of(Some(op), left, right, to)
}

/// The function of `sum` by `count`.
pub(super) const AVERAGE: &str = "average";

/// `expr`, an operand, as `average(sum, count)` if it is an `avg` of exact numbers: it is calculated on with more digits than it
/// is shown with.
pub(super) fn divided(expr: Expr, schema: &dyn ExprSchema) -> Expr {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = &expr else { return expr };
    let is_exact = |of: DataType| of.is_integer() || is_decimal(&of) || of == DataType::Boolean;
    match (&params.args[..], expr.get_type(schema)) {
        ([arg], Ok(to)) if func.name() == "avg" && arg.get_type(schema).is_ok_and(is_exact) => {
            let part = |func| Expr::AggregateFunction(AggregateFunction { func, params: params.clone() });
            of(None, part(sum()), part(count_udaf()), to)
        }
        _ => expr,
    }
}

fn of(op: Option<Operator>, left: Expr, right: Expr, to: DataType) -> Expr {
    let function = Operation { op, to: to.clone(), signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    cast(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right])), to)
}

/// `expr` as it was written, if it is an [`operation`], and an average without its cast.
pub(super) fn as_written(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return Ok(Transformed::no(expr)) };
    let call = match *inner {
        Expr::ScalarFunction(call) => call,
        inner => return Ok(Transformed::no(Expr::Cast(Cast { expr: Box::new(inner), field }))),
    };
    let op = call.func.inner().downcast_ref::<Operation>().map(|operation| operation.op);
    match op {
        None => {
            let inner = Box::new(Expr::ScalarFunction(call));
            Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field })))
        }
        Some(None) => Ok(Transformed::yes(Expr::ScalarFunction(call))),
        Some(Some(op)) => match <[Expr; 2]>::try_from(call.args) {
            Ok([left, right]) => {
                let written = BinaryExpr::new(Box::new(left), op, Box::new(right));
                Ok(Transformed::yes(Expr::BinaryExpr(written)))
            }
            Err(_) => internal_err!("{op} lost an operand"),
        },
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Operation {
    /// None of an average.
    op: Option<Operator>,
    to: DataType,
    signature: Signature,
}

impl Operation {
    fn written(&self, args: &[Expr], of: impl Fn(&Expr) -> String) -> Result<String> {
        match (args, self.op) {
            ([left, right], Some(op)) => Ok(format!("{} {op} {}", of(left), of(right))),
            ([sum, _], None) => Ok(of(sum).replacen("sum", "avg", 1)),
            _ => internal_err!("{} has two operands", self.name()),
        }
    }
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        if self.op.is_some() { "operation" } else { AVERAGE }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.written(args, ToString::to_string)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.written(args, |arg| arg.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        // By 0 there is no quotient and no remainder.
        let nullable = nullable || matches!(self.op, None | Some(Operator::Divide | Operator::Modulo));
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} was left in a plan", self.name())
    }
}
