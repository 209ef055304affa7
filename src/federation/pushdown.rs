//! Which conditions a source may compute: from DataFusion's expressions to [`RemoteExpr`].
//!
//! What is translated is declared exact, so it is not computed again here; what is not is computed here and
//! nowhere else. [`WHITELIST`] is the one place that says which comparisons of which types are known to give the
//! same there and here. Text is never among them.
//!
//! DataFusion widens both sides of a comparison to one type (`BIGINT UNSIGNED = BIGINT` becomes a comparison of
//! DECIMAL(20,0)). Where a widening loses nothing it is seen through: the bare column is compared, for which
//! the source can use an index.

use arrow::datatypes::{DataType, TimeUnit, i256};
use crossweave_contract::{ColumnType, CompareOp, RemoteExpr, TableDef, Value};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, TryCast};
use datafusion::scalar::ScalarValue;

/// Types that are compared alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Integers and decimals: compared as exact numbers, also with each other.
    Exact,
    Float,
    Double,
    Year,
    Date,
    DateTime,
    Timestamp,
}

/// What may be asked of a source about columns of one family.
struct Allowed {
    family: Family,
    /// `=`, `<>`, `IN`.
    equality: bool,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`.
    order: bool,
    /// `IS NULL`, `IS NOT NULL`. A zero date is NULL: rendering sees to that.
    null: bool,
    /// The comparison of two columns, both of this family.
    columns: bool,
}

/// A longer list is looked through here: a statement has a bounded number of parameters.
const MAX_LIST: usize = 5_000;

/// Everything that is pushed down, by the type of the column.
const WHITELIST: &[Allowed] = &[
    Allowed { family: Family::Exact, equality: true, order: true, null: true, columns: true },
    // A decimal fraction has no exact FLOAT: what equals it depends on who rounds.
    Allowed { family: Family::Float, equality: false, order: true, null: true, columns: false },
    // Zero is not compared (see `double`): the server takes -0 and 0 for equal, Arrow does not.
    Allowed { family: Family::Double, equality: true, order: true, null: true, columns: false },
    // Only with four-digit years in range (see `year`): the server reads 24 as 2024.
    Allowed { family: Family::Year, equality: true, order: true, null: true, columns: false },
    Allowed { family: Family::Date, equality: true, order: true, null: true, columns: false },
    Allowed { family: Family::DateTime, equality: true, order: true, null: true, columns: false },
    Allowed { family: Family::Timestamp, equality: true, order: true, null: true, columns: false },
];

fn allowed(family: Family) -> Option<&'static Allowed> {
    WHITELIST.iter().find(|allowed| allowed.family == family)
}

fn family(column_type: &ColumnType) -> Option<Family> {
    match column_type {
        ColumnType::TinyInt { .. }
        | ColumnType::SmallInt { .. }
        | ColumnType::MediumInt { .. }
        | ColumnType::Int { .. }
        | ColumnType::BigInt { .. }
        | ColumnType::Decimal { .. } => Some(Family::Exact),
        ColumnType::Float => Some(Family::Float),
        ColumnType::Double => Some(Family::Double),
        ColumnType::Year => Some(Family::Year),
        ColumnType::Date => Some(Family::Date),
        ColumnType::DateTime { .. } => Some(Family::DateTime),
        ColumnType::Timestamp { .. } => Some(Family::Timestamp),
        _ => None,
    }
}

/// `expr`, a condition on rows of `table`, as the source can compute it; `None` if it may not.
pub fn to_remote(expr: &Expr, table: &TableDef) -> Option<RemoteExpr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(RemoteExpr::And(flatten(left, right, table, |remote| match remote {
                RemoteExpr::And(list) => list,
                other => vec![other],
            })?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(RemoteExpr::Or(flatten(left, right, table, |remote| match remote {
                RemoteExpr::Or(list) => list,
                other => vec![other],
            })?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(compare_op(*op)?, left, right, table),
        Expr::InList(InList { expr, list, negated }) => in_list(expr, list, *negated, table),
        Expr::Between(Between { expr, negated, low, high }) => between(expr, low, high, *negated, table),
        Expr::IsNull(inner) => null_test(inner, false, table),
        Expr::IsNotNull(inner) => null_test(inner, true, table),
        _ => None,
    }
}

fn flatten(
    left: &Expr,
    right: &Expr,
    table: &TableDef,
    parts: impl Fn(RemoteExpr) -> Vec<RemoteExpr>,
) -> Option<Vec<RemoteExpr>> {
    let mut list = Vec::new();
    for side in [left, right] {
        list.extend(parts(to_remote(side, table)?));
    }
    Some(list)
}

fn compare_op(op: Operator) -> Option<CompareOp> {
    Some(match op {
        Operator::Eq => CompareOp::Eq,
        Operator::NotEq => CompareOp::NotEq,
        Operator::Lt => CompareOp::Lt,
        Operator::LtEq => CompareOp::LtEq,
        Operator::Gt => CompareOp::Gt,
        Operator::GtEq => CompareOp::GtEq,
        _ => return None,
    })
}

/// One side of a comparison.
enum Side<'a> {
    Column { index: usize, family: Family },
    Literal(&'a ScalarValue),
}

fn side<'a>(expr: &'a Expr, table: &TableDef) -> Option<Side<'a>> {
    match expr {
        Expr::Literal(value, _) => Some(Side::Literal(value)),
        _ => column(expr, table).map(|(index, family)| Side::Column { index, family }),
    }
}

/// The column that `expr` is, seen through casts that lose nothing.
fn column(expr: &Expr, table: &TableDef) -> Option<(usize, Family)> {
    let (name, widened_to) = match expr {
        Expr::Column(column) => (&column.name, None),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => match &**expr {
            Expr::Column(column) => (&column.name, Some(field.data_type())),
            _ => return None,
        },
        _ => return None,
    };
    let index = table.columns.iter().position(|column| column.name == *name)?;
    let column_type = &table.columns[index].column_type;
    let lossless = widened_to.is_none_or(|to| widens(&column_type.data_type(), to));
    lossless.then_some(())?;
    Some((index, family(column_type)?))
}

/// Whether each value of `from` is a value of `to` that compares as it did.
fn widens(from: &DataType, to: &DataType) -> bool {
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
pub(super) fn digits(data_type: &DataType) -> Option<(i16, i16)> {
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

fn comparison(op: CompareOp, left: &Expr, right: &Expr, table: &TableDef) -> Option<RemoteExpr> {
    let (left, right) = match (side(left, table)?, side(right, table)?) {
        (Side::Column { index, family }, Side::Literal(value)) => {
            permitted(family, op)?;
            (RemoteExpr::Column(index), literal(value, family)?)
        }
        (Side::Literal(value), Side::Column { index, family }) => {
            permitted(family, op)?;
            (literal(value, family)?, RemoteExpr::Column(index))
        }
        (Side::Column { index: left, family }, Side::Column { index: right, family: other }) => {
            let allowed = allowed(family)?;
            (allowed.columns && family == other).then_some(())?;
            (RemoteExpr::Column(left), RemoteExpr::Column(right))
        }
        (Side::Literal(_), Side::Literal(_)) => return None,
    };
    Some(RemoteExpr::Compare { op, left: Box::new(left), right: Box::new(right) })
}

fn permitted(family: Family, op: CompareOp) -> Option<()> {
    let allowed = allowed(family)?;
    let permitted = match op {
        CompareOp::Eq | CompareOp::NotEq => allowed.equality,
        CompareOp::Lt | CompareOp::LtEq | CompareOp::Gt | CompareOp::GtEq => allowed.order,
    };
    permitted.then_some(())
}

fn in_list(expr: &Expr, list: &[Expr], negated: bool, table: &TableDef) -> Option<RemoteExpr> {
    let (index, family) = column(expr, table)?;
    (allowed(family)?.equality && (1..=MAX_LIST).contains(&list.len())).then_some(())?;
    let list = list.iter().map(|item| literal_of(item, family)).collect::<Option<_>>()?;
    Some(RemoteExpr::In { expr: Box::new(RemoteExpr::Column(index)), list, negated })
}

fn between(expr: &Expr, low: &Expr, high: &Expr, negated: bool, table: &TableDef) -> Option<RemoteExpr> {
    let (index, family) = column(expr, table)?;
    allowed(family)?.order.then_some(())?;
    Some(RemoteExpr::Between {
        expr: Box::new(RemoteExpr::Column(index)),
        low: Box::new(literal_of(low, family)?),
        high: Box::new(literal_of(high, family)?),
        negated,
    })
}

fn null_test(expr: &Expr, negated: bool, table: &TableDef) -> Option<RemoteExpr> {
    let (index, family) = column(expr, table)?;
    allowed(family)?.null.then_some(())?;
    Some(RemoteExpr::IsNull { expr: Box::new(RemoteExpr::Column(index)), negated })
}

fn literal_of(expr: &Expr, family: Family) -> Option<RemoteExpr> {
    match expr {
        Expr::Literal(value, _) => literal(value, family),
        _ => None,
    }
}

/// `value` as it is compared with a column of `family`. NULL is left to the local side.
fn literal(value: &ScalarValue, family: Family) -> Option<RemoteExpr> {
    let (value, column_type) = match family {
        Family::Exact => exact(value)?,
        Family::Float | Family::Double => double(value)?,
        Family::Year => year(value)?,
        Family::Date => date(value)?,
        Family::DateTime => moment(value, false)?,
        Family::Timestamp => moment(value, true)?,
    };
    Some(RemoteExpr::Literal(value, column_type))
}

fn exact(value: &ScalarValue) -> Option<(Value, ColumnType)> {
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
    let scale = u8::try_from(scale).ok().filter(|&scale| scale <= 38 && precision <= 65)?;
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

#[cfg(test)]
#[path = "pushdown_tests.rs"]
mod tests;
