//! `whole(x)`: a wide decimal without what is after its point, in 128 bits.
//!
//! Arrow casts 256 bits to an integer by their lowest 64, whatever the others are; from 128 it does so with care.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal256Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Expr;

use super::each::{Each, each};

const WHOLE: DataType = DataType::Decimal128(38, 0);

/// `expr`, a wide decimal, as it can be cast to an integer: NULL if it is too large and the cast `is_safe`, as TRY_CAST.
pub(super) fn whole(expr: Expr, is_safe: bool) -> Expr {
    each(Whole { is_safe }, expr)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    is_safe: bool,
}

impl Each for Whole {
    const NAME: &'static str = "whole";

    fn makes(&self, _from: &DataType) -> DataType {
        WHOLE
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        wholes(values, self.is_safe)
    }
}

fn wholes(array: &ArrayRef, is_safe: bool) -> Result<ArrayRef> {
    let DataType::Decimal256(_, scale) = *array.data_type() else {
        return internal_err!("whole takes a wide decimal, not {}", array.data_type());
    };
    let Ok(places) = u32::try_from(scale) else {
        return internal_err!("{} has places before the point", array.data_type());
    };
    let unit = i256::from_i128(10).wrapping_pow(places);
    let narrow = |value: i256| value.wrapping_div(unit).to_i128();
    let array = array.as_primitive::<Decimal256Type>();
    let wholes: Decimal128Array = match is_safe {
        true => array.unary_opt(narrow),
        false => array.try_unary(|value| {
            narrow(value).ok_or_else(|| {
                ArrowError::ArithmeticOverflow(
                    "BIGINT value is out of range: a decimal does not fit".to_owned(),
                )
            })
        })?,
    };
    Ok(Arc::new(wholes.with_data_type(WHOLE)))
}
