//! The configuration as the rest of the program uses it: complete, checked, secrets put in.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crossweave_contract::{BooleanColumns, Secret, ServiceName, SourceId};
use indexmap::IndexMap;

use super::change_log::ChangeLogSettings;
use super::file::{LogFormat, Mode};
use super::limits::LimitSettings;
use super::names;
use super::problem::Place;
use super::replicas::ReplicaSettings;
use super::tls::TlsSettings;

/// Everything the user declared.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Where clients connect.
    pub listen: Listen,
    /// Folder of the caches between runs.
    pub state_dir: PathBuf,
    /// How changes flow into the caches.
    pub change_log: ChangeLogSettings,
    /// Bounds on queries.
    pub queries: Queries,
    /// The server's log.
    pub log: Log,
    /// By name, in the order of the file; not empty.
    pub services: IndexMap<ServiceName, ServiceSettings>,
    /// In the order of the file.
    pub relationships: Vec<DeclaredRelationship>,
}

impl Config {
    /// The servers behind the services, each with the services on it, in the order of the file.
    pub fn sources(&self) -> IndexMap<SourceId, Vec<&ServiceSettings>> {
        let mut sources: IndexMap<SourceId, Vec<&ServiceSettings>> = IndexMap::new();
        for service in self.services.values() {
            sources.entry(service.source.clone()).or_default().push(service);
        }
        sources
    }
}

/// Where clients connect.
#[derive(Debug, Clone)]
pub struct Listen {
    /// For HTTP.
    pub http: Address,
    /// For PostgreSQL clients, where they are served.
    pub postgres: Option<Address>,
    /// What clients present; there always when an address is not of this machine alone.
    pub token: Option<Secret>,
    /// Origins whose pages may call.
    pub cors: Cors,
    /// How long to go on accepting queries after `/readyz` has begun to fail.
    pub drain_delay: Duration,
}

/// An address to listen on, with the setting that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub socket: SocketAddr,
    /// `listen.http` or `listen.postgres`.
    pub setting: &'static str,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// Origins whose pages may call the HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Pages served from this machine, at any port.
    Localhost,
    /// These.
    Origins(Vec<String>),
    /// All.
    Any,
}

/// Bounds on queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// How long one may run.
    pub timeout: Duration,
    /// Bytes that the operators of all of them may use together.
    pub memory: usize,
}

/// The server's log.
#[derive(Debug, Clone)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A filter that `tracing_subscriber::EnvFilter` accepts.
    pub level: String,
}

/// One service.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Its name.
    pub name: ServiceName,
    /// The server with the account.
    pub source: SourceId,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its database.
    pub database: String,
    /// The account.
    pub user: String,
    /// Its password, as it was when the configuration was read.
    pub password: Secret,
    /// The file that the password is read from.
    pub password_file: Option<PathBuf>,
    /// How connections are encrypted.
    pub tls: Option<TlsSettings>,
    /// How tables without an own mode are read.
    pub mode: Mode,
    /// Patterns of tables to serve; all where empty.
    pub include: Vec<Named>,
    /// Patterns of tables to leave out.
    pub exclude: Vec<Named>,
    /// Whether TINYINT(1) columns are booleans.
    pub booleans: bool,
    /// What queries may ask of the server.
    pub limits: LimitSettings,
    /// Under which changes are captured, where chosen.
    pub server_id: Option<u32>,
    /// Servers that queries read in the place of this one.
    pub replicas: Vec<ReplicaSettings>,
    /// How old at most what is read from them may be.
    pub replica_lag: Duration,
    /// Settings of single tables.
    pub tables: Vec<TableSettings>,
    /// Its line.
    pub place: Place,
}

impl ServiceSettings {
    /// Whether the table `name` is served.
    pub fn includes(&self, name: &str) -> bool {
        let fits = |patterns: &[Named]| patterns.iter().any(|pattern| names::fits(&pattern.name, name));
        (self.include.is_empty() || fits(&self.include)) && !fits(&self.exclude)
    }

    /// How the table `name` is to be read.
    pub fn mode_of(&self, name: &str) -> Mode {
        let own = self.tables.iter().find(|table| table.name == name).and_then(|table| table.mode);
        own.unwrap_or(self.mode)
    }

    /// Which TINYINT(1) columns are declared boolean.
    pub fn boolean_columns(&self) -> BooleanColumns {
        let columns = self.tables.iter().flat_map(|table| {
            let name = table.name.to_lowercase();
            table.booleans.iter().map(move |(column, flag)| ((name.clone(), column.name.to_lowercase()), *flag))
        });
        BooleanColumns { by_default: self.booleans, columns: columns.collect() }
    }
}

/// Settings of one table.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// Its name, in the server's spelling.
    pub name: String,
    /// How it is read, where it is not as the service says.
    pub mode: Option<Mode>,
    /// TINYINT(1) columns that are booleans, or are not.
    pub booleans: Vec<(Named, bool)>,
    /// Its line.
    pub place: Place,
}

/// A name of something on a server, with the line that names it.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name or pattern.
    pub name: String,
    /// Its line.
    pub place: Place,
}

/// A relationship as it was declared; whether its tables and columns exist, the catalog finds out.
#[derive(Debug, Clone)]
pub struct DeclaredRelationship {
    /// The referring columns.
    pub from: ColumnList,
    /// The columns referred to, as many.
    pub to: ColumnList,
    /// The field on `from`'s rows, where given.
    pub field: Option<Named>,
    /// The field on `to`'s rows, where given.
    pub inverse: Option<Named>,
    /// Its line.
    pub place: Place,
}

/// Columns of one table.
#[derive(Debug, Clone)]
pub struct ColumnList {
    /// Of this service, which is declared.
    pub service: ServiceName,
    /// The table.
    pub table: String,
    /// At least one; in any case.
    pub columns: Vec<String>,
    /// Their line.
    pub place: Place,
}
