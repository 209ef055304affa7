//! What readers have: a service's tables at one position, immutable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use crossweave_contract::{LogPlace, Position, Row, ServiceName, TableDef, ValueRef, row_values};

use crate::index::Place;
use crate::key::hash;
use crate::run::{Layout, Run};
use crate::segment::{SegmentView, gather};

/// All tables of a service at one transaction boundary (I1). Cloning the `Arc` that holds it is all a reader
/// does; nothing that happens afterwards is seen through it.
#[derive(Debug, Clone)]
pub struct ServiceSnapshot {
    pub(crate) service: ServiceName,
    pub(crate) position: Position,
    pub(crate) log_place: Option<LogPlace>,
    pub(crate) current_at: SystemTime,
    pub(crate) tables: Arc<BTreeMap<Arc<str>, Arc<TableSnapshot>>>,
    pub(crate) shadows: Arc<Vec<Arc<TableSnapshot>>>,
    pub(crate) absent: Arc<BTreeMap<Arc<str>, String>>,
}

impl ServiceSnapshot {
    /// Whose.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Of every table in it: each equals `SELECT *` at this position (I2).
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The place of that position in the change log, where the log has places.
    pub fn log_place(&self) -> Option<LogPlace> {
        self.log_place
    }

    /// The last instant at which this position was known to be the source's own.
    pub fn current_at(&self) -> SystemTime {
        self.current_at
    }

    /// How long ago that was: what is stated as the age of an answer.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.current_at).unwrap_or_default()
    }

    /// The table `name`, in the server's spelling; `None` if it is not cached, not loaded yet or stopped.
    pub fn table(&self, name: &str) -> Option<&Arc<TableSnapshot>> {
        self.tables.get(name)
    }

    /// All tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<TableSnapshot>)> {
        self.tables.iter()
    }

    /// Why a table that should be here is not (I7).
    pub fn why_absent(&self, name: &str) -> Option<&str> {
        self.absent.get(name).map(String::as_str)
    }
}

/// A row of a [`TableSnapshot`]; means nothing to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId {
    run: usize,
    place: Place,
}

/// One table, immutable.
#[derive(Debug)]
pub struct TableSnapshot {
    layout: Arc<Layout>,
    runs: Vec<Arc<Run>>,
    rows: usize,
    bytes: usize,
}

impl TableSnapshot {
    pub(crate) fn new(layout: Arc<Layout>, runs: Vec<Arc<Run>>) -> Self {
        let rows = runs.iter().map(|run| run.live_rows()).sum();
        let bytes = runs.iter().map(|run| run.bytes()).sum();
        Self { layout, runs, rows, bytes }
    }

    /// The definition that the rows are of. It may be older than the catalog's.
    pub fn def(&self) -> &Arc<TableDef> {
        &self.layout.def
    }

    /// The schema of all columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.layout.schema
    }

    /// Number of rows, exact.
    pub fn num_rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory of rows, delete bits and indexes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of segments: the unit in which a scan is split.
    pub fn num_segments(&self) -> usize {
        self.runs.iter().map(|run| run.segments().count()).sum()
    }

    /// At most `count` ranges of segments with about as many rows each, for [`segment`](Self::segment).
    /// Together they are the whole table; none is empty.
    pub fn partitions(&self, count: usize) -> Vec<Range<usize>> {
        let each = self.rows.div_ceil(count.max(1));
        let (mut ranges, mut start, mut rows) = (Vec::new(), 0, 0);
        for (number, view) in self.views().enumerate() {
            rows += view.live_rows();
            if rows >= each * (ranges.len() + 1) {
                ranges.push(start..number + 1);
                start = number + 1;
            }
        }
        let segments = self.num_segments();
        match ranges.last_mut() {
            Some(last) => last.end = segments,
            None if segments > 0 => ranges.push(0..segments),
            None => {}
        }
        ranges
    }

    /// The rows, all columns or those of `projection`, by index and in its order; it may be empty, only the
    /// batches' numbers of rows count then. Batches have at most 65,536 rows and are never empty; nothing is copied
    /// but of segments with deleted rows.
    pub fn batches<'a>(&'a self, projection: Option<&'a [usize]>) -> Batches<'a> {
        self.batches_of(0..usize::MAX, projection)
    }

    /// As [`batches`](Self::batches), of the segments in `range`.
    pub(crate) fn batches_of<'a>(
        &'a self,
        range: Range<usize>,
        projection: Option<&'a [usize]>,
    ) -> Batches<'a> {
        let views = self.views().skip(range.start).take(range.end - range.start);
        Batches { views: Box::new(views), projection }
    }

    /// The columns of `projection` of the segment `number`; `None` past the last one.
    ///
    /// # Errors
    ///
    /// If there is no such column.
    pub fn segment(&self, number: usize, projection: &[usize]) -> Option<Result<SegmentRows<'_>, ArrowError>> {
        let view = self.views().nth(number)?;
        Some(view.stored_batch(Some(projection)).map(|stored| SegmentRows { stored, view }))
    }

    /// The row whose key has these values, in the order of the definition's key, compared by bytes: a text key
    /// under a collation that ignores case is found in the spelling that is stored only.
    pub fn lookup<'a>(&self, key: impl IntoIterator<Item = ValueRef<'a>>) -> Option<RowId> {
        let (mut encoded, mut scratch) = (Vec::new(), Vec::new());
        if !self.layout.key.encode(key, &mut encoded) {
            return None;
        }
        let hash = hash(&encoded);
        self.runs.iter().enumerate().find_map(|(run, rows)| {
            let place = rows.find(&self.layout, hash, &encoded, &mut scratch)?;
            Some(RowId { run, place })
        })
    }

    /// The rows `ids` of [`lookup`](Self::lookup), in that order, as one batch.
    pub fn rows(&self, ids: &[RowId], projection: Option<&[usize]>) -> Result<RecordBatch, ArrowError> {
        let schema = match projection {
            Some(columns) => Arc::new(self.layout.schema.project(columns)?),
            None => Arc::clone(&self.layout.schema),
        };
        if ids.is_empty() {
            return Ok(RecordBatch::new_empty(schema));
        }
        if schema.fields().is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
            return RecordBatch::try_new_with_options(schema, Vec::new(), &options);
        }
        let mut parts = Vec::with_capacity(ids.len());
        for of_segment in ids.chunk_by(|a, b| a.run == b.run && a.place.segment() == b.place.segment()) {
            let Some(view) = self.view(of_segment[0]) else { continue };
            let rows: UInt32Array = of_segment.iter().map(|id| Some(id.place.row() as u32)).collect();
            let batch = match projection {
                Some(columns) => view.segment.batch.project(columns)?,
                None => view.segment.batch.clone(),
            };
            parts.push(take_record_batch(&batch, &rows)?);
        }
        gather(&schema, &parts)
    }

    /// One row's values, in the order of the definition's columns.
    pub fn values(&self, id: RowId) -> Option<Row> {
        let view = self.view(id)?;
        Some(row_values(&self.layout.def, &view.segment.batch, id.place.row()))
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = &SegmentView> {
        self.runs.iter().flat_map(|run| run.segments().map(|(_, view)| view))
    }

    fn view(&self, id: RowId) -> Option<&SegmentView> {
        self.runs.get(id.run)?.segment(id.place.segment())
    }
}

/// One segment.
#[derive(Debug)]
pub struct SegmentRows<'a> {
    /// Its rows as they are stored, deleted ones among them.
    pub stored: RecordBatch,
    view: &'a SegmentView,
}

impl SegmentRows<'_> {
    /// The rows that are not deleted; they share the buffers of texts with what is stored, and all where nothing is
    /// deleted.
    pub fn live(self) -> Result<RecordBatch, ArrowError> {
        self.view.live_of(self.stored)
    }
}

/// The batches of a scan.
pub struct Batches<'a> {
    views: Box<dyn Iterator<Item = &'a SegmentView> + Send + 'a>,
    projection: Option<&'a [usize]>,
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.views.next().map(|view| view.live_batch(self.projection))
    }
}

impl std::fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("projection", &self.projection).finish_non_exhaustive()
    }
}
