//! Subqueries that depend on what is around them, as far as DataFusion gives them other rows when it makes joins of them.
//!
//! **What has always a row?** An aggregate without groups, of no rows too. As a join it has one for each row around it that
//! finds some. So EXISTS of it is true, and IN is a comparison (`membership`); of one value DataFusion knows. **What of
//! LIMIT?** EXISTS loses it: with OFFSET it becomes a comparison of a count. What is deeper within the subquery is refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, not_impl_err};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, lit,
};

use super::membership::is_subquery;

/// Replaces what `plan` has of such subqueries, or refuses it.
pub(super) fn settled(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| {
        let has_subquery = |expr: &Expr| expr.exists(|expr| Ok(is_subquery(expr))).unwrap_or(false);
        if !plan.expressions().iter().any(has_subquery) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(of_subquery)?.update_data(|expr| name.restore(expr)))
        })
    })
}

fn of_subquery(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Exists(Exists { subquery, negated }) if depends(&subquery.subquery) => exists(subquery, negated),
        Expr::InSubquery(InSubquery { ref subquery, .. }) if depends(&subquery.subquery) => {
            check_below(&subquery.subquery)?;
            Ok(Transformed::no(expr))
        }
        Expr::ScalarSubquery(ref subquery) if depends(&subquery.subquery) => {
            check_value(&subquery.subquery)?;
            Ok(Transformed::no(expr))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

fn depends(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

/// Whether `plan` has one row, whatever it finds.
pub(super) fn is_total(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
}

/// Whether `plan` has one row for each row that it depends on.
fn is_one_row(plan: &LogicalPlan) -> bool {
    is_total(plan) && depends(plan)
}

/// EXISTS of `subquery`.
fn exists(subquery: Subquery, negated: bool) -> Result<Transformed<Expr>> {
    let known = |found: bool| Ok(Transformed::yes(lit(found != negated)));
    let (mut plan, mut kept) = (&subquery.subquery, &subquery.subquery);
    loop {
        plan = match plan.as_ref() {
            _ if is_one_row(plan) => return known(true),
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            // Whether there is a row does not depend on these.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                kept = &sort.input;
                kept
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                kept = input;
                kept
            }
            LogicalPlan::Limit(limit) => match passed_over(limit)? {
                Some((_, Some(0))) => return known(false),
                Some((0, _)) => {
                    kept = &limit.input;
                    kept
                }
                Some((skip, _)) => {
                    let counted = LogicalPlanBuilder::from(limit.input.as_ref().clone());
                    let counted = counted.aggregate(Vec::<Expr>::new(), [count_all()])?.build()?;
                    check_value(&counted)?;
                    let outer_ref_columns = counted.all_out_ref_exprs();
                    let counted = Subquery { subquery: counted.into(), outer_ref_columns, ..subquery };
                    let (counted, skip) = (Expr::ScalarSubquery(counted), lit(skip));
                    let found = if negated { counted.lt_eq(skip) } else { counted.gt(skip) };
                    return Ok(Transformed::yes(found));
                }
                None => return not_impl_err!("LIMIT or OFFSET that is no number, in a subquery of EXISTS"),
            },
            _ => break,
        };
    }
    check_below(plan)?;
    let subquery = Subquery { subquery: Arc::clone(kept), ..subquery.clone() };
    Ok(Transformed::yes(Expr::Exists(Exists { subquery, negated })))
}

/// How many rows `limit` passes over, and how many it gives at most; `None` if that is not known yet.
fn passed_over(limit: &Limit) -> Result<Option<(i64, Option<usize>)>> {
    Ok(match (limit.get_skip_type()?, limit.get_fetch_type()?) {
        (SkipType::Literal(skip), FetchType::Literal(fetch)) => {
            Some((i64::try_from(skip).unwrap_or(i64::MAX), fetch))
        }
        _ => None,
    })
}

/// Checks a subquery that stands for a value: the aggregate that this is may have one row of none.
fn check_value(plan: &LogicalPlan) -> Result<()> {
    let mut above = plan;
    loop {
        above = match above {
            _ if is_one_row(above) => {
                return above.inputs().into_iter().try_for_each(check_below);
            }
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::Sort(sort) => &sort.input,
            _ => return check_below(plan),
        };
    }
}

fn check_below(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    plan.apply(|plan| {
        found = match plan {
            _ if is_one_row(plan) => Some("an aggregate without GROUP BY"),
            LogicalPlan::Limit(_) if depends(plan) => Some("LIMIT"),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    match found {
        None => Ok(()),
        Some(what) => not_impl_err!("{what} within a subquery, over rows that depend on what is around it"),
    }
}
