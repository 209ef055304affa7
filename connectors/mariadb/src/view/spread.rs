//! Reading the rows of one large table over several connections.
//!
//! Why do they show one instant? A connection joins a view only if its snapshot is at the view's position. On a server
//! that is written to none is, soon after the view was opened. So as long as nothing was read, the view may move: several
//! snapshots are begun at once, and those that came between the same two commits become the view. Where that fails too,
//! one connection reads all. The position is where the binlog stands: of a server that applies what another one has
//! logged without logging it again, or of a Galera cluster, nothing tells whether two snapshots are the same, and of a
//! commit that was kept out of the binlog (`sql_log_bin = 0`, `binlog_ignore_db`) neither.
//!
//! Why does each row come once? The parts are the ranges between values of the key, in the server's own order: it
//! compares, and it has put the values in order. Any values would do; these are about evenly far from each other.

use std::sync::{Arc, Weak};

use crossweave_contract::{ColumnType, Consistency, LiveOnlyReason, RemoteQuery, Result, TableDef, TableKind};
use futures::future::join_all;
use mysql_async::{Row, Value};
use tokio::sync::oneshot;

use super::admission::{has_ordered_index, rows_of};
use super::lanes::Lanes;
use super::open::{Place, end, make_ready, place, start};
use super::task::{Shared, Task};
use crate::connection::{Pool, Session};
use crate::identifiers::{TableRef, quote};
use crate::replicas::places_tell_snapshots;
use crate::scan::{Part, Statement, only_table};

/// Of fewer rows one connection is done as soon.
const LARGE: u64 = 100_000;

/// Parts for each connection, so that none is left with the largest alone.
const PARTS_EACH: usize = 4;

/// How often snapshots are begun side by side until some are at the same place.
const ATTEMPTS: usize = 5;

/// 0001-01-01 in the seconds of MariaDB's `TO_SECONDS`.
const FIRST_SECOND: i128 = 31_622_400;

/// What the connection that a view was opened on needs in order to have others join.
pub(super) struct Spread {
    lanes: Weak<Lanes>,
    /// Connections were asked to join ahead of reading: once is enough.
    tried_ahead: bool,
    /// Whether places in the binlog tell snapshots of the server apart, once that was asked.
    places_tell: Option<bool>,
}

/// A question in which parts a statement is best read.
pub(super) struct Spreading {
    /// The only table that it reads.
    pub(super) table: Arc<TableDef>,
    /// The column of it by which it can be split.
    pub(super) column: usize,
    pub(super) statement: Statement,
    /// Nothing is to be read yet: connections join, and the view may move for that.
    pub(super) ahead: bool,
    /// None: all in one.
    pub(super) reply: oneshot::Sender<Result<Vec<Part>>>,
}

/// The table and the column of it by which `query` can be read in parts.
pub(super) fn split_of(query: &RemoteQuery) -> Option<(&Arc<TableDef>, usize)> {
    let table = only_table(&query.relation)?;
    let column = *table.key.first()?;
    // Without snapshots, one statement is the only thing that sees one instant.
    let snapshots = !table.live_only.iter().any(|reason| matches!(reason, LiveOnlyReason::Engine(_)));
    let splits = table.kind == TableKind::Base && Order::of(&table.columns[column].column_type).is_some();
    (snapshots && splits).then_some((table, column))
}

impl Spread {
    pub(super) fn new(lanes: Weak<Lanes>) -> Self {
        Self { lanes, tried_ahead: false, places_tell: None }
    }
}

impl Task {
    /// Whether `asked` is best read in parts: how many rows the table has then. Asks on the view's own connection.
    pub(super) async fn splits(&mut self, asked: &Spreading) -> Result<Option<u64>> {
        let pool = self.session.pool().clone();
        let limits = pool.guard().limits();
        if self.spread.is_none() || self.shared.bounds.is_load() || most_lanes(&pool) < 2 {
            return Ok(None);
        }
        let known = pool.known();
        if known.is_of_single_rows(&asked.statement) {
            return Ok(None);
        }
        let table = TableRef::of(&asked.table);
        let Some(rows) = rows_of(&mut self.session, &[table]).await?.filter(|rows| *rows >= LARGE) else {
            return Ok(None);
        };
        let Some(estimate) = self.explained.of(&mut self.session, &asked.statement).await? else {
            return Ok(None);
        };
        if estimate.is_of_single_rows() {
            known.note_single_rows(&asked.statement);
            return Ok(None);
        }
        // What is too much in one statement is too much in several.
        let may = estimate.rows(None) <= limits.rows_examined as f64;
        // InnoDB takes no range for more than half of its table.
        if !may || !estimate.is_of_one_table_in_order() || estimate.given(None) < LARGE as f64 / 2.0 {
            return Ok(None);
        }
        let ordered =
            has_ordered_index(&mut self.session, table, &asked.table.columns[asked.column].name).await?;
        Ok(Some(rows).filter(|_| ordered))
    }

    /// The parts in which a table of `rows` rows is read over the connections that have joined.
    pub(super) async fn parts_of(&mut self, asked: &Spreading, rows: u64) -> Result<Vec<Part>> {
        let lanes =
            self.spread.as_ref().and_then(|spread| spread.lanes.upgrade()).map_or(0, |lanes| lanes.len());
        if asked.ahead || lanes < 2 {
            return Ok(Vec::new());
        }
        let parts = (lanes * PARTS_EACH).min(usize::try_from(4 * rows / LARGE).unwrap_or(usize::MAX));
        Ok(parts_between(asked.column, boundaries(&mut self.session, &asked.table, asked.column, parts).await?))
    }

    /// Has connections join until there are as many as may, as far as that can be had at once. What goes wrong with them
    /// leaves the view as it was.
    pub(super) async fn widen(&mut self, ahead: bool) {
        let Some(spread) = &mut self.spread else { return };
        let Some(lanes) = spread.lanes.upgrade() else { return };
        let (have, wanted) = (lanes.len(), most_lanes(self.session.pool()));
        if have >= wanted || (ahead && std::mem::replace(&mut spread.tried_ahead, true)) {
            return;
        }
        let may_move = ahead && have == 1 && self.snapshot.is_unread();
        let sessions = ready(self.session.pool(), &self.shared, wanted - have).await;
        let joining = match self.snapshot.consistency() {
            Consistency::Statement => started(sessions).await.into_iter().map(|(session, _)| session).collect(),
            Consistency::Snapshot => {
                self.at_one_place(&lanes, sessions, may_move).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "no connection could join a view");
                    Vec::new()
                })
            }
        };
        for session in joining {
            let (lane, requests) = lanes.lane();
            let shared = Shared { waiting: lane.waiting(), ..self.shared.clone() };
            let task = Task::new(session, self.snapshot.again(), requests, shared, None);
            lanes.add(lane);
            task.start();
        }
    }

    /// Whether it can be told which connections may join.
    pub(super) async fn places_tell(&mut self) -> Result<bool> {
        let Some(spread) = &mut self.spread else { return Ok(false) };
        if self.snapshot.consistency() == Consistency::Statement {
            return Ok(true);
        }
        if !self.snapshot.has_place() {
            return Ok(false);
        }
        if let Some(tell) = spread.places_tell {
            return Ok(tell);
        }
        let tell = places_tell_snapshots(&mut self.session).await?;
        spread.places_tell = Some(tell);
        Ok(tell)
    }

    /// Those of `sessions` whose snapshots are the view's; where none is, and the view `may_move`, those that it moved to.
    async fn at_one_place(
        &mut self,
        lanes: &Lanes,
        sessions: Vec<Session>,
        may_move: bool,
    ) -> Result<Vec<Session>> {
        let (same, others): (Vec<_>, Vec<_>) =
            started(sessions).await.into_iter().partition(|(_, place)| self.snapshot.is_at(place));
        let same = self.proven(same).await;
        let mut sessions: Vec<Session> = others.into_iter().map(|(session, _)| session).collect();
        if !same.is_empty() || !may_move {
            give_back(sessions).await;
            return Ok(same);
        }
        // In the place of the view's own.
        sessions.extend(ready(self.session.pool(), &self.shared, 1).await);
        for _ in 1..ATTEMPTS {
            let started = started(sessions).await;
            if let Some(most) = most_at_one(&started) {
                let (group, others): (Vec<_>, Vec<_>) =
                    started.into_iter().partition(|(_, place)| place.as_ref() == Some(&most));
                give_back(others.into_iter().map(|(session, _)| session)).await;
                return self.moved(lanes, group).await;
            }
            sessions = started.into_iter().map(|(session, _)| session).collect();
        }
        give_back(sessions).await;
        Ok(Vec::new())
    }

    /// Those of `sessions`, at the view's place in the binlog, that show what it shows.
    async fn proven(&self, sessions: Vec<Started>) -> Vec<Session> {
        let (mut proven, mut position) = (Vec::new(), None);
        for (mut session, at) in sessions {
            // All are at one place: its position is asked for once, for that may take the server a while.
            if let (None, Some(at)) = (&position, at) {
                position = self.snapshot.position_at(&mut session, &at).await.ok();
            }
            let same = position.is_some() && position.as_ref() == self.snapshot.position();
            if same && self.snapshot.is_shown_by(&mut session).await.unwrap_or(false) {
                proven.push(session);
            } else {
                end(&mut session).await;
            }
        }
        proven
    }

    /// Has one of `group` take the place of the view's connection, as nothing was read yet; the others are given back.
    async fn moved(&mut self, lanes: &Lanes, group: Vec<Started>) -> Result<Vec<Session>> {
        let mut group = group.into_iter();
        let Some((mut first, Some(at))) = group.next() else { return Ok(Vec::new()) };
        let position = self.snapshot.position_at(&mut first, &at).await?;
        let mut others = Vec::new();
        if self.snapshot.is_shown_by(&mut first).await? {
            for (mut session, _) in group {
                if self.snapshot.is_shown_by(&mut session).await.unwrap_or(false) {
                    others.push(session);
                }
            }
            std::mem::swap(&mut self.session, &mut first);
            self.snapshot.moved(position.clone(), at);
            lanes.moved(Some(position));
        }
        end(&mut first).await;
        Ok(others)
    }
}

/// On how many connections one view may read.
fn most_lanes(pool: &Pool) -> usize {
    let limits = pool.guard().limits();
    limits.connections_per_query.min(limits.connections / 2)
}

/// A connection with a transaction, and where that is in the binlog.
type Started = (Session, Option<Place>);

/// At most `wanted` connections that nobody waits for, settled for a view.
async fn ready(pool: &Pool, shared: &Shared, wanted: usize) -> Vec<Session> {
    let opened = (0..wanted).map(|_| async {
        let mut session = pool.try_acquire().await.ok().flatten()?;
        make_ready(&mut session, shared.bounds.limit()).await.ok()?;
        Some(session)
    });
    join_all(opened).await.into_iter().flatten().collect()
}

/// Transactions on `sessions`, begun side by side.
async fn started(sessions: Vec<Session>) -> Vec<Started> {
    let begun = sessions.into_iter().map(|mut session| async {
        start(&mut session).await.ok()?;
        Some(session)
    });
    let begun = join_all(begun).await.into_iter().flatten();
    let placed = begun.map(|mut session| async {
        let place = place(&mut session).await.ok()?;
        Some((session, place))
    });
    join_all(placed).await.into_iter().flatten().collect()
}

/// The place at which the most are, two at least.
fn most_at_one(started: &[Started]) -> Option<Place> {
    let count = |wanted: &Place| started.iter().filter(|(_, place)| place.as_ref() == Some(wanted)).count();
    let places = started.iter().filter_map(|(_, place)| place.as_ref());
    places
        .map(|place| (count(place), place))
        .max_by_key(|(count, _)| *count)
        .filter(|(count, _)| *count > 1)
        .map(|(_, place)| place.clone())
}

async fn give_back(sessions: impl IntoIterator<Item = Session>) {
    for mut session in sessions {
        end(&mut session).await;
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
