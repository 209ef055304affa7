//! Change log → cache: one task per source.

mod status;

pub use status::{ServiceStatus, TableState, TableStatus};
