//! The current catalog.

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{Collation, ServiceName};
use tokio::sync::watch;

use super::Catalog;

/// The current catalog: read by everybody, replaced by discovery and ingest.
#[derive(Debug, Clone)]
pub struct CatalogHandle(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    catalog: watch::Sender<Arc<Catalog>>,
    /// How often each service was.
    doubted: watch::Sender<HashMap<ServiceName, u64>>,
    /// Collations that no column has and a query chose.
    wanted: watch::Sender<Vec<Collation>>,
}

/// So many of them are asked for.
const MOST_WANTED: usize = 64;

impl CatalogHandle {
    /// A handle on `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        Self(Arc::new(Kept {
            catalog: watch::Sender::new(Arc::new(catalog)),
            doubted: watch::Sender::default(),
            wanted: watch::Sender::default(),
        }))
    }

    /// The catalog now.
    pub fn current(&self) -> Arc<Catalog> {
        self.0.catalog.borrow().clone()
    }

    /// Replaces it by what `change` makes of it, under the next epoch.
    pub fn update(&self, change: impl FnOnce(&Catalog) -> Catalog) {
        self.0.catalog.send_modify(|current| {
            let mut next = change(current);
            next.epoch = current.epoch + 1;
            *current = Arc::new(next);
        });
    }

    /// Tells when it is replaced.
    pub fn watch(&self) -> watch::Receiver<Arc<Catalog>> {
        self.0.catalog.subscribe()
    }

    /// Says that `services` may have other tables by now than it has: discovery looks soon, unless it looked in vain a
    /// moment ago.
    pub fn doubt<'a>(&self, services: impl IntoIterator<Item = &'a ServiceName>) {
        self.0.doubted.send_modify(|doubted| {
            for service in services {
                *doubted.entry(service.clone()).or_default() += 1;
            }
        });
    }

    /// Has the weights of `collation` asked for soon; whether they will be.
    pub fn want(&self, collation: &Collation) -> bool {
        let mut has_room = true;
        self.0.wanted.send_if_modified(|wanted| {
            let is_new = !wanted.contains(collation);
            has_room = !is_new || wanted.len() < MOST_WANTED;
            if is_new && has_room {
                wanted.push(collation.clone());
            }
            is_new && has_room
        });
        has_room
    }

    /// The collations that are [wanted](Self::want).
    pub(super) fn wanted(&self) -> watch::Receiver<Vec<Collation>> {
        self.0.wanted.subscribe()
    }

    /// Tells how often each service was [doubted](Self::doubt).
    pub(super) fn doubts(&self) -> watch::Receiver<HashMap<ServiceName, u64>> {
        self.0.doubted.subscribe()
    }
}
