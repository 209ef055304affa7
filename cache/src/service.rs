//! A service's tables at one position: install, apply, publish.
//!
//! The writer's state has one [`Position`], to which the stream was applied. A table is in one of these states:
//!
//! - **ready**: as of that position;
//! - **ahead**: loaded anew from a view at P2, to which the stream has not come yet. It passes over what P2
//!   contains, while the others apply it, and is ready once the position covers P2;
//! - **stale**: altered or truncated, so what the stream says of it cannot be applied. It waits for a load. If
//!   readers see it, [`ServiceWriter::publish`] refuses until the table is ready again: readers go on with the
//!   last snapshot, in which the old definition and the old rows are right, and then see old change to new at
//!   once, for all tables together;
//! - **stopped**: a change did not fit its rows, or its load failed (I7). It leaves the snapshot with the next
//!   publish, the others go on. It waits for a load as well.
//!
//! **Why can no change be missed between a load and the stream?** [`ServiceWriter::install`] takes only loads whose
//! position covers everything applied so far, and everything after it is still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossweave_contract::{ChangeOp, Gtid, LogPlace, Position, ServiceName, TableDef, TableId, Transaction};
use parking_lot::RwLock;

use crate::cascade::{Edges, Tables};
use crate::error::{ApplyError, InstallError, RowError};
use crate::load::{LoadError, TableLoad};
use crate::segment::SegmentIds;
use crate::snapshot::{ServiceSnapshot, TableSnapshot};
use crate::table::TableWriter;
use crate::tail::NewRow;

/// What readers hold of a service's caches: the place where the newest snapshot is.
#[derive(Debug)]
pub struct ServiceCache {
    service: ServiceName,
    current: RwLock<Option<Arc<ServiceSnapshot>>>,
}

impl ServiceCache {
    /// An empty cache of `service`, and the one writer it has.
    pub fn new(service: ServiceName) -> (Arc<Self>, ServiceWriter) {
        let cache = Arc::new(Self { service: service.clone(), current: RwLock::new(None) });
        let writer = ServiceWriter {
            service,
            cache: Arc::clone(&cache),
            ids: SegmentIds::default(),
            position: None,
            log_place: None,
            current_at: SystemTime::UNIX_EPOCH,
            tables: Tables::default(),
            shown: None,
        };
        (cache, writer)
    }

    /// Whose.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The newest snapshot; `None` before the first publish. Holding it costs the memory of what was replaced
    /// since.
    pub fn snapshot(&self) -> Option<Arc<ServiceSnapshot>> {
        self.current.read().clone()
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// It was contained in the position already; nothing was done.
    pub skipped: bool,
    /// Logged changes of this service's tables that were applied.
    pub changes: usize,
    /// Rows that were changed by cascades.
    pub cascaded: usize,
    /// Tables that became stale or stopped, with their dependents: they are to be loaded anew.
    pub to_load: BTreeSet<TableId>,
}

/// What [`ServiceWriter::publish`] did.
#[derive(Debug, Clone)]
pub enum Published {
    /// Readers see this from now on.
    Visible(Arc<ServiceSnapshot>),
    /// Readers go on with the last snapshot, because these tables are being loaded anew.
    Held(Vec<TableId>),
    /// Nothing was installed yet.
    Nothing,
}

/// Makes empty loads for one service.
#[derive(Debug, Clone)]
pub struct Loader(SegmentIds);

impl Loader {
    /// An empty load for a table of `def`.
    pub fn table(&self, def: Arc<TableDef>) -> Result<TableLoad, LoadError> {
        TableLoad::new(def, self.0.clone())
    }
}

/// A table's state, as the module's header has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableHealth {
    /// As of the writer's position.
    Ready,
    /// Loaded anew, at this position.
    Ahead(Position),
    /// Waits for a load for this reason; readers see the last snapshot.
    Stale(String),
    /// Waits for a load for this reason; readers do not see it.
    Stopped(String),
}

#[derive(Debug)]
pub(crate) enum State {
    Ready { table: Box<TableWriter>, ahead: Option<Position> },
    Stale(String),
    Stopped(String),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) def: Arc<TableDef>,
    pub(crate) state: State,
    /// In the snapshot that readers see.
    pub(crate) visible: bool,
    /// Readers must not see a newer snapshot until this table is ready.
    pub(crate) holds: bool,
}

impl Entry {
    /// Whether changes of the transaction `gtid` apply to it.
    pub(crate) fn takes(&self, gtid: &Gtid) -> bool {
        match &self.state {
            State::Ready { ahead, .. } => !ahead.as_ref().is_some_and(|position| position.contains(gtid)),
            State::Stale(_) | State::Stopped(_) => false,
        }
    }
}

/// The one writer of a [`ServiceCache`]. What it does is seen by nobody before [`publish`](Self::publish).
#[derive(Debug)]
pub struct ServiceWriter {
    pub(crate) service: ServiceName,
    cache: Arc<ServiceCache>,
    pub(crate) ids: SegmentIds,
    position: Option<Position>,
    log_place: Option<LogPlace>,
    current_at: SystemTime,
    tables: Tables,
    /// The tables that readers see, where that was said.
    shown: Option<BTreeSet<TableId>>,
}

impl ServiceWriter {
    /// Whose.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Up to where transactions were applied; `None` before the first install.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The place in the change log that belongs to it.
    pub fn log_place(&self) -> Option<LogPlace> {
        self.log_place
    }

    /// The cache that this writes.
    pub fn cache(&self) -> &Arc<ServiceCache> {
        &self.cache
    }

    /// From the next publish on, readers see `tables` of this service alone. Others, of other services too, are kept
    /// where cascades come through them.
    pub fn show(&mut self, tables: BTreeSet<TableId>) {
        self.shown = Some(tables);
    }

    fn shows(&self, table: &TableId) -> bool {
        table.service == self.service && self.shown.as_ref().is_none_or(|shown| shown.contains(table))
    }

    /// Every table's state, also of those that readers do not see.
    pub fn tables(&self) -> impl Iterator<Item = (&Arc<TableDef>, TableHealth)> {
        self.tables.entries.iter().map(|entry| {
            let health = match &entry.state {
                State::Ready { ahead: None, .. } => TableHealth::Ready,
                State::Ready { ahead: Some(position), .. } => TableHealth::Ahead(position.clone()),
                State::Stale(reason) => TableHealth::Stale(reason.clone()),
                State::Stopped(reason) => TableHealth::Stopped(reason.clone()),
            };
            (&entry.def, health)
        })
    }

    /// The tables that wait for a load.
    pub fn to_load(&self) -> BTreeSet<TableId> {
        let waiting = self.tables.entries.iter().filter(|e| !matches!(e.state, State::Ready { .. }));
        waiting.map(|entry| entry.def.id.clone()).collect()
    }

    /// `tables` and those that have to be loaded with them, from the same view, because cascades into them come
    /// through one of `tables`.
    pub fn with_dependents(&self, tables: &BTreeSet<TableId>) -> BTreeSet<TableId> {
        let known = tables.iter().filter_map(|id| self.tables.index(id));
        let found = self.tables.dependents(known.collect::<Vec<_>>());
        let found = found.into_iter().map(|index| self.tables.entries[index].def.id.clone());
        found.chain(tables.iter().cloned()).collect()
    }

    /// An empty load for a table of `def`.
    pub fn load(&self, def: Arc<TableDef>) -> Result<TableLoad, LoadError> {
        self.loader().table(def)
    }

    /// Makes the loads that [`install`](Self::install) takes. It can be sent to where the rows are read.
    pub fn loader(&self) -> Loader {
        Loader(self.ids.clone())
    }

    /// Takes tables that were all read in one view at `position`. The first install sets the writer's position;
    /// later ones do not change it: the tables are ahead until the stream has come there.
    pub fn install(&mut self, loads: Vec<TableLoad>, position: &Position) -> Result<(), InstallError> {
        let ahead = match &self.position {
            None => None,
            Some(at) if !position.covers(at) => {
                let (service, loaded) = (self.service.clone(), position.clone());
                return Err(InstallError::Behind { service, loaded, position: at.clone() });
            }
            Some(at) => (!at.covers(position)).then(|| position.clone()),
        };
        self.position.get_or_insert_with(|| position.clone());
        let loaded: BTreeSet<TableId> = loads.iter().map(|load| load.def().id.clone()).collect();
        for load in loads {
            let def = Arc::clone(load.def());
            match load.finish() {
                Ok(table) => self.put(def, State::Ready { table: Box::new(table), ahead: ahead.clone() }),
                Err(error) => self.stop(&def, &error.to_string()),
            }
        }
        self.follow_what_waits();
        if ahead.is_some() {
            self.expire_dependents(&loaded);
        }
        Ok(())
    }

    /// What a table that is ahead does not apply any more, its dependents would have had to follow: those that were
    /// not loaded with it are out of date.
    fn expire_dependents(&mut self, loaded: &BTreeSet<TableId>) {
        for id in loaded {
            let dependents = self.tables.dependents(self.tables.index(id));
            let apart = dependents.into_iter().filter(|i| !loaded.contains(&self.tables.entries[*i].def.id));
            for index in apart.collect::<Vec<_>>() {
                self.tables.expire(index, &format!("cascades come through {id}, which was loaded anew"));
            }
        }
    }

    /// What was loaded but depends on a table that was not is out of date from the start.
    fn follow_what_waits(&mut self) {
        for index in 0..self.tables.entries.len() {
            match &self.tables.entries[index].state {
                State::Ready { .. } => {}
                State::Stale(reason) => {
                    let reason = reason.clone();
                    self.tables.expire(index, &reason);
                }
                State::Stopped(reason) => {
                    let reason = reason.clone();
                    self.tables.stop(index, &reason);
                }
            }
        }
    }

    fn put(&mut self, def: Arc<TableDef>, state: State) {
        let old = self.tables.index(&def.id).map(|index| &self.tables.entries[index]);
        let visible = old.is_some_and(|entry| entry.visible);
        let holds =
            old.is_some_and(|entry| entry.holds || entry.visible) && matches!(state, State::Ready { .. });
        self.tables.put(Entry { def, state, visible, holds });
    }

    /// Takes a table that was frozen before, as of the writer's position.
    pub(crate) fn put_restored(&mut self, table: TableWriter) {
        let def = Arc::clone(table.def());
        self.put(def, State::Ready { table: Box::new(table), ahead: None });
    }

    /// Sets the writer to where a checkpoint was.
    pub(crate) fn resume(&mut self, position: Position, place: Option<LogPlace>, current_at: SystemTime) {
        self.position = Some(position);
        self.log_place = place;
        self.current_at = current_at;
    }

    /// Keeps a table's place without its rows: its load failed for `reason`. Its dependents stop with it.
    pub fn stop(&mut self, def: &Arc<TableDef>, reason: &str) {
        if self.tables.index(&def.id).is_none() {
            self.put(Arc::clone(def), State::Stopped(reason.to_owned()));
        }
        if let Some(index) = self.tables.index(&def.id) {
            self.tables.entries[index].state = State::Stopped(reason.to_owned());
            self.tables.stop(index, reason);
        }
    }

    /// Marks a table and its dependents as out of date, so that they are loaded anew.
    pub fn expire(&mut self, table: &TableId, reason: &str) {
        if let Some(index) = self.tables.index(table) {
            self.tables.expire(index, reason);
        }
    }

    /// Forgets a table that is gone or no longer cached; it leaves the snapshot with the next publish.
    pub fn remove(&mut self, table: &TableId) {
        self.tables.remove(table);
    }

    /// Gives the stream up: what was applied can no longer be continued. All tables are stale, and the next
    /// install sets the position anew, which may be an earlier one.
    pub fn begin_anew(&mut self, reason: &str) {
        (self.position, self.log_place) = (None, None);
        for index in 0..self.tables.entries.len() {
            self.tables.expire(index, reason);
        }
    }

    /// Applies a whole transaction, or passes over it if the position contains it. Tables that it does not fit
    /// stop or become stale; the others take it.
    pub fn apply(
        &mut self,
        transaction: &Arc<Transaction>,
        place: Option<LogPlace>,
    ) -> Result<Applied, ApplyError> {
        let position = self.position.as_ref();
        let position = position.ok_or_else(|| ApplyError::NotInstalled(self.service.clone()))?;
        let gtid = transaction.gtid;
        if position.contains(&gtid) {
            self.log_place = place.or(self.log_place);
            return Ok(Applied { skipped: true, ..Applied::default() });
        }
        if !position.covers(&transaction.previous) {
            return Err(ApplyError::Gap {
                service: self.service.clone(),
                gtid,
                previous: transaction.previous.clone(),
                position: position.clone(),
            });
        }
        let waiting = self.to_load();
        let mut applied = Applied::default();
        self.expire_changed(transaction);
        self.apply_changes(transaction, &mut applied);
        applied.to_load = self.to_load().difference(&waiting).cloned().collect();
        if let Some(position) = &mut self.position {
            position.advance(gtid);
        }
        self.log_place = place.or(self.log_place);
        let micros = u64::try_from(transaction.committed_at).unwrap_or(0);
        let committed = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        self.current_at = self.current_at.max(committed.min(SystemTime::now()));
        Ok(applied)
    }

    /// Tables that cannot take the transaction: altered, undecodable, or of another definition.
    fn expire_changed(&mut self, transaction: &Transaction) {
        let gtid = &transaction.gtid;
        for id in transaction.schema_changes.iter().flat_map(|change| &change.tables) {
            let reason = format!("a statement in transaction {gtid} may have changed {id}");
            for index in self.tables.concerned(id) {
                if self.tables.entries[index].takes(gtid) {
                    self.tables.expire(index, &reason);
                }
            }
        }
        for fault in &transaction.faults {
            let reason = format!("{} (transaction {gtid})", fault.reason);
            for index in self.tables.concerned(&fault.table) {
                if self.tables.entries[index].takes(gtid) {
                    self.tables.stop(index, &reason);
                }
            }
        }
        for def in &transaction.tables {
            let Some(index) = self.tables.index(&def.id) else { continue };
            let entry = &self.tables.entries[index];
            let same = Arc::ptr_eq(&entry.def, def) || entry.def.same_shape(def);
            if !same && entry.takes(gtid) {
                let reason = format!("its definition is another one from transaction {gtid} on");
                self.tables.expire(index, &reason);
            }
        }
    }

    fn apply_changes(&mut self, transaction: &Arc<Transaction>, applied: &mut Applied) {
        let gtid = &transaction.gtid;
        let edges: Arc<Edges> = self.tables.edges();
        let targets: Vec<(Option<usize>, bool)> =
            transaction.tables.iter().map(|def| (self.tables.index(&def.id), edges.start_at(def))).collect();
        for (ordinal, change) in transaction.changes.iter().enumerate() {
            let (index, cascades) = targets[change.table as usize];
            if let Some(index) = index.filter(|index| self.tables.entries[*index].takes(gtid)) {
                match self.apply_change(index, transaction, ordinal) {
                    Ok(()) => applied.changes += 1,
                    Err(error) => {
                        self.tables.stop(index, &format!("{error} (transaction {gtid}, change {ordinal})"));
                    }
                }
            }
            if let Some(before) = change.op.before().filter(|_| cascades && change.cascades) {
                let def = transaction.table_of(change);
                applied.cascaded += self.tables.cascade(gtid, def, before, change.op.after().map(|row| &**row));
            }
        }
    }

    fn apply_change(
        &mut self,
        index: usize,
        transaction: &Arc<Transaction>,
        ordinal: usize,
    ) -> Result<(), RowError> {
        let State::Ready { table, .. } = &mut self.tables.entries[index].state else { return Ok(()) };
        let logged = || NewRow::Logged(Arc::clone(transaction), ordinal);
        match &transaction.changes[ordinal].op {
            ChangeOp::Insert { .. } => table.insert(logged()),
            ChangeOp::Update { before, .. } => table.update(before, logged()),
            ChangeOp::Delete { before } => table.delete(before),
        }
    }

    /// Notes that at `at` the source had nothing beyond `position`, and that all of that was applied, and all that the
    /// change log has up to `place`, where it has places. A source that is behind what was applied says nothing about
    /// now: that was before, or its numbers went back.
    pub fn caught_up(&mut self, position: &Position, at: SystemTime, place: Option<LogPlace>) {
        let Some(own) = &mut self.position else { return };
        self.log_place = place.or(self.log_place);
        if !position.covers(own) {
            return;
        }
        own.merge(position);
        self.current_at = self.current_at.max(at);
    }

    /// Makes everything applied so far visible, all tables at once, unless a table that readers see is stale or
    /// ahead.
    pub fn publish(&mut self) -> Published {
        let Some(position) = self.position.clone() else { return Published::Nothing };
        for entry in &mut self.tables.entries {
            if let State::Ready { ahead, .. } = &mut entry.state {
                *ahead = ahead.take().filter(|loaded| !position.covers(loaded));
                entry.holds &= ahead.is_some();
            }
        }
        let holding = self.tables.entries.iter().filter(|entry| entry.holds);
        let holding: Vec<TableId> = holding.map(|entry| entry.def.id.clone()).collect();
        if !holding.is_empty() {
            return Published::Held(holding);
        }
        let snapshots = self.freeze();
        let (own, shadows): (Vec<_>, Vec<_>) =
            snapshots.into_iter().partition(|snapshot| self.shows(&snapshot.def().id));
        let named = own.into_iter().map(|snapshot| (Arc::clone(&snapshot.def().id.table), snapshot));
        let snapshot = Arc::new(ServiceSnapshot {
            service: self.service.clone(),
            position,
            log_place: self.log_place,
            current_at: self.current_at,
            tables: Arc::new(named.collect()),
            shadows: Arc::new(shadows),
            absent: Arc::new(self.absent()),
        });
        for entry in &mut self.tables.entries {
            entry.visible = matches!(entry.state, State::Ready { ahead: None, .. });
        }
        *self.cache.current.write() = Some(Arc::clone(&snapshot));
        Published::Visible(snapshot)
    }

    /// Every ready table as readers are to see it. One whose rows cannot be stored stops, with its dependents.
    fn freeze(&mut self) -> Vec<Arc<TableSnapshot>> {
        for index in 0..self.tables.entries.len() {
            if let State::Ready { table, ahead: None } = &mut self.tables.entries[index].state
                && let Err(error) = table.snapshot()
            {
                self.tables.stop(index, &error.to_string());
            }
        }
        let ready = self.tables.entries.iter_mut().filter_map(|entry| match &mut entry.state {
            State::Ready { table, ahead: None } => table.snapshot().ok(),
            _ => None,
        });
        ready.collect()
    }

    fn absent(&self) -> BTreeMap<Arc<str>, String> {
        let own = self.tables().filter(|(def, _)| self.shows(&def.id));
        let reasons = own.filter_map(|(def, health)| match health {
            TableHealth::Ready => None,
            TableHealth::Ahead(position) => {
                Some((def, format!("it is loaded as of {position}, still to come")))
            }
            TableHealth::Stale(reason) | TableHealth::Stopped(reason) => Some((def, reason)),
        });
        reasons.map(|(def, reason)| (Arc::clone(&def.id.table), reason)).collect()
    }
}
