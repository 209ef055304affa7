//! What totals of subqueries are correlated by: `(SELECT count(*) FROM o WHERE CAST(o.at AS DATE) = d.day)`.
//!
//! DataFusion groups such a total by the columns in the condition, looks through a cast for that, and takes nothing else that is computed.
//! So the moments of one day would be groups of their own, and the row around them there once for each. Here what is computed becomes
//! a column below the condition, and that the group.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Projection,
};
use datafusion::optimizer::OptimizerConfig;

use crate::federation::collation::is_text;
use crate::federation::surface::numbers::decimals::is_decimal;

/// `plan`, with columns for what the totals in it are correlated by.
pub(super) fn by_columns(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(mut aggregate)
            if !aggregate.aggr_expr.is_empty() && !aggregate.input.all_out_ref_exprs().is_empty() =>
        {
            let input = Arc::unwrap_or_clone(aggregate.input).transform_up(|plan| match plan {
                LogicalPlan::Filter(filter) if filter.predicate.contains_outer() => keyed(filter, config),
                plan => Ok(Transformed::no(plan)),
            })?;
            aggregate.input = Arc::new(input.data);
            Ok(Transformed::new_transformed(LogicalPlan::Aggregate(aggregate), input.transformed))
        }
        plan => Ok(Transformed::no(plan)),
    })
}

fn keyed(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(filter.input.schema());
    let mut keys: Vec<Expr> = Vec::new();
    let mut key = |side: Box<Expr>, other: &Expr| {
        if !is_computed(&side, &schema) || !other.contains_outer() || other.any_column_refs() {
            return side;
        }
        let name = config.alias_generator().next("__correlated_by");
        keys.push(side.alias(&name));
        Box::new(Expr::Column(Column::new_unqualified(name)))
    };
    let conditions = split_conjunction_owned(filter.predicate).into_iter().map(|condition| match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let left = key(left, &right);
            let right = key(right, &left);
            Expr::BinaryExpr(BinaryExpr::new(left, Operator::Eq, right))
        }
        condition => condition,
    });
    let conditions: Vec<Expr> = conditions.collect();
    let Some(predicate) = conjunction(conditions) else {
        return Ok(Transformed::no(Arc::unwrap_or_clone(filter.input)));
    };
    if keys.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)));
    }
    let all = schema.columns().into_iter().map(Expr::Column);
    let input = Projection::try_new(all.chain(keys).collect(), filter.input)?;
    let input = Arc::new(LogicalPlan::Projection(input));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
}

/// Whether `side` is made of columns, so that rows of one value may have several in these.
fn is_computed(side: &Expr, schema: &DFSchema) -> bool {
    match side {
        Expr::Column(_) => false,
        Expr::Cast(Cast { expr, field }) if matches!(**expr, Expr::Column(_)) => {
            !expr.get_type(schema).is_ok_and(|from| tells_apart(&from, field.data_type()))
        }
        side => side.any_column_refs() && !side.contains_outer(),
    }
}

/// Whether values of type `from` that differ do so in the type `to`.
fn tells_apart(from: &DataType, to: &DataType) -> bool {
    let scale = |of: &DataType| match of {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    };
    let whole = |of: &DataType| is_decimal(of) || of.is_integer();
    match (from, to) {
        (from, to) if from == to || (is_text(from) && is_text(to)) => true,
        (DataType::Date32, DataType::Timestamp(..)) => true,
        (from, to) if whole(from) && whole(to) => scale(from).unwrap_or(0) <= scale(to).unwrap_or(0),
        _ => false,
    }
}
