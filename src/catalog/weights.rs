//! Weights of the collations in use, loaded once by name.

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{Collation, CollationWeights, ErrorKind, Source, SourceId};
use indexmap::IndexMap;

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
        missing.retain(|_, reason| !reason.starts_with(NOT_YET));
        Self { loaded: catalog.weights.clone(), missing }
    }

    /// Adds the collations of `services` that are not there yet.
    pub(super) async fn complete(
        &mut self,
        services: impl IntoIterator<Item = &Service>,
        sources: &HashMap<SourceId, Arc<dyn Source>>,
    ) {
        for service in services {
            for collation in in_use(service) {
                self.add(collation, sources.get(&service.source)).await;
            }
        }
    }

    /// Adds `collation`, unless it is there.
    pub(super) async fn add(&mut self, collation: &Collation, source: Option<&Arc<dyn Source>>) {
        if self.loaded.contains_key(&collation.name) || self.missing.contains_key(&collation.name) {
            return;
        }
        match load(collation, source).await {
            Ok(Some(weights)) => {
                self.loaded.insert(collation.name.clone(), Arc::new(weights));
            }
            Ok(None) => {}
            Err(reason) => {
                tracing::warn!(collation = collation.name, reason, "text under this collation is not compared");
                self.missing.insert(collation.name.clone(), reason);
            }
        }
    }
}

fn in_use(service: &Service) -> impl Iterator<Item = &Collation> {
    let columns = service.tables.values().flat_map(|table| &table.def.columns);
    columns.filter_map(|column| column.column_type.collation())
}

async fn load(
    collation: &Collation,
    source: Option<&Arc<dyn Source>>,
) -> Result<Option<CollationWeights>, String> {
    if !collation.is_weighted() {
        return Ok(None);
    }
    let Some(source) = source else { return Err("its source has no connector".to_owned()) };
    match source.weights(collation).await {
        Ok(weights) => Ok(Some(weights)),
        Err(error) if error.kind == ErrorKind::Unreachable => Err(format!("{NOT_YET}: {error}")),
        Err(error) => Err(error.to_string()),
    }
}
