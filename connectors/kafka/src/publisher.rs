//! Publishing: the async side, which hands transactions to the [`Writer`]'s thread.
//!
//! **Why can two publishers not both append?** Opening one registers its transactional id, by which the broker
//! fences the publisher before it and aborts the transaction that one left open. Only after that is the end of
//! the log read; from then on nobody else can move it.
//!
//! **What if it is full?** At most [`QUEUED_PARTS`] × [`PART_BYTES`] of transactions wait for the writer's thread;
//! past that, `publish` waits. A larger transaction waits until the queue is empty and then has it for itself.
//!
//! **What if it fails?** The Kafka transaction is aborted, each later call gives the same error, and its owner
//! opens a new publisher and captures from the end of the log again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::SystemTime;

use async_trait::async_trait;
use crossweave_contract::{
    ConnectorError, ErrorKind, KnownTransaction, Position, Publisher, Result, SourceId, TableId, Transaction,
};
use parking_lot::Mutex;
use rdkafka::admin::AdminClient;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::KafkaOptions;
use crate::client::Context;
use crate::log::{Feeds, blocking};
use crate::topics::{self, TopicKind, feed_topic, markers_topic};
use crate::writer::Writer;

/// What waits for the writer takes one part, and one more for each [`PART_BYTES`]: 64 MiB in all.
const QUEUED_PARTS: usize = 8192;

/// Bytes of a transaction, in memory, for which it takes a part of the queue.
const PART_BYTES: usize = 8 << 10;

/// What the writer's thread is told.
pub(crate) enum Command {
    /// Append it. The permit is its room in the queue.
    Publish(Arc<Transaction>, OwnedSemaphorePermit),
    /// It is the last transaction before what comes next.
    Follows(KnownTransaction, OwnedSemaphorePermit),
    /// Commit, and say that the source had nothing beyond the position at that moment.
    Heartbeat {
        position: Position,
        at: SystemTime,
        done: oneshot::Sender<Result<()>>,
        _room: OwnedSemaphorePermit,
    },
    /// Commit, and say that the log goes on after the position.
    StartOver {
        position: Position,
        last: Option<KnownTransaction>,
        done: oneshot::Sender<Result<()>>,
        _room: OwnedSemaphorePermit,
    },
}

/// Why the writer ended; filled once, before the queue closes.
pub(crate) type Failure = Arc<Mutex<Option<ConnectorError>>>;

/// Writes one source's transactions, feeds and markers.
pub(crate) struct KafkaPublisher {
    options: KafkaOptions,
    feeding: Feeds,
    admin: AdminClient<Context>,
    commands: SyncSender<Command>,
    room: Arc<Semaphore>,
    failure: Failure,
    /// Set by the writer.
    has_committed: Arc<AtomicBool>,
    /// Feeds whose topics are there.
    feeds: HashSet<TableId>,
}

impl KafkaPublisher {
    /// Fences the publisher before, finds the end of the log and starts the writer's thread.
    pub(crate) async fn open(
        options: KafkaOptions,
        feeding: Feeds,
        source: SourceId,
        admin: AdminClient<Context>,
    ) -> Result<Self> {
        topics::ensure(&options, &admin, &markers_topic(&options.prefix), TopicKind::Markers).await?;
        let room = Arc::new(Semaphore::new(QUEUED_PARTS));
        let failure = Failure::default();
        let (commands, queue) = sync_channel(QUEUED_PARTS);
        let (writer_options, writer_feeding) = (options.clone(), Arc::clone(&feeding));
        let (writer_room, writer_failure) = (Arc::clone(&room), Arc::clone(&failure));
        let has_committed = Arc::new(AtomicBool::new(false));
        let writer_committed = Arc::clone(&has_committed);
        blocking(move || {
            let name = format!("publish {source}");
            let writer = Writer::open(writer_options, writer_feeding, source, writer_committed)?;
            let run = move || {
                if let Err(error) = writer.run(&queue) {
                    tracing::warn!(%error, "publishing ended");
                    writer_failure.lock().get_or_insert(error);
                }
                // Wakes whoever waits for room, to find the failure.
                writer_room.close();
            };
            let spawned = std::thread::Builder::new().name(name).spawn(run);
            spawned.map(|_| ()).map_err(|error| {
                ConnectorError::new(ErrorKind::Limit, format!("No thread for the change log: {error}"))
            })
        })
        .await?;
        Ok(Self { options, feeding, admin, commands, room, failure, has_committed, feeds: HashSet::new() })
    }

    /// A publisher that failed once stays failed.
    fn check(&self) -> Result<()> {
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let permits = (1 + bytes / PART_BYTES).min(QUEUED_PARTS) as u32;
        Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| self.failed())
    }

    fn send(&self, command: Command) -> Result<()> {
        // Never full: each command holds at least one of as many permits as the queue has places.
        self.commands.try_send(command).map_err(|_| self.failed())
    }

    fn failed(&self) -> ConnectorError {
        let ended = || ConnectorError::new(ErrorKind::Bug, "The change log's writer ended without saying why");
        self.failure.lock().clone().unwrap_or_else(ended)
    }

    async fn ensure_feeds(&mut self, transaction: &Transaction) -> Result<()> {
        for table in &transaction.tables {
            if !self.feeds.contains(&table.id) && (self.feeding)(&table.id) {
                let topic = feed_topic(&self.options.prefix, &table.id);
                topics::ensure(&self.options, &self.admin, &topic, TopicKind::Feed).await?;
                self.feeds.insert(table.id.clone());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&mut self, transaction: Arc<Transaction>) -> Result<()> {
        self.check()?;
        self.ensure_feeds(&transaction).await?;
        let room = self.room_for(transaction.bytes()).await?;
        self.send(Command::Publish(transaction, room))
    }

    async fn follows(&mut self, last: KnownTransaction) -> Result<()> {
        self.check()?;
        let room = self.room_for(0).await?;
        self.send(Command::Follows(last, room))
    }

    async fn heartbeat(&mut self, position: Position, at: SystemTime) -> Result<()> {
        self.commit(|done, _room| Command::Heartbeat { position, at, done, _room }).await
    }

    async fn start_over(&mut self, position: Position, last: Option<KnownTransaction>) -> Result<()> {
        self.commit(|done, _room| Command::StartOver { position, last, done, _room }).await
    }

    fn has_committed(&self) -> bool {
        self.has_committed.load(Ordering::Relaxed)
    }
}

impl KafkaPublisher {
    /// Sends a command that ends with a commit, and waits for that.
    async fn commit(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<()>>, OwnedSemaphorePermit) -> Command,
    ) -> Result<()> {
        self.check()?;
        let room = self.room_for(0).await?;
        let (done, committed) = oneshot::channel();
        self.send(command(done, room))?;
        let result = committed.await.map_err(|_| self.failed())?;
        if let Err(error) = &result {
            // The writer says the same once it has undone what was open.
            self.failure.lock().get_or_insert_with(|| error.clone());
        }
        result
    }
}
