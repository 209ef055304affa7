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
//! **What if the new numbers come past the old ones while capture is away?** The last transaction that is known tells
//! (`known`): capture begins before it, what comes in its place has to be the same, and what the log has already is
//! passed over. The log keeps it, or a file in the state directory; where neither has one, capture reads the last one
//! before it begins. What is not seen is a reset once the binlog does not go back to what is known, or without what keeps
//! it; one while no process runs after which the last known number comes again within the second of the first; and what
//! another node saw and did not come to say.
//!
//! **What if a transaction is larger than the bound on one?** Where only our caches read the log, it is passed over in
//! the same way: they load anew from after it. A log that others read is not cut: capture stands before it, visibly,
//! until the bound is raised.
//!
//! **When does an attempt count as a success?** When the log has something of it. What it is opened for and fails at its
//! first commit is tried at ever longer intervals, and is told of until it succeeds: each try reads the source anew.
//!
//! **When is a heartbeat true?** See `proof`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::{SourceFile, SourceFiles};
use crossweave_contract::{
    Capture, CaptureEvent, CaptureStream, CaptureTables, ChangeLog, ConnectorError, ErrorKind, Fingerprint,
    Gtid, KnownTransaction, LogEnd, Position, Publisher, Source,
};
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::board::{Health, Part};
use super::known::{self, Marks};
use super::proof::Proof;
use super::retry::Backoff;

/// How long one transaction may take to be read.
const READING: Duration = Duration::from_secs(5);

/// The log says that it started over, and the caches have left what was before.
pub(super) fn forget(reminder: &SourceFile) {
    if let Err(error) = reminder.remove() {
        tracing::warn!(%error, "with the next start of the process the log starts over once more");
    }
}

/// Where a capture begins.
pub(super) struct CaptureFrom {
    /// After which position, where the log does not know.
    pub(super) position: Position,
    pub(super) tables: watch::Receiver<Arc<CaptureTables>>,
}

/// One source's capture.
pub(super) struct CaptureTask {
    source: Arc<dyn Source>,
    capture: Arc<dyn Capture>,
    log: Arc<dyn ChangeLog>,
    /// Moves on with what was published.
    from: Position,
    /// Up to here the log has it, as far as is known: what was published after it may be lost with an attempt.
    committed: Position,
    tables: watch::Receiver<Arc<CaptureTables>>,
    health: Arc<Health>,
    /// Transactions that are known again.
    marks: Marks,
    /// The last one that this process read.
    last: Option<(Gtid, Fingerprint)>,
    /// What follows the log's end cannot be captured, and the log does not say so yet.
    must_start_over: bool,
    /// The same, for the next process.
    reminder: SourceFile,
}

impl CaptureTask {
    pub(super) fn new(
        source: Arc<dyn Source>,
        capture: Arc<dyn Capture>,
        log: Arc<dyn ChangeLog>,
        from: CaptureFrom,
        files: &SourceFiles,
        health: Arc<Health>,
    ) -> Self {
        let marks = Marks::recall((!log.stays()).then(|| files.known_transactions.clone()));
        let CaptureFrom { position: from, tables } = from;
        let (last, must_start_over, reminder) = (None, false, files.must_start_over.clone());
        let committed = from.clone();
        Self { source, capture, log, from, committed, tables, health, marks, last, must_start_over, reminder }
    }

    /// Runs until `stop`. Whatever fails is tried again.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.recall();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let Some(Err(error)) = stop.run_until_cancelled(self.attempt(&mut backoff)).await else { break };
            self.must_start_over |= error.kind == ErrorKind::PositionGone;
            self.remember(&error);
            tracing::warn!(source = %self.source.id(), %error, "capture stopped; it is tried again");
            self.health.set(Part::Capture, Some(error.to_string()));
            if stop.run_until_cancelled(tokio::time::sleep(backoff.wait())).await.is_none() {
                break;
            }
        }
        self.marks.note().await;
    }

    /// One run of the capture; it ends with an error only.
    async fn attempt(&mut self, backoff: &mut Backoff) -> Result<Infallible, ConnectorError> {
        let source = self.source.id().clone();
        let mut publisher = self.log.publisher(&source).await?;
        let resets = self.source.binlog_end().await?.resets;
        let (mut events, mut expected) = if self.must_start_over {
            (self.start_over(&mut *publisher).await?, None)
        } else {
            let end = self.log.end(&source).await?;
            let known = self.go_back_to(end);
            let known = match known {
                None => self.learn(&mut *publisher).await?,
                known => known,
            };
            self.go_on(known).await?
        };
        let mut proof = Proof::new(Arc::clone(&self.source), Arc::clone(&self.health), resets);
        let mut holds = false;
        loop {
            if !holds && publisher.has_committed() {
                holds = true;
                backoff.reset();
                self.health.set(Part::Capture, None);
            }
            let event = tokio::select! {
                event = events.next() => event,
                current = proof.answer() => {
                    // What has come since then was published meanwhile.
                    if let Some((position, at)) = current?.filter(|(position, _)| position.covers(&self.from)) {
                        publisher.heartbeat(position.clone(), at).await?;
                        self.from.merge(&position);
                        self.committed = self.from.clone();
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
                    let gtid = transaction.gtid;
                    if let Some(known) = &expected {
                        known::check(&transaction, known)?;
                    }
                    expected.take_if(|known| known.gtid == gtid);
                    let captured = (gtid, transaction.fingerprint);
                    if self.from.contains(&gtid) {
                        self.check_again(captured)?;
                        continue;
                    }
                    let passed = KnownTransaction::from(&*transaction);
                    publisher.publish(transaction).await?;
                    self.from.advance(gtid);
                    self.last = Some(captured);
                    self.marks.passed(passed);
                }
                CaptureEvent::Heartbeat(position) => proof.ask(position, &self.from),
            }
        }
        Err(ConnectorError::new(ErrorKind::Unreachable, format!("the capture of {source} ended")))
    }

    /// Goes back to where the log ends, or is known to have ended while it is empty; gives the last transaction that is known
    /// there.
    fn go_back_to(&mut self, end: Option<LogEnd>) -> Option<KnownTransaction> {
        if self.log.stays() {
            self.committed = end.as_ref().map_or(self.committed.clone(), |end| end.position.clone());
            self.from = self.committed.clone();
        }
        match end {
            Some(end) => end.last,
            None => self.marks.before(&self.from).or_else(|| self.marks.after(&self.from)).cloned(),
        }
    }

    /// Fails if what the log has already and comes `again` is not what was captured under its number. That tells apart
    /// what was committed within the same second.
    fn check_again(&self, again: (Gtid, Fingerprint)) -> Result<(), ConnectorError> {
        let (gtid, fingerprint) = again;
        if !self.last.is_some_and(|(last, known)| last == gtid && known.contradicts(&fingerprint)) {
            return Ok(());
        }
        let message =
            format!("{gtid} is not the transaction that was captured under that number: its binlog was reset");
        Err(ConnectorError::new(ErrorKind::PositionGone, message))
    }

    /// What the process before this one did not come to. Where that cannot be read, a load too many does no harm.
    fn recall(&mut self) {
        self.must_start_over |= self.reminder.read().map_or_else(
            |error| {
                tracing::error!(source = %self.source.id(), %error, "it cannot be told whether the log must start over");
                true
            },
            |reason| reason.is_some(),
        );
    }

    /// Sees to it that the next process knows what this one does.
    fn remember(&self, error: &ConnectorError) {
        if self.must_start_over
            && let Err(error) = self.reminder.write(error.to_string().as_bytes())
        {
            tracing::error!(source = %self.source.id(), %error, "a restart will not know that the log must start over");
        }
    }

    /// Goes on from the log's end: from before the last transaction that is known, which then comes once more.
    async fn go_on(
        &self,
        known: Option<KnownTransaction>,
    ) -> Result<(CaptureStream, Option<KnownTransaction>), ConnectorError> {
        if let Some(known) = known {
            // One that is still to come is known again when it comes.
            let is_to_come = !self.from.contains(&known.gtid);
            let start = if is_to_come { &self.from } else { &known.previous };
            match self.capture.start(start.clone(), self.tables.clone()).await {
                Err(error) if error.kind == ErrorKind::PositionGone && !is_to_come => {}
                started => return Ok((started?, Some(known))),
            }
        }
        let events = self.capture.start(self.from.clone(), self.tables.clone()).await?;
        tracing::info!(source = %self.source.id(), position = %self.from,
                       "the binlog does not go back to a transaction that is known: that it was not reset is taken on trust");
        Ok((events, None))
    }

    /// The last transaction before where capture begins, to know it again: none may follow until the binlog is reset.
    async fn learn(
        &mut self,
        publisher: &mut dyn Publisher,
    ) -> Result<Option<KnownTransaction>, ConnectorError> {
        let last = self.last_before(&self.from.clone()).await;
        if let Some(last) = &last {
            publisher.follows(last.clone()).await?;
            self.marks.passed(last.clone());
        }
        Ok(last)
    }

    /// Reads the last transaction before `position`; `None` where the number before it is none, or is not in the binlog
    /// any more.
    async fn last_before(&mut self, position: &Position) -> Option<KnownTransaction> {
        let before = position.step_back()?;
        let first = async {
            let mut events = self.capture.start(before, self.tables.clone()).await.ok()?;
            events.next().await?.ok()
        };
        match tokio::time::timeout(READING, first).await {
            Ok(Some(CaptureEvent::Transaction(found))) if position.contains(&found.gtid) => {
                self.last = Some((found.gtid, found.fingerprint));
                Some((&*found).into())
            }
            _ => None,
        }
    }

    /// Goes on from where the binlog ends, and says so in the log.
    async fn start_over(&mut self, publisher: &mut dyn Publisher) -> Result<CaptureStream, ConnectorError> {
        self.marks.forget().await;
        self.last = None;
        let last = self.last_before(&self.source.position().await?).await;
        let (position, events) = self.capture.start_at_end(self.tables.clone()).await?;
        tracing::warn!(source = %self.source.id(), %position, "what follows the log's end cannot be captured; the log \
                       starts over, and caches are loaded anew");
        publisher.start_over(position.clone(), last.clone()).await?;
        last.into_iter().for_each(|last| self.marks.passed(last));
        (self.from, self.committed) = (position.clone(), position);
        self.must_start_over = false;
        Ok(events)
    }
}
