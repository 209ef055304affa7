//! The rows of a relation, made here.
//!
//! Why can rows be compared although SQL leaves some of it open? Which of several equal texts stands for a group is told
//! apart by columns that are loose: their texts are compared under their collation alone. And where a limit cuts rows
//! that their order does not tell apart, there is no answer: the question is left out.

use std::cmp::Ordering;
use std::collections::HashMap;

use arrow::datatypes::i256;
use crossweave_contract::{
    AggregateFunction, ColumnType, JoinKind, Relation, RemoteAggregate, RemoteExpr, RemoteOutput, RemoteSort,
    TableDef,
};

use super::super::evaluate::{Datum, order, truth, unit, value};

/// More rows than this no question is to have, nor anything that it is made of.
const MOST_ROWS: usize = 300;

/// A row.
pub(super) type Data = Vec<Datum>;

/// The rows of a relation.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) rows: Vec<Data>,
    /// Columns in which one of several equal texts stands, whichever it is.
    pub(super) loose: Vec<bool>,
    /// The rows are in order, which leaves nothing open.
    pub(super) ordered: bool,
}

/// Why there is no answer: it is too large, or SQL leaves it open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open;

impl Answer {
    /// `row`, as one that it may be compared with.
    pub(super) fn looks(&self, row: &[Datum]) -> Vec<String> {
        let look = |(value, loose): (&Datum, &bool)| if *loose { value.key() } else { value.exact() };
        row.iter().zip(&self.loose).map(look).collect()
    }

    fn bounded(self) -> Result<Self, Open> {
        if self.rows.len() > MOST_ROWS { Err(Open) } else { Ok(self) }
    }
}

/// All rows of each table, by its name.
#[derive(Debug, Default)]
pub(super) struct Contents(pub(super) HashMap<String, Vec<Data>>);

impl Contents {
    pub(super) fn of(&self, table: &TableDef) -> &[Data] {
        &self.0[&*table.id.table]
    }

    /// The rows of `relation`.
    pub(super) fn answer(&self, relation: &Relation) -> Result<Answer, Open> {
        let answer = match relation {
            Relation::Table { table, columns } => {
                let row = |row: &Data| columns.iter().map(|&column| row[column].clone()).collect();
                let rows = self.of(table).iter().map(row).collect();
                Answer { rows, loose: vec![false; columns.len()], ordered: false }
            }
            Relation::Filter { input, condition } => {
                let mut answer = self.answer(input)?;
                answer.rows.retain(|row| truth(condition, row) == Some(true));
                Answer { ordered: false, ..answer }
            }
            Relation::Project { input, outputs } => projected(&self.answer(input)?, outputs),
            Relation::Join { left, right, kind, on } => {
                joined(self.answer(left)?, self.answer(right)?, *kind, on)
            }
            Relation::Union { inputs } => {
                let answers = inputs.iter().map(|input| self.answer(input)).collect::<Result<Vec<_>, _>>()?;
                let any_loose = |place: usize| answers.iter().any(|answer| answer.loose[place]);
                let loose = (0..answers[0].loose.len()).map(any_loose).collect();
                Answer { rows: answers.into_iter().flat_map(|a| a.rows).collect(), loose, ordered: false }
            }
            Relation::Aggregate { input, groups, aggregates } => {
                aggregated(&self.answer(input)?, groups, aggregates)
            }
            Relation::Sort { input, by } => sorted(self.answer(input)?, by),
            Relation::Limit { input, skip, fetch } => limited(self.answer(input)?, *skip, *fetch)?,
        };
        answer.bounded()
    }
}

fn projected(input: &Answer, outputs: &[RemoteOutput]) -> Answer {
    let row = |row: &Data| outputs.iter().map(|output| value(&output.expr, row)).collect();
    Answer {
        rows: input.rows.iter().map(row).collect(),
        loose: outputs.iter().map(|output| is_loose(&output.expr, &input.loose)).collect(),
        ordered: input.ordered,
    }
}

fn is_loose(expr: &RemoteExpr, loose: &[bool]) -> bool {
    matches!(expr, RemoteExpr::Column(place) if loose[*place])
}

fn joined(left: Answer, right: Answer, kind: JoinKind, on: &RemoteExpr) -> Answer {
    let width = right.loose.len();
    let mut rows = Vec::new();
    for one in left.rows {
        let pairs = right.rows.iter().map(|other| [one.clone(), other.clone()].concat());
        let mut partners: Vec<Data> = pairs.filter(|pair| truth(on, pair) == Some(true)).collect();
        match kind {
            JoinKind::Left if partners.is_empty() => {
                rows.push(one.into_iter().chain(vec![Datum::Null; width]).collect());
            }
            JoinKind::Inner | JoinKind::Left => rows.append(&mut partners),
            JoinKind::Semi if !partners.is_empty() => rows.push(one),
            JoinKind::Anti if partners.is_empty() => rows.push(one),
            JoinKind::Semi | JoinKind::Anti => {}
        }
    }
    let mut loose = left.loose;
    if matches!(kind, JoinKind::Inner | JoinKind::Left) {
        loose.extend(right.loose);
    }
    Answer { rows, loose, ordered: false }
}

fn keys(values: &[Datum]) -> Vec<String> {
    values.iter().map(Datum::key).collect()
}

fn aggregated(input: &Answer, groups: &[RemoteOutput], aggregates: &[RemoteAggregate]) -> Answer {
    // One group of all rows is there also when no row is.
    let mut found: Vec<(Data, Vec<&Data>)> =
        if groups.is_empty() { vec![(Vec::new(), Vec::new())] } else { Vec::new() };
    for row in &input.rows {
        let group: Data = groups.iter().map(|group| value(&group.expr, row)).collect();
        match found.iter_mut().find(|(known, _)| keys(known) == keys(&group)) {
            Some((_, rows)) => rows.push(row),
            None => found.push((group, vec![row])),
        }
    }
    let row = |(group, rows): (Data, Vec<&Data>)| {
        let said = aggregates.iter().map(|aggregate| said(aggregate, &rows));
        group.iter().cloned().chain(said).collect()
    };
    let loose_groups = groups.iter().map(|group| is_text_with_equals(&group.column.column_type));
    let loose_aggregates = aggregates.iter().map(|aggregate| match aggregate.function {
        AggregateFunction::Any => {
            aggregate.argument.as_ref().is_some_and(|argument| is_loose(argument, &input.loose))
        }
        _ => is_text_with_equals(&aggregate.column.column_type),
    });
    let loose = loose_groups.chain(loose_aggregates).collect();
    Answer { rows: found.into_iter().map(row).collect(), loose, ordered: false }
}

/// Whether texts that differ may be equal.
pub(super) fn is_text_with_equals(column_type: &ColumnType) -> bool {
    column_type.collation().is_some_and(|collation| collation.name != "utf8mb4_nopad_bin")
}

/// What `aggregate` says of `rows`.
fn said(aggregate: &RemoteAggregate, rows: &[&Data]) -> Datum {
    let chosen = |row: &&&Data| aggregate.filter.as_ref().is_none_or(|filter| truth(filter, row) == Some(true));
    let rows = rows.iter().filter(chosen);
    let Some(argument) = &aggregate.argument else { return Datum::whole(rows.count() as i128) };
    let mut values: Vec<Datum> =
        rows.map(|row| value(argument, row)).filter(|value| !value.is_null()).collect();
    if aggregate.distinct {
        let mut seen = Vec::new();
        values.retain(|value| {
            let new = !seen.contains(&value.key());
            seen.push(value.key());
            new
        });
    }
    let compare = |a: &&Datum, b: &&Datum| order(a, b).expect("no NULLs");
    match aggregate.function {
        AggregateFunction::Count => Datum::whole(values.len() as i128),
        AggregateFunction::Min => values.iter().min_by(compare).cloned().unwrap_or(Datum::Null),
        AggregateFunction::Max => values.iter().max_by(compare).cloned().unwrap_or(Datum::Null),
        AggregateFunction::Any => {
            let text = |value: &&Datum| value.exact_text();
            values.iter().min_by_key(text).cloned().unwrap_or(Datum::Null)
        }
        AggregateFunction::Sum => total(&values),
        AggregateFunction::Average => match (total(&values), &aggregate.column.column_type) {
            (Datum::Number(sum, places), ColumnType::Decimal { scale, .. }) => {
                let scale = scale - 4;
                let sum = sum.checked_mul(unit(scale - places)).expect("room");
                let count = i256::from_i128(values.len() as i128);
                let sum = sum.checked_mul(unit(4)).expect("room");
                // Away from zero, where it is in the middle.
                let half = match (scale + 4) % 9 {
                    // The server computes nine places at a time, and has none more by which to round.
                    0 => i256::ZERO,
                    _ if sum < i256::ZERO => count.wrapping_neg(),
                    _ => count,
                };
                let two = i256::from_i128(2);
                let doubled = sum.checked_mul(two).expect("room").wrapping_add(half);
                Datum::Number(doubled.wrapping_div(count.wrapping_mul(two)), scale + 4)
            }
            (other, _) => other,
        },
    }
}

fn total(values: &[Datum]) -> Datum {
    let mut total = Datum::Null;
    for value in values {
        total = match (total, value) {
            (Datum::Null, value) => value.clone(),
            (Datum::Number(a, places), Datum::Number(b, other)) => {
                let scale = places.max(*other);
                let scaled = |value: i256, places| value.checked_mul(unit(scale - places)).expect("room");
                Datum::Number(scaled(a, places).checked_add(scaled(*b, *other)).expect("room"), scale)
            }
            other => panic!("{other:?} are not added up"),
        };
    }
    total
}

fn sorted(mut input: Answer, by: &[RemoteSort]) -> Answer {
    let one = |by: &RemoteSort, a: &Data, b: &Data| {
        let (a, b) = (value(&by.expr, a), value(&by.expr, b));
        let first = if by.nulls_first { Ordering::Less } else { Ordering::Greater };
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => first,
            (false, true) => first.reverse(),
            (false, false) => {
                let order = order(&a, &b).expect("no NULLs");
                if by.descending { order.reverse() } else { order }
            }
        }
    };
    let compare = |a: &Data, b: &Data| {
        by.iter().map(|by| one(by, a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    input.rows.sort_by(compare);
    // Equal texts may come in any order.
    let told_apart = input
        .rows
        .windows(2)
        .all(|pair| compare(&pair[0], &pair[1]).is_ne() || keys(&pair[0]) == keys(&pair[1]));
    Answer { ordered: told_apart, ..input }
}

fn limited(mut input: Answer, skip: u64, fetch: Option<u64>) -> Result<Answer, Open> {
    let (all, skip) = (input.rows.len(), skip as usize);
    let fetch = fetch.map_or(usize::MAX, |fetch| fetch as usize);
    if !input.ordered && (skip > 0 || fetch < all) {
        return Err(Open);
    }
    input.rows = input.rows.into_iter().skip(skip).take(fetch).collect();
    for (place, loose) in input.loose.iter_mut().enumerate() {
        let of_equals = |row: &Data| match &row[place] {
            Datum::Text(_, collation) => collation.name != "utf8mb4_nopad_bin",
            _ => false,
        };
        *loose |= input.rows.iter().any(of_equals);
    }
    Ok(input)
}
