//! Puts into order what has to be and is not.
//!
//! DataFusion lets the probe side of a hash join be in an order that is asked of the join. A column that holds one
//! value there is in any order, so that nothing is sorted; but in DataFusion 55.2 a join forgets of its probe side
//! which columns do (`EquivalenceClass::try_with_offset`), and the plan does not stand its last check. What does not
//! is sorted here.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Has to run last of the rules that change a plan.
#[derive(Debug)]
pub struct InOrder;

impl PhysicalOptimizerRule for InOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(sorted).data()
    }

    fn name(&self) -> &'static str {
        "in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `node` over inputs that are in the order that it asks for.
fn sorted(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let mut inputs: Vec<_> = node.children().into_iter().map(Arc::clone).collect();
    let mut changed = false;
    for (input, required) in inputs.iter_mut().zip(node.required_input_ordering()) {
        let Some(required) = required.map(|required| required.into_single()) else { continue };
        if input.equivalence_properties().ordering_satisfy_requirement(required.clone())? {
            continue;
        }
        let parts = input.output_partitioning().partition_count();
        let sort = SortExec::new(LexOrdering::from(required), Arc::clone(input));
        *input = Arc::new(sort.with_preserve_partitioning(parts > 1));
        changed = true;
    }
    match changed {
        true => replace_children_if_necessary(node, inputs).map(Transformed::yes),
        false => Ok(Transformed::no(node)),
    }
}
