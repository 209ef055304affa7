//! Which joins bind a question: a rule over operators, after each join's sides are settled.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr::{PhysicalExprRef, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::gather::GatherKeys;
use super::origin::{Origin, origin, origins};
use super::{Bound, Gathered};
use crate::federation::collation::{ComparisonKey, Key};
use crate::federation::remote::scan::LiveScanExec;
use crate::federation::remote::widening::widens;

/// Binds the probe side of hash joins to the keys of the build side.
#[derive(Debug, Default)]
pub struct BindJoins;

impl PhysicalOptimizerRule for BindJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match node.downcast_ref::<HashJoinExec>() {
            Some(join) => match bound(join)? {
                Some(bound) => Ok(Transformed::yes(bound)),
                None => Ok(Transformed::no(node)),
            },
            None => Ok(Transformed::no(node)),
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
        if let Some(asking) = asking(&probe, of_probe, None, &gathered)? {
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

/// `probe` with the question that gives the values of `expr` bound.
fn asking(
    probe: &Arc<dyn ExecutionPlan>,
    expr: &PhysicalExprRef,
    key: Option<Key>,
    gathered: &Arc<Gathered>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some((key, text)) = keyed(expr) {
        return asking(probe, &text, Some(key), gathered);
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(&probe.schema())?;
        return if widens(&from, cast.cast_type()) {
            asking(probe, cast.expr(), key, gathered)
        } else {
            Ok(None)
        };
    }
    if let Some(scan) = probe.downcast_ref::<LiveScanExec>() {
        let Some(column) = expr.downcast_ref::<Column>().filter(|_| scan.is_bindable()) else {
            return Ok(None);
        };
        let bound = Bound::new(scan.query(), column.index(), key, Arc::clone(gathered));
        return Ok(bound.map(|bound| Arc::new(scan.bound(bound)) as _));
    }
    let mut asking_of = None;
    for Origin { input, expr } in origins(probe, expr) {
        let probe = asking_of.as_ref().unwrap_or(probe);
        if let Some(asking) = asking(probe.children()[input], &expr, key.clone(), gathered)? {
            asking_of = Some(with_input(probe, input, asking)?);
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
