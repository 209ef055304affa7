//! Joins that may be done in any order: inner joins as the inputs they have and the conditions between those.
//!
//! What is equal to one thing is equal to each other (`a.x = b.x AND b.x = c.x`), so inputs may be joined by what the
//! query says of them by way of others. Semi- and anti-joins over inner joins leave rows out as a condition does; they are
//! kept beside the inputs, each to be done as soon as the columns that it compares are there.
//!
//! What a region is rebuilt from are its [`Part`]s: sets of inputs that are joined already.

mod gather;
mod rebuild;

pub(super) use rebuild::standing_in;

use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

/// Of more inputs the joins stay in the order in which they were written.
const MOST_INPUTS: usize = 64;

/// Some of a region's inputs, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inputs(u64);

impl Inputs {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn one(place: usize) -> Self {
        Self(1 << place)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// A semi- or anti-join over a region.
#[derive(Debug, Clone)]
pub(super) struct Reducer {
    /// The join; its sides are what they were.
    pub(super) join: Join,
    /// The inputs whose columns it compares.
    pub(super) of: Inputs,
}

/// Inputs that inner joins bring together.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) inputs: Vec<LogicalPlan>,
    pub(super) reducers: Vec<Reducer>,
    /// Expressions that are equal to each other, with the inputs whose columns they have.
    equal: Vec<Vec<(Expr, Inputs)>>,
    /// What else is true of the rows, with the inputs whose columns it compares.
    conditions: Vec<(Expr, Inputs)>,
    /// What the region gives.
    schema: DFSchemaRef,
}

/// Inputs of a region that are joined.
#[derive(Debug, Clone)]
pub(super) struct Part<P> {
    pub(super) of: Inputs,
    pub(super) plan: P,
}

impl Region {
    /// By what `left` and `right` are equal where they are joined: pairs of an expression over each.
    pub(super) fn pairs(&self, left: Inputs, right: Inputs) -> Vec<(Expr, Expr)> {
        let within = |class: &[(Expr, Inputs)], side: Inputs| {
            class.iter().find(|(_, of)| side.contains(*of)).map(|(expr, _)| expr.clone())
        };
        self.equal.iter().filter_map(|class| Some((within(class, left)?, within(class, right)?))).collect()
    }

    /// Whether a pair holds `left` and `right` together.
    pub(super) fn are_connected(&self, left: Inputs, right: Inputs) -> bool {
        let within = |class: &[(Expr, Inputs)], side: Inputs| class.iter().any(|(_, of)| side.contains(*of));
        self.equal.iter().any(|class| within(class, left) && within(class, right))
    }

    /// For each class of expressions that are equal, and each input: what `values` says of the first of them that is over
    /// the input alone; `None` where there is none.
    pub(super) fn values<V>(&self, values: impl Fn(usize, &Expr) -> V) -> Vec<Vec<Option<V>>> {
        let of_class = |class: &Vec<(Expr, Inputs)>| {
            let of_input = |place: usize| {
                let (expr, _) = class.iter().find(|(_, of)| *of == Inputs::one(place))?;
                Some(values(place, expr))
            };
            (0..self.inputs.len()).map(of_input).collect()
        };
        self.equal.iter().map(of_class).collect()
    }
}

/// A join as `join` is, of two plans.
pub(super) fn again(join: &Join, left: LogicalPlan, right: LogicalPlan) -> Join {
    Join { left: Arc::new(left), right: Arc::new(right), ..join.clone() }
}
