//! Taking the joins of a region, in the order in which most of it is asked of one source.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Join, LogicalPlan, Projection};

use super::PushDownKind;
use super::expressions::Taken;
use super::fragment::Fragment;
use super::region::{Inputs, Part, Region, standing_in};
use super::rule::{Piece, Walk};
use super::{joins, relations};
use crate::federation::live::LiveTable;

impl Walk<'_> {
    /// The joins on top of `plan`, where they are of several inputs that may be joined in another order.
    pub(super) fn region(&mut self, plan: &LogicalPlan) -> Result<Option<Piece>> {
        if !self.allowed.allows(PushDownKind::Join) {
            return Ok(None);
        }
        let Some(region) = Region::of(plan) else { return Ok(None) };
        if region.inputs.len() + region.reducers.len() < 3 || !region.inputs.iter().any(reads_live) {
            return Ok(None);
        }
        let inputs = (0..region.inputs.len()).map(|place| {
            let plan = self.visit(region.input(place)?)?;
            Ok(Part { of: Inputs::one(place), plan })
        });
        let parts = inputs.collect::<Result<Vec<_>>>()?;
        let reducers =
            region.reducers.iter().map(|reducer| self.visit((*reducer.join.right).clone()).map(Some));
        let reducers = reducers.collect::<Result<Vec<_>>>()?;
        Joining { region: &region, parts, reducers, walk: self }.done().map(Some)
    }
}

/// A region on the way.
struct Joining<'r, 'w, 'a> {
    region: &'r Region,
    /// What is joined so far.
    parts: Vec<Part<Piece>>,
    /// The other sides of semi- and anti-joins that are still to be done, by their places.
    reducers: Vec<Option<Piece>>,
    walk: &'w mut Walk<'a>,
}

impl Joining<'_, '_, '_> {
    fn done(mut self) -> Result<Piece> {
        self.take(joins::without_more_rows)?;
        self.reduce()?;
        if self.is_of_one_source() {
            // Whether that is for the better shows above.
            self.take(joins::join)?;
            self.reduce()?;
        }
        self.rest()
    }

    /// Whether nothing but questions to one source is left.
    fn is_of_one_source(&self) -> bool {
        let pieces =
            self.parts.iter().map(|part| Some(&part.plan)).chain(self.reducers.iter().map(Option::as_ref));
        let mut sources = pieces.flatten().map(|piece| piece.fragment().map(|fragment| &fragment.source));
        let Some(Some(first)) = sources.next() else { return false };
        sources.all(|source| source.is_some_and(|source| Arc::ptr_eq(source, first)))
    }

    /// Takes joins of two parts until there is none any more that `take` takes.
    fn take(&mut self, take: impl Fn(&Join, &Fragment, &Fragment) -> Result<Taken<Fragment>>) -> Result<()> {
        'again: loop {
            for right in 1..self.parts.len() {
                for left in 0..right {
                    if let Some(joined) = self.taken(left, right, &take)? {
                        self.parts.remove(right);
                        self.parts[left] = joined;
                        continue 'again;
                    }
                }
            }
            return Ok(());
        }
    }

    fn taken(
        &self,
        left: usize,
        right: usize,
        take: impl Fn(&Join, &Fragment, &Fragment) -> Result<Taken<Fragment>>,
    ) -> Result<Option<Part<Piece>>> {
        let (left, right) = (&self.parts[left], &self.parts[right]);
        let (Some(first), Some(second)) = (left.plan.fragment(), right.plan.fragment()) else {
            return Ok(None);
        };
        if !Arc::ptr_eq(&first.source, &second.source) || !self.region.are_connected(left.of, right.of) {
            return Ok(None);
        }
        let columns = |piece: &Piece| standing_in(piece.schema());
        let join = self.region.join_of(left, right, columns)?;
        let Ok(fragment) = take(&join, first, second)? else { return Ok(None) };
        let of = left.of.and(right.of);
        Ok(Some(Part { of, plan: Piece::Taken(Box::new(self.pruned(fragment, of)?)) }))
    }

    /// `fragment`, without columns that nothing more needs.
    fn pruned(&self, fragment: Fragment, of: Inputs) -> Result<Fragment> {
        let left = self.reducers.iter().enumerate().filter_map(|(place, other)| other.as_ref().map(|_| place));
        match self.region.needed(&standing_in(&fragment.schema), of, left) {
            Some(projection) => {
                let projection = Projection::try_new(projection, Arc::new(standing_in(&fragment.schema)))?;
                Ok(projected(projection, &fragment)?.unwrap_or(fragment))
            }
            None => Ok(fragment),
        }
    }

    /// Takes semi- and anti-joins of a part with what its source is asked for as well.
    fn reduce(&mut self) -> Result<()> {
        for place in 0..self.reducers.len() {
            if let Some((at, _, Ok(fragment))) = self.reduced(place)? {
                self.reducers[place] = None;
                let of = self.parts[at].of;
                let fragment = self.pruned(fragment, of)?;
                self.parts[at].plan = Piece::Taken(Box::new(fragment));
            }
        }
        Ok(())
    }

    /// Semi- or anti-join `place`, of which part, and what comes of it where its source is asked; `None` where both sides are
    /// not questions, or it was done. It is done to the part whose columns it compares, or to one of its other side's source
    /// that has what is equal to them.
    fn reduced(&self, place: usize) -> Result<Option<(usize, Join, Taken<Fragment>)>> {
        let Some(right) = self.reducers[place].as_ref().and_then(Piece::fragment) else { return Ok(None) };
        let of = self.region.reducers[place].of;
        let mut parts: Vec<usize> = (0..self.parts.len()).collect();
        parts.sort_by_key(|at| !self.parts[*at].of.contains(of));
        let mut first = None;
        for at in parts {
            let Some(left) = self.parts[at].plan.fragment() else { continue };
            let Some(on) = self.region.reducing(place, self.parts[at].of) else { continue };
            let (over, other) = (standing_in(&left.schema), standing_in(&right.schema));
            let LogicalPlan::Join(join) = self.region.reduced_by(place, on, over, other)? else { continue };
            let taken = joins::join(&join, left, right)?;
            if taken.is_ok() {
                return Ok(Some((at, join, taken)));
            }
            first = first.or(Some((at, join, taken)));
        }
        Ok(first)
    }

    /// Joins here what is left, in the order in which it was written as far as conditions hold it together.
    fn rest(mut self) -> Result<Piece> {
        if self.parts.len() == 1 && self.reducers.iter().all(Option::is_none) {
            let Part { plan, .. } = self.parts.remove(0);
            return match plan {
                Piece::Taken(fragment) => {
                    let projection = self.region.projection(standing_in(&fragment.schema))?;
                    match projected(projection, &fragment)? {
                        Ok(fragment) => Ok(Piece::Taken(Box::new(fragment))),
                        Err(_) => self.region.finished(fragment.finished()?).map(Piece::Plan),
                    }
                }
                Piece::Plan(plan) => self.region.finished(plan).map(Piece::Plan),
            };
        }
        self.say_why()?;
        let reducers = |this: &Self| -> Vec<usize> {
            (0..this.reducers.len()).filter(|place| this.reducers[*place].is_some()).collect()
        };
        let left = reducers(&self);
        let mut waiting = Vec::new();
        for Part { of, plan } in std::mem::take(&mut self.parts) {
            let plan = match plan {
                Piece::Taken(fragment) => self.pruned(*fragment, of)?.finished()?,
                Piece::Plan(plan) => plan,
            };
            waiting.push(Part { of, plan });
        }
        let mut joined = waiting.remove(0);
        while !waiting.is_empty() {
            let next = waiting.iter().position(|part| self.region.are_connected(joined.of, part.of));
            let next = waiting.remove(next.unwrap_or_default());
            let of = joined.of.and(next.of);
            let join = LogicalPlan::Join(self.region.join(joined, next)?);
            joined = Part { of, plan: self.region.pruned(join, of, left.iter().copied())? };
        }
        let mut plan = joined.plan;
        for place in left {
            if let Some(other) = self.reducers[place].take() {
                plan = self.region.reduced(place, plan, other.finished()?)?;
            }
        }
        self.region.finished(plan).map(Piece::Plan)
    }

    /// Says why the first two parts are not joined by their source, and semi- and anti-joins not done there, where all are
    /// questions.
    fn say_why(&mut self) -> Result<()> {
        let mut kept = Vec::new();
        if let [left, right, ..] = &self.parts[..]
            && let (Some(first), Some(second)) = (left.plan.fragment(), right.plan.fragment())
        {
            let join = self.region.join_of(left, right, |piece| standing_in(piece.schema()))?;
            if let Err(why) = joins::join(&join, first, second)? {
                kept.push((join, why));
            }
        }
        for place in 0..self.reducers.len() {
            if let Some((_, join, Err(why))) = self.reduced(place)? {
                kept.push((join, why));
            }
        }
        for (join, why) in kept {
            self.walk.keep(&LogicalPlan::Join(join), why);
        }
        Ok(())
    }
}

/// `projection`, which passes columns on, taken over `fragment`.
fn projected(projection: Projection, fragment: &Fragment) -> Result<Taken<Fragment>> {
    let taken = relations::projection(&projection, fragment, false);
    let operator = LogicalPlan::Projection(projection);
    taken
        .map(|taken| taken.over(fragment.apart.as_deref(), &operator))
        .map_or_else(|why| Ok(Err(why)), |taken| taken.map(Ok))
}

/// Whether `plan` reads a live table.
fn reads_live(plan: &LogicalPlan) -> bool {
    let is_live = |plan: &LogicalPlan| match plan {
        LogicalPlan::TableScan(scan) => LiveTable::of(scan).is_some(),
        _ => false,
    };
    plan.exists(|plan| Ok(is_live(plan))).unwrap_or_default()
}
