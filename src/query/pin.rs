//! Settles routes: from here on, all that a query reads of a service is one snapshot or one live view (I1).
//!
//! Why pinning cannot deadlock with other queries that wait for connections of the same sources: these are waited for one
//! after the other, in the order of the sources' names (`opening`), and services of one source share one view.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossweave_cache::ServiceSnapshot;
use crossweave_contract::{Consistency, Position, ServerRead, ServiceName, SourceId, TableDef, TableId};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result as PlanResult};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::engine::Engine;
use super::opening::{self, Wanting};
use super::{
    Counters, QueryError, QueryErrorKind, Reason, RouteChoice, RouteSettings, RouteTaken, ServiceRead,
};
use crate::catalog::{Catalog, Table, TableMode};
use crate::federation::{CachedTable, LiveSource, LiveTable, PushDown, UnboundTable};
use crate::policy::{Access, Identity};

/// A query's routes, settled. Clones share them.
#[derive(Debug, Clone)]
pub struct Pinned {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) catalog: Arc<Catalog>,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    services: BTreeMap<ServiceName, PinnedService>,
    /// What sources may be asked to compute.
    pub(super) push_down: PushDown,
    pub(super) live_consistency: Consistency,
    pub(super) defs: BTreeMap<TableId, Arc<TableDef>>,
    started: Instant,
    failed: AtomicBool,
    counters: Counters,
    _slot: OwnedSemaphorePermit,
}

enum PinnedService {
    Cached { snapshot: Arc<ServiceSnapshot>, age: Duration },
    Live(LiveRead),
}

/// What is told of a view, and the view until it is given up.
struct LiveRead {
    position: Option<Position>,
    server: Option<ServerRead>,
    source: Mutex<Option<Arc<LiveSource>>>,
}

impl LiveRead {
    fn of(source: &Arc<LiveSource>) -> Self {
        Self {
            position: source.position(),
            server: source.server().cloned(),
            source: Mutex::new(Some(Arc::clone(source))),
        }
    }
}

impl fmt::Debug for PinnedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cached { snapshot, .. } => f.debug_tuple("Cached").field(snapshot.position()).finish(),
            Self::Live(read) => f.debug_tuple("Live").field(&read.position).finish(),
        }
    }
}

impl Pinned {
    /// What the query sees of each service it touches, by name.
    pub fn reads(&self) -> Vec<ServiceRead> {
        let read = |(service, pinned): (&ServiceName, &PinnedService)| match pinned {
            PinnedService::Cached { snapshot, age } => ServiceRead {
                service: service.clone(),
                route: RouteTaken::Cached,
                position: Some(snapshot.position().clone()),
                age: Some(*age),
                consistency: Consistency::Snapshot,
                server: None,
            },
            PinnedService::Live(LiveRead { position, server, .. }) => ServiceRead {
                service: service.clone(),
                route: RouteTaken::Live,
                position: position.clone(),
                age: server.as_ref().and_then(|read| read.age),
                consistency: self.inner.live_consistency,
                server: server.as_ref().map(|read| read.server.clone()),
            },
        };
        self.inner.services.iter().map(read).collect()
    }

    /// The definition of `table` on its pinned route, which plans are best made with: it may be older or newer
    /// than the catalog's.
    pub fn definition(&self, table: &TableId) -> Option<&Arc<TableDef>> {
        self.inner.defs.get(table)
    }

    /// Whether a source keeps a transaction open for the query.
    pub(super) fn is_live(&self) -> bool {
        self.inner.services.values().any(|service| matches!(service, PinnedService::Live(_)))
    }

    /// When the query must have ended.
    pub fn deadline(&self) -> std::time::Instant {
        self.inner.deadline.into_std()
    }

    pub(super) fn failed(&self) {
        self.inner.failed.store(true, Ordering::Relaxed);
    }

    /// Leaves the views to the operators that read through them: with the last of these a source's transaction ends, and
    /// its connection is free, while others go on computing. No plan can be bound after it.
    pub(super) fn give_up_views(&self) {
        for service in self.inner.services.values() {
            if let PinnedService::Live(read) = service {
                read.source.lock().take();
            }
        }
    }

    /// The provider of the pinned route for `table`.
    pub(super) fn provider(&self, table: &UnboundTable) -> PlanResult<Arc<dyn TableProvider>> {
        let id = table.id();
        let planned = Arc::clone(table.def());
        let not_pinned = || DataFusionError::Internal(format!("table {id} was planned but not pinned"));
        let actual = self.inner.defs.get(id).ok_or_else(not_pinned)?;
        match self.inner.services.get(&id.service).ok_or_else(not_pinned)? {
            PinnedService::Cached { snapshot, .. } => {
                let rows = Arc::clone(snapshot.table(&id.table).ok_or_else(not_pinned)?);
                Ok(Arc::new(CachedTable::new(planned, rows, snapshot.position().clone())))
            }
            PinnedService::Live(read) => {
                let source = read.source.lock().clone().ok_or_else(|| {
                    DataFusionError::Internal(format!("table {id} was planned when its view was given up"))
                })?;
                Ok(Arc::new(LiveTable::new(planned, Arc::clone(actual), source)))
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.counters.ended(self.started.elapsed(), !self.failed.load(Ordering::Relaxed));
    }
}

pub(super) async fn pin(
    engine: &Engine,
    identity: &Identity,
    tables: &BTreeSet<TableId>,
    routes: &RouteSettings,
    timeout: Duration,
) -> Result<Pinned, QueryError> {
    let started = Instant::now();
    let deadline = started + timeout;
    let catalog = engine.catalog();
    let wanted = look_up(engine, identity, &catalog, tables)?;
    let slot = timeout_at(deadline, Arc::clone(&engine.inner.slots).acquire_owned())
        .await
        .map_err(|_| too_many(engine))?
        .map_err(|_| super::engine::stopped())?;

    let mut services = BTreeMap::new();
    let mut defs = BTreeMap::new();
    let mut live: BTreeMap<SourceId, Vec<(ServiceName, Vec<TableId>)>> = BTreeMap::new();
    for (service, tables) in wanted {
        match settle(engine, &service, &tables, routes.of(&service))? {
            Some(snapshot) => {
                for (id, _) in &tables {
                    let rows = snapshot.table(&id.table);
                    defs.extend(rows.map(|rows| (id.clone(), Arc::clone(rows.def()))));
                }
                let age = engine.inner.parts.snapshots.age(&snapshot);
                services.insert(service, PinnedService::Cached { snapshot, age });
            }
            None => {
                let source = catalog.services[&service].source.clone();
                let ids = tables.into_iter().map(|(id, _)| id).collect();
                live.entry(source).or_default().push((service, ids));
            }
        }
    }
    let sources: Vec<Wanting> =
        live.into_iter().map(|(source, services)| Wanting { source, services }).collect();
    let opened =
        timeout_at(deadline, opening::open(engine, &catalog, &sources, routes.live_consistency, deadline))
            .await;
    let asked = || sources.iter().flat_map(|of| of.services.iter().flat_map(|(_, ids)| ids));
    let opened = opened.map_err(|_| timed_out(timeout))?.map_err(|error| or_cached(engine, asked(), error))?;
    for ((source, found), of) in opened.into_iter().zip(&sources) {
        defs.extend(found);
        for (service, _) in &of.services {
            services.insert(service.clone(), PinnedService::Live(LiveRead::of(&source)));
        }
    }
    let inner = Inner {
        catalog,
        deadline,
        timeout,
        services,
        push_down: routes.push_down.clone(),
        live_consistency: routes.live_consistency,
        defs,
        started,
        failed: AtomicBool::new(false),
        counters: engine.inner.counters.clone(),
        _slot: slot,
    };
    Ok(Pinned { inner: Arc::new(inner) })
}

type Wanted<'a> = BTreeMap<ServiceName, Vec<(TableId, &'a Table)>>;

/// The tables by service, each past the policy.
fn look_up<'a>(
    engine: &Engine,
    identity: &Identity,
    catalog: &'a Catalog,
    tables: &BTreeSet<TableId>,
) -> Result<Wanted<'a>, QueryError> {
    let mut wanted = Wanted::new();
    for id in tables {
        if let Access::Denied(reason) = engine.inner.parts.policy.access(identity, id) {
            return Err(QueryError::new(QueryErrorKind::Refused, format!("table {id} is denied: {reason}")));
        }
        let table = catalog
            .table(id)
            .ok_or_else(|| QueryError::new(QueryErrorKind::Name, format!("table {id} is not there")))?;
        wanted.entry(id.service.clone()).or_default().push((id.clone(), table));
    }
    Ok(wanted)
}

/// The snapshot to read `service` from; `None` if it is to be read live.
fn settle(
    engine: &Engine,
    service: &ServiceName,
    tables: &[(TableId, &Table)],
    choice: RouteChoice,
) -> Result<Option<Arc<ServiceSnapshot>>, QueryError> {
    if choice == RouteChoice::Live {
        return Ok(None);
    }
    let live_only: Vec<String> = tables.iter().filter_map(|(id, table)| live_only(id, &table.mode)).collect();
    let snapshots = &engine.inner.parts.snapshots;
    let snapshot = if live_only.is_empty() { snapshots.pin(service) } else { None };
    let holds = |snapshot: &Arc<ServiceSnapshot>, id: &TableId| snapshot.table(&id.table).is_some();
    let absent: Vec<&TableId> = tables
        .iter()
        .map(|(id, _)| id)
        .filter(|id| !snapshot.as_ref().is_some_and(|snapshot| holds(snapshot, id)))
        .collect();
    match (&snapshot, choice) {
        (Some(snapshot), _) if absent.is_empty() => Ok(Some(Arc::clone(snapshot))),
        (_, RouteChoice::Auto) => Ok(None),
        _ if !live_only.is_empty() => Err(QueryError::new(
            QueryErrorKind::Refused,
            format!("route cached was asked of service {service}, but live only: {}", live_only.join(", ")),
        )
        .with_hint(format!("SET crossweave.route.{service} = 'auto'"))
        .of_service(service.clone())
        .with_route(RouteChoice::Auto)),
        _ => {
            let reason = |id: &&TableId| {
                let known =
                    snapshot.as_ref().and_then(|snapshot| snapshot.why_absent(&id.table).map(str::to_owned));
                let reason = known.or_else(|| snapshots.reason_absent(id));
                format!("{id} ({})", reason.unwrap_or_else(|| "not loaded yet".to_owned()))
            };
            let absent: Vec<String> = absent.iter().map(reason).collect();
            let message = format!("route cached was asked of service {service}, but not in its caches: ");
            Err(QueryError::new(QueryErrorKind::Unavailable, message + &absent.join(", "))
                .with_hint(format!("Ask again later, or SET crossweave.route.{service} = 'live'"))
                .of_service(service.clone())
                .with_route(RouteChoice::Live))
        }
    }
}

fn live_only(id: &TableId, mode: &TableMode) -> Option<String> {
    match mode {
        TableMode::Cached => None,
        TableMode::Live => Some(format!("{id} (its mode is live)")),
        TableMode::LiveOnly(reason) => Some(format!("{id} ({reason})")),
    }
}

/// The refusal of a live read, told with the way round it: that the caches have all `tables` of its service.
pub(super) fn or_cached<'a>(
    engine: &Engine,
    tables: impl Iterator<Item = &'a TableId>,
    mut error: QueryError,
) -> QueryError {
    let Some(service) = error.service.clone().filter(|_| error.reason == Some(Reason::SourceLimit)) else {
        return error;
    };
    let snapshot = engine.inner.parts.snapshots.pin(&service);
    let mut tables = tables.filter(|id| id.service == service).peekable();
    let there = |snapshot: Arc<ServiceSnapshot>| {
        tables.peek().is_some() && tables.all(|id| snapshot.table(&id.table).is_some())
    };
    if snapshot.is_some_and(there) {
        let hint = error.hint.take().unwrap_or_default();
        return error
            .with_hint(format!(
                "Its tables are in the caches: SET crossweave.route.{service} = 'cached'. Or else: {hint}"
            ))
            .with_route(RouteChoice::Cached);
    }
    error
}

fn too_many(engine: &Engine) -> QueryError {
    let bound = engine.inner.options.queries;
    QueryError::new(QueryErrorKind::Limit, format!("{bound} queries are running, the most at the same time"))
        .with_hint("Ask again later")
}

pub(super) fn timed_out(timeout: Duration) -> QueryError {
    QueryError::new(QueryErrorKind::Limit, format!("the query took longer than {timeout:?}"))
        .because(Reason::Timeout)
        .with_hint("SET statement_timeout to allow more, or narrow the query")
}
