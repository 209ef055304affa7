//! Names of topics, and their creation.
//!
//! Kafka allows `a-z A-Z 0-9 . _ -` in a topic's name, and here `.` separates the parts. In a part (a source, a
//! service or a table) every other byte, `.` included, is written `-xHH` with the byte in hexadecimal, and so
//! is a `-` where it would otherwise read as the beginning of such an escape: different names give different
//! topics. A table `order lines` of the service `orders` is fed to `<prefix>.orders.order-x20lines`. The first
//! letter of a table that is called just `transactions` is escaped as well (`-x74ransactions`), so that no feed
//! can meet `<prefix>.<source>.transactions`.
//!
//! A topic that is missing is created, one that is there is used as found.

use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result, SourceId, TableId};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

use crate::client::{self, Context, MAX_RECORD_BYTES};
use crate::options::{KafkaOptions, Retention, TopicOptions};

/// Kafka's own bound.
const MAX_TOPIC_LENGTH: usize = 249;

/// How long a source's transactions stay in the log: a node that was away for longer loads anew.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The topic of `source`'s transactions.
pub fn transactions_topic(prefix: &str, source: &SourceId) -> String {
    format!("{prefix}.{}.transactions", escape(source.as_str()))
}

/// The topic of the events of `table`.
pub fn feed_topic(prefix: &str, table: &TableId) -> String {
    let name = match &*table.table {
        "transactions" => "-x74ransactions".to_owned(),
        name => escape(name),
    };
    format!("{prefix}.{}.{name}", escape(table.service.as_str()))
}

/// The topic that says where transactions begin and end in the feeds.
pub fn markers_topic(prefix: &str) -> String {
    format!("{prefix}.transaction")
}

/// `source`'s transactional id: a later publisher of the same source and prefix fences the earlier.
pub(crate) fn transactional_id(prefix: &str, source: &SourceId) -> String {
    format!("{prefix}.{}.crossweave", escape(source.as_str()))
}

fn escape(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut escaped = String::with_capacity(bytes.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let literal = match byte {
            b'-' => !begins_escape(&bytes[index..]),
            _ => byte.is_ascii_alphanumeric() || byte == b'_',
        };
        if literal {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("-x{byte:02x}"));
        }
    }
    escaped
}

fn begins_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'-', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What a topic is for, which decides how it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicKind {
    /// One partition, kept for a week where nothing else is said.
    Transactions,
    /// As the options and the broker say.
    Feed,
    /// One partition, so that the markers are in order.
    Markers,
}

/// Creates `topic` unless it is there.
pub(crate) async fn ensure(
    options: &KafkaOptions,
    admin: &AdminClient<Context>,
    topic: &str,
    kind: TopicKind,
) -> Result<()> {
    if topic.len() > MAX_TOPIC_LENGTH {
        let message =
            format!("The topic {topic:?} has {} characters where Kafka allows {MAX_TOPIC_LENGTH}", topic.len());
        let error = ConnectorError::new(ErrorKind::Settings, message);
        return Err(error.with_fix("Shorten prefix in [change_log] or the service's name"));
    }
    let of_kind = options_of(options, kind);
    let number = |said: Option<u16>| said.map_or(-1, i32::from);
    let retention = of_kind.retention.map(|retention| match retention {
        Retention::Forever => "-1".to_owned(),
        Retention::For(duration) => duration.as_millis().to_string(),
    });
    let mut new_topic =
        NewTopic::new(topic, number(of_kind.partitions), TopicReplication::Fixed(number(of_kind.replication)))
            .set("max.message.bytes", MAX_RECORD_BYTES)
            .set("cleanup.policy", cleanup_policy(&of_kind));
    if let Some(retention) = &retention {
        new_topic = new_topic.set("retention.ms", retention).set("retention.bytes", "-1");
    }
    let timeouts = AdminOptions::new()
        .request_timeout(Some(options.connect_timeout))
        .operation_timeout(Some(options.connect_timeout));
    let doing = format!("Creating the topic {topic}");
    let results = admin
        .create_topics([&new_topic], &timeouts)
        .await
        .map_err(|error| client::failure(options, &doing, &error))?;
    match results.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => {
            if exists(options, topic).await? {
                return Ok(());
            }
            Err(client::failure_of(options, &doing, code))
        }
        Some(Ok(_)) => {
            tracing::info!(topic, "created topic");
            Ok(())
        }
        None => Err(ConnectorError::new(ErrorKind::Protocol, format!("{doing}: the broker sent no result"))),
    }
}

/// How topics of `kind` are created.
fn options_of(options: &KafkaOptions, kind: TopicKind) -> TopicOptions {
    let topics = &options.topics;
    match kind {
        TopicKind::Transactions => {
            let retention = topics.transactions.retention.or(Some(Retention::For(RETENTION)));
            // Their order is that of commits, and each record counts.
            TopicOptions { partitions: Some(1), retention, compact: false, ..topics.transactions }
        }
        TopicKind::Markers => TopicOptions { partitions: Some(1), compact: false, ..topics.markers },
        TopicKind::Feed => topics.feeds,
    }
}

fn cleanup_policy(options: &TopicOptions) -> &'static str {
    match (options.compact, options.retention) {
        (false, _) => "delete",
        (true, None | Some(Retention::Forever)) => "compact",
        (true, Some(Retention::For(_))) => "compact,delete",
    }
}

/// Whether `topic` is there, for an account that may use topics but not create them.
async fn exists(options: &KafkaOptions, topic: &str) -> Result<bool> {
    let probed = options.clone();
    let metadata = crate::log::blocking(move || client::probe(&probed)).await?;
    Ok(partitions(options, &metadata, topic)?.is_some())
}

/// The number of `topic`'s partitions; `None` if there is no such topic. A topic that is there but not ready is
/// an error, for to take it for missing would be to take its transactions for none.
pub(crate) fn partitions(options: &KafkaOptions, metadata: &Metadata, topic: &str) -> Result<Option<usize>> {
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
        Some(code) => Err(client::failure_of(options, &format!("Looking at the topic {topic}"), code)),
        None => Ok(Some(found.partitions().len())),
    }
}

/// Refuses a topic of transactions whose order is spread over several partitions.
pub(crate) fn check_single(topic: &str, partitions: usize) -> Result<()> {
    if partitions == 1 {
        return Ok(());
    }
    let message = format!(
        "The topic {topic} must have one partition, as its order is the order of commits; it has {partitions}"
    );
    Err(ConnectorError::new(ErrorKind::Settings, message)
        .with_fix("Delete the topic to have it created rightly, or set another prefix in [change_log]"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_prefix_service_and_table() {
        assert_eq!(feed_topic("shop", &TableId::new("orders", "order_items")), "shop.orders.order_items");
        assert_eq!(feed_topic("shop", &TableId::new("user-service", "users")), "shop.user-service.users");
        assert_eq!(feed_topic("shop", &TableId::new("a", "order lines")), "shop.a.order-x20lines");
        assert_eq!(
            transactions_topic("shop", &"127.0.0.1:3306".into()),
            "shop.127-x2e0-x2e0-x2e1-x3a3306.transactions"
        );
        assert_eq!(markers_topic("shop"), "shop.transaction");
    }

    #[test]
    fn different_names_give_different_topics() {
        let names = [
            "a.b",
            "a_b",
            "a-b",
            "a-x2eb",
            "a-x2db",
            "-",
            "--x2e",
            "-.",
            "-x2e",
            "ä",
            "a b",
            "x2e",
            "-x-x2e",
            "A.B",
            "transactions",
            "-x74ransactions",
            "Transactions",
        ];
        let topics: HashSet<_> = names.iter().map(|&name| feed_topic("p", &TableId::new("s", name))).collect();
        assert_eq!(topics.len(), names.len(), "{topics:?}");
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        assert!(topics.iter().all(|topic| topic.chars().all(legal) && topic.matches('.').count() == 2));
        assert!(!topics.contains(&transactions_topic("p", &"s".into())));
    }
}
