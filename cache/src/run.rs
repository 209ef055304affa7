//! Runs: segments that share one index.
//!
//! A table is a short list of runs (`merge` keeps it short), so a key is looked up in a few hash tables. A run's
//! index is never changed; when a segment of it is moved elsewhere, its entries stay behind and lead to nothing.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use crossweave_contract::TableDef;

use crate::index::{Place, PlaceIndex};
use crate::key::KeyColumns;
use crate::segment::{Segment, SegmentView};

/// The most rows a run has: 64 full segments, for whose index a rebuild takes about 60 ms.
pub(crate) const RUN_ROWS: usize = 1 << 22;

/// What does not change while a table keeps its definition.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) def: Arc<TableDef>,
    pub(crate) schema: SchemaRef,
    pub(crate) key: KeyColumns,
    /// For each foreign key of the definition by which the server may change rows of this table: its referencing
    /// columns.
    pub(crate) references: Vec<Option<KeyColumns>>,
}

impl Layout {
    pub(crate) fn new(def: Arc<TableDef>) -> Self {
        let reference = |foreign_key: &crossweave_contract::ForeignKey| {
            if !foreign_key.acts() {
                return None;
            }
            let columns: Option<Vec<usize>> =
                foreign_key.columns.iter().map(|name| def.column_index(name)).collect();
            columns.map(|columns| KeyColumns::reference(&def, columns))
        };
        let references = def.foreign_keys.iter().map(reference).collect();
        Self { schema: def.schema(), key: KeyColumns::key_of(&def), references, def }
    }
}

/// A run's indexes.
#[derive(Debug)]
struct RunIndex {
    key: PlaceIndex,
    /// By foreign key, built when a cascade first needs it.
    references: Box<[OnceLock<PlaceIndex>]>,
}

/// A run as of one state of its table. Cloning it copies no rows.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    index: Arc<RunIndex>,
    /// `None` where a segment has no live row left or was moved to another run.
    segments: Vec<Option<SegmentView>>,
    live: usize,
}

impl Run {
    /// A run of `segments`, whose keys are indexed by `key`; `references` has the indexes of foreign keys that
    /// are known already.
    pub(crate) fn new(
        segments: Vec<SegmentView>,
        key: PlaceIndex,
        references: Vec<Option<PlaceIndex>>,
    ) -> Self {
        let live = segments.iter().map(SegmentView::live_rows).sum();
        let references = references.into_iter().map(|index| {
            let cell = OnceLock::new();
            if let Some(index) = index {
                let _ = cell.set(index);
            }
            cell
        });
        let index = RunIndex { key, references: references.collect() };
        Self { index: Arc::new(index), segments: segments.into_iter().map(Some).collect(), live }
    }

    /// A run of segments that were not indexed before.
    pub(crate) fn of_segments(layout: &Layout, segments: Vec<SegmentView>) -> Self {
        let count = segments.iter().map(|view| view.segment.rows()).sum();
        let key = PlaceIndex::build(entries(&layout.key, segments.iter().enumerate()), count);
        Self::new(segments, key, layout.references.iter().map(|_| None).collect())
    }

    pub(crate) fn live_rows(&self) -> usize {
        self.live
    }

    /// The segments with live rows, each with its number in the run.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (usize, &SegmentView)> {
        self.segments.iter().enumerate().filter_map(|(number, view)| Some((number, view.as_ref()?)))
    }

    pub(crate) fn segment(&self, number: usize) -> Option<&SegmentView> {
        self.segments.get(number)?.as_ref()
    }

    /// Number of segments, those without live rows included.
    pub(crate) fn slots(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn key_index(&self) -> &PlaceIndex {
        &self.index.key
    }

    /// The index of the foreign key `number`, if it was built.
    pub(crate) fn built_reference(&self, number: usize) -> Option<&PlaceIndex> {
        self.index.references.get(number)?.get()
    }

    /// Bytes of segments, delete bits and indexes.
    pub(crate) fn bytes(&self) -> usize {
        let segments: usize = self.segments().map(|(_, view)| view.bytes()).sum();
        let references = self.index.references.iter().filter_map(OnceLock::get);
        segments + self.index.key.bytes() + references.map(PlaceIndex::bytes).sum::<usize>()
    }

    /// The live row whose key is `encoded`.
    pub(crate) fn find(
        &self,
        layout: &Layout,
        hash: u32,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<Place> {
        self.index.key.find(hash).find(|place| self.matches(&layout.key, *place, encoded, scratch))
    }

    /// The live rows whose foreign key `number` refers to `encoded`.
    pub(crate) fn find_references(
        &self,
        layout: &Layout,
        number: usize,
        hash: u32,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Vec<Place> {
        let Some(columns) = &layout.references[number] else { return Vec::new() };
        let index = self.index.references[number].get_or_init(|| {
            let count = self.segments().map(|(_, view)| view.segment.rows()).sum();
            PlaceIndex::build(entries(columns, self.segments()), count)
        });
        index.find(hash).filter(|place| self.matches(columns, *place, encoded, scratch)).collect()
    }

    fn matches(&self, columns: &KeyColumns, place: Place, encoded: &[u8], scratch: &mut Vec<u8>) -> bool {
        let Some(view) = self.segment(place.segment()) else { return false };
        if !view.is_live(place.row()) {
            return false;
        }
        columns.encode_stored(&view.segment.batch, place.row(), scratch);
        scratch.as_slice() == encoded
    }

    /// Deletes the live row at `place`.
    pub(crate) fn delete(&mut self, place: Place) {
        let Some(slot) = self.segments.get_mut(place.segment()) else { return };
        let Some(view) = slot.as_mut() else { return };
        self.live -= usize::from(view.delete(place.row()));
        if view.live_rows() == 0 {
            *slot = None;
        }
    }

    /// Takes a segment out, to be stored in another run.
    pub(crate) fn take(&mut self, number: usize) -> Option<SegmentView> {
        let view = self.segments.get_mut(number)?.take()?;
        self.live -= view.live_rows();
        Some(view)
    }
}

/// The index entries of all rows of `segments`.
fn entries<'a>(
    columns: &'a KeyColumns,
    segments: impl Iterator<Item = (usize, &'a SegmentView)> + 'a,
) -> impl Iterator<Item = (u32, Place)> + 'a {
    segments.flat_map(|(number, view)| {
        let hashes = columns.hashes(&view.segment.batch);
        hashes.into_iter().enumerate().map(move |(row, hash)| (hash, Place::new(number, row)))
    })
}

/// A segment of `batch`, all rows live.
pub(crate) fn segment_view(id: u64, batch: arrow::array::RecordBatch) -> SegmentView {
    SegmentView::whole(Arc::new(Segment::new(id, batch)))
}
