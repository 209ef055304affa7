//! Projections next to filters.

use std::sync::Arc;

use datafusion::common::Result as PlanResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// DataFusion's rule `ProjectionPushdown` over filters that hand on all their columns: where a filter hands on some of
/// them, the rule takes places among these for places among all, when it puts a projection below the filter. Where two
/// columns have one name, the plan has then another one than was asked for.
#[derive(Debug)]
pub(super) struct Projections(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Projections {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.0.optimize(plan.transform_up(apart).data()?, options)
    }

    fn name(&self) -> &str {
        "Projections"
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// A filter that hands on some of its columns as one that hands on all, below a projection.
fn apart(plan: Arc<dyn ExecutionPlan>) -> PlanResult<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
    let Some(places) = filter.projection() else { return Ok(Transformed::no(plan)) };
    let handed = filter.input().schema();
    let columns = places.iter().map(|&place| {
        let name = handed.field(place).name();
        let column = Column::new(name, place);
        ProjectionExpr { expr: Arc::new(column), alias: name.clone() }
    });
    let columns: Vec<_> = columns.collect();
    let whole = FilterExecBuilder::from(filter).apply_projection(None)?.build()?;
    Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(columns, Arc::new(whole))?)))
}
