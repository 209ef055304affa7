//! In which order the inputs of inner joins are read.

use super::cost::{Sized, joined};
use crate::federation::remote::pages::has_pages;
use crate::federation::remote::region::{Inputs, Region};

/// With more inputs than this only the smallest are tried as the first.
const MOST_FIRST: usize = 8;

/// A row that is kept here costs so much of one that is fetched.
const KEPT: f64 = 0.05;

/// What is known of an input.
pub(super) struct Input<'p> {
    sized: &'p Sized,
    /// It is to be read first.
    paged: bool,
}

impl<'p> Input<'p> {
    pub(super) fn of(sized: &'p Sized) -> Self {
        Self { sized, paged: has_pages(&sized.plan) }
    }
}

/// An order of inputs, each joined to those before it.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) order: Vec<usize>,
    /// Rows that are fetched.
    pub(super) fetched: f64,
    /// Rows of the join of all.
    pub(super) rows: f64,
    cost: f64,
}

impl Sequence {
    /// The best of those that are tried: from each input, or each of the smallest, always on with what costs the least.
    pub(super) fn of(region: &Region, inputs: &[Input<'_>]) -> Self {
        let values = region.values(|place, expr| inputs[place].sized.values_of(expr));
        let mut first: Vec<usize> = (0..inputs.len()).collect();
        if first.len() > MOST_FIRST {
            first.sort_by(|left, right| inputs[*left].sized.rows.total_cmp(&inputs[*right].sized.rows));
            first.truncate(MOST_FIRST);
            first.sort_unstable();
        }
        if let Some(paged) = inputs.iter().position(|input| input.paged) {
            first = vec![paged];
        }
        let tried = first.into_iter().map(|first| Self::from(first, region, inputs, &values));
        // Of equal ones the first: as it was written.
        let best = tried.reduce(|best, next| if next.cost < best.cost { next } else { best });
        best.unwrap_or(Self { order: Vec::new(), fetched: 0.0, rows: 0.0, cost: 0.0 })
    }

    /// The order that begins with `first`. `values` has for each class of what is equal how many values each input has of it:
    /// `None` where it is not of the class.
    fn from(first: usize, region: &Region, inputs: &[Input<'_>], values: &[Vec<Option<Option<f64>>>]) -> Self {
        let start = inputs[first].sized;
        let mut of = Inputs::one(first);
        let mut found =
            Self { order: vec![first], fetched: start.fetched, rows: start.rows, cost: start.fetched };
        let mut waiting: Vec<usize> = (0..inputs.len()).filter(|place| *place != first).collect();
        while !waiting.is_empty() {
            let connected = |place: &&usize| region.are_connected(of, Inputs::one(**place));
            let any = waiting.iter().any(|place| connected(&place));
            let candidates = waiting.iter().filter(|place| !any || connected(place));
            let steps = candidates.map(|&place| {
                let next = inputs[place].sized;
                let pairs = values.iter().filter_map(|class| {
                    let right = class[place]?;
                    let mut left = found.order.iter().filter_map(|before| class[*before]).peekable();
                    left.peek()?;
                    let left = left.flatten().reduce(f64::min);
                    Some((left, right))
                });
                let step = joined((found.rows, next.rows, next.fetched), pairs);
                let kept = if step.asks { found.rows } else { found.rows.min(next.rows) };
                (place, step, step.fetched + KEPT * (kept + step.rows))
            });
            let next = steps.reduce(|best, next| if next.2 < best.2 { next } else { best });
            let Some((place, step, cost)) = next else { break };
            waiting.retain(|other| *other != place);
            found.order.push(place);
            found.fetched += step.fetched;
            found.rows = step.rows;
            found.cost += cost;
            of = of.and(Inputs::one(place));
        }
        found
    }
}
