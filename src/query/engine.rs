//! The engine: what every query shares.
//!
//! Plans are made and run on a runtime of the engine's own, so that a heavy query cannot hold up the runtime that
//! serves sockets. Its threads have large stacks, for plans are trees. Everything is bounded: threads, the memory
//! that operators may reserve, queries at the same time, and the time that each may take.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{BooleanColumns, ServiceName, Source, SourceId, TableId};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::memory::QueryMemory;
use super::session::Known;
use super::state::{Shared, State, build_state, shared};
use super::{
    Counters, Pinned, QueryError, QueryErrorKind, RouteSettings, RowStream, Session, SystemSchemas, pin, run,
};
use crate::catalog::{Catalog, CatalogHandle};
use crate::federation::{Snapshots, Stop, UnboundTable, planned_until};
use crate::policy::{Identity, Policy};

/// Enough for planning the deepest statement that the parser lets through. Virtual memory: what is not used is
/// not taken.
const STACK: usize = 64 << 20;

/// What the engine reads from.
#[derive(Debug)]
pub struct EngineParts {
    /// What there is to query.
    pub catalog: CatalogHandle,
    /// The sources, by identity; each service of the catalog names one.
    pub sources: HashMap<SourceId, Arc<dyn Source>>,
    /// Which TINYINT(1) columns are declared boolean, by service.
    pub booleans: HashMap<ServiceName, BooleanColumns>,
    /// The caches.
    pub snapshots: Arc<dyn Snapshots>,
    /// Who may see what.
    pub policy: Arc<dyn Policy>,
    /// `pg_catalog`, `information_schema`.
    pub system: Arc<dyn SystemSchemas>,
}

/// The engine's bounds.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that make and run plans, and the number of partitions of a plan.
    pub threads: usize,
    /// Bytes that the operators of all queries, and their rows that wait for a reader, may take together (`memory`); past
    /// it sorts and rows for clients go to files, and what cannot fails.
    pub memory: usize,
    /// Where these files are; made if it is not there. No other process may use it: what an earlier one left is removed.
    pub spill_dir: PathBuf,
    /// How long a query may take whose session sets no `statement_timeout`.
    pub timeout: Duration,
    /// Bytes of rows that one live view keeps for slow readers, out of `memory`; past it its query fails.
    pub live_buffer: usize,
    /// Queries at the same time; the next one waits, at most until its deadline.
    pub queries: usize,
}

impl EngineOptions {
    /// Bounds that fit this machine, with `spill_dir` for what does not fit into memory.
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            memory: 2 << 30,
            spill_dir: spill_dir.into(),
            timeout: Duration::from_secs(60),
            live_buffer: 256 << 20,
            queries: 64,
        }
    }
}

/// Makes and runs queries. Clones share everything.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: EngineParts,
    pub(super) options: EngineOptions,
    pub(super) counters: Counters,
    /// The runtime that the engine was made on: sources work there.
    pub(super) io: Handle,
    pub(super) plans: PlanRuntime,
    pub(super) slots: Arc<Semaphore>,
    shared: Shared,
    /// Functions and rules depend on the catalog's collations, so they are built once per epoch.
    state: Mutex<Option<Arc<State>>>,
    /// What was asked a moment ago.
    pub(super) known: Known,
}

/// Making a plan can take a thread for as long as a rule takes, also when nobody waits any more. So there are more threads
/// than run at once: a few such statements do not keep others from theirs.
const SPARE_THREADS: usize = 14;

pub(super) fn worker_threads(options: &EngineOptions) -> usize {
    options.threads.max(1) + SPARE_THREADS
}

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
pub(super) struct PlanRuntime(Option<Runtime>);

impl PlanRuntime {
    pub(super) fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for PlanRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// An engine over `parts`. To be called on the runtime that serves I/O.
    ///
    /// # Errors
    ///
    /// If there is no runtime, threads cannot be started, or `options.spill_dir` cannot be written.
    pub fn new(parts: EngineParts, options: EngineOptions) -> Result<Self, QueryError> {
        let io = Handle::try_current().map_err(|error| {
            QueryError::new(QueryErrorKind::Internal, format!("no runtime for I/O: {error}"))
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(worker_threads(&options))
            .thread_name("plans")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|error| {
                QueryError::new(
                    QueryErrorKind::Internal,
                    format!("threads for plans cannot be started: {error}"),
                )
            })?;
        let inner = Inner {
            shared: shared(&options)?,
            slots: Arc::new(Semaphore::new(options.queries.max(1))),
            parts,
            options,
            counters: Counters::default(),
            io,
            plans: PlanRuntime(Some(runtime)),
            state: Mutex::new(None),
            known: Known::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What there is to query now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.parts.catalog.current()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// A session for `identity`, with the default routes.
    pub fn session(&self, identity: Identity) -> Session {
        Session::new(self.clone(), identity)
    }

    /// Settles routes and opens snapshots and live views for all `tables`, once per query or GraphQL document.
    ///
    /// Per service: under `auto` its caches, if all of its tables among `tables` are cached and loaded, else its
    /// source. Views are opened here and not when rows are read, because the definition that a view shows is what
    /// plans must be made with; they are closed when the last clone of the result and the last of its
    /// [`RowStream`]s are dropped, or when the deadline passes.
    ///
    /// # Errors
    ///
    /// `Refused` by policy, or where `cached` is asked for a table that is live only; `Unavailable` where a
    /// source cannot be read, or a cache is asked for that is not loaded; `Name` for a table that is not there;
    /// `Limit` if the query waited past its deadline for its turn.
    pub async fn pin(
        &self,
        identity: &Identity,
        tables: &BTreeSet<TableId>,
        routes: &RouteSettings,
    ) -> Result<Pinned, QueryError> {
        self.pin_for(identity, tables, routes, self.inner.options.timeout).await
    }

    /// As [`pin`](Self::pin), for a query that may take `timeout`.
    pub async fn pin_for(
        &self,
        identity: &Identity,
        tables: &BTreeSet<TableId>,
        routes: &RouteSettings,
        timeout: Duration,
    ) -> Result<Pinned, QueryError> {
        pin::pin(self, identity, tables, routes, timeout).await.inspect_err(|_| self.inner.counters.refused())
    }

    /// A plan builder over one table, as `catalog` has it: a scan without a route, to which [`run`](Self::run)
    /// binds the pinned one.
    pub fn scan(&self, catalog: &Arc<Catalog>, table: &TableId) -> Result<LogicalPlanBuilder, QueryError> {
        let found = catalog
            .table(table)
            .ok_or_else(|| QueryError::new(QueryErrorKind::Name, format!("table {table} is not there")))?;
        let source = Arc::new(UnboundTable::new(Arc::clone(&found.def)));
        Ok(LogicalPlanBuilder::scan(super::plan::table_reference(table), source, None)?)
    }

    /// Analyses (collations, types), binds to the pinned routes, optimises and runs `plan`. Each table of it must
    /// have been pinned. Several plans of one [`Pinned`] may run at the same time and see the same rows. Dropping
    /// the stream cancels.
    ///
    /// # Errors
    ///
    /// Those of planning here; those of reading rows in the stream.
    pub async fn run(&self, pinned: &Pinned, plan: LogicalPlan) -> Result<RowStream, QueryError> {
        run::run(self, pinned, run::Job::Rows { plan, analysed: false, alone: false }).await
    }

    /// What lends memory to plans, and to rows that wait for their client.
    pub(super) fn memory(&self) -> &QueryMemory {
        self.inner.shared.memory()
    }

    /// Functions, rules and settings for planning under `catalog`.
    pub fn state(&self, catalog: &Arc<Catalog>) -> Arc<SessionState> {
        Arc::clone(&self.state_of(catalog).session)
    }

    pub(super) fn state_of(&self, catalog: &Arc<Catalog>) -> Arc<State> {
        let mut kept = self.inner.state.lock();
        match &*kept {
            Some(state) if Arc::ptr_eq(&state.catalog, catalog) => Arc::clone(state),
            _ => {
                let parts = &self.inner.parts;
                let state = Arc::new(build_state(&self.inner.shared, catalog, &parts.catalog, &*parts.system));
                *kept = Some(Arc::clone(&state));
                state
            }
        }
    }

    /// Runs `work` on a thread of the engine's own, whose stack is deep enough for plans: for whoever makes plans, or
    /// works on their rows, outside of a [`Session`]. Dropping the result's future ends the work where it next waits.
    ///
    /// # Errors
    ///
    /// Those of `work`; `Internal` if it panics; `Cancelled` while the server stops.
    pub async fn on_plans<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let handle = self.inner.plans.handle().ok_or_else(stopped)?;
        run::joined(tokio_util::task::AbortOnDropHandle::new(handle.spawn(work)).await)
    }

    /// As [`on_plans`](Self::on_plans), for whoever waits until `deadline`, which is `timeout` after work began. At the
    /// deadline there is an answer though all threads be busy, and planning ends soon after it, as it does once the
    /// result's future is dropped.
    pub(super) async fn plan_until<T: Send + 'static>(
        &self,
        deadline: Instant,
        timeout: Duration,
        // In a box, for it is large, and is handed on over the stacks of threads that serve sockets.
        work: BoxFuture<'static, Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let stop = Stop::at(deadline.into_std());
        let _waiting = run::Waiting(Arc::clone(&stop));
        match timeout_at(deadline, self.on_plans(planned_until(stop, work))).await {
            Ok(Err(_)) | Err(_) if Instant::now() >= deadline => Err(pin::timed_out(timeout)),
            Ok(ended) => ended,
            Err(_) => Err(pin::timed_out(timeout)),
        }
    }
}

pub(super) fn stopped() -> QueryError {
    QueryError::new(QueryErrorKind::Cancelled, "the server is stopping")
}
