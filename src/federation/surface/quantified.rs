//! `x < ANY (SELECT …)`, `x >= ALL (SELECT …)` and their like by the greatest or the least value of the subquery.
//!
//! DataFusion makes three joins of such a comparison, which read the subquery three times and compare each row with each
//! of its values. Of a subquery that does not depend on the row, one value tells as much, and is asked for once.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::functions::core::expr_fn::{get_field, named_struct};
use datafusion::functions_aggregate::count::count_all;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, when,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

/// What is asked of the subquery: its greatest or least value, and how many rows and values it has.
const EXTREME: &str = "extreme";
const ROWS: &str = "rows";
const VALUES: &str = "values";

/// The rule that does so. It comes before DataFusion's, which takes the others.
#[derive(Debug)]
pub(super) struct Quantified;

impl OptimizerRule for Quantified {
    fn name(&self) -> &'static str {
        "quantified"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !is_anywhere(&plan, |expr| matches!(expr, Expr::SetComparison(_)))? {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(by_extreme)?.update_data(|expr| name.restore(expr)))
            })
        })
    }
}

/// Whether `plan` has an expression that `is_one`, also within subqueries. Most have none, and are not taken apart then.
pub(super) fn is_anywhere(plan: &LogicalPlan, is_one: fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    let next = |found: bool| if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue };
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_one(expr)))?;
            Ok(next(found))
        })?;
        Ok(next(found))
    })?;
    Ok(found)
}

fn by_extreme(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(comparison) = expr else { return Ok(Transformed::no(expr)) };
    let column = Column::from(comparison.subquery.subquery.schema().qualified_field(0));
    let of = comparison.subquery.subquery.schema().field(0).data_type();
    // ALL holds unless the opposite does for one.
    let found = comparison.quantifier == SetQuantifier::Any;
    let op = if found { Some(comparison.op) } else { comparison.op.negate() };
    let (op, extreme) = match op {
        Some(op @ (Operator::Lt | Operator::LtEq)) if has_extremes(of) => {
            (op, max(Expr::Column(column.clone())))
        }
        Some(op @ (Operator::Gt | Operator::GtEq)) if has_extremes(of) => {
            (op, min(Expr::Column(column.clone())))
        }
        _ => return Ok(Transformed::no(Expr::SetComparison(comparison))),
    };
    if !comparison.subquery.outer_ref_columns.is_empty() {
        return Ok(Transformed::no(Expr::SetComparison(comparison)));
    }
    let SetComparison { expr, subquery, .. } = comparison;
    let asked = [extreme.alias(EXTREME), count_all().alias(ROWS), count(Expr::Column(column)).alias(VALUES)];
    let parts = [EXTREME, ROWS, VALUES].map(|part| [lit(part), Expr::Column(Column::from_name(part))]);
    let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(subquery.subquery))
        .aggregate(Vec::<Expr>::new(), asked)?
        .project([named_struct(parts.concat())])?
        .build()?;
    let all = Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery });
    let [extreme, rows, values] = [EXTREME, ROWS, VALUES].map(|part| get_field(all.clone(), part));
    let compared = Expr::BinaryExpr(BinaryExpr::new(expr.clone(), op, Box::new(extreme)));
    let unknown = values.lt(rows.clone()).or(expr.is_null());
    when(compared, lit(found))
        .when(rows.eq(lit(0_i64)), lit(!found))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(!found))
        .map(Transformed::yes)
}

fn has_extremes(of: &DataType) -> bool {
    let bytes = matches!(of, DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8)
        || matches!(of, DataType::BinaryView | DataType::Binary | DataType::LargeBinary);
    bytes || of.is_primitive()
}
