//! What there is to query: services, tables, keys and relationships, as found on the servers.
//!
//! A [`Catalog`] is immutable; discovery and schema changes replace the whole of it under a new epoch
//! ([`CatalogHandle`]), so a query plans against one state of it from beginning to end. [`Discovery`] asks the
//! servers, holds what they say against the config, and asks again: those that are down, and all of them now and
//! then, for live tables change without a word.

mod discovery;
mod handle;
mod model;
mod names;
mod relationships;
mod service;
#[cfg(test)]
mod tests;
mod weights;

pub use discovery::Discovery;
pub use handle::CatalogHandle;
pub use model::{Catalog, Relationship, Service, Table, TableMode};
pub use names::nearest;
pub(crate) use service::live_only;
