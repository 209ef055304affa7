//! Subqueries know the types of the columns around them.
//!
//! A reference to a column of an outer query carries the column's type as it was when the statement was read. Where
//! the rules give that column another type (a union of INT and BIGINT UNSIGNED is a decimal), comparisons within the
//! subquery would be planned for the old one, and fail, or find nothing.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

/// Tells the subqueries of this operator of `plan` what the columns of `schema`, which are around them, are.
pub(in crate::federation::surface) fn told(
    plan: LogicalPlan,
    schema: &DFSchema,
) -> Result<Transformed<LogicalPlan>> {
    if !plan.expressions().iter().any(has_correlated) {
        return Ok(Transformed::no(plan));
    }
    plan.map_expressions(|expr| expr.transform_down(|expr| around(expr, schema)))
}

fn has_correlated(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(subquery_of(expr).is_some_and(|subquery| !subquery.outer_ref_columns.is_empty())))
        .unwrap_or(true)
}

/// The subquery that `expr` is.
pub(in crate::federation::surface) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

/// As [`subquery_of`], to be changed.
pub(in crate::federation::surface) fn subquery_of_mut(expr: &mut Expr) -> Option<&mut Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

fn around(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(subquery) = subquery_of_mut(&mut expr) else { return Ok(Transformed::no(expr)) };
    let within = told_within(subquery.subquery.as_ref().clone(), schema)?;
    if !within.transformed {
        return Ok(Transformed::no(expr));
    }
    let references = std::mem::take(&mut subquery.outer_ref_columns);
    subquery.outer_ref_columns = references.into_iter().map(|expr| renewed(expr, schema).data).collect();
    subquery.subquery = Arc::new(within.data);
    Ok(Transformed::yes(expr))
}

/// Tells `plan`, a subquery, or one of LATERAL, what the columns of `schema`, which are around it, are.
pub(in crate::federation::surface) fn told_within(
    plan: LogicalPlan,
    schema: &DFSchema,
) -> Result<Transformed<LogicalPlan>> {
    let within = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Subquery(mut lateral) => {
            let references = std::mem::take(&mut lateral.outer_ref_columns);
            lateral.outer_ref_columns = references.into_iter().map(|expr| renewed(expr, schema).data).collect();
            Ok(Transformed::no(LogicalPlan::Subquery(lateral)))
        }
        plan => plan.map_expressions(|expr| expr.transform_down(|expr| Ok(renewed(expr, schema)))),
    })?;
    match within.transformed {
        true => within.data.transform_up(|plan| Ok(Transformed::yes(plan.recompute_schema()?))),
        false => Ok(within),
    }
}

fn renewed(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::OuterReferenceColumn(field, column) => match schema.field_from_column(&column) {
            Ok(now) if now.data_type() != field.data_type() || now.is_nullable() != field.is_nullable() => {
                Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(now), column))
            }
            _ => Transformed::no(Expr::OuterReferenceColumn(field, column)),
        },
        expr => Transformed::no(expr),
    }
}
