//! Loading tables from one consistent view at an exact position.
//!
//! **Why can no change be missed between a load and the stream?** A load at P2 is followed by the stream from P2 on,
//! so every transaction after P2 has to reach the cache, decoded by the definitions that the load has. Therefore
//! the view is opened only after (1) capture was given those definitions, and (2) the server's own position was
//! asked after that; and it is used only if it covers that position and everything that was handed over already.
//! Whatever capture read before it got the definitions is then within P2. If the view shows other definitions,
//! capture gets those, and another view is opened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossweave_cache::{Loader, TableLoad};
use crossweave_contract::{
    CaptureTables, ConnectorError, ErrorKind, Position, RemoteQuery, RowBudget, Source, SourceView, TableDef,
    TableId,
};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::wanted::{Watchlist, same};

/// How often a view is opened until one serves.
const TRIES: u32 = 20;
/// The wait between two of them: a commit that is in the binlog already is visible soon.
const PAUSE: Duration = Duration::from_millis(10);

/// Bounds of a load.
#[derive(Debug, Clone, Copy)]
pub struct LoadLimits {
    /// How long reading one table may take.
    pub table_time: Duration,
    /// Bytes of rows that wait to be put into the cache.
    pub buffer: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self { table_time: Duration::from_secs(6 * 3600), buffer: 256 << 20 }
    }
}

/// What a service asks of a view.
#[derive(Debug)]
pub(super) struct Request {
    /// Its index in the watch list.
    pub(super) service: usize,
    /// The tables whose definitions are read.
    pub(super) tables: BTreeSet<TableId>,
}

/// What a view says of a service's tables.
#[derive(Debug, Default)]
pub(super) struct Defined {
    pub(super) service: usize,
    /// The tables asked for, and shadows that turned out to be needed.
    pub(super) tables: BTreeMap<TableId, Arc<TableDef>>,
    pub(super) failed: BTreeMap<TableId, ConnectorError>,
}

/// A view that serves.
pub(super) struct Opened {
    pub(super) view: Arc<dyn SourceView>,
    pub(super) position: Position,
    /// A moment before it was opened.
    pub(super) at: SystemTime,
    /// The server's position before the view was opened, and after capture knew the definitions.
    pub(super) before: Position,
    pub(super) defined: Vec<Defined>,
}

/// Opens views.
pub(super) struct Opener<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) limits: LoadLimits,
    pub(super) capture_tables: &'a watch::Sender<Arc<CaptureTables>>,
}

impl Opener<'_> {
    /// Opens a view that covers `handed_over`, and brings `watchlist` and capture up to its definitions.
    pub(super) async fn open(
        &self,
        watchlist: &mut Watchlist,
        requests: &[Request],
        handed_over: &Position,
    ) -> Result<Opened, ConnectorError> {
        let mut last = ConnectorError::new(ErrorKind::Bug, "no view was opened");
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let before = self.source.position().await?;
            let at = SystemTime::now();
            let view =
                self.source.open_load(self.limits.table_time, RowBudget::own(self.limits.buffer)).await?;
            let Some(position) = view.position() else {
                let message = format!("{} has no binlog: no position can be told", self.source.id());
                return Err(ConnectorError::new(ErrorKind::Settings, message));
            };
            if !position.covers(&before) || !position.covers(handed_over) {
                let message = format!("a view at {position} does not show {before} and {handed_over} yet");
                last = ConnectorError::new(ErrorKind::Unreachable, message);
                continue;
            }
            let mut defined = Vec::with_capacity(requests.len());
            for request in requests {
                defined.push(self.define(&*view, watchlist, request).await?);
            }
            if let Some(error) = defined.iter().flat_map(|d| d.failed.values()).find(|e| changed(e)) {
                last = error.clone();
                // A table that is gone stays so; the others are served.
                if attempt < TRIES / 4 {
                    continue;
                }
            }
            let tables = watchlist.capture_tables();
            if !same(&tables, &self.capture_tables.borrow()) {
                self.capture_tables.send_replace(Arc::new(tables));
                last = ConnectorError::new(ErrorKind::DefinitionChanged, "definitions change all the time");
                continue;
            }
            return Ok(Opened { view, position, at, before, defined });
        }
        Err(last)
    }

    /// The definitions of what is asked for, of the tables that cascades come from, and of shadows.
    async fn define(
        &self,
        view: &dyn SourceView,
        watchlist: &mut Watchlist,
        request: &Request,
    ) -> Result<Defined, ConnectorError> {
        let mut defined = Defined { service: request.service, ..Defined::default() };
        let mut parents: BTreeMap<TableId, Arc<TableDef>> = BTreeMap::new();
        let mut open: VecDeque<TableId> = request.tables.iter().cloned().collect();
        while let Some(id) = open.pop_front() {
            if defined.tables.contains_key(&id) {
                continue;
            }
            let def = match definition(view, watchlist, &id).await {
                Ok(def) => def,
                Err(error) if is_lost(&error) => return Err(error),
                Err(error) => {
                    defined.failed.insert(id, error);
                    continue;
                }
            };
            let referenced =
                def.acting_keys().map(|key| watchlist.parent(&id, key)).filter(|parent| *parent != id);
            let mut failed = None;
            for parent in referenced.collect::<BTreeSet<_>>() {
                let known = defined.tables.get(&parent).or_else(|| parents.get(&parent)).cloned();
                let parent_def = match known {
                    Some(def) => Ok(def),
                    None => definition(view, watchlist, &parent).await,
                };
                match parent_def {
                    Ok(def) => {
                        if def.acting_keys().next().is_some() {
                            open.push_back(parent.clone());
                        }
                        parents.insert(parent, def);
                    }
                    Err(error) if is_lost(&error) => return Err(error),
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => {
                    defined.failed.insert(id, error);
                }
                None => {
                    watchlist.keep(request.service, id.clone());
                    defined.tables.insert(id, def);
                }
            }
        }
        for def in defined.tables.values().chain(parents.values()) {
            watchlist.define(Arc::clone(def));
        }
        Ok(defined)
    }
}

async fn definition(
    view: &dyn SourceView,
    watchlist: &Watchlist,
    table: &TableId,
) -> Result<Arc<TableDef>, ConnectorError> {
    let (database, booleans) = watchlist.place(table);
    view.definition(table, &database, &booleans).await.map(Arc::new)
}

fn changed(error: &ConnectorError) -> bool {
    error.kind == ErrorKind::DefinitionChanged
}

/// Whether the view is of no more use.
fn is_lost(error: &ConnectorError) -> bool {
    matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Limit | ErrorKind::Protocol)
}

/// A table, read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) load: TableLoad,
    /// How long that took.
    pub(super) took: Duration,
}

/// A service's tables, read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) service: usize,
    pub(super) loads: Vec<Loaded>,
    pub(super) failed: Vec<(Arc<TableDef>, ConnectorError)>,
}

/// Tables being read from a view at this position.
pub(super) struct Loading {
    pub(super) position: Position,
    pub(super) task: AbortOnDropHandle<Vec<Read>>,
}

/// What the running load read; waits for ever while none runs.
pub(super) async fn finished(load: &mut Option<Loading>) -> Result<Vec<Read>, ConnectorError> {
    let Some(load) = load else { return std::future::pending().await };
    (&mut load.task).await.map_err(|error| ConnectorError::new(ErrorKind::Bug, error.to_string()))
}

/// Reads the tables `wanted` of a view, one after the other. A table that cannot be read does not keep the others
/// from it.
pub(super) async fn read(
    view: Arc<dyn SourceView>,
    wanted: Vec<(usize, Loader, Vec<Arc<TableDef>>)>,
) -> Vec<Read> {
    let mut all = Vec::with_capacity(wanted.len());
    for (service, loader, tables) in wanted {
        let mut read = Read { service, ..Read::default() };
        for def in tables {
            let started = std::time::Instant::now();
            match read_table(&*view, &loader, &def).await {
                Ok(load) => {
                    let (rows, took) = (load.rows(), started.elapsed());
                    tracing::info!(table = %def.id, rows, ?took, "loaded");
                    read.loads.push(Loaded { load, took });
                }
                Err(error) => read.failed.push((def, error)),
            }
        }
        all.push(read);
    }
    all
}

async fn read_table(
    view: &dyn SourceView,
    loader: &Loader,
    def: &Arc<TableDef>,
) -> Result<TableLoad, ConnectorError> {
    let fail = |error: crossweave_cache::LoadError| {
        ConnectorError::new(ErrorKind::Settings, error.to_string()).with_table(def.id.clone())
    };
    let mut load = loader.table(Arc::clone(def)).map_err(fail)?;
    let mut batches = view.scan(RemoteQuery::whole(Arc::clone(def)));
    while let Some(batch) = batches.next().await {
        load.push(&batch?).map_err(fail)?;
    }
    Ok(load)
}
