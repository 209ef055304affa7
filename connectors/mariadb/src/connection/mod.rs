//! Connections to one server: how they are opened, shared and ended.
//!
//! Why does the owner's server settings not change an answer? Each connection pins everything that does
//! ([`connect`]) before its first statement.

mod aside;
mod errors;
mod pool;

use std::fmt;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

pub(crate) use aside::Kill;
pub(crate) use errors::{describe, server_code};
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

/// More than the server's own bound on a packet can be, so that the server's holds.
const MAX_PACKET: usize = 1 << 30;

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
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} as {}", self.host, self.port, self.user)
    }
}

/// A short statement took longer than [`SHORT_STATEMENT`].
fn no_answer(endpoint: &Endpoint, doing: &str) -> ConnectorError {
    let message = format!("{endpoint}: {doing} had no answer within {SHORT_STATEMENT:?}");
    ConnectorError::new(ErrorKind::Unreachable, message)
}

/// Opens a connection and pins on it whatever changes an answer.
pub(crate) async fn connect(options: &SourceOptions) -> Result<Conn> {
    let endpoint = Endpoint::of(options);
    let attempt = async {
        let mut conn = Conn::new(driver_options(options)).await?;
        for statement in pins() {
            conn.query_drop(statement).await?;
        }
        Ok(conn)
    };
    match tokio::time::timeout(options.connect_timeout, attempt).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(describe(&endpoint, "connecting", error)),
        Err(_) => Err(ConnectorError::new(
            ErrorKind::Unreachable,
            format!("{endpoint}: no connection within {:?}", options.connect_timeout),
        )
        .with_fix("Check host and port, and that no firewall is in between")),
    }
}

fn driver_options(options: &SourceOptions) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(&options.host)
        .tcp_port(options.port)
        .user(Some(&options.user))
        .pass(Some(options.password.reveal()).filter(|password| !password.is_empty()))
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(IDLE_LIMIT.as_secs() as usize))
        .connect_attribute("program_name", "crossweave")
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
