//! What a subquery gives of an aggregate, and does not depend on it: `(SELECT count(*) IS NULL FROM … WHERE o.id = u.id)`.
//!
//! DataFusion makes a join of such a subquery, and mends what becomes of a row that finds none by what it knows of `count`.
//! It finds no `count` in what was simplified before, which then is NULL for that row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::correlated::is_total;
use super::quantified::is_anywhere;

/// The rule that puts the value in the place of such a subquery. It comes before whatever simplifies.
#[derive(Debug)]
pub(super) struct Folded;

impl OptimizerRule for Folded {
    fn name(&self) -> &'static str {
        "folded"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !is_anywhere(&plan, |expr| matches!(expr, Expr::ScalarSubquery(_)))? {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let folded = expr.transform_up(|expr| {
                    Ok(match constant(&expr, config)? {
                        Some(constant) => Transformed::yes(constant),
                        None => Transformed::no(expr),
                    })
                })?;
                Ok(folded.update_data(|expr| name.restore(expr)))
            })
        })
    }
}

/// What `expr` gives whatever it finds, if it is a subquery that depends on what is around it.
fn constant(expr: &Expr, config: &dyn OptimizerConfig) -> Result<Option<Expr>> {
    let Expr::ScalarSubquery(subquery) = expr else { return Ok(None) };
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
fn columns(plan: &LogicalPlan) -> Result<Option<(Vec<Expr>, DFSchemaRef)>> {
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
