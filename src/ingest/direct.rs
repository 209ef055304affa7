//! The change log of one process: a bounded queue per source, without a broker.
//!
//! It keeps nothing: what was handed over is gone, and a restart captures again from where the caches' checkpoints
//! are. **What happens when it is full?** The publisher waits, and with it the capture, and with that, through TCP,
//! the source's server, which keeps its binlog.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use crossweave_contract::{
    ChangeLog, ConnectorError, ErrorKind, KnownTransaction, LogEnd, LogEntry, LogStart, LogStream, Position,
    Publisher, Result, SourceId, Transaction,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Entries that may wait for the subscriber.
const ENTRIES: usize = 1024;
/// Bytes of transactions that may wait; a larger transaction waits alone.
const BYTES: usize = 64 << 20;

/// An entry, and the room it takes until it is handed over.
type Queued = (LogEntry, Option<OwnedSemaphorePermit>);

/// A log that lives in this process.
#[derive(Debug, Default)]
pub struct DirectLog {
    pipes: Mutex<HashMap<SourceId, Arc<Pipe>>>,
}

#[derive(Debug)]
struct Pipe {
    sender: mpsc::Sender<Queued>,
    receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Queued>>>,
    room: Arc<Semaphore>,
    /// Number of publishers so far: only the last one may write.
    publishers: AtomicU64,
}

impl DirectLog {
    /// A log without entries.
    pub fn new() -> Self {
        Self::default()
    }

    fn pipe(&self, source: &SourceId) -> Arc<Pipe> {
        let mut pipes = self.pipes.lock();
        let pipe = pipes.entry(source.clone()).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(ENTRIES);
            Arc::new(Pipe {
                sender,
                receiver: Arc::new(tokio::sync::Mutex::new(receiver)),
                room: Arc::new(Semaphore::new(BYTES)),
                publishers: AtomicU64::new(0),
            })
        });
        Arc::clone(pipe)
    }
}

#[async_trait]
impl ChangeLog for DirectLog {
    fn stays(&self) -> bool {
        false
    }

    async fn end(&self, _source: &SourceId) -> Result<Option<LogEnd>> {
        Ok(None)
    }

    async fn publisher(&self, source: &SourceId) -> Result<Box<dyn Publisher>> {
        let pipe = self.pipe(source);
        let number = pipe.publishers.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Box::new(DirectPublisher { source: source.clone(), pipe, number, has_sent: false }))
    }

    async fn subscribe(&self, source: &SourceId, start: LogStart) -> Result<LogStream> {
        if let LogStart::After(place) = start {
            let message = format!("the direct change log has no offset {}: it keeps nothing", place.offset.0);
            return Err(ConnectorError::new(ErrorKind::PositionGone, message));
        }
        let receiver = Arc::clone(&self.pipe(source).receiver).try_lock_owned().map_err(|_| {
            let message = format!("the direct change log of {source} has a subscriber already");
            ConnectorError::new(ErrorKind::Bug, message)
        })?;
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            let (entry, _room) = receiver.recv().await?;
            Some((Ok(entry), receiver))
        });
        Ok(Box::pin(stream))
    }
}

struct DirectPublisher {
    source: SourceId,
    pipe: Arc<Pipe>,
    number: u64,
    has_sent: bool,
}

impl DirectPublisher {
    async fn send(&mut self, entry: LogEntry, room: Option<OwnedSemaphorePermit>) -> Result<()> {
        let fenced = self.pipe.publishers.load(Ordering::SeqCst) != self.number;
        if fenced || self.pipe.sender.send((entry, room)).await.is_err() {
            let message = format!("another publisher writes the direct change log of {}", self.source);
            return Err(ConnectorError::new(ErrorKind::Bug, message));
        }
        self.has_sent = true;
        Ok(())
    }
}

#[async_trait]
impl Publisher for DirectPublisher {
    async fn publish(&mut self, transaction: Arc<Transaction>) -> Result<()> {
        let entry = LogEntry::Transaction { transaction, place: None };
        let bytes = entry.bytes().min(BYTES) as u32;
        let room = Arc::clone(&self.pipe.room).acquire_many_owned(bytes).await.ok();
        self.send(entry, room).await
    }

    async fn follows(&mut self, _: KnownTransaction) -> Result<()> {
        Ok(())
    }

    async fn heartbeat(&mut self, position: Position, at: SystemTime) -> Result<()> {
        self.send(LogEntry::Heartbeat { position, at, place: None }, None).await
    }

    async fn start_over(&mut self, position: Position, _: Option<KnownTransaction>) -> Result<()> {
        self.send(LogEntry::StartsOver { position, place: None }, None).await
    }

    fn has_committed(&self) -> bool {
        self.has_sent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt, StreamExt};

    use crossweave_contract::{LogId, LogOffset, LogPlace};

    use super::*;
    use crate::ingest::testing::{numbered, of_bytes, transaction};

    #[tokio::test]
    async fn hands_over_in_order_and_a_full_log_makes_the_publisher_wait() {
        let log = DirectLog::new();
        let source = SourceId::from("source");
        let mut publisher = log.publisher(&source).await.unwrap();
        for sequence in 1..=ENTRIES as u64 {
            publisher.publish(transaction(sequence, vec![])).await.unwrap();
        }
        assert!(publisher.heartbeat(numbered(ENTRIES as u64), SystemTime::now()).now_or_never().is_none());
        let mut stream = log.subscribe(&source, LogStart::Oldest).await.unwrap();
        for sequence in 1..=ENTRIES as u64 {
            let Some(Ok(LogEntry::Transaction { transaction, place: None })) = stream.next().await else {
                panic!("expected transaction {sequence}");
            };
            assert_eq!(transaction.gtid.sequence, sequence);
        }
        // However long a heartbeat waits, it says what was so when it was proved.
        let proved = SystemTime::now() - Duration::from_secs(60);
        publisher.heartbeat(numbered(7), proved).await.unwrap();
        let Some(Ok(LogEntry::Heartbeat { position, at, .. })) = stream.next().await else {
            panic!("a heartbeat")
        };
        assert_eq!((position, at), (numbered(7), proved));
    }

    #[tokio::test]
    async fn large_transactions_fill_it_by_their_bytes_and_one_of_any_size_passes_alone() {
        let log = DirectLog::new();
        let source = SourceId::from("source");
        let mut publisher = log.publisher(&source).await.unwrap();
        let mut stream = log.subscribe(&source, LogStart::Oldest).await.unwrap();
        let larger = of_bytes(1, BYTES + 1);
        publisher.publish(Arc::clone(&larger)).await.unwrap();
        assert!(publisher.publish(Arc::clone(&larger)).now_or_never().is_none());
        assert!(stream.next().await.is_some());
        let part = of_bytes(2, BYTES / 4);
        for _ in 0..3 {
            publisher.publish(Arc::clone(&part)).await.unwrap();
        }
        // With what a transaction takes besides its rows, four do not fit.
        assert!(publisher.publish(Arc::clone(&part)).now_or_never().is_none());
        assert!(stream.next().await.is_some());
        publisher.publish(part).await.unwrap();
    }

    #[tokio::test]
    async fn one_subscriber_and_one_publisher_at_a_time_and_nothing_lost_between_two() {
        let log = DirectLog::new();
        let source = SourceId::from("source");
        let mut first = log.publisher(&source).await.unwrap();
        first.heartbeat(numbered(1), SystemTime::now()).await.unwrap();
        let stream = log.subscribe(&source, LogStart::Oldest).await.unwrap();
        assert!(log.subscribe(&source, LogStart::Oldest).await.is_err());
        drop(stream);
        let mut stream = log.subscribe(&source, LogStart::Oldest).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(LogEntry::Heartbeat { .. }))));
        let mut second = log.publisher(&source).await.unwrap();
        assert!(first.heartbeat(numbered(2), SystemTime::now()).await.is_err());
        second.heartbeat(numbered(3), SystemTime::now()).await.unwrap();
        let place = LogPlace { log: LogId(1), offset: LogOffset(4) };
        let after = log.subscribe(&source, LogStart::After(place)).await;
        assert_eq!(after.err().unwrap().kind, ErrorKind::PositionGone);
    }
}
