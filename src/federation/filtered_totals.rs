//! Totals that count some rows alone are computed, however much is known of a table.
//!
//! DataFusion answers `count(*)` and its like from statistics. To find what a total is of, it goes down from the total to
//! the part of it that reads rows, and past that part where it filters: `SELECT count(*) FILTER (WHERE n > 5) FROM (SELECT
//! count(*) AS n FROM t)` got the inner total for the outer one.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Keeps the rule that answers from statistics from plans with a filtered total.
pub(super) fn spare_filtered_totals(rules: &mut [Rule]) {
    for rule in rules.iter_mut().filter(|rule| rule.name() == "aggregate_statistics") {
        *rule = Arc::new(Sparing(Arc::clone(rule)));
    }
}

#[derive(Debug)]
struct Sparing(Rule);

impl PhysicalOptimizerRule for Sparing {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let spared = plan.exists(|node| Ok(node.downcast_ref().is_some_and(is_filtered_total)))?;
        if spared { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn is_filtered_total(aggregate: &AggregateExec) -> bool {
    aggregate.mode().input_mode() == AggregateInputMode::Raw
        && aggregate.group_expr().is_empty()
        && aggregate.filter_expr().iter().any(Option::is_some)
}
