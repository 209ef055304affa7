//! Schemas beside the services: `pg_catalog`, `information_schema`.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::Statement;

use super::QueryError;
use crate::catalog::Catalog;
use crate::policy::Identity;

/// The name of the one database that clients see, before the schema in `database.schema.table`.
pub const DATABASE: &str = "crossweave";

/// Schemas that describe the server itself. Their tables are read as they are: they have no route.
pub trait SystemSchemas: Debug + Send + Sync {
    /// The schemas' names. Tables of the first are also found without it.
    fn names(&self) -> &[&'static str];

    /// The schema `name`, as `catalog` and what `identity` may see of it have it.
    fn schema(
        &self,
        name: &str,
        catalog: &Arc<Catalog>,
        identity: &Identity,
    ) -> Option<Arc<dyn SchemaProvider>>;

    /// Functions that go with them: `pg_get_userbyid`, `format_type`, `version`. Built once per catalog.
    fn functions(&self, catalog: &Arc<Catalog>) -> Vec<Arc<ScalarUDF>>;

    /// Plans the types that only such clients use (`regclass`, `oid`).
    fn type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }

    /// `sql` with what can be planned in place of what clients of such schemas are known to send and cannot; `None`
    /// if it has nothing of that. Called on the client's own text, before it is parsed.
    fn replace(&self, _sql: &str) -> Option<String> {
        None
    }

    /// Rewrites what clients of such schemas send and the planner does not know, such as casts to `regclass`,
    /// before names are resolved. Called on statements that name tables of these schemas and no others, or no table
    /// at all: what is rewritten here need not keep the answer about rows.
    fn rewrite(&self, statement: Statement) -> Result<Statement, QueryError> {
        Ok(statement)
    }
}

/// None of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSystemSchemas;

impl SystemSchemas for NoSystemSchemas {
    fn names(&self) -> &[&'static str] {
        &[]
    }

    fn schema(&self, _: &str, _: &Arc<Catalog>, _: &Identity) -> Option<Arc<dyn SchemaProvider>> {
        None
    }

    fn functions(&self, _: &Arc<Catalog>) -> Vec<Arc<ScalarUDF>> {
        Vec::new()
    }
}
