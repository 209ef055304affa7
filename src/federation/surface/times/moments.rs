//! Functions of moments that keep to microseconds: DataFusion's are made of nanoseconds, which end in the year 2262.
//!
//! `now()`, `date_trunc`, and AT TIME ZONE, which gives the wall time of a zone as a timestamp without one, and the
//! moment of a wall time.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use crossweave_contract::MICROS_OF_A_DAY;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, internal_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::federation::collation::is_text;

/// The function that stands for AT TIME ZONE.
pub(in crate::federation::surface) const AT_TIME_ZONE: &str = "at_time_zone";

const UTC: &str = "+00:00";
/// Days from 0001-01-01 to 1970-01-01, counted from 1.
const EPOCH_FROM_CE: i32 = 719_163;

/// Moments as MariaDB and PostgreSQL have them.
pub(in crate::federation::surface) fn micros(zone: Option<Arc<str>>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone)
}

/// The functions, to be registered over DataFusion's.
pub(in crate::federation::surface) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::new_from_impl(Now::default())),
        Arc::new(ScalarUDF::new_from_impl(DateTrunc::default())),
        Arc::new(ScalarUDF::new_from_impl(AtTimeZone::default())),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl Default for Now {
    fn default() -> Self {
        Self {
            signature: Signature::nullary(Volatility::Stable),
            aliases: vec!["current_timestamp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(micros(Some(UTC.into())))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), micros(Some(UTC.into())), false)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("now() was left in a plan")
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match info.query_execution_start_time() {
            Some(start) => {
                let start = ScalarValue::TimestampMicrosecond(Some(start.timestamp_micros()), Some(UTC.into()));
                ExprSimplifyResult::Simplified(Expr::Literal(start, None))
            }
            None => ExprSimplifyResult::Original(args),
        })
    }
}

/// `date_trunc(part, moment)`. Times of day and zones other than UTC are left to DataFusion.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Default for DateTrunc {
    fn default() -> Self {
        Self { inner: datetime::date_trunc(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [part, moment] = arg_types else { return plan_err!("date_trunc takes a part and a moment") };
        if !is_text(part) {
            return plan_err!("the first argument of date_trunc is a text such as 'month', not a {part}");
        }
        let moment = match moment {
            DataType::Timestamp(_, zone) => micros(zone.clone()),
            DataType::Time32(_) | DataType::Time64(_) => moment.clone(),
            DataType::Date32 | DataType::Date64 | DataType::Null => micros(None),
            text if is_text(text) => micros(None),
            other => return plan_err!("date_trunc takes a date or a moment, not a {other}"),
        };
        Ok(vec![DataType::Utf8, moment])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[1].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [part, moment] = &args.args[..] else { return internal_err!("date_trunc takes two arguments") };
        let data_type = moment.data_type();
        match &data_type {
            DataType::Timestamp(TimeUnit::Microsecond, zone) if zone.as_deref().is_none_or(is_utc) => {}
            _ => return self.inner.invoke_with_args(args),
        }
        let ColumnarValue::Scalar(part) = part else {
            return exec_err!("the first argument of date_trunc is a literal");
        };
        let part = part.try_as_str().flatten().unwrap_or_default().to_lowercase();
        let truncated = |moments: &ArrayRef| -> Result<ArrayRef> {
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            let moments: TimestampMicrosecondArray = moments.try_unary(|moment| truncate(moment, &part))?;
            Ok(Arc::new(moments.with_data_type(data_type.clone())))
        };
        on_values(moment, truncated)
    }
}

/// What `function` makes of the values of `argument`.
pub(in crate::federation::surface) fn on_values(
    argument: &ColumnarValue,
    function: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    Ok(match argument {
        ColumnarValue::Array(values) => ColumnarValue::Array(function(values)?),
        ColumnarValue::Scalar(value) => {
            let values = function(&value.to_array()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
        }
    })
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "+00:00" | "UTC" | "Z" | "+00" | "Etc/UTC")
}

/// The beginning of the `part` of time that `moment` is in.
fn truncate(moment: i64, part: &str) -> Result<i64> {
    let whole = |unit: i64| Ok(moment - moment.rem_euclid(unit));
    let months = match part {
        "microsecond" => return Ok(moment),
        "millisecond" => return whole(1_000),
        "second" => return whole(1_000_000),
        "minute" => return whole(60_000_000),
        "hour" => return whole(3_600_000_000),
        "day" => return whole(MICROS_OF_A_DAY),
        // 1970-01-01 was a Thursday.
        "week" => {
            return Ok((moment.div_euclid(MICROS_OF_A_DAY)
                - (moment.div_euclid(MICROS_OF_A_DAY) + 3).rem_euclid(7))
                * MICROS_OF_A_DAY);
        }
        "month" => 1,
        "quarter" => 3,
        "year" => 12,
        _ => {
            return exec_err!(
                "date_trunc has no part {part:?}: it has microsecond, millisecond, second, minute, hour, day, week, \
                 month, quarter and year"
            );
        }
    };
    let first =
        i32::try_from(moment.div_euclid(MICROS_OF_A_DAY)).ok().and_then(|days| days.checked_add(EPOCH_FROM_CE));
    let first = first
        .and_then(NaiveDate::from_num_days_from_ce_opt)
        .and_then(|date| NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1));
    match first {
        Some(first) => Ok(i64::from(first.num_days_from_ce() - EPOCH_FROM_CE) * MICROS_OF_A_DAY),
        None => exec_err!("date_trunc: a moment is out of range"),
    }
}

/// `at_time_zone(moment, zone)`: of a moment, the wall time there, without a zone; of a wall time, the moment.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

impl Default for AtTimeZone {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

/// The zone that is named, and whether values of `data_type` are moments, not wall times.
fn zone_and_kind(data_type: &DataType, zone: Option<&ScalarValue>) -> Result<(Tz, bool)> {
    let Some(zone) = zone.and_then(|zone| zone.try_as_str().flatten()) else {
        return plan_err!("AT TIME ZONE takes the name of a zone, such as 'Europe/Berlin'");
    };
    let is_moment = match data_type {
        DataType::Timestamp(_, zone) => zone.is_some(),
        DataType::Date32 | DataType::Date64 => false,
        DataType::Null => true,
        text if is_text(text) => true,
        other => return plan_err!("AT TIME ZONE takes a moment, not a value of type {other}"),
    };
    match Tz::from_str(zone) {
        Ok(zone) => Ok((zone, is_moment)),
        Err(_) => {
            plan_err!("there is no time zone {zone:?}: expected a name such as 'Europe/Berlin', or '+02:00'")
        }
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        AT_TIME_ZONE
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, zone] = args else { return plan_err!("AT TIME ZONE takes a moment and a zone") };
        Ok(format!("{} AT TIME ZONE {}", value.schema_name(), zone.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("the result of AT TIME ZONE depends on its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let zone = args.scalar_arguments.get(1).copied().flatten();
        let (_, is_moment) = zone_and_kind(args.arg_fields[0].data_type(), zone)?;
        let result = if is_moment { micros(None) } else { micros(Some(UTC.into())) };
        Ok(Arc::new(Field::new(self.name(), result, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, ColumnarValue::Scalar(zone)] = &args.args[..] else {
            return internal_err!("AT TIME ZONE takes a moment and the name of a zone");
        };
        let (zone, is_moment) = zone_and_kind(&value.data_type(), Some(zone))?;
        on_values(value, |values| {
            let from = match values.data_type() {
                DataType::Timestamp(_, zone) => micros(zone.clone()),
                text if is_text(text) => micros(Some(UTC.into())),
                _ => micros(None),
            };
            let values = cast(values, &from)?;
            let values = values.as_primitive::<TimestampMicrosecondType>();
            let shifted: PrimitiveArray<TimestampMicrosecondType> = values.try_unary(|value| {
                let moved = if is_moment { wall_time(value, zone) } else { moment_of(value, zone) };
                moved.ok_or_else(|| exec_datafusion_err!("AT TIME ZONE: a moment is out of range"))
            })?;
            let to = if is_moment { micros(None) } else { micros(Some(UTC.into())) };
            Ok(Arc::new(shifted.with_data_type(to)))
        })
    }
}

pub(super) fn naive(micros: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_micros(micros)?.naive_utc())
}

fn wall_time(moment: i64, zone: Tz) -> Option<i64> {
    let offset = zone.offset_from_utc_datetime(&naive(moment)?).fix().local_minus_utc();
    moment.checked_add(i64::from(offset) * 1_000_000)
}

/// The moment at which clocks in `zone` show `wall`: of two, that of standard time, as in PostgreSQL; in the hours that
/// are left out, what it would be had clocks not been changed.
fn moment_of(wall: i64, zone: Tz) -> Option<i64> {
    let local = naive(wall)?;
    // An island that changes sides of the date line leaves out a day.
    let before = (0..=LEFT_OUT / STEP).map(|steps| local.checked_sub_signed(TimeDelta::hours(steps * STEP)));
    let offset = before.flatten().find_map(|local| zone.offset_from_local_datetime(&local).latest())?;
    wall.checked_sub(i64::from(offset.fix().local_minus_utc()) * 1_000_000)
}

/// Hours that clocks leave out at most.
const LEFT_OUT: i64 = 24;
/// Hours after which is looked again for one that they do not leave out.
const STEP: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn truncates_in_any_year() {
        for (moment, part, expected) in [
            ("9999-12-31T23:59:59.999999", "month", "9999-12-01T00:00:00"),
            ("9999-12-31T23:59:59.999999", "millisecond", "9999-12-31T23:59:59.999"),
            ("1000-01-01T00:00:00.000001", "year", "1000-01-01T00:00:00"),
            ("1969-12-31T23:59:59.999999", "second", "1969-12-31T23:59:59"),
            ("2024-02-29T10:11:12", "quarter", "2024-01-01T00:00:00"),
            ("2024-03-03T10:11:12", "week", "2024-02-26T00:00:00"),
            ("2024-02-26T00:00:00", "week", "2024-02-26T00:00:00"),
            ("1000-01-05T00:00:00", "day", "1000-01-05T00:00:00"),
        ] {
            assert_eq!(truncate(at(moment), part).unwrap(), at(expected), "{part} of {moment}");
        }
        assert!(truncate(0, "fortnight").unwrap_err().to_string().contains("no part \"fortnight\""));
    }

    #[test]
    fn zones_are_those_of_clocks() {
        let berlin = Tz::from_str("Europe/Berlin").unwrap();
        for (moment, wall) in [
            ("2024-01-01T00:00:00.000001", "2024-01-01T01:00:00.000001"),
            ("2024-07-01T12:00:00", "2024-07-01T14:00:00"),
            ("2024-10-27T01:30:00", "2024-10-27T02:30:00"),
        ] {
            assert_eq!(wall_time(at(moment), berlin), Some(at(wall)), "{moment}");
            assert_eq!(moment_of(at(wall), berlin), Some(at(moment)), "{wall}");
        }
        // An hour that clocks leave out.
        assert_eq!(moment_of(at("2024-03-31T02:30:00"), berlin), Some(at("2024-03-31T01:30:00")));
        // A day of the calendar.
        let apia = Tz::from_str("Pacific/Apia").unwrap();
        for (wall, moment) in [
            ("2011-12-29T23:59:59", "2011-12-30T09:59:59"),
            ("2011-12-30T00:00:00", "2011-12-30T10:00:00"),
            ("2011-12-30T23:59:59", "2011-12-31T09:59:59"),
            ("2011-12-31T00:00:00", "2011-12-30T10:00:00"),
        ] {
            assert_eq!(moment_of(at(wall), apia), Some(at(moment)), "{wall}");
        }
        assert!(zone_and_kind(&micros(None), Some(&ScalarValue::from("Mars/Olympus"))).is_err());
    }
}
