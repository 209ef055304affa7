//! `operation(x, y)`: what is computed by an operator, as long as a query is read.
//!
//! How it is computed depends on the types of x and y. While a query is read these are not final: DataFusion takes CASE for
//! what its first branch is, and a UNION for what its first part is. So it is only said what type the result seems to have, and
//! the surface's rule, which knows, computes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};

/// `left op right`, of type `to` as far as is known. The cast says so without a look at the operands, however long a chain of
/// operators is.
pub(super) fn operation(left: Expr, op: Operator, right: Expr, to: DataType) -> Expr {
    let function = Operation { op, to: to.clone(), signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    cast(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right])), to)
}

/// `expr` as it was written, if it is an [`operation`].
pub(super) fn as_written(expr: Expr) -> Result<Transformed<Expr>> {
    let op = match &expr {
        Expr::Cast(Cast { expr, .. }) => match expr.as_ref() {
            Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<Operation>().map(|of| of.op),
            _ => None,
        },
        _ => None,
    };
    match (op, expr) {
        (Some(op), Expr::Cast(Cast { expr, .. })) => match *expr {
            Expr::ScalarFunction(ScalarFunction { args, .. }) => match <[Expr; 2]>::try_from(args) {
                Ok([left, right]) => {
                    let written = BinaryExpr::new(Box::new(left), op, Box::new(right));
                    Ok(Transformed::yes(Expr::BinaryExpr(written)))
                }
                Err(_) => internal_err!("{op} lost an operand"),
            },
            other => Ok(Transformed::no(other)),
        },
        (_, expr) => Ok(Transformed::no(expr)),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Operation {
    op: Operator,
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        "operation"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("{} has two operands", self.op) };
        Ok(format!("{left} {} {right}", self.op))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("{} has two operands", self.op) };
        Ok(format!("{} {} {}", left.schema_name(), self.op, right.schema_name()))
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
        let nullable = nullable || matches!(self.op, Operator::Divide | Operator::Modulo);
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} was left in a plan", self.op)
    }
}
