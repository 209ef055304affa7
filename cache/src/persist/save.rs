//! Writing a checkpoint of a snapshot.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::PersistError;
use super::ipc::encode;
use super::manifest::{FileRef, MANIFEST, Manifest, SegmentRef, TableRef};
use super::state_dir::ServiceStore;
use crate::merge::Gathered;
use crate::segment::SegmentIds;
use crate::snapshot::{ServiceSnapshot, TableSnapshot};

/// Segments of fewer rows are merged soon: writing a file for each would be in vain.
const WORTH_A_FILE: usize = 1 << 14;

/// What a checkpoint took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Files that were written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl ServiceStore {
    /// Writes a checkpoint of `snapshot` and removes what only the last one used. It blocks on the disk, but not
    /// the service's writer: a snapshot does not change. If it fails, the last checkpoint is still valid.
    pub fn save(&mut self, snapshot: &ServiceSnapshot) -> Result<Saved, PersistError> {
        let mut saving = Saving {
            checkpoint: self.checkpoint + 1,
            deletes: Vec::new(),
            small: 0,
            written: HashMap::new(),
            saved: Saved::default(),
        };
        let tables = snapshot.tables().map(|(_, table)| table).chain(snapshot.shadows.iter());
        let tables = tables.map(|table| saving.table(self, table)).collect::<Result<Vec<_>, _>>()?;
        let deletes = saving.write_deletes(self)?;
        let manifest = Manifest {
            service: self.service.clone(),
            source: self.source.clone(),
            checkpoint: saving.checkpoint,
            position: snapshot.position().clone(),
            log_place: snapshot.log_place(),
            current_at: micros(snapshot.current_at()),
            deletes,
            tables,
        };
        let path = self.disk.path(MANIFEST);
        let bytes = manifest.to_bytes();
        let bytes = bytes.map_err(|error| PersistError::Encode { path, error: error.to_string() })?;
        self.disk.replace(MANIFEST, &bytes)?;
        saving.count(&bytes);
        self.checkpoint = saving.checkpoint;
        self.written = saving.written;
        self.remove_unused(&manifest);
        Ok(saving.saved)
    }

    /// Removes the last checkpoint, whose position means nothing any more: a restart is not to go on from it.
    pub fn forget(&mut self) -> Result<(), PersistError> {
        self.written.clear();
        self.disk.sweep(|name| name != MANIFEST)?;
        self.disk.sweep(|_| false)?;
        self.disk.sync()
    }

    /// A file that cannot be removed is no harm to the checkpoint; the next one tries again.
    fn remove_unused(&self, manifest: &Manifest) {
        let used: HashSet<&str> = manifest.files().map(|file| file.name.as_str()).collect();
        if let Err(error) = self.disk.sweep(|name| name == MANIFEST || used.contains(name)) {
            tracing::warn!(service = %self.service, %error, "an old checkpoint's file stays");
        }
    }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// One checkpoint being written.
struct Saving {
    checkpoint: u64,
    deletes: Vec<u64>,
    small: usize,
    written: HashMap<u64, FileRef>,
    saved: Saved,
}

impl Saving {
    fn count(&mut self, bytes: &[u8]) {
        self.saved.files += 1;
        self.saved.bytes += bytes.len() as u64;
    }

    fn write(&mut self, store: &ServiceStore, name: String, bytes: &[u8]) -> Result<FileRef, PersistError> {
        store.disk.write(&name, bytes)?;
        self.count(bytes);
        Ok(FileRef::of(name, bytes))
    }

    fn write_batch(
        &mut self,
        store: &ServiceStore,
        name: String,
        batch: &arrow::array::RecordBatch,
    ) -> Result<FileRef, PersistError> {
        let fail = |error: arrow::error::ArrowError| PersistError::Encode {
            path: store.disk.path(&name),
            error: error.to_string(),
        };
        let bytes = encode(batch).map_err(fail)?;
        self.write(store, name, &bytes)
    }

    fn table(&mut self, store: &ServiceStore, table: &TableSnapshot) -> Result<TableRef, PersistError> {
        let fail = |error: arrow::error::ArrowError| PersistError::Encode {
            path: store.disk.path(&table.def().id.table),
            error: error.to_string(),
        };
        let ids = SegmentIds::default();
        let mut gathered = Gathered::default();
        let mut segments = Vec::new();
        for view in table.views() {
            if view.segment.rows() < WORTH_A_FILE {
                let batch = view.live_batch(None).map_err(fail)?;
                gathered.add(batch, table.layout(), &ids).map_err(fail)?;
                continue;
            }
            let id = view.segment.id;
            let file = match store.written.get(&id) {
                Some(file) => file.clone(),
                None => self.write_batch(store, format!("segment-{id}.arrow"), &view.segment.batch)?,
            };
            self.written.insert(id, file.clone());
            let deletes = view.deleted.as_ref().map(|bits| {
                self.deletes.extend_from_slice(bits.words());
                self.deletes.len() - bits.words().len()
            });
            segments.push(SegmentRef { id, file, deletes });
        }
        let mut small = Vec::new();
        for view in gathered.finish(table.layout(), &ids).map_err(fail)? {
            let name = format!("small-{}-{}.arrow", self.checkpoint, self.small);
            self.small += 1;
            small.push(self.write_batch(store, name, &view.segment.batch)?);
        }
        Ok(TableRef { def: table.def().clone(), rows: table.num_rows(), segments, small })
    }

    fn write_deletes(&mut self, store: &ServiceStore) -> Result<Option<FileRef>, PersistError> {
        if self.deletes.is_empty() {
            return Ok(None);
        }
        let bytes: Vec<u8> = self.deletes.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(store, format!("deletes-{}", self.checkpoint), &bytes).map(Some)
    }
}
