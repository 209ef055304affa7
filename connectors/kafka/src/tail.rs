//! The end of a source's log: its last committed record, and the position after it.
//!
//! The last offsets of the topic are not records but the marks by which Kafka commits and aborts transactions,
//! and records of aborted transactions are not shown; so the end is looked for in windows that grow backwards
//! until one holds a record.

use std::time::{Duration, Instant};

use crossweave_contract::{LogEnd, LogOffset, LogPlace, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::KafkaOptions;
use crate::client::{self, Context};
use crate::reader::broken_record;
use crate::record;

/// Offsets in the first window, and the factor by which windows grow.
const WINDOW: i64 = 16;

/// How long one poll waits; the deadline is looked at in between.
const POLL: Duration = Duration::from_millis(100);

/// The last committed record of `topic` and the position after it; `None` if it has none. Blocks.
pub(crate) fn end(options: &KafkaOptions, topic: &str) -> Result<Option<LogEnd>> {
    let consumer = client::consumer(options)?;
    let (low, high) = watermarks(options, &consumer, topic)?;
    let mut window = WINDOW;
    loop {
        let start = low.max(high.saturating_sub(window));
        if let Some(end) = last_in(options, &consumer, topic, start, high)? {
            return Ok(Some(end));
        }
        if start == low {
            return Ok(None);
        }
        window = window.saturating_mul(WINDOW);
    }
}

/// The oldest offset, and the one after the last that is neither in an open transaction nor after one. A topic
/// that was created a moment ago may not be known at once.
pub(crate) fn watermarks(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Context>,
    topic: &str,
) -> Result<(i64, i64)> {
    let deadline = Instant::now() + options.connect_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.fetch_watermarks(topic, 0, left.max(POLL)) {
            Ok(watermarks) => return Ok(watermarks),
            Err(error) if left.is_zero() => {
                return Err(client::failure(options, &format!("Reading the topic {topic}"), &error));
            }
            Err(error) => {
                tracing::debug!(topic, %error, "asking for the topic's offsets again");
                // Serves the client's events; also the pause before the next try.
                if let Some(Err(error)) = consumer.poll(POLL) {
                    tracing::debug!(topic, %error, "while waiting for the topic");
                }
            }
        }
    }
}

/// Makes `consumer` read `topic` from `offset` on.
pub(crate) fn assign(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Context>,
    topic: &str,
    offset: i64,
) -> Result<()> {
    let mut partitions = TopicPartitionList::with_capacity(1);
    partitions
        .add_partition_offset(topic, 0, Offset::Offset(offset))
        .and_then(|()| consumer.assign(&partitions))
        .map_err(|error| client::failure(options, &format!("Reading the topic {topic}"), &error))
}

fn last_in(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Context>,
    topic: &str,
    start: i64,
    end: i64,
) -> Result<Option<LogEnd>> {
    if start >= end {
        return Ok(None);
    }
    assign(options, consumer, topic, start)?;
    let mut deadline = Instant::now() + options.away_timeout;
    let mut last = None;
    loop {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) if message.offset() >= end => break,
            Some(Ok(message)) => {
                deadline = Instant::now() + options.away_timeout;
                let payload = message.payload().unwrap_or_default();
                let record::Record { log, header, .. } = record::decode(payload)
                    .map_err(|reason| broken_record(topic, message.offset(), &reason))?;
                let place = LogPlace { log, offset: LogOffset(message.offset()) };
                let known = header.last().cloned();
                last = header.position().map(|position| LogEnd { position, last: known, place }).or(last);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(client::is_transient) => {}
            Some(Err(error)) => {
                return Err(client::failure(options, &format!("Reading the topic {topic}"), &error));
            }
        }
        if Instant::now() >= deadline {
            let code = RDKafkaErrorCode::OperationTimedOut;
            return Err(client::failure_of(options, &format!("Reading the end of the topic {topic}"), code));
        }
    }
    Ok(last)
}
