//! Where a column comes from, below an operator, so that leaving out rows there does the same as leaving them out above.

use std::sync::Arc;

use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;

use super::gather::GatherKeys;

/// What a column is in an input of an operator.
pub(super) struct Origin {
    /// Which input.
    pub(super) input: usize,
    pub(super) expr: PhysicalExprRef,
}

/// All inputs of `plan` whose rows with other values of the column `expr` may be left out, if those of `plan` may.
pub(super) fn origins(plan: &Arc<dyn ExecutionPlan>, expr: &PhysicalExprRef) -> Vec<Origin> {
    let Some(column) = expr.downcast_ref::<Column>().filter(|_| plan.fetch().is_none()) else {
        return Vec::new();
    };
    if plan.is::<UnionExec>() {
        return (0..plan.children().len()).filter_map(|input| passed_on(plan, input, column.index())).collect();
    }
    let origin = origin(plan, expr);
    let partner = match (plan.downcast_ref::<HashJoinExec>(), &origin) {
        (Some(join), Some(origin)) => partner(join, origin),
        _ => None,
    };
    origin.into_iter().chain(partner).collect()
}

/// The input of `plan` that has all values of its column `expr`, and whose rows with other values may be left out, if those
/// of `plan` may. None where `plan` computes the column, or gives a number of rows.
pub(super) fn origin(plan: &Arc<dyn ExecutionPlan>, expr: &PhysicalExprRef) -> Option<Origin> {
    let place = expr.downcast_ref::<Column>().filter(|_| plan.fetch().is_none())?.index();
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return side(join, place);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let expr = Arc::clone(&projection.expr().get(place)?.expr);
        return Some(Origin { input: 0, expr });
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        let is_plain = groups.is_single() && aggregate.limit_options().is_none();
        let (expr, _) = groups.expr().get(place).filter(|_| is_plain)?;
        return Some(Origin { input: 0, expr: Arc::clone(expr) });
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let place = filter.projection().as_ref().map_or(Some(place), |places| places.get(place).copied());
        return passed_on(plan, 0, place?);
    }
    let changes_nothing = plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<GatherKeys>();
    if changes_nothing { passed_on(plan, 0, place) } else { None }
}

fn passed_on(plan: &Arc<dyn ExecutionPlan>, input: usize, place: usize) -> Option<Origin> {
    let name = plan.children().get(input)?.schema().fields().get(place)?.name().clone();
    Some(Origin { input, expr: Arc::new(Column::new(&name, place)) })
}

/// The side that column `place` of `join` is of. It may lose rows if the join gives none for them but with a partner, or
/// their own.
fn side(join: &HashJoinExec, place: usize) -> Option<Origin> {
    let (left, right) = (join.left().schema(), join.right().schema());
    let (_, columns) = build_join_schema(&left, &right, join.join_type());
    let place = join.projection.as_ref().map_or(Some(place), |places| places.get(place).copied());
    let column = columns.get(place?).filter(|_| !join.null_aware)?;
    let (input, side) = match (column.side, join.join_type()) {
        (
            JoinSide::Left,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark,
        ) => (0, left),
        (
            JoinSide::Right,
            JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark,
        ) => (1, right),
        _ => return None,
    };
    Some(Origin { input, expr: Arc::new(Column::new(side.field(column.index).name(), column.index)) })
}

/// Where rows of the side that is read last are left out, what the side that is read first has for them alone need not be
/// read either. Of the former is asked for what the latter has in any case.
fn partner(join: &HashJoinExec, origin: &Origin) -> Option<Origin> {
    if origin.input != 1 {
        return None;
    }
    let (of_left, _) = join.on().iter().find(|(_, of_right)| of_right == &origin.expr)?;
    Some(Origin { input: 0, expr: Arc::clone(of_left) })
}
