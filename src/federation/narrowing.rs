//! Keeps the optimiser from seeing through casts that lose digits.
//!
//! DataFusion 55 turns `CAST(price AS BIGINT) = 1` into `price = 1.00`, which leaves out 1.20. The rule here, run
//! when types are settled, puts a function that gives back its argument between such a cast and its comparison.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TryCast, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// The analyzer rule; it comes after those that settle types.
#[derive(Debug, Default)]
pub struct KeepNarrowingCasts;

impl AnalyzerRule for KeepNarrowingCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(&scan.projected_schema);
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let kept = expr.transform_up(|expr| keep(expr, &schema))?;
                Ok(kept.update_data(|expr| name.restore(expr)))
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "keep_narrowing_casts"
    }
}

/// Marks the narrowing casts that `expr`, a comparison, compares.
fn keep(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mark = |side: Box<Expr>| if narrows(&side, schema) { Box::new(marked(*side)) } else { side };
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let changed = narrows(&left, schema) || narrows(&right, schema);
            let expr = Expr::BinaryExpr(BinaryExpr { left: mark(left), op, right: mark(right) });
            if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
        }
        Expr::InList(InList { expr, list, negated }) if narrows(&expr, schema) => {
            Transformed::yes(Expr::InList(InList { expr: mark(expr), list, negated }))
        }
        Expr::Between(Between { expr, negated, low, high }) if narrows(&expr, schema) => {
            Transformed::yes(Expr::Between(Between { expr: mark(expr), negated, low, high }))
        }
        other => Transformed::no(other),
    })
}

fn narrows(expr: &Expr, schema: &DFSchema) -> bool {
    let (Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })) = expr else {
        return false;
    };
    let Ok(DataType::Decimal128(digits, from) | DataType::Decimal256(digits, from)) = expr.get_type(schema)
    else {
        return false;
    };
    match field.data_type() {
        DataType::Decimal128(_, to) | DataType::Decimal256(_, to) => *to < from,
        // With more digits than a BIGINT has for certain the cast may fail, which must not be left out either.
        to => to.is_integer() && (from > 0 || digits > 18),
    }
}

fn marked(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Kept::new())));
    FUNCTION.call(vec![expr])
}

/// Gives back its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept {
    signature: Signature,
}

impl Kept {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &'static str {
        "kept"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
