//! Which columns determine which, where DataFusion has it wrong.
//!
//! DataFusion keeps functional dependencies with the schema of each operator. By them `GROUP BY id` may show all columns
//! of a row, an order by `id, name` is one by `id`, and DISTINCT over distinct rows is dropped; so a dependency that does not
//! hold gives wrong rows, or rows in a wrong order. Up to DataFusion 55 two kinds of operators claim such ones:
//!
//! - GROUP BY over a join. A key of one side determines the columns of that side, in as many rows as the join makes of
//!   each. Grouped by that key and something else, it is told to determine the whole group.
//! - UNNEST, which makes several rows of one and keeps what was its key.
//!
//! [`settle`] takes these claims out of a plan: whoever relies on dependencies does so after it. While a statement is read,
//! that is the planner of the query around ([`SettledRelations`]); later, rules ([`Settle`], in front of each of them).

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Dependency, FunctionalDependence, FunctionalDependencies, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Unnest};
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::group_columns::GroupColumns;

/// The rules of DataFusion that rely on functional dependencies.
const RELIANT: [&str; 4] =
    ["eliminate_duplicated_expr", "eliminate_join", "optimize_projections", "replace_distinct_aggregate"];

/// `plan`, without dependencies that do not hold.
pub(super) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(settled(plan)?.data)
}

/// GROUP BY of `group_expr` over `input`, whose dependencies hold, with those that hold for the groups.
pub(super) fn grouped(input: Arc<LogicalPlan>, group_expr: Vec<Expr>, calls: Vec<Expr>) -> Result<Aggregate> {
    Ok(with_dependencies_of_groups(Aggregate::try_new(input, group_expr, calls)?)?.data)
}

/// `rules`, with [`Settle`] before each that relies on dependencies, and [`GroupColumns`] before the one that uses them best.
pub(super) fn settled_before(
    rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut settled: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        Vec::with_capacity(rules.len() + RELIANT.len());
    for rule in rules {
        if RELIANT.contains(&rule.name()) {
            settled.push(Arc::new(Settle));
        }
        if rule.name() == "optimize_projections" {
            settled.push(Arc::new(GroupColumns));
        }
        settled.push(rule);
    }
    settled
}

#[recursive::recursive]
fn settled(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let plan = plan.map_subqueries(settled)?;
    let in_subqueries = plan.transformed;
    let plan = plan.data.map_children(settled)?;
    let below = plan.transformed;
    let plan = match plan.data {
        LogicalPlan::Aggregate(aggregate) if below => {
            let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
            Transformed::yes(LogicalPlan::Aggregate(grouped(input, group_expr, aggr_expr)?))
        }
        LogicalPlan::Aggregate(aggregate) => {
            with_dependencies_of_groups(aggregate)?.update_data(LogicalPlan::Aggregate)
        }
        LogicalPlan::Unnest(unnest) => without_dependencies(unnest)?.update_data(LogicalPlan::Unnest),
        plan @ (LogicalPlan::Projection(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::SubqueryAlias(_))
            if below =>
        {
            Transformed::yes(plan.recompute_schema()?)
        }
        plan => Transformed::no(plan),
    };
    Ok(Transformed { transformed: plan.transformed || below || in_subqueries, ..plan })
}

/// Over a join nothing is claimed but that there is one row for each group.
fn with_dependencies_of_groups(mut aggregate: Aggregate) -> Result<Transformed<Aggregate>> {
    let below = aggregate.input.schema().functional_dependencies();
    let sets = matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_), ..]);
    if sets || below.iter().all(|dependence| dependence.mode == Dependency::Single) {
        return Ok(Transformed::no(aggregate));
    }
    let keys: Vec<usize> = (0..aggregate.group_expr.len()).collect();
    let fields = aggregate.schema.fields();
    let nullable = keys.iter().any(|&key| fields[key].is_nullable());
    let of_groups = FunctionalDependence::new(keys, (0..fields.len()).collect(), nullable);
    let held = FunctionalDependencies::new(vec![of_groups.with_mode(Dependency::Single)]);
    if *aggregate.schema.functional_dependencies() == held {
        return Ok(Transformed::no(aggregate));
    }
    let schema = aggregate.schema.as_ref().clone();
    aggregate.schema = Arc::new(schema.with_functional_dependencies(held)?);
    Ok(Transformed::yes(aggregate))
}

fn without_dependencies(mut unnest: Unnest) -> Result<Transformed<Unnest>> {
    if unnest.schema.functional_dependencies().is_empty() {
        return Ok(Transformed::no(unnest));
    }
    let schema = unnest.schema.as_ref().clone();
    unnest.schema = Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?);
    Ok(Transformed::yes(unnest))
}

/// [`settle`] as a rule. It never says that it changed a plan, for nothing is worth another pass for it.
#[derive(Debug)]
pub(super) struct Settle;

impl AnalyzerRule for Settle {
    fn name(&self) -> &str {
        "dependencies"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        settle(plan)
    }
}

impl OptimizerRule for Settle {
    fn name(&self) -> &str {
        "dependencies"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ok(Transformed::no(settle(plan)?))
    }
}

/// Settles what stands in FROM, subqueries, views and what WITH names, before the query around is planned over it.
#[derive(Debug)]
pub struct SettledRelations;

thread_local! {
    /// Whether the relation that is asked for next is one that [`SettledRelations`] has asked for itself.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

impl RelationPlanner for SettledRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if ASKED.replace(false) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        ASKED.set(true);
        let planned = context.plan(relation);
        ASKED.set(false);
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(settle(planned?)?, None))))
    }
}
