//! Literals as they are compared with columns.

use arrow::datatypes::i256;
use crossweave_contract::{
    ColumnType, CompareOp, DECIMAL_DIGITS, DECIMAL_PLACES, MICROS_OF_A_DAY, RemoteColumn, RemoteExpr, Value,
};
use datafusion::scalar::ScalarValue;

use super::whitelist::Family;

/// 0001-01-01 to 9999-12-31, in days since 1970-01-01: what a source has dates for.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// 838:59:59.999999, the longest TIME.
const MOST_MICROS: u64 = 3_020_399_999_999;

/// `value` as it is compared with a column of `family`. NULL is left to the local side.
pub(super) fn literal(value: &ScalarValue, family: Family) -> Option<RemoteExpr> {
    let (value, column_type) = match family {
        Family::Exact => exact(value)?,
        Family::Float | Family::Double => double(value)?,
        Family::Year => year(value)?,
        Family::Date => date(value)?,
        Family::DateTime => moment(value, false)?,
        Family::Timestamp => moment(value, true)?,
        Family::Time => duration(value)?,
        Family::Text | Family::Enum | Family::Set | Family::Address | Family::Other => return None,
    };
    Some(RemoteExpr::Literal(value, column_type))
}

/// `value` as one of several of `family` between which is chosen.
pub(super) fn chosen(value: &ScalarValue, family: Family) -> Option<RemoteExpr> {
    let (value, column_type) = match (family, value) {
        (Family::Exact, value) => exact(value)?,
        (Family::Double, ScalarValue::Float64(Some(v))) if v.is_finite() => {
            (Value::Double(*v), ColumnType::Double)
        }
        (Family::Date, ScalarValue::Date32(Some(day))) if DATES.contains(day) => {
            (Value::Date(*day), ColumnType::Date)
        }
        (Family::DateTime | Family::Timestamp, value) => {
            let (value, column_type) = moment(value, family == Family::Timestamp)?;
            let Value::Micros(micros) = value else { return None };
            let day = i32::try_from(micros.div_euclid(MICROS_OF_A_DAY)).ok();
            day.filter(|day| DATES.contains(day)).map(|_| (value, column_type))?
        }
        (Family::Time, value) => {
            let (value, column_type) = duration(value)?;
            let Value::Micros(micros) = value else { return None };
            (micros.unsigned_abs() <= MOST_MICROS).then_some((value, column_type))?
        }
        _ => return None,
    };
    Some(RemoteExpr::Literal(value, column_type))
}

/// Whether a column of `column_type` may hold the number `literal`. One that it cannot hold is compared here: over an index
/// MariaDB 10.11 takes `smallint = 2.1` for `smallint = 2`.
pub(super) fn may_hold(column_type: &ColumnType, literal: &RemoteExpr) -> bool {
    let RemoteExpr::Literal(value, literal_type) = literal else { return false };
    let unscaled = match value {
        Value::Decimal(unscaled) => i256::from_i128(*unscaled),
        Value::WideDecimal(unscaled) => i256::from_le_bytes(*unscaled),
        _ => return true,
    };
    let (ColumnType::Decimal { scale: places, .. }, ColumnType::Decimal { scale, .. }) =
        (column_type, literal_type)
    else {
        // A whole number is no decimal any more.
        return false;
    };
    let unit = i256::from_i128(10).checked_pow(u32::from(scale.saturating_sub(*places)));
    unit.and_then(|unit| unscaled.checked_rem(unit)) == Some(i256::ZERO)
}

/// Whether the whole number `literal` is in the range of the integers of `column_type`; true of all else.
pub(super) fn is_in_range(column_type: &ColumnType, literal: &RemoteExpr) -> bool {
    beyond(column_type, literal).is_none()
}

/// The order that is true of no integer of `column_type`, `< least` or `> most`, where the whole number `literal` is beyond that
/// one.
fn beyond(column_type: &ColumnType, literal: &RemoteExpr) -> Option<(CompareOp, RemoteExpr)> {
    let value = match literal {
        RemoteExpr::Literal(Value::Int(value), _) => i128::from(*value),
        RemoteExpr::Literal(Value::UInt(value), _) => i128::from(*value),
        _ => return None,
    };
    let (bits, unsigned) = match column_type {
        ColumnType::TinyInt { unsigned } => (8, *unsigned),
        ColumnType::SmallInt { unsigned } => (16, *unsigned),
        ColumnType::MediumInt { unsigned } => (24, *unsigned),
        ColumnType::Int { unsigned } => (32, *unsigned),
        ColumnType::BigInt { unsigned } => (64, *unsigned),
        _ => return None,
    };
    let (least, most) = match unsigned {
        true => (0, (1_i128 << bits) - 1),
        false => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
    };
    let last = |value: i128| match i64::try_from(value) {
        Ok(value) => RemoteExpr::Literal(Value::Int(value), ColumnType::BigInt { unsigned: false }),
        Err(_) => RemoteExpr::Literal(Value::UInt(value as u64), ColumnType::BigInt { unsigned: true }),
    };
    match value {
        value if value < least => Some((CompareOp::Lt, last(least))),
        value if value > most => Some((CompareOp::Gt, last(most))),
        _ => None,
    }
}

/// `compared`, without equalities of a column and a whole number beyond its integers: it says the same by an order. MariaDB
/// puts the number in the column's place in all other conditions, those of a view too, and may fail to compute them of it
/// (error 1690).
pub(super) fn within_range(compared: RemoteExpr, columns: &[RemoteColumn]) -> RemoteExpr {
    let ordered = |column: usize, literal: &RemoteExpr, negated: bool| {
        let (op, last) = beyond(&columns.get(column)?.column_type, literal)?;
        let op = if negated { op.opposite() } else { op };
        Some(RemoteExpr::Compare { op, left: Box::new(RemoteExpr::Column(column)), right: Box::new(last) })
    };
    let instead = match &compared {
        RemoteExpr::Compare { op: op @ (CompareOp::Eq | CompareOp::NotEq), left, right } => {
            let negated = *op == CompareOp::NotEq;
            match (&**left, &**right) {
                (RemoteExpr::Column(column), literal) | (literal, RemoteExpr::Column(column)) => {
                    ordered(*column, literal, negated)
                }
                _ => None,
            }
        }
        RemoteExpr::In { expr, list, negated } => match &**expr {
            RemoteExpr::Column(column) => in_list(*column, list, *negated, &ordered),
            _ => None,
        },
        _ => None,
    };
    instead.unwrap_or(compared)
}

/// A list without what its column cannot hold, if it has any of that.
fn in_list(
    column: usize,
    list: &[RemoteExpr],
    negated: bool,
    ordered: &dyn Fn(usize, &RemoteExpr, bool) -> Option<RemoteExpr>,
) -> Option<RemoteExpr> {
    let (beyond, held): (Vec<_>, Vec<_>) =
        list.iter().partition(|literal| ordered(column, literal, negated).is_some());
    let first = beyond.first()?;
    if held.is_empty() {
        return ordered(column, first, negated);
    }
    let list = held.into_iter().cloned().collect();
    Some(RemoteExpr::In { expr: Box::new(RemoteExpr::Column(column)), list, negated })
}

/// Whether values of the two types are compared alike by an index of either.
pub(super) fn compare_alike(one: &ColumnType, other: &ColumnType) -> bool {
    match (one, other) {
        (ColumnType::Decimal { scale, .. }, ColumnType::Decimal { scale: places, .. }) => scale == places,
        (ColumnType::Decimal { .. }, _) | (_, ColumnType::Decimal { .. }) => false,
        _ => true,
    }
}

pub(super) fn exact(value: &ScalarValue) -> Option<(Value, ColumnType)> {
    const SIGNED: ColumnType = ColumnType::BigInt { unsigned: false };
    const UNSIGNED: ColumnType = ColumnType::BigInt { unsigned: true };
    Some(match *value {
        ScalarValue::Int8(Some(v)) => (Value::Int(v.into()), SIGNED),
        ScalarValue::Int16(Some(v)) => (Value::Int(v.into()), SIGNED),
        ScalarValue::Int32(Some(v)) => (Value::Int(v.into()), SIGNED),
        ScalarValue::Int64(Some(v)) => (Value::Int(v), SIGNED),
        ScalarValue::UInt8(Some(v)) => (Value::UInt(v.into()), UNSIGNED),
        ScalarValue::UInt16(Some(v)) => (Value::UInt(v.into()), UNSIGNED),
        ScalarValue::UInt32(Some(v)) => (Value::UInt(v.into()), UNSIGNED),
        ScalarValue::UInt64(Some(v)) => (Value::UInt(v), UNSIGNED),
        ScalarValue::Decimal128(Some(v), precision, scale) => decimal(i256::from_i128(v), precision, scale)?,
        ScalarValue::Decimal256(Some(v), precision, scale) => decimal(v, precision, scale)?,
        _ => return None,
    })
}

/// A decimal literal; a whole number becomes an integer, for which an integer column's index is used.
fn decimal(unscaled: i256, precision: u8, scale: i8) -> Option<(Value, ColumnType)> {
    let scale =
        u8::try_from(scale).ok().filter(|&scale| scale <= DECIMAL_PLACES && precision <= DECIMAL_DIGITS)?;
    let unit = i256::from_i128(10).checked_pow(scale.into())?;
    if unscaled.checked_rem(unit)? == i256::ZERO
        && let Some(whole) = unscaled.checked_div(unit)?.to_i128()
    {
        if let Ok(whole) = i64::try_from(whole) {
            return Some((Value::Int(whole), ColumnType::BigInt { unsigned: false }));
        }
        if let Ok(whole) = u64::try_from(whole) {
            return Some((Value::UInt(whole), ColumnType::BigInt { unsigned: true }));
        }
    }
    let column_type = ColumnType::Decimal { precision, scale };
    Some(match (precision <= 38, unscaled.to_i128()) {
        (true, Some(narrow)) => (Value::Decimal(narrow), column_type),
        _ => (Value::WideDecimal(unscaled.to_le_bytes()), column_type),
    })
}

fn double(value: &ScalarValue) -> Option<(Value, ColumnType)> {
    let value = match *value {
        ScalarValue::Float32(Some(v)) => f64::from(v),
        ScalarValue::Float64(Some(v)) => v,
        _ => return None,
    };
    (value.is_finite() && value != 0.0).then_some((Value::Double(value), ColumnType::Double))
}

fn year(value: &ScalarValue) -> Option<(Value, ColumnType)> {
    let (value, column_type) = exact(value)?;
    let year = match value {
        Value::Int(v) => u64::try_from(v).ok()?,
        Value::UInt(v) => v,
        _ => return None,
    };
    (1901..=2155).contains(&year).then_some((value, column_type))
}

fn date(value: &ScalarValue) -> Option<(Value, ColumnType)> {
    match *value {
        ScalarValue::Date32(Some(day)) => Some((Value::Date(day), ColumnType::Date)),
        _ => moment(value, false),
    }
}

fn moment(value: &ScalarValue, zoned: bool) -> Option<(Value, ColumnType)> {
    let (micros, zone) = match value {
        ScalarValue::TimestampSecond(Some(v), zone) => (v.checked_mul(1_000_000)?, zone),
        ScalarValue::TimestampMillisecond(Some(v), zone) => (v.checked_mul(1_000)?, zone),
        ScalarValue::TimestampMicrosecond(Some(v), zone) => (*v, zone),
        ScalarValue::TimestampNanosecond(Some(v), zone) if v % 1_000 == 0 => (v / 1_000, zone),
        _ => return None,
    };
    (zone.is_some() == zoned).then_some(())?;
    let column_type = if zoned { ColumnType::Timestamp { fsp: 6 } } else { ColumnType::DateTime { fsp: 6 } };
    Some((Value::Micros(micros), column_type))
}

fn duration(value: &ScalarValue) -> Option<(Value, ColumnType)> {
    match *value {
        ScalarValue::DurationMicrosecond(Some(micros)) => {
            Some((Value::Micros(micros), ColumnType::Time { fsp: 6 }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_a_range() {
        let int = |value| RemoteExpr::Literal(Value::Int(value), ColumnType::BigInt { unsigned: false });
        let bounds = [
            (ColumnType::TinyInt { unsigned: false }, -128, 127),
            (ColumnType::SmallInt { unsigned: true }, 0, 65_535),
            (ColumnType::MediumInt { unsigned: false }, -8_388_608, 8_388_607),
            (ColumnType::Int { unsigned: true }, 0, 4_294_967_295),
        ];
        for (column_type, least, most) in bounds {
            let held = [least - 1, least, most, most + 1].map(|value| is_in_range(&column_type, &int(value)));
            assert_eq!(held, [false, true, true, false], "{column_type:?}");
        }
        let most = RemoteExpr::Literal(Value::UInt(u64::MAX), ColumnType::BigInt { unsigned: true });
        assert!(is_in_range(&ColumnType::BigInt { unsigned: true }, &most));
        assert!(!is_in_range(&ColumnType::BigInt { unsigned: false }, &most));
        assert!(!is_in_range(&ColumnType::BigInt { unsigned: true }, &int(-1)));
    }

    #[test]
    fn an_equality_beyond_the_range_of_its_column_is_an_order() {
        let columns = [ColumnType::TinyInt { unsigned: true }].map(|column_type| RemoteColumn {
            column_type,
            nullable: true,
            origin: None,
            chars: None,
        });
        let int = |value| RemoteExpr::Literal(Value::Int(value), ColumnType::BigInt { unsigned: false });
        let column = || Box::new(RemoteExpr::Column(0));
        let compare = |op, value| RemoteExpr::Compare { op, left: column(), right: Box::new(int(value)) };
        let list = |values: &[i64], negated| RemoteExpr::In {
            expr: column(),
            list: values.iter().map(|value| int(*value)).collect(),
            negated,
        };
        let cases = [
            (compare(CompareOp::Eq, -1), compare(CompareOp::Lt, 0)),
            (compare(CompareOp::Eq, 256), compare(CompareOp::Gt, 255)),
            (compare(CompareOp::NotEq, -1), compare(CompareOp::GtEq, 0)),
            (compare(CompareOp::Eq, 255), compare(CompareOp::Eq, 255)),
            (compare(CompareOp::Lt, 300), compare(CompareOp::Lt, 300)),
            (list(&[1, 300, 2], false), list(&[1, 2], false)),
            (list(&[1, 2], true), list(&[1, 2], true)),
            (list(&[300, -1], false), compare(CompareOp::Gt, 255)),
            (list(&[300, -1], true), compare(CompareOp::LtEq, 255)),
        ];
        for (compared, expected) in cases {
            assert_eq!(within_range(compared.clone(), &columns), expected, "{compared:?}");
        }
        let turned = RemoteExpr::Compare { op: CompareOp::Eq, left: Box::new(int(-1)), right: column() };
        assert_eq!(within_range(turned, &columns), compare(CompareOp::Lt, 0));
    }
}
