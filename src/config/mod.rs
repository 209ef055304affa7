//! What the user declares, checked: one TOML file.
//!
//! How can an error always name the line? The text is read into a tree that remembers the line of each value
//! (`document`), held against the schema that is generated from the option's declarations (`file`, `shape`), and
//! only then turned into [`Config`] (`check`), whose parts keep their lines: what only the databases can tell, a
//! missing table or column, is found by the catalog and told in the same form.

mod change_log;
mod check;
mod document;
mod file;
mod limits;
mod load;
mod names;
mod problem;
mod relationships;
mod replicas;
mod services;
mod settings;
mod shape;
#[cfg(test)]
mod tests;
mod tls;

pub use change_log::{
    ChangeLogForm, ChangeLogKind, ChangeLogOptions, ChangeLogSettings, FeedTopicOptions, LogTopicOptions,
    Retention, TopicSettings, TopicsOptions, TopicsSettings,
};
pub use file::{
    Columns, ConfigFile, ListenOptions, LogFormat, LogOptions, Mode, QueryOptions, RelationshipOptions,
    ServiceOptions, StateOptions, TableOptions,
};
pub use limits::{LimitOptions, LimitSettings};
pub use load::listen_of;
pub(crate) use names::{fits, is_graphql_name};
pub use problem::{ConfigError, Place, Problem};
pub use replicas::{ReplicaOptions, ReplicaParts, ReplicaSettings};
pub use settings::{
    Address, ColumnList, Config, Cors, DeclaredRelationship, Listen, Log, Named, Queries, ServiceSettings,
    TableSettings,
};
pub use shape::json_schema;
pub use tls::{TlsOptions, TlsSettings};
