//! `whole(x)`: a decimal or a double as the whole number next to it, before it is cast to an integer. Halves of decimals go away
//! from 0, those of doubles to the even one, as in MariaDB.
//!
//! Arrow cuts off what is after the point, and casts 256 bits to an integer by their lowest 64, whatever the others are; from 128
//! it does so with care.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use super::decimals::nearest;
use crate::federation::surface::each::{Each, each, of_each};

const WHOLE: DataType = DataType::Decimal128(38, 0);

/// `expr`, a decimal or a double, as it can be cast to an integer: NULL if it is too large and the cast `is_safe`, as TRY_CAST.
pub(in crate::federation::surface) fn whole(expr: Expr, is_safe: bool) -> Expr {
    each(Whole { is_safe }, expr)
}

/// Whether `call` is [`whole`].
pub(in crate::federation::surface) fn is_whole(call: &ScalarFunction) -> bool {
    of_each::<Whole>(call).is_some()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    is_safe: bool,
}

impl Each for Whole {
    const NAME: &'static str = "whole";

    fn makes(&self, from: &DataType) -> DataType {
        if from.is_floating() { DataType::Float64 } else { WHOLE }
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        match *values.data_type() {
            DataType::Decimal128(_, scale) => {
                let unit = 10_i128.pow(u32::from(scale.unsigned_abs()));
                let values = values.as_primitive::<Decimal128Type>();
                let narrow = values.iter().map(|value| value.map(|value| Some(nearest(value, unit))));
                wholes(values.len(), narrow, true)
            }
            DataType::Decimal256(_, scale) => {
                let unit = i256::from_i128(10).wrapping_pow(u32::from(scale.unsigned_abs()));
                let values = values.as_primitive::<Decimal256Type>();
                let wide = values.iter().map(|value| value.map(|value| nearest(value, unit).to_i128()));
                wholes(values.len(), wide, self.is_safe)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                let values = cast(values, &DataType::Float64)?;
                let rounded: Float64Array = values.as_primitive::<Float64Type>().unary(f64::round_ties_even);
                Ok(Arc::new(rounded))
            }
            ref other => internal_err!("whole takes a decimal or a double, not {other}"),
        }
    }
}

fn wholes(rows: usize, values: impl Iterator<Item = Option<Option<i128>>>, is_safe: bool) -> Result<ArrayRef> {
    let mut wholes = Decimal128Array::builder(rows).with_data_type(WHOLE);
    for value in values {
        match value {
            Some(None) if !is_safe => {
                let text = "BIGINT value is out of range: a decimal does not fit";
                return Err(ArrowError::ArithmeticOverflow(text.to_owned()).into());
            }
            value => wholes.append_option(value.flatten()),
        }
    }
    Ok(Arc::new(wholes.finish()))
}
