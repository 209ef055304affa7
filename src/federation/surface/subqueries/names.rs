//! Names of columns that subqueries are correlated by.
//!
//! DataFusion makes a join of a subquery by pulling the conditions out that refer to what is around it, and knows the columns in them by
//! their names alone from then on: of `a.id = o.x AND b.id = o.y` it finds one `id`, and compares that with both. So columns
//! that have a name in common with others get one of their own below such a condition.
//!
//! The columns that it pulls out it hands through lists, but it does not tell the name of a subquery of FROM that there are more of them:
//! a list gives its columns that name instead.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, SubqueryAlias};
use datafusion::optimizer::OptimizerConfig;

use super::correlated::lateral;
use super::keyed::by_columns;
use crate::federation::walk::has_anywhere;

/// `plan`, with names of their own for the columns that its subqueries are correlated by.
pub(super) fn told_apart(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    if !has_anywhere(&plan, |expr| matches!(expr, Expr::OuterReferenceColumn(..)))? {
        return Ok(Transformed::no(plan));
    }
    let plan = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::SubqueryAlias(alias) if hands_on(&alias) => listed(alias).map(Transformed::yes),
        plan => Ok(Transformed::no(plan)),
    })?;
    let plan = by_columns(plan.data, config)?.data;
    let given = given_names(&plan)?;
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Filter(filter) if filter.predicate.contains_outer() => named(filter, &given, config),
        plan if has_more_below(&plan) => Ok(Transformed::yes(plan.recompute_schema()?)),
        plan => Ok(Transformed::no(plan)),
    })
}

/// Whether columns are pulled out through `alias`. LATERAL is asked for by its name.
fn hands_on(alias: &SubqueryAlias) -> bool {
    lateral(&alias.input).is_none() && !alias.input.all_out_ref_exprs().is_empty()
}

/// `alias` as a list.
fn listed(alias: SubqueryAlias) -> Result<LogicalPlan> {
    let named = alias.input.schema().iter().map(|(relation, field)| {
        Expr::Column(Column::from((relation, field))).alias_qualified(Some(alias.alias.clone()), field.name())
    });
    Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), alias.input)?))
}

/// Whether `plan` passes the columns of its inputs on, and they have got further ones.
fn has_more_below(plan: &LogicalPlan) -> bool {
    let below = || plan.inputs().iter().map(|input| input.schema().fields().len()).sum::<usize>();
    let columns = plan.schema().fields().len();
    match plan {
        LogicalPlan::SubqueryAlias(_) => columns != below(),
        LogicalPlan::Window(window) => columns != below() + window.window_expr.len(),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => columns != below(),
            JoinType::LeftSemi | JoinType::LeftAnti => columns != join.left.schema().fields().len(),
            _ => false,
        },
        _ => false,
    }
}

/// The names that lists give to something else than a column that is called so.
fn given_names(plan: &LogicalPlan) -> Result<HashSet<String>> {
    let mut names = HashSet::new();
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            if let Expr::Alias(alias) = expr {
                names.insert(alias.name.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(names)
}

fn named(
    filter: Filter,
    given: &HashSet<String>,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(filter.input.schema());
    let mut called: HashMap<&str, usize> = HashMap::new();
    for field in schema.fields() {
        *called.entry(field.name()).or_default() += 1;
    }
    let is_shared = |name: &str| given.contains(name) || called.get(name).is_some_and(|count| *count > 1);
    let mut own: Vec<(Column, String)> = Vec::new();
    let mut own_name = |column: &Column| match own.iter().find(|(of, _)| of == column) {
        Some((_, name)) => name.clone(),
        None => {
            let name = config.alias_generator().next("__correlated_by");
            own.push((column.clone(), name.clone()));
            name
        }
    };
    let conditions = split_conjunction_owned(filter.predicate).into_iter().map(|condition| {
        if !condition.contains_outer() {
            return Ok(condition);
        }
        let condition = condition.transform_down(|expr| {
            Ok(match expr {
                Expr::Column(column) if is_shared(&column.name) => {
                    Transformed::yes(Expr::Column(Column::new_unqualified(own_name(&column))))
                }
                expr => Transformed::no(expr),
            })
        });
        condition.data()
    });
    let conditions: Vec<Expr> = conditions.collect::<Result<_>>()?;
    let Some(predicate) = conjunction(conditions) else {
        return Ok(Transformed::no(Arc::unwrap_or_clone(filter.input)));
    };
    if own.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)));
    }
    let all = schema.iter().map(|(relation, field)| Expr::Column(Column::from((relation, field))));
    let own = own.into_iter().map(|(column, name)| Expr::Column(column).alias(name));
    let input = Projection::try_new(all.chain(own).collect(), filter.input)?;
    let input = Arc::new(LogicalPlan::Projection(input));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
}
