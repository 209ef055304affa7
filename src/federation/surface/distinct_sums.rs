//! Keeps the optimiser from summing sums.
//!
//! DataFusion turns `sum(a), sum(DISTINCT b)` into a sum by each b, and the sum of those. But a sum of sums is of a
//! wider type than a sum.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// `rule`, or if it is the one that sums sums, that rule but for them.
pub(super) fn guarded(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Arc<dyn OptimizerRule + Send + Sync> {
    match rule.name() {
        "single_distinct_aggregation_to_group_by" => Arc::new(DistinctButSums(rule)),
        _ => rule,
    }
}

#[derive(Debug)]
struct DistinctButSums(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for DistinctButSums {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let sums = |expr: &Expr| match expr {
            Expr::AggregateFunction(call) => call.func.name() == "sum" && !call.params.distinct,
            _ => false,
        };
        match &plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(sums) => {
                Ok(Transformed::no(plan))
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}
