//! Reading a checkpoint into a service's writer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;

use super::PersistError;
use super::ipc::decode;
use super::manifest::{FileRef, MANIFEST, Manifest, TableRef};
use super::state_dir::ServiceStore;
use crate::bits::DeleteBits;
use crate::run::{Layout, RUN_ROWS, Run};
use crate::segment::{SEGMENT_ROWS, Segment, SegmentView};
use crate::service::ServiceWriter;
use crate::table::TableWriter;

/// What [`ServiceStore::restore`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// There is no checkpoint: the first start.
    Nothing,
    /// The writer stands where the checkpoint was, with this many tables; publish to make them visible.
    Tables(usize),
}

impl ServiceStore {
    /// Brings `writer`, which has nothing installed yet, to the last checkpoint. If that cannot be read, says why
    /// and leaves the writer as it is.
    pub fn restore(&mut self, writer: &mut ServiceWriter) -> Result<Restored, PersistError> {
        let Some(bytes) = self.disk.read(MANIFEST)? else { return Ok(Restored::Nothing) };
        let path = self.disk.path(MANIFEST);
        let manifest = Manifest::from_bytes(&bytes, &path)?;
        if manifest.source != self.source {
            let (found, expected) = (manifest.source, self.source.clone());
            return Err(PersistError::OtherSource { path, found, expected });
        }
        if manifest.service != self.service {
            let reason = format!("expected the service {}, found {}", self.service, manifest.service);
            return Err(PersistError::Damaged { path, reason });
        }
        let deletes = match &manifest.deletes {
            Some(file) => words(&self.read(file)?),
            None => Vec::new(),
        };
        let mut written = HashMap::new();
        for segment in manifest.tables.iter().flat_map(|table| &table.segments) {
            writer.ids.skip(segment.id);
            written.insert(segment.id, segment.file.clone());
        }
        let tables = manifest.tables.iter().map(|table| self.table(table, &deletes, writer));
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        let restored = Restored::Tables(tables.len());
        let current_at = SystemTime::UNIX_EPOCH + Duration::from_micros(manifest.current_at);
        writer.resume(manifest.position, manifest.log_place, current_at);
        for table in tables {
            writer.put_restored(table);
        }
        self.checkpoint = manifest.checkpoint;
        self.written = written;
        Ok(restored)
    }

    fn read(&self, file: &FileRef) -> Result<Vec<u8>, PersistError> {
        let bytes = self.disk.read(&file.name)?;
        let bytes = bytes.ok_or_else(|| self.damaged(&file.name, "it is missing"))?;
        if !file.matches(&bytes) {
            let reason = format!("expected {} bytes with the checksum {:016x}", file.length, file.checksum);
            return Err(self.damaged(&file.name, &reason));
        }
        Ok(bytes)
    }

    fn damaged(&self, name: &str, reason: &str) -> PersistError {
        let path: PathBuf = self.disk.path(name);
        PersistError::Damaged { path, reason: reason.to_owned() }
    }

    fn batch(&self, file: &FileRef, layout: &Layout) -> Result<RecordBatch, PersistError> {
        let batch = decode(self.read(file)?, &layout.schema);
        let batch = batch.map_err(|error| self.damaged(&file.name, &error.to_string()))?;
        if batch.num_rows() > SEGMENT_ROWS {
            return Err(self.damaged(&file.name, "it has too many rows"));
        }
        Ok(batch)
    }

    fn table(
        &self,
        table: &TableRef,
        deletes: &[u64],
        writer: &ServiceWriter,
    ) -> Result<TableWriter, PersistError> {
        let layout = Arc::new(Layout::new(Arc::clone(&table.def)));
        let mut views = Vec::with_capacity(table.segments.len() + table.small.len());
        for segment in &table.segments {
            let batch = self.batch(&segment.file, &layout)?;
            let rows = batch.num_rows();
            let deleted = match segment.deletes {
                None => None,
                Some(start) => {
                    let words = deletes.get(start..start + rows.div_ceil(64)).map(Box::from);
                    let bits = words.and_then(|words| DeleteBits::from_words(words, rows));
                    let bits =
                        bits.ok_or_else(|| self.damaged(&segment.file.name, "its delete bits are lost"))?;
                    Some(Arc::new(bits))
                }
            };
            views.push(SegmentView { segment: Arc::new(Segment::new(segment.id, batch)), deleted });
        }
        for file in &table.small {
            let batch = self.batch(file, &layout)?;
            views.push(SegmentView::whole(Arc::new(Segment::new(writer.ids.next(), batch))));
        }
        let found: usize = views.iter().map(SegmentView::live_rows).sum();
        if found != table.rows {
            let reason = format!("expected {} rows of {}, found {found}", table.rows, table.def.id);
            return Err(self.damaged(MANIFEST, &reason));
        }
        let chunks = views.chunks(RUN_ROWS / SEGMENT_ROWS);
        let runs = chunks.map(|chunk| Arc::new(Run::of_segments(&layout, chunk.to_vec())));
        let runs = runs.collect();
        Ok(TableWriter::new(layout, writer.ids.clone(), runs))
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
