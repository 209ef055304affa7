//! How much one view may read, over all its scans, and for how long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{ConnectorError, Result, ServiceName};
use tokio::time::Instant;

use super::buffer::Writer;
use crate::connection::{Guard, Limit};
use crate::scan::Sink;

/// The bounds of one view, and what it has read.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Reads whole tables for a cache: only its time is bounded.
    load: bool,
    limit: Duration,
    /// The time is bounded by the owner of the server, and not by who asks.
    of_owner: bool,
    rows: AtomicU64,
    bytes: AtomicU64,
    since: Instant,
}

impl Bounds {
    /// For a query that has `time` left.
    pub(crate) fn of_query(guard: &Guard, time: Duration) -> Self {
        let most = guard.limits().time;
        Self { load: false, of_owner: most < time, ..Self::of_load(time.min(most)) }
    }

    /// For a first load, which may take `time`.
    pub(crate) fn of_load(time: Duration) -> Self {
        let (rows, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { load: true, limit: time, of_owner: false, rows, bytes, since: Instant::now() }
    }

    pub(super) fn is_load(&self) -> bool {
        self.load
    }

    /// How long one statement may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// When a statement that begins now has to be over.
    pub(super) fn end(&self) -> Instant {
        let from = if self.of_owner { self.since } else { Instant::now() };
        from + self.limit
    }

    /// The error of what took longer for `service`, where that is for the owner's sake.
    pub(super) fn overdue(&self, guard: &Guard, service: &ServiceName) -> Option<ConnectorError> {
        let found = format!("the query has read for {:?}, the longest that one may", self.limit);
        let fix = "Narrow the query, or read the tables from the cache";
        self.of_owner.then(|| guard.refuse(Limit::Seconds, Some(service), found, fix))
    }

    /// Counts `batch` of `service`; an error if the query has read more than it may.
    fn count(&self, guard: &Guard, service: &ServiceName, batch: &RecordBatch) -> Result<()> {
        let add = |counter: &AtomicU64, more: usize| {
            counter.fetch_add(more as u64, Ordering::Relaxed).saturating_add(more as u64)
        };
        let rows = add(&self.rows, batch.num_rows());
        let size = |column: &arrow::array::ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
        let bytes = add(&self.bytes, batch.columns().iter().map(size).sum());
        let limits = guard.limits();
        let fix = "Ask for less, or read the tables from the cache";
        if let Some(most) = limits.rows.filter(|most| rows > *most) {
            let found = format!("the query has read {rows} rows, of the {most} that one may");
            return Err(guard.refuse(Limit::Rows, Some(service), found, fix));
        }
        if let Some(most) = limits.bytes.filter(|most| bytes > *most) {
            let found = format!("the query has read {bytes} bytes of rows, of the {most} that one may");
            return Err(guard.refuse(Limit::Bytes, Some(service), found, fix));
        }
        Ok(())
    }

    /// `writer`, with what goes to it counted.
    pub(super) fn metered<'a>(
        &'a self,
        guard: &'a Guard,
        service: &'a ServiceName,
        writer: &'a mut Writer,
    ) -> Metered<'a> {
        Metered { bounds: self, guard, service, writer, given: false }
    }
}

/// A [`Sink`] that counts.
pub(super) struct Metered<'a> {
    bounds: &'a Bounds,
    guard: &'a Guard,
    service: &'a ServiceName,
    writer: &'a mut Writer,
    given: bool,
}

impl Metered<'_> {
    /// Whether rows have gone to the reader.
    pub(super) fn has_given(&self) -> bool {
        self.given
    }
}

#[async_trait]
impl Sink for Metered<'_> {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if !self.bounds.load {
            self.bounds.count(self.guard, self.service, &batch)?;
        }
        self.given = true;
        self.writer.push(batch).await
    }
}
