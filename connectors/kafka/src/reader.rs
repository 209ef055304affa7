//! Subscriptions: a source's transactions out of its topic, in order and whole.
//!
//! Each subscription has a consumer on a thread of its own, which reads the topic's one partition from an
//! explicit offset. It shows committed records only. What has been read and not yet taken is bounded by
//! [`ENTRIES`] and [`BYTES`]; when either is reached the thread waits, and librdkafka then keeps at most 32 MiB
//! more. The thread ends when the stream is dropped.
//!
//! **When does a heartbeat mean that the cache is current?** At the moment that it carries, if nothing follows it in
//! the log. So a heartbeat is handed over at the end of the log, with its moment. That is of the publisher's clock:
//! what readers on other machines say of ages is off by as much as their clocks differ from it. A moment that is
//! still to come by the reader's clock counts as the one at which the heartbeat was read.
//!
//! **What if the topic is made anew?** Each record says which log it belongs to. One of another log than that of the start,
//! or of the record before it, ends the stream with [`ErrorKind::PositionGone`].
//!
//! **What if the brokers go away?** librdkafka goes on by itself when they are back. After `away_timeout` they
//! are asked once more, and if none answers the stream ends with [`ErrorKind::Unreachable`]; a new subscription
//! after the last offset goes on where it ended.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossweave_contract::{
    ConnectorError, ErrorKind, LogEntry, LogId, LogOffset, LogPlace, LogStart, LogStream, Result, SourceId,
};
use futures::StreamExt;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::KafkaOptions;
use crate::client::{self, Context};
use crate::record::{self, Assembler, Header, Record, Refused};
use crate::tail::{assign, watermarks};
use crate::topics::transactions_topic;

/// Entries that wait for the subscriber.
const ENTRIES: usize = 1024;

/// Bytes, in memory, of the transactions that wait for the subscriber; a larger one waits alone.
const BYTES: usize = 64 << 20;

/// How long one poll waits; whether the subscriber is still there is looked at in between.
const POLL: Duration = Duration::from_millis(100);

type Item = (Result<LogEntry>, Option<OwnedSemaphorePermit>);

/// Opens a subscription. Blocks until the offsets are known.
pub(crate) fn subscribe(options: KafkaOptions, source: SourceId, start: LogStart) -> Result<LogStream> {
    let topic = transactions_topic(&options.prefix, &source);
    let consumer = client::consumer(&options)?;
    let (low, high) = watermarks(&options, &consumer, &topic)?;
    let (log, from) = match start {
        LogStart::Oldest => (None, low),
        LogStart::After(place) => (Some(place.log), place.offset.0.saturating_add(1)),
    };
    if from < low || from > high {
        return Err(position_gone(&topic, from, Some((low, high))));
    }
    assign(&options, &consumer, &topic, from)?;
    let (sender, receiver) = mpsc::channel(ENTRIES);
    let reader = Reader {
        assembler: Assembler::new(source.clone(), options.max_transaction_bytes, start == LogStart::Oldest),
        consumer,
        topic,
        sender,
        room: Arc::new(Semaphore::new(BYTES)),
        log,
        heartbeat: None,
        away_since: None,
        options,
    };
    std::thread::Builder::new().name(format!("log {source}")).spawn(move || reader.run()).map_err(|error| {
        ConnectorError::new(ErrorKind::Limit, format!("No thread for the change log: {error}"))
    })?;
    let items = futures::stream::unfold(receiver, |mut receiver| async move {
        // The permit is given back as the entry is handed over.
        receiver.recv().await.map(|(entry, _permit)| (entry, receiver))
    });
    Ok(items.boxed())
}

struct Reader {
    options: KafkaOptions,
    topic: String,
    consumer: BaseConsumer<Context>,
    assembler: Assembler,
    sender: mpsc::Sender<Item>,
    room: Arc<Semaphore>,
    /// Which log this is, once that is known.
    log: Option<LogId>,
    /// The last heartbeat, while nothing has followed it.
    heartbeat: Option<LogEntry>,
    /// Since when no broker has answered.
    away_since: Option<Instant>,
}

/// Why the thread ends.
enum Ended {
    /// The subscriber left.
    Dropped,
    /// The stream's last item.
    Failed(ConnectorError),
}

impl From<ConnectorError> for Ended {
    fn from(error: ConnectorError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    fn run(mut self) {
        loop {
            match self.step() {
                Ok(()) => {}
                Err(Ended::Dropped) => return,
                Err(Ended::Failed(error)) => {
                    tracing::debug!(topic = self.topic, %error, "subscription ends");
                    let _ = self.sender.blocking_send((Err(error), None));
                    return;
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), Ended> {
        if self.sender.is_closed() {
            return Err(Ended::Dropped);
        }
        let ready = match self.consumer.poll(POLL) {
            None => None,
            Some(Ok(message)) => {
                self.away_since = None;
                let record = read(&self.topic, &message, &mut self.log)?;
                take(&self.topic, record, message.offset(), &mut self.assembler, &mut self.heartbeat)?
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                self.away_since = None;
                self.heartbeat.take()
            }
            Some(Err(error)) => {
                self.failed(&error)?;
                None
            }
        };
        if let Some(entry) = ready {
            return self.hand_over(entry);
        }
        self.check_away()
    }

    /// Waits for room and hands `entry` to the subscriber.
    fn hand_over(&self, entry: LogEntry) -> Result<(), Ended> {
        let permits = entry.bytes().min(BYTES) as u32;
        let room = Arc::clone(&self.room);
        futures::executor::block_on(async {
            let permit = room.acquire_many_owned(permits).await.map_err(|_| Ended::Dropped)?;
            self.sender.send((Ok(entry), Some(permit))).await.map_err(|_| Ended::Dropped)
        })
    }

    fn failed(&mut self, error: &KafkaError) -> Result<(), Ended> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                let from = self.consumer.position().ok().and_then(|positions| {
                    positions.elements().first().and_then(|partition| partition.offset().to_raw())
                });
                Err(position_gone(&self.topic, from.unwrap_or(-1), None).into())
            }
            Some(code) if client::is_transient(code) => {
                tracing::debug!(topic = self.topic, %error, "waiting for the broker");
                self.away_since.get_or_insert_with(Instant::now);
                Ok(())
            }
            _ => {
                Err(client::failure(&self.options, &format!("Reading the topic {}", self.topic), error).into())
            }
        }
    }

    /// Ends the stream if the brokers have been away for long and do not answer now.
    fn check_away(&mut self) -> Result<(), Ended> {
        if self.away_since.is_none_or(|since| since.elapsed() < self.options.away_timeout) {
            return Ok(());
        }
        match self.consumer.fetch_watermarks(&self.topic, 0, self.options.connect_timeout) {
            Ok(_) => {
                self.away_since = None;
                Ok(())
            }
            Err(error) => Err(client::unreachable(&self.options, &error.to_string()).into()),
        }
    }
}

/// Reads a record, which is to be of the same log as those before it.
fn read<'a>(topic: &str, message: &'a BorrowedMessage<'_>, log: &mut Option<LogId>) -> Result<Record<'a>> {
    let record = record::decode(message.payload().unwrap_or_default())
        .map_err(|reason| broken_record(topic, message.offset(), &reason))?;
    let expected = *log.get_or_insert(record.log);
    if record.log != expected {
        return Err(another_log(topic, expected, record.log));
    }
    Ok(record)
}

/// Takes the record at `offset`; gives what it completes.
fn take(
    topic: &str,
    record: Record<'_>,
    offset: i64,
    assembler: &mut Assembler,
    heartbeat: &mut Option<LogEntry>,
) -> Result<Option<LogEntry>> {
    let place = Some(LogPlace { log: record.log, offset: LogOffset(offset) });
    *heartbeat = None;
    match record.header {
        Header::Heartbeat { position, at, .. } => {
            let at = UNIX_EPOCH + Duration::from_millis(at.max(0) as u64);
            *heartbeat = Some(LogEntry::Heartbeat { position, at: at.min(SystemTime::now()), place });
            Ok(None)
        }
        Header::StartsOver { position, .. } => Ok(Some(LogEntry::StartsOver { position, place })),
        Header::Part(part) => {
            let transaction = assembler.push(&part, record.body).map_err(|refused| match refused {
                Refused::Broken(reason) => broken_record(topic, offset, &reason),
                Refused::TooLarge(bytes) => too_large(topic, offset, bytes),
            })?;
            Ok(transaction
                .map(|transaction| LogEntry::Transaction { transaction: Arc::new(transaction), place }))
        }
    }
}

/// The topic was made anew, or somebody else's is there now.
fn another_log(topic: &str, expected: LogId, found: LogId) -> ConnectorError {
    let message = format!("The topic {topic} was made anew: expected records of log {expected}, found {found}");
    ConnectorError::new(ErrorKind::PositionGone, message)
}

/// A record that cannot be read, in its place.
pub(crate) fn broken_record(topic: &str, offset: i64, reason: &str) -> ConnectorError {
    let message =
        format!("The record at offset {offset} of partition 0 of the topic {topic} cannot be read: {reason}");
    ConnectorError::new(ErrorKind::Protocol, message)
        .with_fix("Use the Crossweave that wrote it, or set another prefix in [change_log]")
}

fn too_large(topic: &str, offset: i64, bytes: u64) -> ConnectorError {
    let message = format!(
        "The record at offset {offset} of partition 0 of the topic {topic} belongs to a transaction of {bytes} bytes, \
         which is more than max_transaction"
    );
    ConnectorError::new(ErrorKind::Limit, message).with_fix("Raise max_transaction in [change_log]")
}

fn position_gone(topic: &str, from: i64, range: Option<(i64, i64)>) -> ConnectorError {
    let found = match range {
        Some((low, high)) => format!("it has {low} to {high}"),
        None => "the broker has it no longer".to_owned(),
    };
    let message = format!("Offset {from} of the topic {topic} is gone: {found}");
    ConnectorError::new(ErrorKind::PositionGone, message)
}
