//! What federation needs of the caches: a service's tables at one position, and their rows.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossweave_contract::{Position, Result, ServiceName, TableDef, TableId};

/// Gives the caches' newest snapshots.
pub trait Snapshots: Debug + Send + Sync {
    /// The newest snapshot of `service`; `None` before its first table is loaded. What it holds never changes.
    fn pin(&self, service: &ServiceName) -> Option<Arc<dyn CachedService>>;

    /// Why `table`, which is declared cached, is in no snapshot: it is being loaded, or was stopped.
    fn reason_absent(&self, table: &TableId) -> Option<String>;
}

/// One service's cached tables at one position (I1).
pub trait CachedService: Debug + Send + Sync {
    /// The position of what all its tables show.
    fn position(&self) -> &Position;

    /// How long ago, at this moment, that position was known to be current.
    fn age(&self) -> Option<Duration>;

    /// The table `table`, in the server's spelling; `None` if it is not loaded or has left the snapshot.
    fn table(&self, table: &str) -> Option<Arc<dyn CachedRows>>;
}

/// One cached table's rows, as of a snapshot.
pub trait CachedRows: Debug + Send + Sync {
    /// The definition that the rows have.
    fn def(&self) -> &Arc<TableDef>;

    /// How many rows there are, exactly.
    fn rows(&self) -> usize;

    /// How many parts can be read one beside the other.
    fn parts(&self) -> usize;

    /// An upper bound of the rows of part `part`, for spreading parts evenly.
    fn part_rows(&self, part: usize) -> usize;

    /// The live rows of part `part`: batches with exactly `columns` (indices into the definition), in that order.
    fn read(
        &self,
        part: usize,
        columns: &[usize],
    ) -> Box<dyn Iterator<Item = Result<RecordBatch>> + Send + 'static>;
}

/// No table is cached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn pin(&self, _service: &ServiceName) -> Option<Arc<dyn CachedService>> {
        None
    }

    fn reason_absent(&self, _table: &TableId) -> Option<String> {
        Some("this process keeps no caches".to_owned())
    }
}
