//! Topics are created as the options say.

use std::time::{Duration, SystemTime};

use crossweave_contract::{ChangeLog, TableId};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::fixtures::{log, options, position, simple, source};
use crate::{
    KafkaOptions, Retention, TopicOptions, TopicsOptions, feed_topic, markers_topic, transactions_topic,
};

/// Partitions, `cleanup.policy` and `retention.ms` of `topic`.
async fn found(options: &KafkaOptions, topic: &str) -> (usize, String, String) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", options.broker_list());
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30)).unwrap();
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let of_topic = [ResourceSpecifier::Topic(topic)];
    let described = admin.describe_configs(&of_topic, &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let entry = |name| described.get(name).unwrap().value.clone().unwrap();
    (metadata.topics()[0].partitions().len(), entry("cleanup.policy"), entry("retention.ms"))
}

async fn publish_to(options: &KafkaOptions) {
    let log = log(options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_as_is_said_and_then_used_as_they_are() {
    let mut options = options("topics");
    let hours = |hours: u64| Some(Retention::For(Duration::from_secs(3600 * hours)));
    let feeds = TopicOptions { partitions: Some(3), replication: Some(1), retention: hours(2), compact: true };
    options.topics = TopicsOptions {
        transactions: TopicOptions { partitions: Some(5), retention: Some(Retention::Forever), ..feeds },
        markers: TopicOptions { retention: hours(4), ..feeds },
        feeds,
    };
    let topics = [
        transactions_topic(&options.prefix, &source()),
        markers_topic(&options.prefix),
        feed_topic(&options.prefix, &TableId::new("users", "users")),
    ];
    for again in 0..2 {
        publish_to(&options).await;
        let mut all = Vec::new();
        for topic in &topics {
            all.push(found(&options, topic).await);
        }
        let expected = [(1, "delete", "-1"), (1, "delete", "14400000"), (3, "compact,delete", "7200000")];
        let expected = expected
            .map(|(partitions, policy, retention)| (partitions, policy.to_owned(), retention.to_owned()));
        assert_eq!(all, expected, "{again}");
        options.topics = TopicsOptions::default();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_said_transactions_stay_for_a_week_and_feeds_as_the_broker_says() {
    let mut options = options("usual");
    options.topics.feeds.compact = true;
    publish_to(&options).await;
    let transactions = found(&options, &transactions_topic(&options.prefix, &source())).await;
    assert_eq!(transactions, (1, "delete".to_owned(), "604800000".to_owned()));
    let feed = found(&options, &feed_topic(&options.prefix, &TableId::new("users", "users"))).await;
    assert_eq!(feed.1, "compact");
}
