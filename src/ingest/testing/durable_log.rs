//! A change log in memory that stays, as Kafka does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use crossweave_contract::{
    ChangeLog, ConnectorError, ErrorKind, KnownTransaction, LogEnd, LogEntry, LogId, LogOffset, LogPlace,
    LogStart, LogStream, Position, Publisher, Result, SourceId, Transaction,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A log that keeps everything, with offsets, until it is told to forget.
#[derive(Debug)]
pub(in crate::ingest) struct DurableLog {
    id: LogId,
    entries: Arc<Mutex<Vec<LogEntry>>>,
    last: Arc<Mutex<Option<KnownTransaction>>>,
    changed: watch::Sender<u64>,
    /// Entries before this offset are gone.
    pub(in crate::ingest) begins: Mutex<i64>,
    /// Takes what is published, and commits none of it, as a broker may that denies it.
    pub(in crate::ingest) denies: Arc<AtomicBool>,
    /// How many publishers there were.
    pub(in crate::ingest) publishers: AtomicUsize,
    /// Where subscriptions began.
    pub(in crate::ingest) starts: Mutex<Vec<LogStart>>,
}

impl DurableLog {
    pub(in crate::ingest) fn new() -> Self {
        Self {
            id: LogId(rand::random()),
            entries: Arc::default(),
            last: Arc::default(),
            changed: watch::Sender::new(0),
            begins: Mutex::new(0),
            denies: Arc::default(),
            publishers: AtomicUsize::new(0),
            starts: Mutex::default(),
        }
    }

    /// Whether the transaction `sequence` was published.
    pub(in crate::ingest) fn holds(&self, sequence: u64) -> bool {
        self.entries.lock().iter().any(|entry| match entry {
            LogEntry::Transaction { transaction, .. } => transaction.gtid.sequence == sequence,
            _ => false,
        })
    }

    /// How often it started over.
    pub(in crate::ingest) fn starts_over(&self) -> usize {
        self.entries.lock().iter().filter(|entry| matches!(entry, LogEntry::StartsOver { .. })).count()
    }

    /// Forgets everything but the last entry.
    pub(in crate::ingest) fn forget(&self) {
        *self.begins.lock() = self.entries.lock().len() as i64 - 1;
    }
}

#[async_trait]
impl ChangeLog for DurableLog {
    fn stays(&self) -> bool {
        true
    }

    async fn end(&self, _: &SourceId) -> Result<Option<LogEnd>> {
        let entries = self.entries.lock();
        Ok(entries.last().map(|entry| {
            let position = match entry {
                LogEntry::Transaction { transaction, .. } => transaction.position(),
                LogEntry::Heartbeat { position, .. } | LogEntry::StartsOver { position, .. } => {
                    position.clone()
                }
            };
            let place = place(self.id, entries.len() - 1);
            LogEnd { position, last: self.last.lock().clone(), place }
        }))
    }

    async fn publisher(&self, _: &SourceId) -> Result<Box<dyn Publisher>> {
        let (entries, last) = (Arc::clone(&self.entries), Arc::clone(&self.last));
        let (changed, denies) = (self.changed.clone(), Arc::clone(&self.denies));
        self.publishers.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(DurablePublisher { id: self.id, entries, last, changed, denies, has_committed: false }))
    }

    async fn subscribe(&self, _: &SourceId, start: LogStart) -> Result<LogStream> {
        self.starts.lock().push(start);
        let begins = *self.begins.lock();
        let from = match start {
            LogStart::Oldest => begins,
            LogStart::After(LogPlace { log, offset }) if log == self.id && offset.0 + 1 >= begins => {
                offset.0 + 1
            }
            LogStart::After(_) => {
                return Err(ConnectorError::new(
                    ErrorKind::PositionGone,
                    "the log begins later, or is another",
                ));
            }
        };
        let state = (from as usize, Arc::clone(&self.entries), self.changed.subscribe());
        let stream = futures::stream::unfold(state, |(at, entries, mut changed)| async move {
            loop {
                changed.mark_unchanged();
                let entry = entries.lock().get(at).cloned();
                if let Some(entry) = entry {
                    return Some((Ok(entry), (at + 1, entries, changed)));
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        });
        Ok(Box::pin(stream))
    }
}

fn place(log: LogId, index: usize) -> LogPlace {
    LogPlace { log, offset: LogOffset(index as i64) }
}

struct DurablePublisher {
    id: LogId,
    entries: Arc<Mutex<Vec<LogEntry>>>,
    last: Arc<Mutex<Option<KnownTransaction>>>,
    changed: watch::Sender<u64>,
    denies: Arc<AtomicBool>,
    has_committed: bool,
}

impl DurablePublisher {
    fn append(&mut self, entry: impl FnOnce(Option<LogPlace>) -> LogEntry) {
        let mut entries = self.entries.lock();
        let place = place(self.id, entries.len());
        entries.push(entry(Some(place)));
        drop(entries);
        self.has_committed = true;
        self.changed.send_modify(|version| *version += 1);
    }

    fn may_commit(&self) -> Result<()> {
        if self.denies.load(Ordering::SeqCst) {
            return Err(ConnectorError::new(ErrorKind::Denied, "the log may not be written"));
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for DurablePublisher {
    async fn publish(&mut self, transaction: Arc<Transaction>) -> Result<()> {
        if self.denies.load(Ordering::SeqCst) {
            return Ok(());
        }
        *self.last.lock() = Some((&*transaction).into());
        self.append(|place| LogEntry::Transaction { transaction, place });
        Ok(())
    }

    async fn follows(&mut self, last: KnownTransaction) -> Result<()> {
        *self.last.lock() = Some(last);
        Ok(())
    }

    async fn heartbeat(&mut self, position: Position, at: SystemTime) -> Result<()> {
        self.may_commit()?;
        self.append(|place| LogEntry::Heartbeat { position, at, place });
        Ok(())
    }

    async fn start_over(&mut self, position: Position, last: Option<KnownTransaction>) -> Result<()> {
        self.may_commit()?;
        *self.last.lock() = last;
        self.append(|place| LogEntry::StartsOver { position, place });
        Ok(())
    }

    fn has_committed(&self) -> bool {
        self.has_committed
    }
}
