//! The connector to MariaDB: what a service's tables are, what they hold now, and what changes in them.

mod options;

pub use options::{Secret, SourceOptions};
