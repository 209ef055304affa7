//! Questions that are a part of another: a failing one is made small by them.

use crossweave_contract::{Relation, RemoteExpr, RemoteQuery};

/// Questions of which each leaves out something of `query`.
pub(super) fn smaller(query: &RemoteQuery) -> Vec<RemoteQuery> {
    let parts = inputs(&query.relation).into_iter().cloned();
    parts.chain(narrower(&query.relation)).chain(without_one(&query.relation)).map(RemoteQuery::new).collect()
}

fn inputs(relation: &Relation) -> Vec<&Relation> {
    match relation {
        Relation::Table { .. } => Vec::new(),
        Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Aggregate { input, .. }
        | Relation::Sort { input, .. }
        | Relation::Limit { input, .. } => vec![input],
        Relation::Join { left, right, .. } => vec![left, right],
        Relation::Union { inputs } => inputs.iter().collect(),
    }
}

/// `relation` with a column less.
fn narrower(relation: &Relation) -> Vec<Relation> {
    match relation {
        Relation::Project { input, outputs } if outputs.len() > 1 => {
            let without = |place: usize| {
                let mut outputs = outputs.clone();
                outputs.remove(place);
                Relation::Project { input: input.clone(), outputs }
            };
            (0..outputs.len()).map(without).collect()
        }
        Relation::Aggregate { input, groups, aggregates } if groups.len() + aggregates.len() > 1 => {
            let without = |place: usize| {
                let (input, mut groups, mut aggregates) = (input.clone(), groups.clone(), aggregates.clone());
                if place < groups.len() {
                    groups.remove(place);
                } else {
                    aggregates.remove(place - groups.len());
                }
                Relation::Aggregate { input, groups, aggregates }
            };
            (0..groups.len() + aggregates.len()).map(without).collect()
        }
        _ => Vec::new(),
    }
}

/// `relation` with something left out below it, and the same columns.
fn without_one(relation: &Relation) -> Vec<Relation> {
    let mut found = Vec::new();
    for (place, input) in inputs(relation).into_iter().enumerate() {
        let alike = |other: &Relation| {
            let types =
                |of: &Relation| of.columns().into_iter().map(|column| column.column_type).collect::<Vec<_>>();
            types(other) == types(input)
        };
        let skipped = inputs(input).into_iter().filter(|below| alike(below)).cloned();
        found.extend(skipped.chain(without_one(input)).map(|below| with_input(relation, place, below)));
    }
    match relation {
        Relation::Filter { input, condition } => found.extend(
            parts(condition).into_iter().map(|condition| Relation::Filter { input: input.clone(), condition }),
        ),
        Relation::Join { left, right, kind, on } => {
            found.extend(parts(on).into_iter().map(|on| Relation::Join {
                left: left.clone(),
                right: right.clone(),
                kind: *kind,
                on,
            }))
        }
        Relation::Union { inputs } if inputs.len() > 1 => found.extend((0..inputs.len()).map(|place| {
            let mut inputs = inputs.clone();
            inputs.remove(place);
            Relation::Union { inputs }
        })),
        Relation::Aggregate { input, groups, aggregates } => {
            for place in 0..aggregates.len() {
                let (input, groups, mut aggregates) = (input.clone(), groups.clone(), aggregates.clone());
                if aggregates[place].filter.take().is_some() {
                    found.push(Relation::Aggregate { input, groups, aggregates });
                }
            }
        }
        _ => {}
    }
    found
}

/// What is left of a condition without one of its parts.
fn parts(condition: &RemoteExpr) -> Vec<RemoteExpr> {
    match condition {
        RemoteExpr::And(parts) | RemoteExpr::Or(parts) => parts.clone(),
        _ => Vec::new(),
    }
}

fn with_input(relation: &Relation, place: usize, below: Relation) -> Relation {
    let mut changed = relation.clone();
    match &mut changed {
        Relation::Table { .. } => {}
        Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Aggregate { input, .. }
        | Relation::Sort { input, .. }
        | Relation::Limit { input, .. } => **input = below,
        Relation::Join { left, right, .. } => **(if place == 0 { left } else { right }) = below,
        Relation::Union { inputs } => inputs[place] = below,
    }
    changed
}
