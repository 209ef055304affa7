//! Statements as plans, for tests without servers.

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;

use super::surface::rewrite_conditions;

/// The plan of `sql` before any rule, over the tables of `context`.
pub(super) async fn read(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let state = context.state();
    let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::PostgreSQL)?;
    if let Statement::Statement(statement) = &mut statement {
        rewrite_conditions(statement);
    }
    state.statement_to_plan(statement).await
}
