//! Subqueries that DataFusion makes joins of, where a value says as much (`quantified`), or has to (`folded`).

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::folded::constant;
use super::quantified::by_extreme;
use crate::federation::walk::{has_anywhere, with_parts};

/// The rule that does both. It comes before all of DataFusion's: one makes joins of what is left, others simplify.
#[derive(Debug)]
pub(super) struct Subqueries;

impl OptimizerRule for Subqueries {
    fn name(&self) -> &'static str {
        "subqueries"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        // Most have none, and are not taken apart then.
        let is_one = |expr: &Expr| matches!(expr, Expr::SetComparison(_) | Expr::ScalarSubquery(_));
        if !has_anywhere(&plan, is_one)? {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|plan| {
            with_parts(plan, |expr| match expr {
                Expr::SetComparison(comparison) => by_extreme(comparison),
                Expr::ScalarSubquery(subquery) => Ok(match constant(&subquery, config)? {
                    Some(constant) => Transformed::yes(constant),
                    None => Transformed::no(Expr::ScalarSubquery(subquery)),
                }),
                expr => Ok(Transformed::no(expr)),
            })
        })
    }
}
