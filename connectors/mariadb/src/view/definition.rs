//! The definition of a table, as a view sees it.
//!
//! Why is it not read anew for each view? All that it is made of is in the text of `SHOW CREATE TABLE`, but for what it
//! takes from other tables: where the text is that of a moment ago, so is the definition. That costs one round trip, where
//! reading it takes six.

use std::sync::Arc;

use crossweave_contract::{BooleanColumns, ConnectorError, ErrorKind, Result, TableDef, TableId};
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

/// Takes the lock on the definition, by reading from the table, and reads the definition under it.
pub(super) async fn define(
    session: &mut Session,
    table: &TableId,
    database: &str,
    booleans: &BooleanColumns,
    knowing: Knowing,
) -> Result<TableDef> {
    let reference = TableRef { database, table: &table.table };
    let doing = format!("reading {table}");
    let touch = format!("SELECT 1 FROM {reference} LIMIT 1");
    let told = session.rows_of_each(&doing, &[&touch, &format!("SHOW CREATE TABLE {reference}")]).await?;
    let mut told = told.into_iter();
    if let Some(Err(error)) = told.next() {
        return Err(describe(session.pool().endpoint(), &doing, error).with_table(table.clone()));
    }
    let text = told.next().and_then(|shown| text_of_table(shown.ok()?.first()?));
    let pool = session.pool().clone();
    let key = (database.to_owned(), table.table.to_string());
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
        ConnectorError::new(ErrorKind::DefinitionChanged, message).with_table(table.clone())
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
