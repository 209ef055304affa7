//! Subqueries that DataFusion refuses, or makes joins of that give other rows.
//!
//! Before types are known: IN (`membership`), INTERSECT ALL and EXCEPT ALL (`sets`), those that depend on what is around them
//! (`correlated`, `outer`; of the first row `first`), and those in what is aggregated (`aggregated`). When types are known: values of no aggregate (`only`), and of no row (`absent`). When
//! they are optimized ([`Subqueries`]): those for which a value says as much (`quantified`), or that have to be one (`folded`), what
//! the others are correlated by (`keyed`), and is called there (`names`), and those whose value is looked for (`sought`).

pub(super) mod absent;
pub(super) mod aggregated;
pub(super) mod correlated;
mod first;
pub(super) mod folded;
mod keyed;
pub(super) mod membership;
mod names;
pub(super) mod only;
pub(super) mod outer;
pub(super) mod quantified;
pub(super) mod sets;
mod sought;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use self::folded::constant;
use self::quantified::by_extreme;
use crate::federation::walk::{has_anywhere, with_parts};

/// Whether `expr` is the value of a subquery that depends on what is around it.
fn is_correlated_value(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty())
}

/// The optimizer's rule. It comes before all of DataFusion's: one makes joins of what is left, others simplify.
#[derive(Debug)]
pub(in crate::federation::surface) struct Subqueries;

impl OptimizerRule for Subqueries {
    fn name(&self) -> &'static str {
        "subqueries"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let plan = names::told_apart(plan, config)?;
        plan.transform_data(|plan| as_values(plan, config))?.transform_data(|plan| sought::joined(plan, config))
    }
}

/// `plan`, with values in the place of subqueries that have to be one, or that one says as much as.
fn as_values(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
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
