//! `interval_length(x)`: how long an interval is, a month as 30 days and a day as 24 hours. PostgreSQL compares intervals by
//! that.
//!
//! Arrow orders them by their months, then their days, then the rest, so that a day would be more than 25 hours, and not be
//! 24. So wherever intervals are compared, ordered or told apart, their lengths are; what is shown is an interval still. A
//! TIME, and what is between two moments, are compared with each other as they are, and with an interval by their lengths.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::{
    IntervalParseConfig, IntervalUnit as ParsedUnit, parse_interval_month_day_nano_config,
};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationNanosecondType, Field, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;

use crate::federation::collation::is_text;
use crate::federation::surface::each::{Each, each};

/// Nanoseconds: those of as many months, days and hours as an interval has room for.
pub(in crate::federation::surface) const LENGTH: DataType = DataType::Decimal128(38, 0);

pub(in crate::federation::surface) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

const NANOS_OF_A_DAY: i128 = 86_400_000_000_000;
const DAYS_OF_A_MONTH: i128 = 30;

pub(crate) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// How long `expr`, an interval or a duration, is.
pub(crate) fn length(expr: Expr) -> Expr {
    each(IntervalLength, expr)
}

/// What `expr`, of `data_type`, is compared as where it meets an interval.
///
/// # Errors
/// Where it is none, and no text that is read as one.
pub(in crate::federation::surface) fn as_length(expr: Expr, data_type: &DataType) -> Result<Expr> {
    match (&expr, data_type) {
        (_, DataType::Interval(_) | DataType::Duration(_)) => Ok(length(expr)),
        (Expr::Placeholder(Placeholder { id, field: None }), _) => {
            let field = Arc::new(Field::new("", INTERVAL, true));
            Ok(length(Expr::Placeholder(Placeholder::new_with_field(id.clone(), Some(field)))))
        }
        (_, DataType::Null) => Ok(expr),
        (Expr::Literal(text, metadata), of) if is_text(of) => {
            let read = text.try_as_str().flatten().map(read).transpose()?;
            Ok(length(Expr::Literal(ScalarValue::IntervalMonthDayNano(read), metadata.clone())))
        }
        _ => plan_err!(
            "{expr}, of type {data_type}, is compared with an interval: expected an interval, such as INTERVAL '36 hours'"
        ),
    }
}

/// `text`, of an interval, with units for the times of day that it ends with: PostgreSQL takes `1 day 12:30`, and Arrow does not.
pub(in crate::federation::surface) fn with_units(text: &str) -> Option<String> {
    let (days, clock) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
    let (sign, unsigned) = match clock.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", clock.strip_prefix('+').unwrap_or(clock)),
    };
    let parts: Vec<&str> = unsigned.split(':').collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let below_60 = |part: &str| part.len() < 3 && part.parse::<u8>().is_ok_and(|part| part < 60);
    let is_clock =
        [hours, minutes, whole, fraction].into_iter().all(is_number) && below_60(minutes) && below_60(whole);
    is_clock.then(|| {
        // A number alone are days.
        let unit = if is_number(days.trim_start_matches(['-', '+'])) { " days" } else { "" };
        format!("{days}{unit} {sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds")
            .trim()
            .to_owned()
    })
}

/// The interval that `text` spells.
fn read(text: &str) -> Result<IntervalMonthDayNano> {
    let config = IntervalParseConfig::new(ParsedUnit::Second);
    let units = with_units(text);
    let read = parse_interval_month_day_nano_config(units.as_deref().unwrap_or(text), config).ok();
    read.ok_or_else(|| plan_datafusion_err!("'{text}' is no interval: expected such as '1 day 12 hours'"))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalLength;

impl Each for IntervalLength {
    const NAME: &'static str = "interval_length";
    const IS_NAMED: bool = true;

    fn makes(&self, _from: &DataType) -> DataType {
        LENGTH
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let lengths: Decimal128Array = match values.data_type() {
            DataType::Duration(TimeUnit::Nanosecond) => {
                values.as_primitive::<DurationNanosecondType>().unary(i128::from)
            }
            DataType::Duration(_) => {
                let micros = cast(values, &DataType::Duration(TimeUnit::Microsecond))?;
                micros.as_primitive::<DurationMicrosecondType>().unary(|micros| i128::from(micros) * 1_000)
            }
            _ => cast(values, &INTERVAL)?.as_primitive::<IntervalMonthDayNanoType>().unary(nanos),
        };
        Ok(Arc::new(lengths.with_data_type(LENGTH)))
    }
}

pub(in crate::federation::surface) fn nanos(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * DAYS_OF_A_MONTH + i128::from(interval.days);
    days * NANOS_OF_A_DAY + i128::from(interval.nanoseconds)
}
