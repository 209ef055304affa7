//! What keeps a source safe from us, as it stands now: for `/metrics` and for people.

use std::time::Duration;

use crate::ServiceName;

/// What was refused for a source's sake, and whether it is asked at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// Whether connections to it are attempted.
    pub circuit: Circuit,
    /// Why the account may not log in, where the last attempt to read was refused for that.
    pub denied: Option<String>,
    /// How often each limit refused something since the start, by service and limit; those that never did are left
    /// out. What is refused before it is known for which service is counted for all that share the source.
    pub refusals: Vec<Refusal>,
    /// Its replicas, in the order of the config. Each server has a circuit and limits of its own; `circuit` is the
    /// primary's, `refusals` are those of all.
    pub replicas: Vec<ReplicaState>,
    /// Views for queries that were opened on the primary because no replica was fit.
    pub fell_back: u64,
}

/// A read replica, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaState {
    /// `10.0.0.13:3306`.
    pub server: String,
    /// Why queries do not read it now; `None` where they do.
    pub unfit: Option<String>,
    /// How old what it shows can be at most; `None` where that is not known.
    pub lag: Option<Duration>,
    /// Connections of queries that are open or waited for.
    pub connections: u64,
    /// Views that were opened on it since the start.
    pub views: u64,
}

/// The circuit breaker of a source: it is not asked while it does not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Circuit {
    /// It answers, or has not failed often enough: it is asked.
    #[default]
    Closed,
    /// It has failed several times in a row: whoever asks fails at once, but for the one that tries it.
    Open {
        /// How often it failed in a row.
        failures: u32,
        /// How it failed last.
        reason: String,
        /// When it is tried again; zero while that happens.
        probe_in: Duration,
    },
}

/// How often one limit refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose limit.
    pub service: ServiceName,
    /// The limit, as the config names it: `rows_examined`.
    pub limit: &'static str,
    /// How often.
    pub count: u64,
}
