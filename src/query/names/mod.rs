//! Finds what the names of a statement mean, and writes them as the planner knows them.
//!
//! MariaDB finds a column whatever its case, and people write tables without their service. So before a statement
//! is planned, each table becomes `"service"."table"` and each column takes the catalog's spelling, within the
//! scopes that SQL gives them: CTEs hide tables, aliases hide table names, subqueries see the columns around
//! them. Aliases themselves are left as they are, unless the planner would take one for a column (`t.x` in a subquery over a
//! table with a column `t`): such relations get other names. What cannot be found is an error that names the nearest.

mod columns;
mod expressions;
mod fields;
mod joins;
mod reads;
mod scope;
mod tables;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use crossweave_contract::{TableDef, TableId};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Statement, TableFactor, Visit, Visitor, visit_relations,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::plan::Sources;
use super::{DATABASE, Place, QueryError, QueryErrorKind, SystemSchemas};
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
    let Statement::Query(query) = statement else { return Ok(BTreeSet::new()) };
    let written = query.clone();
    let mut walk = walk::Walk::new(context, BTreeSet::new());
    walk.query(query, &scope::Ctes::default(), None, None)?;
    if !walk.misleading.is_empty() {
        *query = written;
        walk = walk::Walk::new(context, walk.misleading);
        walk.query(query, &scope::Ctes::default(), None, None)?;
    }
    Ok(walk.tables)
}

/// Where `ident` was written; `None` of one that no client wrote.
fn place(ident: &Ident) -> Option<Place> {
    let Location { line, column } = ident.span.start;
    (line > 0).then_some(Place { line, column })
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

/// Whether `statement` is about the server itself: it names system tables and no other, or no table at all. Only
/// then may it be rewritten for clients of system schemas: such a rewrite takes liberties (it drops COLLATE,
/// and puts NULL for subqueries that the planner does not know) which would be wrong answers about rows.
pub(super) fn is_about_the_server(statement: &Statement, system: &dyn SystemSchemas) -> bool {
    struct Look<'a> {
        system: &'a dyn SystemSchemas,
        queries: usize,
        collates: bool,
        ctes: BTreeSet<String>,
        named: Vec<ObjectName>,
        /// Whether the name that comes next is that of a table function, which reads its arguments alone.
        function: bool,
    }
    impl Visitor for Look<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.queries += 1;
            let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
            self.ctes.extend(ctes.map(|cte| scope::fold(&cte.alias.name)));
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.function = matches!(factor, TableFactor::Table { args: Some(_), .. });
            ControlFlow::Continue(())
        }
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            if !std::mem::take(&mut self.function) {
                self.named.push(name.clone());
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.collates |= matches!(expr, Expr::Collate { .. });
            ControlFlow::Continue(())
        }
    }
    let mut look =
        Look { system, queries: 0, collates: false, ctes: BTreeSet::new(), named: Vec::new(), function: false };
    let _ = Visit::visit(statement, &mut look);
    let Look { ctes, named, .. } = &look;
    let is_cte = |name: &ObjectName| match name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|ident| ctes.contains(&scope::fold(ident))),
        _ => false,
    };
    let mut tables = named.iter().filter(|name| !is_cte(name)).peekable();
    if tables.peek().is_none() {
        return look.queries == 1 && !look.collates;
    }
    tables.all(|name| match name.0.len() {
        // Without a schema, PostgreSQL looks into pg_catalog first; its tables begin with pg_.
        1 => name.to_string().to_lowercase().trim_matches('"').starts_with("pg_"),
        _ => system_name(name, look.system).is_some(),
    })
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
