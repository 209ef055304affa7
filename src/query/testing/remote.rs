//! Computes a [`RemoteExpr`] as a server would: exact numbers exactly, -0 equal to 0, NULL unknown.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::datatypes::i256;
use crossweave_contract::{ColumnType, CompareOp, RemoteExpr, TableDef, Value, value_at};

/// Whether `expr` is true for row `row` of `batch`, which holds all columns of `table`.
pub(crate) fn passes(expr: &RemoteExpr, table: &TableDef, batch: &RecordBatch, row: usize) -> bool {
    truth(expr, table, batch, row) == Some(true)
}

fn truth(expr: &RemoteExpr, table: &TableDef, batch: &RecordBatch, row: usize) -> Option<bool> {
    let value = |expr: &RemoteExpr| operand(expr, table, batch, row);
    let not = |negated: bool, found: Option<bool>| found.map(|found| found != negated);
    match expr {
        RemoteExpr::Compare { op, left, right } => compare(*op, &value(left), &value(right)),
        RemoteExpr::In { expr, list, negated } => {
            let wanted = value(expr);
            let found = list.iter().map(|item| compare(CompareOp::Eq, &wanted, &value(item)));
            not(*negated, any(found))
        }
        RemoteExpr::Between { expr, low, high, negated } => {
            let wanted = value(expr);
            let above = compare(CompareOp::GtEq, &wanted, &value(low));
            let below = compare(CompareOp::LtEq, &wanted, &value(high));
            not(*negated, all([above, below]))
        }
        RemoteExpr::IsNull { expr, negated } => Some((value(expr).0 == Value::Null) != *negated),
        RemoteExpr::And(parts) => all(parts.iter().map(|part| truth(part, table, batch, row))),
        RemoteExpr::Or(parts) => any(parts.iter().map(|part| truth(part, table, batch, row))),
        RemoteExpr::Column(_) | RemoteExpr::Literal(..) => panic!("a value in the place of a condition"),
    }
}

fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.into_iter().collect();
    if parts.contains(&Some(true)) {
        Some(true)
    } else if parts.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.into_iter().map(|part| part.map(|part| !part))).map(|found| !found)
}

fn operand(expr: &RemoteExpr, table: &TableDef, batch: &RecordBatch, row: usize) -> (Value, ColumnType) {
    match expr {
        RemoteExpr::Column(index) => {
            let column_type = table.columns[*index].column_type.clone();
            (value_at(&column_type, batch.column(*index), row), column_type)
        }
        RemoteExpr::Literal(value, column_type) => (value.clone(), column_type.clone()),
        other => panic!("a condition in the place of a value: {other:?}"),
    }
}

fn compare(op: CompareOp, left: &(Value, ColumnType), right: &(Value, ColumnType)) -> Option<bool> {
    if left.0.is_null() || right.0.is_null() {
        return None;
    }
    let order = match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => match (moment(left), moment(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => double(left).partial_cmp(&double(right)).expect("no NaN"),
        },
    };
    Some(match op {
        CompareOp::Eq => order == Ordering::Equal,
        CompareOp::NotEq => order != Ordering::Equal,
        CompareOp::Lt => order == Ordering::Less,
        CompareOp::LtEq => order != Ordering::Greater,
        CompareOp::Gt => order == Ordering::Greater,
        CompareOp::GtEq => order != Ordering::Less,
    })
}

/// An exact number, times 10^38.
fn number((value, column_type): &(Value, ColumnType)) -> Option<i256> {
    let scaled = |unscaled: i256, scale: u8| {
        unscaled.checked_mul(i256::from_i128(10).checked_pow(u32::from(38 - scale))?)
    };
    match (value, column_type) {
        (Value::Int(v), _) => scaled(i256::from_i128((*v).into()), 0),
        (Value::UInt(v), _) => scaled(i256::from_i128((*v).into()), 0),
        (Value::Decimal(v), ColumnType::Decimal { scale, .. }) => scaled(i256::from_i128(*v), *scale),
        (Value::WideDecimal(v), ColumnType::Decimal { scale, .. }) => scaled(i256::from_le_bytes(*v), *scale),
        _ => None,
    }
}

fn moment((value, _): &(Value, ColumnType)) -> Option<i64> {
    match value {
        Value::Date(day) => Some(i64::from(*day) * 86_400_000_000),
        Value::Micros(micros) => Some(*micros),
        _ => None,
    }
}

fn double((value, _): &(Value, ColumnType)) -> f64 {
    match value {
        Value::Float(v) => f64::from(*v),
        Value::Double(v) => *v,
        other => panic!("{other:?} is compared with a double"),
    }
}
