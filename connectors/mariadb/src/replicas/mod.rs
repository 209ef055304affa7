//! The servers of one source, a primary and its replicas, and which of them a query reads.
//!
//! Where may a query read? On a replica that is *fit*: it answers, replicates everything, has nothing that the primary
//! has not, and shows everything that the primary had shown `replica_lag` ago ([`history`] says how that is known
//! without a clock of theirs). All servers are looked at all the time, by a short statement over a connection of its own
//! ([`watch`]). Of the fit ones, that with the fewest connections in use or waited for is taken, among equals the one
//! whose last turn is longest ago; the primary, where none is fit. Loads, definitions, weights and change capture are
//! the primary's.
//!
//! Why is an answer never older than is said, though a replica may have stopped since it was looked at? It is asked once
//! more how far it has come, on the view's own connection, before the snapshot is opened: what it has applied by then is
//! in the snapshot. The age that follows is within the bound, or another server is taken, and it is stated with the
//! answer.
//!
//! Why does a replica that is written to give no rows of its own? What was found of it is held against what the primary
//! told since (or had told before, where that has all of it), and it is not read before that was done once. Between two
//! looks, each view asks, once its snapshot is open, what was made on the replica itself: it is in the binlog before it
//! can be seen. What is in no binlog gives its rows: nobody sees that it was made where the replica has none, or the writer
//! had `sql_log_bin = 0`.
//!
//! Why does one query read one server? A view is one transaction on one connection, and services of one source share
//! one view. A connection that is lost before it gave a row may be replaced on another server, at the same position only
//! (`view::snapshot`).
//!
//! Why is the answer the same there? A replica that defines a table otherwise than the primary did when it last told is
//! not read ([`Server::judge`]).

mod check;
mod history;
mod look;
mod replica;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossweave_contract::{
    ConnectorError, ErrorKind, Position, Protection, Refusal, ReplicaState, Result, ServerRead, TableDef,
    TableId, TableWanted, Turn,
};
use mysql_async::Row;
use tokio::time::Instant;

use crate::SourceOptions;
use crate::connection::{Pool, Session};
use crate::view::{self, Begun, LastPlace};
pub(crate) use check::check;
use history::History;
use look::{OWN, Place};
pub(crate) use look::{Told, places_tell_snapshots, position_by_table};
use replica::{Replica, Unfit};

/// How long all views are opened on the primary after a replica defined a table otherwise: it may have been altered a
/// moment ago, and then none has followed yet.
const ON_THE_PRIMARY: Duration = Duration::from_secs(1);

/// The servers of one source; cheap to clone.
#[derive(Clone)]
pub(crate) struct Servers(Arc<Inner>);

struct Inner {
    primary: Pool,
    last_place: LastPlace,
    replicas: Vec<Replica>,
    /// How old at most what a query reads may be.
    bound: Duration,
    primary_state: Mutex<PrimaryState>,
    watching: AtomicBool,
    /// Counts views.
    turn: AtomicU64,
    fell_back: AtomicU64,
}

/// What is known of the primary.
#[derive(Default)]
struct PrimaryState {
    history: History,
    /// Where it was last, and when it was asked.
    place: Option<(Place, Instant)>,
    /// Why it does not say where it is.
    silent: Option<String>,
    /// The tables as it defined them last; as many as are served.
    defined: HashMap<TableId, TableDef>,
    /// Until then all views are opened on it.
    alone_until: Option<Instant>,
}

impl Servers {
    pub(crate) fn new(options: SourceOptions) -> Self {
        let replicas =
            options.replicas.iter().map(|replica| Replica::new(options.of_replica(replica))).collect();
        Self(Arc::new(Inner {
            replicas,
            bound: options.replica_lag,
            primary: Pool::new(options),
            last_place: LastPlace::default(),
            primary_state: Mutex::default(),
            watching: AtomicBool::new(false),
            turn: AtomicU64::new(1),
            fell_back: AtomicU64::new(0),
        }))
    }

    /// The connections to the primary.
    pub(crate) fn pool(&self) -> &Pool {
        &self.0.primary
    }

    pub(crate) fn primary(&self) -> Server {
        Server { servers: self.clone(), replica: None }
    }

    /// Begins a view on the server that is to be read now. What an owner's limit refuses is refused; of a replica that
    /// fails otherwise, the next one takes the place. `turn` is kept while a connection to another server may be waited for.
    pub(crate) async fn begin(&self, limit: Duration, turn: Option<Turn>) -> Result<Begun> {
        for server in self.fit() {
            match view::begin(&server, limit, None).await {
                Ok(begun) => return Ok(begun),
                Err(error) if error.limit.is_some() => return Err(error),
                Err(error) => server.failed(&error),
            }
        }
        if !self.0.replicas.is_empty() {
            self.0.fell_back.fetch_add(1, Ordering::Relaxed);
        }
        view::begin(&self.primary(), limit, turn).await
    }

    /// The replicas that are fit, the one to be read first.
    fn fit(&self) -> Vec<Server> {
        self.watch();
        let now = Instant::now();
        let state = self.primary_state();
        if state.alone_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut fit: Vec<(usize, u64, usize)> = (0..self.0.replicas.len())
            .filter(|&at| self.fitness(&state, &self.0.replicas[at], now).is_ok())
            .map(|at| (self.0.replicas[at].pool.load(), self.0.replicas[at].turn.load(Ordering::Relaxed), at))
            .collect();
        fit.sort_unstable();
        if let Some((_, _, first)) = fit.first() {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
            self.0.replicas[*first].turn.store(turn, Ordering::Relaxed);
        }
        fit.into_iter().map(|(_, _, at)| Server { servers: self.clone(), replica: Some(at) }).collect()
    }

    /// How old at most what `replica` shows is, or why queries may not read it.
    fn fitness(&self, state: &PrimaryState, replica: &Replica, now: Instant) -> Result<Duration, Unfit> {
        let applied = replica.usable(now, state.silent.as_deref())?;
        self.within(state, &applied, now)
    }

    /// The age at `now` of what a server shows that has `applied`; why it is not fit where that is beyond the bound.
    fn within(&self, state: &PrimaryState, applied: &Position, now: Instant) -> Result<Duration, Unfit> {
        let bound = self.0.bound;
        let Some((last, asked)) = state.history.last() else {
            let silent = state.silent.clone();
            return Err(Unfit::Primary(
                silent.unwrap_or_else(|| "the primary was not asked yet where it is".to_owned()),
            ));
        };
        let since = now.saturating_duration_since(*asked);
        if since > bound {
            let why = state.silent.as_deref().unwrap_or("it has not answered yet");
            let message = format!("where the primary is was not told for {:.1} s: {why}", since.as_secs_f64());
            return Err(Unfit::Primary(message));
        }
        match state.history.age(applied, now) {
            Some(age) if age <= bound => Ok(age),
            Some(age) => Err(Unfit::Replica(format!(
                "it shows the primary as of {:.1} s ago, beyond the {bound:?} of replica_lag: it is at {applied}, the \
                 primary at {last}",
                age.as_secs_f64()
            ))),
            None => Err(Unfit::Replica(format!("it is at {applied}, long behind the primary at {last}"))),
        }
    }

    /// Looks at the servers from now on, if there are several.
    fn watch(&self) {
        let several = !self.0.replicas.is_empty();
        if several
            && tokio::runtime::Handle::try_current().is_ok()
            && !self.0.watching.swap(true, Ordering::AcqRel)
        {
            watch::start(&self.0);
        }
    }

    /// Keeps what the primary told of its tables.
    pub(crate) fn defined(&self, tables: &[TableDef]) {
        self.watch();
        if !self.0.replicas.is_empty() {
            let mut state = self.primary_state();
            state.defined.extend(tables.iter().map(|table| (table.id.clone(), table.clone())));
        }
    }

    /// What keeps the servers safe, and which of them are read, as it stands.
    pub(crate) fn protection(&self) -> Protection {
        self.watch();
        let mut protection = self.0.primary.protection();
        for replica in &self.0.replicas {
            replica
                .pool
                .protection()
                .refusals
                .into_iter()
                .for_each(|refusal| add(&mut protection.refusals, refusal));
        }
        let (state, now) = (self.primary_state(), Instant::now());
        let states = self.0.replicas.iter().map(|replica| {
            let applied = replica.applied();
            ReplicaState {
                server: replica.server(),
                unfit: self.fitness(&state, replica, now).err().map(Unfit::reason),
                lag: applied.and_then(|applied| state.history.age(&applied, now)),
                connections: replica.pool.load() as u64,
                views: replica.views.load(Ordering::Relaxed),
            }
        });
        protection.replicas = states.collect();
        protection.fell_back = self.0.fell_back.load(Ordering::Relaxed);
        protection
    }

    fn primary_state(&self) -> MutexGuard<'_, PrimaryState> {
        self.0.primary_state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(refusals: &mut Vec<Refusal>, refusal: Refusal) {
    let same = refusals.iter_mut().find(|r| r.service == refusal.service && r.limit == refusal.limit);
    match same {
        Some(same) => same.count += refusal.count,
        None => refusals.push(refusal),
    }
}

/// One of the servers, on which a view is.
#[derive(Clone)]
pub(crate) struct Server {
    servers: Servers,
    /// Which replica; `None` of the primary.
    replica: Option<usize>,
}

/// What is known of a replica just before a snapshot is opened on it.
#[derive(Debug)]
pub(crate) struct Stand {
    /// What the snapshot has in any case.
    pub(crate) applied: Position,
    pub(crate) told: Told,
    pub(crate) age: Duration,
}

impl Server {
    fn replica(&self) -> Option<&Replica> {
        self.replica.and_then(|at| self.servers.0.replicas.get(at))
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.replica().map_or(&self.servers.0.primary, |replica| &replica.pool)
    }

    pub(crate) fn last_place(&self) -> &LastPlace {
        self.replica().map_or(&self.servers.0.last_place, |replica| &replica.last_place)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.replica == other.replica
    }

    /// Itself, the replicas that are fit, and the primary: where a view of its may go on, in this order.
    pub(crate) fn and_others(&self) -> Vec<Self> {
        let others = self.servers.fit().into_iter().chain([self.servers.primary()]);
        let others = others.filter(|other| !other.is(self)).collect::<Vec<_>>();
        [vec![self.clone()], others].concat()
    }

    /// Where a replica stands now, which `session` is connected to; an error if it is not fit. `None` of the primary.
    pub(crate) async fn stand(&self, session: &mut Session) -> Result<Option<Stand>> {
        let Some(replica) = self.replica() else { return Ok(None) };
        let (applied, logs) = look::applied(session).await?;
        let age = self.servers.within(&self.servers.primary_state(), &applied, Instant::now());
        let age = age.map_err(|unfit| self.unfit(&unfit.reason()))?;
        let told = match replica.told() {
            // It may have been started with another setting since it was looked at.
            Told::ByBinlog if !logs => Told::Not,
            told => told,
        };
        Ok(Some(Stand { applied, told, age }))
    }

    /// What is asked for [`has_none_of_its_own`](Self::has_none_of_its_own): of the primary nothing.
    pub(crate) fn asked_of_its_own(&self) -> &'static [&'static str] {
        if self.replica.is_some() { &[OWN] } else { &[] }
    }

    /// An error if a snapshot shows what was made on the replica and the primary was not known to have: `told` is the answer
    /// to [`OWN`], asked after the snapshot was opened.
    pub(crate) fn has_none_of_its_own(&self, told: Option<&Row>) -> Result<()> {
        let Some(replica) = self.replica() else { return Ok(()) };
        let own = look::own(&replica.pool, told)?;
        let state = self.servers.primary_state();
        let lacking = state.place.as_ref().and_then(|(place, _)| Some((place.lacks_own(&own)?, place)));
        lacking.map_or(Ok(()), |(gtid, place)| Err(self.unfit(&replica::beyond(gtid, place))))
    }

    /// What answers say of it, where there are several.
    pub(crate) fn read(&self, age: Option<Duration>) -> Option<ServerRead> {
        let several = !self.servers.0.replicas.is_empty();
        // Said in milliseconds it must not be younger than it is.
        let age = age.map(|age| Duration::from_millis(age.as_micros().div_ceil(1_000) as u64));
        several.then(|| ServerRead { server: self.pool().endpoint().server(), age })
    }

    /// Counts a view that was opened.
    pub(crate) fn opened(&self) {
        if let Some(replica) = self.replica() {
            replica.views.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes in that it failed: it is not read until it was looked at with success. What a limit refuses is no failure.
    pub(crate) fn failed(&self, error: &ConnectorError) {
        if let Some(replica) = self.replica().filter(|_| error.limit.is_none()) {
            tracing::info!(replica = %replica.server(), %error, "a view cannot be opened on the replica");
            replica.failed(error.message.clone());
        }
    }

    /// The definition of `table` as told by it, `outcome`: of a replica it must be the primary's.
    pub(crate) fn judge(&self, table: &TableId, outcome: Result<TableDef>) -> Result<TableDef> {
        let Some(replica) = self.replica() else {
            if let Ok(def) = &outcome {
                self.servers.defined(std::slice::from_ref(def));
            }
            return outcome;
        };
        let reason = match &outcome {
            Ok(def) => match self.servers.primary_state().defined.get(table) {
                Some(known) if !known.same_shape(def) => {
                    format!("table {table} is defined otherwise there than on the primary")
                }
                _ => return outcome,
            },
            Err(error) => match error.kind {
                ErrorKind::Limit | ErrorKind::Cancelled => return outcome,
                ErrorKind::Unreachable => {
                    self.failed(error);
                    return outcome;
                }
                _ => format!("table {table} cannot be read there: {}", error.message),
            },
        };
        let now = Instant::now();
        tracing::warn!(replica = %replica.server(), reason, "the replica is not read for a while");
        replica.differs(reason.clone(), now);
        self.servers.primary_state().alone_until = Some(now + ON_THE_PRIMARY);
        // Whoever asks again reads the primary.
        let error = ConnectorError::new(ErrorKind::DefinitionChanged, self.unfit(&reason).message);
        Err(error.with_table(table.clone()).with_fix("Ask again"))
    }

    /// As [`judge`](Self::judge), of several tables.
    pub(crate) fn judge_all(
        &self,
        tables: &[TableWanted],
        outcome: Result<Vec<TableDef>>,
    ) -> Result<Vec<TableDef>> {
        let error = match outcome {
            Ok(found) => return found.into_iter().map(|def| self.judge(&def.id.clone(), Ok(def))).collect(),
            Err(error) => error,
        };
        match error.table.clone().or_else(|| Some(tables.first()?.table.clone())) {
            Some(table) => self.judge(&table, Err(error)).map(|def| vec![def]),
            None => Err(error),
        }
    }

    fn unfit(&self, reason: &str) -> ConnectorError {
        let message = format!("{}: the replica is not fit to be read: {reason}", self.pool().endpoint());
        ConnectorError::new(ErrorKind::Unreachable, message)
    }
}
