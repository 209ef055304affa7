//! The order of joins across sources: the one in which the fewest rows are fetched.
//!
//! Where one side of a join has few keys, the other is asked for the rows with one of them alone ([`bind`](super::bind)). So
//! it matters what is read first. Inner joins are put into the order that costs the least by what the sources expect
//! (`cost`, `sequence`); each next input is joined to all before it, which are read first. A semi-join is done where its
//! other side is the smaller one before the input that it reduces. Below a join that asks with keys, inputs are as small as
//! the keys leave them.
//!
//! All this decides how much is fetched, never what is answered. Where a guess is wrong, keys that turn out too many are not
//! sent, and all rows come.

mod cost;
mod sequence;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::{Expr, Join, JoinConstraint, LogicalPlan, Projection, Sort};

use super::bind::MOST_KEYS;
use super::node::RemoteNode;
use super::pages::{has_pages, paged};
use super::region::{Inputs, Part, Region, again};
use super::{PushDown, PushDownKind};
use cost::{Keys, Sized, below, of_leaf, over};
use sequence::{Input, Sequence};

/// So deep several ways are tried, of semi-joins and of sorts: each takes planning what is below more than once.
const DEEPEST_TRIED: usize = 3;

/// So many rows are handled as soon by one thread as by several, which would have to hand them to each other.
const FEW_ROWS: f64 = 1_000.0;

/// Pages are asked for where all rows are so many times as many.
const WORTH_PAGES: f64 = 3.0;

/// A plan whose joins are in order.
pub struct Ordered {
    /// The plan.
    pub plan: LogicalPlan,
    /// Whether few rows are expected of sources, and none come from elsewhere.
    pub few_rows: bool,
}

/// `plan`, whose questions have what their sources expect, with its joins in the order in which the least is fetched, as far
/// as that is `allowed`, and asked for by pages where `pages` says that it may.
///
/// # Errors
///
/// None but faults of this program.
pub fn ordered(plan: LogicalPlan, allowed: &PushDown, pages: bool) -> Result<Ordered> {
    let (mut questions, mut others) = (false, false);
    plan.apply_with_subqueries(|plan| {
        match RemoteNode::of(plan) {
            Some(_) => questions = true,
            None => others |= plan.inputs().is_empty(),
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !questions || !allowed.allows(PushDownKind::Bind) {
        return Ok(Ordered { plan, few_rows: false });
    }
    let pages = pages && allowed.allows(PushDownKind::Sort) && allowed.allows(PushDownKind::Limit);
    let Sized { plan, rows, fetched, .. } = Walk { within: 0, pages }.visit(plan, &Keys::default())?;
    Ok(Ordered { plan, few_rows: !others && rows.max(fetched) <= FEW_ROWS })
}

#[derive(Clone, Copy)]
struct Walk {
    /// In how many things this is of which several ways are tried.
    within: usize,
    pages: bool,
}

impl Walk {
    /// `plan`, ordered, and how large it is when it is asked for the rows with `keys` alone.
    #[recursive::recursive]
    fn visit(&self, plan: LogicalPlan, keys: &Keys) -> Result<Sized> {
        let plan = plan.map_subqueries(|plan| Ok(Transformed::yes(self.visit(plan, &Keys::default())?.plan)));
        let plan = plan.data()?;
        if let Some(region) = Region::of(&plan) {
            return self.region(&region, keys);
        }
        if let LogicalPlan::Join(join) = &plan {
            return self.join(join, keys);
        }
        if let LogicalPlan::Sort(sort) = &plan
            && let Some(input) = self.in_pages(sort)?
        {
            let (input, size) = input.split();
            let sort = Sort { input: Arc::new(input), ..sort.clone() };
            return Ok(over(LogicalPlan::Sort(sort), vec![size]));
        }
        if plan.inputs().is_empty() {
            return Ok(of_leaf(plan, keys));
        }
        let mut inputs = Vec::new();
        for (place, input) in plan.inputs().into_iter().enumerate() {
            inputs.push(self.visit(input.clone(), &below(&plan, place, keys))?);
        }
        let (plans, sizes): (Vec<_>, Vec<_>) = inputs.into_iter().map(Sized::split).unzip();
        let mut plans = plans.into_iter();
        let plan = plan.map_children(|input| Ok(Transformed::yes(plans.next().unwrap_or(input)))).data()?;
        Ok(over(plan, sizes))
    }

    /// What `sort` orders, asked for by pages where that fetches less.
    fn in_pages(&self, sort: &Sort) -> Result<Option<Sized>> {
        let may = self.pages && self.within < DEEPEST_TRIED;
        let Some(wanted) = sort.fetch.filter(|_| may) else { return Ok(None) };
        let Some(paged) = paged(&sort.input, &sort.expr) else { return Ok(None) };
        let within = Self { within: self.within + 1, ..*self };
        let whole = within.visit((*sort.input).clone(), &Keys::default())?;
        let page = within.visit(paged, &Keys::default())?;
        let pages = (wanted as f64 / page.rows).max(1.0);
        Ok((page.fetched * pages * WORTH_PAGES < whole.fetched).then_some(page))
    }

    /// The other side of a semi- or anti-join.
    fn other(&self, join: &Join, keys: &Keys) -> Result<Sized> {
        Self { within: self.within + 1, ..*self }.visit((*join.right).clone(), keys)
    }

    /// A join that stays where it is.
    fn join(&self, join: &Join, keys: &Keys) -> Result<Sized> {
        let left = self.visit((*join.left).clone(), keys)?;
        let asks = matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
        ) && !join.null_aware;
        let given = if asks { keys_of(&left, &join.on) } else { Keys::default() };
        let asked = !given.is_empty();
        let right = self.visit((*join.right).clone(), &given)?;
        let fetched = left.fetched + right.fetched;
        let gives_both =
            matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
        let rows = match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.rows,
            JoinType::Right | JoinType::Full => left.rows.max(right.rows),
            _ => left.rows,
        };
        let mut values = left.values.clone();
        if gives_both {
            values.extend(right.values.iter().map(|(column, values)| (column.clone(), *values)));
        }
        // What is read first is kept, so it is the smaller one where nothing is gained by its keys.
        let swap = !asked && right.rows < left.rows;
        let plan = match swapped(join.join_type).filter(|_| swap && !join.null_aware) {
            Some(join_type) => turned(join, join_type, left.plan, right.plan)?,
            None => LogicalPlan::Join(again(join, left.plan, right.plan)),
        };
        Ok(Sized { plan, rows, fetched, values })
    }

    /// Joins that may be done in any order.
    fn region(&self, region: &Region, keys: &Keys) -> Result<Sized> {
        let mut inputs = Vec::new();
        for place in 0..region.inputs.len() {
            inputs.push(self.visit(region.input(place)?, keys)?);
        }
        let mut later = Vec::new();
        for (place, reducer) in region.reducers.iter().enumerate() {
            let first = match reducer.join.join_type {
                JoinType::LeftSemi => self.reduced_before(region, place, &inputs)?,
                _ => None,
            };
            match first {
                Some((at, reduced)) => inputs[at] = reduced,
                None => later.push(place),
            }
        }
        let Sequence { order, .. } = sequence(region, &inputs);
        let mut inputs: Vec<Option<Sized>> = inputs.into_iter().map(Some).collect();
        let mut joined: Option<Part<Sized>> = None;
        for place in order {
            let Some(next) = inputs[place].take() else { continue };
            let next = Part { of: Inputs::one(place), plan: next };
            joined = Some(match joined {
                Some(before) => joined_to(region, before, next, &later)?,
                None => next,
            });
        }
        let Some(Part { plan: mut all, .. }) = joined else {
            return datafusion::common::internal_err!("joins of nothing");
        };
        for place in later {
            let join = &region.reducers[place].join;
            let given = keys_of(&all, &join.on);
            let other = self.other(join, &given)?;
            all.fetched += other.fetched;
            let first = given.is_empty() && other.rows < all.rows;
            all.plan = match swapped(join.join_type).filter(|_| first) {
                Some(join_type) => turned(join, join_type, all.plan, other.plan)?,
                None => region.reduced(place, all.plan, other.plan)?,
            };
        }
        all.plan = region.finished(all.plan)?;
        Ok(all)
    }

    /// The input that semi-join `place` reduces, reduced, where that is better done first.
    fn reduced_before(
        &self,
        region: &Region,
        place: usize,
        inputs: &[Sized],
    ) -> Result<Option<(usize, Sized)>> {
        let reducer = &region.reducers[place];
        let at = (0..inputs.len()).find(|&at| Inputs::one(at) == reducer.of);
        let may = |at: &usize| self.within < DEEPEST_TRIED && !has_pages(&inputs[*at].plan);
        let Some(at) = at.filter(may) else { return Ok(None) };
        let on = &reducer.join.on;
        let other = self.other(&reducer.join, &Keys::default())?;
        let turned_on: Vec<(Expr, Expr)> =
            on.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
        let step = cost::step(&other, &inputs[at], &turned_on);
        if !step.asks {
            return Ok(None);
        }
        let rows = step.rows.min(inputs[at].rows);
        let first = Sized { rows, fetched: step.fetched, ..inputs[at].clone() };
        let mut with: Vec<Sized> = inputs.to_vec();
        with[at] = first.clone();
        let before = other.fetched + sequence(region, &with).fetched;
        let all = sequence(region, inputs);
        let last = Sized { rows: all.rows, ..inputs[at].clone() };
        let asked = self.other(&reducer.join, &keys_of(&last, on))?;
        if before >= all.fetched + asked.fetched {
            return Ok(None);
        }
        let plan = turned(&reducer.join, JoinType::RightSemi, first.plan.clone(), other.plan)?;
        Ok(Some((at, Sized { plan, fetched: first.fetched + other.fetched, ..first })))
    }
}

fn swapped(join_type: JoinType) -> Option<JoinType> {
    match join_type {
        JoinType::Left => Some(JoinType::Right),
        JoinType::LeftSemi => Some(JoinType::RightSemi),
        JoinType::LeftAnti => Some(JoinType::RightAnti),
        _ => None,
    }
}

/// `join` of `left` and `right` with these the other way round, as a join of `join_type`, and the same columns.
fn turned(join: &Join, join_type: JoinType, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
    let on = join.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
    let turned = Join::try_new(
        Arc::new(right),
        Arc::new(left),
        on,
        join.filter.clone(),
        join_type,
        JoinConstraint::On,
        join.null_equality,
        false,
    )?;
    let plan = LogicalPlan::Join(turned);
    if join_type != JoinType::Right {
        return Ok(plan);
    }
    let columns = join.schema.columns().into_iter().map(Expr::Column).collect();
    Projection::try_new_with_schema(columns, Arc::new(plan), Arc::clone(&join.schema))
        .map(LogicalPlan::Projection)
}

/// The keys that `left` has for the right sides of `on`, as far as they are few.
fn keys_of(left: &Sized, on: &[(Expr, Expr)]) -> Keys {
    let pairs = on.iter().filter_map(|(of_left, of_right)| {
        let keys = left.rows.min(left.values_of(of_left).unwrap_or(f64::INFINITY));
        Some((only_column(of_right)?, keys)).filter(|_| keys <= MOST_KEYS as f64)
    });
    pairs.collect()
}

fn only_column(expr: &Expr) -> Option<Column> {
    let columns = expr.column_refs();
    let mut columns = columns.into_iter();
    let first = columns.next()?;
    columns.next().is_none().then(|| first.clone())
}

/// The inner join of `before` and `next`.
fn joined_to(
    region: &Region,
    before: Part<Sized>,
    next: Part<Sized>,
    reducers: &[usize],
) -> Result<Part<Sized>> {
    let pairs = region.pairs(before.of, next.of);
    let step = cost::step(&before.plan, &next.plan, &pairs);
    let of = before.of.and(next.of);
    let mut values = before.plan.values;
    values.extend(next.plan.values);
    let fetched = before.plan.fetched + step.fetched;
    let part = |of: Inputs, plan: LogicalPlan| Part { of, plan };
    let (first, second) = (part(before.of, before.plan.plan), part(next.of, next.plan.plan));
    // What is read first is kept, so it is the smaller one where nothing is gained by its keys.
    let join = match !step.asks && next.plan.rows < before.plan.rows {
        true => region.join(second, first)?,
        false => region.join(first, second)?,
    };
    let plan = region.pruned(LogicalPlan::Join(join), of, reducers.iter().copied())?;
    Ok(Part { of, plan: Sized { plan, rows: step.rows, fetched, values } })
}

fn sequence(region: &Region, inputs: &[Sized]) -> Sequence {
    let inputs: Vec<Input<'_>> = inputs.iter().map(Input::of).collect();
    Sequence::of(region, &inputs)
}
