//! The change log: where transactions flow from capture to caches.
//!
//! Two forms implement [`ChangeLog`]: Kafka, and direct, in one process. Both keep the order of commits, hand
//! over whole transactions, and are at-least-once: who applies them skips what its position contains.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{Fingerprint, Gtid, Position, Result, SourceId, Transaction};

/// A place in a log's own order (a Kafka offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogOffset(pub i64);

/// Tells a log from another one under the same name, as there is where a topic was deleted and made anew. Its first
/// publisher chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogId(pub u64);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a log. Stored with the cache's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Which log.
    pub log: LogId,
    /// Where in it.
    pub offset: LogOffset,
}

impl LogPlace {
    /// Whether who stands here has read what is at `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.log == other.log && self.offset >= other.offset
    }
}

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At the oldest transaction that the log still has.
    Oldest,
    /// After this place.
    After(LogPlace),
}

/// What a subscriber receives.
#[derive(Debug, Clone)]
pub enum LogEntry {
    /// A transaction, and where in the log it stands.
    Transaction {
        /// The whole transaction.
        transaction: Arc<Transaction>,
        /// Its place; the direct log has none.
        place: Option<LogPlace>,
    },
    /// Everything up to `position` has been handed over, and the source had nothing more at that moment.
    Heartbeat {
        /// Where the source was.
        position: Position,
        /// When, by the publisher's clock and not in the reader's future. However long the entry waits to be taken,
        /// this is what it says something about.
        at: SystemTime,
        /// Its place; the direct log has none.
        place: Option<LogPlace>,
    },
    /// What led to `position` is missing, or the source's numbers went back to it: nothing before this entry, and no
    /// position from before it, says anything of what follows. Who stands before it loads anew.
    StartsOver {
        /// After which the log goes on.
        position: Position,
        /// Its place; the direct log has none.
        place: Option<LogPlace>,
    },
}

impl LogEntry {
    /// Bytes that its transaction takes in memory, about. What has none takes next to nothing.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Transaction { transaction, .. } => transaction.bytes(),
            Self::Heartbeat { .. } | Self::StartsOver { .. } => 0,
        }
    }

    /// Its place in the log, where it has one.
    pub fn place(&self) -> Option<LogPlace> {
        match self {
            Self::Transaction { place, .. }
            | Self::Heartbeat { place, .. }
            | Self::StartsOver { place, .. } => *place,
        }
    }
}

/// What tells a transaction from others of the same number: after `RESET MASTER`, or where a backup was put back, numbers
/// are given out again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownTransaction {
    /// Its number.
    pub gtid: Gtid,
    /// The position before it.
    pub previous: Position,
    /// As [`Transaction::committed_at`], which replicas keep.
    pub committed_at: i64,
    /// As [`Transaction::fingerprint`], where it was captured: what was committed within the same second is told apart by
    /// it. Logs do not keep it.
    #[serde(skip)]
    pub fingerprint: Fingerprint,
}

/// As far as logs keep it.
impl PartialEq for KnownTransaction {
    fn eq(&self, other: &Self) -> bool {
        let kept = |known: &Self| (known.gtid, known.committed_at);
        kept(self) == kept(other) && self.previous == other.previous
    }
}

impl Eq for KnownTransaction {}

impl KnownTransaction {
    /// Whether `other`, which has its number, is it as far as can be told.
    pub fn is(&self, other: &Transaction) -> bool {
        self.committed_at == other.committed_at && !self.fingerprint.contradicts(&other.fingerprint)
    }
}

impl From<&Transaction> for KnownTransaction {
    fn from(transaction: &Transaction) -> Self {
        let Transaction { gtid, committed_at, fingerprint, .. } = *transaction;
        Self { gtid, previous: transaction.previous.clone(), committed_at, fingerprint }
    }
}

/// Where a log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// After its last entry.
    pub position: Position,
    /// The last transaction that it knows at or before `position`.
    pub last: Option<KnownTransaction>,
    /// The place of its last entry.
    pub place: LogPlace,
}

/// Entries in order. It ends only with an error.
pub type LogStream = BoxStream<'static, Result<LogEntry>>;

/// A log of each source's transactions.
#[async_trait]
pub trait ChangeLog: Send + Sync + fmt::Debug {
    /// Whether what is published stays, for readers beside this process and for later. A log that stays is never
    /// cut by us: where a transaction does not fit, it stands.
    fn stays(&self) -> bool;

    /// Where what the log holds for `source` ends, from which a capture goes on; `None` if the log keeps nothing (a
    /// log of one process) or is empty.
    async fn end(&self, source: &SourceId) -> Result<Option<LogEnd>>;

    /// Opens `source`'s log for writing. There is one publisher per source; a later one fences the earlier.
    async fn publisher(&self, source: &SourceId) -> Result<Box<dyn Publisher>>;

    /// Reads `source`'s log. It, or its stream, fails with [`ErrorKind::PositionGone`](crate::ErrorKind::PositionGone) if
    /// the log no longer goes back to `start`, or is not the one that `start` is a place in, or that was read so far.
    async fn subscribe(&self, source: &SourceId, start: LogStart) -> Result<LogStream>;
}

/// Writes one source's transactions.
#[async_trait]
pub trait Publisher: Send {
    /// Appends a transaction. May return before it is durable; waits when the log's buffer is full.
    async fn publish(&mut self, transaction: Arc<Transaction>) -> Result<()>;

    /// Says which transaction is the last before whatever is published next, where the log cannot know: it keeps that,
    /// if it keeps anything, with the next entry.
    async fn follows(&mut self, last: KnownTransaction) -> Result<()>;

    /// Tells subscribers that the source had nothing beyond `position` at the moment `at`. Everything published
    /// before is made visible first.
    async fn heartbeat(&mut self, position: Position, at: SystemTime) -> Result<()>;

    /// Says to all readers of the log that it goes on after `position`, and that what was published before does not
    /// lead there; `last` is the last transaction before it, where that is known. It is durable, and visible, when this
    /// returns.
    async fn start_over(&mut self, position: Position, last: Option<KnownTransaction>) -> Result<()>;

    /// Whether the log has something of what this publisher was told. Until then its opening proves nothing: it may fail
    /// again at the first entry.
    fn has_committed(&self) -> bool;
}
