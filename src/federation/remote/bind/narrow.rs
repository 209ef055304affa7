//! Where in a question its keys are best told.

use crossweave_contract::{
    ArithmeticOp, ColumnType, CompareOp, JoinKind, Relation, RemoteColumn, RemoteExpr, RemoteQuery, Value,
};

use crate::federation::remote::whitelist::Family;

/// What the values of a column are to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'l> {
    /// One of several.
    OneOf {
        /// Not empty.
        list: &'l [RemoteExpr],
        /// Whether they are to be found among rows that are read anyhow, and not by an index of theirs: a long list makes a
        /// server think the index cheap.
        by_reading: bool,
    },
    /// Before or after a literal.
    Beyond(CompareOp, &'l RemoteExpr),
}

/// `query` for the rows whose column `place` is as `wanted`. Of groups by the column others are not made to
/// begin with.
pub(super) fn narrowed(query: RemoteQuery, place: usize, wanted: Wanted<'_>) -> RemoteQuery {
    let relation = narrowed_before(&query.relation, place, wanted);
    let relation = relation.or_else(|| below_groups(&query.relation, place, wanted));
    let relation = relation.unwrap_or_else(|| wanted.filter(query.relation, place));
    RemoteQuery { relation, columns: query.columns }
}

/// The table's column that is compared where `query` is asked for values of its column `place`; `None` where it is computed:
/// that may be read under another collation than it says.
pub(super) fn asked_for(query: &RemoteQuery, place: usize) -> Option<RemoteColumn> {
    let column = match widened(&query.relation, place) {
        Some((input, below)) => input.columns().swap_remove(below),
        None => query.columns.get(place)?.clone(),
    };
    column.origin.is_some().then_some(column)
}

/// Column `place` of `relation` before it was given room for more digits, where that is all that was done to it.
fn widened(relation: &Relation, place: usize) -> Option<(&Relation, usize)> {
    let Relation::Project { input, outputs } = relation else { return None };
    match &outputs.get(place)?.expr {
        RemoteExpr::Column(below) => widened(input, *below),
        expr => Some((input, given_room(expr, input)?)),
    }
}

/// The column of `input` that `expr` gives room for more digits. Other casts may make one value of several.
fn given_room(expr: &RemoteExpr, input: &Relation) -> Option<usize> {
    let RemoteExpr::Cast { expr, to: ColumnType::BigInt { .. } | ColumnType::Decimal { .. } } = expr else {
        return None;
    };
    let RemoteExpr::Column(below) = **expr else { return None };
    let is_exact = Family::of(&input.columns().get(below)?.column_type) == Some(Family::Exact);
    is_exact.then_some(below)
}

/// `relation`, whose column `place` was [widened], for the rows that were as `wanted` before.
fn narrowed_before(relation: &Relation, place: usize, wanted: Wanted<'_>) -> Option<Relation> {
    let Relation::Project { input, outputs } = relation else { return None };
    let input = match &outputs.get(place)?.expr {
        RemoteExpr::Column(below) => narrowed_before(input, *below, wanted)?,
        expr => {
            let below = given_room(expr, input)?;
            narrowed(RemoteQuery::new((**input).clone()), below, wanted).relation
        }
    };
    Some(Relation::Project { input: Box::new(input), outputs: outputs.clone() })
}

fn below_groups(relation: &Relation, place: usize, wanted: Wanted<'_>) -> Option<Relation> {
    let below = |input: &Relation, place| below_groups(input, place, wanted).map(Box::new);
    Some(match relation {
        Relation::Filter { input, condition } => {
            Relation::Filter { input: below(input, place)?, condition: condition.clone() }
        }
        Relation::Sort { input, by } => Relation::Sort { input: below(input, place)?, by: by.clone() },
        Relation::Project { input, outputs } => {
            let RemoteExpr::Column(of_input) = outputs.get(place)?.expr else { return None };
            Relation::Project { input: below(input, of_input)?, outputs: outputs.clone() }
        }
        Relation::Join { left, right, kind, on } => {
            let width = left.columns().len();
            let (mut sides, kind, on) = ((left.clone(), right.clone()), *kind, on.clone());
            match (place.checked_sub(width), kind) {
                (None, _) => sides.0 = below(left, place)?,
                (Some(place), JoinKind::Inner) => sides.1 = below(right, place)?,
                _ => return None,
            }
            Relation::Join { left: sides.0, right: sides.1, kind, on }
        }
        Relation::Aggregate { input, groups, aggregates } => {
            let RemoteExpr::Column(of_input) = groups.get(place)?.expr else { return None };
            let narrow = || Box::new(wanted.filter((**input).clone(), of_input));
            let input = below(input, of_input).unwrap_or_else(narrow);
            Relation::Aggregate { input, groups: groups.clone(), aggregates: aggregates.clone() }
        }
        Relation::Table { .. } | Relation::Union { .. } | Relation::Limit { .. } => return None,
    })
}

impl Wanted<'_> {
    fn filter(self, input: Relation, place: usize) -> Relation {
        let column = RemoteExpr::Column(place);
        let condition = match self {
            Self::Beyond(op, literal) => {
                RemoteExpr::Compare { op, left: Box::new(column), right: Box::new(literal.clone()) }
            }
            Self::OneOf { list, by_reading } => {
                let expr = match input.columns().get(place) {
                    Some(found) if by_reading && Family::of(&found.column_type) == Some(Family::Exact) => {
                        // No index is of a sum.
                        let zero = RemoteExpr::Literal(Value::Int(0), ColumnType::TinyInt { unsigned: false });
                        RemoteExpr::Arithmetic {
                            op: ArithmeticOp::Add,
                            left: Box::new(column),
                            right: Box::new(zero),
                        }
                    }
                    _ => column,
                };
                RemoteExpr::In { expr: Box::new(expr), list: list.to_vec(), negated: false }
            }
        };
        Relation::Filter { input: Box::new(input), condition }
    }
}
