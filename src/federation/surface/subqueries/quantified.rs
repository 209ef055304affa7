//! `x < ANY (SELECT …)`, `x >= ALL (SELECT …)` and their like by the greatest or the least value of the subquery.
//!
//! DataFusion makes three joins of such a comparison, which read the subquery three times and compare each row with each
//! of its values. Of a subquery that does not depend on the row, one value tells as much, and is asked for once.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::functions::core::expr_fn::{get_field, named_struct};
use datafusion::functions_aggregate::count::count_all;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{SetComparison, SetQuantifier};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlanBuilder, Operator, Subquery, lit, when};
use datafusion::scalar::ScalarValue;

/// What is asked of the subquery: its greatest or least value, and how many rows and values it has.
const EXTREME: &str = "extreme";
const ROWS: &str = "rows";
const VALUES: &str = "values";

/// What `comparison` is by one value; itself where that does not do.
///
/// # Errors
/// Those of DataFusion for a plan that is none.
pub(in crate::federation::surface) fn by_extreme(comparison: SetComparison) -> Result<Transformed<Expr>> {
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
