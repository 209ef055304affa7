//! Operators whose operands DataFusion would refuse while it reads the query: a number against a boolean, a
//! TIME against a text. What is computed is known by its type alone until all types are known ([`operation`]). And what
//! DataFusion would plan by functions of its own, is planned by those that stand over them.

use datafusion::common::{DFSchema, Result};
use datafusion::functions::core;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::bounds::call;
use super::numbers::operation::{divided, operation};
use super::times::parts;
use super::types::coercions::binary;

/// Makes operands fit.
#[derive(Debug)]
pub(super) struct OperatorPlanner;

impl ExprPlanner for OperatorPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let op = match expr.op {
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let is_computed = matches!(
            op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
        );
        let side = |side: &Expr| if is_computed { divided(side.clone(), schema) } else { side.clone() };
        let (left, right) = (side(&expr.left), side(&expr.right));
        let fitted = binary(left.clone(), op, right.clone(), schema)?;
        // The type of a placeholder is told by what it meets.
        let is_placeholder = |side: &Expr| matches!(side, Expr::Placeholder(_));
        Ok(match fitted {
            Expr::BinaryExpr(same) if *same.left == expr.left && *same.right == expr.right => {
                PlannerResult::Original(expr)
            }
            Expr::Literal(..) => PlannerResult::Planned(fitted),
            _ if is_computed && !is_placeholder(&left) && !is_placeholder(&right) => {
                let to = fitted.get_type(schema)?;
                PlannerResult::Planned(operation(left, op, right, to))
            }
            _ => PlannerResult::Planned(fitted),
        })
    }

    fn plan_struct_literal(&self, args: Vec<Expr>, is_named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        let function = if is_named { core::named_struct() } else { core::r#struct() };
        Ok(PlannerResult::Planned(call(function, args)))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(parts::function(), args))))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(core::overlay(), args)))
    }
}
