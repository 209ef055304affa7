//! A table's rows on their way in: batches of a scan become segments as they arrive.

use std::sync::Arc;

use arrow::array::RecordBatch;
use crossweave_contract::{TableDef, TableId, TableKind};

use crate::merge::{Gathered, into_runs};
use crate::run::Layout;
use crate::segment::SegmentIds;
use crate::table::TableWriter;

/// Why a table cannot be loaded into a cache.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// There is nothing by which to find a changed row.
    #[error("table {0} cannot be cached: expected a primary key or a unique key without NULLs, found none")]
    NoKey(TableId),
    /// A batch that is not of the table's schema.
    #[error("a batch loaded for table {table} does not fit it: {reason}")]
    Batch {
        /// The table.
        table: TableId,
        /// What was expected and what was found.
        reason: String,
    },
}

/// Collects the rows of one table, all read in one consistent view, for
/// [`ServiceWriter::install`](crate::ServiceWriter::install). Keeps each row once: the batches are copied into
/// segments and can be dropped.
pub struct TableLoad {
    layout: Arc<Layout>,
    ids: SegmentIds,
    gathered: Gathered,
    rows: usize,
}

impl std::fmt::Debug for TableLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableLoad").field("table", &self.layout.def.id).field("rows", &self.rows).finish()
    }
}

impl TableLoad {
    /// An empty load; a [`Loader`](crate::Loader) makes it.
    pub(crate) fn new(def: Arc<TableDef>, ids: SegmentIds) -> Result<Self, LoadError> {
        if def.key.is_empty() || def.kind == TableKind::View {
            return Err(LoadError::NoKey(def.id.clone()));
        }
        Ok(Self { layout: Arc::new(Layout::new(def)), ids, gathered: Gathered::default(), rows: 0 })
    }

    /// The definition that the rows are of.
    pub fn def(&self) -> &Arc<TableDef> {
        &self.layout.def
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends rows: all columns of the definition, in its order.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), LoadError> {
        let fail = |reason: String| LoadError::Batch { table: self.layout.def.id.clone(), reason };
        let expected: Vec<_> = self.layout.schema.fields().iter().map(|field| field.data_type()).collect();
        let schema = batch.schema();
        let found: Vec<_> = schema.fields().iter().map(|field| field.data_type()).collect();
        if expected != found {
            return Err(fail(format!("expected {expected:?}, found {found:?}")));
        }
        self.rows += batch.num_rows();
        self.gathered.add(batch.clone(), &self.layout, &self.ids).map_err(|error| fail(error.to_string()))
    }

    /// The table, indexed.
    pub(crate) fn finish(self) -> Result<TableWriter, LoadError> {
        let table = self.layout.def.id.clone();
        let segments = self.gathered.finish(&self.layout, &self.ids);
        let segments = segments.map_err(|error| LoadError::Batch { table, reason: error.to_string() })?;
        let runs = into_runs(&self.layout, segments);
        Ok(TableWriter::new(self.layout, self.ids, runs))
    }
}
