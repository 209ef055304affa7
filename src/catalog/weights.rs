//! Weights of the collations in use, loaded once by name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{Collation, CollationWeights, ErrorKind, Source, SourceId};
use futures::future::join_all;
use indexmap::IndexMap;
use tokio::time::{Instant, timeout_at};

use super::{Catalog, Service};

/// Begins the reason where asking again may help.
const NOT_YET: &str = "not loaded yet";

/// Weights that were had, and reasons why others were not.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub(super) loaded: IndexMap<String, Arc<CollationWeights>>,
    pub(super) missing: IndexMap<String, String>,
}

impl Weights {
    /// What `catalog` has, without what could not be asked for: it is tried again.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut missing = catalog.missing_weights.clone();
        missing.retain(|_, reason| !is_to_come(reason));
        Self { loaded: catalog.weights.clone(), missing }
    }

    /// Adds those of `wanted` that are not there yet, each as its source has it: as many as are to be had `within` a time,
    /// if there is one. Sources are asked side by side.
    pub(super) async fn complete<'c>(
        &mut self,
        wanted: impl IntoIterator<Item = (&'c SourceId, &'c Collation)>,
        sources: &HashMap<SourceId, Arc<dyn Source>>,
        within: Option<Duration>,
    ) {
        let until = within.map(|within| (Instant::now() + within, within));
        let mut seen = HashSet::new();
        let mut asked: IndexMap<&SourceId, Vec<&Collation>> = IndexMap::new();
        for (source, collation) in wanted {
            let name = collation.name.as_str();
            let is_known = self.loaded.contains_key(name) || self.missing.contains_key(name);
            if collation.is_weighted() && !is_known && seen.insert(name) {
                asked.entry(source).or_default().push(collation);
            }
        }
        let loading = asked.iter().map(|(source, collations)| load(sources.get(*source), collations, until));
        let outcomes = join_all(loading).await.into_iter().flatten();
        for (collation, outcome) in asked.values().flatten().zip(outcomes) {
            let name = collation.name.clone();
            match outcome {
                Ok(weights) => {
                    self.loaded.insert(name, Arc::new(weights));
                }
                Err(reason) => {
                    tracing::warn!(collation = name, reason, "text under this collation is not compared");
                    self.missing.insert(name, reason);
                }
            }
        }
    }
}

/// The collations of `service`, whose weights its source has.
pub(super) fn in_use(service: &Service) -> impl Iterator<Item = (&SourceId, &Collation)> {
    let columns = service.tables.values().flat_map(|table| &table.def.columns);
    columns.filter_map(|column| Some((&service.source, column.column_type.collation()?)))
}

/// Whether `catalog` lacks weights of `service` that may be had by asking again.
pub(super) fn are_to_come(catalog: &Catalog, service: &Service) -> bool {
    let missing = |name: &str| catalog.missing_weights.get(name).is_some_and(|reason| is_to_come(reason));
    in_use(service).any(|(_, collation)| missing(&collation.name))
}

fn is_to_come(reason: &str) -> bool {
    reason.starts_with(NOT_YET)
}

/// The weights of each of `collations`. A source that does not answer is not asked for the others: each would take as long
/// to fail.
async fn load(
    source: Option<&Arc<dyn Source>>,
    collations: &[&Collation],
    until: Option<(Instant, Duration)>,
) -> Vec<Result<CollationWeights, String>> {
    let Some(source) = source else {
        return collations.iter().map(|_| Err("its source has no connector".to_owned())).collect();
    };
    let mut silent: Option<String> = None;
    let mut outcomes = Vec::with_capacity(collations.len());
    for collation in collations {
        let outcome = match (&silent, until) {
            (Some(reason), _) => Err(reason.clone()),
            (None, None) => told(source.weights(collation).await, &mut silent),
            (None, Some((until, within))) => match timeout_at(until, source.weights(collation)).await {
                Ok(outcome) => told(outcome, &mut silent),
                Err(_) => {
                    let reason =
                        format!("{NOT_YET}: not all of its server's weights were had within {within:?}");
                    Err(silent.insert(reason).clone())
                }
            },
        };
        outcomes.push(outcome);
    }
    outcomes
}

/// `outcome`, or why there is none; also as why the source is `silent`, if it is.
fn told(
    outcome: crossweave_contract::Result<CollationWeights>,
    silent: &mut Option<String>,
) -> Result<CollationWeights, String> {
    outcome.map_err(|error| match error.kind {
        ErrorKind::Unreachable => silent.insert(format!("{NOT_YET}: {error}")).clone(),
        _ => error.to_string(),
    })
}
