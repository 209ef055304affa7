//! Puts the pinned routes into a plan.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlan;

use super::UnboundTable;

/// Replaces each [`UnboundTable`] in `plan`, subqueries included, by what `provider` gives for it. The schema of
/// a provider is that of the table it replaces, so nothing else in the plan changes.
pub fn bind(
    plan: LogicalPlan,
    provider: &dyn Fn(&UnboundTable) -> Result<Arc<dyn TableProvider>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let Some(unbound) = scan.source.downcast_ref::<UnboundTable>() else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let bound = provider(unbound)?;
        debug_assert_eq!(bound.schema(), scan.source.schema(), "{}", unbound.id());
        scan.source = provider_as_source(bound);
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })
    .data()
}
