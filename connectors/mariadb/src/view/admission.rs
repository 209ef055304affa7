//! Whether the server's owner allows a statement: how many rows it would have to examine.
//!
//! The server's own EXPLAIN tells, with the same parameters, on the same connection. That costs a round trip, which is
//! saved where it cannot matter: where all rows of the tables together are fewer than the limit, and where the same
//! statement was found a moment ago to look up single rows, whatever its parameters. Where EXPLAIN is not allowed (a
//! view that the account may only read), and where a LIMIT may end the statement early or may not, the server itself
//! counts (`LIMIT ROWS EXAMINED`, without join buffers, for what is compared in one is not counted) and stops; that it did is
//! an error, for its rows are then not all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossweave_contract::{ErrorKind, Result, ServiceName};
use tokio::time::Instant;

use super::definition::Defined;
use super::estimate::Estimate;
use super::explained::Explained;
use crate::connection::{Limit, Session};
use crate::identifiers::TableRef;
use crate::scan::Statement;

/// How long what was found of a table or a statement holds.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Of more tables or statements nothing is kept: what there is goes.
const MOST_KNOWN: usize = 2_000;

/// Statements longer than this are not kept.
pub(super) const LONGEST_KNOWN: usize = 4_096;

/// `LIMIT ROWS EXAMINED` was reached.
const INCOMPLETE: u16 = 1931;

const FIX: &str = "Narrow the query by a column with an index, or make one, or read the tables from the cache \
                   (mode = \"cached\")";

/// What was found of tables and statements a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Rows of tables, as the server estimates them; `None` of views.
    tables: Kept<(String, String), Option<u64>>,
    /// How statements may run, whatever their parameters.
    statements: Kept<String, Admission>,
    /// Whether an index begins with a column, in its order, by database, table and column.
    ordered: Kept<(String, String, String), bool>,
    /// How many rows two statements examine for the first rows of an order, by the statement that would be one and what it
    /// binds, where they are better than that ([`ordered`](super::ordered)).
    pub(super) ordered_by_two: Kept<String, Option<u64>>,
    /// Of tables, how many different values the columns have that an index begins with.
    pub(super) distinct: Kept<(String, String), Arc<HashMap<String, u64>>>,
    /// The definitions of tables.
    pub(super) definitions: Kept<(String, String), Arc<Defined>>,
    /// What the server expects of statements, by them and what they bind; `None` where it does not tell.
    pub(super) explained: Kept<String, Option<Arc<Estimate>>>,
    /// Which part of a table's rows conditions let pass, by the hash of the statement that looked at some, and what it
    /// bound, which may be long: two of one hash would mislead an estimate. `None` where looking took too long.
    pub(super) passing: Kept<u64, Option<f64>>,
}

impl Known {
    /// Whether `statement` was found to look up single rows, whatever its parameters.
    pub(super) fn is_of_single_rows(&self, statement: &Statement) -> bool {
        self.statements.get(&statement.sql) == Some(Admission::Free)
    }

    /// Says that `statement` was found to look up single rows.
    pub(super) fn note_single_rows(&self, statement: &Statement) {
        self.note(statement, Admission::Free);
    }

    fn note(&self, statement: &Statement, admission: Admission) {
        if statement.sql.len() <= LONGEST_KNOWN {
            self.statements.put(statement.sql.clone(), admission);
        }
    }
}

#[derive(Debug)]
pub(super) struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: std::hash::Hash + Eq, V: Clone> Kept<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(at, _)| at.elapsed() < KNOWN_FOR).map(|(_, value)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KNOWN {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), value));
    }
}

/// How a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// As it is.
    Free,
    /// With the server counting.
    Counted,
}

/// How `statement`, which reads `tables` for `service`, may run: an error if the server would have to examine more
/// rows than its owner allows.
pub(super) async fn admit(
    session: &mut Session,
    tables: &[TableRef<'_>],
    service: &ServiceName,
    statement: &Statement,
    explained: &mut Explained,
) -> Result<Admission> {
    let pool = session.pool().clone();
    let most = pool.guard().limits().rows_examined;
    if let Some(known) = pool.known().statements.get(&statement.sql) {
        return Ok(known);
    }
    let all = rows_of(session, tables).await?;
    if all.is_some_and(|rows| rows <= most / 2) {
        return Ok(Admission::Free);
    }
    let keep = |admission| {
        pool.known().note(statement, admission);
        admission
    };
    let limit = statement.limit.early();
    let is_allowed = |estimate: &Estimate| estimate.rows(limit) <= most as f64;
    let Some(mut estimate) = explained.of(session, statement).await? else {
        return Ok(keep(Admission::Counted));
    };
    // An index that was made just now is known to nobody here yet.
    if !is_allowed(&estimate)
        && let Some(anew) = explained.anew(session, statement).await?
    {
        estimate = anew;
    }
    if estimate.is_of_single_rows() {
        return Ok(keep(Admission::Free));
    }
    if is_allowed(&estimate) {
        // Where all that it might read is known and allowed, it need not be counted.
        let is_cut = statement.is_limited() && estimate.is_cut(all);
        let is_bounded = !is_cut && estimate.rows(None) <= most as f64;
        return Ok(if is_bounded { Admission::Free } else { Admission::Counted });
    }
    let found = format!(
        "for one statement the server would examine about {:.0} rows, of the {most} that one may: {}",
        estimate.rows(limit),
        estimate.most_of_it(&statement.sql)
    );
    Err(pool.guard().refuse(Limit::RowsExamined, Some(service), found, FIX))
}

/// The `outcome` of a statement that ran [counted](Admission::Counted): an error if the server stopped it.
pub(super) async fn complete(session: &mut Session, service: &ServiceName, outcome: Result<()>) -> Result<()> {
    // It says so in a warning; a sort that it stops fails as well, as one that takes too long does.
    let may_be_stopped = match &outcome {
        Ok(()) => session.warnings() > 0,
        Err(error) => error.kind == ErrorKind::Limit && error.limit.is_none(),
    };
    if !may_be_stopped {
        return outcome;
    }
    let warnings: Vec<(String, u16, String)> = session.rows("reading warnings", "SHOW WARNINGS", ()).await?;
    if !warnings.iter().any(|(_, code, _)| *code == INCOMPLETE) {
        return outcome;
    }
    let guard = session.pool().guard();
    let most = guard.limits().rows_examined;
    let found =
        format!("the server has examined {most} rows for one statement, all that one may, without an end");
    Err(guard.refuse(Limit::RowsExamined, Some(service), found, FIX))
}

/// All rows of `tables` together, each of one with each of the others; `None` if that is not known.
pub(super) async fn rows_of(session: &mut Session, tables: &[TableRef<'_>]) -> Result<Option<u64>> {
    let pool = session.pool().clone();
    let mut product: u64 = 1;
    for table in tables {
        let key = (table.database.to_owned(), table.table.to_owned());
        let rows = match pool.known().tables.get(&key) {
            Some(rows) => rows,
            None => {
                let sql = "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
                let found: Vec<Option<u64>> =
                    session.rows("reading a table's size", sql, (table.database, table.table)).await?;
                let rows = found.into_iter().next().flatten();
                pool.known().tables.put(key, rows);
                rows
            }
        };
        let Some(rows) = rows else { return Ok(None) };
        product = product.saturating_mul(rows.max(1));
    }
    Ok(Some(product))
}

/// Whether a unique index of `table` begins with the whole of `column`, in its order.
pub(super) async fn has_ordered_index(
    session: &mut Session,
    table: TableRef<'_>,
    column: &str,
) -> Result<bool> {
    let pool = session.pool().clone();
    let key = (table.database.to_owned(), table.table.to_owned(), column.to_owned());
    if let Some(ordered) = pool.known().ordered.get(&key) {
        return Ok(ordered);
    }
    let sql = "SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND \
               COLUMN_NAME = ? AND SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE' AND SUB_PART IS NULL AND \
               NON_UNIQUE = 0 LIMIT 1";
    let names = (table.database, table.table, column);
    let found: Vec<u8> = session.rows("looking at a table's indexes", sql, names).await?;
    pool.known().ordered.put(key, !found.is_empty());
    Ok(!found.is_empty())
}
