//! The first rows in an order in which NULLs stand elsewhere than the server has them.
//!
//! **Why two statements?** `ORDER BY x DESC` with NULLs first would be `ORDER BY x IS NOT NULL, x DESC` there, for which it sorts all
//! rows that there are. Dates that are none, which are NULL here and stand among the others there, are no better. So the rows
//! without an `x` are one statement, and the others another one, in the order of an index. Of the second no more is asked than
//! the first has left. Whether there is such an index EXPLAIN tells: where both examine far fewer rows than one of all.
//!
//! **How are dates that are none found, without reading all?** Each of them, as 2024-02-30 and 2024-03-00, lies between the last
//! moment of a month and the first one of the next: they are looked for in these ranges, and before and after the years that
//! most dates are of.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use crossweave_contract::{
    BatchStream, ColumnType, Consistency, Relation, RemoteExpr, RemoteQuery, RemoteSort, Result, TableId,
    TableKind,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mysql_async::Value;
use tokio::sync::oneshot;

use super::asking::Doing;
use super::expecting;
use super::explained::shared_text;
use super::snapshot::Snapshot;
use super::task::Task;
use crate::scan::{self, Part, Statement, only_table};

/// More rows are sorted by the server.
const MOST_ROWS: u64 = 1_000;

/// So many rows are sorted as soon as two statements are made; with dates that are none, as soon as these are looked for.
const FEW: u64 = 2_000;
const FEW_DATES: u64 = 50_000;

/// By how much fewer rows than all are to be examined.
const FEWER: u64 = 8;

/// Where conditions leave a smaller part of a table, nobody knows how far it is to the next row that fulfils them.
const SURELY_MET: f64 = 1.0 / 600.0;

/// The first of the years whose months are looked between.
const FIRST_YEAR: u16 = 2000;

/// How the first rows of an order are asked for.
pub(super) struct Ordered {
    /// The rows whose first key is NULL here, in the order of the further ones, and the others: of each
    /// no more than are asked for.
    absent: RemoteQuery,
    present: RemoteQuery,
    /// What all of these are among.
    input: Relation,
    /// The first key's column in its table.
    column: usize,
    /// Where the first key is a date: between what dates those lie that are none.
    gaps: Vec<Part>,
    absent_first: bool,
    /// Rows passed over, and those with the ones that are given.
    skip: u64,
    most: u64,
}

/// What the server is asked to explain.
pub(super) struct Statements {
    whole: Statement,
    present: Statement,
    /// The rows that have no first key at all.
    null: Statement,
    /// All dates that are none.
    gaps: Option<Statement>,
    /// The rows of which the first are asked for, if something is asked of them besides.
    filtered: Option<RemoteQuery>,
    /// How many rows are asked for.
    most: u64,
}

/// Whether a question is best asked so.
pub(super) struct Question {
    pub(super) statements: Statements,
    /// That errors name.
    pub(super) table: TableId,
    pub(super) reply: oneshot::Sender<Result<Option<u64>>>,
}

/// How `query` may be asked for, if it is for the first rows of a table in such an order.
pub(super) fn ordered_of(query: &RemoteQuery) -> Option<Ordered> {
    let Cut { input, by, skip, most } = cut(&query.relation)?;
    let table = only_table(input).filter(|table| table.kind == TableKind::Base && table.has_snapshots())?;
    let (first, further) = by.split_first()?;
    let RemoteExpr::Column(place) = first.expr else { return None };
    let column = input.columns().into_iter().nth(place)?;
    let (_, index) = column.origin.filter(|_| first.nullable && most <= MOST_ROWS)?;
    let stored = &table.columns[index];
    let is_date = stored.column_type.may_hold_zero_date();
    if !is_date && first.nulls_first != first.descending {
        return None;
    }
    let having = |negated| Relation::Filter {
        input: Box::new(input.clone()),
        condition: RemoteExpr::IsNull { expr: Box::new(first.expr.clone()), negated },
    };
    let in_order = |input, by: Vec<RemoteSort>| match by.is_empty() {
        true => input,
        false => Relation::Sort { input: Box::new(input), by },
    };
    let known = RemoteSort { nullable: false, ..first.clone() };
    let present = std::iter::once(known).chain(further.iter().cloned()).collect();
    let within = |relation| RemoteQuery {
        relation: replaced(&query.relation, relation),
        columns: query.columns.clone(),
    };
    Some(Ordered {
        absent: within(in_order(having(false), further.to_vec())),
        present: within(in_order(having(true), present)),
        gaps: if is_date { gaps(index, &stored.column_type) } else { Vec::new() },
        input: input.clone(),
        column: index,
        absent_first: first.nulls_first,
        skip,
        most,
    })
}

/// The first rows of `input` in the order of `by`.
struct Cut<'r> {
    input: &'r Relation,
    by: &'r [RemoteSort],
    skip: u64,
    /// With those passed over.
    most: u64,
}

fn cut(relation: &Relation) -> Option<Cut<'_>> {
    match relation {
        Relation::Project { input, .. } => cut(input),
        Relation::Limit { input, skip, fetch } => match &**input {
            Relation::Sort { input, by } => {
                let most = skip.saturating_add((*fetch)?);
                Some(Cut { input, by, skip: *skip, most })
            }
            // Of the rows that another one has left.
            Relation::Limit { .. } => {
                let within = cut(input)?;
                let skip = within.skip.saturating_add(*skip);
                let most = fetch.map_or(within.most, |fetch| within.most.min(skip.saturating_add(fetch)));
                Some(Cut { skip, most, ..within })
            }
            _ => None,
        },
        _ => None,
    }
}

/// `relation`, with `rows` in the place of what [`cut`] finds.
fn replaced(relation: &Relation, rows: Relation) -> Relation {
    match relation {
        Relation::Project { input, outputs } => {
            Relation::Project { input: Box::new(replaced(input, rows)), outputs: outputs.clone() }
        }
        _ => rows,
    }
}

/// Between what dates of the column at `column` those lie that are none.
fn gaps(column: usize, column_type: &ColumnType) -> Vec<Part> {
    let part = |from, below| Part { column, from, below };
    let day = |year, month, day| Value::Date(year, month, day, 0, 0, 0, 0);
    if matches!(column_type, ColumnType::Timestamp { .. }) {
        // There is but one, which is before all others.
        return vec![part(None, Some(Value::Date(1970, 1, 1, 0, 0, 2, 0)))];
    }
    let last_of = |year: u16, month: u8| {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        Value::Date(year, month, days, 23, 59, 59, 999_999)
    };
    let last_year = this_year().saturating_add(1).max(FIRST_YEAR);
    let mut gaps = vec![part(None, Some(day(FIRST_YEAR, 1, 1)))];
    for year in FIRST_YEAR..=last_year {
        for month in 1..=12 {
            let next = if month < 12 { day(year, month + 1, 1) } else { day(year + 1, 1, 1) };
            gaps.push(part(Some(last_of(year, month)), Some(next)));
        }
    }
    gaps.push(part(Some(day(last_year + 1, 1, 1)), None));
    gaps
}

fn this_year() -> u16 {
    const SECONDS: u64 = 31_556_952;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u16::try_from(1970 + seconds / SECONDS).unwrap_or(FIRST_YEAR)
}

impl Ordered {
    /// What the server is asked to explain; `whole` is the one statement.
    pub(super) fn statements(&self, whole: Statement) -> Result<Statements> {
        let null = scan::statement_among(&self.absent, &[], Some(self.column))?;
        let gaps = match self.gaps.is_empty() {
            true => None,
            false => Some(scan::statement_among(&self.absent, &self.gaps, None)?),
        };
        // With a LIMIT, for else the server prefers to sort.
        let present = scan::statement(&self.present.clone().limited(self.most))?;
        let filtered = is_filtered(&self.input).then(|| RemoteQuery::new(self.input.clone()));
        Ok(Statements { whole, present, null, gaps, filtered, most: self.most })
    }

    /// The rows, of which `ask` gives those of one statement.
    pub(super) fn rows(
        self,
        ask: impl Fn(&RemoteQuery, Statement) -> Result<BatchStream> + Send + 'static,
    ) -> Result<BatchStream> {
        let (skip, most) = (self.skip, self.most);
        let asked = move |is_absent: bool, most: u64| {
            let rows = if is_absent { &self.absent } else { &self.present };
            let query = rows.clone().limited(most);
            let statement = match is_absent && !self.gaps.is_empty() {
                true => scan::statement_among(&query, &self.gaps, Some(self.column))?,
                false => scan::statement(&query)?,
            };
            ask(&query, statement)
        };
        let begins_absent = self.absent_first;
        let first = asked(begins_absent, most)?;
        let state = State { rows: first, left: most, second: Some(!begins_absent), asked };
        let rows = stream::try_unfold(state, State::next);
        let mut passed_over = skip;
        let rows = rows.map_ok(move |batch| {
            let passed = passed_over.min(batch.num_rows() as u64);
            passed_over -= passed;
            // No more than the batch has.
            let passed = passed as usize;
            batch.slice(passed, batch.num_rows() - passed)
        });
        Ok(rows.try_filter(|batch| std::future::ready(batch.num_rows() > 0)).boxed())
    }
}

fn is_filtered(relation: &Relation) -> bool {
    match relation {
        Relation::Filter { .. } => true,
        Relation::Project { input, .. } => is_filtered(input),
        _ => false,
    }
}

/// How many rows two statements examine in the place of `whole`, if they are better, as far as that is known without asking.
pub(super) fn known(snapshot: &Snapshot, whole: &Statement) -> Option<Option<u64>> {
    // What each statement sees at its own time is not one set of rows.
    if snapshot.consistency() == Consistency::Statement {
        return Some(None);
    }
    match shared_text(whole) {
        Some(text) => snapshot.pool().known().ordered_by_two.get(&text),
        None => Some(None),
    }
}

/// Two statements, one after the other.
struct State<A> {
    rows: BatchStream,
    /// Rows that are still to come.
    left: u64,
    /// Which rows are asked for next, if any.
    second: Option<bool>,
    asked: A,
}

impl<A: Fn(bool, u64) -> Result<BatchStream>> State<A> {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.rows.try_next().await? {
                self.left = self.left.saturating_sub(batch.num_rows() as u64);
                return Ok(Some((batch, self)));
            }
            match self.second.take() {
                Some(second) if self.left > 0 => self.rows = (self.asked)(second, self.left)?,
                _ => return Ok(None),
            }
        }
    }
}

impl Task {
    pub(super) async fn ordered(&mut self, question: Question) -> Result<()> {
        let Question { statements, table, mut reply } = question;
        let (asking, doing) = (self.asking(), Doing::of(&self.session));
        let work = self.examined_by_two(&statements);
        let answer = asking.run(work, reply.closed(), || doing.kill()).await;
        let (outcome, view) = match self.settle(answer, &table, Self::silent).await {
            // What takes the place of the connection reads all in one.
            (Err(error), Err(_)) if self.may_be_replaced(&error) => (Ok(None), Ok(())),
            settled => settled,
        };
        let _ = reply.send(outcome);
        view
    }

    /// How many rows two of `statements` examine, where they are better than one.
    pub(super) async fn examined_by_two(&mut self, statements: &Statements) -> Result<Option<u64>> {
        let Statements { whole, present, null, gaps, filtered, most } = statements;
        if let Some(known) = known(&self.snapshot, whole) {
            return Ok(known);
        }
        let (session, explained) = (&mut self.session, &mut self.explained);
        let few = if gaps.is_some() { FEW_DATES } else { FEW };
        let all = explained.estimate(session, whole).await?.map(|estimate| estimate.examined.rows);
        let mut found = None;
        if let Some(all) = all.filter(|all| *all > few) {
            let met = match filtered {
                Some(query) => expecting::part_of_table(session, explained, query).await?,
                None => Some(1.0),
            };
            // They are read in the order of an index until there are enough.
            let enough = met.filter(|met| *met >= SURELY_MET).map(|met| (*most as f64 / met).ceil() as u64);
            let mut both = None;
            if let Some(enough) = enough {
                let in_order = explained.of(session, present).await?.filter(|estimate| estimate.is_gradual());
                both = in_order.map(|estimate| match estimate.is_cut(Some(all)) {
                    true => enough as f64,
                    false => estimate.rows(None).min(enough as f64),
                });
            }
            for statement in [Some(null), gaps.as_ref()].into_iter().flatten() {
                let Some(before) = both else { break };
                let estimate = explained.of(session, statement).await?;
                both = estimate.map(|estimate| before + estimate.rows(enough));
            }
            // Saturates.
            found = both.map(|both| both.ceil() as u64).filter(|both| *both <= all / FEWER);
        }
        if let Some(text) = shared_text(whole) {
            self.snapshot.pool().known().ordered_by_two.put(text, found);
        }
        Ok(found)
    }
}
