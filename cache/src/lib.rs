//! The caches: keyed Arrow tables of a service, kept at one position, read without locks.
//!
//! **Why can a reader never see half a transaction?** Because there is nothing half to see. One
//! [`ServiceWriter`] applies transactions to a state that no reader can reach; [`ServiceWriter::publish`], which
//! is only ever called between transactions, turns that state into an immutable [`ServiceSnapshot`] — all tables
//! of the service and the position they stand at — and puts it in place by exchanging one pointer
//! ([`ServiceCache::snapshot`] clones it). A reader keeps its snapshot for as long as it likes: what the writer
//! does afterwards goes to new segments and to copies of delete bits, never into memory that a snapshot holds.
//!
//! **Why is nothing lost or counted twice?** The writer knows its [`Position`](crossweave_contract::Position)
//! and skips what that contains; a transaction whose predecessor it has not seen is refused as a gap. A table
//! that is loaded anew from a view at P2 skips up to P2 by itself, and does not become visible before the others
//! have reached P2 as well (`service`).
//!
//! How a table is kept, in the order in which to read:
//!
//! | module | what it holds |
//! | --- | --- |
//! | `segment`, `bits` | immutable Arrow batches of up to 65,536 rows, and which of their rows are deleted |
//! | `key`, `index` | a key's bytes and hash; the hash table from keys to rows |
//! | `run`, `merge` | segments that share an index; keeping their number and their dead rows low |
//! | `tail` | the rows appended since the last publish |
//! | `table` | a table as its writer has it: find, delete, append |
//! | `snapshot` | what readers have |
//! | `cascade` | what the server did to referencing rows without logging it |
//! | `service` | a service's tables at one position: install, apply, publish |
//! | `persist` | checkpoints on disk |

mod bits;
mod cascade;
mod error;
mod index;
mod key;
mod load;
mod merge;
mod persist;
mod run;
mod segment;
mod service;
mod snapshot;
mod table;
mod tail;

#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::{ApplyError, InstallError, RowError};
pub use load::{LoadError, TableLoad};
pub use persist::{PersistError, Restored, Saved, ServiceStore, SourceFile, SourceFiles, StateDir};
pub use service::{Applied, Loader, Published, ServiceCache, ServiceWriter, TableHealth};
pub use snapshot::{Batches, RowId, SegmentRows, ServiceSnapshot, TableSnapshot};
