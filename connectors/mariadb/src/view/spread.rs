//! Reading the rows of one large table in parts, side by side on the connections of a view
//! ([`joining`](super::joining)).
//!
//! Why does each row come once? The parts are the ranges between values of the key, in the server's own order: it
//! compares, and it has put the values in order. Any values would do; these are about evenly far from each other.

use std::sync::Arc;

use crossweave_contract::{ColumnType, Relation, RemoteExpr, RemoteQuery, Result, TableDef, TableKind};
use mysql_async::{Row, Value};
use tokio_util::sync::CancellationToken;

use super::ahead::{Expected, LARGE};
use super::asking::Doing;
use super::task::Task;
use crate::connection::Session;
use crate::identifiers::{TableRef, quote};
use crate::scan::{Part, Statement, only_table};

/// Parts for each connection, so that none is left with the largest alone.
const PARTS_EACH: usize = 4;

/// 0001-01-01 in the seconds of MariaDB's `TO_SECONDS`.
const FIRST_SECOND: i128 = 31_622_400;

/// How a statement can be read in parts.
pub(super) struct Split {
    /// The only table that it reads.
    pub(super) table: Arc<TableDef>,
    /// The column of it by which it can be split.
    pub(super) column: usize,
}

/// By which table and column of it `query` can be read in parts.
pub(super) fn split_of(query: &RemoteQuery) -> Option<Split> {
    let table = only_table(&query.relation)?;
    let column = *table.key.first()?;
    // Without snapshots, one statement is the only thing that sees one instant.
    let splits = table.has_snapshots() && table.kind == TableKind::Base;
    let has_order = Order::of(&table.columns[column].column_type).is_some();
    (splits && has_order && !looks_up_keys(&query.relation)).then(|| Split { table: Arc::clone(table), column })
}

/// Whether `relation` has only rows of a table with the keys of a list: one each at most.
fn looks_up_keys(relation: &Relation) -> bool {
    match relation {
        Relation::Filter { input, condition: RemoteExpr::In { expr, list, negated: false } } => {
            let column = match **expr {
                RemoteExpr::Column(place) => input.columns().into_iter().nth(place),
                _ => None,
            };
            let origin = column.and_then(|column| column.origin);
            let is_key = origin.is_some_and(|(table, index)| table.key == [index]);
            (is_key && (list.len() as u64) < LARGE) || looks_up_keys(input)
        }
        Relation::Filter { input, .. } | Relation::Project { input, .. } | Relation::Sort { input, .. } => {
            looks_up_keys(input)
        }
        _ => false,
    }
}

impl Task {
    /// The parts in which `statement`, whose reader may be `gone`, is best read; none: all in one. Others that may
    /// join the view for that do so. Beside them, whether the connection is of use after it.
    pub(super) async fn parts(
        &mut self,
        split: &Split,
        statement: &Statement,
        gone: &CancellationToken,
    ) -> (Result<Vec<Part>>, Result<()>) {
        let (table, doing) = (&split.table.id, Doing::of(&self.session));
        let asking = self.asking();
        let answer = asking.run(self.rows_to_split(split, statement), gone.cancelled(), || doing.kill()).await;
        let rows = match self.settle(answer, table, Self::silent).await {
            (Ok(Some(rows)), Ok(())) => rows,
            (outcome, view) => return (outcome.map(|_| Vec::new()), view),
        };
        let missing = self.shared.most_lanes().saturating_sub(self.shared.queue.lanes());
        if missing > 0 {
            let in_the_way = self.shared.watch.in_the_way();
            in_the_way.run_until_cancelled(gone.run_until_cancelled(self.shared.join(missing))).await;
        }
        let lanes = self.shared.queue.lanes();
        if gone.is_cancelled() || lanes < 2 {
            return (Ok(Vec::new()), Ok(()));
        }
        let parts = (lanes * PARTS_EACH).min(usize::try_from(4 * rows / LARGE).unwrap_or(usize::MAX));
        let asking = self.asking();
        let between = boundaries(&mut self.session, &split.table, split.column, parts);
        let answer = asking.run(between, gone.cancelled(), || doing.kill()).await;
        let (between, view) = self.settle(answer, table, Self::silent).await;
        (between.map(|between| parts_between(split.column, between)), view)
    }

    /// The rows of the table, where `statement` is best read in parts and others may join for that.
    async fn rows_to_split(&mut self, split: &Split, statement: &Statement) -> Result<Option<u64>> {
        let table = [TableRef::of(&split.table)];
        let Expected::Parts { rows } = self.expected(&table, Some(split), statement).await? else {
            return Ok(None);
        };
        Ok(self.places_tell().await?.then_some(rows))
    }
}

/// What a key is ordered by, as far as values between others can be made.
#[derive(Debug, Clone, Copy)]
enum Order {
    Number,
    Time,
    Text,
}

impl Order {
    fn of(column_type: &ColumnType) -> Option<Self> {
        match column_type {
            ColumnType::TinyInt { .. }
            | ColumnType::SmallInt { .. }
            | ColumnType::MediumInt { .. }
            | ColumnType::Int { .. }
            | ColumnType::BigInt { .. } => Some(Self::Number),
            ColumnType::Date | ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => Some(Self::Time),
            ColumnType::Text { .. } => Some(Self::Text),
            _ => None,
        }
    }

    /// How the least and greatest value are asked for.
    fn ends(self, column: &str) -> String {
        match self {
            Self::Number | Self::Text => format!("MIN({column}), MAX({column})"),
            Self::Time => format!("TO_SECONDS(MIN({column})), TO_SECONDS(MAX({column}))"),
        }
    }

    fn placeholder(self) -> &'static str {
        match self {
            Self::Number | Self::Text => "?",
            Self::Time => "('0001-01-01' + INTERVAL ? SECOND)",
        }
    }

    /// `parts - 1` values between `low` and `high`, where there are any.
    fn between(self, low: &Value, high: &Value, parts: usize) -> Vec<Value> {
        match self {
            Self::Number => numbers_between(low, high, parts, 0),
            Self::Time => numbers_between(low, high, parts, FIRST_SECOND),
            Self::Text => match (low, high) {
                (Value::Bytes(low), Value::Bytes(high)) => {
                    texts_between(&String::from_utf8_lossy(low), &String::from_utf8_lossy(high), parts)
                        .into_iter()
                        .map(Value::from)
                        .collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

fn numbers_between(low: &Value, high: &Value, parts: usize, origin: i128) -> Vec<Value> {
    let number = |value: &Value| match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        _ => None,
    };
    let (Some(low), Some(high)) = (number(low), number(high)) else { return Vec::new() };
    let step = |part: usize| low + (high - low) * part as i128 / parts as i128 - origin;
    let value = |number: i128| match i64::try_from(number) {
        Ok(number) => Some(Value::Int(number)),
        Err(_) => u64::try_from(number).ok().map(Value::UInt),
    };
    (1..parts).filter_map(|part| value(step(part))).collect()
}

/// Texts of digits and small letters after what `low` and `high` have in common: such are most keys.
fn texts_between(low: &str, high: &str, parts: usize) -> Vec<String> {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const PLACES: usize = 4;
    let common: String =
        low.chars().zip(high.chars()).take_while(|(low, high)| low == high).map(|(low, _)| low).collect();
    let number = |text: &str, none: usize| {
        let mut digits = text[common.len()..].chars();
        (0..PLACES).fold(0, |number, _| {
            let digit = digits.next().map_or(none, |digit| {
                let digit = digit.to_ascii_lowercase();
                DIGITS.iter().take_while(|known| char::from(**known) < digit).count().min(DIGITS.len() - 1)
            });
            number * DIGITS.len() + digit
        })
    };
    let (low, high) = (number(low, 0), number(high, DIGITS.len() - 1));
    let text = |mut number: usize| {
        let mut digits = [0; PLACES];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[number % DIGITS.len()];
            number /= DIGITS.len();
        }
        common.clone() + &String::from_utf8_lossy(&digits)
    };
    (1..parts).map(|part| text(low + high.saturating_sub(low) * part / parts)).collect()
}

/// Values of `column` that are in `table`, in the server's order, which make about `parts` parts of its rows.
pub(super) async fn boundaries(
    session: &mut Session,
    table: &TableDef,
    column: usize,
    parts: usize,
) -> Result<Vec<Value>> {
    let doing = "splitting a table";
    let column = &table.columns[column];
    let (from, name) = (TableRef::of(table), quote(&column.name));
    let Some(order) = Order::of(&column.column_type) else { return Ok(Vec::new()) };
    let ends: Vec<Row> = session.rows(doing, &format!("SELECT {} FROM {from}", order.ends(&name)), ()).await?;
    let Some((Some(low), Some(high))) = ends.first().map(|row| (row.as_ref(0), row.as_ref(1))) else {
        return Ok(Vec::new());
    };
    let between = order.between(low, high, parts);
    if between.is_empty() {
        return Ok(Vec::new());
    }
    let next = format!(
        "(SELECT {name} AS k FROM {from} WHERE {name} >= {} ORDER BY {name} LIMIT 1)",
        order.placeholder()
    );
    let all = vec![next; between.len()].join(" UNION ALL ");
    let sql = format!("SELECT DISTINCT k FROM ({all}) AS bounds ORDER BY k");
    let found: Vec<Row> = session.rows(doing, &sql, between).await?;
    Ok(found.iter().filter_map(|row| row.as_ref(0).cloned()).collect())
}

/// The ranges of the column at `column` before, between and after `boundaries`.
pub(super) fn parts_between(column: usize, boundaries: Vec<Value>) -> Vec<Part> {
    if boundaries.is_empty() {
        return Vec::new();
    }
    let from = std::iter::once(None).chain(boundaries.iter().cloned().map(Some));
    let below = boundaries.iter().cloned().map(Some).chain(std::iter::once(None));
    from.zip(below).map(|(from, below)| Part { column, from, below }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends() {
        let numbers = |low: Value, high: Value| Order::Number.between(&low, &high, 4);
        assert_eq!(numbers(Value::Int(-40), Value::Int(40)), [-20, 0, 20].map(Value::Int));
        let high = u64::MAX;
        let found = numbers(Value::UInt(0), Value::UInt(high));
        assert_eq!(found[2], Value::UInt(high / 4 * 3 + 2));
        assert_eq!(numbers(Value::NULL, Value::NULL), []);
        let texts = |low: &str, high: &str| texts_between(low, high, 4);
        assert_eq!(texts("k-0000", "k-zzzz"), ["k-8zzz", "k-hzzz", "k-qzzz"]);
        assert_eq!(texts("", ""), ["8zzz", "hzzz", "qzzz"]);
        assert_eq!(texts("Ünicode", "öde").len(), 3);
    }

    #[test]
    fn parts_have_all_between_them() {
        let part = |from: Option<i64>, below: Option<i64>| Part {
            column: 2,
            from: from.map(Value::Int),
            below: below.map(Value::Int),
        };
        let parts = parts_between(2, vec![Value::Int(3), Value::Int(7)]);
        assert_eq!(parts, [part(None, Some(3)), part(Some(3), Some(7)), part(Some(7), None)]);
        assert_eq!(parts_between(2, Vec::new()), []);
    }
}
