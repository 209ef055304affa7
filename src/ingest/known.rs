//! Transactions that are known again: whether a binlog is the one that was read before.
//!
//! After `RESET MASTER`, or where a backup was put back, the same numbers are other transactions. While a process runs
//! it knows its last transaction with all its changes; of what processes before it saw, a file has some by number and
//! time of commit, so that there is one before whatever checkpoint capture goes on from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::SourceFile;
use crossweave_contract::{CaptureTables, ConnectorError, ErrorKind, Gtid, Position, Transaction};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Bytes of a transaction that is kept with its changes.
const KEPT: usize = 16 << 20;

/// Of how long one mark is kept, and how many: checkpoints are as often.
const EVERY: Duration = Duration::from_secs(5);
const MARKS: usize = 32;

/// What tells one transaction from another of its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark {
    gtid: Gtid,
    previous: Position,
    committed_at: i64,
}

/// The last transaction that was published.
struct Last {
    mark: Mark,
    /// With its changes, and what they were decoded by; none of one that is too large to be kept.
    whole: Option<(Arc<Transaction>, Arc<CaptureTables>)>,
}

/// What is known of one source's transactions.
pub(super) struct Known {
    file: SourceFile,
    last: Option<Last>,
    /// Oldest first.
    marks: VecDeque<Mark>,
    noted: Option<Instant>,
    /// The file on its way to the disk.
    saving: Option<JoinHandle<Result<(), String>>>,
    /// The file could not be written.
    failed: bool,
}

impl Known {
    /// What processes before this one knew.
    pub(super) fn recall(file: SourceFile) -> Self {
        let marks = match file.read() {
            Ok(None) => VecDeque::new(),
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "what was known of a source's transactions cannot be read");
                VecDeque::new()
            }),
            Err(error) => {
                tracing::warn!(%error, "what was known of a source's transactions cannot be read");
                VecDeque::new()
            }
        };
        Self { file, last: None, marks, noted: None, saving: None, failed: false }
    }

    /// `transaction`, decoded by `tables`, was published.
    pub(super) fn published(&mut self, transaction: &Arc<Transaction>, tables: &Arc<CaptureTables>) {
        let Transaction { gtid, committed_at, .. } = **transaction;
        let mark = Mark { gtid, previous: transaction.previous.clone(), committed_at };
        let whole = || (Arc::clone(transaction), Arc::clone(tables));
        self.last = Some(Last { mark, whole: (transaction.bytes() <= KEPT).then(whole) });
        let due = self.noted.is_none_or(|noted| noted.elapsed() >= EVERY);
        if due && self.saved().now_or_never().is_some() {
            self.mark();
            self.save();
        }
    }

    /// Sees to it that the next process knows the last transaction. Nothing is written any more when it returns.
    pub(super) async fn note(&mut self) {
        self.saved().await;
        if self.last.as_ref().is_some_and(|last| self.marks.back() != Some(&last.mark)) {
            self.mark();
            self.save();
            self.saved().await;
        }
    }

    /// Nothing that was known is of the binlog that is read from now on.
    pub(super) async fn forget(&mut self) {
        self.saved().await;
        self.last = None;
        self.noted = None;
        self.marks.clear();
        self.save();
        self.saved().await;
    }

    /// The last transaction known that `position` contains: the position before it, and its number.
    pub(super) fn before(&self, position: &Position) -> Option<(&Position, Gtid)> {
        let last = self.last.iter().map(|last| &last.mark);
        let mut known = last.chain(self.marks.iter().rev());
        known.find(|mark| position.contains(&mark.gtid)).map(|mark| (&mark.previous, mark.gtid))
    }

    /// Fails if `found`, decoded by `tables`, is another transaction than the one that is known under its number, or
    /// stands where that should be, which is `expected`. Changes are compared if they are decoded by the same tables.
    pub(super) fn check(
        &self,
        found: &Transaction,
        tables: &Arc<CaptureTables>,
        expected: Option<Gtid>,
    ) -> Result<(), ConnectorError> {
        let is_same = |mark: &Mark| mark.gtid == found.gtid && mark.committed_at == found.committed_at;
        let is_here =
            |mark: &&Mark| mark.gtid.domain == found.gtid.domain && mark.gtid.sequence == found.gtid.sequence;
        let of_last = self.last.iter().filter(|last| is_here(&&last.mark));
        let mut of_last = of_last.map(|last| match &last.whole {
            Some((whole, by)) if Arc::ptr_eq(by, tables) => {
                is_same(&last.mark) && whole.changes == found.changes
            }
            _ => is_same(&last.mark),
        });
        let is_expected =
            expected.is_none_or(|expected| expected.domain != found.gtid.domain || expected == found.gtid);
        if is_expected && of_last.all(|same| same) && self.marks.iter().filter(is_here).all(is_same) {
            return Ok(());
        }
        let message = format!("{} is another transaction than before: its binlog was reset", found.gtid);
        Err(ConnectorError::new(ErrorKind::PositionGone, message))
    }

    fn mark(&mut self) {
        self.noted = Some(Instant::now());
        self.marks.extend(self.last.as_ref().map(|last| last.mark.clone()));
        while self.marks.len() > MARKS {
            self.marks.pop_front();
        }
    }

    /// Begins to write the file, which must not be on its way already.
    fn save(&mut self) {
        let (file, marks) = (self.file.clone(), self.marks.clone());
        self.saving = Some(tokio::task::spawn_blocking(move || match marks.is_empty() {
            true => file.remove().map_err(|error| error.to_string()),
            false => {
                let bytes = serde_json::to_vec(&marks).map_err(|error| error.to_string())?;
                file.write(&bytes).map_err(|error| error.to_string())
            }
        }));
    }

    /// Waits until the file is written. Can be dropped and called again.
    async fn saved(&mut self) {
        let Some(saving) = &mut self.saving else { return };
        let saved = saving.await.unwrap_or_else(|error| Err(error.to_string()));
        self.saving = None;
        if let Err(error) = &saved
            && !self.failed
        {
            tracing::warn!(%error, "a restart will not know a reset of the binlog by its transactions");
        }
        self.failed = saved.is_err();
    }
}
