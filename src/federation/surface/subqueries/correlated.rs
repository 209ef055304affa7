//! Subqueries that depend on what is around them, as far as DataFusion gives them other rows when it makes joins of them.
//!
//! **What has always a row?** An aggregate without groups, of no rows too. As a join it has one for each row around it that
//! finds some. So EXISTS of it is true, and IN, ANY and ALL are a comparison (IN: `membership`); of one value DataFusion knows. **What of
//! LIMIT?** EXISTS loses it: with OFFSET it becomes a comparison of a count. What is deeper within the subquery is refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, not_impl_err};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, binary_expr, lit,
};

use super::first::of_first_row;
use super::membership::{is_one_row, is_subquery};
use crate::federation::walk::{has, with_parts};

/// Replaces what `plan` has of such subqueries, or refuses it.
pub(in crate::federation::surface) fn settled(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| {
        if let LogicalPlan::Join(join) = &plan
            && let Some(lateral) = lateral(&join.right)
        {
            check_windows(lateral)?;
        }
        let is_one = |expr: &Expr| is_subquery(expr) || matches!(expr, Expr::SetComparison(_));
        if has(&plan, is_one)? { with_parts(plan, of_subquery) } else { Ok(Transformed::no(plan)) }
    })
}

fn of_subquery(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Exists(Exists { subquery, negated }) if depends(&subquery.subquery) => exists(subquery, negated),
        Expr::InSubquery(InSubquery { ref subquery, .. }) if depends(&subquery.subquery) => {
            check_below(&subquery.subquery)?;
            Ok(Transformed::no(expr))
        }
        Expr::SetComparison(SetComparison { expr: x, subquery, op, .. }) if is_one_row(&subquery) => {
            check_value(&subquery.subquery)?;
            Ok(Transformed::yes(binary_expr(*x, op, Expr::ScalarSubquery(subquery))))
        }
        Expr::SetComparison(SetComparison { ref subquery, .. }) if depends(&subquery.subquery) => {
            check_below(&subquery.subquery)?;
            Ok(Transformed::no(expr))
        }
        Expr::ScalarSubquery(ref subquery) if depends(&subquery.subquery) => {
            let first = of_first_row(subquery)?;
            check_value(&first.as_ref().unwrap_or(subquery).subquery)?;
            Ok(first
                .map_or_else(|| Transformed::no(expr), |first| Transformed::yes(Expr::ScalarSubquery(first))))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// The subquery of LATERAL that `joined` is, if it is one.
pub(in crate::federation::surface) fn lateral(joined: &LogicalPlan) -> Option<&LogicalPlan> {
    match joined {
        LogicalPlan::Subquery(subquery) => Some(&subquery.subquery),
        LogicalPlan::SubqueryAlias(alias) => lateral(&alias.input),
        _ => None,
    }
}

fn depends(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

/// Whether `plan` has one row, whatever it finds.
pub(in crate::federation::surface) fn is_total(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
}

/// Whether `plan` has one row for each row that it depends on.
fn is_total_of_each(plan: &LogicalPlan) -> bool {
    is_total(plan) && depends(plan)
}

/// EXISTS of `subquery`.
fn exists(subquery: Subquery, negated: bool) -> Result<Transformed<Expr>> {
    let known = |found: bool| Ok(Transformed::yes(lit(found != negated)));
    let (mut plan, mut kept) = (&subquery.subquery, &subquery.subquery);
    loop {
        plan = match plan.as_ref() {
            _ if is_total_of_each(plan) => return known(true),
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Window(window) => {
                kept = &window.input;
                kept
            }
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
                    let counted = LogicalPlanBuilder::from(as_many(&limit.input).clone());
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

/// What gives as many rows as `plan`, but in any order.
fn as_many(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => as_many(&sort.input),
        LogicalPlan::Projection(projection) => as_many(&projection.input),
        plan => plan,
    }
}

/// How many rows `limit` passes over, and how many it gives at most; `None` if that is not known yet.
pub(super) fn passed_over(limit: &Limit) -> Result<Option<(i64, Option<usize>)>> {
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
            _ if is_total_of_each(above) => {
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
            _ if is_total_of_each(plan) => Some("an aggregate without GROUP BY"),
            LogicalPlan::Limit(_) if depends(plan) => Some("LIMIT"),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    match found {
        None => check_windows(plan),
        Some(what) => not_impl_err!("{what} within a subquery, over rows that depend on what is around it"),
    }
}

/// DataFusion takes a condition that depends on what is around it out of a window's input, which has all rows then.
fn check_windows(plan: &LogicalPlan) -> Result<()> {
    let is_one = |plan: &LogicalPlan| Ok(matches!(plan, LogicalPlan::Window(_)) && depends(plan));
    match plan.exists(is_one)? {
        false => Ok(()),
        true => not_impl_err!(
            "a window function within a subquery, over rows that depend on what is around it: have the window \
             PARTITION BY what they depend on, and compare it outside"
        ),
    }
}
