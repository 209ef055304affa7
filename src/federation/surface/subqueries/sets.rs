//! INTERSECT ALL and EXCEPT ALL count rows.
//!
//! DataFusion plans them as the joins that INTERSECT and EXCEPT are, without making rows distinct, so that one row on
//! the right takes away all that are equal on the left. Here equal rows are numbered on both sides, and a row meets the
//! one of its number.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, Projection, Window};

/// Plans them in `plan`, which nothing has changed yet.
pub(in crate::federation::surface) fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) if is_of_all(&join) => Ok(Transformed::yes(counted(join)?)),
        plan => Ok(Transformed::no(plan)),
    })
}

/// Of a distinct left side, what is left is the same either way.
fn is_of_all(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
        && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && !matches!(*join.left, LogicalPlan::Distinct(_))
}

fn counted(mut join: Join) -> Result<LogicalPlan> {
    let columns = columns(&join.left);
    let (left, right) = ("number of the left", "number of the right");
    join.left = Arc::new(numbered(join.left, left)?);
    join.right = Arc::new(numbered(join.right, right)?);
    join.on.push((Expr::Column(Column::from_name(left)), Expr::Column(Column::from_name(right))));
    let join = LogicalPlan::Join(join).recompute_schema()?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(join))?))
}

/// `plan` with a column more: which of its equal rows each is.
fn numbered(plan: Arc<LogicalPlan>, name: &str) -> Result<LogicalPlan> {
    let mut columns = columns(&plan);
    let number =
        Expr::from(WindowFunction::new(row_number_udwf(), vec![])).partition_by(columns.clone()).build()?;
    let called = Column::from_name(number.schema_name().to_string());
    let window = LogicalPlan::Window(Window::try_new(vec![number], plan)?);
    columns.push(Expr::Column(called).alias(name));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(window))?))
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}
