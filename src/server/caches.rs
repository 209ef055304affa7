//! The caches: ingest, started from the config, and its snapshots as queries read them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::{ServiceSnapshot, StateDir};
use crossweave_contract::{ChangeLog, ServiceName, Source, SourceId, TableId};

use super::error::StartError;
use super::parts;
use crate::catalog::Discovery;
use crate::config::Config;
use crate::federation::Snapshots;
use crate::ingest::{DirectLog, IngestHandle, IngestParts, IngestSettings};

/// Starts to keep the caches that `config` asks for.
pub(super) fn start(
    config: &Arc<Config>,
    sources: &HashMap<SourceId, Arc<dyn Source>>,
    discovery: &Discovery,
    state: StateDir,
) -> Result<IngestHandle, StartError> {
    let log: Arc<dyn ChangeLog> = match parts::kafka(config) {
        None => Arc::new(DirectLog::new()),
        Some(log) => Arc::new(log.map_err(StartError::ChangeLog)?),
    };
    let mut captures = parts::captures(config);
    let both = |(id, source): (&SourceId, &Arc<dyn Source>)| {
        Some((id.clone(), (Arc::clone(source), captures.remove(id)?)))
    };
    let sources: BTreeMap<_, _> = sources.iter().filter_map(both).collect();
    let parts = IngestParts {
        config: Arc::clone(config),
        discovery: discovery.clone(),
        log,
        sources,
        state,
        settings: IngestSettings::default(),
    };
    IngestHandle::start(parts).map_err(|error| StartError::of_state(&config.state_dir, &error))
}

/// Gives queries what ingest published last.
#[derive(Debug)]
pub(super) struct Caches(pub(super) IngestHandle);

impl Snapshots for Caches {
    fn pin(&self, service: &ServiceName) -> Option<Arc<ServiceSnapshot>> {
        self.0.snapshot(service)
    }

    fn age(&self, snapshot: &ServiceSnapshot) -> Duration {
        // Heartbeats make a snapshot known to be current without a new one being published.
        let now = self.0.status(snapshot.service()).filter(|now| now.position == *snapshot.position());
        now.and_then(|now| now.age).unwrap_or_else(|| snapshot.age())
    }

    fn reason_absent(&self, table: &TableId) -> Option<String> {
        self.0.why_absent(table)
    }
}
