//! The connector to MariaDB: what a service's tables are, what they hold now, and what changes in them.

mod capture;
mod check;
mod connection;
mod decode;
mod identifiers;
mod introspect;
mod options;
mod replicas;
mod scan;
mod source;
#[cfg(test)]
mod testing;
mod values;
mod view;
mod weights;
mod wire;

pub use capture::{CaptureLimits, MariaDbCapture};
pub use crossweave_contract::Secret;
pub use options::{Limits, Password, ReplicaOptions, SourceOptions, Tls};
pub use source::MariaDbSource;
pub use values::zero_dates_read;
