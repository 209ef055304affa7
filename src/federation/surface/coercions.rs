//! What becomes of operands whose types DataFusion would not let meet.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ExprSchema;
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, cast, lit};

use super::functions::text_number;
use super::time::parse_time;
use crate::federation::collation::is_text;

const TIME: DataType = DataType::Duration(TimeUnit::Microsecond);

/// `operands`, which are compared with each other, as they can be. Types that are not known yet have no say.
pub(super) fn comparable(operands: Vec<Expr>, schema: &dyn ExprSchema) -> Result<Vec<Expr>> {
    let types: Vec<Option<DataType>> = operands.iter().map(|expr| expr.get_type(schema).ok()).collect();
    let any = |test: fn(&DataType) -> bool| types.iter().flatten().any(test);
    if any(|t| *t == TIME) {
        return operands.into_iter().zip(types).map(|(expr, data_type)| time(expr, data_type)).collect();
    }
    if let Some(moment) = types.iter().flatten().find(|t| is_moment(t)).cloned() {
        return operands.into_iter().map(|expr| moment_of(expr, &moment)).collect();
    }
    if any(|t| *t == DataType::Boolean) && any(DataType::is_numeric) {
        let truths = |expr: &Expr| boolean_of(expr).is_some();
        let flags_only =
            operands.iter().zip(&types).all(|(expr, t)| *t == Some(DataType::Boolean) || truths(expr));
        return Ok(operands
            .into_iter()
            .zip(types)
            .map(|(expr, data_type)| match (flags_only, boolean_of(&expr)) {
                (true, Some(value)) => lit(value),
                (true, None) => expr,
                (false, _) => number(expr, data_type),
            })
            .collect());
    }
    Ok(operands)
}

/// The operands of `op` as they can meet.
pub(super) fn operands(left: Expr, op: Operator, right: Expr, schema: &dyn ExprSchema) -> Result<[Expr; 2]> {
    use Operator::{
        Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus,
    };
    let both = vec![left.clone(), right.clone()];
    let both = match op {
        Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom => comparable(both, schema)?,
        // A literal 1 cannot stand for true where there is an order.
        Lt | LtEq | Gt | GtEq => {
            let types: Vec<_> = both.iter().map(|expr| expr.get_type(schema).ok()).collect();
            let flags = types.contains(&Some(DataType::Boolean));
            let numbers = types.iter().flatten().any(DataType::is_numeric);
            if flags && numbers { numbers_of(both, schema) } else { comparable(both, schema)? }
        }
        Plus | Minus | Multiply | Divide | Modulo => {
            let types: Vec<_> = both.iter().filter_map(|expr| expr.get_type(schema).ok()).collect();
            let flags = types.contains(&DataType::Boolean);
            let fit = types.len() == 2 && types.iter().all(|t| *t == DataType::Boolean || t.is_numeric());
            if flags && fit { numbers_of(both, schema) } else { both }
        }
        _ => both,
    };
    Ok(<[Expr; 2]>::try_from(both).unwrap_or([left, right]))
}

fn numbers_of(operands: Vec<Expr>, schema: &dyn ExprSchema) -> Vec<Expr> {
    operands
        .into_iter()
        .map(|expr| {
            let data_type = expr.get_type(schema).ok();
            number(expr, data_type)
        })
        .collect()
}

/// `expr` used as a condition: a number is true when it is not 0.
pub(super) fn condition(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    match expr.get_type(schema)? {
        DataType::Boolean => Ok(expr),
        DataType::Null => Ok(cast(expr, DataType::Boolean)),
        data_type if data_type.is_numeric() => {
            let zero = ScalarValue::new_zero(&data_type).unwrap_or(ScalarValue::Int64(Some(0)));
            Ok(expr.not_eq(Expr::Literal(zero, None)))
        }
        data_type if is_text(&data_type) => Ok(text_number(expr).not_eq(lit(0.0))),
        data_type => plan_err!(
            "{expr} is used as a condition but is of type {data_type}: expected a boolean or a number; compare it"
        ),
    }
}

/// A literal that is boolean, or a number that stands for one.
fn boolean_of(expr: &Expr) -> Option<bool> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Boolean(value) => *value,
        ScalarValue::Int64(Some(value @ (0 | 1))) => Some(*value == 1),
        value if value.data_type().is_integer() => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(value @ (0 | 1)))) => Some(value == 1),
            _ => None,
        },
        _ => None,
    }
}

fn number(expr: Expr, data_type: Option<DataType>) -> Expr {
    match (data_type, &expr) {
        (Some(DataType::Boolean), Expr::Literal(ScalarValue::Boolean(value), _)) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), None)
        }
        (Some(DataType::Boolean), _) => cast(expr, DataType::Int64),
        _ => expr,
    }
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _))
}

/// A text literal met with a DATETIME or TIMESTAMP is read as one: as nanoseconds, which DataFusion would take for
/// some forms, the years before 1678 could not be told.
fn moment_of(expr: Expr, moment: &DataType) -> Result<Expr> {
    match &expr {
        Expr::Literal(value, metadata) if is_text(&value.data_type()) => {
            let read = value.cast_to(moment).map_err(|_| {
                plan_datafusion_err!("{value} is not a date and time: expected YYYY-MM-DD hh:mm:ss.ffffff")
            })?;
            Ok(Expr::Literal(read, metadata.clone()))
        }
        _ => Ok(expr),
    }
}

/// A literal met with a TIME.
fn time(expr: Expr, data_type: Option<DataType>) -> Result<Expr> {
    let Some(data_type) = data_type else { return Ok(expr) };
    let Expr::Literal(value, metadata) = &expr else {
        return if is_text(&data_type) || data_type.is_numeric() {
            plan_err!("{expr}, of type {data_type}, is compared with a TIME: only literals are read as times")
        } else {
            Ok(expr)
        };
    };
    let micros = match value {
        value if is_text(&data_type) => match value.try_as_str().flatten() {
            Some(text) => Some(parse_time(text).map_err(|reason| plan_datafusion_err!("{reason}"))?),
            None => None,
        },
        value if data_type.is_integer() && !value.is_null() => {
            Some(parse_time(&value.to_string()).map_err(|reason| plan_datafusion_err!("{reason}"))?)
        }
        ScalarValue::Time32Second(value) => value.map(|seconds| i64::from(seconds) * 1_000_000),
        ScalarValue::Time32Millisecond(value) => value.map(|millis| i64::from(millis) * 1_000),
        ScalarValue::Time64Microsecond(value) => *value,
        ScalarValue::Time64Nanosecond(value) => value.map(|nanos| nanos / 1_000),
        _ => return Ok(expr),
    };
    Ok(Expr::Literal(ScalarValue::DurationMicrosecond(micros), metadata.clone()))
}
