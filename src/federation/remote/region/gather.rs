//! Finding a region in a plan.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection};

use super::{Inputs, MOST_INPUTS, Reducer, Region};

impl Region {
    /// The joins on top of `plan`; `None` where there are none that may be done in another order.
    pub(in crate::federation::remote) fn of(plan: &LogicalPlan) -> Option<Self> {
        let mut found = Gathered::default();
        found.gather(plan);
        if found.inputs.len() + found.joins.len() < 2 || found.inputs.len() > MOST_INPUTS {
            return None;
        }
        found.finished(plan)
    }
}

#[derive(Default)]
struct Gathered {
    inputs: Vec<LogicalPlan>,
    pairs: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
    /// Semi- and anti-joins, those below before those above them.
    joins: Vec<Join>,
}

impl Gathered {
    #[recursive::recursive]
    fn gather(&mut self, plan: &LogicalPlan) {
        if self.inputs.len() > MOST_INPUTS {
            return;
        }
        match plan {
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner && is_free(join) => {
                self.gather(&join.left);
                self.gather(&join.right);
                self.pairs.extend(join.on.iter().cloned());
                self.conditions.extend(join.filter.iter().cloned().flat_map(split_conjunction_owned));
            }
            LogicalPlan::Join(join) if is_reducer(join) => match turned(join) {
                Some(join) => self.reduced(join),
                None => self.inputs.push(plan.clone()),
            },
            LogicalPlan::Projection(projection)
                if passes_columns(projection) && is_joined(&projection.input) =>
            {
                self.gather(&projection.input);
            }
            input => self.inputs.push(input.clone()),
        }
    }

    fn reduced(&mut self, join: Join) {
        self.gather(&join.left);
        self.joins.push(join);
    }

    fn finished(self, plan: &LogicalPlan) -> Option<Region> {
        let mut owners = HashMap::new();
        let mut all = DFSchema::empty();
        for (place, input) in self.inputs.iter().enumerate() {
            for column in input.schema().columns() {
                // Which of two is meant would be a guess.
                if owners.insert(column, place).is_some() {
                    return None;
                }
            }
            all = all.join(input.schema()).ok()?;
        }
        let of = |expr: &Expr| inputs_of(expr, &owners);
        let mut equal: Vec<Vec<(Expr, Inputs)>> = Vec::new();
        for (left, right) in self.pairs {
            if left.get_type(&all).ok()? != right.get_type(&all).ok()? {
                return None;
            }
            let pair = [(left.clone(), of(&left)?), (right.clone(), of(&right)?)];
            if pair.iter().any(|(_, of)| *of == Inputs::NONE) {
                return None;
            }
            let (mut class, others): (Vec<_>, Vec<_>) = equal
                .into_iter()
                .partition(|class| class.iter().any(|(expr, _)| *expr == left || *expr == right));
            equal = others;
            let mut together: Vec<(Expr, Inputs)> = class.drain(..).flatten().collect();
            for one in pair {
                if !together.contains(&one) {
                    together.push(one);
                }
            }
            equal.push(together);
        }
        let conditions = self.conditions.into_iter().map(|condition| {
            // What no column decides is said of the first.
            let of = Some(of(&condition)?).filter(|of| *of != Inputs::NONE).unwrap_or(Inputs::one(0));
            Some((condition, of))
        });
        let conditions = conditions.collect::<Option<Vec<_>>>()?;
        let reducers = self.joins.into_iter().map(|join| {
            let of = compared(&join, &owners)?;
            Some(Reducer { join, of })
        });
        let reducers = reducers.collect::<Option<Vec<_>>>()?;
        let schema = Arc::clone(plan.schema());
        Some(Region { inputs: self.inputs, reducers, equal, conditions, schema })
    }
}

/// Whether `join` says nothing but when two rows are partners.
fn is_free(join: &Join) -> bool {
    let is_plain = |expr: &Expr| {
        !expr.is_volatile()
            && !expr
                .exists(|expr| {
                    Ok(matches!(
                        expr,
                        Expr::ScalarSubquery(_)
                            | Expr::Exists(_)
                            | Expr::InSubquery(_)
                            | Expr::SetComparison(_)
                            | Expr::OuterReferenceColumn(..)
                    ))
                })
                .unwrap_or(true)
    };
    !join.null_aware
        && join.null_equality == NullEquality::NullEqualsNothing
        && join.on.iter().all(|(left, right)| is_plain(left) && is_plain(right))
        && join.filter.iter().all(is_plain)
}

fn is_reducer(join: &Join) -> bool {
    let gives_one_side = matches!(
        join.join_type,
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti
    );
    gives_one_side && !join.on.is_empty() && is_free(join)
}

/// `join`, which gives one of its sides, as one that gives the left one.
fn turned(join: &Join) -> Option<Join> {
    let join_type = match join.join_type {
        JoinType::RightSemi => JoinType::LeftSemi,
        JoinType::RightAnti => JoinType::LeftAnti,
        _ => return Some(join.clone()),
    };
    let turned = Join::try_new(
        Arc::clone(&join.right),
        Arc::clone(&join.left),
        join.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect(),
        join.filter.clone(),
        join_type,
        JoinConstraint::On,
        join.null_equality,
        join.null_aware,
    );
    turned.ok()
}

fn is_joined(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => (join.join_type == JoinType::Inner && is_free(join)) || is_reducer(join),
        LogicalPlan::Projection(projection) => passes_columns(projection) && is_joined(&projection.input),
        _ => false,
    }
}

/// Whether `projection` leaves columns out, and does nothing else.
fn passes_columns(projection: &Projection) -> bool {
    let columns = projection.schema.columns();
    projection.expr.iter().zip(&columns).all(|(expr, column)| matches!(expr, Expr::Column(of) if of == column))
}

/// The inputs whose columns `expr` has; `None` where one is no input's.
fn inputs_of(expr: &Expr, owners: &HashMap<Column, usize>) -> Option<Inputs> {
    let places =
        expr.column_refs().into_iter().map(|column| owners.get(column).map(|&place| Inputs::one(place)));
    let places = places.collect::<Option<Vec<_>>>()?;
    Some(places.into_iter().fold(Inputs::NONE, Inputs::and))
}

/// The inputs that a semi- or anti-join compares columns of; `None` where the other side has columns of the same names.
fn compared(join: &Join, owners: &HashMap<Column, usize>) -> Option<Inputs> {
    let of_other = join.right.schema().columns();
    if of_other.iter().any(|column| owners.contains_key(column)) {
        return None;
    }
    let mut of = Inputs::NONE;
    for (left, _) in &join.on {
        of = of.and(inputs_of(left, owners)?);
    }
    for column in join.filter.iter().flat_map(Expr::column_refs) {
        match owners.get(column) {
            Some(&place) => of = of.and(Inputs::one(place)),
            None if of_other.contains(column) => {}
            None => return None,
        }
    }
    Some(of)
}
