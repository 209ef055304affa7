//! `[change_log]`: how changes flow from the databases into the caches.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Checker, parse_duration};
use super::document::Path;
use super::problem::Problem;

/// What a load puts off has to be in the log when it ends, and readers that were restarted come back within that.
const LEAST_RETENTION: Duration = Duration::from_secs(3600);

/// Kafka's bound on a topic's name is 249; the rest of the name needs room.
const MAX_PREFIX: usize = 80;

/// How changes flow from the databases into the caches.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeLogOptions {
    /// The form of the change log. Default: `direct`.
    pub kind: ChangeLogKind,
    /// Kafka's bootstrap addresses, each `host:port`. Needed for `kafka`, and only there.
    pub brokers: Vec<String>,
    /// First part of the names of all topics: `<prefix>.<service>.<table>`. Default: `crossweave`.
    pub prefix: String,
    /// The largest transaction of a source that is captured; while one passes, up to three times as much memory is
    /// used. After a larger one, the direct log goes on with caches that are loaded anew; Kafka's, which others
    /// read, stands before it until this is raised, and `crossweave status` says so. Size, as `64MiB`, `2GiB`.
    /// Default: `512MiB`.
    pub max_transaction: String,
    /// How Kafka's topics are created. One that is there is used as it is.
    pub topics: TopicsOptions,
}

/// How Kafka's topics are created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsOptions {
    /// Of each source's transactions, from which caches are built. It has one partition.
    pub transactions: LogTopicOptions,
    /// Of the markers of where transactions begin and end in the feeds. It has one partition.
    pub markers: LogTopicOptions,
    /// Of the feed of each cached table.
    pub feeds: FeedTopicOptions,
}

/// How a topic of one partition is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogTopicOptions {
    /// On how many brokers it is. Default: what the cluster says.
    pub replication: Option<u16>,
    /// How long records are kept. Duration, as `12h`, `7d`, or `forever`. Default: `7d` for transactions, for markers what the
    /// cluster says. A node that was away for longer loads its caches anew.
    pub retention: Option<String>,
}

/// How the topic of a feed is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedTopicOptions {
    /// Rows of one key are in one of them. Default: what the cluster says.
    pub partitions: Option<u16>,
    /// On how many brokers it is. Default: what the cluster says.
    pub replication: Option<u16>,
    /// How long records are kept. Duration, as `12h`, `7d`, or `forever`. Default: what the cluster says; with `compact`,
    /// `forever`.
    pub retention: Option<String>,
    /// Whether the last record of each key stays when those before it are removed. With a retention the last ones are removed
    /// as well, once they are as old. Default: no.
    pub compact: bool,
}

impl Default for ChangeLogOptions {
    fn default() -> Self {
        Self {
            kind: ChangeLogKind::default(),
            brokers: Vec::new(),
            prefix: "crossweave".to_owned(),
            max_transaction: "512MiB".to_owned(),
            topics: TopicsOptions::default(),
        }
    }
}

/// The form of the change log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeLogKind {
    /// Within the process: no broker, no feeds.
    #[default]
    Direct,
    /// Through Kafka, with feeds for other services.
    Kafka,
}

/// How changes flow into the caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLogSettings {
    /// Within the process, or through Kafka.
    pub form: ChangeLogForm,
    /// Bytes that one transaction of a source may take.
    pub max_transaction: usize,
}

/// The form of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeLogForm {
    /// Within the process.
    Direct,
    /// Through Kafka.
    Kafka {
        /// Bootstrap addresses.
        brokers: Vec<String>,
        /// First part of the topics' names.
        prefix: String,
        /// How they are created.
        topics: TopicsSettings,
    },
}

/// How topics are created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsSettings {
    /// Of transactions.
    pub transactions: TopicSettings,
    /// Of markers.
    pub markers: TopicSettings,
    /// Of feeds.
    pub feeds: TopicSettings,
}

/// How a topic is created; what is not said, the cluster says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// Its partitions.
    pub partitions: Option<u16>,
    /// On how many brokers it is.
    pub replication: Option<u16>,
    /// How long records are kept.
    pub retention: Option<Retention>,
    /// Whether the last record of each key stays.
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

impl Checker<'_> {
    pub(super) fn change_log(&mut self, options: &ChangeLogOptions) -> ChangeLogSettings {
        let max_transaction = self.size(&Path::of(["change_log", "max_transaction"]), &options.max_transaction);
        ChangeLogSettings { form: self.change_log_form(options), max_transaction }
    }

    fn change_log_form(&mut self, options: &ChangeLogOptions) -> ChangeLogForm {
        let brokers_path = Path::of(["change_log", "brokers"]);
        if options.kind == ChangeLogKind::Direct {
            if !options.brokers.is_empty() {
                let message = "`change_log.brokers`: the direct change log has no broker";
                let hint = "set `kind = \"kafka\"`, or leave `brokers` out";
                self.add(Problem::new(self.place(&brokers_path), message).with_hint(hint));
            }
            if options.prefix != ChangeLogOptions::default().prefix {
                let message = "`change_log.prefix`: the direct change log has no topics";
                let hint = "set `kind = \"kafka\"`, or leave `prefix` out";
                self.add(
                    Problem::new(self.place(&Path::of(["change_log", "prefix"])), message).with_hint(hint),
                );
            }
            if options.topics != ChangeLogOptions::default().topics {
                let message = "`change_log.topics`: the direct change log has no topics";
                let hint = "set `kind = \"kafka\"`, or leave `topics` out";
                self.add(
                    Problem::new(self.place(&Path::of(["change_log", "topics"])), message).with_hint(hint),
                );
            }
            return ChangeLogForm::Direct;
        }
        if options.brokers.is_empty() {
            let message = "`change_log` lacks `brokers`: expected Kafka's addresses, as [\"127.0.0.1:9092\"]";
            self.problem(&Path::of(["change_log"]), message);
        }
        for (index, broker) in options.brokers.iter().enumerate() {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                let message = format!("`change_log.brokers`: expected \"host:port\", found {broker:?}");
                self.problem(&brokers_path.join(index), message);
            }
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if options.prefix.is_empty() || options.prefix.len() > MAX_PREFIX || !options.prefix.chars().all(legal)
        {
            let message = format!(
                "`change_log.prefix`: expected 1 to {MAX_PREFIX} letters, digits, `.`, `_` or `-`, found {:?}",
                options.prefix
            );
            self.problem(&Path::of(["change_log", "prefix"]), message);
        }
        let topics = self.topics(&options.topics);
        ChangeLogForm::Kafka { brokers: options.brokers.clone(), prefix: options.prefix.clone(), topics }
    }

    fn topics(&mut self, options: &TopicsOptions) -> TopicsSettings {
        TopicsSettings {
            transactions: self.log_topic("transactions", &options.transactions),
            markers: self.log_topic("markers", &options.markers),
            feeds: self.feed_topic(&options.feeds),
        }
    }

    fn log_topic(&mut self, topic: &str, options: &LogTopicOptions) -> TopicSettings {
        TopicSettings {
            replication: self.at_least_one(topic, "replication", options.replication),
            retention: self.retention(topic, options.retention.as_deref()),
            ..TopicSettings::default()
        }
    }

    fn feed_topic(&mut self, options: &FeedTopicOptions) -> TopicSettings {
        TopicSettings {
            partitions: self.at_least_one("feeds", "partitions", options.partitions),
            replication: self.at_least_one("feeds", "replication", options.replication),
            retention: self.retention("feeds", options.retention.as_deref()),
            compact: options.compact,
        }
    }

    fn at_least_one(&mut self, topic: &str, name: &str, number: Option<u16>) -> Option<u16> {
        if number == Some(0) {
            let path = Path::of(["change_log", "topics", topic, name]);
            let message = format!("`{}`: expected 1 or more, found 0", path.name());
            self.problem(&path, message);
        }
        number
    }

    fn retention(&mut self, topic: &str, text: Option<&str>) -> Option<Retention> {
        let text = text?;
        if text == "forever" {
            return Some(Retention::Forever);
        }
        let path = Path::of(["change_log", "topics", topic, "retention"]);
        let Some(duration) = parse_duration(text).filter(|duration| *duration >= LEAST_RETENTION) else {
            let name = path.name();
            let message = format!(
                "`{name}`: expected \"forever\" or a duration of 1h or more, as \"12h\" or \"7d\", found {text:?}"
            );
            self.problem(&path, message);
            return None;
        };
        Some(Retention::For(duration))
    }
}
