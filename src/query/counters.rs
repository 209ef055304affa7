//! What is counted about queries, for `/metrics` and for tests that hold the number of plans and statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::federation::StatementCounter;

/// Upper bounds of the duration buckets, in seconds.
pub const DURATION_BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// Counts that only grow, shared by all clones.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    inner: Arc<Inner>,
    pub(super) statements: StatementCounter,
}

#[derive(Debug, Default)]
struct Inner {
    plans: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    timed: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; DURATION_BUCKETS.len()],
}

impl Counters {
    /// Physical plans made: one per SQL statement that reads, and as many as a GraphQL document's shape asks for.
    pub fn plans(&self) -> u64 {
        self.inner.plans.load(Ordering::Relaxed)
    }

    /// Statements sent to sources to read rows.
    pub fn statements(&self) -> u64 {
        self.statements.get()
    }

    /// Queries (SQL statements and GraphQL documents) that read tables and ended well.
    pub fn succeeded(&self) -> u64 {
        self.inner.succeeded.load(Ordering::Relaxed)
    }

    /// Queries that failed or were cancelled, those refused before they were planned included.
    pub fn failed(&self) -> u64 {
        self.inner.failed.load(Ordering::Relaxed)
    }

    /// Queries whose time was taken: all but those refused before they began.
    pub fn timed(&self) -> u64 {
        self.inner.timed.load(Ordering::Relaxed)
    }

    /// Time that queries took from pin to end, together.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.inner.micros.load(Ordering::Relaxed))
    }

    /// How many queries took at most the bound of [`DURATION_BUCKETS`] at the same index.
    pub fn buckets(&self) -> [u64; DURATION_BUCKETS.len()] {
        let mut sum = 0;
        std::array::from_fn(|index| {
            sum += self.inner.buckets[index].load(Ordering::Relaxed);
            sum
        })
    }

    pub(super) fn planned(&self) {
        self.inner.plans.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.inner.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, took: Duration, well: bool) {
        let count = if well { &self.inner.succeeded } else { &self.inner.failed };
        count.fetch_add(1, Ordering::Relaxed);
        self.inner.timed.fetch_add(1, Ordering::Relaxed);
        self.inner.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        if let Some(bucket) = DURATION_BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.inner.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }
}
