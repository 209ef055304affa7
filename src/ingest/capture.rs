//! The capture task: binlog → change log, from where the log ends.
//!
//! **What if the binlog no longer goes back that far, or its numbers went back?** Then what the log has does not lead to
//! what follows, which everybody who reads it must learn of, also one who reads it later and elsewhere. So capture
//! goes on from where the binlog ends, and before anything else it says in the log that it starts over there: who
//! stands before that loads anew. Positions cannot tell who does, for after `RESET MASTER` the same numbers are other
//! transactions; the place in the log can.
//!
//! **What if that cannot be said at once?** It stays to be said until the log has it, whatever fails meanwhile: by the
//! next attempt the new numbers may have come past the old ones, and the binlog would lead on from the log's end, with
//! other transactions under the numbers that the log has. A file in the state directory keeps it over restarts, until
//! the caches have left what was before, and their checkpoints with it.
//!
//! **What if the new numbers come past the old ones while capture is away?** The last transaction tells: capture begins
//! before it, and what comes under its number has to be the same. What is not seen is a reset while no process runs, and
//! what another node saw and did not come to say, once the new numbers have come past the old ones.
//!
//! **What if a transaction is larger than the bound on one?** Where only our caches read the log, it is passed over in
//! the same way: they load anew from after it. A log that others read is not cut: capture stands before it, visibly,
//! until the bound is raised.
//!
//! **When is a heartbeat true?** See `proof`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::Reminder;
use crossweave_contract::{
    Capture, CaptureEvent, CaptureStream, CaptureTables, ChangeLog, ConnectorError, ErrorKind, Position,
    Publisher, Source, Transaction,
};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::board::{Health, Part};
use super::proof::Proof;
use super::retry::Backoff;

/// Bytes of a transaction that is kept to know it again.
const KEPT: usize = 16 << 20;

/// A transaction that is known again.
#[derive(Clone)]
pub(super) struct Known {
    transaction: Arc<Transaction>,
    /// What it was decoded by.
    tables: Arc<CaptureTables>,
}

impl Known {
    /// `None` for one that is too large to be kept.
    fn of(transaction: &Arc<Transaction>, tables: &Arc<CaptureTables>) -> Option<Self> {
        let kept = || Self { transaction: Arc::clone(transaction), tables: Arc::clone(tables) };
        (transaction.bytes() <= KEPT).then(kept)
    }

    /// Fails if what comes under its number is another one: the binlog was reset, and its new numbers are past the old
    /// ones already. Changes can only be compared if they are decoded by the same `tables`.
    fn check_same(&self, found: &Transaction, tables: &Arc<CaptureTables>) -> Result<(), ConnectorError> {
        let known = &*self.transaction;
        let same = known.gtid == found.gtid
            && known.committed_at == found.committed_at
            && (!Arc::ptr_eq(&self.tables, tables) || known.changes == found.changes);
        if same {
            return Ok(());
        }
        let message = format!("{} is another transaction than before: its binlog was reset", found.gtid);
        Err(ConnectorError::new(ErrorKind::PositionGone, message))
    }
}

/// The log says that it started over, and the caches have left what was before.
pub(super) fn forget(reminder: &Reminder) {
    if let Err(error) = reminder.clear() {
        tracing::warn!(%error, "with the next start of the process the log starts over once more");
    }
}

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
    /// The last transaction that was published.
    pub(super) last: Option<Known>,
    /// What follows the log's end cannot be captured, and the log does not say so yet.
    pub(super) must_start_over: bool,
    /// The same, for the next process.
    pub(super) reminder: Reminder,
}

impl CaptureTask {
    /// Runs until `stop`. Whatever fails is tried again.
    pub(super) async fn run(mut self) {
        self.recall();
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let Some(Err(error)) = stop.run_until_cancelled(self.attempt(&mut backoff)).await else {
                return;
            };
            self.must_start_over |= error.kind == ErrorKind::PositionGone;
            self.remember(&error);
            tracing::warn!(source = %self.source.id(), %error, "capture stopped; it is tried again");
            self.health.set(Part::Capture, Some(error.to_string()));
            if stop.run_until_cancelled(tokio::time::sleep(backoff.wait())).await.is_none() {
                return;
            }
        }
    }

    /// One run of the capture; it ends with an error only.
    async fn attempt(&mut self, backoff: &mut Backoff) -> Result<Infallible, ConnectorError> {
        let source = self.source.id().clone();
        let mut publisher = self.log.publisher(&source).await?;
        let (mut events, mut known) = if self.must_start_over {
            (self.start_over(&mut *publisher).await?, None)
        } else {
            if let Some(end) = self.log.end(&source).await? {
                self.from = end.position;
            }
            self.go_on().await?
        };
        let mut proof = Proof::new(Arc::clone(&self.source), Arc::clone(&self.health));
        self.health.set(Part::Capture, None);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                current = proof.answer() => {
                    // What has come since then was published meanwhile.
                    if let Some((position, at)) = current?.filter(|(position, _)| position.covers(&self.from)) {
                        publisher.heartbeat(position.clone(), at).await?;
                        self.from.merge(&position);
                    }
                    continue;
                }
            };
            let Some(event) = event else { break };
            let event = event.inspect_err(|error| {
                // Where our caches are all that read the log, they can be loaded from after what is too large.
                self.must_start_over |= error.kind == ErrorKind::Limit && !self.log.stays();
            })?;
            match event {
                CaptureEvent::Transaction(transaction) => {
                    proof.goes_on();
                    if let Some(known) = known.take() {
                        known.check_same(&transaction, &self.tables.borrow())?;
                        continue;
                    }
                    let gtid = transaction.gtid;
                    self.last = Known::of(&transaction, &self.tables.borrow());
                    publisher.publish(transaction).await?;
                    self.from.advance(gtid);
                }
                CaptureEvent::Heartbeat(position) => proof.ask(position),
            }
            backoff.reset();
        }
        Err(ConnectorError::new(ErrorKind::Unreachable, format!("the capture of {source} ended")))
    }

    /// What the process before this one did not come to. Where that cannot be read, a load too many does no harm.
    fn recall(&mut self) {
        self.must_start_over |= self.reminder.is_set().unwrap_or_else(|error| {
            tracing::error!(source = %self.source.id(), %error, "it cannot be told whether the log must start over");
            true
        });
    }

    /// Sees to it that the next process knows what this one does.
    fn remember(&self, error: &ConnectorError) {
        if self.must_start_over
            && let Err(error) = self.reminder.set(&error.to_string())
        {
            tracing::error!(source = %self.source.id(), %error, "a restart will not know that the log must start over");
        }
    }

    /// Goes on from the log's end: from before its last transaction, where that is known, which then comes once more.
    async fn go_on(&self) -> Result<(CaptureStream, Option<Known>), ConnectorError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.transaction.position() == self.from) {
            match self.capture.start(last.transaction.previous.clone(), self.tables.clone()).await {
                // Its part of the binlog was purged: nothing says that it is another one.
                Err(error) if error.kind == ErrorKind::PositionGone => {}
                started => return Ok((started?, Some(last.clone()))),
            }
        }
        Ok((self.capture.start(self.from.clone(), self.tables.clone()).await?, None))
    }

    /// Goes on from where the binlog ends, and says so in the log.
    async fn start_over(&mut self, publisher: &mut dyn Publisher) -> Result<CaptureStream, ConnectorError> {
        let (position, events) = self.capture.start_at_end(self.tables.clone()).await?;
        tracing::warn!(source = %self.source.id(), %position, "what follows the log's end cannot be captured; the log \
                       starts over, and caches are loaded anew");
        publisher.start_over(position.clone()).await?;
        self.from = position;
        self.must_start_over = false;
        Ok(events)
    }
}
