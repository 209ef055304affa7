//! One service within its source's task: its writer, what is put off while it loads, what is tried again when (`due`).

mod due;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossweave_cache::{ApplyError, Published, ServiceSnapshot, ServiceStore, ServiceWriter, TableHealth};
use crossweave_contract::{ConnectorError, LogEntry, LogPlace, Position, TableDef, TableId};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::due::{Asked, Retry};
use super::board::TableNote;
use super::load::{Loaded, Read};
use super::retry::{Backoff, Pace};
use super::status::TableState;
use super::wanted::ServiceSpec;

/// Bytes that are put off while a load runs, and at most one transaction more; then the stream waits for the load.
const PUT_OFF: usize = 256 << 20;

/// A view from which tables are being loaded.
struct Loading {
    position: Position,
    /// A moment before it was opened.
    at: SystemTime,
    began: Instant,
    /// The view has all that the log has up to here.
    place: Option<LogPlace>,
}

impl Loading {
    /// Whether `entry` has to wait for it. What starts the log over does not: it ends the load.
    fn precedes(&self, entry: &LogEntry) -> bool {
        match entry {
            LogEntry::Transaction { transaction, .. } => !self.position.contains(&transaction.gtid),
            LogEntry::Heartbeat { position, .. } => !self.position.covers(position),
            LogEntry::StartsOver { .. } => false,
        }
    }
}

/// A position in a sentence.
pub(super) fn named(position: &Position) -> String {
    if position.is_origin() { "the beginning of its binlog".to_owned() } else { position.to_string() }
}

/// One service.
pub(super) struct Service {
    pub(super) spec: ServiceSpec,
    pub(super) writer: ServiceWriter,
    pub(super) store: Arc<Mutex<ServiceStore>>,
    /// The tables that queries see.
    cached: BTreeSet<TableId>,
    /// What the last checkpoint has.
    pub(super) saved: Option<Arc<ServiceSnapshot>>,
    /// How often the service started over, and how often it had when what queries see was published.
    history: u64,
    shown_history: u64,
    /// The checkpoint is of a history before, and could not be removed.
    keeps_history_of_before: bool,
    loading: Option<Loading>,
    /// What came after the position of that view; applied once the load is installed.
    put_off: VecDeque<LogEntry>,
    put_off_bytes: usize,
    retries: BTreeMap<TableId, Retry>,
    /// Tables that somebody wants to be loaded anew.
    asked: BTreeMap<TableId, Asked>,
    /// Of tables that were loaded.
    paces: BTreeMap<TableId, Pace>,
    loads: BTreeMap<TableId, u64>,
    /// Tables that were ready once: their absence is no longer a first load.
    known: BTreeSet<TableId>,
    /// Whether there is something to publish.
    dirty: bool,
    /// Whether the next snapshot may have definitions that the catalog does not have.
    pub(super) new_definitions: bool,
}

impl Service {
    pub(super) fn new(spec: ServiceSpec, writer: ServiceWriter, store: ServiceStore) -> Self {
        Self {
            spec,
            writer,
            store: Arc::new(Mutex::new(store)),
            cached: BTreeSet::new(),
            saved: None,
            history: 0,
            shown_history: 0,
            keeps_history_of_before: false,
            loading: None,
            put_off: VecDeque::new(),
            put_off_bytes: 0,
            retries: BTreeMap::new(),
            asked: BTreeMap::new(),
            paces: BTreeMap::new(),
            loads: BTreeMap::new(),
            known: BTreeSet::new(),
            dirty: false,
            new_definitions: true,
        }
    }

    /// Whether `table` is kept, as of the definition `def`.
    pub(super) fn has(&self, def: &Arc<TableDef>) -> bool {
        self.writer.tables().any(|(own, health)| {
            own.id == def.id
                && own.same_shape(def)
                && matches!(health, TableHealth::Ready | TableHealth::Ahead(_))
        })
    }

    /// Queries see these tables, which are among those that are kept.
    pub(super) fn show(&mut self, cached: BTreeSet<TableId>) {
        self.writer.show(cached.clone());
        self.cached = cached;
        self.dirty = true;
    }

    /// Whether something happened since the last publish.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Marks a table as out of date.
    pub(super) fn expire(&mut self, table: &TableId, reason: &str) {
        self.writer.expire(table, reason);
        self.dirty = true;
    }

    /// Whether another entry can be taken without passing the bound on what is put off.
    pub(super) fn has_room(&self) -> bool {
        self.put_off_bytes < PUT_OFF
    }

    /// Where the service stands, or will once it is loaded: what the log has up to here is of no more use to it.
    /// `None` where that is not known; `Some(None)` if all that the log has may be of use.
    pub(super) fn place(&self) -> Option<Option<LogPlace>> {
        match (self.writer.position(), &self.loading) {
            (Some(_), _) => Some(self.writer.log_place()),
            (None, Some(loading)) => Some(loading.place),
            (None, None) => None,
        }
    }

    /// Takes an entry of the log: applies it, or puts it off while a load of a view before it runs.
    pub(super) fn take(&mut self, entry: &LogEntry) {
        // By its place alone: a log that started over has the same numbers more than once.
        if let (Some(own), Some(place)) = (self.place().flatten(), entry.place()) {
            if own.covers(&place) {
                return;
            }
            if own.log != place.log {
                return self.start_over("the change log is another one than it has read");
            }
        }
        if self.loading.as_ref().is_some_and(|loading| loading.precedes(entry)) {
            self.put_off(entry.clone());
        } else {
            self.apply(entry);
        }
    }

    fn put_off(&mut self, entry: LogEntry) {
        if matches!(entry, LogEntry::Heartbeat { .. }) {
            // Only the last of several matters.
            self.put_off.pop_back_if(|last| matches!(last, LogEntry::Heartbeat { .. }));
        }
        self.put_off_bytes += entry.bytes();
        self.put_off.push_back(entry);
    }

    fn apply(&mut self, entry: &LogEntry) {
        match entry {
            LogEntry::Heartbeat { position, at, place } => self.writer.caught_up(position, *at, *place),
            LogEntry::StartsOver { position, .. } => {
                self.start_over(&format!("the change log starts over after {}", named(position)));
            }
            LogEntry::Transaction { transaction, place } => {
                match self.writer.apply(transaction, *place) {
                    Ok(applied) => {
                        for table in applied.to_load {
                            let reason = self.reason(&table).unwrap_or_default();
                            tracing::warn!(%table, reason, "the table is loaded anew");
                        }
                    }
                    // A load is due, from a view that has this transaction.
                    Err(ApplyError::NotInstalled(_)) => {}
                    Err(error @ ApplyError::Gap { .. }) => self.begin_anew(&error.to_string()),
                }
            }
        }
        self.dirty = true;
    }

    /// Loads everything anew, because the stream does not lead on from where the service stands.
    pub(super) fn begin_anew(&mut self, reason: &str) {
        tracing::warn!(service = %self.spec.name, reason, "the service is loaded anew");
        self.writer.begin_anew(reason);
        self.retries.clear();
        self.dirty = true;
    }

    /// Loads everything anew from a view that is still to be opened: one that is open may be of what was before. So is
    /// the checkpoint: a restart during the load must not go on from it.
    pub(super) fn start_over(&mut self, reason: &str) {
        self.loading = None;
        self.put_off.clear();
        self.put_off_bytes = 0;
        self.history += 1;
        self.forget_checkpoint();
        self.begin_anew(reason);
    }

    /// Which of its histories the service is in.
    pub(super) fn history(&self) -> u64 {
        self.history
    }

    /// Whether what queries see is of before the service started over: there is nothing to store then.
    pub(super) fn shows_history_of_before(&self) -> bool {
        self.shown_history != self.history
    }

    /// Whether a restart would go on from before the service started over.
    pub(super) fn keeps_history_of_before(&self) -> bool {
        self.keeps_history_of_before
    }

    /// The checkpoint has this.
    pub(super) fn stored(&mut self, snapshot: Arc<ServiceSnapshot>) {
        self.saved = Some(snapshot);
        self.keeps_history_of_before = false;
    }

    /// Removes the checkpoint. It waits for one that is just being stored.
    pub(super) fn forget_checkpoint(&mut self) {
        self.saved = None;
        let forgotten = self.store.lock().forget();
        self.keeps_history_of_before = forgotten.is_err();
        if let Err(error) = forgotten {
            tracing::error!(service = %self.spec.name, %error, "a checkpoint of what is no longer true stays");
        }
    }

    fn reason(&self, table: &TableId) -> Option<String> {
        self.writer.tables().find(|(def, _)| def.id == *table).and_then(|(_, health)| match health {
            TableHealth::Stale(reason) | TableHealth::Stopped(reason) => Some(reason),
            TableHealth::Ready | TableHealth::Ahead(_) => None,
        })
    }

    /// A load from a view at `position`, opened at `at`, runs: what lies after it is put off. The view has all that
    /// the log has up to `place`.
    pub(super) fn begin_load(&mut self, position: &Position, at: SystemTime, place: Option<LogPlace>) {
        self.loading = Some(Loading { position: position.clone(), at, began: Instant::now(), place });
    }

    /// Takes what was read in the view, then what was put off. What was read before the service started over is of no
    /// use.
    pub(super) fn end_load(&mut self, position: &Position, read: Read) {
        let Some(loading) = self.loading.take() else { return };
        let is_first = self.writer.position().is_none();
        let now = Instant::now();
        for Loaded { load, took } in &read.loads {
            let id = &load.def().id;
            *self.loads.entry(id.clone()).or_default() += 1;
            self.retries.remove(id);
            if self.asked.get(id) == Some(&Asked::Loads) {
                self.asked.remove(id);
            }
            match self.paces.get_mut(id) {
                Some(pace) => pace.loaded(loading.began, now, *took),
                None => {
                    self.paces.insert(id.clone(), Pace::new(now));
                }
            }
        }
        let loads = read.loads.into_iter().map(|loaded| loaded.load).collect();
        if let Err(error) = self.writer.install(loads, position) {
            // Nothing was installed, so the tables are due again.
            tracing::error!(service = %self.spec.name, %error, "a load came too late");
        } else if is_first {
            // A later one waits for the stream.
            self.writer.caught_up(position, loading.at, loading.place);
        }
        for (def, error) in read.failed {
            self.load_failed(&def.id, Some(&def), &error);
        }
        self.put_off_bytes = 0;
        for entry in std::mem::take(&mut self.put_off) {
            self.apply(&entry);
        }
        self.dirty = true;
        self.new_definitions = true;
    }

    /// Notes that a table could not be loaded, and when it is tried again. Where that is not a passing trouble of
    /// the whole source, the table leaves the snapshot, so that the others can go on.
    pub(super) fn load_failed(&mut self, table: &TableId, def: Option<&Arc<TableDef>>, error: &ConnectorError) {
        let retry = self.retries.entry(table.clone()).or_insert_with(|| Retry {
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            due: Instant::now(),
            reason: String::new(),
        });
        retry.due = Instant::now() + retry.backoff.wait();
        let reason = error.to_string();
        if retry.reason != reason {
            tracing::error!(%table, %error, "the table cannot be loaded; it is tried again");
        }
        retry.reason.clone_from(&reason);
        let kept = self.writer.tables().find(|(own, _)| own.id == *table).map(|(own, _)| Arc::clone(own));
        let stops = kept.is_none() || !error.kind.is_transient();
        if let Some(def) = kept.or_else(|| def.cloned()).filter(|_| stops) {
            self.writer.stop(&def, &format!("it cannot be loaded: {reason}"));
        }
        self.dirty = true;
    }

    /// Forgets a table that is gone, or no longer cached.
    pub(super) fn forget(&mut self, table: &TableId) {
        self.writer.remove(table);
        self.cached.remove(table);
        self.retries.remove(table);
        self.paces.remove(table);
        self.asked.remove(table);
        self.known.remove(table);
        self.dirty = true;
    }

    /// Makes what was applied visible; the snapshot, if there is a new one.
    pub(super) fn publish(&mut self) -> Option<Arc<ServiceSnapshot>> {
        self.dirty = false;
        match self.writer.publish() {
            Published::Visible(snapshot) => {
                self.shown_history = self.history;
                self.known.extend(snapshot.tables().map(|(_, table)| table.def().id.clone()));
                Some(snapshot)
            }
            Published::Held(_) | Published::Nothing => None,
        }
    }

    /// The state of the service's own tables, for the board.
    pub(super) fn notes(&self) -> BTreeMap<Arc<str>, TableNote> {
        let snapshot = self.writer.cache().snapshot();
        let notes = self.cached.iter().map(|table| {
            let seen = snapshot.as_ref().is_some_and(|snapshot| snapshot.table(&table.table).is_some());
            let health = self.writer.tables().find(|(def, _)| def.id == *table).map(|(_, health)| health);
            let failed = self.retries.get(table).map(|retry| retry.reason.clone());
            let state = match health {
                Some(TableHealth::Ready) if seen => TableState::Ready,
                Some(TableHealth::Stale(reason)) if seen => TableState::Reloading(failed.unwrap_or(reason)),
                Some(TableHealth::Ready | TableHealth::Ahead(_)) if seen => {
                    TableState::Reloading("it was loaded anew and waits for the stream".to_owned())
                }
                Some(TableHealth::Stale(reason) | TableHealth::Stopped(reason))
                    if self.known.contains(table) =>
                {
                    TableState::Stopped(reason)
                }
                _ => TableState::Loading { attempt_failed: failed },
            };
            let (loads, asked) = (self.loads.get(table).copied().unwrap_or(0), self.asked.contains_key(table));
            (Arc::clone(&table.table), TableNote { state, loads, asked })
        });
        notes.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crossweave_cache::{ServiceCache, StateDir};
    use crossweave_contract::ServiceName;

    use super::*;
    use crate::config::Config;
    use crate::ingest::testing::{numbered, of_bytes};

    const SHOP: &str = "[services.shop]\nurl = \"mysql://u@h:3306/shop_db\"\nmode = \"cached\"\n";

    /// A service without tables, for what is told by positions alone.
    fn shop(state: &Path) -> Service {
        let config = Config::parse(SHOP, Path::new("crossweave.toml"), &|_| None).unwrap();
        let name = ServiceName::from("shop");
        let settings = &config.services[&name];
        let store = StateDir::open(state).unwrap().store(&name, &settings.source).unwrap();
        Service::new(ServiceSpec::new(settings), ServiceCache::new(name).1, store)
    }

    fn load(service: &mut Service, sequence: u64, at: SystemTime, while_it_runs: impl FnOnce(&mut Service)) {
        service.begin_load(&numbered(sequence), at, None);
        while_it_runs(service);
        service.end_load(&numbered(sequence), Read::default());
    }

    #[test]
    fn a_heartbeat_tells_of_when_it_was_proved_however_late_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut service = shop(dir.path());
        let now = SystemTime::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        let heartbeat = |sequence, seconds| LogEntry::Heartbeat {
            position: numbered(sequence),
            at: ago(seconds),
            place: None,
        };
        load(&mut service, 5, ago(900), |service| service.take(&heartbeat(7, 600)));
        assert_eq!(service.publish().unwrap().current_at(), ago(600), "put off");
        service.take(&heartbeat(8, 300));
        let snapshot = service.publish().unwrap();
        assert_eq!(
            (snapshot.position(), snapshot.current_at()),
            (&numbered(8), ago(300)),
            "waiting in the log"
        );
    }

    #[test]
    fn what_is_put_off_is_bounded_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut service = shop(dir.path());
        let entry = LogEntry::Transaction { transaction: of_bytes(6, PUT_OFF / 8), place: None };
        for _ in 0..2 {
            load(&mut service, 5, SystemTime::now(), |service| {
                for _ in 0..8 {
                    assert!(service.has_room());
                    service.take(&entry);
                }
                assert!(!service.has_room());
            });
            assert!(service.has_room(), "taken after the load");
        }
    }
}
