//! Transactions that are known again: whether a binlog is the one that was read before.
//!
//! After `RESET MASTER`, or where a backup was put back, the same numbers are other transactions. While a process runs
//! it knows its last transaction with all its changes; of what processes before it saw, a file has some by number, time
//! of commit (whole seconds) and digests of their changes, so that there is one before whatever checkpoint capture goes
//! on from.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::SourceFile;
use crossweave_contract::{CaptureTables, ConnectorError, ErrorKind, Gtid, Position, TableId, Transaction};
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
    /// Of the changes, by table; of none where they are not kept.
    digests: Vec<TableDigest>,
}

/// What a transaction does to one table. Only changes that were decoded by the same definition can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TableDigest {
    table: TableId,
    definition: u64,
    changes: u64,
}

fn digests(transaction: &Transaction) -> Vec<TableDigest> {
    let tables = transaction.tables.iter().enumerate();
    let digest = tables.map(|(place, def)| {
        let changes = transaction.changes.iter().filter(|change| change.table as usize == place);
        TableDigest {
            table: def.id.clone(),
            definition: Digest::of([&**def]),
            changes: Digest::of(changes.map(|change| &change.op)),
        }
    });
    digest.collect()
}

/// FNV-1a, which is the same in every version of this program.
struct Digest(u64);

impl Digest {
    fn of<'v, T: Serialize + 'v>(values: impl IntoIterator<Item = &'v T>) -> u64 {
        let mut digest = Self(0xcbf2_9ce4_8422_2325);
        for value in values {
            if serde_json::to_writer(&mut digest, value).is_err() {
                // As if there were nothing to tell it by.
                return 0;
            }
        }
        digest.0
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Mark {
    /// Whether `found`, of the same number in its domain and decoded by `tables`, may be the transaction of this mark.
    fn is_of(&self, found: &Transaction, tables: &CaptureTables) -> bool {
        if self.gtid != found.gtid || self.committed_at != found.committed_at {
            return false;
        }
        let now = digests(found);
        let comparable = |known: &&TableDigest| {
            let def = tables.tables.iter().find(|def| def.id == known.table);
            def.is_some_and(|def| Digest::of([&**def]) == known.definition)
        };
        self.digests.iter().filter(comparable).all(|known| now.contains(known))
    }
}

/// The last transaction that was published.
struct Last {
    /// Without digests.
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

    /// `transaction`, decoded by `tables`, was published, or had been before.
    pub(super) fn published(&mut self, transaction: &Arc<Transaction>, tables: &Arc<CaptureTables>) {
        let Transaction { gtid, committed_at, .. } = **transaction;
        let mark = Mark { gtid, previous: transaction.previous.clone(), committed_at, digests: Vec::new() };
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
        let noted = self.marks.back().map(|mark| mark.gtid);
        if self.last.as_ref().is_some_and(|last| Some(last.mark.gtid) != noted) {
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
        let is_here =
            |mark: &&Mark| mark.gtid.domain == found.gtid.domain && mark.gtid.sequence == found.gtid.sequence;
        let of_last = self.last.iter().filter(|last| is_here(&&last.mark));
        let mut of_last = of_last.map(|last| match &last.whole {
            Some((whole, by)) if Arc::ptr_eq(by, tables) => {
                last.mark.is_of(found, tables) && whole.changes == found.changes
            }
            _ => last.mark.is_of(found, tables),
        });
        let is_expected =
            expected.is_none_or(|expected| expected.domain != found.gtid.domain || expected == found.gtid);
        if is_expected
            && of_last.all(|same| same)
            && self.marks.iter().filter(is_here).all(|mark| mark.is_of(found, tables))
        {
            return Ok(());
        }
        let message = format!("{} is another transaction than before: its binlog was reset", found.gtid);
        Err(ConnectorError::new(ErrorKind::PositionGone, message))
    }

    fn mark(&mut self) {
        self.noted = Some(Instant::now());
        self.marks.extend(self.last.as_ref().map(|last| {
            let digests = last.whole.as_ref().map(|(whole, _)| digests(whole)).unwrap_or_default();
            Mark { digests, ..last.mark.clone() }
        }));
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
