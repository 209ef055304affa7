//! `[services.*.limits]`: what queries may ask of a service's server.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::document::Path;

/// What queries may ask of the service's server. A query that would exceed one is refused, and counted in `/metrics`.
/// Services on one server with one account share the smallest of each.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitOptions {
    /// Connections that queries and first loads may have open at the same time, 1 to 1000; the next one waits.
    /// Default: 8.
    #[schemars(range(min = 1, max = 1000))]
    pub connections: u32,
    /// On how many of them statements of one query may run side by side, while more than half of all are free, 1 to
    /// 64; at most half of them are taken for that. Default: 4.
    #[schemars(range(min = 1, max = 64))]
    pub connections_per_query: u32,
    /// How many may wait for a connection, 0 to 10000. Default: 100.
    #[schemars(range(min = 0, max = 10_000))]
    pub queue: u32,
    /// How long one may wait for a connection, or for its statement's turn. Duration, as `500ms`, `10s`. Default: `10s`.
    pub queue_wait: String,
    /// Statements a second that read rows for queries; as many may come at once, the next ones wait. Default: any.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub statements_per_second: Option<u32>,
    /// Rows that one query may read from the server. Default: any.
    #[schemars(range(min = 1))]
    pub rows: Option<u64>,
    /// Bytes of rows that one query may read from the server, as they lie in memory. Size, as `64MiB`, `2GiB`.
    /// Default: any.
    pub bytes: Option<String>,
    /// Seconds for which one query may read from the server; `queries.timeout` holds beside it. Default: 60.
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: u32,
    /// Rows that the server may have to examine for one statement of a query, as its EXPLAIN estimates. Default:
    /// 10000000.
    #[schemars(range(min = 1))]
    pub rows_examined: u64,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            connections: 8,
            connections_per_query: 4,
            queue: 100,
            queue_wait: "10s".to_owned(),
            statements_per_second: None,
            rows: None,
            bytes: None,
            seconds: 60,
            rows_examined: 10_000_000,
        }
    }
}

/// What queries may ask of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Connections at the same time.
    pub connections: u32,
    /// On how many one query may read side by side.
    pub connections_per_query: u32,
    /// How many may wait for one.
    pub queue: u32,
    /// How long one may wait.
    pub queue_wait: Duration,
    /// Statements a second.
    pub statements_per_second: Option<u32>,
    /// Rows of one query.
    pub rows: Option<u64>,
    /// Bytes of one query.
    pub bytes: Option<u64>,
    /// Time of one query.
    pub time: Duration,
    /// Rows that one statement may examine.
    pub rows_examined: u64,
}

impl LimitSettings {
    /// The smaller of each.
    pub(super) fn smallest(&self, other: &Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            connections: self.connections.min(other.connections),
            connections_per_query: self.connections_per_query.min(other.connections_per_query),
            queue: self.queue.min(other.queue),
            queue_wait: self.queue_wait.min(other.queue_wait),
            statements_per_second: least(self.statements_per_second, other.statements_per_second),
            rows: least(self.rows, other.rows),
            bytes: least(self.bytes, other.bytes),
            time: self.time.min(other.time),
            rows_examined: self.rows_examined.min(other.rows_examined),
        }
    }
}

/// Checks the limits at `path`.
pub(super) fn check(checker: &mut Checker<'_>, path: &Path, options: &LimitOptions) -> LimitSettings {
    let bytes = options.bytes.as_deref().map(|text| checker.size(&path.join("bytes"), text) as u64);
    LimitSettings {
        connections: options.connections,
        connections_per_query: options.connections_per_query,
        queue: options.queue,
        queue_wait: checker.duration(&path.join("queue_wait"), &options.queue_wait, true),
        statements_per_second: options.statements_per_second,
        rows: options.rows,
        bytes,
        time: Duration::from_secs(options.seconds.into()),
        rows_examined: options.rows_examined,
    }
}
