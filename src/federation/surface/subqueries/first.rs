//! The value of the first row of a subquery that depends on what is around it: `(SELECT o.id FROM o WHERE o.user_id = u.id ORDER BY
//! o.placed DESC LIMIT 1)`.
//!
//! DataFusion makes no join of a LIMIT. The first value in an order is an aggregate, of which it makes one.

use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, Subquery};

use super::absent::has_one_row;
use super::correlated::passed_over;

/// What stands for `subquery`, if it stands for the value of its first row.
pub(super) fn of_first_row(subquery: &Subquery) -> Result<Option<Subquery>> {
    let LogicalPlan::Limit(limit) = subquery.subquery.as_ref() else { return Ok(None) };
    if passed_over(limit)? != Some((0, Some(1))) {
        return Ok(None);
    }
    if has_one_row(&limit.input) {
        return Ok(Some(Subquery { subquery: Arc::clone(&limit.input), ..subquery.clone() }));
    }
    let name = limit.input.schema().field(0).name().clone();
    let (value, order, input) = in_order(&limit.input);
    let first = first_value(value, order).alias(name);
    let plan = LogicalPlanBuilder::from(input.clone()).aggregate(Vec::<Expr>::new(), [first])?.build()?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    Ok(Some(Subquery { subquery: Arc::new(plan), outer_ref_columns, ..subquery.clone() }))
}

/// The only column of `plan`, in which order its rows come, and the rows that these are of.
fn in_order(plan: &LogicalPlan) -> (Expr, Vec<SortExpr>, &LogicalPlan) {
    if let LogicalPlan::Projection(projection) = plan
        && let LogicalPlan::Sort(sort) = projection.input.as_ref()
        && let [value] = &projection.expr[..]
        && sort.fetch.is_none()
    {
        return (value.clone().unalias(), sort.expr.clone(), &sort.input);
    }
    let value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => (value, sort.expr.clone(), &sort.input),
        plan => (value, Vec::new(), plan),
    }
}
