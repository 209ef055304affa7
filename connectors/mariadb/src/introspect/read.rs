//! The rows of `information_schema` and the texts of `SHOW CREATE TABLE`, as they come.

use std::collections::HashMap;

use crossweave_contract::{ErrorKind, Result};
use mysql_async::prelude::FromValue;
use mysql_async::{FromRowError, Row};

use super::create_table::{CreateTable, parse};
use super::members;
use crate::connection::Session;
use crate::identifiers::TableRef;

/// Which tables to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) database: &'a str,
    /// One of them; all where `None`.
    pub(super) table: Option<&'a str>,
}

/// A table or view as the server describes it.
#[derive(Debug)]
pub(super) struct RawTable {
    pub(super) name: String,
    /// `BASE TABLE`, `SYSTEM VERSIONED`, `VIEW`.
    pub(super) kind: String,
    pub(super) engine: Option<String>,
    pub(super) columns: Vec<RawColumn>,
    pub(super) indexes: Vec<RawIndex>,
    /// What `SHOW CREATE TABLE` says; the reason where it was refused.
    pub(super) create: Result<CreateTable, String>,
    /// Whether the binlog has the generated columns of rows that are updated.
    pub(super) logs_generated: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawColumn {
    pub(super) name: String,
    /// Counted from 1.
    pub(super) ordinal: usize,
    pub(super) data_type: String,
    pub(super) column_type: String,
    pub(super) charset: Option<String>,
    pub(super) collation: Option<String>,
    pub(super) nullable: bool,
    pub(super) length: Option<u64>,
    pub(super) precision: Option<u64>,
    pub(super) scale: Option<u64>,
    pub(super) fsp: Option<u64>,
    pub(super) extra: String,
    pub(super) generation: Option<String>,
    /// The members of an ENUM or SET, or why they are not known, where `column_type` does not tell.
    pub(super) members: Option<Result<Vec<String>, String>>,
}

impl RawColumn {
    /// Whether the server computes it from others.
    pub(super) fn is_generated(&self) -> bool {
        self.generation.is_some() && !self.bounds_a_row()
    }

    /// Whether it says since or until when a row of a system-versioned table is current.
    pub(super) fn bounds_a_row(&self) -> bool {
        matches!(self.generation.as_deref(), Some("ROW START" | "ROW END"))
    }
}

/// An index with unique entries, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawIndex {
    pub(super) name: String,
    pub(super) unique: bool,
    /// `BTREE`, `FULLTEXT`, `SPATIAL`; `HASH` is unique by a hash of its columns, which the server keeps in a
    /// column of its own.
    pub(super) kind: String,
    pub(super) columns: Vec<RawIndexColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawIndexColumn {
    pub(super) name: String,
    /// Whether no more than the beginning of a value counts.
    pub(super) beginning: bool,
    pub(super) nullable: bool,
}

const TABLES: &str = "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')";

const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, \
     CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, \
     NUMERIC_SCALE, DATETIME_PRECISION, EXTRA, GENERATION_EXPRESSION FROM information_schema.COLUMNS \
     WHERE TABLE_SCHEMA = ?";

// In the server's own order of indexes, which is that in which it would choose one for the row's identity.
const INDEXES: &str = "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART, NULLABLE \
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?";

/// Reads the tables and views that `filter` names, in the order of their names.
pub(super) async fn database(session: &mut Session, filter: Filter<'_>) -> Result<Vec<RawTable>> {
    let tables: Vec<(String, String, Option<String>)> = select(session, filter, TABLES).await?;
    let mut columns: HashMap<String, Vec<RawColumn>> = HashMap::new();
    for row in select::<Row>(session, filter, COLUMNS).await? {
        let (table, column) = raw_column(row).map_err(|error| unreadable(session, &error))?;
        columns.entry(table).or_default().push(column);
    }
    let mut indexes = indexes(session, filter).await?;
    let mut found = Vec::with_capacity(tables.len());
    for (name, kind, engine) in tables {
        let create = match kind.as_str() {
            "VIEW" => Ok(CreateTable::default()),
            _ => match show_create(session, filter.database, &name).await? {
                Some(create) => create,
                None => continue,
            },
        };
        let mut columns = columns.remove(&name).unwrap_or_default();
        columns.sort_by_key(|column| column.ordinal);
        let indexes = indexes.remove(&name).unwrap_or_default();
        let mut table = RawTable { name, kind, engine, columns, indexes, create, logs_generated: true };
        members::complete(session, filter.database, &mut table).await?;
        found.push(table);
    }
    if found.iter().flat_map(|table| &table.columns).any(RawColumn::is_generated) {
        let logs = logs_generated(session).await?;
        found.iter_mut().for_each(|table| table.logs_generated = logs);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The indexes of one table of whatever database; none if it is not to be seen.
pub(super) async fn indexes_of(session: &mut Session, database: &str, table: &str) -> Result<Vec<RawIndex>> {
    let mut found = indexes(session, Filter { database, table: Some(table) }).await?;
    Ok(found.remove(table).unwrap_or_default())
}

/// The engine of one table of whatever database; `None` if it is not to be seen.
pub(super) async fn engine_of(session: &mut Session, database: &str, table: &str) -> Result<Option<String>> {
    let filter = Filter { database, table: Some(table) };
    let tables: Vec<(String, String, Option<String>)> = select(session, filter, TABLES).await?;
    Ok(tables.into_iter().find(|(name, ..)| name == table).and_then(|(_, _, engine)| engine))
}

/// 10.11.19 and 11.4.5 log generated columns of rows as they were and as they are, 11.8.9 neither, whatever
/// `binlog_row_image` says. Which of the versions between was the first is not known.
async fn logs_generated(session: &mut Session) -> Result<bool> {
    let versions: Vec<(String,)> = session.rows("reading the version", "SELECT VERSION()", ()).await?;
    let version = versions.into_iter().next().map(|(version,)| version).unwrap_or_default();
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    Ok((numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX)) < (11, 5))
}

async fn indexes(session: &mut Session, filter: Filter<'_>) -> Result<HashMap<String, Vec<RawIndex>>> {
    let mut indexes = HashMap::new();
    for row in select::<IndexRow>(session, filter, INDEXES).await? {
        add_index_column(&mut indexes, row);
    }
    Ok(indexes)
}

async fn select<R>(session: &mut Session, filter: Filter<'_>, sql: &str) -> Result<Vec<R>>
where
    R: mysql_async::prelude::FromRow + Send + 'static,
{
    let doing = format!("reading the tables of {}", filter.database);
    match filter.table {
        Some(table) => {
            session.rows(&doing, &format!("{sql} AND TABLE_NAME = ?"), (filter.database, table)).await
        }
        None => session.rows(&doing, sql, (filter.database,)).await,
    }
}

/// `None` if the table is gone meanwhile; the inner error is why it may not be read.
async fn show_create(
    session: &mut Session,
    database: &str,
    table: &str,
) -> Result<Option<Result<CreateTable, String>>> {
    let statement = format!("SHOW CREATE TABLE {}", TableRef { database, table });
    let doing = format!("reading the definition of {database}.{table}");
    match session.rows::<(String, String)>(&doing, &statement, ()).await {
        Ok(rows) => Ok(rows.into_iter().next().map(|(_, text)| {
            let mut create = parse(&text)?;
            let unnamed = create.foreign_keys.iter_mut().filter(|key| key.referenced_database.is_empty());
            unnamed.for_each(|key| database.clone_into(&mut key.referenced_database));
            Ok(create)
        })),
        Err(error) if error.kind == ErrorKind::DefinitionChanged => Ok(None),
        Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Query) => {
            Ok(Some(Err(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

type IndexRow = (String, String, i64, String, Option<String>, Option<u64>, Option<String>);

fn add_index_column(indexes: &mut HashMap<String, Vec<RawIndex>>, row: IndexRow) {
    let (table, name, non_unique, kind, column, prefix, nullable) = row;
    let of_table = indexes.entry(table).or_default();
    let column = RawIndexColumn {
        name: column.unwrap_or_default(),
        beginning: prefix.is_some(),
        nullable: nullable.as_deref() == Some("YES"),
    };
    match of_table.iter_mut().find(|index| index.name == name) {
        Some(index) => index.columns.push(column),
        None => of_table.push(RawIndex { name, unique: non_unique == 0, kind, columns: vec![column] }),
    }
}

fn raw_column(mut row: Row) -> Result<(String, RawColumn), FromRowError> {
    let table = take(&mut row, 0)?;
    let column = RawColumn {
        name: take(&mut row, 1)?,
        ordinal: take::<u64>(&mut row, 2)? as usize,
        data_type: take::<String>(&mut row, 3)?.to_ascii_lowercase(),
        column_type: take(&mut row, 4)?,
        charset: take(&mut row, 5)?,
        collation: take(&mut row, 6)?,
        nullable: take::<String>(&mut row, 7)? == "YES",
        length: take(&mut row, 8)?,
        precision: take(&mut row, 9)?,
        scale: take(&mut row, 10)?,
        fsp: take(&mut row, 11)?,
        extra: take(&mut row, 12)?,
        generation: take(&mut row, 13)?,
        members: None,
    };
    Ok((table, column))
}

fn take<T: FromValue>(row: &mut Row, index: usize) -> Result<T, FromRowError> {
    match row.take_opt(index) {
        Some(Ok(value)) => Ok(value),
        _ => Err(FromRowError(row.clone())),
    }
}

fn unreadable(session: &Session, error: &FromRowError) -> crossweave_contract::ConnectorError {
    let endpoint = session.pool().endpoint();
    let message = format!("{endpoint}: information_schema.COLUMNS has a row of unknown form: {:?}", error.0);
    crossweave_contract::ConnectorError::new(ErrorKind::Protocol, message)
}
