//! The value of a subquery that finds no row is NULL, though it be of a column that never is.
//!
//! DataFusion takes `(SELECT id FROM t WHERE …)` for as little NULL as `id`, and folds `… IS NULL` and `coalesce(…, 0)` by that. So the
//! value is marked as one that may be NULL until a join is made of the subquery, whose columns may be; what depends on
//! nothing is known before the rows are read, and stays marked.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Union, Volatility,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};

use super::correlated::is_total;
use crate::federation::walk::{has, has_anywhere, with_expressions, with_parts};

/// What marks are called.
pub(crate) const ABSENT: &str = "value";

/// The analyzer's rule, which marks those that other rules of the analyzer made. The others are marked before all else ([`mark_all`]).
#[derive(Debug)]
pub(in crate::federation::surface) struct Absent;

impl AnalyzerRule for Absent {
    fn name(&self) -> &'static str {
        "absent_values"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        mark_all(plan)
    }
}

/// `plan` with all such values marked.
pub(in crate::federation::surface) fn mark_all(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !has_anywhere(&plan, is_unmarked)? {
        return Ok(plan);
    }
    let in_expr = |expr: Expr| {
        expr.transform_down(|expr| {
            let is_unmarked = is_unmarked(&expr);
            let data = if is_unmarked { mark(expr) } else { expr };
            let below =
                if marked(&data).is_some() { TreeNodeRecursion::Jump } else { TreeNodeRecursion::Continue };
            Ok(Transformed::new(data, is_unmarked, below))
        })
    };
    let in_plan = |plan| {
        Ok(Transformed::yes(match with_expressions(plan, in_expr)?.data {
            LogicalPlan::Union(union) => LogicalPlan::Union(Union::try_new_with_loose_types(union.inputs)?),
            plan => plan.recompute_schema()?,
        }))
    };
    plan.transform_up_with_subqueries(in_plan).data()
}

/// The optimizer's rule, which takes the marks from what is no subquery any more. It comes after the one that makes joins.
#[derive(Debug)]
pub(in crate::federation::surface) struct Joined;

impl OptimizerRule for Joined {
    fn name(&self) -> &'static str {
        "joined_values"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_joined = |expr: &Expr| marked(expr).is_some_and(|of| !matches!(of, Expr::ScalarSubquery(_)));
        if !has(&plan, is_joined)? {
            return Ok(Transformed::no(plan));
        }
        with_parts(plan, |expr| match marked(&expr) {
            Some(of) if is_joined(&expr) => Ok(Transformed::yes(of.clone())),
            _ => Ok(Transformed::no(expr)),
        })
    }
}

/// Whether `expr` is the value of a subquery that may find no row, which its type does not say.
fn is_unmarked(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = expr else { return false };
    let plan = &subquery.subquery;
    plan.schema().fields().first().is_some_and(|field| !field.is_nullable()) && !has_one_row(plan)
}

/// Whether `plan` has one row, whatever it finds.
pub(super) fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        plan => is_total(plan),
    }
}

fn mark(expr: Expr) -> Expr {
    let function =
        Arc::new(ScalarUDF::new_from_impl(Value { signature: Signature::any(1, Volatility::Immutable) }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

/// What `expr` marks, if it is a mark.
pub(super) fn marked(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<Value>().is_some() => call.args.first(),
        _ => None,
    }
}

/// `value(x)`: x, which may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Value {
    signature: Signature,
}

impl ScalarUDFImpl for Value {
    fn name(&self) -> &'static str {
        ABSENT
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(ToString::to_string).unwrap_or_default())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|of| of.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("{} has the type of its argument", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(Arc::new(field.as_ref().clone().with_nullable(true))),
            None => internal_err!("{} has an argument", self.name()),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
