//! Where federation gets the caches' snapshots from.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::ServiceSnapshot;
use crossweave_contract::{ServiceName, TableId};

/// Gives the caches' newest snapshots.
pub trait Snapshots: Debug + Send + Sync {
    /// The newest snapshot of `service`; `None` before its first table is loaded. What it holds never changes, and
    /// all its tables stand at its position (I1).
    fn pin(&self, service: &ServiceName) -> Option<Arc<ServiceSnapshot>>;

    /// How long ago `snapshot`'s position was known to be the source's own: stated with answers.
    fn age(&self, snapshot: &ServiceSnapshot) -> Duration {
        snapshot.age()
    }

    /// Why `table`, which is declared cached, is in no snapshot, where the snapshot itself does not know: it is
    /// being loaded, and the last attempt failed for this reason.
    fn reason_absent(&self, table: &TableId) -> Option<String>;
}

/// No table is cached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn pin(&self, _service: &ServiceName) -> Option<Arc<ServiceSnapshot>> {
        None
    }

    fn reason_absent(&self, _table: &TableId) -> Option<String> {
        Some("this process keeps no caches".to_owned())
    }
}
