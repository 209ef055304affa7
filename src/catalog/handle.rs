//! The current catalog.

use std::sync::Arc;

use tokio::sync::watch;

use super::Catalog;

/// The current catalog: read by everybody, replaced by discovery and ingest.
#[derive(Debug, Clone)]
pub struct CatalogHandle(Arc<watch::Sender<Arc<Catalog>>>);

impl CatalogHandle {
    /// A handle on `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(catalog))))
    }

    /// The catalog now.
    pub fn current(&self) -> Arc<Catalog> {
        self.0.borrow().clone()
    }

    /// Replaces it by what `change` makes of it, under the next epoch.
    pub fn update(&self, change: impl FnOnce(&Catalog) -> Catalog) {
        self.0.send_modify(|current| {
            let mut next = change(current);
            next.epoch = current.epoch + 1;
            *current = Arc::new(next);
        });
    }

    /// Tells when it is replaced.
    pub fn watch(&self) -> watch::Receiver<Arc<Catalog>> {
        self.0.subscribe()
    }
}
