//! `operation(x, y, …)`: what is computed by operators, as long as a query is read.
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

/// Calls that stand within each other. What is within one may be what a query groups by, and DataFusion asks for the type and
/// the name of each part anew.
const DEEPEST: usize = 16;

/// `left op right`, of type `to` as far as is known. Longer chains of operators are one call.
pub(in crate::federation::surface) fn operation(left: Expr, op: Operator, right: Expr, to: DataType) -> Expr {
    let (mut ops, mut operands) = match chain(&left) {
        Some(chain) if depth(&left) >= DEEPEST => (chain.0.to_vec(), chain.1.to_vec()),
        _ => (Vec::new(), vec![left]),
    };
    ops.push(op);
    operands.push(right);
    of(ops, operands, to)
}

/// How many calls stand in the first operand of each other.
fn depth(expr: &Expr) -> usize {
    let mut depth = 0;
    let mut at = expr;
    while let Some((_, operands)) = chain(at) {
        depth += 1;
        at = &operands[0];
    }
    depth
}

/// The operators and operands of `expr`, if it is an operation.
fn chain(expr: &Expr) -> Option<(&[Operator], &[Expr])> {
    let Expr::Cast(Cast { expr, .. }) = expr else { return None };
    let Expr::ScalarFunction(call) = expr.as_ref() else { return None };
    let ops = &call.func.inner().downcast_ref::<Operation>()?.ops[..];
    (!ops.is_empty()).then_some((ops, &call.args[..]))
}

/// The function of `sum` by `count`.
pub(in crate::federation::surface) const AVERAGE: &str = "average";

/// `expr`, an operand, as `average(sum, count)` if it is an `avg` of exact numbers: it is calculated on with more digits than it
/// is shown with.
pub(in crate::federation::surface) fn divided(expr: Expr, schema: &dyn ExprSchema) -> Expr {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = &expr else { return expr };
    let is_exact = |of: DataType| of.is_integer() || is_decimal(&of) || of == DataType::Boolean;
    match (&params.args[..], expr.get_type(schema)) {
        ([arg], Ok(to)) if func.name() == "avg" && arg.get_type(schema).is_ok_and(is_exact) => {
            let part = |func| Expr::AggregateFunction(AggregateFunction { func, params: params.clone() });
            of(Vec::new(), vec![part(sum()), part(count_udaf())], to)
        }
        _ => expr,
    }
}

fn of(ops: Vec<Operator>, operands: Vec<Expr>, to: DataType) -> Expr {
    let function = Operation { ops, to: to.clone(), signature: Signature::variadic_any(Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    cast(Expr::ScalarFunction(ScalarFunction::new_udf(function, operands)), to)
}

/// `expr` as it was written, if it is an [`operation`], and an average without its cast.
pub(in crate::federation::surface) fn as_written(expr: Expr) -> Result<Transformed<Expr>> {
    if let Some((ops, operands)) = chain(&expr) {
        let mut operands = operands.iter().cloned();
        let first = operands.next().unwrap_or_default();
        let written = ops.iter().zip(operands).fold(first, |left, (op, right)| {
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right)))
        });
        return Ok(Transformed::yes(written));
    }
    Ok(match expr {
        Expr::Cast(Cast { expr, .. }) if is_operation(&expr) => Transformed::yes(*expr),
        expr => Transformed::no(expr),
    })
}

pub(in crate::federation::surface) fn is_operation(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<Operation>().is_some())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Operation {
    /// From the left to the right; none of an average.
    ops: Vec<Operator>,
    to: DataType,
    signature: Signature,
}

impl Operation {
    fn written(&self, args: &[Expr], of: impl Fn(&Expr) -> String) -> Result<String> {
        let Some((first, others)) = args.split_first() else {
            return internal_err!("{} has operands", self.name());
        };
        Ok(match self.ops.is_empty() {
            true => of(first).replacen("sum", "avg", 1),
            false => self.ops.iter().zip(others).fold(of(first), |mut text, (op, other)| {
                text.push_str(&format!(" {op} {}", of(other)));
                text
            }),
        })
    }
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        if self.ops.is_empty() { AVERAGE } else { "operation" }
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
        let divides = |op: &Operator| matches!(op, Operator::Divide | Operator::Modulo);
        let nullable = nullable || self.ops.is_empty() || self.ops.iter().any(divides);
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} was left in a plan", self.name())
    }
}
