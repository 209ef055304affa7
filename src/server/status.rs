//! The state of everything, as `/status`, `/readyz`, `/metrics` and `crossweave status` tell it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use crossweave_contract::{Circuit, Protection, ReplicaState};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::catalog::{Service, Table, TableMode};
use crate::ingest::{ServiceStatus, TableState, TableStatus};

/// The server and its services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Of Crossweave.
    pub version: String,
    /// `ready`; `loading` until each cached table is loaded or its first attempt has failed; `stopping`.
    pub state: String,
    /// Since the start.
    pub uptime_seconds: f64,
    /// In the order of the config.
    pub services: Vec<ServiceReport>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// `ok`; `unreachable` where it was never read; `failing` where changes cannot be followed now, or its server is
    /// not asked for it does not answer, or did not let the account log in when it was last asked.
    pub state: String,
    /// Why it is not `ok`.
    pub reason: Option<String>,
    /// Of its caches.
    pub position: Option<String>,
    /// How long ago that position was known to be current.
    pub age_seconds: Option<f64>,
    /// Why its caches cannot be stored now; they go on in memory.
    pub checkpoint_failing: Option<String>,
    /// Whether its server is not asked now, for it does not answer.
    pub circuit_open: bool,
    /// How often each of its limits refused something since the start.
    pub refusals: BTreeMap<String, u64>,
    /// Its read replicas, in the order of the config; one that is not fit leaves the service's state as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<ReplicaReport>,
    /// Queries of the source that read the primary because no replica was fit.
    #[serde(default)]
    pub fell_back: u64,
    /// By name.
    pub tables: Vec<TableReport>,
}

/// One read replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// `10.0.0.13:3306`.
    pub server: String,
    /// Whether queries read it now.
    pub fit: bool,
    /// Why they do not.
    pub reason: Option<String>,
    /// How old what it shows is at most; none where that is not known.
    pub lag_seconds: Option<f64>,
    /// Connections of queries that are open or waited for.
    pub connections: u64,
    /// Queries of the source that have read it since the start.
    pub queries: u64,
}

impl From<&ReplicaState> for ReplicaReport {
    fn from(state: &ReplicaState) -> Self {
        Self {
            server: state.server.clone(),
            fit: state.unfit.is_none(),
            reason: state.unfit.clone(),
            lag_seconds: state.lag.map(|lag| lag.as_secs_f64()),
            connections: state.connections,
            queries: state.views,
        }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// `cached`, `live`, or `live only` where it cannot be cached as the config asks.
    pub mode: String,
    /// `live`; of cached tables `ready`, `loading`, `reloading`, `stopped`.
    pub state: String,
    /// Why it is live only, loaded anew or stopped, or why the first load did not succeed.
    pub reason: Option<String>,
    /// Rows in the cache.
    pub rows: Option<u64>,
    /// Bytes of memory of the cache.
    pub bytes: Option<u64>,
    /// How often it was loaded since the start.
    pub loads: Option<u64>,
    /// Whether somebody wants it to be loaded anew, and that has not ended.
    #[serde(default)]
    pub asked: bool,
    /// Hidden columns with the reasons.
    pub hidden: Vec<(String, String)>,
}

impl TableReport {
    /// Whether it keeps the server from being ready.
    fn is_awaited(&self) -> bool {
        self.state == "loading" && self.reason.is_none()
    }
}

impl Shared {
    /// The state now.
    pub(super) fn status(&self) -> ServerStatus {
        let ingest = self.ingest.statuses();
        let catalog = self.engine.catalog();
        let services: Vec<ServiceReport> = self
            .services()
            .filter_map(|name| {
                let service = catalog.services.get(name)?;
                let protection = self.sources.get(&service.source).map(|source| source.protection());
                let status = ingest.iter().find(|status| status.service == *name);
                Some(report(service, status, &protection.unwrap_or_default()))
            })
            .collect();
        let awaited = services.iter().flat_map(|service| &service.tables).any(TableReport::is_awaited);
        let ready = !awaited || self.was_ready.load(Ordering::Acquire);
        self.was_ready.store(ready, Ordering::Release);
        let state = match (self.stopping(), ready) {
            (true, _) => "stopping",
            (false, true) => "ready",
            (false, false) => "loading",
        };
        ServerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: state.to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            services,
        }
    }
}

fn report(service: &Service, status: Option<&ServiceStatus>, protection: &Protection) -> ServiceReport {
    let unanswered = match &protection.circuit {
        Circuit::Closed => None,
        Circuit::Open { failures, reason, probe_in } => Some(format!(
            "its server did not answer {failures} times in a row, and is tried again in {:.1} s: {reason}",
            probe_in.as_secs_f64()
        )),
    };
    let circuit_open = unanswered.is_some();
    let denied = || protection.denied.clone();
    let failing = unanswered.or_else(denied).or_else(|| status.and_then(|status| status.failing.clone()));
    let refusals = protection.refusals.iter().filter(|refusal| refusal.service == service.name);
    let (state, reason) = match (&service.unreachable, failing) {
        (Some(reason), _) => ("unreachable", Some(reason.clone())),
        (None, Some(reason)) => ("failing", Some(reason)),
        (None, None) => ("ok", None),
    };
    let tables = service
        .tables
        .iter()
        .map(|(name, table)| table_report(name, table, status.and_then(|status| status.tables.get(name))));
    ServiceReport {
        service: service.name.to_string(),
        state: state.to_owned(),
        reason,
        position: status.filter(|s| !s.position.is_origin()).map(|s| s.position.to_string()),
        age_seconds: status.and_then(|s| s.age).map(|age| age.as_secs_f64()),
        checkpoint_failing: status.and_then(|s| s.checkpoint_failing.clone()),
        circuit_open,
        refusals: refusals.map(|refusal| (refusal.limit.to_owned(), refusal.count)).collect(),
        replicas: protection.replicas.iter().map(ReplicaReport::from).collect(),
        fell_back: protection.fell_back,
        tables: tables.collect(),
    }
}

fn table_report(name: &Arc<str>, table: &Table, status: Option<&TableStatus>) -> TableReport {
    let (mode, state, reason) = match &table.mode {
        TableMode::Live => ("live", "live", None),
        TableMode::LiveOnly(reason) => ("live only", "live", Some(reason.clone())),
        TableMode::Cached => {
            let (state, reason) = match status.map(|status| &status.state) {
                None => ("loading", None),
                Some(TableState::Loading { attempt_failed }) => ("loading", attempt_failed.clone()),
                Some(TableState::Ready) => ("ready", None),
                Some(TableState::Reloading(reason)) => ("reloading", Some(reason.clone())),
                Some(TableState::Stopped(reason)) => ("stopped", Some(reason.clone())),
            };
            ("cached", state, reason)
        }
    };
    TableReport {
        table: name.to_string(),
        mode: mode.to_owned(),
        state: state.to_owned(),
        reason,
        rows: status.map(|status| status.rows),
        bytes: status.map(|status| status.bytes),
        loads: status.map(|status| status.loads),
        asked: status.is_some_and(|status| status.asked),
        hidden: table.hidden.clone(),
    }
}

/// `GET /status`.
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<ServerStatus> {
    Json(shared.status())
}
