//! `pg_catalog` and `information_schema`, which clients read to list schemas, tables and columns.
//!
//! They are made from the catalog once per epoch: clients take an object's number from one query and ask for it in
//! the next, so the numbers have to stay.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, Session, TableProvider,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, TableType, Volatility, create_udf};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables};
use datafusion_pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use parking_lot::Mutex;

use crossweave_contract::TableKind;

use crate::catalog::Catalog;
use crate::policy::Identity;
use crate::query::{DATABASE, QueryError, QueryErrorKind, SERVER_VERSION, SystemSchemas};

const PG_CATALOG: &str = "pg_catalog";
const INFORMATION_SCHEMA: &str = "information_schema";

type PgCatalog = PgCatalogSchemaProvider<Arc<dyn CatalogProviderList>, EmptyContextProvider>;

/// Both schemas.
pub struct PostgresSchemas {
    statics: Arc<PgCatalogStaticTables>,
    functions: Vec<Arc<ScalarUDF>>,
    parser: PostgresCompatibilityParser,
    current: Mutex<Option<Schemas>>,
}

#[derive(Clone)]
struct Schemas {
    epoch: u64,
    pg_catalog: Arc<PgCatalog>,
    information: Arc<InformationSchemaProvider>,
}

impl fmt::Debug for PostgresSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresSchemas")
    }
}

impl PostgresSchemas {
    /// Reads what is the same for every catalog.
    pub fn new() -> Result<Self, QueryError> {
        let failed = |error: &dyn fmt::Display| {
            QueryError::new(QueryErrorKind::Internal, format!("pg_catalog cannot be set up: {error}"))
        };
        let statics = PgCatalogStaticTables::try_new().map_err(|error| failed(&error))?;
        Ok(Self {
            statics: Arc::new(statics),
            functions: functions().map_err(|error| failed(&error))?,
            parser: PostgresCompatibilityParser::new(),
            current: Mutex::new(None),
        })
    }

    fn schemas(&self, catalog: &Arc<Catalog>) -> Result<Schemas> {
        let mut current = self.current.lock();
        if let Some(schemas) = current.as_ref().filter(|schemas| schemas.epoch == catalog.epoch) {
            return Ok(schemas.clone());
        }
        let list = list(catalog)?;
        let pg_catalog =
            Arc::new(PgCatalog::try_new(Arc::clone(&list), Arc::clone(&self.statics), EmptyContextProvider)?);
        let schemas = Schemas {
            epoch: catalog.epoch,
            pg_catalog,
            information: Arc::new(InformationSchemaProvider::new(list)),
        };
        *current = Some(schemas.clone());
        Ok(schemas)
    }
}

impl SystemSchemas for PostgresSchemas {
    fn names(&self) -> &[&'static str] {
        &[PG_CATALOG, INFORMATION_SCHEMA]
    }

    fn schema(&self, name: &str, catalog: &Arc<Catalog>, _: &Identity) -> Option<Arc<dyn SchemaProvider>> {
        let schemas = match self.schemas(catalog) {
            Ok(schemas) => schemas,
            Err(error) => {
                tracing::error!(%error, "pg_catalog cannot be made from the catalog");
                return None;
            }
        };
        match name {
            PG_CATALOG => Some(schemas.pg_catalog),
            INFORMATION_SCHEMA => Some(schemas.information),
            _ => None,
        }
    }

    fn functions(&self, _: &Arc<Catalog>) -> Vec<Arc<ScalarUDF>> {
        self.functions.clone()
    }

    fn type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PgOidTypePlanner))
    }

    /// What psql sends for `\\d` is beyond the planner: the library knows such texts and has others for them.
    fn rewrite(&self, statement: Statement) -> Result<Statement, QueryError> {
        let text = statement.to_string();
        if !text.contains(PG_CATALOG) {
            return Ok(self.parser.rewrite(statement));
        }
        let mut replaced = self.parser.parse(&text).map_err(|error| {
            QueryError::new(QueryErrorKind::Syntax, format!("a query of pg_catalog cannot be read: {error}"))
        })?;
        Ok(replaced.pop().unwrap_or(statement))
    }
}

/// The services and their tables, as a list of catalogs with one entry.
fn list(catalog: &Catalog) -> Result<Arc<dyn CatalogProviderList>> {
    let database = MemoryCatalogProvider::new();
    for service in catalog.services.values() {
        let schema = MemorySchemaProvider::new();
        for (name, table) in &service.tables {
            let listed = Listed { schema: table.def.schema(), view: table.def.kind == TableKind::View };
            schema.register_table(name.to_string(), Arc::new(listed))?;
        }
        database.register_schema(service.name.as_str(), Arc::new(schema))?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(DATABASE.to_owned(), Arc::new(database));
    Ok(Arc::new(list))
}

/// The functions of `pg_catalog`: what its set-up adds to a context that has DataFusion's own.
fn functions() -> Result<Vec<Arc<ScalarUDF>>> {
    let config = SessionConfig::new().with_default_catalog_and_schema(DATABASE, PG_CATALOG);
    let context = SessionContext::new_with_config(config);
    let own = context.state().scalar_functions().clone();
    setup_pg_catalog(&context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    let state = context.state();
    let added = state.scalar_functions().iter().filter(|(name, _)| !own.contains_key(*name));
    let mut functions: Vec<Arc<ScalarUDF>> = added.map(|(_, function)| Arc::clone(function)).collect();
    functions.push(Arc::new(version()));
    Ok(functions)
}

/// Clients read PostgreSQL's version out of this text, and choose by it what they ask.
fn version() -> ScalarUDF {
    let text = format!("PostgreSQL {SERVER_VERSION}");
    let value = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::from(text.as_str())));
    create_udf("version", Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(value))
}

/// A table as it is listed: it is described, never read through here.
#[derive(Debug)]
struct Listed {
    schema: SchemaRef,
    view: bool,
}

#[async_trait]
impl TableProvider for Listed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        if self.view { TableType::View } else { TableType::Base }
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Internal("a listed table is not read".to_owned()))
    }
}
