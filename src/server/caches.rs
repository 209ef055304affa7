//! The caches: ingest, started from the config, and its snapshots as queries read them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossweave_cache::{ServiceSnapshot, StateDir, TableSnapshot};
use crossweave_contract::{
    ChangeLog, ConnectorError, ErrorKind, Position, Result, ServiceName, Source, SourceId, TableDef, TableId,
};

use super::error::StartError;
use super::parts;
use crate::catalog::Discovery;
use crate::config::Config;
use crate::federation::{CachedRows, CachedService, Snapshots};
use crate::ingest::{DirectLog, IngestHandle, IngestParts, IngestSettings};

/// Parts of a table that can be read one beside the other: more than a machine that runs this has processors to
/// spare for one scan.
const PARTS: usize = 16;

/// Starts to keep the caches that `config` asks for.
pub(super) fn start(
    config: &Arc<Config>,
    sources: &std::collections::HashMap<SourceId, Arc<dyn Source>>,
    discovery: &Discovery,
    state: StateDir,
) -> std::result::Result<IngestHandle, StartError> {
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
    fn pin(&self, service: &ServiceName) -> Option<Arc<dyn CachedService>> {
        let snapshot = self.0.snapshot(service)?;
        Some(Arc::new(Pinned { snapshot, ingest: self.0.clone() }))
    }

    fn reason_absent(&self, table: &TableId) -> Option<String> {
        self.0.why_absent(table)
    }
}

#[derive(Debug)]
struct Pinned {
    snapshot: Arc<ServiceSnapshot>,
    ingest: IngestHandle,
}

impl CachedService for Pinned {
    fn position(&self) -> &Position {
        self.snapshot.position()
    }

    fn age(&self) -> Option<Duration> {
        // Heartbeats make a snapshot known to be current without a new one being published.
        let age =
            self.ingest.status(self.snapshot.service()).filter(|now| now.position == *self.snapshot.position());
        Some(age.and_then(|now| now.age).unwrap_or_else(|| self.snapshot.age()))
    }

    fn table(&self, table: &str) -> Option<Arc<dyn CachedRows>> {
        let table = Arc::clone(self.snapshot.table(table)?);
        Some(Arc::new(Rows { parts: table.partitions(PARTS), table }))
    }
}

#[derive(Debug)]
struct Rows {
    table: Arc<TableSnapshot>,
    /// Ranges of segments.
    parts: Vec<Range<usize>>,
}

impl CachedRows for Rows {
    fn def(&self) -> &Arc<TableDef> {
        self.table.def()
    }

    fn rows(&self) -> usize {
        self.table.num_rows()
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn part_rows(&self, _part: usize) -> usize {
        // The cache has cut them to about the same number of rows.
        self.table.num_rows().div_ceil(self.parts.len().max(1))
    }

    fn read(
        &self,
        part: usize,
        columns: &[usize],
    ) -> Box<dyn Iterator<Item = Result<RecordBatch>> + Send + 'static> {
        let (table, columns) = (Arc::clone(&self.table), columns.to_vec());
        let segments = self.parts.get(part).cloned().unwrap_or_default();
        Box::new(segments.filter_map(move |segment| {
            let batch = table.batches_of(segment..segment + 1, Some(&columns)).next()?;
            Some(batch.map_err(|error| ConnectorError::new(ErrorKind::Bug, error.to_string())))
        }))
    }
}
