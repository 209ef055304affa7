//! Lets GROUP BY leave out what nobody asks for.
//!
//! `GROUP BY id` may show all columns of a row, so DataFusion groups by all of them, and takes out what is not shown later:
//! but only if everything that is grouped by is a column. Else, as in `GROUP BY id, lower(title)`, all columns of the table
//! would be read. So what is no column is made one below.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule; it comes before the one that takes out columns.
#[derive(Debug)]
pub(super) struct GroupColumns;

impl OptimizerRule for GroupColumns {
    fn name(&self) -> &str {
        "group_columns"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) if has_more_than_it_needs(&aggregate) => by_columns(aggregate),
            plan => Ok(Transformed::no(plan)),
        })
    }
}

/// Whether a column of `aggregate` is determined by others, by which it would be taken out, but for what is no column.
fn has_more_than_it_needs(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    if schema.functional_dependencies().is_empty()
        || aggregate.group_expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
        || matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_), ..])
    {
        return false;
    }
    let columns: Vec<usize> = aggregate
        .group_expr
        .iter()
        .filter_map(|expr| schema.maybe_index_of_column(expr.try_as_col()?))
        .collect();
    schema.functional_dependencies().iter().any(|dependence| {
        let determined =
            |column| dependence.target_indices.contains(column) && !dependence.source_indices.contains(column);
        dependence.source_indices.iter().all(|source| columns.contains(source))
            && columns.iter().any(determined)
    })
}

fn by_columns(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut made: Vec<Expr> = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect();
    let groups = aggregate.group_expr.iter().map(|expr| match expr {
        Expr::Column(_) => expr.clone(),
        expr => {
            made.push(expr.clone());
            let (relation, name) = expr.qualified_name();
            Expr::Column(Column::new(relation, name))
        }
    });
    let groups = groups.collect();
    // A column may have the name of what is made already.
    let Ok(below) = Projection::try_new(made, Arc::clone(&aggregate.input)) else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    let below = Arc::new(LogicalPlan::Projection(below));
    let aggregate = Aggregate::try_new_with_schema(below, groups, aggregate.aggr_expr, aggregate.schema)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}
