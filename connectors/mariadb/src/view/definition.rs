//! The definition of a table, as a view sees it.
//!
//! Why is it not read anew for each view? All that it is made of is in the text of `SHOW CREATE TABLE`, but for what it
//! takes from other tables: where the text is that of a moment ago, so is the definition. That costs one round trip for all
//! tables, where reading one takes six.

use std::sync::Arc;

use crossweave_contract::{BooleanColumns, ConnectorError, ErrorKind, Result, TableDef, TableWanted};
use mysql_async::Row;

use crate::connection::{Session, describe};
use crate::identifiers::TableRef;
use crate::introspect;

/// How much has to be as it was for a definition not to be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowing {
    /// It is read.
    Nothing,
    /// The table's own text: what its foreign keys take from tables of other databases may be a minute old.
    OfItself,
}

/// A definition, and the text that it was read with.
#[derive(Debug)]
pub(super) struct Defined {
    text: String,
    booleans: BooleanColumns,
    def: TableDef,
}

/// Of so many tables is asked at once.
const AT_ONCE: usize = 16;

/// Rows after which the server stops to look for the first one of a table or view.
const EXAMINED: u64 = 1_000;

/// Takes the locks on the definitions of `tables`, by reading from these, and reads the definitions under them.
pub(super) async fn define(
    session: &mut Session,
    tables: &[TableWanted],
    knowing: Knowing,
) -> Result<Vec<TableDef>> {
    let mut defined = Vec::with_capacity(tables.len());
    for tables in tables.chunks(AT_ONCE) {
        let statements: Vec<String> = tables.iter().flat_map(looked_at).collect();
        let doing = tables.first().map(doing).unwrap_or_default();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let mut told = session.rows_of_each(&doing, &statements).await?.into_iter();
        for wanted in tables {
            if let Some(Err(error)) = told.next() {
                let error = describe(session.pool().endpoint(), &self::doing(wanted), error);
                return Err(error.with_table(wanted.table.clone()));
            }
            let text = told.next().and_then(|shown| text_of_table(shown.ok()?.first()?));
            let found = defined_as(session, wanted, text, knowing).await;
            defined.push(found.map_err(|error| match error.table {
                None => error.with_table(wanted.table.clone()),
                Some(_) => error,
            })?);
        }
    }
    Ok(defined)
}

fn doing(wanted: &TableWanted) -> String {
    format!("reading {}", wanted.table)
}

fn looked_at(wanted: &TableWanted) -> [String; 2] {
    let reference = TableRef { database: &wanted.database, table: &wanted.table.table };
    // A view may have to be made whole for its first row, which nobody has admitted yet.
    let first = format!("SELECT 1 FROM {reference} LIMIT 1 ROWS EXAMINED {EXAMINED}");
    [first, format!("SHOW CREATE TABLE {reference}")]
}

/// The definition of a table that is locked, and whose text is `text`.
async fn defined_as(
    session: &mut Session,
    wanted: &TableWanted,
    text: Option<String>,
    knowing: Knowing,
) -> Result<TableDef> {
    let TableWanted { table, database, booleans } = wanted;
    let pool = session.pool().clone();
    let key = (database.clone(), table.table.to_string());
    if let (Some(text), Knowing::OfItself) = (&text, knowing)
        && let Some(known) = pool.known().definitions.get(&key)
        && known.text == *text
        && known.booleans == *booleans
        && known.def.id == *table
    {
        return Ok(known.def.clone());
    }
    let found = introspect::table(session, table, database, booleans).await?;
    let def = found.tables.into_iter().next().ok_or_else(|| {
        let message = format!("{table} is not there any more");
        ConnectorError::new(ErrorKind::DefinitionChanged, message).of_gone_table().with_table(table.clone())
    })?;
    if let Some(text) = text {
        let defined = Defined { text, booleans: booleans.clone(), def: def.clone() };
        pool.known().definitions.put(key, Arc::new(defined));
    }
    Ok(def)
}

/// What `SHOW CREATE TABLE` says of a table; the text of a view does not tell what its columns are.
fn text_of_table(shown: &Row) -> Option<String> {
    let is_table = shown.columns_ref().first()?.name_str() == "Table";
    shown.get_opt(1).filter(|_| is_table)?.ok()
}
