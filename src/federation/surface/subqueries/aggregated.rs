//! Subqueries in what is aggregated, or grouped by: `sum(CASE WHEN x IN (SELECT …) THEN 1 END)`. DataFusion takes a
//! subquery that refers to its surroundings apart in lists and conditions only, so what is aggregated is made in a
//! list below.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};

use super::is_correlated_value;

/// `plan`, a list below those of its aggregates that need one.
pub(in crate::federation::surface) fn with_lists(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.aggr_expr.iter().chain(&aggregate.group_expr).any(is_correlated) =>
        {
            Ok(Transformed::yes(with_list(aggregate)?))
        }
        plan => Ok(Transformed::no(plan)),
    })
}

fn with_list(aggregate: Aggregate) -> Result<LogicalPlan> {
    let mut list: Vec<Expr> = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect();
    let columns = list.len();
    let mut made = |expr: Expr| match is_correlated(&expr) {
        true => {
            let name = format!("__aggregated_{}", list.len() - columns);
            list.push(expr.alias(&name));
            Expr::Column(Column::from_name(name))
        }
        false => expr,
    };
    let groups = aggregate.group_expr.into_iter().map(|group| match group {
        Expr::GroupingSet(_) => group,
        group => named_as(group.qualified_name(), made(group)),
    });
    let groups = groups.collect();
    let calls = aggregate.aggr_expr.into_iter().map(|call| {
        let name = call.qualified_name();
        let changed = call.transform_up(|expr| match expr {
            Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
                params.args = params.args.into_iter().map(&mut made).collect();
                params.filter = params.filter.map(|filter| Box::new(made(*filter)));
                Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(named_as(name, changed.data))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let list = LogicalPlan::Projection(Projection::try_new(list, aggregate.input)?);
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(list), groups, calls)?))
}

/// `expr`, called as what it stands for.
fn named_as((relation, name): (Option<TableReference>, String), expr: Expr) -> Expr {
    match expr.qualified_name() == (relation.clone(), name.clone()) {
        true => expr,
        false => expr.alias_qualified(relation, name),
    }
}

/// Whether `expr` has a subquery whose value depends on the row.
fn is_correlated(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_correlated_value(expr))).unwrap_or(false)
}
