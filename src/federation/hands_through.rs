//! Operators that give the rows of their input, each in its own way.

/// Makes an operator of a struct with an `input`, whose rows it gives in the same order, and with
/// `fn again(&self, input) -> Self` and `fn read(&self, partition, context) -> Result<SendableRecordBatchStream>`. It says
/// of its rows what its input says, or what its member `properties` has.
macro_rules! hands_through {
    ($operator:ident) => {
        $crate::federation::hands_through!($operator, |this| this.input.properties());
    };
    ($operator:ident with properties) => {
        $crate::federation::hands_through!($operator, |this| &this.properties);
    };
    ($operator:ident, |$this:ident| $properties:expr) => {
        impl datafusion::physical_plan::DisplayAs for $operator {
            fn fmt_as(
                &self,
                format: datafusion::physical_plan::DisplayFormatType,
                f: &mut std::fmt::Formatter<'_>,
            ) -> std::fmt::Result {
                match format {
                    datafusion::physical_plan::DisplayFormatType::TreeRender => Ok(()),
                    _ => f.write_str(self.name()),
                }
            }
        }

        impl datafusion::physical_plan::ExecutionPlan for $operator {
            fn name(&self) -> &str {
                stringify!($operator)
            }

            fn properties(&self) -> &std::sync::Arc<datafusion::physical_plan::PlanProperties> {
                let $this = self;
                $properties
            }

            fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
                vec![&self.input]
            }

            fn maintains_input_order(&self) -> Vec<bool> {
                vec![true]
            }

            fn benefits_from_input_partitioning(&self) -> Vec<bool> {
                vec![false]
            }

            fn apply_expressions(
                &self,
                _f: &mut dyn FnMut(
                    &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
                ) -> datafusion::common::Result<
                    datafusion::common::tree_node::TreeNodeRecursion,
                >,
            ) -> datafusion::common::Result<datafusion::common::tree_node::TreeNodeRecursion> {
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            }

            fn with_new_children(
                self: std::sync::Arc<Self>,
                mut children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
            ) -> datafusion::common::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
                match (children.pop(), children.len()) {
                    (Some(input), 0) => Ok(std::sync::Arc::new(self.again(input))),
                    _ => datafusion::common::internal_err!("{} has one input", self.name()),
                }
            }

            fn execute(
                &self,
                partition: usize,
                context: std::sync::Arc<datafusion::execution::TaskContext>,
            ) -> datafusion::common::Result<datafusion::execution::SendableRecordBatchStream> {
                self.read(partition, context)
            }

            fn statistics_from_inputs(
                &self,
                input_stats: &[std::sync::Arc<datafusion::common::Statistics>],
                _args: &datafusion::physical_plan::StatisticsArgs,
            ) -> datafusion::common::Result<std::sync::Arc<datafusion::common::Statistics>> {
                match input_stats {
                    [statistics] => Ok(std::sync::Arc::clone(statistics)),
                    _ => datafusion::common::internal_err!("{} has one input", self.name()),
                }
            }
        }
    };
}

pub(crate) use hands_through;
