//! What operators require of their inputs: partitions and orders.

use std::sync::Arc;

use datafusion::common::Result as PlanResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::enforce_distribution::{
    DistributionContext, PlanWithKeyRequirements, adjust_input_keys_ordering, ensure_distribution,
};
use datafusion::physical_optimizer::enforce_sorting::{
    PlanWithCorrespondingCoalescePartitions, PlanWithCorrespondingSort, ensure_sorting, parallelize_sorts,
    replace_with_partial_sort,
};
use datafusion::physical_plan::ExecutionPlan;

/// DataFusion's rule `EnsureRequirements` without two steps that put a sort further down, or take it away where its input
/// can be had in that order (`replace_with_order_preserving_variants`, `pushdown_sorts`): the limit of such a sort goes
/// below windows, which then see the first rows only, or is lost.
#[derive(Debug)]
pub(super) struct Requirements;

impl PhysicalOptimizerRule for Requirements {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let keyed = PlanWithKeyRequirements::new_default(plan);
        let plan = keyed.transform_down(adjust_input_keys_ordering).data()?.plan;
        let spread = DistributionContext::new_default(plan);
        let plan = spread.transform_up(|node| ensure_distribution(node, options)).data()?.plan;
        let sorted = PlanWithCorrespondingSort::new_default(plan);
        let plan = sorted.transform_up(ensure_sorting).data()?.plan;
        let side_by_side = PlanWithCorrespondingCoalescePartitions::new_default(plan);
        let plan = side_by_side.transform_up(parallelize_sorts).data()?.plan;
        plan.transform_up(|node| replace_with_partial_sort(node).map(Transformed::yes)).data()
    }

    fn name(&self) -> &str {
        "Requirements"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
