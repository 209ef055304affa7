//! Whether the server's owner allows a statement: how many rows it would have to examine.
//!
//! The server's own EXPLAIN tells, with the same parameters, on the same connection. That costs a round trip, which is
//! saved where it cannot matter: where all rows of the tables together are fewer than the limit, and where the same
//! statement was found a moment ago to look up single rows, whatever its parameters. Where EXPLAIN is not allowed (a
//! view that the account may only read), and where a LIMIT may end the statement early or may not, the server itself
//! counts (`LIMIT ROWS EXAMINED`) and stops; that it did is an error, for its rows are then not all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossweave_contract::{ConnectorError, Result, ServiceName};
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row, Value};
use tokio::time::Instant;

use super::estimate::{Estimate, Step};
use crate::connection::{Limit, Session, describe, server_code};
use crate::identifiers::TableRef;
use crate::scan::Statement;

/// How long what was found of a table or a statement holds.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Of more tables or statements nothing is kept: what there is goes.
const MOST_KNOWN: usize = 2_000;

/// Statements longer than this are not kept.
const LONGEST_KNOWN: usize = 4_096;

/// The statement was ended, or took too long: what it says of itself.
const ENDED: [u16; 2] = [1317, 1969];

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
}

#[derive(Debug)]
struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: std::hash::Hash + Eq, V: Copy> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(at, _)| at.elapsed() < KNOWN_FOR).map(|(_, value)| *value)
    }

    fn put(&self, key: K, value: V) {
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
) -> Result<Admission> {
    let pool = session.pool().clone();
    let most = pool.guard().limits().rows_examined;
    if let Some(known) = pool.known().statements.get(&statement.sql) {
        return Ok(known);
    }
    if rows_of(session, tables).await?.is_some_and(|rows| rows <= most / 2) {
        return Ok(Admission::Free);
    }
    let keep = |admission| {
        if statement.sql.len() <= LONGEST_KNOWN {
            pool.known().statements.put(statement.sql.clone(), admission);
        }
        admission
    };
    let Some(steps) = explain(session, statement).await? else { return Ok(keep(Admission::Counted)) };
    let estimate = Estimate::of(&steps);
    if estimate.is_of_single_rows() {
        return Ok(keep(Admission::Free));
    }
    let limit = statement.limit();
    if estimate.rows(limit) <= most as f64 {
        return Ok(if limit.is_some() { Admission::Counted } else { Admission::Free });
    }
    let found = format!(
        "for one statement the server would examine about {:.0} rows, of the {most} that one may: {}",
        estimate.rows(limit),
        estimate.most_of_it()
    );
    Err(pool.guard().refuse(Limit::RowsExamined, Some(service), found, FIX))
}

/// What the server expects of `statement`; `None` where it does not tell.
pub(super) async fn estimated(
    session: &mut Session,
    statement: &Statement,
) -> Result<Option<crossweave_contract::Estimate>> {
    let Some(steps) = explain(session, statement).await? else { return Ok(None) };
    let (estimate, limit) = (Estimate::of(&steps), statement.limit());
    // Saturates.
    let (examined, rows) = (estimate.rows(limit).ceil() as u64, estimate.given(limit).ceil() as u64);
    Ok(Some(crossweave_contract::Estimate { examined, rows }))
}

/// After a statement that ran [counted](Admission::Counted): an error if the server stopped it.
pub(super) async fn check_complete(session: &mut Session, service: &ServiceName) -> Result<()> {
    if session.get_warnings() == 0 {
        return Ok(());
    }
    let warnings: Vec<(String, u16, String)> = session.rows("reading warnings", "SHOW WARNINGS", ()).await?;
    if !warnings.iter().any(|(_, code, _)| *code == INCOMPLETE) {
        return Ok(());
    }
    let guard = session.pool().guard();
    let most = guard.limits().rows_examined;
    let found =
        format!("the server has examined {most} rows for one statement, all that one may, without an end");
    Err(guard.refuse(Limit::RowsExamined, Some(service), found, FIX))
}

/// All rows of `tables` together, each of one with each of the others; `None` if that is not known.
async fn rows_of(session: &mut Session, tables: &[TableRef<'_>]) -> Result<Option<u64>> {
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

/// What the server would do for `statement`; `None` where it does not tell.
async fn explain(session: &mut Session, statement: &Statement) -> Result<Option<Vec<Step>>> {
    let sql = format!("EXPLAIN EXTENDED {}", statement.sql);
    let params = if statement.params.is_empty() { Params::Empty } else { statement.params.clone().into() };
    match session.exec::<Row, _, _>(sql, params).await {
        Ok(rows) => Ok(Some(rows.iter().map(step).collect())),
        Err(error) if server_code(&error).is_some_and(|code| !ENDED.contains(&code)) => Ok(None),
        Err(error) => Err(of_driver(session, error)),
    }
}

fn of_driver(session: &Session, error: mysql_async::Error) -> ConnectorError {
    describe(session.pool().endpoint(), "estimating a statement", error)
}

fn step(row: &Row) -> Step {
    let text = |name: &str| {
        let place = row.columns_ref().iter().position(|column| column.name_str() == name)?;
        match row.as_ref(place)? {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Int(number) => Some(number.to_string()),
            Value::UInt(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Double(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let number = |name: &str| text(name).and_then(|text| text.parse::<f64>().ok());
    Step {
        select: text("id").unwrap_or_default(),
        select_type: text("select_type").unwrap_or_default(),
        table: text("table").unwrap_or_default(),
        access: text("type").unwrap_or_default(),
        key: text("key"),
        rows: number("rows"),
        filtered: number("filtered").unwrap_or(100.0),
        waits: text("Extra").is_some_and(|extra| extra.contains("filesort") || extra.contains("temporary")),
    }
}

impl Statement {
    /// How many rows at most it gives, where it says that.
    fn limit(&self) -> Option<u64> {
        let place = match self.sql.as_str() {
            sql if sql.ends_with(" LIMIT ?") => 1,
            sql if sql.ends_with(" LIMIT ? OFFSET ?") => 2,
            _ => return None,
        };
        let number = |back: usize| match self.params.get(self.params.len().checked_sub(back)?)? {
            Value::UInt(number) => Some(*number),
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        // What is skipped is examined as well.
        let offset = if place == 2 { number(1)? } else { 0 };
        Some(number(place)?.saturating_add(offset))
    }

    /// The statement, which the server ends once it has examined `most` rows.
    pub(super) fn counted(mut self, most: u64) -> Self {
        let limited = self.sql.ends_with(" LIMIT ?") || self.sql.ends_with(" LIMIT ? OFFSET ?");
        self.sql.push_str(if limited { " ROWS EXAMINED ?" } else { " LIMIT ROWS EXAMINED ?" });
        self.params.push(Value::UInt(most));
        self
    }
}
