//! `unsigned_zero(x)`: a FLOAT or DOUBLE, but 0 for -0. To MariaDB both are one value; Arrow orders them, and so do
//! operators that sort, or look a value up, here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Case, InList, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, when};
use datafusion::scalar::ScalarValue;

use crate::federation::collation::CollationDistinct;
use crate::federation::surface::each::{Each, each};
use crate::federation::surface::guarded::unsigned_zero;
use crate::federation::walk::{has, with_parts};

/// `plan`, whose operators are computed here, with -0 as 0 where they order values or take equal ones once, and where CASE,
/// IN and nullif look one up.
///
/// # Errors
/// Those of DataFusion for a plan that is none.
pub fn with_one_zero(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|plan| {
        let orders = matches!(plan, LogicalPlan::Sort(_));
        let is_ours = matches!(plan, LogicalPlan::Extension(_));
        if !orders && (is_ours || !has(&plan, is_lookup)?) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let plan = with_parts(plan, |expr| with_one(expr, &schema))?;
        match orders {
            true => plan.transform_data(|plan| plan.map_expressions(|expr| unsigned(expr, &schema))),
            false => Ok(plan),
        }
    })
    .data()
}

/// Whether `expr` is one that [`with_one`] may change.
fn is_lookup(expr: &Expr) -> bool {
    match expr {
        Expr::Case(case) => case.expr.is_some(),
        Expr::ScalarFunction(call) => is_nullif(call),
        Expr::AggregateFunction(call) => tells_apart(call) || !call.params.order_by.is_empty(),
        expr => matches!(expr, Expr::InList(_) | Expr::WindowFunction(_)),
    }
}

fn with_one(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::InList(list) if is_float(&list.expr, schema) => {
            let InList { expr, list, negated } = list;
            let list =
                list.into_iter().map(|value| Ok(unsigned(value, schema)?.data)).collect::<Result<_>>()?;
            let expr = Box::new(unsigned(*expr, schema)?.data);
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::Case(mut case) if case.expr.as_ref().is_some_and(|base| is_float(base, schema)) => {
            let Some(base) = case.expr.take() else { return Ok(Transformed::no(Expr::Case(case))) };
            let when_then = case
                .when_then_expr
                .into_iter()
                .map(|(when, then)| Ok((Box::new(unsigned(*when, schema)?.data), then)));
            let when_then_expr = when_then.collect::<Result<_>>()?;
            let expr = Some(Box::new(unsigned(*base, schema)?.data));
            Transformed::yes(Expr::Case(Case { expr, when_then_expr, else_expr: case.else_expr }))
        }
        Expr::ScalarFunction(call) if is_nullif(&call) && is_float(&call.args[0], schema) => {
            let [value, other] = [0, 1].map(|at| unsigned(call.args[at].clone(), schema));
            let null = Expr::Literal(ScalarValue::try_new_null(&call.args[0].get_type(schema)?)?, None);
            Transformed::yes(when(value?.data.eq(other?.data), null).otherwise(call.args[0].clone())?)
        }
        Expr::WindowFunction(mut window) => {
            let params = &mut window.params;
            let keys = params.partition_by.iter_mut().chain(params.order_by.iter_mut().map(|by| &mut by.expr));
            let changed = all_unsigned(keys, schema)?;
            let window = Expr::WindowFunction(window);
            if changed { Transformed::yes(window) } else { Transformed::no(window) }
        }
        Expr::AggregateFunction(mut call) => {
            let told_apart = tells_apart(&call);
            let params = &mut call.params;
            let values = params.args.iter_mut().filter(|_| told_apart);
            let keys = values.chain(params.order_by.iter_mut().map(|by| &mut by.expr));
            let changed = all_unsigned(keys, schema)?;
            let call = Expr::AggregateFunction(call);
            if changed { Transformed::yes(call) } else { Transformed::no(call) }
        }
        expr => Transformed::no(expr),
    })
}

/// Whether `call` takes equal values once.
fn tells_apart(call: &AggregateFunction) -> bool {
    call.params.distinct || call.func.inner().downcast_ref::<CollationDistinct>().is_some()
}

/// Makes each of `exprs` [`unsigned`]; whether that changed one.
fn all_unsigned<'e>(exprs: impl Iterator<Item = &'e mut Expr>, schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for expr in exprs {
        let unsigned = unsigned(std::mem::take(expr), schema)?;
        changed |= unsigned.transformed;
        *expr = unsigned.data;
    }
    Ok(changed)
}

fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|of| of.is_floating())
}

fn is_nullif(call: &ScalarFunction) -> bool {
    call.name() == "nullif" && call.args.len() == 2
}

/// `expr`, with 0 for -0 if it is a FLOAT or DOUBLE.
fn unsigned(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Literal(value, metadata) => match unsigned_zero(&value) {
            Some(zero) => Transformed::yes(Expr::Literal(zero, metadata)),
            None => Transformed::no(Expr::Literal(value, metadata)),
        },
        expr if expr.get_type(schema)?.is_floating() => Transformed::yes(each(UnsignedZero, expr)),
        expr => Transformed::no(expr),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct UnsignedZero;

impl Each for UnsignedZero {
    const NAME: &'static str = "unsigned_zero";

    fn makes(&self, from: &DataType) -> DataType {
        from.clone()
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        // With 0 added, -0 alone becomes another value.
        Ok(match values.data_type() {
            DataType::Float64 => {
                Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| x + 0.0))
            }
            DataType::Float32 => {
                Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| x + 0.0))
            }
            _ => Arc::clone(values),
        })
    }
}
