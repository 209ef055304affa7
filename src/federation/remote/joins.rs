//! Taking a join of two fragments of one source.

use std::sync::Arc;

use crossweave_contract::{CompareOp, JoinKind, Relation, RemoteColumn, RemoteExpr, TableKind};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Join, LogicalPlan, Operator, binary_expr};

use super::expressions::{Scope, Taken, check_literals, refuse};
use super::fragment::{Fragment, Output, Picked, keys_of_join};

/// In one statement a MariaDB joins no more tables.
const MOST_TABLES: usize = 61;

/// `join` of what `left` and `right` are asked for.
pub(super) fn join(join: &Join, left: &Fragment, right: &Fragment) -> Result<Taken<Fragment>> {
    let taken = match taken(join, left, right) {
        Ok(taken) => taken,
        Err(why) => return Ok(Err(why)),
    };
    let Taking { fragment, fans_out } = taken;
    // A side that was itself taken apart stays so, unless what is taken above makes up for it.
    if !fans_out && left.apart.is_none() && right.apart.is_none() {
        return Ok(Ok(fragment));
    }
    let mut here = join.clone();
    here.left = Arc::new(left.clone().finished()?);
    here.right = Arc::new(right.clone().finished()?);
    Ok(Ok(Fragment { apart: Some(Box::new(LogicalPlan::Join(here))), ..fragment }))
}

/// As [`join`], where it gives no more rows than its sides have.
pub(super) fn without_more_rows(join: &Join, left: &Fragment, right: &Fragment) -> Result<Taken<Fragment>> {
    if left.apart.is_some() || right.apart.is_some() {
        return Ok(refuse("a side has more rows than its tables"));
    }
    Ok(taken(join, left, right).and_then(|Taking { fragment, fans_out }| match fans_out {
        true => refuse("it has more rows than its sides"),
        false => Ok(fragment),
    }))
}

struct Taking {
    fragment: Fragment,
    fans_out: bool,
}

fn taken(join: &Join, left: &Fragment, right: &Fragment) -> Taken<Taking> {
    if !Arc::ptr_eq(&left.source, &right.source) {
        return refuse("its sides are on two sources");
    }
    if join.null_aware || join.null_equality != NullEquality::NullEqualsNothing {
        return refuse("it tells NULLs apart, or joins them");
    }
    if left.relation.tables().len() + right.relation.tables().len() > MOST_TABLES {
        return refuse(format!("in one statement no more than {MOST_TABLES} tables are joined there"));
    }
    let (kind, swapped) = match join.join_type {
        JoinType::Inner => (JoinKind::Inner, false),
        JoinType::Left => (JoinKind::Left, false),
        JoinType::Right => (JoinKind::Left, true),
        JoinType::LeftSemi => (JoinKind::Semi, false),
        JoinType::RightSemi => (JoinKind::Semi, true),
        JoinType::LeftAnti => (JoinKind::Anti, false),
        JoinType::RightAnti => (JoinKind::Anti, true),
        other => return refuse(format!("a {other} join is computed here")),
    };
    let (first, second) = if swapped { (right, left) } else { (left, right) };
    if join.on.is_empty() {
        return refuse("its sides have no columns in common");
    }
    if kind == JoinKind::Anti && has_view(&first.relation) {
        return refuse(
            "of rows of a view that are to have no partner the server may forget what they are joined by",
        );
    }
    let width = first.columns.len();
    let mut columns: Vec<RemoteColumn> = first.columns.iter().chain(&second.columns).cloned().collect();
    let shifted = second.outputs.iter().map(|output| output.moved(|place| place + width));
    let mut outputs: Vec<Output> = first.outputs.iter().cloned().chain(shifted).collect();
    if swapped {
        outputs.rotate_left(first.outputs.len());
    }
    let schema = left.schema.join(&right.schema).map_err(|error| error.strip_backtrace())?;
    let moved = second.picked.iter().map(|(place, group)| (place + width, group.map(|group| group + width)));
    let picked: Picked = first.picked.clone().into_iter().chain(moved).collect();
    let scope = Scope { schema: &schema, outputs: &outputs, columns: &columns, picked: &picked };
    let Partners { on, of_first, of_second } = partners(join, &scope, width)?;
    let unique = [first.is_unique(&of_first), second.is_unique(&of_second)];
    let fans_out = match kind {
        JoinKind::Inner => !(unique[0] || unique[1]),
        JoinKind::Left => !unique[1],
        JoinKind::Semi | JoinKind::Anti => false,
    };
    check_literals(first.relation.literals() + second.relation.literals() + on.literals())?;
    let keys = keys_of_join(first, second, kind, unique);
    match kind {
        JoinKind::Semi | JoinKind::Anti => {
            columns.truncate(width);
            outputs = first.outputs.clone();
        }
        JoinKind::Left => columns[width..].iter_mut().for_each(|column| column.nullable = true),
        JoinKind::Inner => {}
    }
    let relation = Relation::Join {
        left: Box::new(first.relation.clone()),
        right: Box::new(second.relation.clone()),
        kind,
        on,
    };
    let (schema, source) = (Arc::clone(&join.schema), Arc::clone(&left.source));
    Ok(Taking {
        fragment: Fragment { relation, columns, outputs, schema, source, picked, keys, apart: None },
        fans_out,
    })
}

/// Whether rows of a view are read. By `exists_to_in` MariaDB (10.11.19) gives such without a partner joined with each row;
/// switched off, it would look for each row's partners anew.
fn has_view(relation: &Relation) -> bool {
    relation.tables().iter().any(|table| table.kind == TableKind::View)
}

/// When two rows are partners, and the columns of each side that are equal then.
struct Partners {
    on: RemoteExpr,
    of_first: Vec<usize>,
    of_second: Vec<usize>,
}

fn partners(join: &Join, scope: &Scope<'_>, width: usize) -> Taken<Partners> {
    let mut on = Vec::new();
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    for (one, other) in &join.on {
        let equal = scope.condition(&binary_expr(one.clone(), Operator::Eq, other.clone()))?;
        if let RemoteExpr::Compare { op: CompareOp::Eq, left, right } = &equal {
            for side in [left, right] {
                match **side {
                    RemoteExpr::Column(place) if place < width => of_first.push(place),
                    RemoteExpr::Column(place) => of_second.push(place - width),
                    _ => {}
                }
            }
        }
        on.push(equal);
    }
    for condition in join.filter.iter().flat_map(split_conjunction) {
        on.push(scope.condition(condition)?);
    }
    let on = if on.len() == 1 { on.remove(0) } else { RemoteExpr::And(on) };
    Ok(Partners { on, of_first, of_second })
}
