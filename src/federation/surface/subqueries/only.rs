//! The value of a subquery that depends on what is around it, and aggregates nothing: `(SELECT p.name FROM p WHERE p.id = o.p)`.
//!
//! DataFusion makes a join of it where it knows that each row around it finds one row at most: by a key of the very types. Else
//! the rows that are found are counted here, and any of them is taken, which is the only one. **Why does a second row not fail where it is
//! counted?** Rows are counted for all that may be looked for, and nobody may look for those. So `only_value` fails, at
//! the row around it: it takes a column of that row too, so that nothing computes it before there is one.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, DFSchema, Result, exec_err, internal_err};
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::functions_aggregate::count::count_all;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::logical_plan::check_subquery_expr;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Subquery, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::is_correlated_value;
use crate::federation::walk::{has, has_anywhere, with_parts};

/// How many rows are found, and one of their values.
const ROWS: &str = "rows";
const VALUE: &str = "value";

/// The analyzer's rule. It comes last, for what texts are compared by, and types, are those of the subquery as it is written.
#[derive(Debug)]
pub(in crate::federation::surface) struct OnlyValues;

impl AnalyzerRule for OnlyValues {
    fn name(&self) -> &'static str {
        "only_values"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_anywhere(&plan, is_correlated_value)? {
            return Ok(plan);
        }
        let settled = |plan: LogicalPlan| {
            if !has(&plan, is_correlated_value)? {
                return Ok(Transformed::yes(plan.recompute_schema()?));
            }
            let around = merge_schema(&plan.inputs());
            let above = plan.clone();
            let plan = with_parts(plan, |expr| match expr {
                Expr::ScalarSubquery(ref subquery)
                    if check_subquery_expr(&above, &subquery.subquery, &expr).is_err() =>
                {
                    only(expr, &around)
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            Ok(Transformed::yes(plan.data.recompute_schema()?))
        };
        plan.transform_up_with_subqueries(settled).data()
    }
}

/// The only value of the subquery that `expr` is, if it depends on columns `around` it.
fn only(expr: Expr, around: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(subquery) = expr else { return Ok(Transformed::no(expr)) };
    let beside = subquery.outer_ref_columns.iter().find_map(|reference| match reference {
        Expr::OuterReferenceColumn(_, column) if around.has_column(column) => {
            Some(Expr::Column(column.clone()))
        }
        _ => None,
    });
    let (Some(beside), [field]) = (beside, subquery.subquery.schema().fields().as_ref()) else {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    };
    let plan = counted(unordered(&subquery.subquery))?;
    let value = only_value(
        Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery.clone() }),
        beside,
        field,
    );
    Ok(Transformed::yes(value))
}

/// How many rows `plan`, which has one column, has, and one of its values, as a struct.
pub(super) fn counted(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let counted = [count_all().alias(ROWS), first_value(value, vec![]).alias(VALUE)];
    let parts = [ROWS, VALUE].map(|part| [lit(part), Expr::Column(Column::from_name(part))]);
    LogicalPlanBuilder::from(plan.clone())
        .aggregate(Vec::<Expr>::new(), counted)?
        .project([named_struct(parts.concat())])?
        .build()
}

/// The value of what was [`counted`] of `field`, an error if it is of several rows. It is computed once `beside` is.
pub(super) fn only_value(counted: Expr, beside: Expr, field: &FieldRef) -> Expr {
    let field = Arc::new(field.as_ref().clone().with_nullable(true));
    let function = OnlyValue { field, signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![counted, beside]))
}

/// The rows of `plan` in any order.
fn unordered(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => unordered(&sort.input),
        plan => plan,
    }
}

/// `only_value(struct, beside)`: the value of the struct, unless it is of several rows.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OnlyValue {
    field: FieldRef,
    signature: Signature,
}

impl ScalarUDFImpl for OnlyValue {
    fn name(&self) -> &'static str {
        "only_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let counted = args.args[0].to_array(args.number_rows)?;
        let Some(counted) = counted.as_struct_opt() else {
            return internal_err!("only_value takes what was counted");
        };
        let rows = counted.column(0).as_primitive::<Int64Type>();
        if (0..counted.len()).any(|row| counted.is_valid(row) && rows.is_valid(row) && rows.value(row) > 1) {
            return exec_err!("Scalar subquery returned more than one row");
        }
        Ok(ColumnarValue::Array(nullif(counted.column(1), &is_null(counted)?)?))
    }
}
