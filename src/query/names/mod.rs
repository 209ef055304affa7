//! Finds what the names of a statement mean, and writes them as the planner knows them.
//!
//! MariaDB finds a column whatever its case, and people write tables without their service. So before a statement
//! is planned, each table becomes `"service"."table"` and each column takes the catalog's spelling, within the
//! scopes that SQL gives them: CTEs hide tables, aliases hide table names, subqueries see the columns around
//! them. Aliases themselves are left as they are. What cannot be found is an error that names the nearest.

mod columns;
mod scope;
mod tables;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use crossweave_contract::{TableDef, TableId};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement, visit_relations};

use super::plan::Sources;
use super::{DATABASE, QueryError, QueryErrorKind, SystemSchemas};
use crate::catalog::Catalog;
use crate::policy::Identity;

pub(super) use tables::service_table;

/// What names are looked up in.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    /// The schemas of `search_path`.
    pub(super) path: &'a [String],
    pub(super) system: &'a SystemTables,
    pub(super) definitions: &'a dyn Definitions,
}

/// Which definition of a table a plan is made with.
pub(super) trait Definitions: Send + Sync {
    /// The definition of `table`, which is in `catalog`.
    fn definition(&self, catalog: &Catalog, table: &TableId) -> Result<Arc<TableDef>, QueryError>;
}

/// The definition that the catalog has.
pub(super) fn catalog_definition(catalog: &Catalog, table: &TableId) -> Result<Arc<TableDef>, QueryError> {
    match catalog.table(table) {
        Some(found) => Ok(Arc::clone(&found.def)),
        None => Err(QueryError::new(QueryErrorKind::Name, format!("table {table} is not there"))),
    }
}

/// Writes the names of `statement` as the planner knows them; gives the services' tables that it reads.
pub(super) fn resolve(
    statement: &mut Statement,
    context: &Context<'_>,
) -> Result<BTreeSet<TableId>, QueryError> {
    let mut walk = walk::Walk::new(context);
    if let Statement::Query(query) = statement {
        walk.query(query, &scope::Ctes::default(), None)?;
    }
    Ok(walk.tables)
}

/// Tables of system schemas that a statement may read, by schema and table in lower case.
#[derive(Debug, Default)]
pub(super) struct SystemTables {
    /// The schemas' names; tables of the first are found without it.
    pub(super) schemas: Vec<&'static str>,
    tables: HashMap<(String, String), Arc<dyn TableProvider>>,
}

impl SystemTables {
    pub(super) fn get(&self, schema: &str, table: &str) -> Option<&Arc<dyn TableProvider>> {
        self.tables.get(&(schema.to_owned(), table.to_owned()))
    }

    pub(super) fn into_sources(self) -> Sources {
        self.tables.into_iter().map(|(name, provider)| (name, provider_as_source(provider))).collect()
    }
}

/// Fetches the system tables that `statement` names, or may name without a schema.
pub(super) async fn system_tables(
    statement: &Statement,
    system: &dyn SystemSchemas,
    catalog: &Arc<Catalog>,
    identity: &Identity,
) -> Result<SystemTables, QueryError> {
    let mut names = BTreeSet::new();
    let _: ControlFlow<()> = visit_relations(statement, |name| {
        names.extend(system_name(name, system));
        ControlFlow::Continue(())
    });
    let mut found = SystemTables { schemas: system.names().to_vec(), tables: HashMap::new() };
    for (schema, table) in names {
        let Some(provider) = system.schema(&schema, catalog, identity) else { continue };
        if let Some(provider) = provider.table(&table).await? {
            found.tables.insert((schema, table), provider);
        }
    }
    Ok(found)
}

fn system_name(name: &ObjectName, system: &dyn SystemSchemas) -> Option<(String, String)> {
    let parts: Vec<String> = name
        .0
        .iter()
        .map(|part| part.as_ident().map(|ident| ident.value.to_lowercase()))
        .collect::<Option<_>>()?;
    let (schema, table) = match parts.as_slice() {
        [table] => ((*system.names().first()?).to_owned(), table),
        [schema, table] => (schema.clone(), table),
        [database, schema, table] if database == DATABASE => (schema.clone(), table),
        _ => return None,
    };
    system.names().contains(&schema.as_str()).then(|| (schema, table.clone()))
}

#[cfg(test)]
mod tests;
