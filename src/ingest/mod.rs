//! Change log → cache: one task per source.
//!
//! A source's task owns the writers of its services' caches. A second task, capture, turns the source's binlog into
//! transactions and publishes them to the change log; the first subscribes to the log, applies, and publishes
//! snapshots. What flows between them is ordered by commit and at-least-once; a writer passes over what its
//! position contains.
//!
//! **From where does capture start?** From the log's end, if the log keeps anything. Else from the earliest position
//! of the services' checkpoints, else from the server's position before the first load's view was opened.
//!
//! **From where does a restart apply?** From the checkpoints: each has its position and the log's offset. If the
//! log no longer goes back there, or the binlog does not, the services are loaded anew, and say so.
//!
//! **What if a source's numbers go back, by `RESET MASTER`, say?** Then positions of before mean nothing any more. The
//! log says where it starts over; who stands before that entry loads anew, and its position starts over with the
//! new view. Who stands where is told by the log's offsets: a load stands where the log ended before its view was
//! opened. A reset whose new numbers have come past the old ones is seen by the transactions themselves; once it is seen
//! it is not forgotten, by no failure and no restart: see `capture`.
//!
//! **How are rows that are in both the first load and the stream not counted twice, and none lost between?** See
//! `load`: a view's position P is exact, the stream is captured by the view's definitions from before P on, and a
//! loaded table passes over what P contains.
//!
//! **What goes on while a table is loaded anew?** Transactions that the view contains are applied at once, later ones
//! are put off until the load is installed, up to a bound in bytes; then the stream waits. Where the table was altered,
//! readers keep the service's last snapshot until the stream has reached the view, and then see all tables change at
//! once. Where the load fails, the table leaves the snapshot and is tried again, and the others go on.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handle`, `status`, `board` | starting, looking at, stopping; what is known of each table |
//! | `source` | a source's task |
//! | `service` | one service in it |
//! | `wanted`, `load` | which tables with which definitions; reading them from a view |
//! | `capture` | the capture task |
//! | `known`, `proof` | whether what it reads is the binlog of before, and still the source's |
//! | `checkpoint` | storing snapshots |
//! | `direct` | the change log of one process |
//! | `retry` | waits between tries |

mod board;
mod capture;
mod checkpoint;
mod direct;
mod handle;
mod known;
mod load;
mod proof;
mod retry;
mod service;
mod source;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wanted;

pub use direct::DirectLog;
pub use handle::{CapturedSource, IngestHandle, IngestParts, IngestSettings};
pub use load::LoadLimits;
pub use retry::Backoff;
pub use status::{ServiceStatus, TableState, TableStatus};
