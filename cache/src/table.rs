//! A table as its writer has it: runs that snapshots may share, and the tail that none has seen.

use std::sync::Arc;

use crossweave_contract::{Row, TableDef, Value, row_values};

use crate::error::RowError;
use crate::index::Place;
use crate::key::{hash, show};
use crate::merge::maintain;
use crate::run::{Layout, Run};
use crate::segment::{SEGMENT_ROWS, SegmentIds};
use crate::snapshot::TableSnapshot;
use crate::tail::{NewRow, Tail};

/// Dead rows may make up a fifth, so a publish has to move up to four live rows for each that died.
const MOVES_PER_APPEND: usize = 6;

enum Found {
    Tail(u32),
    Run(usize, Place),
}

/// One table, changed row by row and frozen into snapshots.
#[derive(Debug)]
pub(crate) struct TableWriter {
    layout: Arc<Layout>,
    ids: SegmentIds,
    runs: Vec<Arc<Run>>,
    tail: Tail,
    /// Appended since the last maintenance.
    appended: usize,
    /// The last snapshot, while nothing was changed since.
    snapshot: Option<Arc<TableSnapshot>>,
    encoded: Vec<u8>,
    scratch: Vec<u8>,
}

impl TableWriter {
    pub(crate) fn new(layout: Arc<Layout>, ids: SegmentIds, runs: Vec<Arc<Run>>) -> Self {
        Self {
            layout,
            ids,
            runs,
            tail: Tail::default(),
            appended: 0,
            snapshot: None,
            encoded: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.layout.def
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Appends a row whose key must not exist.
    pub(crate) fn insert(&mut self, row: NewRow) -> Result<(), RowError> {
        self.check_width(row.values())?;
        let hash = self.encode_key(row.values());
        if self.find(hash).is_some() {
            return Err(RowError::Exists { key: show(&self.layout.key, row.values()) });
        }
        self.append(row, hash)
    }

    /// Deletes the row with the key of `before`.
    pub(crate) fn delete(&mut self, before: &[Value]) -> Result<(), RowError> {
        self.check_width(before)?;
        let hash = self.encode_key(before);
        let found = self.find(hash);
        let found = found.ok_or_else(|| RowError::Missing { key: show(&self.layout.key, before) })?;
        self.remove(found);
        Ok(())
    }

    /// Replaces the row with the key of `before`; the new row's key may be another.
    pub(crate) fn update(&mut self, before: &[Value], after: NewRow) -> Result<(), RowError> {
        self.check_width(after.values())?;
        self.delete(before)?;
        let old_key = std::mem::take(&mut self.encoded);
        let hash = self.encode_key(after.values());
        let moved = old_key != self.encoded;
        if moved && self.find(hash).is_some() {
            return Err(RowError::Exists { key: show(&self.layout.key, after.values()) });
        }
        self.append(after, hash)
    }

    /// The rows whose foreign key `reference` refers to the values that `encoded` holds.
    pub(crate) fn referencing(&mut self, reference: usize, encoded: &[u8]) -> Vec<Row> {
        let wanted = hash(encoded);
        let (layout, scratch) = (&self.layout, &mut self.scratch);
        let tail = self.tail.find_references(layout, reference, wanted, encoded, scratch);
        let mut rows: Vec<Row> = tail.into_iter().map(|number| self.tail.values(number).into()).collect();
        for run in &self.runs {
            for place in run.find_references(layout, reference, wanted, encoded, scratch) {
                if let Some(view) = run.segment(place.segment()) {
                    rows.push(row_values(&layout.def, &view.segment.batch, place.row()));
                }
            }
        }
        rows
    }

    /// Freezes what was appended and does what maintenance is due; then the state as readers see it.
    pub(crate) fn snapshot(&mut self) -> Result<Arc<TableSnapshot>, RowError> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(Arc::clone(snapshot));
        }
        self.freeze()?;
        let snapshot = Arc::new(TableSnapshot::new(Arc::clone(&self.layout), self.runs.clone()));
        self.snapshot = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn freeze(&mut self) -> Result<(), RowError> {
        if !self.tail.is_empty() {
            self.runs.extend(self.tail.freeze(&self.layout, &self.ids)?.map(Arc::new));
        }
        let budget = SEGMENT_ROWS.max(MOVES_PER_APPEND * self.appended);
        self.appended = 0;
        maintain(&mut self.runs, &self.layout, &self.ids, budget)
            .map_err(|error| RowError::Value(error.to_string()))
    }

    fn check_width(&self, row: &[Value]) -> Result<(), RowError> {
        let (expected, found) = (self.layout.def.columns.len(), row.len());
        if expected == found { Ok(()) } else { Err(RowError::Width { expected, found }) }
    }

    fn encode_key(&mut self, row: &[Value]) -> u32 {
        self.layout.key.encode_row(row, &mut self.encoded);
        hash(&self.encoded)
    }

    /// The live row with the key in `self.encoded`.
    fn find(&mut self, hash: u32) -> Option<Found> {
        let (layout, encoded, scratch) = (&self.layout, &self.encoded, &mut self.scratch);
        if let Some(number) = self.tail.find(layout, hash, encoded, scratch) {
            return Some(Found::Tail(number));
        }
        self.runs
            .iter()
            .enumerate()
            .find_map(|(run, segments)| Some(Found::Run(run, segments.find(layout, hash, encoded, scratch)?)))
    }

    fn remove(&mut self, found: Found) {
        self.snapshot = None;
        match found {
            Found::Tail(number) => self.tail.delete(number),
            Found::Run(run, place) => Arc::make_mut(&mut self.runs[run]).delete(place),
        }
    }

    fn append(&mut self, row: NewRow, hash: u32) -> Result<(), RowError> {
        self.snapshot = None;
        if self.tail.is_full() {
            self.freeze()?;
        }
        self.tail.push(row, hash);
        self.appended += 1;
        Ok(())
    }
}
