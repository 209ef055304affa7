//! Expressions as EXPLAIN shows them to who wrote them: without what the rules made of them.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr};

use crate::federation::collation::{
    COLLATION_KEY, COLLATION_LIKE, CollationPick, LITERAL_TEXT, Pick, compared,
};
use crate::federation::narrowing::kept;
use crate::federation::surface::{DOUBLE_TEXT, FINITE, TEXT_NUMBER, TIME_TEXT, divided, unrounded};

/// What DataFusion calls what it computes below, apart from the expression that it is part of.
const COMPUTED_BELOW: &str = "__datafusion_extracted";

/// `expr`, over `inputs`, as it was about written: texts in place of their keys, and what the inputs compute once for
/// several in its places.
pub(super) fn shown(expr: Expr, inputs: &[&LogicalPlan]) -> String {
    let whole = expr.clone().transform_up(|expr| {
        Ok(match computed_once(&expr, inputs) {
            Some(once) => Transformed::yes(once.clone()),
            None => Transformed::no(expr),
        })
    });
    let plain = whole.and_then(|whole| whole.data.transform_up(written));
    plain.map_or_else(|_| expr.human_display().to_string(), |plain| plain.data.human_display().to_string())
}

/// The expressions of `plan`, as [`shown`]: of a list not what it only hands on, if there is more.
pub(super) fn all_shown(plan: &LogicalPlan) -> String {
    let inputs = plan.inputs();
    let mut exprs = plan.expressions();
    if matches!(plan, LogicalPlan::Projection(_)) {
        let (handed_on, made): (Vec<_>, Vec<_>) =
            exprs.into_iter().map(without_names_of_rules).partition(is_handed_on);
        exprs = if made.is_empty() { handed_on } else { made };
    }
    exprs.into_iter().map(|expr| shown(expr, &inputs)).collect::<Vec<_>>().join(", ")
}

/// Whether `expr` is a column, or a subquery's value, which is known before.
fn is_handed_on(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_)));
    matches!(expr, Expr::Column(_)) || expr.exists(is_subquery).unwrap_or(false)
}

fn without_names_of_rules(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) if alias.name.starts_with("__") => without_names_of_rules(*alias.expr),
        expr => expr,
    }
}

/// Why a source is not asked for what `call`, which is `expr`, gives.
pub(super) fn of_function(expr: &Expr, call: &ScalarFunction) -> String {
    let why = match call.name() {
        COLLATION_KEY => "texts are compared under their collation here",
        COLLATION_LIKE => "LIKE is computed here",
        TEXT_NUMBER => "a text is read as a number here",
        DOUBLE_TEXT | TIME_TEXT => "a number or a time is written as a text here",
        _ => return format!("{} is computed here", shown(expr.clone(), &[])),
    };
    why.to_owned()
}

/// What the column `expr` stands for, if one of `inputs` computes it for several.
fn computed_once<'p>(expr: &Expr, inputs: &[&'p LogicalPlan]) -> Option<&'p Expr> {
    let Expr::Column(column) = expr else { return None };
    if !column.name.starts_with(COMPUTED_BELOW) {
        return None;
    }
    let computed = inputs.iter().filter_map(|input| match input {
        LogicalPlan::Projection(projection) => Some(&projection.expr),
        _ => None,
    });
    computed.flatten().find_map(|expr| match expr {
        Expr::Alias(alias) if alias.name == column.name => Some(alias.expr.as_ref()),
        _ => None,
    })
}

/// `expr` without what a rule made of it.
fn written(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(mut call) if call.name() == FINITE && call.args.len() == 1 => {
            Transformed::yes(call.args.remove(0))
        }
        Expr::ScalarFunction(call) => {
            match (kept(&call).or_else(|| compared(&call)).or_else(|| unrounded(&call)), divided(&call)) {
                (Some(inner), _) => Transformed::yes(inner.clone()),
                (_, Some([left, right])) => {
                    Transformed::yes(binary_expr(left.clone(), Operator::Divide, right.clone()))
                }
                _ => Transformed::no(Expr::ScalarFunction(call)),
            }
        }
        Expr::AggregateFunction(call) => extreme(call),
        // DataFusion's name for a subquery.
        Expr::Column(column) if column.relation.as_ref().is_some_and(|of| of.table().starts_with("__")) => {
            Transformed::yes(Expr::Column(Column::from_name(column.name)))
        }
        Expr::Literal(value, metadata) => {
            let text = metadata.as_ref().and_then(|metadata| metadata.inner().get(LITERAL_TEXT));
            match text {
                Some(text) => Transformed::yes(Expr::Literal(ScalarValue::from(text.as_str()), None)),
                None => Transformed::no(Expr::Literal(value, metadata)),
            }
        }
        expr => Transformed::no(expr),
    })
}

/// MIN or MAX in place of that under a collation; the text in place of any one of equal texts.
fn extreme(mut call: AggregateFunction) -> Transformed<Expr> {
    let Some(pick) = call.func.inner().downcast_ref::<CollationPick>().map(|pick| pick.pick().0) else {
        return Transformed::no(Expr::AggregateFunction(call));
    };
    call.func = match pick {
        Pick::Any if !call.params.args.is_empty() => return Transformed::yes(call.params.args.swap_remove(0)),
        Pick::Any | Pick::Min => min_udaf(),
        Pick::Max => max_udaf(),
    };
    Transformed::yes(Expr::AggregateFunction(call))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit, logical_plan::table_scan};

    use super::*;

    #[test]
    fn names_of_the_rules_making_are_not_shown() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let scan = table_scan(Some("t"), &schema, None).and_then(LogicalPlanBuilder::build).unwrap();
        let once = (col("a") + lit(1_i64)).alias("__datafusion_extracted_1");
        let below =
            LogicalPlanBuilder::from(scan.clone()).project([once]).and_then(LogicalPlanBuilder::build).unwrap();
        let twice =
            col("__datafusion_extracted_1").gt(lit(3_i64)).and(col("__datafusion_extracted_1").lt(lit(9_i64)));
        assert_eq!(shown(twice, &[&below]), "t.a + 1 > 3 AND t.a + 1 < 9");
        assert_eq!(shown(CollationPick::any(col("a")), &[&below]), "a");
        let list = [col("a"), (col("a") + lit(1_i64)).alias("__key_1"), (col("a") - lit(1_i64)).alias("less")];
        let list = LogicalPlanBuilder::from(scan).project(list).and_then(LogicalPlanBuilder::build).unwrap();
        assert_eq!(all_shown(&list), "t.a + 1, less");
    }
}
