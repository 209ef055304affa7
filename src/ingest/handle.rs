//! Starting ingest, looking at it, stopping it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::{PersistError, ServiceCache, ServiceSnapshot, StateDir};
use crossweave_contract::{Capture, ChangeLog, ServiceName, Source, SourceId, TableId};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::board::{Board, Health, Part};
use super::load::LoadLimits;
use super::service::Service;
use super::source::{SourceTask, TaskState};
use super::status::{ServiceStatus, TableState};
use super::wanted::{ServiceSpec, Watchlist};
use crate::catalog::Discovery;
use crate::config::Config;

/// Tables of one source that may wait for its task to hear that they are to be loaded anew.
const WAITING_RELOADS: usize = 256;

/// Bounds and times of ingest.
#[derive(Debug, Clone, Copy)]
pub struct IngestSettings {
    /// How often what changed is stored.
    pub checkpoint_every: Duration,
    /// Bounds of loads.
    pub load: LoadLimits,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { checkpoint_every: Duration::from_secs(5), load: LoadLimits::default() }
    }
}

/// A source, and what captures its changes.
pub type CapturedSource = (Arc<dyn Source>, Arc<dyn Capture>);

/// What ingest works with.
#[derive(Debug)]
pub struct IngestParts {
    /// Which services there are, on which sources.
    pub config: Arc<Config>,
    /// The catalog, which says what is cached, and which ingest keeps up to date of cached tables.
    pub discovery: Discovery,
    /// Where transactions flow.
    pub log: Arc<dyn ChangeLog>,
    /// The sources and their captures.
    pub sources: BTreeMap<SourceId, CapturedSource>,
    /// Where checkpoints are.
    pub state: StateDir,
    /// Bounds and times.
    pub settings: IngestSettings,
}

/// All sources' ingest. Clones share it.
#[derive(Debug, Clone)]
pub struct IngestHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    board: Arc<Board>,
    /// Where the task of each service's source is told which tables to load anew.
    reloads: BTreeMap<ServiceName, mpsc::Sender<TableId>>,
    stop: CancellationToken,
    tasks: Mutex<Vec<oneshot::Receiver<()>>>,
}

impl Drop for Inner {
    /// Nobody can wait for the tasks any more, but they end, and store their caches.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl IngestHandle {
    /// Starts a task for each source, on a thread of its own: applying is work for a processor, and must not keep
    /// those waiting who serve I/O. To be called within a runtime, which does the tasks' I/O.
    ///
    /// # Errors
    ///
    /// If the state directory cannot be used.
    pub fn start(parts: IngestParts) -> Result<Self, PersistError> {
        let changed = watch::Sender::new(0);
        let board = Arc::new(Board::new(changed.clone()));
        let stop = CancellationToken::new();
        let (mut tasks, mut reloads) = (Vec::new(), BTreeMap::new());
        for (id, settings) in parts.config.sources() {
            let Some((source, capture)) = parts.sources.get(&id) else { continue };
            let health = Arc::new(Health::new(changed.clone()));
            let specs: Vec<ServiceSpec> = settings.iter().map(|settings| ServiceSpec::new(settings)).collect();
            let mut services = Vec::new();
            let (reload, reloading) = mpsc::channel(WAITING_RELOADS);
            for spec in &specs {
                reloads.insert(spec.name.clone(), reload.clone());
                let (cache, writer) = ServiceCache::new(spec.name.clone());
                board.add(cache, Arc::clone(&health));
                services.push(Service::new(spec.clone(), writer, parts.state.store(&spec.name, &id)?));
            }
            let task = SourceTask {
                source: Arc::clone(source),
                capture: Arc::clone(capture),
                log: Arc::clone(&parts.log),
                discovery: parts.discovery.clone(),
                settings: parts.settings,
                board: Arc::clone(&board),
                health,
                stop: stop.clone(),
                reloads: reloading,
                files: parts.state.of_source(&id),
                services,
                state: TaskState::new(Watchlist::new(Arc::new(specs))),
            };
            tasks.push(spawn(&id, task)?);
        }
        Ok(Self { inner: Arc::new(Inner { board, reloads, stop, tasks: Mutex::new(tasks) }) })
    }

    /// The newest snapshot of `service`; `None` before its first table is loaded.
    pub fn snapshot(&self, service: &ServiceName) -> Option<Arc<ServiceSnapshot>> {
        self.inner.board.snapshot(service)
    }

    /// How `service` is now; `None` if it is not in the config.
    pub fn status(&self, service: &ServiceName) -> Option<ServiceStatus> {
        self.inner.board.status(service)
    }

    /// How all services are now, by name.
    pub fn statuses(&self) -> Vec<ServiceStatus> {
        let names = self.inner.board.names();
        names.iter().filter_map(|name| self.inner.board.status(name)).collect()
    }

    /// Has `table`, which is cached, loaded anew; its last rows are served until it is. Fails, saying why, where its task
    /// does not listen.
    pub fn reload(&self, table: &TableId) -> Result<(), String> {
        let Some(task) = self.inner.reloads.get(&table.service) else {
            return Err("nothing of its service is cached".to_owned());
        };
        task.try_send(table.clone()).map_err(|error| match error {
            TrySendError::Full(_) => format!("{WAITING_RELOADS} tables wait already to be loaded anew"),
            TrySendError::Closed(_) => "its ingest has ended".to_owned(),
        })
    }

    /// Why queries cannot use the cache of `table`, while they cannot.
    pub fn why_absent(&self, table: &TableId) -> Option<String> {
        match &self.status(&table.service)?.tables.get(&table.table)?.state {
            TableState::Ready | TableState::Reloading(_) => None,
            TableState::Loading { attempt_failed: None } => Some("its first load has not ended".to_owned()),
            TableState::Loading { attempt_failed: Some(reason) } => {
                Some(format!("its first load failed and is tried again: {reason}"))
            }
            TableState::Stopped(reason) => Some(reason.clone()),
        }
    }

    /// A number that grows with every new snapshot and every change of a status.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.board.changes()
    }

    /// Ends all tasks and returns once their caches are stored.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            // A task that broke off is over as well.
            let _ = task.await;
        }
    }
}

fn spawn(source: &SourceId, task: SourceTask) -> Result<oneshot::Receiver<()>, PersistError> {
    let (done, ended) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let health = Arc::clone(&task.health);
    let thread = std::thread::Builder::new().name(format!("ingest {source}"));
    let running = thread.spawn(move || {
        let run = AssertUnwindSafe(task.run()).catch_unwind();
        if runtime.block_on(run).is_err() {
            let reason = "ingest broke off through a fault in this program; restart the server";
            health.set(Part::Task, Some(reason.to_owned()));
        }
        // Nobody may wait for it.
        let _ = done.send(());
    });
    match running {
        Ok(_) => Ok(ended),
        Err(error) => {
            Err(PersistError::Io { action: "start a thread for", path: source.as_str().into(), error })
        }
    }
}
