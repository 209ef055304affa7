//! `extract` and `date_part` of a TIME, and of texts.
//!
//! A TIME is a duration here, of which DataFusion gives all minutes and all seconds, and loses what is after their point.
//! Its hours are all that it has, as in MariaDB's HOUR and PostgreSQL's intervals; its minutes are those of the hour and
//! its seconds those of the minute; all have its sign, as EXTRACT gives it in both. A text is read as a moment of
//! microseconds, which has room for any year.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::kernels::cast_utils::IntervalUnit;
use arrow::datatypes::{DataType, DurationMicrosecondType, FieldRef};
use datafusion::common::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::moments::{micros, on_values};
use crate::federation::collation::is_text;
use crate::federation::surface::types::coercions::TIME;
use crate::federation::taken_types;

/// The function, to be registered over DataFusion's.
pub(in crate::federation::surface) fn function() -> Arc<ScalarUDF> {
    let inner = datetime::date_part();
    Arc::new(ScalarUDF::new_from_impl(PartOf {
        inner,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PartOf {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for PartOf {
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
        let mut types = arg_types.to_vec();
        if let Some(moment) = types.get_mut(1).filter(|of| is_text(of)) {
            *moment = micros(None);
        }
        taken_types(types, self.inner.as_ref())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [ColumnarValue::Scalar(part), time] = &args.args[..]
            && time.data_type() == TIME
            && let Some(part) = part.try_as_str().flatten().and_then(part_of_time)
        {
            return on_values(time, |times| Ok(part.of(times)));
        }
        self.inner.invoke_with_args(args)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// A part of a TIME that DataFusion does not give.
#[derive(Debug, Clone, Copy, PartialEq)]
enum PartOfTime {
    /// In µs how long it is, and how long what it is a part of.
    Whole(i64, i64),
    /// Nanoseconds of the minute.
    Nanoseconds,
    /// All seconds, with what is after their point.
    Seconds,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// The part that `name` says; `None` for those of which DataFusion's is right.
fn part_of_time(name: &str) -> Option<PartOfTime> {
    if name.eq_ignore_ascii_case("epoch") {
        return Some(PartOfTime::Seconds);
    }
    Some(match IntervalUnit::from_str(name).ok()? {
        IntervalUnit::Minute => PartOfTime::Whole(MINUTE, 60 * MINUTE),
        IntervalUnit::Second => PartOfTime::Whole(SECOND, MINUTE),
        IntervalUnit::Millisecond => PartOfTime::Whole(1_000, MINUTE),
        IntervalUnit::Microsecond => PartOfTime::Whole(1, MINUTE),
        IntervalUnit::Nanosecond => PartOfTime::Nanoseconds,
        _ => return None,
    })
}

impl PartOfTime {
    fn of(self, times: &ArrayRef) -> ArrayRef {
        let times = times.as_primitive::<DurationMicrosecondType>();
        match self {
            Self::Whole(unit, whole) => {
                let parts: Int32Array = times.unary(|micros| (micros % whole / unit) as i32);
                Arc::new(parts)
            }
            Self::Nanoseconds => {
                let parts: Int64Array = times.unary(|micros| micros % MINUTE * 1_000);
                Arc::new(parts)
            }
            Self::Seconds => {
                let seconds: Float64Array = times.unary(|micros| micros as f64 / SECOND as f64);
                Arc::new(seconds)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::DurationMicrosecondArray;
    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::federation::surface::parse_time;

    fn parts(name: &str) -> String {
        let times = ["-838:59:59.5", "100:01:02.000001", "-00:00:00.001", "00:59:59.999999"];
        let times: DurationMicrosecondArray =
            times.iter().map(|time| Some(parse_time(time).unwrap())).chain([None]).collect();
        let times: ArrayRef = Arc::new(times);
        let parts = part_of_time(name).unwrap().of(&times);
        let shown = (0..parts.len()).map(|row| array_value_to_string(&parts, row).unwrap());
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn minutes_are_those_of_the_hour_and_seconds_those_of_the_minute() {
        assert_eq!(parts("MINUTE"), "-59 1 0 59 ");
        assert_eq!(parts("second"), "-59 2 0 59 ");
        assert_eq!(parts("milliseconds"), "-59500 2000 -1 59999 ");
        assert_eq!(parts("us"), "-59500000 2000001 -1000 59999999 ");
        assert_eq!(parts("nanosecond"), "-59500000000 2000001000 -1000000 59999999000 ");
        assert_eq!(parts("epoch"), "-3020399.5 360062.000001 -0.001 3599.999999 ");
        assert_eq!(part_of_time("hour"), None);
    }
}
