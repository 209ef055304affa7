//! Which joins and filters bind a question: a rule over operators, after each join's sides are settled.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr::{PhysicalExprRef, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::gather::GatherKeys;
use super::origin::{Origin, origin, origins};
use super::values::Condition;
use super::{Bound, Compared, Gathered};
use crate::federation::collation::{ComparisonKey, Key};
use crate::federation::remote::scan::LiveScanExec;
use crate::federation::remote::widening::widens;

/// Binds the probe side of hash joins to the keys of the build side, and what filters read to the values of subqueries.
#[derive(Debug, Default)]
pub struct BindJoins;

impl PhysicalOptimizerRule for BindJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
                bound(join)?
            } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
                compared(&node, filter)?
            } else {
                None
            };
            Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "bind_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `join` with its probe side bound; `None` where it cannot be.
fn bound(join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let gives_nothing_without_partner = matches!(
        join.join_type(),
        JoinType::Inner
            | JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::RightSemi
            | JoinType::LeftMark
    );
    if !gives_nothing_without_partner
        || join.null_aware
        || join.null_equality() != NullEquality::NullEqualsNothing
        || join.on().is_empty()
    {
        return Ok(None);
    }
    let (mut build, mut probe) = (Arc::clone(join.left()), Arc::clone(join.right()));
    let mut is_bound = false;
    for (of_build, of_probe) in join.on() {
        let gathered = Gathered::new();
        let key = key_of(&probe, of_probe);
        let Some(gathering) = gathering(&build, of_build, key.as_ref(), &gathered)? else { continue };
        let ask = |scan: &LiveScanExec, place: usize, key: Option<Key>| {
            Some(scan.bound(Bound::new(scan.query(), place, key, Arc::clone(&gathered))?))
        };
        if let Some(asking) = asking(&probe, of_probe, None, &ask)? {
            (build, probe, is_bound) = (gathering, asking, true);
        }
    }
    if !is_bound {
        return Ok(None);
    }
    // The build side is read whole before the first question is asked, which only one task may then wait for.
    let joined = join.builder().with_partition_mode(PartitionMode::CollectLeft);
    joined.with_new_children(vec![build, probe])?.build_exec().map(Some)
}

/// What stands for the texts that `expr` compares over `plan`, where it compares texts.
fn key_of(plan: &Arc<dyn ExecutionPlan>, expr: &PhysicalExprRef) -> Option<Key> {
    if let Some((key, _)) = keyed(expr) {
        return Some(key);
    }
    let Origin { input, expr } = origin(plan, expr)?;
    key_of(plan.children()[input], &expr)
}

/// The key and the text's column, if `expr` is the key of a column.
fn keyed(expr: &PhysicalExprRef) -> Option<(Key, PhysicalExprRef)> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let function = call.fun().inner().downcast_ref::<ComparisonKey>()?;
    let [text] = call.args() else { return None };
    text.downcast_ref::<Column>()?;
    Some((function.key().clone(), Arc::clone(text)))
}

/// `build` with the values of `expr` gathered: of texts those that `key` is made of.
fn gathering(
    build: &Arc<dyn ExecutionPlan>,
    expr: &PhysicalExprRef,
    key: Option<&Key>,
    gathered: &Arc<Gathered>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let gather = |expr| Arc::new(GatherKeys::new(Arc::clone(build), expr, Arc::clone(gathered))) as _;
    let Some(key) = key else { return Ok(Some(gather(Arc::clone(expr)))) };
    if let Some((own, text)) = keyed(expr) {
        return Ok((own == *key).then(|| gather(text)));
    }
    let Some(Origin { input, expr }) = origin(build, expr) else { return Ok(None) };
    match gathering(build.children()[input], &expr, Some(key), gathered)? {
        Some(gathering) => with_input(build, input, gathering).map(Some),
        None => Ok(None),
    }
}

/// `filter`, which is `node`, with the questions below it asked for what its conditions with subqueries' values may be true
/// for; `None` where none can be.
fn compared(node: &Arc<dyn ExecutionPlan>, filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut asking_of = None;
    for condition in split_conjunction(filter.predicate()).into_iter().filter_map(Condition::of) {
        let ask = |scan: &LiveScanExec, place: usize, key: Option<Key>| match key {
            Some(_) => None,
            None => Some(scan.compared(Compared::new(scan.query(), place, &condition)?)),
        };
        let input = asking_of.as_ref().unwrap_or(filter.input());
        if let Some(asking) = asking(input, &condition.of, None, &ask)? {
            asking_of = Some(asking);
        }
    }
    asking_of.map(|input| with_input(node, 0, input)).transpose()
}

/// The question `scan`, asked for less by its column at a place, where it can be: of texts by those that a key is made of.
type Ask<'a> = dyn Fn(&LiveScanExec, usize, Option<Key>) -> Option<LiveScanExec> + 'a;

/// `plan` with the questions that give the values of `expr` asked as `ask` says; `None` where none can be.
fn asking(
    plan: &Arc<dyn ExecutionPlan>,
    expr: &PhysicalExprRef,
    key: Option<Key>,
    ask: &Ask<'_>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some((key, text)) = keyed(expr) {
        return asking(plan, &text, Some(key), ask);
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(&plan.schema())?;
        return if widens(&from, cast.cast_type()) { asking(plan, cast.expr(), key, ask) } else { Ok(None) };
    }
    if let Some(scan) = plan.downcast_ref::<LiveScanExec>() {
        let column = expr.downcast_ref::<Column>().filter(|_| scan.is_bindable());
        let asked = column.and_then(|column| ask(scan, column.index(), key));
        return Ok(asked.map(|scan| Arc::new(scan) as _));
    }
    let mut asking_of = None;
    for Origin { input, expr } in origins(plan, expr) {
        let plan = asking_of.as_ref().unwrap_or(plan);
        if let Some(asking) = asking(plan.children()[input], &expr, key.clone(), ask)? {
            asking_of = Some(with_input(plan, input, asking)?);
        }
    }
    Ok(asking_of)
}

fn with_input(
    plan: &Arc<dyn ExecutionPlan>,
    place: usize,
    input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut inputs: Vec<_> = plan.children().into_iter().cloned().collect();
    inputs[place] = input;
    replace_children_if_necessary(Arc::clone(plan), inputs)
}
