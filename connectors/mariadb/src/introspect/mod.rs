//! What a database holds: its tables and views as the contract's definitions.
//!
//! Why may the account have no more than SELECT? `information_schema` shows such an account columns and indexes,
//! but no foreign keys with their actions; those are read out of `SHOW CREATE TABLE`, by a tokenizer that knows
//! quotes and comments ([`create_table`]).
//!
//! Three statements read a database, whatever its size, one more each table, and two more each table of another
//! database from which cascades come.

mod assemble;
mod create_table;
mod members;
mod read;
mod referenced;
mod types;

#[cfg(test)]
mod tests;

use crossweave_contract::{
    BooleanColumns, ConnectorError, ErrorKind, Result, ServiceName, ServiceTables, TableId,
};

use crate::connection::Session;
use crate::identifiers::quote;
use read::Filter;
use referenced::Referenced;

/// The tables and views of `database`, which `service` owns.
pub(crate) async fn tables(
    session: &mut Session,
    service: &ServiceName,
    database: &str,
    booleans: &BooleanColumns,
) -> Result<ServiceTables> {
    let found = read::database(session, Filter { database, table: None }).await?;
    if found.is_empty() {
        // Empty, unknown, or hidden from this account: this statement fails for the latter two.
        let statement = format!("SHOW TABLES FROM {}", quote(database));
        session.run(&format!("reading the tables of {database}"), &statement).await?;
    }
    let referenced = Referenced::read(session, database, &found).await?;
    let mut tables = ServiceTables::default();
    for raw in &found {
        assemble::table(service, database, raw, &referenced, booleans, &mut tables);
    }
    Ok(tables)
}

/// The definition of one table, with what was found wanting in it.
pub(crate) async fn table(
    session: &mut Session,
    id: &TableId,
    database: &str,
    booleans: &BooleanColumns,
) -> Result<ServiceTables> {
    let filter = Filter { database, table: Some(&id.table) };
    let mut found = read::database(session, filter).await?;
    found.retain(|raw| *raw.name == *id.table);
    let referenced = Referenced::read(session, database, &found).await?;
    let mut tables = ServiceTables::default();
    for raw in &found {
        assemble::table(&id.service, database, raw, &referenced, booleans, &mut tables);
    }
    if tables.tables.is_empty() {
        let error = |reason: &str| {
            let message = format!("{id} cannot be read: {reason}");
            ConnectorError::new(ErrorKind::DefinitionChanged, message).with_table(id.clone())
        };
        return Err(match tables.problems.first() {
            Some(problem) => error(&problem.reason),
            None => error("it is not there any more").of_gone_table(),
        });
    }
    Ok(tables)
}

/// Whether a column of this type text is a TINYINT(1), which MariaDB cannot tell from a BOOLEAN.
pub(crate) use types::is_tinyint_1;
