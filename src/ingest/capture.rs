//! The capture task: binlog → change log, from where the log ends.
//!
//! **What if the binlog no longer goes back that far?** Then the log has a hole, which everybody who reads it must
//! learn of, also one who reads it later and elsewhere. So capture goes on from the server's position X, and before
//! anything else it publishes a transaction without changes that follows X, in each domain: who stands before X
//! meets a transaction whose predecessor was never handed over, and loads anew; who stands after it passes over it.
//!
//! **What if a transaction is larger than the bound on one?** Where only our caches read the log, it is passed over in
//! the same way: they load anew from after it. A log that others read is not cut: capture stands before it, visibly,
//! until the bound is raised.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossweave_contract::{
    Capture, CaptureEvent, CaptureTables, ChangeLog, ConnectorError, ErrorKind, Position, Publisher, Source,
    SourceId, Transaction,
};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::board::{Health, Part};
use super::retry::Backoff;

/// One source's capture.
pub(super) struct CaptureTask {
    pub(super) source: Arc<dyn Source>,
    pub(super) capture: Arc<dyn Capture>,
    pub(super) log: Arc<dyn ChangeLog>,
    /// After which position to begin, where the log does not know; moves on with what was published.
    pub(super) from: Position,
    pub(super) tables: watch::Receiver<Arc<CaptureTables>>,
    pub(super) health: Arc<Health>,
    pub(super) stop: CancellationToken,
    /// The last run ended at a transaction above the bound.
    pub(super) too_large: bool,
}

impl CaptureTask {
    /// Runs until `stop`. Whatever fails is tried again.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut gone = false;
        loop {
            let Some(Err(error)) = stop.run_until_cancelled(self.attempt(gone, &mut backoff)).await else {
                return;
            };
            // Where our caches are all that read the log, they can be loaded from after what is too large.
            gone = error.kind == ErrorKind::PositionGone || (self.too_large && !self.log.stays());
            self.too_large = false;
            tracing::warn!(source = %self.source.id(), %error, "capture stopped; it is tried again");
            self.health.set(Part::Capture, Some(error.to_string()));
            if stop.run_until_cancelled(tokio::time::sleep(backoff.wait())).await.is_none() {
                return;
            }
        }
    }

    /// One run of the capture; it ends with an error only. `gone` tells that the last one could not begin where it
    /// should have.
    async fn attempt(&mut self, gone: bool, backoff: &mut Backoff) -> Result<Infallible, ConnectorError> {
        let source = self.source.id().clone();
        let mut publisher = self.log.publisher(&source).await?;
        if gone {
            self.from = self.source.position().await?;
            leave_hole(&source, &self.from, &mut *publisher).await?;
        } else if let Some(end) = self.log.end(&source).await? {
            self.from = end;
        }
        let mut events = self.capture.start(self.from.clone(), self.tables.clone()).await?;
        self.health.set(Part::Capture, None);
        while let Some(event) = events.next().await {
            match event.inspect_err(|error| self.too_large = error.kind == ErrorKind::Limit)? {
                CaptureEvent::Transaction(transaction) => {
                    let gtid = transaction.gtid;
                    publisher.publish(transaction).await?;
                    self.from.advance(gtid);
                }
                CaptureEvent::Heartbeat(position) => {
                    publisher.heartbeat(position.clone()).await?;
                    self.from.merge(&position);
                }
            }
            backoff.reset();
        }
        Err(ConnectorError::new(ErrorKind::Unreachable, format!("the capture of {source} ended")))
    }
}

/// Says to all readers of the log that what led to `position` is missing.
async fn leave_hole(
    source: &SourceId,
    position: &Position,
    publisher: &mut dyn Publisher,
) -> Result<(), ConnectorError> {
    tracing::warn!(%source, %position, "what follows the log's end cannot be captured; \
                   the log goes on after a gap, and caches are loaded anew");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for gtid in position.gtids() {
        let marker = Transaction {
            source: source.clone(),
            gtid: *gtid,
            previous: position.clone(),
            committed_at: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
            tables: Vec::new(),
            changes: Vec::new(),
            schema_changes: Vec::new(),
            faults: Vec::new(),
        };
        publisher.publish(Arc::new(marker)).await?;
    }
    publisher.heartbeat(position.clone()).await
}
