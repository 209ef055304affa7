//! `clock(x)`: a text, a moment or a time of the day as a TIME of MariaDB, which is a duration.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DurationMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::Expr;

use super::time::{DAY, parse_time};
use crate::federation::collation::is_text;
use crate::federation::surface::each::{Each, each};
use crate::federation::surface::types::coercions::{TIME, is_moment};

/// Whether values of this type are made a TIME of by [`clock`].
pub(in crate::federation::surface) fn is_clock(from: &DataType) -> bool {
    is_text(from) || is_moment(from) || matches!(from, DataType::Time32(_) | DataType::Time64(_))
}

/// `expr`, of type `from`, as a TIME: NULL if it is none and the cast `is_safe`, as TRY_CAST. Of a moment, the time of its
/// day.
///
/// # Errors
/// If `from` is a number: MariaDB takes 101112 for 10:11:12, and others for seconds.
pub(in crate::federation::surface) fn clock(expr: Expr, from: &DataType, is_safe: bool) -> Result<Expr> {
    if from.is_numeric() {
        return plan_err!(
            "{expr}, of type {from}, is cast to TIME: only texts and moments are. Write the time as 'HH:MM:SS'"
        );
    }
    Ok(each(Clock { is_safe }, expr))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    is_safe: bool,
}

impl Each for Clock {
    const NAME: &'static str = "clock";

    fn makes(&self, _from: &DataType) -> DataType {
        TIME
    }

    fn of(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let cast = |array: &ArrayRef, to: &DataType| {
            cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
        };
        let times: DurationMicrosecondArray = match array.data_type() {
            from if is_text(from) => {
                let texts = cast(array, &DataType::Utf8View)?;
                let read = |text: Option<&str>| match text.map(parse_time) {
                    Some(Err(_)) if self.is_safe => Ok(None),
                    time => time.transpose().map_err(ArrowError::CastError),
                };
                texts.as_string_view().iter().map(read).collect::<std::result::Result<_, _>>()?
            }
            DataType::Timestamp(_, zone) => {
                let moments = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                let moments = cast(&moments, &DataType::Int64)?;
                moments.as_primitive::<Int64Type>().unary(|micros| micros.rem_euclid(DAY))
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                let times = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
                cast(&times, &DataType::Int64)?.as_primitive::<Int64Type>().unary(|micros| micros)
            }
            other => return internal_err!("clock takes no {other}"),
        };
        Ok(Arc::new(times))
    }
}
