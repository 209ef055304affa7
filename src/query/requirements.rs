//! What operators require of their inputs, partitions and orders, and what may be known of these for that.

use std::sync::Arc;

use datafusion::common::Result as PlanResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::enforce_distribution::{
    DistributionContext, PlanWithKeyRequirements, adjust_input_keys_ordering, ensure_distribution,
};
use datafusion::physical_optimizer::enforce_sorting::{
    PlanWithCorrespondingCoalescePartitions, PlanWithCorrespondingSort, ensure_sorting, parallelize_sorts,
    replace_with_partial_sort,
};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, PlanProperties, replace_children_if_necessary,
};

use crate::federation::hands_through;

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
        let plan = plan.transform_up(without_what_ends_here).data()?;
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

/// Has an operator read through [`ForgetProperties`] those inputs of which it says afterwards what no longer holds: DataFusion hands
/// on what is constant or equal though an outer join, or a grouping set, makes NULL of it, and takes the rows of a hash
/// join for ordered by its build side among equals of the other side, which repeat it in any order.
fn without_what_ends_here(plan: Arc<dyn ExecutionPlan>) -> PlanResult<Transformed<Arc<dyn ExecutionPlan>>> {
    let ends = |input: usize| ends_at(plan.as_ref(), input);
    if !(0..plan.children().len()).any(ends) {
        return Ok(Transformed::no(plan));
    }
    let inputs = plan.children().into_iter().enumerate();
    let inputs = inputs.map(|(at, input)| match ends(at) {
        true => Arc::new(ForgetProperties::new(Arc::clone(input))) as Arc<dyn ExecutionPlan>,
        false => Arc::clone(input),
    });
    let inputs = inputs.collect();
    replace_children_if_necessary(plan, inputs).map(Transformed::yes)
}

/// Whether something is known of this input of `plan` that does not hold of the rows of `plan`.
fn ends_at(plan: &dyn ExecutionPlan, input: usize) -> bool {
    let Some(known) = plan.children().get(input).map(|input| input.equivalence_properties()) else {
        return false;
    };
    let side = if input == 0 { JoinSide::Left } else { JoinSide::Right };
    let misses = |join: JoinType| match side {
        JoinSide::Left => matches!(join, JoinType::Right | JoinType::Full),
        _ => matches!(join, JoinType::Left | JoinType::Full),
    };
    let ends = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let built = side == JoinSide::Left;
        misses(*join.join_type()) || built && !known.oeq_class().is_empty()
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        misses(*join.join_type())
    } else if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        misses(join.join_type())
    } else if let Some(groups) = plan.downcast_ref::<AggregateExec>() {
        groups.group_expr().has_grouping_set()
    } else {
        false
    };
    ends && !(known.eq_group().is_empty() && known.oeq_class().is_empty())
}

/// The rows of its input, of whose values and order it says nothing.
#[derive(Debug)]
struct ForgetProperties {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetProperties {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let nothing = EquivalenceProperties::new(input.schema());
        let properties = Arc::new(input.properties().as_ref().clone().with_eq_properties(nothing));
        Self { input, properties }
    }

    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input)
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

hands_through!(ForgetProperties with properties);
