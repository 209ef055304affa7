//! Statements that read: planned when prepared, and again where the tables are not what they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use crossweave_contract::{ServiceName, TableDef, TableId};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use tokio::runtime::Handle;

use super::action::{Action, Preparing};
use super::{Answer, Prepared, Session, Tables, parameters, promise};
use crate::catalog::Catalog;
use crate::federation::UnboundTable;
use crate::federation::surface::{rewrite_conditions, with_few_constants};
use crate::policy::Identity;
use crate::query::engine::{Engine, stopped};
use crate::query::labels::Labels;
use crate::query::names::{self, Definitions};
use crate::query::placeholders::parameter_types;
use crate::query::plan::{Sources, plan};
use crate::query::run::{Job, run};
use crate::query::{
    Pinned, QueryError, QueryErrorKind, Reason, RouteChoice, RouteSettings, SystemSchemas, explain,
};

/// Columns that the steps of a plan have at most that is kept for who asks the same, all together.
const WIDEST: usize = 10_000;

/// A statement that reads, with its plan. Both are trees, as deep as the statement is long: they are walked,
/// and dropped, on the threads of plans.
#[derive(Debug)]
pub(super) struct ReadPlan {
    trees: Option<Box<Trees>>,
    plans: Handle,
}

#[derive(Debug)]
pub(super) struct Trees {
    /// As parsed, for planning it again.
    statement: Statement,
    explain: Option<(bool, bool)>,
    path: Vec<String>,
    declared: Vec<Option<DataType>>,
    planned: Planned,
}

impl ReadPlan {
    fn trees(&self) -> Result<&Trees, QueryError> {
        // Taken by Drop only.
        self.trees.as_deref().ok_or_else(stopped)
    }

    /// Whether it is worth keeping for as long as the catalog is what it was: it reads nothing that was looked up as it was
    /// made.
    pub(super) fn is_lasting(&self) -> bool {
        self.trees.as_deref().is_some_and(|trees| trees.explain.is_none() && trees.planned.is_lasting)
    }
}

impl Drop for ReadPlan {
    fn drop(&mut self) {
        let trees = self.trees.take();
        self.plans.spawn(async move { drop(trees) });
    }
}

#[derive(Debug)]
struct Planned {
    plan: LogicalPlan,
    /// Whether types and collations were settled already: not before the parameters are known.
    analysed: bool,
    /// Whether it reads tables of services and nothing of the server itself, and is not large.
    is_lasting: bool,
    tables: Tables,
    defs: Defs,
    schema: SchemaRef,
    parameter_types: Vec<Option<DataType>>,
}

type Defs = BTreeMap<TableId, Arc<TableDef>>;

pub(super) async fn prepare_read(
    preparing: &Preparing,
    statement: Statement,
    explain: Option<(bool, bool)>,
) -> Result<Prepared, QueryError> {
    let engine = &preparing.engine;
    let likely = Likely { engine: engine.clone(), routes: preparing.routes.clone() };
    let path = preparing.settings.search_path();
    let work = Work {
        engine: engine.clone(),
        identity: preparing.identity.clone(),
        catalog: engine.catalog(),
        path: path.clone(),
        statement: statement.clone(),
        explain,
        declared: preparing.declared.clone(),
    };
    let planned = make(work, likely).await?;
    let schema = match explain {
        Some((false, _)) => explain::schema(),
        _ => Arc::clone(&planned.schema),
    };
    let plans = engine.inner.plans.handle().ok_or_else(stopped)?.clone();
    let parameter_types = planned.parameter_types.clone();
    let declared = preparing.declared.clone();
    let trees = Some(Box::new(Trees { statement, explain, path, declared, planned }));
    Ok(Prepared {
        schema,
        parameter_types,
        tag: if explain.is_some() { "EXPLAIN" } else { "SELECT" },
        action: Action::Read(Arc::new(ReadPlan { trees, plans })),
    })
}

/// Whether the steps of `plan` have more than [`WIDEST`] columns, all together: each has those of all that it joins.
fn is_wide(plan: &LogicalPlan) -> Result<bool, QueryError> {
    let mut columns = 0;
    plan.apply_with_subqueries(|step| {
        columns += step.schema().fields().len();
        Ok(if columns > WIDEST { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(columns > WIDEST)
}

/// Runs `read`. `fixed` is whether the columns must be those that were promised when it was prepared.
pub(super) async fn run_read(
    session: &Session,
    read: &Arc<ReadPlan>,
    params: Vec<ScalarValue>,
    tag: &'static str,
    fixed: bool,
) -> Result<Answer, QueryError> {
    let engine = &session.engine;
    let timeout = session.timeout();
    let tables = &read.trees()?.planned.tables;
    let pinned = engine.pin_for(&session.identity, tables, &session.routes, timeout).await?;
    let (identity, read) = (session.identity.clone(), Arc::clone(read));
    let work = Box::pin(execute(engine.clone(), identity, pinned.clone(), read, params, fixed));
    let rows = engine.plan_until(pinned.inner.deadline, timeout, work).await;
    let rows = rows.inspect_err(|_| pinned.failed())?;
    // A view may have moved until its first row was asked for.
    Ok(Answer { tag, rows, reads: pinned.reads() })
}

async fn execute(
    engine: Engine,
    identity: Identity,
    pinned: Pinned,
    plan: Arc<ReadPlan>,
    params: Vec<ScalarValue>,
    fixed: bool,
) -> Result<crate::query::RowStream, QueryError> {
    let read = plan.trees()?;
    let unchanged = read.planned.defs.iter().all(|(id, def)| {
        pinned.definition(id).is_some_and(|pinned| Arc::ptr_eq(pinned, def) || pinned.same_shape(def))
    });
    if !unchanged {
        engine.inner.known.forget(&plan);
    }
    let again = if unchanged { None } else { Some(plan_again(&engine, identity, &pinned, read, fixed).await?) };
    let planned = again.as_ref().unwrap_or(&read.planned);
    let mut plan = parameters::bind(planned.plan.clone(), &planned.parameter_types, params)?;
    let mut analysed = planned.analysed;
    let job = match read.explain {
        Some((false, verbose)) => Job::Explain { plan, verbose, analysed },
        _ => {
            if fixed && !analysed {
                let state = engine.state(&pinned.inner.catalog);
                (plan, analysed) = (promise::keep(settle(&state, plan)?, &read.planned.schema)?, true);
            }
            Job::Rows { plan, analysed, alone: true }
        }
    };
    run(&engine, &pinned, job).await
}

/// Plans against the definitions that were pinned, which are not those of before.
async fn plan_again(
    engine: &Engine,
    identity: Identity,
    pinned: &Pinned,
    read: &Trees,
    fixed: bool,
) -> Result<Planned, QueryError> {
    let work = Work {
        engine: engine.clone(),
        identity,
        catalog: Arc::clone(&pinned.inner.catalog),
        path: read.path.clone(),
        statement: read.statement.clone(),
        explain: read.explain,
        declared: read.declared.clone(),
    };
    // The next query is planned with what there is.
    engine.inner.parts.catalog.doubt(read.planned.tables.iter().map(|table| &table.service));
    let again = make(work, PinnedDefs(pinned.clone())).await?;
    let promised = &read.planned;
    let same_columns = again.schema.fields().len() == promised.schema.fields().len()
        && again
            .schema
            .fields()
            .iter()
            .zip(promised.schema.fields())
            .all(|(now, then)| now.name() == then.name() && now.data_type() == then.data_type());
    let same_tables = again.tables.is_subset(&promised.tables);
    if !same_tables || (fixed && !same_columns) || again.parameter_types != promised.parameter_types {
        let (since, hint, reason) = match fixed {
            true => ("the statement was prepared", "Prepare the statement again", Reason::Outdated),
            false => ("the query was planned", "Ask again", Reason::Altered),
        };
        let message = format!("a table was altered after {since}, and its columns are others now");
        return Err(QueryError::new(QueryErrorKind::Unavailable, message).with_hint(hint).because(reason));
    }
    Ok(again)
}

/// What planning a statement takes.
struct Work {
    engine: Engine,
    identity: Identity,
    catalog: Arc<Catalog>,
    path: Vec<String>,
    statement: Statement,
    explain: Option<(bool, bool)>,
    declared: Vec<Option<DataType>>,
}

async fn make(work: Work, definitions: impl Definitions) -> Result<Planned, QueryError> {
    let Work { engine, identity, catalog, path, statement, explain, declared } = work;
    let system = &engine.inner.parts.system;
    let state = engine.state(&catalog);
    let about_the_server = names::is_about_the_server(&statement, &**system);
    let mut statement = if about_the_server { system.rewrite(statement)? } else { statement };
    let labels = Labels::of(&statement);
    let system_tables = names::system_tables(&statement, &**system, &catalog, &identity).await?;
    let context =
        names::Context { catalog: &catalog, path: &path, system: &system_tables, definitions: &definitions };
    let tables = names::resolve(&mut statement, &context)?;
    rewrite_conditions(&mut statement);
    let mut defs = Defs::new();
    let mut sources: Sources = system_tables.into_sources();
    let is_lasting = !about_the_server && sources.is_empty();
    for id in &tables {
        let def = definitions.definition(&catalog, id)?;
        sources.insert(
            (id.service.to_string(), id.table.to_string()),
            Arc::new(UnboundTable::new(Arc::clone(&def))),
        );
        defs.insert(id.clone(), def);
    }
    let plan = plan_declared(&state, &**system, &sources, statement, &declared)?;
    let mut plan = labels.put_on(plan)?;
    if let Some((true, verbose)) = explain {
        plan = LogicalPlanBuilder::from(plan).explain(verbose, true)?.build()?;
    }
    let is_lasting = is_lasting && !is_wide(&plan)?;
    let parameter_types = parameter_types(&plan)?;
    if parameter_types.is_empty() {
        let plan = settle(&state, plan)?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        return Ok(Planned { plan, analysed: true, is_lasting, tables, defs, schema, parameter_types });
    }
    let expected = parameter_types.iter().enumerate().map(|(index, inferred)| {
        let declared = declared.get(index).and_then(Option::as_ref);
        parameters::expected(declared, inferred.as_ref())
    });
    let sample = parameters::sample(plan.clone(), &expected.collect::<Vec<_>>());
    let schema = match sample.and_then(|sample| settle(&state, sample)) {
        Ok(settled) => settled.schema().as_arrow().clone(),
        // Some types may only be told once the parameters are there.
        Err(_) => plan.schema().as_arrow().clone(),
    };
    Ok(Planned { plan, analysed: false, is_lasting, tables, defs, schema: Arc::new(schema), parameter_types })
}

/// The plan of `statement`. Of some expressions there is none before their placeholders have types: then with those
/// that are `declared`.
fn plan_declared(
    state: &SessionState,
    system: &dyn SystemSchemas,
    sources: &Sources,
    statement: Statement,
    declared: &[Option<DataType>],
) -> Result<LogicalPlan, QueryError> {
    let casts = declared.iter().map(|declared| declared.as_ref().and_then(parameters::sql_type));
    let casts: Vec<_> = casts.collect();
    if casts.iter().all(Option::is_none) {
        return plan(state, system.type_planner(), sources, statement);
    }
    plan(state, system.type_planner(), sources, statement.clone()).or_else(|error| {
        let mut statement = statement;
        parameters::declare(&mut statement, &casts);
        // If that is of no help, the statement as it was written says more.
        plan(state, system.type_planner(), sources, statement).map_err(|_| error)
    })
}

/// `plan` with its types and collations settled.
fn settle(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
    Ok(with_few_constants(|| state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}))?)
}

/// The definitions of the route that each table would take now.
struct Likely {
    engine: Engine,
    routes: RouteSettings,
}

impl Definitions for Likely {
    fn definition(&self, catalog: &Catalog, table: &TableId) -> Result<Arc<TableDef>, QueryError> {
        let snapshot = |service: &ServiceName| match self.routes.of(service) {
            RouteChoice::Live => None,
            RouteChoice::Auto | RouteChoice::Cached => self.engine.inner.parts.snapshots.pin(service),
        };
        if let Some(snapshot) = snapshot(&table.service)
            && let Some(cached) = snapshot.table(&table.table)
        {
            return Ok(Arc::clone(cached.def()));
        }
        names::catalog_definition(catalog, table)
    }
}

/// The definitions of the pinned routes.
struct PinnedDefs(Pinned);

impl Definitions for PinnedDefs {
    fn definition(&self, catalog: &Catalog, table: &TableId) -> Result<Arc<TableDef>, QueryError> {
        match self.0.definition(table) {
            Some(def) => Ok(Arc::clone(def)),
            None => names::catalog_definition(catalog, table),
        }
    }
}
