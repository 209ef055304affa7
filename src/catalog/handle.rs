//! The current catalog.

use std::sync::Arc;

use tokio::sync::watch;

use super::Catalog;

/// The current catalog: read by everybody, replaced by discovery and ingest.
#[derive(Debug, Clone)]
pub struct CatalogHandle(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    catalog: watch::Sender<Arc<Catalog>>,
    doubted: watch::Sender<()>,
}

impl CatalogHandle {
    /// A handle on `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        Self(Arc::new(Kept { catalog: watch::Sender::new(Arc::new(catalog)), doubted: watch::Sender::new(()) }))
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

    /// Says that sources may have other tables by now than it has: discovery looks soon.
    pub fn doubt(&self) {
        self.0.doubted.send_replace(());
    }

    /// Tells when it is [doubted](Self::doubt).
    pub(super) fn doubts(&self) -> watch::Receiver<()> {
        self.0.doubted.subscribe()
    }
}
