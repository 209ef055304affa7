//! The manifest: what a checkpoint consists of.

use crossweave_contract::{LogPlace, Position, ServiceName, SourceId, TableDef};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use twox_hash::XxHash3_64;

use super::PersistError;

/// The manifest's file name.
pub(crate) const MANIFEST: &str = "manifest";
/// Grows with every change that an older version cannot read.
pub(crate) const FORMAT: u32 = 2;
const MAGIC: &str = "crossweave-checkpoint";

/// A file of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    pub(crate) name: String,
    pub(crate) length: u64,
    /// XXH3 of its bytes.
    pub(crate) checksum: u64,
}

impl FileRef {
    pub(crate) fn of(name: String, bytes: &[u8]) -> Self {
        Self { name, length: bytes.len() as u64, checksum: XxHash3_64::oneshot(bytes) }
    }

    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        self.length == bytes.len() as u64 && self.checksum == XxHash3_64::oneshot(bytes)
    }
}

/// A segment, and where its delete bits are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SegmentRef {
    pub(crate) id: u64,
    pub(crate) file: FileRef,
    /// First word in the file of delete bits; `None` if no row is deleted.
    pub(crate) deletes: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TableRef {
    pub(crate) def: Arc<TableDef>,
    /// Live rows, to be counted again.
    pub(crate) rows: usize,
    pub(crate) segments: Vec<SegmentRef>,
    pub(crate) small: Vec<FileRef>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) service: ServiceName,
    pub(crate) source: SourceId,
    /// Counts the checkpoints; part of the names of files that belong to one of them only.
    pub(crate) checkpoint: u64,
    pub(crate) position: Position,
    pub(crate) log_place: Option<LogPlace>,
    /// µs since the epoch.
    pub(crate) current_at: u64,
    pub(crate) deletes: Option<FileRef>,
    pub(crate) tables: Vec<TableRef>,
}

impl Manifest {
    /// The names of all files of the checkpoint.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileRef> {
        let tables = self.tables.iter();
        let of_tables = tables.flat_map(|table| table.segments.iter().map(|s| &s.file).chain(&table.small));
        of_tables.chain(&self.deletes)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = format!("{MAGIC} {FORMAT} {:016x}\n", XxHash3_64::oneshot(&json)).into_bytes();
        bytes.extend(json);
        Ok(bytes)
    }

    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, PersistError> {
        let damaged = |reason: String| PersistError::Damaged { path: path.to_owned(), reason };
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| damaged("it has no first line".to_owned()))?;
        let line = String::from_utf8_lossy(&bytes[..end]);
        let parts: Vec<&str> = line.split(' ').collect();
        let [MAGIC, format, checksum] = parts.as_slice() else {
            return Err(damaged(format!("expected a first line with {MAGIC}, found {line:?}")));
        };
        let found = format.parse().map_err(|_| damaged(format!("{format:?} is no format number")))?;
        if found != FORMAT {
            return Err(PersistError::Format { path: path.to_owned(), found, supported: FORMAT });
        }
        let json = &bytes[end + 1..];
        let actual = format!("{:016x}", XxHash3_64::oneshot(json));
        if actual != *checksum {
            return Err(damaged(format!("expected the checksum {checksum}, found {actual}")));
        }
        serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))
    }
}
