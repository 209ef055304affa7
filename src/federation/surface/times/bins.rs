//! `date_bin(stride, moment, origin)` in microseconds. DataFusion's counts nanoseconds, which end in the year 2262, and gives
//! NULL for what is beyond.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType};
use chrono::{Datelike, Months, NaiveDateTime};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::lengths::{INTERVAL, is_interval, nanos};
use super::moments::{micros, naive, on_values};
use crate::federation::collation::is_text;

/// The function, to be registered over DataFusion's.
pub(in crate::federation::surface) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(DateBin::default()))
}

/// Times of day, and moments of other units than microseconds, are left to DataFusion.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateBin {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Default for DateBin {
    fn default() -> Self {
        Self { inner: datetime::date_bin(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [stride, moment, origin @ ..] = arg_types else {
            return plan_err!(
                "date_bin takes an interval, a moment and, if need be, another one to count from"
            );
        };
        let stride = match stride {
            known if is_interval(known) || is_text(known) || known.is_null() => INTERVAL,
            other => return plan_err!("the first argument of date_bin is an interval, not a {other}"),
        };
        let moment = match moment {
            DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => moment.clone(),
            DataType::Date32 | DataType::Date64 | DataType::Null => micros(None),
            text if is_text(text) => micros(None),
            other => return plan_err!("date_bin takes a date or a moment, not a {other}"),
        };
        let origin = match (origin, &moment) {
            ([], _) => None,
            ([DataType::Timestamp(_, zone)], DataType::Timestamp(unit, _)) => {
                Some(DataType::Timestamp(counted_in(*unit), zone.clone()))
            }
            ([_], DataType::Timestamp(unit, _)) => Some(DataType::Timestamp(counted_in(*unit), None)),
            ([_], time) => Some(time.clone()),
            _ => return plan_err!("date_bin takes three arguments at most"),
        };
        Ok([stride, moment].into_iter().chain(origin).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[1].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (stride, moment) = (&args.args[0], &args.args[1]);
        let data_type = moment.data_type();
        if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return self.inner.invoke_with_args(args);
        }
        let origin = match args.args.get(2) {
            None => Some(0),
            Some(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(origin, _))) => *origin,
            Some(_) => return exec_err!("the third argument of date_bin is a literal"),
        };
        let ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(stride)) = stride else {
            return exec_err!("the first argument of date_bin is a literal");
        };
        let (Some(stride), Some(origin)) = (stride, origin) else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&data_type)?));
        };
        let bins = Bins::new(*stride, origin)?;
        on_values(moment, |moments| -> Result<ArrayRef> {
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            let binned: TimestampMicrosecondArray = moments.try_unary(|moment| {
                bins.start_of(moment).ok_or_else(|| exec_datafusion_err!("date_bin: a moment is out of range"))
            })?;
            Ok(Arc::new(binned.with_data_type(data_type.clone())))
        })
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }
}

/// What an origin is counted in, beside moments of `unit`: DataFusion takes nanoseconds.
fn counted_in(unit: TimeUnit) -> TimeUnit {
    if unit == TimeUnit::Microsecond { unit } else { TimeUnit::Nanosecond }
}

/// Stretches of time, one of which begins at `origin`.
struct Bins {
    width: Width,
    origin: i64,
}

enum Width {
    Months(i64),
    Nanos(i128),
}

impl Bins {
    fn new(stride: IntervalMonthDayNano, origin: i64) -> Result<Self> {
        let has_rest = stride.days != 0 || stride.nanoseconds != 0;
        let width = match i64::from(stride.months) {
            0 => Width::Nanos(nanos(stride)),
            _ if has_rest => {
                return exec_err!("the interval of date_bin has months, or days and hours, not both");
            }
            months => Width::Months(months),
        };
        match width {
            Width::Months(1..) | Width::Nanos(1..) => Ok(Self { width, origin }),
            _ => exec_err!("the interval of date_bin is to be greater than 0"),
        }
    }

    /// When that began which `moment` is in.
    fn start_of(&self, moment: i64) -> Option<i64> {
        match self.width {
            Width::Nanos(width) => {
                let since = (i128::from(moment) - i128::from(self.origin)) * 1_000;
                let start = i128::from(self.origin) * 1_000 + since.div_euclid(width) * width;
                i64::try_from(start.div_euclid(1_000)).ok()
            }
            Width::Months(width) => {
                let (at, origin) = (naive(moment)?, naive(self.origin)?);
                let months = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
                let start = (months(at) - months(origin)).div_euclid(width) * width;
                let found = later(origin, start)?;
                // Where the origin is no beginning of a month.
                let found = if found > at { later(origin, start.checked_sub(width)?)? } else { found };
                Some(found.and_utc().timestamp_micros())
            }
        }
    }
}

fn later(from: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { from.checked_sub_months(by) } else { from.checked_add_months(by) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn bins_in_any_year() {
        let (day, week) = (IntervalMonthDayNano::new(0, 1, 0), IntervalMonthDayNano::new(0, 7, 0));
        let minutes = |minutes: i64| IntervalMonthDayNano::new(0, 0, minutes * 60_000_000_000);
        let months = |months| IntervalMonthDayNano::new(months, 0, 0);
        for (stride, moment, origin, expected) in [
            (day, "9999-12-31T23:59:59.999999", "1970-01-01T00:00:00", "9999-12-31T00:00:00"),
            (day, "1000-01-01T00:00:00.000001", "1970-01-01T00:00:00", "1000-01-01T00:00:00"),
            (week, "2024-03-03T10:00:00", "2024-02-26T00:00:00", "2024-02-26T00:00:00"),
            (week, "2024-02-25T10:00:00", "2024-02-26T00:00:00", "2024-02-19T00:00:00"),
            (minutes(15), "2024-02-11T15:44:17", "2001-01-01T00:02:30", "2024-02-11T15:32:30"),
            (minutes(15), "1969-12-31T23:59:59", "1970-01-01T00:00:00", "1969-12-31T23:45:00"),
            (months(3), "9999-12-31T23:59:59", "1970-01-01T00:00:00", "9999-10-01T00:00:00"),
            (months(12), "1000-12-31T23:59:59", "1970-01-01T00:00:00", "1000-01-01T00:00:00"),
            (months(1), "2024-03-10T00:00:00", "2024-01-15T00:00:00", "2024-02-15T00:00:00"),
            (months(1), "2023-12-10T00:00:00", "2024-01-15T00:00:00", "2023-11-15T00:00:00"),
        ] {
            let found = Bins::new(stride, at(origin)).unwrap().start_of(at(moment));
            assert_eq!(found, Some(at(expected)), "{moment} by {stride:?} from {origin}");
        }
        for none in [months(0), months(-1), minutes(-5), IntervalMonthDayNano::new(1, 1, 0)] {
            assert!(Bins::new(none, 0).is_err(), "{none:?}");
        }
    }
}
