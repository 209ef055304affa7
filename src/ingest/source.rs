//! One source's task: from its start to its end.

mod place;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::{Restored, SourceFiles};
use crossweave_contract::{
    Capture, CaptureTables, ChangeLog, ConnectorError, ErrorKind, LogEntry, LogPlace, LogStream, Position,
    Source, TableDef, TableId,
};
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::board::{Board, Health, Part};
use super::capture::{self, CaptureFrom, CaptureTask};
use super::checkpoint::Checkpoints;
use super::handle::IngestSettings;
use super::known::unwritten;
use super::load::{Loading, Opened, Opener, Read, Request, finished, read};
use super::retry::{Backoff, sleep_until};
use super::service::{Service, named};
use super::wanted::Watchlist;
use crate::catalog::{Catalog, Discovery, TableMode};

/// How long transactions that are there already are applied before what was applied is published.
const BATCH: Duration = Duration::from_millis(10);

/// One source.
pub(super) struct SourceTask {
    pub(super) source: Arc<dyn Source>,
    pub(super) capture: Arc<dyn Capture>,
    pub(super) log: Arc<dyn ChangeLog>,
    pub(super) discovery: Discovery,
    pub(super) settings: IngestSettings,
    pub(super) board: Arc<Board>,
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    /// Tables that somebody wants to be loaded anew.
    pub(super) reloads: mpsc::Receiver<TableId>,
    pub(super) files: SourceFiles,
    pub(super) services: Vec<Service>,
    pub(super) state: TaskState,
}

/// What the task keeps while it runs.
pub(super) struct TaskState {
    watchlist: Watchlist,
    capture_tables: watch::Sender<Arc<CaptureTables>>,
    capture: Option<JoinHandle<()>>,
    load: Option<Loading>,
    checkpoints: Checkpoints,
    /// Everything up to here was handed over by the log.
    handed_over: Position,
    /// What the log has up to here, each view that is opened from now on has as well.
    place: Option<LogPlace>,
    /// A statement went by that may have made or dropped tables.
    ask_again: bool,
    asking: Option<AbortOnDropHandle<()>>,
}

impl TaskState {
    pub(super) fn new(watchlist: Watchlist) -> Self {
        Self {
            watchlist,
            capture_tables: watch::Sender::new(Arc::default()),
            capture: None,
            load: None,
            checkpoints: Checkpoints::default(),
            handed_over: Position::origin(),
            place: None,
            ask_again: false,
            asking: None,
        }
    }
}

impl SourceTask {
    /// Restores, runs until it is stopped, stores.
    pub(super) async fn run(mut self) {
        self.restore();
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.serve()).await;
        self.state.load = None;
        if let Some(capture) = self.state.capture.take() {
            // It waits for nothing but the same token; how it ended does not matter any more.
            let _ = capture.await;
        }
        self.publish();
        self.state.checkpoints.flush(&mut self.services, &self.board).await;
    }

    /// Brings every service to its last checkpoint, visible at once: how old it is, its age says.
    fn restore(&mut self) {
        for (index, service) in self.services.iter_mut().enumerate() {
            let restored = service.store.lock().restore(&mut service.writer);
            match restored {
                Ok(Restored::Nothing) => {}
                Ok(Restored::Tables(tables)) => {
                    let position = service.writer.position().map(ToString::to_string).unwrap_or_default();
                    tracing::info!(service = %service.spec.name, tables, position, "restored from its checkpoint");
                    let defs: Vec<Arc<TableDef>> =
                        service.writer.tables().map(|(def, _)| Arc::clone(def)).collect();
                    let own = defs.iter().filter(|def| def.id.service == service.spec.name);
                    service.show(own.map(|def| def.id.clone()).collect());
                    for def in defs {
                        self.state.watchlist.keep(index, def.id.clone());
                        self.state.watchlist.define(def);
                    }
                }
                Err(error) => {
                    tracing::warn!(service = %service.spec.name, %error, "the service is loaded anew");
                }
            }
        }
        self.follow_catalog();
        self.publish();
        for service in &mut self.services {
            service.saved = service.writer.cache().snapshot();
        }
    }

    async fn serve(&mut self) -> Infallible {
        let mut backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(10));
        let mut catalog = self.discovery.catalog().watch();
        loop {
            catalog.mark_unchanged();
            self.follow_catalog();
            if self.services.iter().enumerate().all(|(i, _)| self.state.watchlist.kept(i).is_empty()) {
                // Nothing is cached, or nothing is known yet.
                if catalog.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            match self.begin().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(source = %self.source.id(), %error, "the source cannot be captured; it is tried again");
                    self.health.set(Part::Task, Some(error.to_string()));
                    self.fail_due(&error);
                    self.publish();
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
        self.health.set(Part::Task, None);
        self.pump(catalog).await
    }

    /// Gives capture its tables and its start, and begins to load what no checkpoint had.
    async fn begin(&mut self) -> Result<(), ConnectorError> {
        let end = self.log.end(self.source.id()).await?;
        self.leave_other_logs(end.as_ref());
        self.leave_unknown_places(end.as_ref());
        self.leave_other_histories().await?;
        let requests = self.requests(|_, index, state| state.watchlist.kept(index).clone());
        let opened = self.open(&requests).await?;
        for defined in &opened.defined {
            let service = &mut self.services[defined.service];
            for def in defined.tables.values().filter(|def| !service.has(def)).cloned().collect::<Vec<_>>() {
                service.expire(&def.id, "its definition changed while it was not watched");
            }
        }
        let positions: Vec<&Position> =
            self.services.iter().filter_map(|service| service.writer.position()).collect();
        let from = match end {
            Some(end) => end.position,
            None if positions.is_empty() => opened.before.clone(),
            None => Position::floor(&positions),
        };
        tracing::info!(source = %self.source.id(), position = %from, "capture begins");
        let capture = CaptureTask::new(
            Arc::clone(&self.source),
            Arc::clone(&self.capture),
            Arc::clone(&self.log),
            CaptureFrom { position: from, tables: self.state.capture_tables.subscribe() },
            &self.files,
            Arc::clone(&self.health),
        );
        self.state.capture = Some(tokio::spawn(capture.run(self.stop.clone())));
        self.start_reading(opened).await;
        Ok(())
    }

    /// Loads anew what was applied up to where the source has not come: its numbers went back while nobody watched,
    /// by `RESET MASTER`, with a backup, or because it is another server. Nothing is known under those numbers any more.
    async fn leave_other_histories(&mut self) -> Result<(), ConnectorError> {
        let now = self.source.position().await?;
        for service in &mut self.services {
            if let Some(applied) = service.writer.position().filter(|applied| !now.covers(applied)) {
                let reason =
                    format!("its caches stand at {applied}, and its source is back at {}", named(&now));
                service.start_over(&reason);
                self.files.known_transactions.remove().map_err(|error| unwritten(&error))?;
            }
        }
        Ok(())
    }

    /// Follows the log for as long as the process runs.
    async fn pump(&mut self, mut catalog: watch::Receiver<Arc<Catalog>>) -> Infallible {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut stream: Option<LogStream> = None;
        let mut subscribe_at = Instant::now();
        let mut tick = tokio::time::interval(self.settings.checkpoint_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.load_due().await;
            self.ask_if_needed();
            self.publish();
            let room = self.services.iter().all(Service::has_room);
            // While a load runs, none other begins.
            let next_try = if self.state.load.is_none() { self.next_try() } else { None };
            let state = &mut self.state;
            tokio::select! {
                entry = next_entry(&mut stream), if room => {
                    let taken = entry.and_then(|entry| self.take_batch(&mut stream, entry));
                    match taken {
                        Ok(()) => backoff.reset(),
                        Err(error) => {
                            stream = None;
                            subscribe_at = Instant::now() + backoff.wait();
                            self.log_failed(&error);
                        }
                    }
                }
                () = tokio::time::sleep_until(subscribe_at), if stream.is_none() => {
                    match self.subscribe().await {
                        Ok(subscribed) => stream = Some(subscribed),
                        Err(error) => {
                            subscribe_at = Instant::now() + backoff.wait();
                            self.log_failed(&error);
                        }
                    }
                }
                reads = finished(&mut state.load) => self.end_load(reads),
                Some(table) = self.reloads.recv() => {
                    let service = self.services.iter_mut().find(|service| service.spec.name == table.service);
                    service.into_iter().for_each(|service| service.reload(&table));
                }
                changed = catalog.changed() => {
                    if changed.is_ok() {
                        self.follow_catalog();
                    }
                }
                () = state.checkpoints.finish(&mut self.services, &self.board) => {}
                _ = tick.tick() => state.checkpoints.start(&self.services),
                () = sleep_until(next_try) => {}
            }
        }
    }

    /// Keeps what the catalog says is cached, and forgets what it no longer does.
    fn follow_catalog(&mut self) {
        let catalog = self.discovery.catalog().current();
        for (index, service) in self.services.iter_mut().enumerate() {
            let Some(known) = catalog.services.get(&service.spec.name).filter(|s| s.unreachable.is_none())
            else {
                continue;
            };
            let cached = known.tables.values().filter(|table| table.mode == TableMode::Cached);
            let cached: BTreeSet<TableId> = cached.map(|table| table.def.id.clone()).collect();
            let own = self.state.watchlist.kept(index).iter().filter(|id| id.service == service.spec.name);
            let over: Vec<TableId> = own.filter(|id| !cached.contains(*id)).cloned().collect();
            for table in over {
                // One that is kept for its cascades comes back as a shadow with the next definitions.
                if known.tables.contains_key(&*table.table) && self.state.watchlist.is_parent(index, &table) {
                    continue;
                }
                self.state.watchlist.drop_table(index, &table);
                service.forget(&table);
            }
            cached.iter().for_each(|table| self.state.watchlist.keep(index, table.clone()));
            service.show(cached);
        }
    }

    fn requests(&self, tables: impl Fn(&Service, usize, &TaskState) -> BTreeSet<TableId>) -> Vec<Request> {
        let requests = self.services.iter().enumerate().map(|(service, of)| {
            let tables = tables(of, service, &self.state);
            Request { service, tables }
        });
        requests.filter(|request| !request.tables.is_empty()).collect()
    }

    async fn open(&mut self, requests: &[Request]) -> Result<Opened, ConnectorError> {
        let mut handed_over = self.state.handed_over.clone();
        for position in self.services.iter().filter_map(|service| service.writer.position()) {
            handed_over.merge(position);
        }
        let limits = self.settings.load;
        let opener = Opener { source: &*self.source, limits, capture_tables: &self.state.capture_tables };
        opener.open(&mut self.state.watchlist, requests, &handed_over).await
    }

    fn next_try(&self) -> Option<Instant> {
        let services = self.services.iter().enumerate();
        services.filter_map(|(index, service)| service.next_try(self.state.watchlist.kept(index))).min()
    }

    /// Opens a view for the tables that are due, if there are any and no other load runs.
    async fn load_due(&mut self) {
        if self.state.load.is_some() {
            return;
        }
        let now = Instant::now();
        for service in &mut self.services {
            service.expire_asked(now);
            service.leave_what_waits(now);
        }
        let requests = self.requests(|service, index, state| service.due(state.watchlist.kept(index), now));
        if requests.is_empty() {
            return;
        }
        match self.open(&requests).await {
            Ok(opened) => self.start_reading(opened).await,
            Err(error) => {
                for request in requests {
                    let service = &mut self.services[request.service];
                    request.tables.iter().for_each(|table| service.load_failed(table, None, &error));
                }
            }
        }
    }

    /// Begins to read, from an open view, the tables that are not there as they are defined now.
    async fn start_reading(&mut self, opened: Opened) {
        let mut wanted = Vec::new();
        for defined in opened.defined {
            let index = defined.service;
            for (table, error) in defined.failed {
                if error.kind == ErrorKind::DefinitionChanged && self.is_gone(index, &table).await {
                    tracing::info!(%table, "the table is gone");
                    self.state.watchlist.drop_table(index, &table);
                    self.services[index].forget(&table);
                    self.discovery.remove_table(&table);
                } else {
                    self.services[index].load_failed(&table, None, &error);
                }
            }
            let barred = self.state.watchlist.barred(&defined.tables);
            let service = &mut self.services[index];
            barred.iter().for_each(|(id, error)| service.load_failed(id, defined.tables.get(id), error));
            let due = |def: &Arc<TableDef>| !barred.contains_key(&def.id) && !service.has(def);
            let tables: Vec<_> = defined.tables.into_values().filter(due).collect();
            if !tables.is_empty() {
                service.begin_load(&opened.position, opened.at, self.state.place);
                wanted.push((index, service.writer.loader(), tables));
            }
        }
        if !wanted.is_empty() {
            let task = AbortOnDropHandle::new(tokio::spawn(read(opened.view, wanted)));
            self.state.load = Some(Loading { position: opened.position, task });
        }
    }

    /// Whether the server no longer has `table`.
    async fn is_gone(&self, service: usize, table: &TableId) -> bool {
        let spec = &self.services[service].spec;
        if table.service != spec.name {
            return false;
        }
        match self.source.tables(&spec.name, &spec.database, &spec.booleans).await {
            Ok(found) => {
                let mut problems = found.problems.iter().filter(|problem| problem.column.is_none());
                !found.tables.iter().any(|def| def.id == *table) && !problems.any(|p| p.table == *table)
            }
            Err(_) => false,
        }
    }

    fn end_load(&mut self, reads: Result<Vec<Read>, ConnectorError>) {
        let Some(load) = self.state.load.take() else { return };
        let mut reads = match reads {
            Ok(reads) => reads,
            Err(error) => {
                tracing::error!(source = %self.source.id(), %error, "a load ended before its time");
                Vec::new()
            }
        };
        for (index, service) in self.services.iter_mut().enumerate() {
            let at = reads.iter().position(|read| read.service == index);
            if let Some(read) = at.map(|at| reads.swap_remove(at)) {
                service.end_load(&load.position, read);
            } else if service.is_loading() {
                service.end_load(&load.position, Read { service: index, ..Read::default() });
            }
        }
    }

    /// Takes `first` and what else the log has ready, within a bound of time; then all of it is published at once.
    fn take_batch(&mut self, stream: &mut Option<LogStream>, first: LogEntry) -> Result<(), ConnectorError> {
        let started = Instant::now();
        self.take(&first);
        while started.elapsed() < BATCH && self.services.iter().all(Service::has_room) {
            match next_entry(stream).now_or_never() {
                None => break,
                Some(entry) => self.take(&entry?),
            }
        }
        Ok(())
    }

    fn take(&mut self, entry: &LogEntry) {
        match entry {
            LogEntry::Transaction { transaction, .. } => {
                self.state.handed_over.advance(transaction.gtid);
                self.state.ask_again |= !transaction.schema_changes.is_empty();
            }
            LogEntry::Heartbeat { position, .. } => self.state.handed_over.merge(position),
            LogEntry::StartsOver { position, .. } => self.state.handed_over = position.clone(),
        }
        self.state.pass(entry);
        for service in &mut self.services {
            service.take(entry);
        }
        // The log may have started over.
        self.leave_load();
        let left = !self.services.iter().any(Service::keeps_history_of_before);
        if left && matches!(entry, LogEntry::StartsOver { .. }) {
            capture::forget(&self.files.must_start_over);
        }
    }

    /// Gives up a load that nobody waits for any more.
    fn leave_load(&mut self) {
        if !self.services.iter().any(Service::is_loading) {
            self.state.load = None;
        }
    }

    fn log_failed(&mut self, error: &ConnectorError) {
        tracing::warn!(source = %self.source.id(), %error, "the change log cannot be read; it is tried again");
        self.health.set(Part::Log, Some(error.to_string()));
    }

    fn fail_due(&mut self, error: &ConnectorError) {
        for (index, service) in self.services.iter_mut().enumerate() {
            for table in service.due(self.state.watchlist.kept(index), Instant::now()) {
                service.load_failed(&table, None, error);
            }
        }
    }

    /// After a statement that may have made or dropped tables, asks what there is; the catalog tells the answer.
    fn ask_if_needed(&mut self) {
        let asking = self.state.asking.as_ref().is_some_and(|asking| !asking.is_finished());
        if !self.state.ask_again || asking {
            return;
        }
        self.state.ask_again = false;
        let (discovery, source) = (self.discovery.clone(), self.source.id().clone());
        let services: Vec<_> = self.services.iter().map(|service| service.spec.name.clone()).collect();
        self.state.asking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            for service in services {
                if let Err(error) = discovery.refresh(&service).await {
                    // Discovery asks again by itself.
                    tracing::debug!(%source, %service, %error, "the service cannot be asked for its tables");
                }
            }
        })));
    }

    /// Makes visible what was applied, and tells the board and the catalog.
    fn publish(&mut self) {
        for service in &mut self.services {
            if !service.is_dirty() {
                continue;
            }
            if let Some(snapshot) = service.publish()
                && std::mem::take(&mut service.new_definitions)
            {
                let catalog = self.discovery.catalog().current();
                for (_, table) in snapshot.tables() {
                    if catalog.table(&table.def().id).is_some_and(|known| known.def != *table.def()) {
                        self.discovery.replace_table(table.def());
                    }
                }
            }
            self.board.note(&service.spec.name, service.notes());
        }
    }
}

/// The next entry of the log; waits for ever while there is no subscription.
async fn next_entry(stream: &mut Option<LogStream>) -> Result<LogEntry, ConnectorError> {
    let Some(stream) = stream else { return std::future::pending().await };
    let ended = || ConnectorError::new(ErrorKind::Unreachable, "the change log ended");
    stream.next().await.unwrap_or_else(|| Err(ended()))
}
