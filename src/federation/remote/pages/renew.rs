//! The same operators once more, as if none had run.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

use super::exec::Page;
use crate::federation::remote::bind::{GatherKeys, Gathered};
use crate::federation::remote::scan::LiveScanExec;

/// `plan` with nothing that another reading has left in it, whose paged question is asked for `page`.
pub(super) fn renewed(plan: &Arc<dyn ExecutionPlan>, page: &Arc<Page>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut keys = Keys::default();
    renew(plan, page, &mut keys)
}

/// The keys of joins, each gathered anew, by those of the plan that is renewed.
#[derive(Default)]
struct Keys(HashMap<usize, Arc<Gathered>>);

impl Keys {
    fn anew(&mut self, of: &Arc<Gathered>) -> Arc<Gathered> {
        Arc::clone(self.0.entry(Arc::as_ptr(of).addr()).or_insert_with(Gathered::new))
    }
}

#[recursive::recursive]
fn renew(plan: &Arc<dyn ExecutionPlan>, page: &Arc<Page>, keys: &mut Keys) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<LiveScanExec>() {
        return Ok(Arc::new(scan.renewed(page, |gathered| keys.anew(gathered))));
    }
    let inputs =
        plan.children().into_iter().map(|input| renew(input, page, keys)).collect::<Result<Vec<_>>>()?;
    if let Some(gathering) = plan.downcast_ref::<GatherKeys>() {
        return match <[_; 1]>::try_from(inputs) {
            Ok([input]) => Ok(Arc::new(gathering.renewed(input, keys.anew(gathering.gathered())))),
            Err(_) => datafusion::common::internal_err!("keys are gathered of one input"),
        };
    }
    let plan = Arc::clone(plan).reset_state()?;
    replace_children_if_necessary(plan, inputs)
}
