//! What sources expect of what they are asked, before it is planned.

use crossweave_contract::Expectation;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::future::join_all;

use super::bind::KEYS_IN_A_SCAN;
use super::node::RemoteNode;
use super::{PushDown, PushDownKind};

/// `plan` with what the sources expect at its questions: where rows of several are joined, and it is `allowed` to ask
/// for the rows with keys or values that are known once it runs. Who cannot give one gives none. Sources of questions whose
/// answers will be read whole make ready for that.
///
/// # Errors
///
/// None of sources: what is wrong with them the questions tell.
pub async fn estimated(plan: LogicalPlan, allowed: &PushDown) -> Result<LogicalPlan> {
    let (mut nodes, mut joins, mut values) = (Vec::new(), false, false);
    plan.apply_with_subqueries(|plan| {
        joins |= matches!(plan, LogicalPlan::Join(_));
        values |= matches!(plan, LogicalPlan::Filter(filter) if has_value(&filter.predicate));
        nodes.extend(RemoteNode::of(plan).cloned());
        Ok(TreeNodeRecursion::Continue)
    })?;
    let binds = allowed.allows(PushDownKind::Bind);
    if !joins || !binds || nodes.is_empty() {
        join_all(nodes.iter().map(RemoteNode::prepare)).await;
        return if binds && values { with_nodes(plan, RemoteNode::bindable) } else { Ok(plan) };
    }
    let asked = join_all(nodes.iter().map(|node| async move { node.ask().await.ok().flatten() })).await;
    let known: Vec<(RemoteNode, Option<Expectation>)> = nodes.into_iter().zip(asked).collect();
    // What no other question has few enough keys for is read whole.
    let may_be_bound = |node: &RemoteNode| {
        let few = |expected: &Expectation| expected.rows <= KEYS_IN_A_SCAN as u64;
        known.iter().any(|(other, expected)| other != node && expected.as_ref().is_some_and(few))
    };
    join_all(known.iter().filter(|(node, _)| !may_be_bound(node)).map(|(node, _)| node.prepare())).await;
    with_nodes(plan, |node| {
        let expected =
            known.iter().find(|(other, _)| *other == node).and_then(|(_, expected)| expected.clone());
        node.expecting(expected).bindable()
    })
}

/// `plan` with all its questions as `change` makes them.
fn with_nodes(plan: LogicalPlan, change: impl Fn(RemoteNode) -> RemoteNode) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match RemoteNode::of(&plan) {
        Some(node) => Ok(Transformed::yes(change(node.clone()).into_plan())),
        None => Ok(Transformed::no(plan)),
    })
    .data()
}

/// Whether there is the value of a subquery in `expr`.
fn has_value(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_)))).unwrap_or(false)
}

/// `plan` with what the sources expect at all its questions, for EXPLAIN: also where nothing is decided by it.
///
/// # Errors
///
/// None of sources.
pub async fn told(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut untold = Vec::new();
    plan.apply_with_subqueries(|plan| {
        untold.extend(RemoteNode::of(plan).filter(|node| node.rows().is_none()).cloned());
        Ok(TreeNodeRecursion::Continue)
    })?;
    let asked = join_all(untold.iter().map(|node| async move { node.ask().await.ok().flatten() })).await;
    plan.transform_up_with_subqueries(|plan| {
        let place = RemoteNode::of(&plan).and_then(|node| untold.iter().position(|other| other == node));
        let Some(place) = place else { return Ok(Transformed::no(plan)) };
        Ok(Transformed::yes(untold[place].clone().expecting(asked[place].clone()).into_plan()))
    })
    .data()
}
