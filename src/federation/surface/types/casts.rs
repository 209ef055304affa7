//! How deep casts may stand within each other, through subqueries of FROM as well, for those become one expression.
//!
//! Whether a cast may be NULL, DataFusion asks of what it casts twice over, so that every further level doubles what
//! planning takes, and nothing ends that before its time. Casts that nobody wrote count too: those of arithmetic on
//! BIGINT, and of functions that take another type than they are given.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::federation::surface::bounds::limit;

const DEEPEST: usize = 24;

/// Fails if casts nest too deeply in what `plan` computes.
pub(in crate::federation::surface) fn check(plan: &LogicalPlan) -> Result<()> {
    depths(plan).map(|_| ())
}

/// How deep casts nest in each column of `plan`.
#[recursive::recursive]
fn depths(plan: &LogicalPlan) -> Result<Vec<usize>> {
    plan.apply_subqueries(|subquery| {
        depths(subquery)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let inputs = plan.inputs().into_iter().map(depths).collect::<Result<Vec<_>>>()?;
    let width = plan.schema().fields().len();
    let found = match (plan, inputs.as_slice()) {
        (LogicalPlan::Projection(list), [input]) => {
            let schema = list.input.schema();
            list.expr.iter().map(|expr| depth(expr, schema, input)).collect::<Result<_>>()?
        }
        // What passes columns on, perhaps with further ones behind them.
        (
            LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Join(_),
            inputs,
        ) => inputs.iter().flatten().copied().chain(std::iter::repeat(0)).take(width).collect(),
        _ => vec![0; width],
    };
    if let Some(deepest) = found.iter().copied().find(|depth| *depth > DEEPEST) {
        let message = format!("an expression has {deepest} casts within each other: {DEEPEST} are the most");
        return Err(limit(message, "Nest fewer functions, and fewer subqueries of FROM that compute"));
    }
    Ok(found)
}

#[recursive::recursive]
fn depth(expr: &Expr, schema: &DFSchema, input: &[usize]) -> Result<usize> {
    if let Expr::Column(column) = expr {
        let place = schema.maybe_index_of_column(column);
        return Ok(place.and_then(|place| input.get(place)).copied().unwrap_or(0));
    }
    let mut deepest = 0;
    expr.apply_children(|child| {
        deepest = deepest.max(depth(child, schema, input)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(deepest + usize::from(matches!(expr, Expr::Cast(_) | Expr::TryCast(_))))
}
