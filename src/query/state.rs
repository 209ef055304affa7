//! DataFusion's state: settings, functions and rules.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result as PlanResult;
use datafusion::common::config::Dialect;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;

use super::memory::QueryMemory;
use super::projections::Projections;
use super::requirements::Requirements;
use super::{EngineOptions, QueryError, QueryErrorKind, SystemSchemas};
use crate::catalog::{Catalog, CatalogHandle};
use crate::federation::collation::Collations;
use crate::federation::{
    BindJoins, DistinctLimits, InOrder, KeepNarrowingCasts, KeepRounds, PagePlans, RemotePlanner, asking,
    surface,
};

/// Bytes of rows that all queries may keep in files.
const ON_DISK: u64 = 100_000_000_000;

/// What does not depend on the catalog.
#[derive(Debug)]
pub(super) struct Shared {
    runtime: Arc<RuntimeEnv>,
    memory: QueryMemory,
    config: SessionConfig,
}

impl Shared {
    pub(super) fn memory(&self) -> &QueryMemory {
        &self.memory
    }
}

pub(super) fn shared(options: &EngineOptions) -> Result<Shared, QueryError> {
    let unwritable = |error: &dyn std::fmt::Display| {
        let message =
            format!("{} cannot hold what does not fit into memory: {error}", options.spill_dir.display());
        QueryError::new(QueryErrorKind::Internal, message)
            .with_hint("Make the folder writable, or name another")
    };
    let emptied = std::fs::create_dir_all(&options.spill_dir).and_then(|()| remove_left(&options.spill_dir));
    emptied.map_err(|error| unwritable(&error))?;
    let memory = QueryMemory::new(options.memory);
    let disk =
        DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![options.spill_dir.clone()]));
    let disk = disk.with_max_temp_directory_size(ON_DISK).with_max_spill_merge_fan_in(memory.runs_at_once());
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(memory.operators()))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|error| unwritable(&error))?;
    Ok(Shared { runtime, memory, config: config(options) })
}

/// Removes what processes that were killed have left in `dir`.
fn remove_left(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("datafusion-") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn config(options: &EngineOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads.max(1))
        .with_default_catalog_and_schema(super::DATABASE, "none")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let settings = config.options_mut();
    settings.sql_parser.dialect = Dialect::PostgreSQL;
    // 10.5 is a decimal in MariaDB and in PostgreSQL; as a double it would not compare exactly with a DECIMAL.
    settings.sql_parser.parse_float_as_decimal = true;
    // DataFusion knows of fewer operators than of expressions that they give no NULL, and would fail for that.
    settings.execution.skip_physical_aggregate_schema_check = true;
    // Where a projection renames one column to the name that another one had, the rule takes one for the other, and leaves
    // out groups that are among the first.
    settings.optimizer.enable_topk_aggregation = false;
    settings.execution.time_zone = Some("+00:00".to_owned());
    config
}

/// DataFusion's planner, with that of questions to sources.
struct Planner(DefaultPhysicalPlanner);

impl Planner {
    fn new() -> Self {
        Self(DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(RemotePlanner)]))
    }
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Planner")
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.0.create_physical_plan(plan, session).await
    }
}

/// What planning under one catalog takes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) catalog: Arc<Catalog>,
    pub(super) session: Arc<SessionState>,
    pub(super) collations: Arc<Collations>,
}

/// The state for planning under `catalog`.
pub(super) fn build_state(
    shared: &Shared,
    catalog: &Arc<Catalog>,
    handle: &CatalogHandle,
    system: &dyn SystemSchemas,
) -> State {
    let collations = Arc::new(Collations::of(catalog).asking(handle.clone()));
    let builder = SessionStateBuilder::new()
        .with_config(shared.config.clone())
        .with_runtime_env(Arc::clone(&shared.runtime))
        .with_default_features()
        .with_query_planner(Arc::new(Planner::new()));
    let mut builder = surface::register(builder, Arc::clone(&collations));
    builder.scalar_functions().get_or_insert_default().extend(system.functions(catalog));
    // What stands twice in conditions is computed once where that is done here (`run`): of a column that is made for it
    // no source is asked.
    let once = CommonSubexprEliminate::new();
    builder.optimizer().get_or_insert_with(Optimizer::new).rules.retain(|rule| rule.name() != once.name());
    let optimizer = builder.physical_optimizers().get_or_insert_default();
    // Filters of operators find their columns by name on the way down, the first of two that have one, and then leave
    // out rows that belong to the answer. What can go down has gone before, and no reader of ours takes more.
    optimizer.rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    for rule in &mut optimizer.rules {
        match rule.name() {
            "EnsureRequirements" => *rule = Arc::new(Requirements),
            "ProjectionPushdown" => *rule = Arc::new(Projections(Arc::clone(rule))),
            _ => {}
        }
    }
    // It needs to know which side of a join is read first, and what it does to partitions is made fit after it.
    let settled = optimizer.rules.iter().position(|rule| rule.name() == "join_selection");
    let settled = settled.map_or(0, |place| place + 1);
    optimizer.rules.insert(settled, Arc::new(BindJoins));
    optimizer.rules.insert(settled + 1, Arc::new(PagePlans));
    optimizer.rules.insert(settled + 2, Arc::new(KeepRounds));
    let check = optimizer.rules.iter().position(|rule| rule.name() == "SanityCheckPlan");
    let check = check.unwrap_or(optimizer.rules.len());
    optimizer.rules.insert(check, Arc::new(InOrder));
    optimizer.rules.insert(check + 1, Arc::new(DistinctLimits));
    let session = Arc::new(asking(builder).with_analyzer_rule(Arc::new(KeepNarrowingCasts)).build());
    State { catalog: Arc::clone(catalog), session, collations }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let spill = dir.path().join("spill");
        for name in ["datafusion-a1b2/x", "datafusion-c3d4", "mine"] {
            std::fs::create_dir_all(spill.join(name)).unwrap();
        }
        shared(&EngineOptions::new(&spill)).unwrap();
        let left: Vec<_> = std::fs::read_dir(&spill).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.contains(&"mine".into()) && !left.iter().any(|name| *name == *"datafusion-c3d4"),
            "{left:?}"
        );
    }
}
