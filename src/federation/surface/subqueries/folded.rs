//! What a subquery gives of an aggregate, and does not depend on it: `(SELECT count(*) IS NULL FROM … WHERE o.id = u.id)`.
//!
//! DataFusion makes a join of such a subquery, and mends what becomes of a row that finds none by what it knows of `count`.
//! It finds no `count` in what was simplified before, which then is NULL for that row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use datafusion::optimizer::OptimizerConfig;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::correlated::is_total;

/// What `subquery` gives whatever it finds, if it depends on what is around it. It is to be asked before anything simplifies.
///
/// # Errors
/// Those of DataFusion for an expression that cannot be calculated.
pub(in crate::federation::surface) fn constant(
    subquery: &Subquery,
    config: &dyn OptimizerConfig,
) -> Result<Option<Expr>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let Some((mut columns, schema)) = columns(&subquery.subquery)? else { return Ok(None) };
    if columns.is_empty() || matches!(columns[0], Expr::Column(_)) {
        return Ok(None);
    }
    let context = SimplifyContext::builder().with_schema(schema).with_config_options(config.options());
    let simplified = ExprSimplifier::new(context.build()).simplify(columns.swap_remove(0))?;
    let depends = !simplified.column_refs().is_empty() || simplified.contains_outer();
    Ok(if depends { None } else { Some(simplified) })
}

/// The columns of `plan` as expressions over the one row of an aggregate without groups, and the columns of that; `None` if
/// `plan` is not of such a row.
///
/// # Errors
/// Those of DataFusion for a plan that is none.
pub(in crate::federation::surface) fn columns(plan: &LogicalPlan) -> Result<Option<(Vec<Expr>, DFSchemaRef)>> {
    match plan {
        plan if is_total(plan) => {
            let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
            Ok(Some((columns, Arc::clone(plan.schema()))))
        }
        LogicalPlan::SubqueryAlias(alias) => columns(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => columns(&sort.input),
        LogicalPlan::Projection(projection) => {
            let Some((below, schema)) = columns(&projection.input)? else { return Ok(None) };
            let names = projection.input.schema();
            let over = projection.expr.iter().map(|expr| {
                let whole = expr.clone().unalias().transform_up(|expr| match expr {
                    Expr::Column(column) => {
                        Ok(Transformed::yes(below[names.index_of_column(&column)?].clone()))
                    }
                    expr => Ok(Transformed::no(expr)),
                });
                Ok(whole?.data)
            });
            Ok(Some((over.collect::<Result<_>>()?, schema)))
        }
        _ => Ok(None),
    }
}
