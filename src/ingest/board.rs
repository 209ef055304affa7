//! Where tasks write what they know of themselves, and everybody reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossweave_cache::{ServiceCache, ServiceSnapshot};
use crossweave_contract::{Position, ServiceName};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::status::{ServiceStatus, TableState, TableStatus};

/// What can fail of a source's ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Reading the source: its binlog, views for loads, or where it is.
    Capture,
    /// Reading the log.
    Log,
    /// The task itself.
    Task,
}

/// What fails of a source now.
#[derive(Debug)]
pub(super) struct Health {
    failing: Mutex<BTreeMap<Part, String>>,
    changed: watch::Sender<u64>,
}

impl Health {
    pub(super) fn new(changed: watch::Sender<u64>) -> Self {
        Self { failing: Mutex::default(), changed }
    }

    /// Says that `part` fails for `reason`, or no longer does.
    pub(super) fn set(&self, part: Part, reason: Option<String>) {
        let mut failing = self.failing.lock();
        let before = match &reason {
            Some(reason) => failing.insert(part, reason.clone()),
            None => failing.remove(&part),
        };
        if before != reason {
            drop(failing);
            self.changed.send_modify(|version| *version += 1);
        }
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.failing.lock().values().next().cloned()
    }
}

/// A table as its task last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableNote {
    pub(super) state: TableState,
    pub(super) loads: u64,
    /// Somebody wants it to be loaded anew, and that has not ended.
    pub(super) asked: bool,
}

#[derive(Debug)]
struct Noted {
    cache: Arc<ServiceCache>,
    health: Arc<Health>,
    tables: BTreeMap<Arc<str>, TableNote>,
    checkpoint_failing: Option<String>,
}

/// All services' state.
#[derive(Debug)]
pub(super) struct Board {
    services: RwLock<BTreeMap<ServiceName, Noted>>,
    changed: watch::Sender<u64>,
}

impl Board {
    pub(super) fn new(changed: watch::Sender<u64>) -> Self {
        Self { services: RwLock::default(), changed }
    }

    pub(super) fn add(&self, cache: Arc<ServiceCache>, health: Arc<Health>) {
        let noted = Noted { health, tables: BTreeMap::new(), checkpoint_failing: None, cache };
        self.services.write().insert(noted.cache.service().clone(), noted);
    }

    /// Notes a service's tables, and that something about it may have changed.
    pub(super) fn note(&self, service: &ServiceName, tables: BTreeMap<Arc<str>, TableNote>) {
        if let Some(noted) = self.services.write().get_mut(service) {
            noted.tables = tables;
        }
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn note_checkpoint(&self, service: &ServiceName, failing: Option<String>) {
        if let Some(noted) = self.services.write().get_mut(service) {
            noted.checkpoint_failing = failing;
        }
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn snapshot(&self, service: &ServiceName) -> Option<Arc<ServiceSnapshot>> {
        self.services.read().get(service)?.cache.snapshot()
    }

    pub(super) fn names(&self) -> Vec<ServiceName> {
        self.services.read().keys().cloned().collect()
    }

    pub(super) fn status(&self, service: &ServiceName) -> Option<ServiceStatus> {
        let services = self.services.read();
        let noted = services.get(service)?;
        let snapshot = noted.cache.snapshot();
        let table = |(name, note): (&Arc<str>, &TableNote)| {
            let rows = snapshot.as_ref().and_then(|snapshot| snapshot.table(name));
            let status = TableStatus {
                state: note.state.clone(),
                rows: rows.map_or(0, |table| table.num_rows() as u64),
                bytes: rows.map_or(0, |table| table.bytes() as u64),
                loads: note.loads,
                asked: note.asked,
            };
            (Arc::clone(name), status)
        };
        Some(ServiceStatus {
            service: service.clone(),
            position: snapshot.as_ref().map_or_else(Position::origin, |s| s.position().clone()),
            age: snapshot.as_ref().map(|snapshot| snapshot.age()),
            failing: noted.health.reason(),
            checkpoint_failing: noted.checkpoint_failing.clone(),
            tables: noted.tables.iter().map(table).collect(),
        })
    }
}
