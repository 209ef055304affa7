//! OFFSET leaves out the first rows of an order, also where nobody sees by what they are ordered.
//!
//! A projection below the limit may leave out the columns of the order. DataFusion then takes the sort for one without
//! use, unless it has a limit of its own, and drops it. So projections go above a limit that is an offset alone.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;

/// Has to run before sorts are looked at.
#[derive(Debug)]
pub(super) struct OffsetBelowProjection;

impl PhysicalOptimizerRule for OffsetBelowProjection {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| match below(&node) {
            Some(lower) => Ok(Transformed::yes(lower?)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "offset_below_projection"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn below(node: &Arc<dyn ExecutionPlan>) -> Option<Result<Arc<dyn ExecutionPlan>>> {
    let limit = node.downcast_ref::<GlobalLimitExec>().filter(|limit| limit.fetch().is_none())?;
    let projection = limit.input().downcast_ref::<ProjectionExec>()?;
    let lower = GlobalLimitExec::new(Arc::clone(projection.input()), limit.skip(), None);
    Some(replace_children_if_necessary(Arc::clone(limit.input()), vec![Arc::new(lower)]))
}
