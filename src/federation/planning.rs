//! Keeps planning stoppable.
//!
//! **Why does planning end once nobody waits for it?** A plan is made between two polls of its task, so that dropping
//! the task, or its deadline, ends nothing; and what planning takes grows faster than what it is made of. So each
//! rule asks [`Stop`] before it looks at a plan, and one that DataFusion takes from operator to operator, at each of
//! them; and so does whoever looks up a table or plans a question to a source.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

use super::guard::Stop;

tokio::task_local! {
    /// Who waits for the plan that this task makes.
    static STOP: Arc<Stop>;
}

/// `work`, in which planning ends when `stop` says so.
pub fn planned_until<T>(stop: Arc<Stop>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    STOP.scope(stop, work)
}

/// Fails once nobody waits for the plan that is made.
pub fn check_waited_for() -> Result<()> {
    STOP.try_with(|stop| stop.check()).unwrap_or(Ok(()))
}

/// Has all rules that `builder` has so far ask whether to go on.
#[must_use]
pub fn asking(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    if let Some(analyzer) = builder.analyzer() {
        analyzer.rules = analyzer.rules.drain(..).map(|rule| Arc::new(Asking(rule)) as _).collect();
    }
    if let Some(optimizer) = builder.optimizer() {
        optimizer.rules = optimizer.rules.drain(..).map(|rule| Arc::new(Asking(rule)) as _).collect();
    }
    if let Some(operators) = builder.physical_optimizers() {
        operators.rules = operators.rules.drain(..).map(|rule| Arc::new(Asking(rule)) as _).collect();
    }
    builder
}

/// A rule, which goes on only while somebody waits.
#[derive(Debug)]
struct Asking<R>(R);

impl AnalyzerRule for Asking<Arc<dyn AnalyzerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        check_waited_for()?;
        self.0.analyze(plan, config)
    }
}

impl OptimizerRule for Asking<Arc<dyn OptimizerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        check_waited_for()?;
        self.0.rewrite(plan, config)
    }
}

impl PhysicalOptimizerRule for Asking<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        check_waited_for()?;
        self.0.optimize(plan, config)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        check_waited_for()?;
        self.0.optimize_with_context(plan, context)
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use datafusion::logical_expr::LogicalPlanBuilder;

    use super::*;

    #[tokio::test]
    async fn no_rule_looks_at_a_plan_that_nobody_waits_for() {
        let mut builder = SessionStateBuilder::new().with_default_features();
        builder.analyzer().get_or_insert_default();
        builder.optimizer().get_or_insert_default();
        builder.physical_optimizers().get_or_insert_default();
        let state = asking(builder).build();
        let plan = LogicalPlanBuilder::empty(true).build().unwrap();
        let stop = Stop::at(Instant::now() + Duration::from_secs(3_600));
        let planned = planned_until(Arc::clone(&stop), state.create_physical_plan(&plan)).await;
        let operators = planned.unwrap();
        stop.tell();
        planned_until(stop, async {
            let ended = |error: datafusion::error::DataFusionError| {
                assert!(error.to_string().contains("the query was ended"), "{error}");
            };
            let config = state.config_options();
            ended(state.analyzer().execute_and_check(plan.clone(), config, |_, _| {}).unwrap_err());
            ended(state.optimizer().optimize(plan, &state, |_, _| {}).unwrap_err());
            for rule in state.physical_optimizers() {
                ended(rule.optimize(Arc::clone(&operators), config).unwrap_err());
            }
        })
        .await;
        check_waited_for().unwrap();
    }
}
