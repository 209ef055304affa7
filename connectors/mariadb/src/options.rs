//! Where a source is, how to log in, and what its owner allows.

use std::path::PathBuf;
use std::time::Duration;

use crossweave_contract::{Secret, ServiceName, SourceId};

/// How to reach one server with one account.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Names the server in positions, topics and errors.
    pub id: SourceId,
    /// The services on it, which share its connections and limits.
    pub services: Vec<ServiceName>,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// How the connection is encrypted; in plain where not.
    pub tls: Option<Tls>,
    /// Bound on one attempt to connect.
    pub connect_timeout: Duration,
    /// What queries may ask of the server.
    pub limits: Limits,
    /// Server id under which the binlog is read. Chosen at random from a high range where not set.
    pub server_id: Option<u32>,
    /// Servers that replicate from this one, for queries to read, with the same account.
    pub replicas: Vec<ReplicaOptions>,
    /// How old at most what a query reads from a replica may be when it begins.
    pub replica_lag: Duration,
}

impl SourceOptions {
    /// How to reach `replica`.
    pub(crate) fn of_replica(&self, replica: &ReplicaOptions) -> Self {
        let mut options = self.clone();
        options.host.clone_from(&replica.host);
        options.port = replica.port;
        if let Some(tls) = &mut options.tls {
            tls.server_name.clone_from(&replica.server_name);
        }
        options.replicas = Vec::new();
        options
    }
}

/// How to reach a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name that its certificate must have, where connections are encrypted; that of its host where not set.
    pub server_name: Option<String>,
}

/// Where the password comes from.
#[derive(Debug, Clone)]
pub enum Password {
    /// It stays as it is.
    Fixed(Secret),
    /// A file, read for each connection, so that it may change. The end of its line is cut off.
    File(PathBuf),
}

/// How a connection is encrypted. Files are read for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates (PEM) of the authorities of which one must have signed the server's; those that browsers trust
    /// where not set.
    pub ca_file: Option<PathBuf>,
    /// The name that the server's certificate must have; that of the host where not set.
    pub server_name: Option<String>,
    /// Certificate and key (PEM) to show to the server.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What queries may ask of one server. Where nothing else is said, one that is exceeded refuses the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Connections that live queries and loads may have open at the same time; the next one waits. Beside them are
    /// one for the binlog and at most three that each run one short statement at a time.
    pub connections: usize,
    /// On how many of them statements of one query may run side by side, while more than half of all are free.
    pub connections_per_query: usize,
    /// How many may wait for a connection.
    pub queue: usize,
    /// How long one may wait, for a connection or for its statement's turn.
    pub queue_wait: Duration,
    /// Statements a second that read rows for queries; the next one waits.
    pub statements_per_second: Option<u32>,
    /// Rows that one query may read.
    pub rows: Option<u64>,
    /// Bytes of rows that one query may read, as they lie in memory.
    pub bytes: Option<u64>,
    /// How long one query may read.
    pub time: Duration,
    /// Rows that the server may have to examine for one statement of a query.
    pub rows_examined: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            connections_per_query: 4,
            queue: 100,
            queue_wait: Duration::from_secs(10),
            statements_per_second: None,
            rows: None,
            bytes: None,
            time: Duration::from_secs(60),
            rows_examined: 10_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::offline;

    #[test]
    fn a_replica_is_reached_like_the_primary_but_at_its_own_address_and_name() {
        let name = |name: &str| Some(name.to_owned());
        let replica = ReplicaOptions { host: "r".to_owned(), port: 7, server_name: name("r.db") };
        let tls = Tls { ca_file: Some("ca.pem".into()), server_name: name("p.db"), client: None };
        let options = SourceOptions { tls: Some(tls), replicas: vec![replica.clone()], ..offline() };
        let of_replica = options.of_replica(&replica);
        assert_eq!((of_replica.host.as_str(), of_replica.port, of_replica.replicas.len()), ("r", 7, 0));
        let server_name = |options: &SourceOptions| options.tls.as_ref().unwrap().server_name.clone();
        assert_eq!(server_name(&of_replica), name("r.db"));
        assert_eq!(of_replica.tls.as_ref().unwrap().ca_file, options.tls.as_ref().unwrap().ca_file);
        let unnamed = options.of_replica(&ReplicaOptions { server_name: None, ..replica });
        assert_eq!(server_name(&unnamed), None, "that of its own host, not that of the primary");
    }
}
