//! What becomes of operands whose types DataFusion would not let meet.

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use crossweave_contract::{ColumnType, column_type_of};
use datafusion::common::ExprSchema;
use datafusion::common::{Result, ScalarValue, internal_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};

use super::spelling::{becomes_text, text};
use crate::federation::collation::is_text;
use crate::federation::surface::functions::text_number;
use crate::federation::surface::numbers::arithmetic::arithmetic;
use crate::federation::surface::numbers::decimals::{MAX_SCALE, WIDE, common, decimal, spelled};
use crate::federation::surface::numbers::doubles::double;
use crate::federation::surface::times::clock::clock;
use crate::federation::surface::times::lengths::{INTERVAL, as_length, is_interval};
use crate::federation::surface::times::moments::micros;
use crate::federation::surface::times::multiples::multiple;
use crate::federation::surface::times::steps::stepped;
use crate::federation::surface::times::time::{parse_time, whole_moment};

pub(in crate::federation::surface) const TIME: DataType = DataType::Duration(TimeUnit::Microsecond);

/// What values of `types` become where they meet, or where one result is made of them: with a number or a text, booleans become
/// numbers; with a moment, days become moments; with an interval, durations become
/// intervals; with a FLOAT or DOUBLE, numbers become doubles, as in MariaDB; decimals
/// get room for the digits of all. The rest is DataFusion's to decide.
pub(in crate::federation::surface) fn widened(types: &[DataType]) -> Vec<DataType> {
    if types.contains(&DataType::Boolean) && types.iter().any(|t| t.is_numeric() || is_text(t)) {
        let numbers = types.iter().map(|t| if *t == DataType::Boolean { DataType::Int64 } else { t.clone() });
        return widened(&numbers.collect::<Vec<_>>());
    }
    if let Some(decimal) = common(types) {
        let room = |data_type: &DataType| if data_type.is_null() { DataType::Null } else { decimal.clone() };
        return types.iter().map(room).collect();
    }
    let moments = types.iter().any(is_moment);
    let intervals = types.iter().any(is_interval);
    let floats = types.iter().any(DataType::is_floating) && types.iter().any(|t| *t != types[0]);
    let widen = |data_type: &DataType| match data_type {
        DataType::Timestamp(_, zone) if moments => micros(zone.clone()),
        DataType::Date32 | DataType::Date64 if moments => micros(None),
        DataType::Duration(_) if intervals => INTERVAL,
        number if floats && number.is_numeric() => DataType::Float64,
        other => other.clone(),
    };
    types.iter().map(widen).collect()
}

/// `expr`, of type `from`, as `to`, which [`widened`] gave.
pub(in crate::federation::surface) fn convert(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    match &expr {
        _ if from == to => expr,
        _ if *from == DataType::Boolean && to.is_numeric() => convert(number(expr, from), &DataType::Int64, to),
        _ if *to == DataType::Float64 => double(expr, from),
        // A literal between two microseconds compares as neither.
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(nanos), _), _) if nanos % 1_000 != 0 => expr,
        Expr::Literal(value, metadata) => match value.cast_to(to) {
            Ok(value) => Expr::Literal(value, metadata.clone()),
            Err(_) => cast(expr, to.clone()),
        },
        _ => cast(expr, to.clone()),
    }
}

/// Numbers of several types get the one that DataFusion would give them later: whatever is computed of them goes by it.
pub(in crate::federation::surface) fn as_one(types: Vec<DataType>) -> Vec<DataType> {
    let known = || types.iter().filter(|of| !of.is_null());
    let (Some(first), true) = (known().next().cloned(), known().all(DataType::is_numeric)) else {
        return types;
    };
    let met = known().try_fold(first, |met, one| type_union_coercion(&met, one));
    met.map_or(types.clone(), |met| {
        types.iter().map(|of| if of.is_null() { DataType::Null } else { met.clone() }).collect()
    })
}

pub(in crate::federation::surface) fn known_types(operands: &[Expr], schema: &dyn ExprSchema) -> Vec<DataType> {
    operands.iter().map(|expr| expr.get_type(schema).unwrap_or(DataType::Null)).collect()
}

fn widen_all(operands: Vec<Expr>, schema: &dyn ExprSchema) -> Vec<Expr> {
    let types = known_types(&operands, schema);
    let digits: Vec<DataType> = operands.iter().zip(&types).map(|(expr, of)| spelled(expr, of)).collect();
    let wide =
        if common(&digits).is_some() || common(&types).is_none() { widened(&types) } else { types.clone() };
    operands
        .into_iter()
        .zip(types.iter().zip(&wide))
        .map(|(expr, (from, to))| convert(expr, from, to))
        .collect()
}

/// `operands`, which are compared with each other, as they can be. Types that are not known yet have no say.
pub(in crate::federation::surface) fn comparable(
    operands: Vec<Expr>,
    schema: &dyn ExprSchema,
) -> Result<Vec<Expr>> {
    let types = known_types(&operands, schema);
    let any = |test: fn(&DataType) -> bool| types.iter().any(test);
    if any(is_interval) {
        return operands.into_iter().zip(&types).map(|(expr, of)| as_length(expr, of)).collect();
    }
    if any(|t| *t == TIME) {
        return operands.into_iter().zip(types).map(|(expr, data_type)| time(expr, data_type)).collect();
    }
    if let Some(date) = types.iter().position(|t| is_day(t) || is_moment(t))
        && let Some(other) = types.iter().position(DataType::is_numeric)
    {
        let shown = |expr: &Expr| match expr {
            Expr::Literal(value, _) => value.to_string(),
            expr => expr.to_string(),
        };
        let (date, other) = (shown(&operands[date]), shown(&operands[other]));
        return plan_err!("{date}, a date, is compared with {other}, a number: write dates as '2024-01-31'");
    }
    if let Some(DataType::Timestamp(_, zone)) = types.iter().find(|t| is_moment(t)) {
        let moment = micros(zone.clone());
        let read = operands.into_iter().map(|expr| moment_of(expr, &moment)).collect::<Result<_>>()?;
        return Ok(widen_all(read, schema));
    }
    if any(is_day) && operands.iter().any(has_time) {
        // A day is its first moment, and no text is cut to the day that it is on.
        let moment = micros(None);
        let read = operands.into_iter().map(|expr| moment_of(expr, &moment)).collect::<Result<_>>()?;
        return Ok(widen_all(read, schema));
    }
    let is_read = |(expr, t): (&Expr, &DataType)| is_text(t) && matches!(expr, Expr::Literal(..));
    let is_number = |t: &DataType| t.is_numeric() || *t == DataType::Boolean;
    let fits = |(expr, t): (&Expr, &DataType)| is_number(t) || t.is_null() || is_read((expr, t));
    if types.iter().any(is_number) && any(is_text) && operands.iter().zip(&types).all(fits) {
        let read = operands.into_iter().zip(&types).map(|(expr, t)| match is_text(t) {
            true => number_in(expr),
            false => Ok(expr),
        });
        return comparable(read.collect::<Result<_>>()?, schema);
    }
    if any(|t| *t == DataType::Boolean) && any(|t| t.is_numeric() || is_text(t)) {
        let truths = |expr: &Expr| boolean_of(expr).is_some();
        let flags_only = operands.iter().zip(&types).all(|(expr, t)| *t == DataType::Boolean || truths(expr));
        let fitted = operands
            .into_iter()
            .zip(types)
            .map(|(expr, data_type)| match (flags_only, boolean_of(&expr)) {
                (true, Some(value)) => lit(value),
                (true, None) => expr,
                (false, _) => number(expr, &data_type),
            })
            .collect();
        return Ok(widen_all(fitted, schema));
    }
    Ok(widen_all(operands, schema))
}

/// `operands` that are compared with each other: what meets a YEAR alone is a year, of which two digits are enough. In
/// CASE MariaDB compares numbers.
pub(in crate::federation::surface) fn with_whole_years(
    operands: Vec<Expr>,
    schema: &dyn ExprSchema,
) -> Vec<Expr> {
    let is_year = |expr: &Expr| {
        let field = expr.to_field(schema).ok().map(|(_, field)| field);
        let year = |field: &FieldRef| column_type_of(field) == Some(ColumnType::Year);
        field.is_some_and(|field| *field.data_type() == DataType::UInt16 && year(&field))
    };
    let mut others = operands.iter().filter(|expr| !matches!(expr, Expr::Literal(..))).peekable();
    if others.peek().is_none() || !others.all(is_year) {
        return operands;
    }
    let whole = |expr: Expr| {
        let Expr::Literal(value, _) = &expr else { return expr };
        let text = value.try_as_str().flatten().map(str::trim_ascii);
        let number = match (text, value.cast_to(&DataType::Int64)) {
            (Some(text), _) => text.parse::<i64>().ok(),
            (None, Ok(ScalarValue::Int64(number))) if value.data_type().is_integer() => number,
            _ => None,
        };
        match number {
            // As a number 0 is the year 0, as a text it is 2000.
            Some(0) if text.is_none() => expr,
            Some(year @ 0..=69) => lit(year + 2000),
            Some(year @ 70..=99) => lit(year + 1900),
            _ => expr,
        }
    };
    operands.into_iter().map(whole).collect()
}

/// A text literal met with numbers, as the number that it spells. DataFusion would make of it what it meets, and round it
/// or refuse it where that is a whole number.
fn number_in(text: Expr) -> Result<Expr> {
    let Expr::Literal(value, _) = &text else { return Ok(text) };
    let Some(spelled) = value.try_as_str().flatten().map(str::trim_ascii) else {
        return Ok(Expr::Literal(ScalarValue::Int64(None), None));
    };
    let not_a_number = || plan_datafusion_err!("'{spelled}' is compared with a number: expected a number");
    let unsigned = spelled.strip_prefix(['+', '-']).unwrap_or(spelled);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !unsigned.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(not_a_number());
    }
    let (places, room) = (fraction.len(), whole.trim_start_matches('0').len() + fraction.len());
    if !digits(whole) || !digits(fraction) || room > WIDE as usize || places > MAX_SCALE as usize {
        // With an exponent, or with more digits than there is room for where it meets a decimal.
        let double: f64 = spelled.parse().map_err(|_| not_a_number())?;
        let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && double.is_finite();
        return if is_number { Ok(lit(double)) } else { Err(not_a_number()) };
    }
    if fraction.is_empty()
        && let Ok(whole) = spelled.trim_end_matches('.').parse::<i64>()
    {
        return Ok(lit(whole));
    }
    let text = ScalarValue::from(spelled);
    let read = text.cast_to(&decimal((room - places) as i16, places as i16));
    read.map(|value| Expr::Literal(value, None)).map_err(|_| not_a_number())
}

/// Whether `expr` is a text with a time of day.
fn has_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(text, _) if text.try_as_str().flatten().is_some_and(|text| text.contains(':')))
}

/// `choices`, of which each may become the result, as they make one type: a TIME or a number and a text make a text; a text
/// that stands in for a moment is read as one.
pub(in crate::federation::surface) fn results(
    choices: Vec<Expr>,
    schema: &dyn ExprSchema,
) -> Result<Vec<Expr>> {
    let types = known_types(&choices, schema);
    refuse_mixed(&types)?;
    if !types.iter().any(is_text) {
        let choices = widen_all(choices, schema);
        let types = known_types(&choices, schema);
        let one = as_one(types.clone());
        let fitted = choices.into_iter().zip(types.iter().zip(&one));
        return Ok(fitted.map(|(expr, (from, to))| convert(expr, from, to)).collect());
    }
    if let Some(moment) = widened(&types).into_iter().find(is_moment) {
        // DataFusion would read it as nanoseconds, which end in the year 2262.
        let read = |(expr, of): (Expr, DataType)| match (&expr, is_text(&of)) {
            (Expr::Literal(..), true) => moment_of(expr, &moment),
            (_, true) => Ok(cast(expr, moment.clone())),
            (_, false) => Ok(expr),
        };
        let read = choices.into_iter().zip(types).map(read).collect::<Result<_>>()?;
        return Ok(widen_all(read, schema));
    }
    Ok(choices.into_iter().zip(types).map(|(expr, data_type)| text(expr, &data_type)).collect())
}

/// Fails where values of `types` cannot make one result: a number is no date.
pub(in crate::federation::surface) fn refuse_mixed(types: &[DataType]) -> Result<()> {
    let dates = types.iter().any(|t| is_day(t) || is_moment(t));
    match dates && types.iter().any(DataType::is_numeric) {
        true => plan_err!("a date and a number make no one result: convert one of them, as CAST(x AS VARCHAR)"),
        false => Ok(()),
    }
}

/// The same, where what refers to the result has taken it for the first of `types` already: a number before texts.
pub(in crate::federation::surface) fn refuse_number_first(types: &[DataType]) -> Result<()> {
    let first = types.iter().find(|t| !t.is_null());
    match first.is_some_and(|t| *t != TIME && becomes_text(t)) && types.iter().any(is_text) {
        true => plan_err!("numbers and texts make texts: write CAST(x AS VARCHAR) around the first, a number"),
        false => Ok(()),
    }
}

/// The sides of `op`, a comparison, as they can meet.
pub(in crate::federation::surface) fn sides(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &dyn ExprSchema,
) -> Result<[Expr; 2]> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, NotEq};
    let mut both = vec![left.clone(), right.clone()];
    if matches!(op, Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom | Lt | LtEq | Gt | GtEq) {
        both = with_whole_years(both, schema);
    }
    let both = match op {
        Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom => comparable(both, schema)?,
        // A literal 1 cannot stand for true where there is an order.
        Lt | LtEq | Gt | GtEq => {
            let types = known_types(&both, schema);
            let flags = types.contains(&DataType::Boolean) && types.iter().any(DataType::is_numeric);
            if flags { widen_all(numbers_of(both, schema), schema) } else { comparable(both, schema)? }
        }
        Minus if known_types(&both, schema).iter().all(|t| is_moment(t) || is_day(t)) => {
            widen_all(both, schema)
        }
        _ => both,
    };
    Ok(<[Expr; 2]>::try_from(both).unwrap_or([left, right]))
}

/// `left op right`, with operands that can meet.
pub(in crate::federation::surface) fn binary(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &dyn ExprSchema,
) -> Result<Expr> {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    let [left, right] = sides(left, op, right, schema)?;
    if matches!(op, Plus | Minus | Multiply | Divide | Modulo) {
        let mut both = vec![left, right];
        let mut types = known_types(&both, schema);
        if types.iter().any(|t| t.is_numeric() || *t == DataType::Boolean) {
            // A text among numbers is a double; a literal is what it spells.
            for (expr, data_type) in both.iter_mut().zip(&mut types) {
                if is_text(data_type) && !matches!(expr, Expr::Literal(..)) {
                    (*expr, *data_type) = (text_number(std::mem::take(expr)), DataType::Float64);
                }
            }
        }
        if op == Multiply
            && let Some(multiple) = multiple(&both, &types)
        {
            return Ok(multiple);
        }
        if matches!(op, Plus | Minus) {
            let moments = [(0, 1), (1, 0)].map(|(day, step)| stepped(&types[day], &both[step], schema));
            for ((day, of), to) in both.iter_mut().zip(&types).zip(moments) {
                if let Some(to) = to {
                    *day = convert(std::mem::take(day), of, &to);
                }
            }
        }
        let fit = types.iter().all(|t| *t == DataType::Boolean || t.is_numeric());
        let both = if fit { numbers_of(both, schema) } else { both };
        return match <[Expr; 2]>::try_from(both) {
            Ok([left, right]) => Ok(arithmetic(left, op, right, schema)),
            Err(_) => internal_err!("{op} lost an operand"),
        };
    }
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
}

fn numbers_of(operands: Vec<Expr>, schema: &dyn ExprSchema) -> Vec<Expr> {
    operands
        .into_iter()
        .map(|expr| {
            let data_type = expr.get_type(schema).unwrap_or(DataType::Null);
            number(expr, &data_type)
        })
        .collect()
}

/// `expr` used as a condition: a number is true when it is not 0.
pub(in crate::federation::surface) fn condition(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
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

/// `expr`, of `data_type`; a boolean as a number.
pub(in crate::federation::surface) fn number(expr: Expr, data_type: &DataType) -> Expr {
    match (data_type, &expr) {
        (DataType::Boolean, Expr::Literal(ScalarValue::Boolean(value), _)) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), None)
        }
        (DataType::Boolean, _) => cast(expr, DataType::Int64),
        _ => expr,
    }
}

pub(in crate::federation::surface) fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}

pub(in crate::federation::surface) fn is_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

/// A text literal met with a DATETIME or TIMESTAMP is read as one: as nanoseconds, which DataFusion would take for
/// some forms, the years before 1678 could not be told.
fn moment_of(expr: Expr, moment: &DataType) -> Result<Expr> {
    match &expr {
        Expr::Literal(value, metadata) if is_text(&value.data_type()) => {
            let read = value.cast_to(moment).or_else(|error| match in_full(value) {
                Some(whole) => whole.cast_to(moment),
                None => Err(error),
            });
            let read = read.map_err(|_| {
                plan_datafusion_err!("{value} is not a date and time: expected YYYY-MM-DD hh:mm:ss.ffffff")
            })?;
            Ok(Expr::Literal(read, metadata.clone()))
        }
        _ => Ok(expr),
    }
}

/// A text as a moment in full, if MariaDB takes it for one.
pub(in crate::federation::surface) fn in_full(text: &ScalarValue) -> Option<ScalarValue> {
    text.try_as_str().flatten().and_then(whole_moment).map(ScalarValue::from)
}

/// A literal met with a TIME.
fn time(expr: Expr, data_type: DataType) -> Result<Expr> {
    let Expr::Literal(value, metadata) = &expr else {
        return match data_type {
            DataType::Time32(_) | DataType::Time64(_) => clock(expr, &data_type, false),
            _ if is_text(&data_type) || data_type.is_numeric() => {
                plan_err!(
                    "{expr}, of type {data_type}, is compared with a TIME: only literals are read as times. Write CAST(… AS TIME) around a text"
                )
            }
            _ => Ok(expr),
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
