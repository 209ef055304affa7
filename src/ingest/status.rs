//! What is known of each cached table's state: for routes, `/readyz`, `/metrics` and `crossweave status`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{Position, ServiceName};

/// One service's caches.
#[derive(Debug, Clone)]
pub struct ServiceStatus {
    /// Whose.
    pub service: ServiceName,
    /// Of the snapshot that queries see.
    pub position: Position,
    /// How long ago the snapshot was known to be current: the age to state with an answer. `None` before the
    /// first load.
    pub age: Option<Duration>,
    /// Why the stream stands still, while it does, or why it cannot be told whether it is current: the source or the
    /// log cannot be reached.
    pub failing: Option<String>,
    /// Why the last checkpoint could not be stored, while that is so. The caches in memory are unaffected.
    pub checkpoint_failing: Option<String>,
    /// By table.
    pub tables: BTreeMap<Arc<str>, TableStatus>,
}

/// One cached table.
#[derive(Debug, Clone)]
pub struct TableStatus {
    /// Whether queries can use it.
    pub state: TableState,
    /// Live rows.
    pub rows: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// How often it was loaded since the process started.
    pub loads: u64,
    /// Whether somebody wants it to be loaded anew, and that has not ended.
    pub asked: bool,
}

/// Whether a cached table can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableState {
    /// The first load has not ended; `attempt_failed` says why the last attempt did not succeed.
    Loading {
        /// The last attempt's error.
        attempt_failed: Option<String>,
    },
    /// Part of its service's snapshot.
    Ready,
    /// Loaded anew for this reason; queries see the last snapshot until then.
    Reloading(String),
    /// A change could not be applied: the table has left the snapshot, keeping its place.
    Stopped(String),
}
