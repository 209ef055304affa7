//! The options, each declared once: name, type, unit, default and meaning.
//!
//! From these types come the reader of the file, the errors about its shape and
//! `schemas/crossweave.schema.json`, so an option cannot be accepted without being documented.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change_log::ChangeLogOptions;
use super::limits::LimitOptions;
use super::replicas::ReplicaOptions;
use super::tls::TlsOptions;

/// Crossweave's configuration. `${NAME}` in any text is replaced by the environment variable NAME (within
/// `url` percent-encoded); `$${` stands for `${` itself. Paths are relative to the folder of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Where clients connect.
    pub listen: ListenOptions,
    /// Where caches are stored between runs.
    pub state: StateOptions,
    /// How changes flow from the databases into the caches.
    pub change_log: ChangeLogOptions,
    /// Bounds on each query.
    pub queries: QueryOptions,
    /// The log that the server writes to standard error.
    pub log: LogOptions,
    /// The services by name. A service's name is its schema in SQL.
    pub services: IndexMap<String, ServiceOptions>,
    /// Links between tables, also of different services, beside the foreign keys that the databases declare.
    pub relationships: Vec<RelationshipOptions>,
}

/// Where clients connect. An address that is not of this machine alone needs `token_file`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenOptions {
    /// Address for `/sql`, `/graphql`, `/healthz`, `/readyz` and `/metrics`, as `address:port`. Port 0 takes a
    /// free one. Default: `127.0.0.1:8080`.
    pub http: String,
    /// Address for PostgreSQL clients, as `address:port`. Default: none, they are not served.
    pub postgres: Option<String>,
    /// File with the token that clients present: `Authorization: Bearer …` over HTTP, the password for
    /// PostgreSQL clients. Default: none, no token is asked for.
    pub token_file: Option<String>,
    /// Origins whose pages may call the HTTP interface, as `https://app.example.com`; `*` for all. Default:
    /// pages served from this machine (localhost, 127.0.0.1, `::1`) at any port.
    pub cors: Option<Vec<String>>,
    /// How long the server goes on accepting queries after it was told to end and `/readyz` has begun to fail, so
    /// that load balancers notice. Duration, as `500ms`, `5s`, `2m`. Default: `1s`.
    pub drain_delay: String,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:8080".to_owned(),
            postgres: None,
            token_file: None,
            cors: None,
            drain_delay: "1s".to_owned(),
        }
    }
}

/// Where caches are stored between runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateOptions {
    /// Folder, made if it is missing; one process at a time uses it. Default: `state`.
    pub dir: String,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self { dir: "state".to_owned() }
    }
}

/// Bounds on each query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryOptions {
    /// How long one query may run, reading live tables included. Duration, as `500ms`, `60s`, `5m`. Default: `60s`.
    pub timeout: String,
    /// Memory that all queries may use together, caches not counted: for sorts, joins and aggregates, and for rows that
    /// wait for a client or for another part of the query. Past it sorts, and rows for a client, go on in files in the
    /// state folder, and what cannot fails. Of a quarter no more is lent than rows that wait and merges of sorts need. Size, as `512MiB`, `2GiB`. Default: `2GiB`.
    pub memory: String,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self { timeout: "60s".to_owned(), memory: "2GiB".to_owned() }
    }
}

/// The log that the server writes to standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// How a line looks. Default: `text`.
    pub format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or by module, as `info,crossweave::ingest=debug`.
    /// Default: `info`.
    pub level: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// One service: where its database is, and how its tables are read. Its server is given by `url`, or by
/// `host`, `port`, `database`, `user` and `password` or `password_file`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceOptions {
    /// `mysql://user:password@host:port/database`. Special characters are percent-encoded; what `${NAME}` puts
    /// in is encoded by itself.
    pub url: Option<String>,
    /// Host name or address of the MariaDB server.
    pub host: Option<String>,
    /// Its TCP port. Default: 3306.
    pub port: Option<u16>,
    /// The service's database there.
    pub database: Option<String>,
    /// The account. It needs SELECT on the database, and for cached tables REPLICATION SLAVE on the server:
    /// `crossweave check` tells.
    pub user: Option<String>,
    /// Its password; better kept out of this file by `${NAME}` or `password_file`.
    pub password: Option<String>,
    /// File that holds the password; the end of its line is cut off. It is read for each connection, so the password
    /// can change without a restart. Works with `url` too.
    pub password_file: Option<String>,
    /// How tables without an own `mode` are read. Default: `live`.
    pub mode: Mode,
    /// The tables to serve, `*` standing for any characters. Default: all of the database.
    pub include: Vec<String>,
    /// Tables to leave out, `*` standing for any characters; wins over `include`. Default: none.
    pub exclude: Vec<String>,
    /// Whether TINYINT(1) columns are booleans: a value other than 0 and 1 is then an error. Default: false, they
    /// are numbers.
    pub booleans: bool,
    /// Server id under which changes are captured; no other replica of the server may use it. Default: chosen
    /// at random from a high range.
    #[schemars(range(min = 1))]
    pub server_id: Option<u32>,
    /// What queries may ask of its server.
    pub limits: LimitOptions,
    /// How connections to its server are encrypted. Default: not at all.
    pub tls: Option<TlsOptions>,
    /// Servers that replicate from this one, with the same account, as `"10.0.0.13:3306"` or
    /// `{ host = "10.0.0.13", server_name = "r1.db" }`. Queries read them in its place, those that are within
    /// `replica_lag`; the limits hold for each server. Default: none.
    pub replicas: Vec<ReplicaOptions>,
    /// How old at most what a query reads from a replica may be when it begins. Duration, `200ms` to `10m`.
    /// Default: `1s`.
    pub replica_lag: Option<String>,
    /// Settings of single tables, by the table's name.
    pub tables: IndexMap<String, TableOptions>,
}

/// How tables are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From the database, with each query.
    #[default]
    Live,
    /// From a copy in memory that is kept current by change capture.
    Cached,
}

/// Settings of one table.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TableOptions {
    /// How the table is read. Default: the service's `mode`.
    pub mode: Option<Mode>,
    /// Which of its TINYINT(1) columns are booleans, as `{ active = true, level = false }`. Default: as the
    /// service's `booleans` says.
    pub booleans: IndexMap<String, bool>,
}

/// A link from the rows of one table to at most one row each of another.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelationshipOptions {
    /// The referring column, as `service.table.column`; a list for a key of several columns. A part that holds a
    /// dot or another special character is put in back-quotes.
    pub from: Columns,
    /// The column that it refers to, in the same form.
    pub to: Columns,
    /// The field on `from`'s rows that gives the row referred to. Default: made from the referring column
    /// (`user_id` gives `user`).
    pub field: Option<String>,
    /// The field on `to`'s rows that gives the list of referring rows. Default: the referring table's name.
    pub inverse: Option<String>,
}

/// One column or several.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// One column.
    One(String),
    /// The columns of a key, in its order.
    Many(Vec<String>),
}

impl Columns {
    /// The columns as a list.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Many(columns) => columns,
        }
    }
}
