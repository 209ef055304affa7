//! `pg_catalog` and `information_schema`, which clients read to list schemas, tables, columns and keys.
//!
//! What describes the services is made here, from the catalog, a table when it is first asked for; what describes
//! PostgreSQL itself (types, functions, operators) comes from a library, and is the same for every catalog.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `objects` | schemas, tables, keys and foreign keys with their numbers |
//! | `tables`, `keys`, `information` | the tables about them; `batch` makes a table out of rows |
//! | `functions`, `lists` | functions about objects and the server; `function` makes one out of a closure |
//! | `rewrite` | PostgreSQL's SQL as the planner knows it |
//! | `texts` | parts of clients' queries that are beyond that |

mod batch;
mod function;
mod functions;
mod information;
mod keys;
mod lists;
mod objects;
mod rewrite;
mod tables;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_pg_catalog::pg_catalog as library;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use parking_lot::Mutex;

use self::objects::{Numbers, Objects};
use self::texts::Texts;
use crate::catalog::Catalog;
use crate::policy::Identity;
use crate::query::{DATABASE, MAX_STATEMENT, QueryError, SystemSchemas};

const PG_CATALOG: &str = "pg_catalog";
const INFORMATION_SCHEMA: &str = "information_schema";

/// Both schemas.
pub struct PostgresSchemas {
    library: Arc<Library>,
    parser: PostgresCompatibilityParser,
    texts: Texts,
    numbers: Arc<Mutex<Numbers>>,
    /// That of the newest catalog; an older one that is still read is made anew.
    current: Mutex<Option<Arc<Own>>>,
}

impl fmt::Debug for PostgresSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresSchemas")
    }
}

impl Default for PostgresSchemas {
    fn default() -> Self {
        Self::new()
    }
}

impl PostgresSchemas {
    /// The schemas of whatever catalog is asked about.
    pub fn new() -> Self {
        Self {
            library: Arc::default(),
            parser: PostgresCompatibilityParser::new(),
            texts: Texts::new(),
            numbers: Arc::default(),
            current: Mutex::new(None),
        }
    }

    fn own(&self, catalog: &Arc<Catalog>) -> Arc<Own> {
        let mut current = self.current.lock();
        match &*current {
            Some(own) if own.catalog.epoch == catalog.epoch => Arc::clone(own),
            _ => {
                let own = Arc::new(Own {
                    catalog: Arc::clone(catalog),
                    numbers: Arc::clone(&self.numbers),
                    objects: OnceLock::new(),
                    tables: Mutex::default(),
                });
                *current = Some(Arc::clone(&own));
                own
            }
        }
    }
}

impl SystemSchemas for PostgresSchemas {
    fn names(&self) -> &[&'static str] {
        &[PG_CATALOG, INFORMATION_SCHEMA]
    }

    fn schema(&self, name: &str, catalog: &Arc<Catalog>, _: &Identity) -> Option<Arc<dyn SchemaProvider>> {
        let own = self.own(catalog);
        match name {
            PG_CATALOG => Some(Arc::new(PgCatalog { own, library: Arc::clone(&self.library) })),
            INFORMATION_SCHEMA => Some(Arc::new(Information { own })),
            _ => None,
        }
    }

    fn functions(&self, catalog: &Arc<Catalog>) -> Vec<Arc<ScalarUDF>> {
        let mut all: Vec<Arc<ScalarUDF>> = of_library().into_iter().map(Arc::new).collect();
        all.extend(functions::all(&self.own(catalog)));
        all
    }

    fn type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PgOidTypePlanner))
    }

    fn replace(&self, sql: &str) -> Option<String> {
        // Parts of clients' queries are about tables of pg_catalog, or about settings. What is too long to be parsed
        // is not searched either.
        let may_have = sql.len() <= MAX_STATEMENT && (sql.contains("pg_") || sql.contains("current_setting"));
        if may_have { self.texts.replace(sql) } else { None }
    }

    fn rewrite(&self, mut statement: Statement) -> Result<Statement, QueryError> {
        rewrite::rewrite(&mut statement);
        Ok(self.parser.rewrite(statement))
    }
}

/// The functions that the library has right.
fn of_library() -> Vec<ScalarUDF> {
    vec![
        library::create_current_database_udf(DATABASE),
        library::create_current_schema_udf(),
        library::create_current_schemas_udf(),
        library::create_pg_get_statisticsobjdef_columns_udf(),
        library::create_pg_backend_pid_udf(),
        library::create_pg_stat_get_numscans(),
        library::create_pg_get_partition_ancestors_udf(),
        library::quote_ident_udf::create_quote_ident_udf(),
        library::quote_ident_udf::create_parse_ident_udf(),
        library::array_bounds_udf::create_array_upper_udf(),
        library::array_bounds_udf::create_array_lower_udf(),
    ]
}

/// Tables that were made, by schema and name.
type Tables = HashMap<(&'static str, String), Arc<dyn TableProvider>>;

/// What is made from one catalog.
#[derive(Debug)]
struct Own {
    catalog: Arc<Catalog>,
    numbers: Arc<Mutex<Numbers>>,
    objects: OnceLock<Arc<Objects>>,
    /// There are as many as there are names in `build`s.
    tables: Mutex<Tables>,
}

impl Own {
    fn objects(&self) -> &Arc<Objects> {
        self.objects.get_or_init(|| Arc::new(Objects::of(&self.catalog, &mut self.numbers.lock())))
    }

    fn table(&self, schema: &'static str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let key = (schema, name.to_owned());
        if let Some(table) = self.tables.lock().get(&key) {
            return Ok(Some(Arc::clone(table)));
        }
        let objects = self.objects();
        let built = match schema {
            PG_CATALOG => match tables::build(name, objects)? {
                Some(table) => Some(table),
                None => keys::build(name, objects)?,
            },
            _ => information::build(name, objects)?,
        };
        if let Some(table) = &built {
            self.tables.lock().insert(key, Arc::clone(table));
        }
        Ok(built)
    }
}

/// PostgreSQL's own types, functions and the like, read when first asked for.
#[derive(Debug, Default)]
struct Library(OnceLock<Loaded>);

#[derive(Debug, Clone)]
struct Loaded {
    statics: Arc<PgCatalogStaticTables>,
    schema: Arc<PgCatalogSchemaProvider<Arc<dyn CatalogProviderList>, EmptyContextProvider>>,
}

impl Library {
    fn loaded(&self) -> Result<Loaded> {
        if let Some(loaded) = self.0.get() {
            return Ok(loaded.clone());
        }
        let statics = Arc::new(PgCatalogStaticTables::try_new()?);
        let nothing: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
        let schema = PgCatalogSchemaProvider::try_new(nothing, Arc::clone(&statics), EmptyContextProvider)?;
        Ok(self.0.get_or_init(|| Loaded { statics, schema: Arc::new(schema) }).clone())
    }
}

#[derive(Debug)]
struct PgCatalog {
    own: Arc<Own>,
    library: Arc<Library>,
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        library::PG_CATALOG_TABLES.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.own.table(PG_CATALOG, name)? {
            return Ok(Some(table));
        }
        let loaded = self.library.loaded()?;
        match name {
            "pg_get_keywords" => Ok(Some(loaded.statics.pg_get_keywords.try_into_memtable()?)),
            _ => loaded.schema.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        library::PG_CATALOG_TABLES.contains(&name)
    }
}

#[derive(Debug)]
struct Information {
    own: Arc<Own>,
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        information::NAMES.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.own.table(INFORMATION_SCHEMA, name)
    }

    fn table_exist(&self, name: &str) -> bool {
        information::NAMES.contains(&name)
    }
}
