//! Discovery: asks the servers what there is, at the start and again for as long as the process runs.
//!
//! Who says what a table is? Of a live table the server, each time it is asked. Of a cached one ingest, which
//! knows the definition that the cached rows have ([`Discovery::replace_table`]): what the server says *now* may be
//! ahead of them. So asking again leaves cached tables alone, also those that are gone: ingest takes them out when
//! the stream has come there ([`Discovery::remove_table`]). A new table that the config wants cached is there at
//! once; ingest loads it when it sees it.
//!
//! A service that was never reached has no tables and says why. One that was, keeps what is known of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, ServiceName, Source, SourceId, TableDef, TableId};
use futures::future::join_all;
use indexmap::IndexMap;
use rand::Rng;
use tokio_util::sync::CancellationToken;

use super::relationships::Resolved;
use super::weights::{self, Weights};
use super::{Catalog, CatalogHandle, Service, Table, TableMode, relationships, service};
use crate::config::{Config, ConfigError, Problem, ServiceSettings};

/// Bound on asking one service for its tables.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Bound on asking for the weights of collations before there is a catalog; what is not there by then is asked for later.
const WEIGHTS_LIMIT: Duration = Duration::from_secs(20);
/// How often a service that can be reached is asked again.
const AGAIN: Duration = Duration::from_secs(30);
/// How soon it is asked again where a query found other tables than the catalog has, or others were asked for; it doubles
/// up to [`AGAIN`] for as long as nothing new is found.
const SOONEST: Duration = Duration::from_secs(2);
/// The first wait after a failure; it doubles up to [`AGAIN`].
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// Keeps the catalog. Clones share everything.
#[derive(Debug, Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    sources: HashMap<SourceId, Arc<dyn Source>>,
    catalog: CatalogHandle,
    /// One service at a time is put into the catalog, so that weights are loaded once.
    installing: tokio::sync::Mutex<()>,
}

impl Discovery {
    /// Asks all services of `config`, each of which has its source in `sources`. Services that cannot be reached
    /// are left for later.
    ///
    /// # Errors
    ///
    /// If the config speaks of tables or columns that are not there.
    pub async fn start(
        config: Arc<Config>,
        sources: HashMap<SourceId, Arc<dyn Source>>,
    ) -> Result<Self, ConfigError> {
        Self::start_within(WEIGHTS_LIMIT, config, sources).await
    }

    /// As [`start`](Self::start), with another bound on asking for weights.
    pub(super) async fn start_within(
        weights_limit: Duration,
        config: Arc<Config>,
        sources: HashMap<SourceId, Arc<dyn Source>>,
    ) -> Result<Self, ConfigError> {
        let asked = config.services.values().map(|settings| {
            let source = sources.get(&settings.source);
            async move { (settings, ask(settings, source).await) }
        });
        let mut services = IndexMap::new();
        let mut problems = Vec::new();
        for (settings, found) in join_all(asked).await {
            let service = match found {
                Ok((service, misfits)) => {
                    problems.extend(misfits);
                    warn(&service);
                    service
                }
                Err(error) => {
                    tracing::error!(service = %settings.name, %error, "the service cannot be read; it is tried again");
                    service::unknown(settings, error.to_string())
                }
            };
            services.insert(settings.name.clone(), service);
        }
        let Resolved { relationships, problems: misfits, left_out } =
            relationships::resolve(&services, &config.relationships);
        problems.extend(misfits);
        say(&left_out, &[]);
        let mut weights = Weights::default();
        weights.complete(services.values().flat_map(weights::in_use), &sources, Some(weights_limit)).await;
        let catalog = Catalog {
            epoch: 0,
            services,
            relationships,
            left_out,
            weights: weights.loaded,
            missing_weights: weights.missing,
        };
        let catalog = CatalogHandle::new(catalog);
        let inner = Inner { config, sources, catalog, installing: tokio::sync::Mutex::new(()) };
        ConfigError::unless(problems, Self { inner: Arc::new(inner) })
    }

    /// The catalog that is kept.
    pub fn catalog(&self) -> &CatalogHandle {
        &self.inner.catalog
    }

    /// Asks `service` again and puts what is new into the catalog.
    ///
    /// # Errors
    ///
    /// If it cannot be read; the catalog keeps what is known of it.
    pub async fn refresh(&self, service: &ServiceName) -> Result<(), ConnectorError> {
        let inner = &*self.inner;
        let settings = inner.config.services.get(service).ok_or_else(|| {
            ConnectorError::new(ErrorKind::Bug, format!("service {service} is not in the config"))
        })?;
        let (found, misfits) = ask(settings, inner.sources.get(&settings.source)).await?;
        let _one_at_a_time = inner.installing.lock().await;
        let current = inner.catalog.current();
        let mut weights = Weights::of(&current);
        let wanted = inner.catalog.wanted().borrow().clone();
        let wanted = wanted.iter().map(|collation| (&settings.source, collation));
        weights.complete(weights::in_use(&found).chain(wanted), &inner.sources, None).await;
        let known = current.services.get(service).is_some_and(|old| same(old, &merged(old, &found)));
        if known && weights.loaded.len() == current.weights.len() && weights.missing == current.missing_weights
        {
            return Ok(());
        }
        let first = current.services.get(service).is_none_or(|old| old.unreachable.is_some());
        if first {
            tracing::info!(%service, "the service can be read");
            warn(&found);
        }
        let mut problems = misfits;
        inner.catalog.update(|current| {
            let mut services = current.services.clone();
            let service = services.get(service).map_or_else(|| found.clone(), |old| merged(old, &found));
            services.insert(service.name.clone(), service);
            let Resolved { relationships, problems: misfits, left_out } =
                relationships::resolve(&services, &inner.config.relationships);
            problems.extend(misfits);
            say(&left_out, &current.left_out);
            Catalog {
                epoch: current.epoch,
                services,
                relationships,
                left_out,
                weights: weights.loaded,
                missing_weights: weights.missing,
            }
        });
        for problem in problems {
            tracing::error!("{problem}");
        }
        Ok(())
    }

    /// Puts `def`, which the cached rows of its table have from now on, into the catalog.
    pub fn replace_table(&self, def: &Arc<TableDef>) {
        let config = &self.inner.config;
        self.inner.catalog.update(|current| {
            let mut services = current.services.clone();
            if let Some(service) = services.get_mut(&def.id.service)
                && let Some(table) = service.tables.get_mut(&*def.id.table)
            {
                table.def = Arc::clone(def);
            }
            let Resolved { relationships, problems, left_out } =
                relationships::resolve(&services, &config.relationships);
            for problem in problems {
                tracing::error!("{problem}");
            }
            say(&left_out, &current.left_out);
            let (weights, missing_weights) = (current.weights.clone(), current.missing_weights.clone());
            Catalog { epoch: current.epoch, services, relationships, left_out, weights, missing_weights }
        });
    }

    /// Takes out a cached table that is gone from its server.
    pub fn remove_table(&self, table: &TableId) {
        let config = &self.inner.config;
        self.inner.catalog.update(|current| {
            let mut next = current.clone();
            if let Some(service) = next.services.get_mut(&table.service) {
                service.tables.shift_remove(&*table.table);
            }
            // Relationships that the config declares over the table end with it; that was said in its place.
            let resolved = relationships::resolve(&next.services, &config.relationships);
            (next.relationships, next.left_out) = (resolved.relationships, resolved.left_out);
            next
        });
    }

    /// Asks all services again and again until `stop`: soon while they cannot be read, else now and then.
    pub async fn run(self, stop: CancellationToken) {
        let services = self.inner.config.services.keys();
        join_all(services.map(|service| self.keep_asking(service, &stop))).await;
    }

    async fn keep_asking(&self, service: &ServiceName, stop: &CancellationToken) {
        // Also where weights are to come.
        let is_unread = || {
            let catalog = self.inner.catalog.current();
            let known = catalog.services.get(service).filter(|known| known.unreachable.is_none());
            known.is_none_or(|known| weights::are_to_come(&catalog, known))
        };
        let sooner = |wait: Duration| if wait == AGAIN { FIRST_RETRY } else { (wait * 2).min(AGAIN) };
        let mut wait = if is_unread() { FIRST_RETRY } else { AGAIN };
        let mut doubts = self.inner.catalog.doubts();
        let mut wanted = self.inner.catalog.wanted();
        let (mut soonest, mut heard) = (SOONEST, None);
        loop {
            let jittered = wait.mul_f64(rand::rng().random_range(0.8..1.2));
            let doubted = async {
                tokio::time::sleep(soonest).await;
                doubts.wait_for(|doubted| doubted.get(service).copied() != heard).await.is_ok()
            };
            let asked_for = async {
                tokio::time::sleep(SOONEST).await;
                wanted.changed().await.is_ok()
            };
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep(jittered) => {}
                    true = doubted => {}
                    true = asked_for => {}
                }
            };
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let now = doubts.borrow().get(service).copied();
            let was_doubted = std::mem::replace(&mut heard, now) != now;
            let epoch = self.inner.catalog.current().epoch;
            wanted.mark_unchanged();
            match stop.run_until_cancelled(self.refresh(service)).await {
                None => return,
                Some(Ok(())) => {
                    wait = if is_unread() { sooner(wait) } else { AGAIN };
                    let in_vain = was_doubted && self.inner.catalog.current().epoch == epoch;
                    soonest = if in_vain { (soonest * 2).min(AGAIN) } else { SOONEST };
                }
                Some(Err(error)) => {
                    soonest = (soonest * 2).min(AGAIN);
                    tracing::debug!(%service, %error, "the service cannot be asked for its tables");
                    self.say_why(service, &error);
                    wait = sooner(wait);
                }
            }
        }
    }

    /// Keeps the reason why a service was never reached true.
    fn say_why(&self, service: &ServiceName, error: &ConnectorError) {
        let reason = error.to_string();
        let changed = |s: &Service| s.unreachable.as_ref().is_some_and(|old| *old != reason);
        if !self.inner.catalog.current().services.get(service).is_some_and(changed) {
            return;
        }
        tracing::error!(%service, %error, "the service cannot be read; it is tried again");
        self.inner.catalog.update(|current| {
            let mut next = current.clone();
            if let Some(service) = next.services.get_mut(service).filter(|service| changed(service)) {
                service.unreachable = Some(reason.clone());
            }
            next
        });
    }
}

async fn ask(
    settings: &ServiceSettings,
    source: Option<&Arc<dyn Source>>,
) -> Result<(Service, Vec<Problem>), ConnectorError> {
    let source = source.ok_or_else(|| {
        ConnectorError::new(ErrorKind::Bug, format!("source {} has no connector", settings.source))
    })?;
    let booleans = settings.boolean_columns();
    let tables = source.tables(&settings.name, &settings.database, &booleans);
    match tokio::time::timeout(TIME_LIMIT, tables).await {
        Ok(found) => Ok(service::assemble(settings, found?)),
        Err(_) => {
            let message = format!("{}:{} did not answer within {TIME_LIMIT:?}", settings.host, settings.port);
            Err(ConnectorError::new(ErrorKind::Unreachable, message))
        }
    }
}

/// Says which relationships are left out that were not before.
fn say(left_out: &[Problem], before: &[Problem]) {
    for problem in left_out.iter().filter(|problem| !before.contains(problem)) {
        tracing::warn!("{problem}");
    }
}

/// Says which tables and columns are not served as one may expect.
fn warn(service: &Service) {
    for table in service.tables.values() {
        let id = &table.def.id;
        if let TableMode::LiveOnly(reason) = &table.mode {
            tracing::warn!(table = %id, reason, "the table is live only");
        }
        for (column, reason) in &table.hidden {
            tracing::warn!(table = %id, column, reason, "the column is hidden");
        }
    }
}

/// `found`, but with what ingest has to say of the tables of `old` that can still be cached.
fn merged(old: &Service, found: &Service) -> Service {
    let mut merged = found.clone();
    if old.unreachable.is_some() {
        return merged;
    }
    for (name, table) in merged.tables.iter_mut().filter(|(_, table)| table.mode == TableMode::Cached) {
        if let Some(known) = old.tables.get(name).filter(|known| known.mode == TableMode::Cached) {
            *table = Table { unique: std::mem::take(&mut table.unique), ..known.clone() };
        }
    }
    for (name, known) in old.tables.iter().filter(|(_, known)| known.mode == TableMode::Cached) {
        merged.tables.entry(Arc::clone(name)).or_insert_with(|| known.clone());
    }
    merged
}

fn same(a: &Service, b: &Service) -> bool {
    let same_table = |a: &Table, b: &Table| {
        a.def == b.def && a.mode == b.mode && a.hidden == b.hidden && a.unique == b.unique
    };
    a.unreachable == b.unreachable
        && a.tables.len() == b.tables.len()
        && a.tables.iter().all(|(name, table)| b.tables.get(name).is_some_and(|other| same_table(table, other)))
}
