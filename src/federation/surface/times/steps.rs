//! What a day and an interval make: a day, if the interval is of whole days, else a moment, as in MariaDB. DataFusion makes a day
//! of them, whatever hours there are.

use arrow::datatypes::DataType;
use datafusion::common::{ExprSchema, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable};

use super::lengths::is_interval;
use super::moments::micros;

/// The type that `day`, of type `of`, has to have where `step` is added to it or taken from it.
pub(in crate::federation::surface) fn stepped(
    of: &DataType,
    step: &Expr,
    schema: &dyn ExprSchema,
) -> Option<DataType> {
    let is_day = matches!(of, DataType::Date32 | DataType::Date64);
    let is_step = || step.get_type(schema).is_ok_and(|of| is_interval(&of));
    (is_day && is_step() && !is_of_days(step, schema)).then(|| micros(None))
}

/// Whether `expr` is known to be of whole days: literals, their sums and multiples.
fn is_of_days(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    if !expr.get_type(schema).is_ok_and(|of| is_interval(&of)) {
        // A factor.
        return expr.get_type(schema).is_ok_and(|of| of.is_numeric() || of.is_null());
    }
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::IntervalMonthDayNano(value) => value.is_none_or(|value| value.nanoseconds == 0),
            ScalarValue::IntervalDayTime(value) => value.is_none_or(|value| value.milliseconds == 0),
            ScalarValue::IntervalYearMonth(_) => true,
            _ => false,
        },
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            is_of_days(left, schema) && is_of_days(right, schema)
        }
        Expr::Cast(Cast { expr, .. }) | Expr::Negative(expr) => is_of_days(expr, schema),
        Expr::Alias(alias) => is_of_days(&alias.expr, schema),
        Expr::ScalarFunction(call) => {
            let is_computed = ["operation", "interval_times", "negation"].contains(&call.name());
            is_computed && call.args.iter().all(|arg| is_of_days(arg, schema))
        }
        _ => false,
    }
}
