//! Where a source is and how to log in.

use std::fmt;
use std::time::Duration;

use crossweave_contract::SourceId;

/// A password: shown nowhere.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

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
    /// Connections that live queries and loads may have open at the same time; the next one waits.
    pub max_connections: usize,
    /// Server id under which the binlog is read. Chosen at random from a high range where not set.
    pub server_id: Option<u32>,
}
