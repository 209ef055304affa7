//! Transactions that are known again: whether a binlog is the one that was read before.
//!
//! After `RESET MASTER`, or where a backup was put back, the same numbers are other transactions, committed at another
//! time. A log that stays says which is its last one ([`LogEnd::last`](crossweave_contract::LogEnd)). For a log that
//! keeps nothing, a file in the state directory has some of those that were published: the last ones, and of older
//! ones the fewer the older, so that there is one not long before whatever checkpoint capture goes on from.

use std::time::Duration;

use crossweave_cache::{PersistError, SourceFile};
use crossweave_contract::{ConnectorError, ErrorKind, Fingerprint, KnownTransaction, Position, Transaction};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Of how long one mark is made.
const EVERY: Duration = Duration::from_secs(5);
/// Of marks that are up to this often as many as old, one is kept: 8 of the newest, then 8 each time the age doubles.
const DENSITY: u64 = 8;

/// Fails if `found` stands where `expected` should, in its domain, or after that: the binlog was reset, and its new
/// numbers are past the old ones already.
pub(super) fn check(found: &Transaction, expected: &KnownTransaction) -> Result<(), ConnectorError> {
    let (gtid, known) = (found.gtid, expected.gtid);
    let is_here = gtid.domain == known.domain && gtid.sequence >= known.sequence;
    if !is_here || (gtid == known && expected.is(found)) {
        return Ok(());
    }
    let message = format!("{gtid} is not the transaction that was known as {known}: its binlog was reset");
    Err(ConnectorError::new(ErrorKind::PositionGone, message))
}

/// The failure to write a file about a source.
pub(super) fn unwritten(error: &PersistError) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, error.to_string())
        .with_fix("Make the state directory writable, with room on its disk")
}

/// One that the file has, counted from the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark {
    number: u64,
    transaction: KnownTransaction,
    /// That of `transaction`.
    #[serde(default)]
    fingerprint: Fingerprint,
}

/// Transactions of one source that were published to a log that keeps nothing.
pub(super) struct Marks {
    /// `None` for a log that knows its transactions itself: none is kept here.
    file: Option<SourceFile>,
    last: Option<KnownTransaction>,
    /// Oldest first.
    marks: Vec<Mark>,
    made: Option<Instant>,
    /// The file on its way to the disk.
    saving: Option<JoinHandle<Result<(), String>>>,
    /// The file could not be written.
    failed: bool,
}

impl Marks {
    /// Those of processes before this one, in `file`; without a file nothing is kept.
    pub(super) fn recall(file: Option<SourceFile>) -> Self {
        let read = file.as_ref().map_or(Ok(None), SourceFile::read).map_err(|error| error.to_string());
        let marks: Result<Vec<Mark>, String> = read.and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            None => Ok(Vec::new()),
        });
        let mut marks = marks.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was known of a source's transactions cannot be read");
            Vec::new()
        });
        for mark in &mut marks {
            mark.transaction.fingerprint = mark.fingerprint;
        }
        Self { file, last: None, marks, made: None, saving: None, failed: false }
    }

    /// `transaction` was published, or is the last one before what is published from now on.
    pub(super) fn passed(&mut self, transaction: KnownTransaction) {
        if self.file.is_none() {
            return;
        }
        self.last = Some(transaction);
        let due = self.made.is_none_or(|made| made.elapsed() >= EVERY);
        if due && self.saved().now_or_never().is_some() {
            self.mark();
            self.save();
        }
    }

    /// Sees to it that the next process knows the last transaction. Nothing is written any more when it returns.
    pub(super) async fn note(&mut self) {
        self.saved().await;
        if self.last.is_some() && self.last.as_ref() != self.marks.last().map(|mark| &mark.transaction) {
            self.mark();
            self.save();
            self.saved().await;
        }
    }

    /// None of them is of the binlog that is read from now on.
    pub(super) async fn forget(&mut self) {
        self.saved().await;
        (self.last, self.made) = (None, None);
        self.marks.clear();
        self.save();
        self.saved().await;
    }

    /// The first one after `position`: what was applied of it is not stored yet.
    pub(super) fn after(&self, position: &Position) -> Option<&KnownTransaction> {
        self.marks.iter().map(|mark| &mark.transaction).find(|known| !position.contains(&known.gtid))
    }

    /// The last one that `position` contains.
    pub(super) fn before(&self, position: &Position) -> Option<&KnownTransaction> {
        let marks = self.marks.iter().rev().map(|mark| &mark.transaction);
        self.last.iter().chain(marks).find(|known| position.contains(&known.gtid))
    }

    fn mark(&mut self) {
        self.made = Some(Instant::now());
        let number = self.marks.last().map_or(0, |mark| mark.number + 1);
        self.marks.extend(self.last.clone().map(|transaction| {
            let fingerprint = transaction.fingerprint;
            Mark { number, transaction, fingerprint }
        }));
        self.marks.retain(|mark| {
            let step = ((number - mark.number) / DENSITY + 1).next_power_of_two();
            mark.number % step == 0
        });
    }

    /// Begins to write the file, which must not be on its way already.
    fn save(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let marks = self.marks.clone();
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

#[cfg(test)]
mod tests {
    use crossweave_cache::StateDir;
    use crossweave_contract::SourceId;

    use super::*;
    use crate::ingest::testing::{numbered, transaction};

    #[tokio::test]
    async fn of_older_transactions_fewer_are_kept_but_one_not_long_before_each() {
        let dir = tempfile::tempdir().unwrap();
        let state = || StateDir::open(dir.path()).unwrap().of_source(&SourceId::from("s"));
        let file = || Some(state().known_transactions);
        let mut marks = Marks::recall(file());
        for sequence in 1..=5_000 {
            marks.last = Some((&*transaction(sequence, Vec::new())).into());
            marks.mark();
        }
        assert!((30..100).contains(&marks.marks.len()), "{}", marks.marks.len());
        marks.passed((&*transaction(5_001, Vec::new())).into());
        marks.note().await;
        drop(marks);
        let marks = Marks::recall(file());
        for sequence in [1, 2, 100, 2_500, 4_000, 4_900, 4_995, 5_001, 6_000] {
            let found = marks.before(&numbered(sequence)).map_or(0, |known| known.gtid.sequence);
            let behind = sequence.min(5_001) - found;
            assert!(behind <= (5_001_u64.saturating_sub(sequence)) / 4 + 1, "{found} before {sequence}");
        }
        let mut marks = marks;
        marks.forget().await;
        drop(marks);
        assert!(Marks::recall(file()).before(&numbered(9_000)).is_none());
    }

    #[tokio::test]
    async fn the_next_process_knows_what_ended_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let file =
            || Some(StateDir::open(dir.path()).unwrap().of_source(&SourceId::from("s")).known_transactions);
        let fingerprint = Fingerprint { server: 1, hash: 5 };
        let last = Transaction { fingerprint, ..(*transaction(7, Vec::new())).clone() };
        let mut marks = Marks::recall(file());
        marks.passed((&last).into());
        marks.note().await;
        drop(marks);
        let marks = Marks::recall(file());
        assert_eq!(marks.before(&numbered(7)).unwrap().fingerprint, fingerprint);
    }

    #[test]
    fn what_has_the_same_number_may_be_another() {
        let known = KnownTransaction::from(&*transaction(7, Vec::new()));
        check(&transaction(7, Vec::new()), &known).unwrap();
        let later = Transaction { committed_at: 1_000_000, ..(*transaction(7, Vec::new())).clone() };
        for other in [&later, &*transaction(8, Vec::new())] {
            assert_eq!(check(other, &known).unwrap_err().kind, ErrorKind::PositionGone);
        }
        // Within one second: what ended them in the binlog of one server tells them apart.
        let written = |server, hash| Transaction {
            fingerprint: Fingerprint { server, hash },
            ..(*transaction(7, Vec::new())).clone()
        };
        let known_here = KnownTransaction::from(&written(1, 5));
        check(&written(1, 5), &known_here).unwrap();
        check(&written(2, 6), &known_here).unwrap();
        assert_eq!(check(&written(1, 6), &known_here).unwrap_err().kind, ErrorKind::PositionGone);
        check(&transaction(6, Vec::new()), &known).unwrap();
        let mut elsewhere = later.clone();
        elsewhere.gtid.domain = 3;
        check(&elsewhere, &known).unwrap();
    }
}
