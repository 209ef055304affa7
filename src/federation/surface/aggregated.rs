//! Subqueries in what is aggregated: `sum(CASE WHEN x IN (SELECT …) THEN 1 END)`. DataFusion takes a subquery that
//! refers to its surroundings apart in lists and conditions only, so what is aggregated is made in a list below.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};

/// `plan`, a list below those of its aggregates that need one.
pub(super) fn with_lists(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(is_correlated) => {
            Ok(Transformed::yes(with_list(aggregate)?))
        }
        plan => Ok(Transformed::no(plan)),
    })
}

fn with_list(aggregate: Aggregate) -> Result<LogicalPlan> {
    let mut list: Vec<Expr> = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect();
    let columns = list.len();
    let calls = aggregate.aggr_expr.into_iter().map(|call| {
        let (relation, name) = call.qualified_name();
        let changed = call.transform_up(|expr| match expr {
            Expr::AggregateFunction(call) if is_correlated(&Expr::AggregateFunction(call.clone())) => {
                let mut made = |expr: Expr| match is_correlated(&expr) {
                    true => {
                        let name = format!("__aggregated_{}", list.len() - columns);
                        list.push(expr.alias(&name));
                        Expr::Column(Column::from_name(name))
                    }
                    false => expr,
                };
                let AggregateFunction { func, mut params } = call;
                params.args = params.args.into_iter().map(&mut made).collect();
                params.filter = params.filter.map(|filter| Box::new(made(*filter)));
                Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(match changed.data {
            call if call.qualified_name() == (relation.clone(), name.clone()) => call,
            call => call.alias_qualified(relation, name),
        })
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    let list = LogicalPlan::Projection(Projection::try_new(list, aggregate.input)?);
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(list), aggregate.group_expr, calls)?))
}

/// Whether `expr` has a subquery whose value depends on the row.
fn is_correlated(expr: &Expr) -> bool {
    let correlated = |expr: &Expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty()))
    };
    expr.exists(correlated).unwrap_or(false)
}
