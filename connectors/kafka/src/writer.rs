//! The thread that owns the transactional producer.
//!
//! It gathers whole source transactions into one Kafka transaction, because one each costs some 30 ms: the
//! Kafka transaction is committed when it holds [`BATCH_TRANSACTIONS`] or [`BATCH_BYTES`], when its first has
//! waited for `commit_interval`, and at a heartbeat. librdkafka keeps at most [`QUEUE_KBYTES`] of records; when
//! it is full the thread waits, and with it the publisher.
//!
//! A heartbeat with nothing to commit is written at most once per [`HEARTBEAT_INTERVAL`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossweave_contract::{
    ConnectorError, ErrorKind, KnownTransaction, LogId, Position, Result, SourceId, Transaction,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::KafkaOptions;
use crate::client::{self, Context, MAX_RECORD_BYTES};
use crate::feed::{self, FeedRecord};
use crate::log::Feeds;
use crate::publisher::Command;
use crate::record;
use crate::tail;
use crate::topics::{feed_topic, markers_topic, transactional_id, transactions_topic};

/// Source transactions in one Kafka transaction.
const BATCH_TRANSACTIONS: usize = 1000;

/// Bytes of records, feeds included, after which a Kafka transaction takes no further source transaction.
const BATCH_BYTES: usize = 4 << 20;

/// Records in librdkafka's queue, in KiB. Room for two of the largest.
const QUEUE_KBYTES: &str = "131072";

/// The least time between two heartbeats that come with nothing else.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the broker keeps a transaction open whose publisher is gone. Readers wait for it, but for no longer
/// than until the next publisher opens. Bounds the time that one source transaction may take to write.
const TRANSACTION_TIMEOUT_MS: &str = "120000";

/// How long the first transaction of a cluster may take: the broker creates the topic of transactions' state.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long undoing may take before it is left to the broker.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often what librdkafka reports is taken from it while there is nothing to write.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// The first wait for deliveries before a commit; each further one is twice as long. rdkafka's `poll` never
/// returns early and spins through its last millisecond, so a fixed wait would be slow or busy.
const DELIVERY_POLL: Duration = Duration::from_millis(1);

/// The longest such wait, and that for room in librdkafka's queue.
const QUEUE_POLL: Duration = Duration::from_millis(20);

/// Records between two looks at what was delivered: until then they count as queued.
const RECORDS_PER_POLL: u32 = 256;

/// The least time for one try to commit.
const COMMIT_TRY: Duration = Duration::from_millis(100);

/// Milliseconds since the epoch.
pub(crate) fn ms(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// Writes one source's log.
pub(crate) struct Writer {
    options: KafkaOptions,
    feeding: Feeds,
    source: SourceId,
    topic: String,
    markers: String,
    producer: BaseProducer<Context>,
    /// Goes with every record.
    log: LogId,
    /// The position after the last record that was written; what it contains is not written again.
    at: Position,
    /// The last transaction that is known there.
    last: Option<KnownTransaction>,
    batch: Option<Batch>,
    /// Records since the last look at what was delivered.
    unpolled: Cell<u32>,
    last_heartbeat: Option<Instant>,
    has_committed: Arc<AtomicBool>,
}

/// An open Kafka transaction.
struct Batch {
    transactions: usize,
    bytes: usize,
    commit_at: Instant,
}

impl Writer {
    /// Fences the publisher before and finds the end of the log. Blocks.
    pub(crate) fn open(
        options: KafkaOptions,
        feeding: Feeds,
        source: SourceId,
        has_committed: Arc<AtomicBool>,
    ) -> Result<Self> {
        let topic = transactions_topic(&options.prefix, &source);
        let producer: BaseProducer<Context> = client::base_config(&options)
            .set("transactional.id", transactional_id(&options.prefix, &source))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .set("message.timeout.ms", options.away_timeout.as_millis().to_string())
            .set("message.max.bytes", MAX_RECORD_BYTES)
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
            .set("compression.type", "lz4")
            .set("linger.ms", "1")
            // As the Java client does it, so that a key is where its other writers put it.
            .set("partitioner", "murmur2_random")
            .create_with_context(Context::only_writer_of(&topic))
            .map_err(|error| client::failure(&options, "Opening a Kafka producer", &error))?;
        producer.init_transactions(INIT_TIMEOUT).map_err(|error| {
            let error = client::failure(&options, &format!("Becoming the publisher of source {source}"), &error);
            if error.kind != ErrorKind::Unreachable {
                return error;
            }
            error.with_fix(
                "Check that the cluster has as many brokers as its transaction.state.log.replication.factor asks for",
            )
        })?;
        let end = tail::end(&options, &topic)?;
        let log = end.as_ref().map_or_else(|| LogId(rand::random()), |end| end.place.log);
        producer.context().goes_on_after(end.as_ref().map_or(-1, |end| end.place.offset.0));
        let (at, last) = end.map(|end| (end.position, end.last)).unwrap_or_default();
        tracing::info!(%source, %log, position = %at, "publishing");
        let markers = markers_topic(&options.prefix);
        Ok(Self {
            options,
            feeding,
            source,
            topic,
            markers,
            producer,
            log,
            at,
            last,
            batch: None,
            unpolled: Cell::new(0),
            last_heartbeat: None,
            has_committed,
        })
    }

    /// Does what is told until nobody tells any more, or something fails.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) -> Result<()> {
        let result = self.serve(commands);
        if let Err(error) = &result
            && self.producer.client().fatal_error().is_none()
            && let Err(abort) = self.producer.abort_transaction(ABORT_TIMEOUT)
        {
            tracing::debug!(source = %self.source, %error, %abort, "the open transaction is left to the broker");
        }
        result
    }

    fn serve(&mut self, commands: &Receiver<Command>) -> Result<()> {
        loop {
            self.producer.poll(Duration::ZERO);
            let wait = match &self.batch {
                None => IDLE_POLL,
                Some(batch) => batch.commit_at.saturating_duration_since(Instant::now()),
            };
            match commands.recv_timeout(wait) {
                Ok(Command::Publish(transaction, _room)) => self.publish(&transaction)?,
                Ok(Command::Heartbeat { position, at, done, _room }) => {
                    let result = self.heartbeat(&position, at);
                    // Nobody waits any more if the heartbeat was cancelled.
                    let _ = done.send(result.clone());
                    result?;
                }
                Ok(Command::Follows(last, _room)) => self.last = Some(last),
                Ok(Command::StartOver { position, last, done, _room }) => {
                    self.last = last;
                    let result = self.start_over(position);
                    let _ = done.send(result.clone());
                    result?;
                }
                Err(RecvTimeoutError::Timeout) => self.commit()?,
                Err(RecvTimeoutError::Disconnected) => return self.commit(),
            }
        }
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<()> {
        if self.at.contains(&transaction.gtid) {
            tracing::debug!(source = %self.source, gtid = %transaction.gtid, "already in the log");
            return Ok(());
        }
        if !self.at.is_origin() && !self.at.covers(&transaction.previous) {
            tracing::warn!(
                source = %self.source, gtid = %transaction.gtid, log = %self.at, expected = %transaction.previous,
                "the log has a gap before this transaction; caches that read it load anew"
            );
        }
        for fault in &transaction.faults {
            let (gtid, table, reason) = (&transaction.gtid, &fault.table, &fault.reason);
            tracing::warn!(%gtid, %table, reason, "changes could not be decoded and are missing in the feed");
        }
        // All that can fail without Kafka comes first: a transaction is written whole or not at all.
        let records = record::encode_transaction(self.log, transaction, self.options.max_transaction_bytes)?;
        self.begin()?;
        for record in &records {
            self.send(&self.topic, BaseRecord::to(&self.topic).partition(0).payload(record))?;
        }
        let feed_bytes = self.publish_feeds(transaction)?;
        self.at.merge(&transaction.position());
        self.last = Some(transaction.into());
        if let Some(batch) = &mut self.batch {
            batch.transactions += 1;
            batch.bytes += feed_bytes + records.iter().map(Vec::len).sum::<usize>();
            if batch.transactions >= BATCH_TRANSACTIONS || batch.bytes >= BATCH_BYTES {
                return self.commit();
            }
        }
        Ok(())
    }

    /// Writes the events of `transaction` between their markers; gives their bytes.
    fn publish_feeds(&self, transaction: &Transaction) -> Result<usize> {
        let fed: Vec<bool> = transaction.tables.iter().map(|table| (self.feeding)(&table.id)).collect();
        let markers = feed::markers(transaction, &fed).map_err(|error| {
            let message = format!("The markers of transaction {} cannot be written: {error}", transaction.gtid);
            ConnectorError::new(ErrorKind::Bug, message)
        })?;
        let Some(markers) = markers else { return Ok(0) };
        let prefix = &self.options.prefix;
        let topics: Vec<String> =
            transaction.tables.iter().map(|table| feed_topic(prefix, &table.id)).collect();
        let marker =
            |payload| BaseRecord::to(&self.markers).partition(0).key(markers.key.as_slice()).payload(payload);
        self.send(&self.markers, marker(markers.begin.as_slice()))?;
        let mut bytes = markers.begin.len() + markers.end.len();
        feed::for_each_record(transaction, &fed, prefix, ms(SystemTime::now()), &mut |event| {
            bytes += event.value.map_or(0, <[u8]>::len);
            let topic = &topics[event.table];
            self.send(topic, feed_record(topic, &event))
        })?;
        self.send(&self.markers, marker(markers.end.as_slice()))?;
        Ok(bytes)
    }

    fn heartbeat(&mut self, position: &Position, at: SystemTime) -> Result<()> {
        let recent = self.last_heartbeat.is_some_and(|last| last.elapsed() < HEARTBEAT_INTERVAL);
        // A capture that is still behind the log's end has nothing new to say.
        let behind = !position.covers(&self.at);
        if behind || (self.batch.is_none() && recent) {
            return self.commit();
        }
        let record = record::encode_heartbeat(self.log, position, ms(at), self.last.as_ref())?;
        self.begin()?;
        self.send(&self.topic, BaseRecord::to(&self.topic).partition(0).payload(&record))?;
        self.at.merge(position);
        self.last_heartbeat = Some(Instant::now());
        self.commit()
    }

    fn start_over(&mut self, position: Position) -> Result<()> {
        let record = record::encode_start(self.log, &position, self.last.as_ref())?;
        self.begin()?;
        self.send(&self.topic, BaseRecord::to(&self.topic).partition(0).payload(&record))?;
        self.at = position;
        self.commit()
    }

    fn begin(&mut self) -> Result<()> {
        if self.batch.is_none() {
            self.producer
                .begin_transaction()
                .map_err(|error| self.failure("Beginning a Kafka transaction", &error))?;
            let commit_at = Instant::now() + self.options.commit_interval;
            self.batch = Some(Batch { transactions: 0, bytes: 0, commit_at });
        }
        Ok(())
    }

    /// Commits the open Kafka transaction, if there is one.
    fn commit(&mut self) -> Result<()> {
        if self.batch.take().is_none() {
            return Ok(());
        }
        let deadline = Instant::now() + self.options.away_timeout;
        loop {
            // librdkafka's own flush, which commits begin with, waits in steps of 100 ms.
            let mut wait = DELIVERY_POLL;
            while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
                self.producer.poll(wait);
                wait = (2 * wait).min(QUEUE_POLL);
            }
            if self.producer.in_flight_count() > 0 {
                // What it fails for is told by the commit.
                let _ = self.producer.flush(COMMIT_TRY);
            }
            if self.producer.context().went_back() {
                // In the new topic this would be under the old one's id.
                return Err(made_anew(&self.topic));
            }
            // Past the deadline one last try still tells what is wrong.
            let left = deadline.saturating_duration_since(Instant::now()).max(COMMIT_TRY);
            match self.producer.commit_transaction(left) {
                Ok(()) => {
                    self.has_committed.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    tracing::debug!(source = %self.source, %error, "committing again");
                }
                Err(error) => return Err(self.failure("Committing to the change log", &error)),
            }
        }
    }

    fn send(&self, topic: &str, record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
        let deadline = Instant::now() + self.options.away_timeout;
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.unpolled.set(self.unpolled.get() + 1);
                    if self.unpolled.get() >= RECORDS_PER_POLL {
                        self.unpolled.set(0);
                        self.producer.poll(Duration::ZERO);
                    }
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if Instant::now() < deadline =>
                {
                    record = refused;
                    self.producer.poll(QUEUE_POLL);
                }
                Err((error, _)) => return Err(self.failure(&format!("Writing to the topic {topic}"), &error)),
            }
        }
    }

    /// What `error` means. A record that was not delivered, or a fatal error, tells more than what came after
    /// it.
    fn failure(&self, doing: &str, error: &KafkaError) -> ConnectorError {
        if let Some((code, _)) = self.producer.client().fatal_error() {
            return client::failure_of(&self.options, doing, code);
        }
        match self.producer.context().take_undelivered() {
            Some((topic, code)) => {
                client::failure_of(&self.options, &format!("Writing to the topic {topic}"), code)
            }
            None => client::failure(&self.options, doing, error),
        }
    }
}

fn made_anew(topic: &str) -> ConnectorError {
    let message =
        format!("The topic {topic} was deleted and made anew, or has lost its end, while it was written to");
    ConnectorError::new(ErrorKind::Unreachable, message)
}

fn feed_record<'a>(topic: &'a str, event: &FeedRecord<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut record = BaseRecord::to(topic);
    if let Some(key) = event.key {
        record = record.key(key);
    }
    if let Some(value) = event.value {
        record = record.payload(value);
    }
    if let Some((name, key)) = event.header {
        record =
            record.headers(OwnedHeaders::new_with_capacity(1).insert(Header { key: name, value: Some(key) }));
    }
    record
}
