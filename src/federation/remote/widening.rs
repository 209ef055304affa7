//! Casts that lose nothing, and digits of numbers.

use arrow::datatypes::{DataType, TimeUnit};

/// Whether each value of `from` is a value of `to` that compares as it did.
pub(super) fn widens(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Float32, DataType::Float64) | (DataType::Date32, DataType::Timestamp(_, None)) => true,
        (DataType::Timestamp(_, from_zone), DataType::Timestamp(unit, to_zone)) => {
            let fine_enough = matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond);
            fine_enough && from_zone.is_some() == to_zone.is_some()
        }
        _ => match (digits(from), digits(to)) {
            (Some((before, after)), Some((to_before, to_after))) => {
                // A signed type of the same width holds as many digits as an unsigned one, but not all values.
                let sign_kept = !to.is_unsigned_integer() || from.is_unsigned_integer();
                let width_kept = !(to.is_integer() && from.is_integer()) || integer_fits(from, to);
                let digits_kept = to.is_integer() || before <= to_before;
                sign_kept
                    && width_kept
                    && digits_kept
                    && after <= to_after
                    && (!to.is_integer() || from.is_integer())
            }
            _ => false,
        },
    }
}

/// Digits before and after the point.
pub(in crate::federation) fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (i16::from(*precision) - i16::from(*scale), i16::from(*scale))
        }
        _ => return None,
    })
}

fn integer_fits(from: &DataType, to: &DataType) -> bool {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(0);
    match (from.is_unsigned_integer(), to.is_unsigned_integer()) {
        (true, false) => width(from) < width(to),
        _ => width(from) <= width(to),
    }
}
