//! Checkpoints: a service's snapshot on disk, from which a restart goes on.
//!
//! **Why can a crash never leave a mixture?** Files are written once, under names that the valid checkpoint does
//! not use, and made durable before the manifest that names them takes the place of the old one by a rename. Until
//! then the old checkpoint is whole, from then on the new one; files that only the old one used are removed last.
//!
//! **Why can a damaged checkpoint never give wrong rows?** Every file's length and checksum are in the manifest,
//! the manifest's own checksum in its first line. What does not match is an error, and the service is loaded anew.
//!
//! In the state directory:
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lock` | locked while a process uses the directory |
//! | `services/<name>/manifest` | format, checksum; then as JSON the position, the tables and their files |
//! | `services/<name>/segment-<id>.arrow` | one segment (Arrow IPC), shared by all checkpoints since it was made |
//! | `services/<name>/small-<checkpoint>-<n>.arrow` | the live rows of small segments, which are soon merged |
//! | `services/<name>/deletes-<checkpoint>` | the delete bits of all segments |
//! | `sources/<name>/must-start-over` | there while the source's change log is still to start over; why |

mod disk;
mod ipc;
mod manifest;
mod restore;
mod save;
mod state_dir;
#[cfg(test)]
mod tests;

pub use restore::Restored;
pub use save::Saved;
pub use state_dir::{PersistError, ServiceStore, SourceFile, SourceFiles, StateDir};
