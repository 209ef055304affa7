//! The change log in Kafka, and the feeds that other services read.
//!
//! **What is where.** A source's transactions go, whole and in order, to the one partition of
//! `<prefix>.<source>.transactions`, in a compact binary form ([`record`]); our own caches read nothing else.
//! In the same Kafka transactions go the feeds: one topic per table, `<prefix>.<service>.<table>`, with events
//! in Debezium's format ([`feed`]), and `<prefix>.transaction` with the markers that tell which events belong
//! together. Names that Kafka does not allow are escaped, see [`topics`].
//!
//! **Why is no transaction lost or published twice?** The log itself says how far it got: [`ChangeLog::end`] is
//! the position after the last committed record, and a capture goes on from there. A Kafka transaction holds
//! several whole source transactions, so after a crash the log ends between two of them. Opening a publisher
//! fences the one before and aborts what it left open; only then is the end of the log read, and whatever that
//! position contains is passed over ([`publisher`]).
//!
//! **Kafka transactions are not what correctness rests on.** They give readers a clean feed. Each record
//! carries the position before and after it, so that a reader of the log notices a gap and skips a repetition.
//!
//! [`ChangeLog::end`]: crossweave_contract::ChangeLog::end

mod client;
mod feed;
mod log;
mod options;
mod publisher;
mod reader;
mod record;
mod tail;
mod topics;
mod writer;

#[cfg(test)]
mod tests;

pub use log::KafkaLog;
pub use options::{KafkaOptions, Retention, TopicOptions, TopicsOptions};
pub use topics::{feed_topic, markers_topic, transactions_topic};
