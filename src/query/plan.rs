//! From a resolved statement to a logical plan over tables without routes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use crossweave_contract::TableId;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{
    DataFusionError, Result as PlanResult, SchemaError, TableReference, not_impl_err, plan_datafusion_err,
    plan_err,
};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement;

use super::QueryError;
use super::labels::{Renamed, alias_numbered, alias_repeats};
use super::types::Types;
use crate::federation::surface::{constant, tell_apart};
use crate::federation::{SettledRelations, check_waited_for};

/// How plans name a table.
pub(super) fn table_reference(table: &TableId) -> TableReference {
    TableReference::partial(table.service.as_str(), &*table.table)
}

/// Schema and name, as resolved statements spell them.
pub(super) type Sources = HashMap<(String, String), Arc<dyn TableSource>>;

/// Plans `statement`, whose tables are all in `sources`. What its columns are called is left to
/// [`Labels`](super::labels::Labels).
pub(super) fn plan(
    state: &SessionState,
    system_types: Option<Arc<dyn TypePlanner>>,
    sources: &Sources,
    mut statement: Statement,
) -> Result<LogicalPlan, QueryError> {
    alias_numbered(&mut statement);
    let types = Arc::new(Types { system: system_types });
    let context = Context { state, types, sources, relations: [Arc::new(SettledRelations)] };
    let options = ParserOptions::from(&state.config_options().sql_parser);
    let planner = SqlToRel::new_with_options(&context, options);
    let plan = match planner.sql_statement_to_plan(statement.clone()) {
        Err(error) if is_about_equal_names(&error) => {
            let mut planned = None;
            for (renamed, apart) in
                [(Renamed::Equal, false), (Renamed::Expressions, false), (Renamed::Expressions, true)]
            {
                let mut statement = statement.clone();
                if planned.is_none()
                    && (alias_repeats(&mut statement, renamed) | (apart && tell_apart(&mut statement)))
                {
                    planned = planner.sql_statement_to_plan(statement).ok();
                }
            }
            // Where that was not the trouble, the first error tells what was.
            planned.ok_or(error)?
        }
        planned => planned?,
    };
    let nothing_but_reading =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    nothing_but_reading.verify_plan(&plan)?;
    Ok(plan)
}

/// Whether planning failed because columns of a list have one name.
fn is_about_equal_names(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => matches!(
            **error,
            SchemaError::AmbiguousReference { .. }
                | SchemaError::DuplicateUnqualifiedField { .. }
                | SchemaError::DuplicateQualifiedField { .. }
        ),
        DataFusionError::Plan(text) => text.contains("require unique expression names"),
        _ => false,
    }
}

struct Context<'a> {
    state: &'a SessionState,
    types: Arc<Types>,
    sources: &'a Sources,
    relations: [Arc<dyn RelationPlanner>; 1],
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        check_waited_for()?;
        let key = (name.schema().unwrap_or_default().to_owned(), name.table().to_owned());
        match self.sources.get(&key) {
            Some(source) => Ok(Arc::clone(source)),
            None => plan_err!("table {name} is not there"),
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> PlanResult<Arc<dyn TableSource>> {
        let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
        let Some(function) = self.state.table_functions().get(bare) else {
            return not_impl_err!("the table function {name} is not served");
        };
        let known = |arg| widened(constant(arg, self.state.config_options())?, bare);
        let args = args.into_iter().map(known).collect::<PlanResult<Vec<_>>>()?;
        let args = datafusion::catalog::TableFunctionArgs::new(&args, self.state);
        Ok(provider_as_source(function.create_table_provider_with_args(args)?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> PlanResult<Arc<dyn TableSource>> {
        let table = datafusion::catalog::cte_worktable::CteWorkTable::new(name, schema);
        Ok(provider_as_source(Arc::new(table)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::<Types>::clone(&self.types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
        self.state.scalar_functions().get(bare).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
        self.state.aggregate_functions().get(bare).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// Table functions take 64 bits alone, and nanoseconds; `int4` is what PostgreSQL's functions give.
fn widened(argument: Expr, function: &str) -> PlanResult<Expr> {
    Ok(match argument {
        Expr::Literal(ScalarValue::Int32(value), metadata) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), metadata)
        }
        Expr::Literal(value @ ScalarValue::TimestampMicrosecond(..), metadata) => {
            let nanos = match value.data_type() {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone),
                other => other,
            };
            let out_of_range = |_| plan_datafusion_err!("{function} takes moments from the year 1678 to 2261");
            let counted = value.cast_to(&nanos).map_err(out_of_range)?;
            Expr::Literal(counted, metadata)
        }
        other => other,
    })
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}
