//! Values for placeholders.
//!
//! What is `lineNo + $1`? What it is with a literal in the placeholder's place. A number therefore keeps the type
//! it comes with: `unsigned = -1` is false, `small <= 1048576` true, `small * 30000` does not overflow, and
//! `price = 64.434` is not rounded first. A text is read as one of the type that its place asks for, as a quoted
//! literal is.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use crossweave_contract::MICROS_OF_A_DAY;
use datafusion::common::DFSchema;
use datafusion::common::ParamValues;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr as SqlExpr, ExprWithAlias, Statement, TimezoneInfo, Value, VisitMut,
    VisitorMut,
};

use crate::federation::list_elements;
use crate::federation::surface::{array_items, constant, parse_time, with_few_constants};
use crate::query::{QueryError, QueryErrorKind, Reason};

/// Gives the placeholders of `statement` the types that are declared for them, as casts.
pub(super) fn declare(statement: &mut Statement, types: &[Option<SqlType>]) {
    if types.iter().all(Option::is_none) {
        return;
    }
    struct Declare<'a>(&'a [Option<SqlType>]);
    impl VisitorMut for Declare<'_> {
        type Break = ();
        // After the expression's parts, so that the cast made here is not visited again.
        fn post_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
            let SqlExpr::Value(value) = expr else { return ControlFlow::Continue(()) };
            let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
            let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
            let declared = number.and_then(|number| self.0.get(number.checked_sub(1)?));
            if let Some(Some(data_type)) = declared {
                *expr = SqlExpr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(expr.clone()),
                    data_type: data_type.clone(),
                    array: false,
                    format: None,
                };
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(statement, &mut Declare(types));
}

/// SQL's name of `data_type`, where values of it can be cast to it and stay what they are.
pub(super) fn sql_type(data_type: &DataType) -> Option<SqlType> {
    Some(match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int16 | DataType::Int32 | DataType::Int64 => SqlType::BigInt(None),
        DataType::Float32 => SqlType::Real,
        DataType::Float64 => SqlType::DoublePrecision,
        DataType::Utf8 => SqlType::Text,
        DataType::Date32 => SqlType::Date,
        DataType::Timestamp(_, None) => SqlType::Timestamp(None, TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
        DataType::Interval(_) => SqlType::Interval { fields: None, precision: None },
        _ => return None,
    })
}

/// The values of EXECUTE's arguments, which are constants.
pub(super) fn evaluate(state: &SessionState, arguments: Vec<SqlExpr>) -> Result<Vec<ScalarValue>, QueryError> {
    let schema = DFSchema::empty();
    let value = |argument: SqlExpr| {
        let text = argument.to_string();
        let expr = ExprWithAlias { expr: argument, alias: None };
        let expr = state.create_logical_expr_from_sql_expr(expr, &schema)?;
        match constant(expr, state.config_options())? {
            Expr::Literal(value, _) => Ok(value),
            _ => Err(QueryError::new(
                QueryErrorKind::Invalid,
                format!("EXECUTE takes constants; {text} is none"),
            )),
        }
    };
    with_few_constants(|| arguments.into_iter().map(value).collect())
}

/// The type that a value has whose placeholder was declared as one type and stands where another is inferred;
/// `None` where neither is known.
pub(super) fn expected(declared: Option<&DataType>, inferred: Option<&DataType>) -> Option<DataType> {
    match (declared, inferred) {
        // A quoted literal takes the type that its place asks for, too.
        (Some(DataType::Utf8), Some(inferred)) => Some(inferred.clone()),
        (Some(one), _) | (None, Some(one)) => Some(natural(one)),
        (None, None) => None,
    }
}

/// Integers and decimals come as wide as literals are, whatever the column they are meant for.
fn natural(data_type: &DataType) -> DataType {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => Int64,
        List(item) => List(Arc::new(item.as_ref().clone().with_data_type(natural(item.data_type())))),
        other => other.clone(),
    }
}

/// `plan` with a NULL of each of `types` in place of its placeholders: it has the columns that values of these
/// types give.
pub(super) fn sample(plan: LogicalPlan, types: &[Option<DataType>]) -> Result<LogicalPlan, QueryError> {
    let null = |data_type: &Option<DataType>| match data_type {
        Some(data_type) => ScalarValue::try_from(data_type),
        None => Ok(ScalarValue::Null),
    };
    let nulls: Vec<ScalarValue> = types.iter().map(null).collect::<Result<_, _>>()?;
    Ok(plan.replace_params_with_values(&ParamValues::from(nulls))?)
}

/// `plan` with `params` in place of its placeholders, whose types are `types` as far as they are known.
pub(super) fn bind(
    plan: LogicalPlan,
    types: &[Option<DataType>],
    params: Vec<ScalarValue>,
) -> Result<LogicalPlan, QueryError> {
    if params.len() != types.len() {
        let message = format!("the statement has {} parameters; {} were given", types.len(), params.len());
        return Err(QueryError::new(QueryErrorKind::Invalid, message));
    }
    if params.is_empty() {
        return Ok(plan);
    }
    let values = params.into_iter().zip(types).enumerate();
    let values: Vec<ScalarValue> = values
        .map(|(index, (value, data_type))| match data_type {
            Some(data_type) => fit(value, data_type).map_err(|reason| {
                QueryError::new(QueryErrorKind::Invalid, format!("parameter ${}: {reason}", index + 1))
                    .because(Reason::Value)
            }),
            None => Ok(value),
        })
        .collect::<Result<_, _>>()?;
    Ok(plan.replace_params_with_values(&ParamValues::from(values))?)
}

/// `value` where a `data_type` is asked for: NULL and text as one of that type, others as they are but for what
/// only looks like another type there.
fn fit(value: ScalarValue, data_type: &DataType) -> Result<ScalarValue, String> {
    use ScalarValue::*;
    if value.data_type() == *data_type {
        return Ok(value);
    }
    if value.is_null() {
        return ScalarValue::try_from(data_type).map_err(|error| error.to_string());
    }
    match (&value, data_type) {
        (Utf8(Some(text)) | Utf8View(Some(text)) | LargeUtf8(Some(text)), _) => read(text, data_type),
        (List(_), DataType::List(item)) => {
            let elements = list_elements(&value).map_err(|error| error.to_string())?;
            let fitted = elements.into_iter().map(|element| fit(element, item.data_type()));
            let fitted = fitted.collect::<Result<Vec<_>, _>>()?;
            let first = fitted.first().map_or_else(|| item.data_type().clone(), ScalarValue::data_type);
            let same = fitted.iter().all(|element| element.data_type() == first);
            Ok(if same { list(&fitted, &first) } else { value })
        }
        (Time64Microsecond(Some(micros)), DataType::Duration(_)) => Ok(DurationMicrosecond(Some(*micros))),
        (IntervalMonthDayNano(Some(interval)), DataType::Duration(_)) => duration(*interval),
        // Whether a condition or a flag; a number other than 0 and 1 is no flag's value, but no error either.
        (_, DataType::Boolean)
        // JSON has one type of numbers, which are decimals as they are written.
        | (Float32(_) | Float64(_), DataType::Decimal128(..) | DataType::Decimal256(..)) => Ok(exactly(value, data_type)),
        _ => Ok(value),
    }
}

fn list(elements: &[ScalarValue], data_type: &DataType) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(elements, data_type))
}

/// `text` as a value of `data_type`.
fn read(text: &str, data_type: &DataType) -> Result<ScalarValue, String> {
    if let DataType::Duration(_) = data_type {
        return parse_time(text).map(|micros| ScalarValue::DurationMicrosecond(Some(micros)));
    }
    if let DataType::List(item) = data_type {
        let shown = || text.chars().take(100).collect::<String>();
        let items = array_items(text).ok_or_else(|| {
            format!("{:?} is not a list of values of {}: expected {{a,b}}", shown(), item.data_type())
        })?;
        let null = || ScalarValue::try_from(item.data_type()).map_err(|error| error.to_string());
        let values = items.into_iter().map(|item_text| match item_text {
            Some(text) => read(&text, item.data_type()),
            None => null(),
        });
        return Ok(list(&values.collect::<Result<Vec<_>, _>>()?, item.data_type()));
    }
    match ScalarValue::from(text).cast_to(data_type) {
        Ok(cast) if !cast.is_null() => Ok(cast),
        _ => {
            let shown: String = text.chars().take(100).collect();
            Err(format!("{shown:?} is not a value of {data_type}"))
        }
    }
}

/// `value` as a `data_type` if it comes back the same, else as it is.
fn exactly(value: ScalarValue, data_type: &DataType) -> ScalarValue {
    let same = |cast: &ScalarValue| cast.cast_to(&value.data_type()).is_ok_and(|back| back == value);
    value.cast_to(data_type).ok().filter(same).unwrap_or(value)
}

/// MariaDB's TIME is a span as well as a time of day.
fn duration(interval: IntervalMonthDayNano) -> Result<ScalarValue, String> {
    let micros = i64::from(interval.days).checked_mul(MICROS_OF_A_DAY);
    match micros.and_then(|micros| micros.checked_add(interval.nanoseconds / 1_000)) {
        Some(micros) if interval.months == 0 => Ok(ScalarValue::DurationMicrosecond(Some(micros))),
        _ => Err("an interval with months is no TIME, which counts hours".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_text_is_read_as_what_its_place_asks_for() {
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        assert_eq!(fit(text("7"), &DataType::UInt64), Ok(ScalarValue::UInt64(Some(7))));
        assert!(fit(text("seven"), &DataType::UInt64).is_err());
        assert_eq!(fit(text("2024-05-06"), &DataType::Date32), Ok(ScalarValue::Date32(Some(19849))));
        let time = DataType::Duration(arrow::datatypes::TimeUnit::Microsecond);
        assert_eq!(fit(text("-00:00:01"), &time), Ok(ScalarValue::DurationMicrosecond(Some(-1_000_000))));
        let list = |item| DataType::new_list(item, true);
        let two = [ScalarValue::DurationMicrosecond(Some(1_000_000)), ScalarValue::DurationMicrosecond(None)];
        assert_eq!(fit(text("{00:00:01,NULL}"), &list(time.clone())), Ok(super::list(&two, &time)));
        let texts = super::list(&[text("00:00:01"), ScalarValue::Utf8(None)], &DataType::Utf8);
        assert_eq!(fit(texts, &list(time.clone())), Ok(super::list(&two, &time)));
        assert!(fit(text("1,2"), &list(DataType::Int32)).unwrap_err().contains("expected {a,b}"));
        let month = ScalarValue::new_interval_mdn(1, 0, 0);
        assert!(fit(month, &time).is_err());
        let day = ScalarValue::new_interval_mdn(0, 1, 5_000);
        assert_eq!(fit(day, &time), Ok(ScalarValue::DurationMicrosecond(Some(86_400_000_005))));
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let cases = [
            (ScalarValue::Int64(Some(-1)), DataType::UInt64),
            (ScalarValue::Int64(Some(5)), DataType::Int16),
            (ScalarValue::Int64(Some(2)), DataType::Boolean),
            (ScalarValue::Decimal128(Some(10999), 5, 3), DataType::Decimal128(10, 2)),
            (ScalarValue::Float64(Some(10.999)), DataType::Decimal128(10, 2)),
            (ScalarValue::Float64(Some(5.4)), DataType::UInt64),
            (
                list(&[ScalarValue::Int64(Some(-1))], &DataType::Int64),
                DataType::new_list(DataType::UInt8, true),
            ),
        ];
        for (value, data_type) in cases {
            assert_eq!(fit(value.clone(), &data_type), Ok(value));
        }
        let cent = fit(ScalarValue::Float64(Some(10.99)), &DataType::Decimal128(10, 2));
        assert_eq!(cent, Ok(ScalarValue::Decimal128(Some(1099), 10, 2)));
        assert_eq!(fit(ScalarValue::Int64(Some(1)), &DataType::Boolean), Ok(ScalarValue::Boolean(Some(true))));
        assert_eq!(fit(ScalarValue::Null, &DataType::Int8), Ok(ScalarValue::Int8(None)));
        assert_eq!(fit(ScalarValue::Int64(None), &DataType::Utf8), Ok(ScalarValue::Utf8(None)));
    }

    #[test]
    fn a_declared_type_counts_unless_it_is_text() {
        let cases = [
            (Some(DataType::Int32), Some(DataType::UInt64), Some(DataType::Int64)),
            (Some(DataType::Utf8), Some(DataType::Int16), Some(DataType::Int16)),
            (Some(DataType::Utf8), None, Some(DataType::Utf8)),
            (None, Some(DataType::UInt16), Some(DataType::Int64)),
            (None, None, None),
        ];
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        assert_eq!(expected(Some(&list(DataType::Int16)), None), Some(list(DataType::Int64)));
        for (declared, inferred, expect) in cases {
            assert_eq!(expected(declared.as_ref(), inferred.as_ref()), expect);
        }
    }
}
