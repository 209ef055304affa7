//! What the operator sets.

use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result};

/// How to reach Kafka, and the bounds of what is done there.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Bootstrap brokers, `host:port` each.
    pub brokers: Vec<String>,
    /// The first part of every topic's name, and part of the transactional ids: two deployments on one cluster
    /// need two prefixes.
    pub prefix: String,
    /// How long the first contact may take before brokers count as unreachable.
    pub connect_timeout: Duration,
    /// How long brokers may be away before publishers and subscriptions fail. Until then the client retries.
    pub away_timeout: Duration,
    /// How long a source's transactions are gathered into one Kafka transaction. A heartbeat ends the wait.
    pub commit_interval: Duration,
    /// The largest source transaction, in bytes of its binary form. A publisher refuses a larger one, and a
    /// reader holds at most this much of one that is still arriving.
    pub max_transaction_bytes: usize,
    /// How topics are created that are not there.
    pub topics: TopicsOptions,
}

/// How topics are created.
#[derive(Debug, Clone, Default)]
pub struct TopicsOptions {
    /// Of a source's transactions; it has one partition, whatever is said here.
    pub transactions: TopicOptions,
    /// Of markers; as that.
    pub markers: TopicOptions,
    /// Of a table's feed.
    pub feeds: TopicOptions,
}

/// How a topic is created; what is not said, the cluster says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// Its partitions.
    pub partitions: Option<u16>,
    /// On how many brokers it is.
    pub replication: Option<u16>,
    /// How long records are kept.
    pub retention: Option<Retention>,
    /// Whether the last record of each key stays when those before it are removed.
    pub compact: bool,
}

/// How long records of a topic are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Until the topic is deleted.
    Forever,
    /// For so long.
    For(Duration),
}

impl KafkaOptions {
    /// The defaults, for `brokers` and `prefix`.
    pub fn new(brokers: Vec<String>, prefix: impl Into<String>) -> Self {
        Self {
            brokers,
            prefix: prefix.into(),
            connect_timeout: Duration::from_secs(8),
            away_timeout: Duration::from_secs(30),
            commit_interval: Duration::from_millis(5),
            max_transaction_bytes: 512 << 20,
            topics: TopicsOptions::default(),
        }
    }

    /// The brokers as librdkafka and error messages have them.
    pub(crate) fn broker_list(&self) -> String {
        self.brokers.join(",")
    }

    /// Refuses what cannot work, before anything is contacted.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.brokers.is_empty() {
            let error = ConnectorError::new(ErrorKind::Settings, "No Kafka broker is named");
            return Err(error.with_fix("Set brokers = [\"host:9092\"] in [change_log]"));
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                let message = format!("{broker:?} is not the address of a Kafka broker: expected host:port");
                let error = ConnectorError::new(ErrorKind::Settings, message);
                return Err(error.with_fix("Write brokers = [\"host:9092\"] in [change_log]"));
            }
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.chars().all(legal) {
            let message = format!(
                "{:?} cannot begin the names of Kafka topics: expected 1 to 100 of a-z, A-Z, 0-9, '.', '_', '-'",
                self.prefix
            );
            return Err(
                ConnectorError::new(ErrorKind::Settings, message).with_fix("Change prefix in [change_log]")
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_addresses_and_prefixes_that_cannot_work() {
        let check = |brokers: &[&str], prefix: &str, expected: &str| {
            let brokers = brokers.iter().map(|&broker| broker.to_owned()).collect();
            match KafkaOptions::new(brokers, prefix).validate() {
                Ok(()) => assert_eq!(expected, ""),
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Settings);
                    assert!(!expected.is_empty() && error.message.contains(expected), "{error}");
                }
            }
        };
        check(&["127.0.0.1:9092", "[::1]:9092"], "company.shop_1-a", "");
        check(&[], "shop", "No Kafka broker");
        check(&["localhost"], "shop", "\"localhost\" is not the address");
        check(&["localhost:90920"], "shop", "\"localhost:90920\"");
        check(&[":9092"], "shop", "\":9092\"");
        check(&["localhost:9092"], "", "cannot begin the names");
        check(&["localhost:9092"], "my shop", "\"my shop\"");
    }
}
