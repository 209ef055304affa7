//! How many rows the answer to a question has, for the planner.
//!
//! EXPLAIN knows what an index tells. Of a condition without one it says nothing, so that a filter that leaves a thousandth
//! looks like none: such conditions are tried on some rows of the table, from several places of its key, and on more of them
//! where few pass. What is found is kept a while, as are the numbers of different values that the server has of its indexes.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crossweave_contract::{
    AggregateFunction, ColumnType, Examined, Expectation, Relation, RemoteAggregate, RemoteColumn,
    RemoteOutput, RemoteQuery, Result, TableDef, TableId, TableKind,
};
use mysql_async::{Row, Value};
use tokio::sync::oneshot;

use super::admission::{has_ordered_index, rows_of};
use super::explained::{Explained, with_values};
use super::spread::{boundaries, parts_between};
use crate::connection::{Session, describe, heard, server_code};
use crate::identifiers::TableRef;
use crate::scan::{self, Part, Statement};

/// Of fewer rows than this no more is to be known: all their keys may be asked for.
const WORTH_LOOKING: f64 = 2_000.0;

/// From how many places of the key rows are looked at.
const PLACES: usize = 8;

/// Rows from each of them.
const ROWS_EACH: u64 = 128;

/// Where fewer pass, how many it were is chance: more rows are looked at.
const PASSING_SURELY: u64 = 12;

/// So many rows from each place then.
const MORE_EACH: u64 = 1_024;

/// Seconds that looking may take.
const LOOKING: u64 = 2;

/// The server's `max_statement_time exceeded`.
const TOO_LONG: u16 = 1969;

/// A condition with more values than this is not tried: it is asked for each place, and twice.
const MOST_TRIED: usize = 1_000;

/// Of groups a condition is supposed to leave one in so many.
const GROUPS_PER_PASSING: f64 = 3.0;

/// A question for an expectation.
pub(super) struct Expecting {
    pub(super) query: RemoteQuery,
    pub(super) statement: Statement,
    /// That errors name.
    pub(super) table: TableId,
    pub(super) reply: oneshot::Sender<Result<Option<Expectation>>>,
}

/// What the server expects of the answer to `query`, which is asked as `statement`; `None` where it does not tell.
pub(super) async fn expectation(
    session: &mut Session,
    explained: &mut Explained,
    query: &RemoteQuery,
    statement: &Statement,
) -> Result<Option<Expectation>> {
    Ok(expected_of(session, explained, query, statement).await?.map(|(expected, _)| expected))
}

/// Which part of its table's rows the conditions of `query`, which is of one table, leave; `None` where nobody can tell.
pub(super) async fn part_of_table(
    session: &mut Session,
    explained: &mut Explained,
    query: &RemoteQuery,
) -> Result<Option<f64>> {
    let Some(table) = scan::only_table(&query.relation) else { return Ok(None) };
    let Some(all) = rows_of(session, &[TableRef::of(table)]).await?.filter(|all| *all > 0) else {
        return Ok(None);
    };
    let found = expected_of(session, explained, query, &scan::statement(query)?).await?;
    Ok(found.filter(|(_, whole)| *whole).map(|(expected, _)| (expected.rows as f64 / all as f64).min(1.0)))
}

/// What is expected of `query`, and whether no look at its rows took too long.
async fn expected_of(
    session: &mut Session,
    explained: &mut Explained,
    query: &RemoteQuery,
    statement: &Statement,
) -> Result<Option<(Expectation, bool)>> {
    let Some(estimate) = explained.of(session, statement).await? else { return Ok(None) };
    let mut distinct = Vec::with_capacity(query.columns.len());
    for column in &query.columns {
        distinct.push(values_of(session, column).await?);
    }
    let mut rows = estimate.given(None);
    let mut whole = true;
    if rows > WORTH_LOOKING && !estimate.is_of_single_rows() {
        let mut filters = Vec::new();
        add_filters(&query.relation, &mut filters);
        for filter in filters {
            match overlooked(session, explained, filter).await? {
                Some(part) => rows *= part,
                None => whole = false,
            }
        }
    }
    rows = made_of(session, &query.relation, rows).await?;
    if let Some(limit) = statement.limit.early() {
        rows = rows.min(limit as f64);
    }
    let allowed = session.pool().guard().limits().rows_examined;
    // Both saturate.
    let examined = Some(Examined { rows: estimate.rows(statement.limit.early()).ceil() as u64, allowed });
    Ok(Some((Expectation { rows: rows.ceil() as u64, examined, distinct }, whole)))
}

/// How many different values `column` has in its table, where an index begins with it.
async fn values_of(session: &mut Session, column: &RemoteColumn) -> Result<Option<u64>> {
    let Some((table, index)) = &column.origin else { return Ok(None) };
    let pool = session.pool().clone();
    let of = TableRef::of(table);
    let key = (of.database.to_owned(), of.table.to_owned());
    let known = match pool.known().distinct.get(&key) {
        Some(known) => known,
        None => {
            let sql = "SELECT COLUMN_NAME, MAX(CARDINALITY) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? \
                       AND TABLE_NAME = ? AND SEQ_IN_INDEX = 1 AND CARDINALITY IS NOT NULL AND SUB_PART IS NULL \
                       GROUP BY COLUMN_NAME";
            let found: Vec<(String, u64)> =
                session.rows("looking at a table's indexes", sql, (of.database, of.table)).await?;
            let known: Arc<HashMap<String, u64>> = Arc::new(found.into_iter().collect());
            pool.known().distinct.put(key, Arc::clone(&known));
            known
        }
    };
    Ok(known.get(&table.columns[*index].name).copied())
}

/// Adds the filters in `relation` over one table each.
fn add_filters<'r>(relation: &'r Relation, filters: &mut Vec<&'r Relation>) {
    match relation {
        Relation::Filter { .. } if filtered_table(relation).is_some() => filters.push(relation),
        Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Aggregate { input, .. }
        | Relation::Sort { input, .. }
        | Relation::Limit { input, .. } => add_filters(input, filters),
        Relation::Join { left, right, .. } => {
            add_filters(left, filters);
            add_filters(right, filters);
        }
        Relation::Union { inputs } => inputs.iter().for_each(|input| add_filters(input, filters)),
        Relation::Table { .. } => {}
    }
}

/// The table whose rows `relation` gives, or some of them.
fn filtered_table(relation: &Relation) -> Option<&Arc<TableDef>> {
    match relation {
        Relation::Table { table, .. } => Some(table),
        Relation::Filter { input, .. } => filtered_table(input),
        _ => None,
    }
}

/// By what the server's expectation of `filter`, which is over one table, is to be multiplied: 1 where it has an index for it.
/// `None` where looking at some rows took too long.
async fn overlooked(
    session: &mut Session,
    explained: &mut Explained,
    filter: &Relation,
) -> Result<Option<f64>> {
    let Some(table) = filtered_table(filter).filter(|table| table.kind == TableKind::Base) else {
        return Ok(Some(1.0));
    };
    let statement = scan::statement(&RemoteQuery::new(filter.clone()))?;
    let Some(estimate) = explained.of(session, &statement).await? else { return Ok(Some(1.0)) };
    let expected = estimate.given(None);
    let Some(all) = rows_of(session, &[TableRef::of(table)]).await? else { return Ok(Some(1.0)) };
    let is_narrow = estimate.is_of_single_rows() || expected <= all as f64 / 100.0;
    if is_narrow || statement.params.len() > MOST_TRIED {
        return Ok(Some(1.0));
    }
    let pool = session.pool().clone();
    let mut hasher = DefaultHasher::new();
    with_values(&statement).hash(&mut hasher);
    let key = hasher.finish();
    let part = match pool.known().passing.get(&key) {
        Some(part) => part,
        None => {
            let part = passing(session, table, filter).await?;
            pool.known().passing.put(key, part);
            part
        }
    };
    Ok(part.map(|part| (all as f64 * part / expected).min(1.0)))
}

/// Which part of the rows of `table` `filter` lets pass, as far as some of them tell; `None` where they take too long.
async fn passing(session: &mut Session, table: &TableDef, filter: &Relation) -> Result<Option<f64>> {
    let parts = match table.key.first() {
        Some(&column)
            if has_ordered_index(session, TableRef::of(table), &table.columns[column].name).await? =>
        {
            parts_between(column, boundaries(session, table, column, PLACES).await?)
        }
        _ => Vec::new(),
    };
    let mut seen = looked_at(session, filter, &parts, ROWS_EACH).await?;
    if seen.is_some_and(|(some, all)| some < PASSING_SURELY && all >= ROWS_EACH * PLACES as u64 / 2) {
        seen = looked_at(session, filter, &parts, MORE_EACH).await?;
    }
    // That none passes does not say that none would.
    Ok(seen.map(|(some, all)| (some as f64).max(0.5) / (all as f64).max(1.0)))
}

/// How many rows pass of the first `each` of each of `parts`, and how many these are; `None` where that takes too long to be
/// worth it.
async fn looked_at(
    session: &mut Session,
    filter: &Relation,
    parts: &[Part],
    each: u64,
) -> Result<Option<(u64, u64)>> {
    let each = if parts.is_empty() { each * PLACES as u64 } else { each };
    // The server writes the first rows down before it looks at them: as little of each as may be.
    let filter = narrowed(filter);
    let of_some = RemoteQuery::new(counted(of_first(&filter, each), Vec::new()));
    let of_all = RemoteQuery::new(counted(of_first(table_of(&filter), each), Vec::new()));
    let mut sums: Vec<String> = Vec::new();
    let mut params: Vec<Value> = Vec::new();
    for query in [&of_some, &of_all] {
        let statements = match parts.is_empty() {
            true => vec![scan::statement(query)?],
            false => parts.iter().map(|part| scan::statement_of_part(query, part)).collect::<Result<_>>()?,
        };
        let counts: Vec<String> = statements.iter().map(|statement| format!("({})", statement.sql)).collect();
        sums.push(counts.join(" + "));
        params.extend(statements.into_iter().flat_map(|statement| statement.params));
    }
    let sql = format!("SET STATEMENT max_statement_time = {LOOKING} FOR SELECT {}", sums.join(", "));
    match heard(session.exec::<Row>(&sql, params)).await {
        Ok(rows) => {
            let found = rows.into_iter().next().map(mysql_async::from_row::<(u64, u64)>);
            Ok(Some(found.unwrap_or_default()))
        }
        Err(error) if server_code(&error) == Some(TOO_LONG) => Ok(None),
        Err(error) => Err(describe(session.pool().endpoint(), "looking at some rows", error)),
    }
}

/// `filter` over the columns alone that it is about.
fn narrowed(filter: &Relation) -> Relation {
    fn places_of(filter: &Relation, places: &mut Vec<usize>) {
        if let Relation::Filter { input, condition } = filter {
            places.extend(condition.places());
            places_of(input, places);
        }
    }
    fn over(filter: &Relation, places: &[usize]) -> Relation {
        match filter {
            Relation::Filter { input, condition } => {
                let mut condition = condition.clone();
                condition.renumber(&|place| places.binary_search(&place).unwrap_or_default());
                Relation::Filter { input: Box::new(over(input, places)), condition }
            }
            Relation::Table { table, columns } => {
                let columns = places.iter().map(|&place| columns[place]).collect();
                Relation::Table { table: Arc::clone(table), columns }
            }
            other => other.clone(),
        }
    }
    let mut places = Vec::new();
    places_of(filter, &mut places);
    places.sort_unstable();
    places.dedup();
    match (table_of(filter), places.is_empty()) {
        (Relation::Table { .. }, false) => over(filter, &places),
        _ => filter.clone(),
    }
}

fn table_of(filter: &Relation) -> &Relation {
    match filter {
        Relation::Filter { input, .. } => table_of(input),
        table => table,
    }
}

/// `filter` over the first `rows` rows of its table.
fn of_first(filter: &Relation, rows: u64) -> Relation {
    match filter {
        Relation::Filter { input, condition } => {
            Relation::Filter { input: Box::new(of_first(input, rows)), condition: condition.clone() }
        }
        table => Relation::Limit { input: Box::new(table.clone()), skip: 0, fetch: Some(rows) },
    }
}

/// How many rows `input` has for each of `groups`; of all together, if there are none.
pub(super) fn counted(input: Relation, groups: Vec<RemoteOutput>) -> Relation {
    let number = RemoteAggregate {
        function: AggregateFunction::Count,
        argument: None,
        distinct: false,
        filter: None,
        column: RemoteColumn::computed(ColumnType::BigInt { unsigned: false }, false),
    };
    Relation::Aggregate { input: Box::new(input), groups, aggregates: vec![number] }
}

/// How many rows `relation` makes of the `rows` that it reads.
async fn made_of(session: &mut Session, relation: &Relation, rows: f64) -> Result<f64> {
    let mut passing = 1.0;
    let mut at = relation;
    loop {
        at = match at {
            Relation::Filter { input, .. } => {
                passing /= GROUPS_PER_PASSING;
                input
            }
            Relation::Project { input, .. } | Relation::Sort { input, .. } | Relation::Limit { input, .. } => {
                input
            }
            Relation::Aggregate { groups, .. } => {
                let mut most = 1.0;
                for group in groups {
                    most *=
                        values_of(session, &group.column).await?.map_or(f64::INFINITY, |values| values as f64);
                }
                return Ok((rows.min(most) * passing).max(1.0));
            }
            _ => return Ok(rows),
        };
    }
}
