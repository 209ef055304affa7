//! Start-up, listeners, health and the end: everything that makes one running server of the parts.
//!
//! **What happens when something outside is down at the start?** Only what is this process's own ends it: a config
//! that does not fit, an address that is taken, a state folder that another process uses or that cannot be
//! written. A database or a broker that is down does not: what needs it says so and is tried again.
//!
//! **In which order does it end?** `/readyz` fails first; queries are accepted for `drain_delay` more; then no
//! connection is accepted, running queries get a bound to finish in, caches are stored, and the state folder is
//! let go of.

mod access;
mod body;
mod caches;
mod error;
mod health;
mod host;
mod listen;
mod logging;
mod metrics;
pub mod parts;
mod reload;
mod status;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossweave_cache::StateDir;
use crossweave_contract::{ServiceName, Source, SourceId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::StartError;
pub use logging::init as init_logging;
pub use reload::ReloadRequest;
pub use status::{ReplicaReport, ServerStatus, ServiceReport, TableReport};

use self::caches::Caches;
use crate::catalog::Discovery;
use crate::config::{Address, Config};
use crate::frontends::postgres::{self, PostgresSchemas};
use crate::ingest::IngestHandle;
use crate::policy::AllowAll;
use crate::query::{Engine, EngineOptions, EngineParts};

/// How long running queries may go on after the last connection was accepted.
const FINISH_LIMIT: Duration = Duration::from_secs(20);

/// A running server. Dropping it ends its tasks at once; [`stop`](Self::stop) ends it in good order.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    http: SocketAddr,
    postgres: Option<SocketAddr>,
    /// Ends accepting connections.
    closing: CancellationToken,
    /// Ends what still runs after that.
    ending: CancellationToken,
    listeners: TaskTracker,
    background: TaskTracker,
}

/// What requests see of the server.
#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    engine: Engine,
    sources: HashMap<SourceId, Arc<dyn Source>>,
    discovery: Discovery,
    ingest: IngestHandle,
    started: Instant,
    /// Was ready once: a service that comes back later and is loaded then does not take that back.
    was_ready: AtomicBool,
    stopping: AtomicBool,
}

impl Server {
    /// Starts everything that `config` asks for, and listens. Caches are loaded after that.
    ///
    /// # Errors
    ///
    /// [`StartError`], of what only the operator can mend.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let state = StateDir::open(&config.state_dir)
            .map_err(|error| StartError::of_state(&config.state_dir, &error))?;
        let http = bind(&config.listen.http).await?;
        let postgres = match &config.listen.postgres {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let sources = parts::sources(&config);
        let discovery = Discovery::start(Arc::clone(&config), sources.clone()).await?;
        let booleans = config.services.values().map(|s| (s.name.clone(), s.boolean_columns()));
        let ingest = caches::start(&config, &sources, &discovery, state)?;
        let engine_parts = EngineParts {
            catalog: discovery.catalog().clone(),
            sources: sources.clone(),
            booleans: booleans.collect(),
            snapshots: Arc::new(Caches(ingest.clone())),
            policy: Arc::new(AllowAll),
            system: Arc::new(PostgresSchemas::new()),
        };
        let engine = Engine::new(engine_parts, engine_options(&config)).map_err(StartError::Engine)?;
        let shared = Arc::new(Shared {
            config,
            engine,
            sources,
            discovery,
            ingest,
            started: Instant::now(),
            was_ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let mut server = Self {
            http: local(&http, &shared.config.listen.http)?,
            postgres: None,
            shared,
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
            listeners: TaskTracker::new(),
            background: TaskTracker::new(),
        };
        server.background.spawn(server.shared.discovery.clone().run(server.ending.clone()));
        server.serve_http(http);
        if let Some(listener) = postgres {
            server.serve_postgres(listener)?;
        }
        tracing::info!(http = %server.http, postgres = server.postgres.map(|a| a.to_string()), "listening");
        Ok(server)
    }

    fn serve_http(&self, listener: TcpListener) {
        let host = listen::host(&self.shared);
        self.listeners.spawn(host.serve(listener, self.closing.clone(), self.ending.clone()));
    }

    fn serve_postgres(&mut self, listener: TcpListener) -> Result<(), StartError> {
        if let Some(address) = &self.shared.config.listen.postgres {
            self.postgres = Some(local(&listener, address)?);
        }
        let token = self.shared.config.listen.token.as_ref().map(|token| token.reveal().into());
        let (closing, ending) = (self.closing.clone(), self.ending.clone());
        self.listeners.spawn(postgres::serve(self.shared.engine.clone(), listener, token, closing, ending));
        Ok(())
    }

    /// The address that HTTP is served at.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address that PostgreSQL clients are served at.
    pub fn postgres(&self) -> Option<SocketAddr> {
        self.postgres
    }

    /// The engine that answers.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Ends the server in good order: see the module. `hurry` cuts the wait for load balancers short.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.shared.stopping.store(true, Ordering::Release);
        let delay = self.shared.config.listen.drain_delay;
        tracing::info!(?delay, "stopping: /readyz fails from now on, queries are still accepted");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = hurry => {}
        }
        self.closing.cancel();
        self.listeners.close();
        if tokio::time::timeout(FINISH_LIMIT, self.listeners.wait()).await.is_err() {
            tracing::warn!(limit = ?FINISH_LIMIT, "queries that still run are ended");
        }
        self.ending.cancel();
        self.listeners.wait().await;
        self.background.close();
        self.background.wait().await;
        self.shared.ingest.stop().await;
        tracing::info!("stopped");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.cancel();
        self.ending.cancel();
    }
}

impl Shared {
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Services in the order of the config.
    fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.config.services.keys()
    }
}

async fn bind(address: &Address) -> Result<TcpListener, StartError> {
    TcpListener::bind(address.socket)
        .await
        .map_err(|error| StartError::Listen { address: address.clone(), reason: error.to_string() })
}

fn local(listener: &TcpListener, address: &Address) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen { address: address.clone(), reason: error.to_string() })
}

fn engine_options(config: &Config) -> EngineOptions {
    let mut options = EngineOptions::new(config.state_dir.join("spill"));
    options.memory = config.queries.memory;
    options.timeout = config.queries.timeout;
    options
}
