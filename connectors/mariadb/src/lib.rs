//! The connector to MariaDB: what a service's tables are, what they hold now, and what changes in them.

mod capture;
mod options;
#[cfg(test)]
mod testing;
mod values;

pub use capture::{CaptureLimits, MariaDbCapture};
pub use crossweave_contract::Secret;
pub use options::SourceOptions;
pub use values::zero_dates_read;
