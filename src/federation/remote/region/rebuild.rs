//! Making joins of a region again.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    EmptyRelation, Expr, Filter, Join, JoinConstraint, LogicalPlan, Operator, Projection, binary_expr,
};

use super::{Inputs, Part, Reducer, Region, again};

impl Region {
    /// The input at `place`, with what is said of it alone.
    pub(in crate::federation::remote) fn input(&self, place: usize) -> Result<LogicalPlan> {
        let of = Inputs::one(place);
        let input = self.inputs[place].clone();
        match conjunction(self.new_conditions(Inputs::NONE, of)) {
            Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(input))?)),
            None => Ok(input),
        }
    }

    /// The inner join of `left` and `right`.
    pub(in crate::federation::remote) fn join(
        &self,
        left: Part<LogicalPlan>,
        right: Part<LogicalPlan>,
    ) -> Result<Join> {
        Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            self.pairs(left.of, right.of),
            conjunction(self.new_conditions(left.of, right.of)),
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )
    }

    /// `join` as it would be of plans that have the columns of `left` and `right`.
    pub(in crate::federation::remote) fn join_of<P>(
        &self,
        left: &Part<P>,
        right: &Part<P>,
        schema: impl Fn(&P) -> LogicalPlan,
    ) -> Result<Join> {
        let standing_in = |part: &Part<P>| Part { of: part.of, plan: schema(&part.plan) };
        self.join(standing_in(left), standing_in(right))
    }

    /// What becomes true, beside the pairs, where `left` and `right` are joined, and is not yet of one of them.
    fn new_conditions(&self, left: Inputs, right: Inputs) -> Vec<Expr> {
        let both = left.and(right);
        let is_new = |of: Inputs| {
            both.contains(of) && !left.contains(of) && (left == Inputs::NONE || !right.contains(of))
        };
        let mut conditions: Vec<Expr> = self
            .conditions
            .iter()
            .filter(|(_, of)| is_new(*of))
            .map(|(condition, _)| condition.clone())
            .collect();
        for class in &self.equal {
            let (new, known): (Vec<_>, Vec<_>) =
                class.iter().filter(|(_, of)| both.contains(*of)).partition(|(_, of)| is_new(*of));
            let mut new = new.into_iter();
            let Some((base, _)) = known.first().copied().or_else(|| new.next()) else { continue };
            conditions.extend(new.map(|(expr, _)| binary_expr(base.clone(), Operator::Eq, expr.clone())));
        }
        conditions
    }

    /// The columns of `plan`, joined of the inputs `of`, that are still needed, `None` if all; `reducers` are those that are
    /// still to be done.
    pub(in crate::federation::remote) fn needed(
        &self,
        plan: &LogicalPlan,
        of: Inputs,
        reducers: impl Iterator<Item = usize>,
    ) -> Option<Vec<Expr>> {
        let mut needed: HashSet<Column> = self.schema.columns().into_iter().collect();
        let mut need = |expr: &Expr| needed.extend(expr.column_refs().into_iter().cloned());
        self.conditions.iter().filter(|(_, inputs)| !of.contains(*inputs)).for_each(|(expr, _)| need(expr));
        for class in &self.equal {
            let (within, without): (Vec<_>, Vec<_>) =
                class.iter().partition(|(_, inputs)| of.contains(*inputs));
            if !without.is_empty() {
                within.iter().take(1).chain(&without).for_each(|(expr, _)| need(expr));
            }
        }
        for join in reducers.map(|place| &self.reducers[place].join) {
            join.on.iter().for_each(|(left, _)| need(left));
            join.filter.iter().for_each(&mut need);
        }
        let columns = plan.schema().columns();
        let mut kept: Vec<Column> = columns.iter().filter(|column| needed.contains(*column)).cloned().collect();
        if kept.len() == columns.len() {
            return None;
        }
        if kept.is_empty() {
            kept.extend(columns.into_iter().take(1));
        }
        Some(kept.into_iter().map(Expr::Column).collect())
    }

    /// `plan`, joined of the inputs `of`, without columns that are no longer needed.
    pub(in crate::federation::remote) fn pruned(
        &self,
        plan: LogicalPlan,
        of: Inputs,
        reducers: impl Iterator<Item = usize>,
    ) -> Result<LogicalPlan> {
        match self.needed(&plan, of, reducers) {
            Some(kept) => Projection::try_new(kept, Arc::new(plan)).map(LogicalPlan::Projection),
            None => Ok(plan),
        }
    }

    /// Semi- or anti-join `place` over `left`.
    pub(in crate::federation::remote) fn reduced(
        &self,
        place: usize,
        left: LogicalPlan,
        right: LogicalPlan,
    ) -> Result<LogicalPlan> {
        LogicalPlan::Join(again(&self.reducers[place].join, left, right)).recompute_schema()
    }

    /// Semi- or anti-join `place` by what is equal in the inputs `of` to what it compares; `None` where nothing is.
    pub(in crate::federation::remote) fn reducing(
        &self,
        place: usize,
        of: Inputs,
    ) -> Option<Vec<(Expr, Expr)>> {
        let Reducer { join, of: compared } = &self.reducers[place];
        if of.contains(*compared) {
            return Some(join.on.clone());
        }
        if join.filter.is_some() {
            return None;
        }
        let pairs = join.on.iter().map(|(left, right)| {
            let class = self.equal.iter().find(|class| class.iter().any(|(expr, _)| expr == left))?;
            let (equal, _) = class.iter().find(|(_, inputs)| of.contains(*inputs))?;
            Some((equal.clone(), right.clone()))
        });
        pairs.collect()
    }

    /// Semi- or anti-join `place` by the pairs `on`.
    pub(in crate::federation::remote) fn reduced_by(
        &self,
        place: usize,
        on: Vec<(Expr, Expr)>,
        left: LogicalPlan,
        right: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let join = Join { on, ..again(&self.reducers[place].join, left, right) };
        LogicalPlan::Join(join).recompute_schema()
    }

    /// `plan`, joined of all inputs, as the region gives it.
    pub(in crate::federation::remote) fn finished(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if plan.schema().columns() == self.schema.columns() {
            return Ok(plan);
        }
        self.projection(plan).map(LogicalPlan::Projection)
    }

    /// The region's columns of `plan`, joined of all inputs.
    pub(in crate::federation::remote) fn projection(&self, plan: LogicalPlan) -> Result<Projection> {
        let columns = self.schema.columns().into_iter().map(Expr::Column).collect();
        Projection::try_new_with_schema(columns, Arc::new(plan), Arc::clone(&self.schema))
    }
}

/// No rows, with the columns of `schema`: stands in for what is known by its columns alone.
pub(in crate::federation::remote) fn standing_in(schema: &datafusion::common::DFSchemaRef) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::clone(schema) })
}
