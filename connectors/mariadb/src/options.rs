//! Where a source is and how to log in.

use std::time::Duration;

use crossweave_contract::{Secret, SourceId};

/// How to reach one server with one account.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Names the server in positions, topics and errors.
    pub id: SourceId,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Bound on one attempt to connect.
    pub connect_timeout: Duration,
    /// Connections that live queries and loads may have open at the same time; the next one waits. Beside them are
    /// one for the binlog and at most three that each run one short statement at a time.
    pub max_connections: usize,
    /// Server id under which the binlog is read. Chosen at random from a high range where not set.
    pub server_id: Option<u32>,
}
