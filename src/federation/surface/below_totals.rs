//! Keeps the optimiser from filtering what a total is taken of.
//!
//! DataFusion puts a condition that asks for no column of a total below GROUP BY, for there it leaves out whole groups. Of
//! no rows there is no group, but there is a total: `SELECT … FROM (SELECT max(x) FROM t) q WHERE (SELECT count(*) FROM u) < 1`
//! would have a row whatever u holds.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// `rule`, or if it is the one that puts filters down, that rule but for totals.
pub(super) fn guarded(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Arc<dyn OptimizerRule + Send + Sync> {
    match rule.name() {
        "push_down_filter" => Arc::new(NotBelowTotals(rule)),
        _ => rule,
    }
}

#[derive(Debug)]
struct NotBelowTotals(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for NotBelowTotals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(filter) if has_totals(&filter.input) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// Whether `plan` gives a row for all of what it reads, also where that is nothing. Sets of groups may have one.
fn has_totals(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_), ..])
        }
        _ => false,
    }
}
