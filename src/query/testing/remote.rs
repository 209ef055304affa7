//! Answers a [`Relation`] as a server would: exact numbers exactly, -0 equal to 0, NULL unknown, texts by their code
//! points without trailing spaces.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::i256;
use crossweave_contract::{
    AggregateFunction, ArithmeticOp, ColumnType, CompareOp, JoinKind, Relation, RemoteAggregate, RemoteColumn,
    RemoteExpr, RemoteFunction, RemoteOutput, RemoteQuery, RemoteSort, TableDef, TableId, Value, value_at,
};

use super::rows_of;

/// A value with its type.
type Typed = (Value, ColumnType);

/// What is read: definitions and all their columns.
pub(crate) type Tables = BTreeMap<TableId, (Arc<TableDef>, RecordBatch)>;

/// The answer to `query`.
pub(crate) fn answer(query: &RemoteQuery, tables: &Tables) -> RecordBatch {
    let rows = relation(&query.relation, tables);
    let values: Vec<Vec<Value>> =
        rows.into_iter().map(|row| row.into_iter().map(|(value, _)| value).collect()).collect();
    rows_of(&query.columns, &values)
}

/// Whether `expr` is true for row `row` of `batch`, which holds all columns of `table`.
pub(crate) fn passes(expr: &RemoteExpr, table: &TableDef, batch: &RecordBatch, row: usize) -> bool {
    let all: Vec<usize> = (0..table.columns.len()).collect();
    truth(expr, &of_table(table, batch, &all, row)) == Some(true)
}

fn of_table(table: &TableDef, batch: &RecordBatch, columns: &[usize], row: usize) -> Vec<Typed> {
    let cell = |&index: &usize| {
        let column_type = table.columns[index].column_type.clone();
        (value_at(&column_type, batch.column(index), row), column_type)
    };
    columns.iter().map(cell).collect()
}

fn relation(of: &Relation, tables: &Tables) -> Vec<Vec<Typed>> {
    match of {
        Relation::Table { table, columns } => {
            let (_, batch) = &tables[&table.id];
            (0..batch.num_rows()).map(|row| of_table(table, batch, columns, row)).collect()
        }
        Relation::Filter { input, condition } => {
            let mut rows = relation(input, tables);
            rows.retain(|row| truth(condition, row) == Some(true));
            rows
        }
        Relation::Project { input, outputs } => {
            let project = |row: Vec<Typed>| {
                let output = |output: &RemoteOutput| {
                    let (value, column_type) = value(&output.expr, &row);
                    // Sums and products have more room than what they are read as.
                    match (&value, &output.expr) {
                        (Value::WideDecimal(_), RemoteExpr::Arithmetic { .. }) => {
                            let to = output.column.column_type.clone();
                            (as_type(number(&(value, column_type)).unwrap(), &to), to)
                        }
                        _ => (value, column_type),
                    }
                };
                outputs.iter().map(output).collect()
            };
            relation(input, tables).into_iter().map(project).collect()
        }
        Relation::Join { left, right, kind, on } => {
            joined(relation(left, tables), (relation(right, tables), &right.columns()), *kind, on)
        }
        Relation::Union { inputs } => inputs.iter().flat_map(|input| relation(input, tables)).collect(),
        Relation::Aggregate { input, groups, aggregates } => {
            let mut grouped: Vec<(Vec<Typed>, Vec<Vec<Typed>>)> = Vec::new();
            for row in relation(input, tables) {
                let key: Vec<Typed> = groups.iter().map(|group| value(&group.expr, &row)).collect();
                let same =
                    |other: &Vec<Typed>| key.iter().zip(other).all(|(one, other)| order(one, other).is_eq());
                match grouped.iter_mut().find(|(other, _)| same(other)) {
                    Some((_, rows)) => rows.push(row),
                    None => grouped.push((key, vec![row])),
                }
            }
            if groups.is_empty() && grouped.is_empty() {
                grouped.push((Vec::new(), Vec::new()));
            }
            let said = |(mut key, rows): (Vec<Typed>, Vec<Vec<Typed>>)| {
                key.extend(aggregates.iter().map(|aggregate| aggregated(aggregate, &rows)));
                key
            };
            grouped.into_iter().map(said).collect()
        }
        Relation::Sort { input, by } => {
            let mut rows = relation(input, tables);
            rows.sort_by(|left, right| sorted(by, left, right));
            rows
        }
        Relation::Limit { input, skip, fetch } => {
            let rows = relation(input, tables).into_iter().skip(*skip as usize);
            rows.take(fetch.map_or(usize::MAX, |fetch| fetch as usize)).collect()
        }
    }
}

fn joined(
    left: Vec<Vec<Typed>>,
    (right, width): (Vec<Vec<Typed>>, &[RemoteColumn]),
    kind: JoinKind,
    on: &RemoteExpr,
) -> Vec<Vec<Typed>> {
    let mut joined = Vec::new();
    for row in left {
        let both = |other: &Vec<Typed>| row.iter().chain(other).cloned().collect::<Vec<_>>();
        let partners: Vec<Vec<Typed>> =
            right.iter().map(both).filter(|both| truth(on, both) == Some(true)).collect();
        match kind {
            JoinKind::Semi if !partners.is_empty() => joined.push(row),
            JoinKind::Anti if partners.is_empty() => joined.push(row),
            JoinKind::Semi | JoinKind::Anti => {}
            JoinKind::Left if partners.is_empty() => {
                joined.push(both(&width.iter().map(|c| (Value::Null, c.column_type.clone())).collect()));
            }
            JoinKind::Left | JoinKind::Inner => joined.extend(partners),
        }
    }
    joined
}

fn sorted(by: &[RemoteSort], left: &[Typed], right: &[Typed]) -> Ordering {
    let compared = by.iter().map(|sort| {
        let (left, right) = (value(&sort.expr, left), value(&sort.expr, right));
        match (left.0.is_null(), right.0.is_null()) {
            (false, false) if sort.descending => order(&right, &left),
            (false, false) => order(&left, &right),
            (left, right) if sort.nulls_first => right.cmp(&left),
            (left, right) => left.cmp(&right),
        }
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

fn aggregated(aggregate: &RemoteAggregate, rows: &[Vec<Typed>]) -> Typed {
    let chosen =
        rows.iter().filter(|row| aggregate.filter.as_ref().is_none_or(|f| truth(f, row) == Some(true)));
    let of_row = |row: &Vec<Typed>| match &aggregate.argument {
        Some(argument) => value(argument, row),
        None => (Value::Int(1), ColumnType::BigInt { unsigned: false }),
    };
    let mut values: Vec<Typed> = chosen.map(of_row).filter(|(value, _)| !value.is_null()).collect();
    values.sort_by(order);
    if aggregate.distinct {
        values.dedup_by(|left, right| order(left, right).is_eq());
    }
    let column_type = aggregate.column.column_type.clone();
    let found = match aggregate.function {
        AggregateFunction::Count => Value::Int(values.len() as i64),
        AggregateFunction::Min | AggregateFunction::Any => values.first().map_or(Value::Null, |v| v.0.clone()),
        AggregateFunction::Max => values.last().map_or(Value::Null, |v| v.0.clone()),
        AggregateFunction::Sum | AggregateFunction::Average if values.is_empty() => Value::Null,
        AggregateFunction::Sum if column_type == ColumnType::Double => {
            Value::Double(values.iter().map(double).sum())
        }
        AggregateFunction::Sum => {
            let sum =
                values.iter().map(|value| number(value).unwrap()).reduce(|left, right| left + right).unwrap();
            as_type(sum, &column_type)
        }
        AggregateFunction::Average => panic!("averages are tried on real servers"),
    };
    (found, column_type)
}

/// A number times 10^38 as a value of `column_type`.
fn as_type(scaled: i256, column_type: &ColumnType) -> Value {
    let unit = |scale: u8| i256::from_i128(10).checked_pow(u32::from(38 - scale)).unwrap();
    match column_type {
        ColumnType::BigInt { unsigned: false } => Value::Int((scaled / unit(0)).to_i128().unwrap() as i64),
        ColumnType::BigInt { unsigned: true } => Value::UInt((scaled / unit(0)).to_i128().unwrap() as u64),
        ColumnType::Decimal { precision, scale } if *precision <= 38 => {
            Value::Decimal((scaled / unit(*scale)).to_i128().unwrap())
        }
        ColumnType::Decimal { scale, .. } => Value::WideDecimal((scaled / unit(*scale)).to_le_bytes()),
        other => panic!("{other:?} is no exact number"),
    }
}

fn value(expr: &RemoteExpr, row: &[Typed]) -> Typed {
    match expr {
        RemoteExpr::Column(index) => row[*index].clone(),
        RemoteExpr::Literal(value, column_type) => (value.clone(), column_type.clone()),
        RemoteExpr::Cast { expr, to } => match number(&value(expr, row)) {
            Some(scaled) => (as_type(scaled, to), to.clone()),
            None => (Value::Null, to.clone()),
        },
        RemoteExpr::Arithmetic { op, left, right } => {
            let wide = ColumnType::Decimal { precision: 65, scale: 19 };
            let half = i256::from_i128(10).checked_pow(19).unwrap();
            match (number(&value(left, row)), number(&value(right, row))) {
                (Some(left), Some(right)) => {
                    let result = match op {
                        ArithmeticOp::Add => left + right,
                        ArithmeticOp::Subtract => left - right,
                        ArithmeticOp::Multiply => (left / half) * (right / half),
                    };
                    (as_type(result, &wide), wide)
                }
                _ => (Value::Null, wide),
            }
        }
        RemoteExpr::Case { branches, otherwise } => {
            match branches.iter().find(|(when, _)| truth(when, row) == Some(true)) {
                Some((_, then)) => value(then, row),
                None => match otherwise {
                    Some(otherwise) => value(otherwise, row),
                    None => (Value::Null, ColumnType::BigInt { unsigned: false }),
                },
            }
        }
        RemoteExpr::Call { function: RemoteFunction::Magnitude, args } => {
            let (of, column_type) = value(&args[0], row);
            match number(&(of, column_type.clone())) {
                Some(scaled) => (as_type(scaled.wrapping_abs(), &column_type), column_type),
                None => (Value::Null, column_type),
            }
        }
        RemoteExpr::Call { function, .. } => panic!("{function:?} is tried on real servers"),
        other => panic!("a condition in the place of a value: {other:?}"),
    }
}

fn truth(expr: &RemoteExpr, row: &[Typed]) -> Option<bool> {
    let value = |expr: &RemoteExpr| value(expr, row);
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
        RemoteExpr::Like { expr, pattern, negated } => {
            let (Value::Text(text), Value::Text(pattern)) = (value(expr).0, value(pattern).0) else {
                return None;
            };
            Some(like(&text, &pattern) != *negated)
        }
        RemoteExpr::IsNull { expr, negated } => Some((value(expr).0 == Value::Null) != *negated),
        RemoteExpr::NotTrue(condition) => Some(truth(condition, row) != Some(true)),
        RemoteExpr::And(parts) => all(parts.iter().map(|part| truth(part, row))),
        RemoteExpr::Or(parts) => any(parts.iter().map(|part| truth(part, row))),
        other => panic!("a value in the place of a condition: {other:?}"),
    }
}

/// Patterns of `%` and `_` alone.
fn like(text: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| like(&text[at..], &pattern[1..]))
        }
        Some(c) => text.chars().next().is_some_and(|first| {
            (c == '_' || c == first) && like(&text[first.len_utf8()..], &pattern[c.len_utf8()..])
        }),
    }
}

/// NULLs first, and equal to each other.
fn order(left: &Typed, right: &Typed) -> Ordering {
    match (left.0.is_null(), right.0.is_null()) {
        (false, false) => compared(left, right),
        (left, right) => right.cmp(&left),
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

fn compared(left: &Typed, right: &Typed) -> Ordering {
    if let (Value::Text(left), Value::Text(right)) = (&left.0, &right.0) {
        return left.trim_end_matches(' ').cmp(right.trim_end_matches(' '));
    }
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => match (moment(left), moment(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => double(left).partial_cmp(&double(right)).expect("no NaN"),
        },
    }
}

fn compare(op: CompareOp, left: &Typed, right: &Typed) -> Option<bool> {
    if left.0.is_null() || right.0.is_null() {
        return None;
    }
    let order = compared(left, right);
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
