//! Connections to one server: how they are opened, shared and ended.
//!
//! Why does the owner's server settings not change an answer? Each connection pins everything that does
//! ([`pins`]) before its first statement.

mod aside;
mod breaker;
mod errors;
mod guard;
mod login;
#[cfg(test)]
mod login_tests;
mod pool;

use std::fmt;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind};

pub(crate) use aside::Kill;
pub(crate) use errors::{describe, heard, server_code};
pub(crate) use guard::{Guard, Limit};
pub(crate) use login::connect;
pub(crate) use pool::{Pool, Session};

use crate::SourceOptions;

/// The time after which the server closes a connection of ours that nobody uses.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// How long a statement may wait for somebody's lock on a table's definition.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Bound on one short statement: reading a definition or a setting.
const SHORT_STATEMENT: Duration = Duration::from_secs(60);

/// Time without traffic after which the system asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Which server, as which account: what errors name. Displays as `10.0.0.7:3306 as crossweave`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    user: String,
}

impl Endpoint {
    /// Where `options` lead.
    pub(crate) fn of(options: &SourceOptions) -> Self {
        Self { host: options.host.clone(), port: options.port, user: options.user.clone() }
    }

    /// The server alone: `10.0.0.7:3306`.
    pub(crate) fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} as {}", self.host, self.port, self.user)
    }
}

/// A short statement took longer than it may.
fn no_answer(endpoint: &Endpoint, doing: &str, most: Duration) -> ConnectorError {
    let message = format!("{endpoint}: {doing} had no answer within {most:?}");
    ConnectorError::new(ErrorKind::Unreachable, message)
}

/// Statements that make answers independent of the server's settings. `sql_mode` is empty: no ANSI_QUOTES, no
/// PIPES_AS_CONCAT, and no ONLY_FULL_GROUP_BY, which refuses a group by an expression with a parameter.
fn pins() -> [String; 3] {
    let settings = [
        "time_zone = '+00:00'",
        "sql_mode = ''",
        "autocommit = 1",
        "sql_auto_is_null = 0",
        "sql_select_limit = 18446744073709551615",
        "max_join_size = 18446744073709551615",
        "sql_big_selects = 1",
        "sql_quote_show_create = 1",
        "div_precision_increment = 4",
        "default_week_format = 0",
        "lc_time_names = 'en_US'",
        "max_statement_time = 0",
        // By this 11.4.5 loses rows of a semi-join with a derived table that is grouped.
        "optimizer_switch = 'split_materialized=off'",
        // By so many bytes of a text rows are ordered and grouped; of those that this does not hold they are not asked for.
        "max_sort_length = 65536",
    ];
    let bounds =
        format!("lock_wait_timeout = {}, wait_timeout = {}", LOCK_WAIT.as_secs(), IDLE_LIMIT.as_secs());
    [
        "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci".to_owned(),
        format!("SET SESSION {}, {bounds}", settings.join(", ")),
        // A consistent snapshot exists at this level only.
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
    ]
}
