//! Groups of which any so many are enough (`SELECT DISTINCT a … LIMIT 10`) are limited only while they are in no order.
//!
//! DataFusion has their aggregation end early, and decides that before it puts inputs into order. An aggregation whose groups
//! come in an order, as they do where a window below sorts its rows, is in DataFusion 55.2 taken for one that keeps the first ones
//! by an order that is asked for, of which there is none, and fails. The limit that stands above does all that is needed.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// Has to run after all rules that put something into order.
#[derive(Debug)]
pub struct DistinctLimits;

impl PhysicalOptimizerRule for DistinctLimits {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let kept =
            |node: Arc<dyn ExecutionPlan>| match node.downcast_ref().filter(|groups| ends_in_error(groups)) {
                Some(groups) => Ok(Transformed::yes(Arc::new(groups.with_new_limit_options(None)) as _)),
                None => Ok(Transformed::no(node)),
            };
        plan.transform_up(kept).data()
    }

    fn name(&self) -> &'static str {
        "distinct_limits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn ends_in_error(groups: &AggregateExec) -> bool {
    groups.aggr_expr().is_empty()
        && groups.limit_options().is_some_and(|limit| limit.descending().is_none())
        && !groups.is_unordered_unfiltered_group_by_distinct()
}
