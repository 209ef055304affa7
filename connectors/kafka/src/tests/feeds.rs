//! The feeds as somebody else reads them: with a plain consumer, by the schemas in `schemas/`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossweave_contract::{ChangeLog, LogStart, Transaction};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use serde_json::{Value, json};

use super::fixtures::{
    delete, insert, line, lines, log, next_transaction, options, position, source, transaction, update, user,
    users,
};
use super::schema::{Schema, folder};
use crate::feed::{for_each_record, markers};
use crate::{feed_topic, markers_topic};

/// Every kind of change, in two tables of two services.
fn every_kind() -> Transaction {
    let changes = vec![
        insert(0, user(1, "Ada")),
        update(0, user(1, "Ada"), user(1, "Ada L.")),
        insert(1, line(1, 7, Some("fragile"))),
        update(1, line(1, 7, Some("fragile")), line(2, 7, None)),
        delete(0, user(1, "Ada L.")),
    ];
    transaction(1, vec![users(), lines()], changes)
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Reads `count` records of `topics` with a consumer that knows nothing of us.
fn consume(broker: &str, topics: &[&str], count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", format!("consumer-{}", topics[0]))
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    consumer.subscribe(topics).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records", records.len());
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            records.push(message.unwrap().detach());
        }
    }
    // Whatever came beyond the expected would be here by now.
    if let Some(extra) = consumer.poll(Duration::from_millis(500)) {
        panic!("one more than {count}: {:?}", extra.unwrap().detach());
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_consumer_reads_events_tombstones_and_markers() {
    let options = options("foreign");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(Arc::new(every_kind())).await.unwrap();
    let second = transaction(2, vec![users()], vec![insert(0, user(2, "Борис")), insert(0, user(3, "美咲"))]);
    publisher.publish(Arc::new(second)).await.unwrap();
    publisher.publish(Arc::new(transaction(3, vec![users()], vec![]))).await.unwrap();
    publisher.heartbeat(position(3), SystemTime::now()).await.unwrap();

    let prefix = &options.prefix;
    let users_feed = feed_topic(prefix, &users().id);
    let lines_feed = feed_topic(prefix, &lines().id);
    let markers = markers_topic(prefix);
    assert_eq!(lines_feed, format!("{prefix}.orders.order-x20lines"));
    let topics = [users_feed.as_str(), lines_feed.as_str(), markers.as_str()];
    let broker = options.broker_list();
    // Users: c, u, d, tombstone, c, c. Lines: c, d, tombstone, c. Markers: two of each.
    let records = tokio::task::block_in_place(|| consume(&broker, &topics, 14));

    let event_schema = Schema::read("feed-event.schema.json");
    let marker_schema = Schema::read("feed-marker.schema.json");
    let mut counted: HashMap<(String, String), u64> = HashMap::new();
    let mut described = BTreeMap::<&str, Vec<String>>::new();
    for record in &records {
        let topic = topics.iter().find(|topic| **topic == record.topic()).unwrap();
        let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
        let Some(value) = record.payload().map(json) else {
            described.entry(topic).or_default().push(format!("{key} tombstone"));
            continue;
        };
        if record.topic() == markers {
            assert_eq!(marker_schema.check(&value), Ok(()));
            described.entry(topic).or_default().push(format!("{key} {}", value["status"].as_str().unwrap()));
            continue;
        }
        assert_eq!(event_schema.check(&value), Ok(()));
        let source = &value["source"];
        let collection = format!("{}.{}", source["db"].as_str().unwrap(), source["table"].as_str().unwrap());
        *counted.entry((value["transaction"]["id"].as_str().unwrap().to_owned(), collection)).or_default() += 1;
        let total = &value["transaction"]["total_order"];
        described.entry(topic).or_default().push(format!("{key} {}{total}", value["op"].as_str().unwrap()));
    }
    assert_eq!(
        described[users_feed.as_str()],
        [
            r#"{"id":1} c1"#,
            r#"{"id":1} u2"#,
            r#"{"id":1} d6"#,
            r#"{"id":1} tombstone"#,
            r#"{"id":2} c1"#,
            r#"{"id":3} c2"#
        ]
    );
    let (old, new) = (r#"{"orderId":"Bw==","line":1}"#, r#"{"orderId":"Bw==","line":2}"#);
    assert_eq!(
        described[lines_feed.as_str()],
        [format!("{old} c3"), format!("{old} d4"), format!("{old} tombstone"), format!("{new} c5")]
    );
    let [one, two] = [1, 2].map(|number| format!(r#"{{"id":"{}:0-13301-{number}"}}"#, source()));
    assert_eq!(
        described[markers.as_str()],
        [format!("{one} BEGIN"), format!("{one} END"), format!("{two} BEGIN"), format!("{two} END")]
    );
    check_counts(&records, &markers, &counted);
    check_headers(&records, &lines_feed, old, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_feed_is_in_the_log_alone() {
    let options = options("fed");
    let fed = users().id.clone();
    let log = log(&options).feeding(move |table| *table == fed);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(Arc::new(every_kind())).await.unwrap();
    let unseen = transaction(2, vec![lines()], vec![insert(0, line(3, 8, None))]);
    publisher.publish(Arc::new(unseen.clone())).await.unwrap();
    publisher.heartbeat(position(2), SystemTime::now()).await.unwrap();

    let prefix = &options.prefix;
    let (feed, markers) = (feed_topic(prefix, &users().id), markers_topic(prefix));
    let broker = options.broker_list();
    // Of the first one: c, u, d, tombstone. Of the second nothing, nor are there markers.
    let records = tokio::task::block_in_place(|| consume(&broker, &[&feed, &markers], 6));
    let values = records.iter().filter(|record| record.topic() == feed).filter_map(|record| record.payload());
    let orders: Vec<_> = values.map(|value| json(value)["transaction"]["total_order"].clone()).collect();
    assert_eq!(orders, [1, 2, 3]);
    let end =
        records.iter().filter(|record| record.topic() == markers).map(|record| json(record.payload().unwrap()));
    let end: Vec<_> = end.filter(|marker| marker["status"] == "END").collect();
    assert_eq!(end.len(), 1);
    assert_eq!((&end[0]["event_count"], end[0]["data_collections"].as_array().unwrap().len()), (&json!(3), 1));
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &broker).create().unwrap();
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let topics: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    assert!(!topics.contains(&feed_topic(prefix, &lines().id).as_str()), "{topics:?}");
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    assert_eq!(*next_transaction(&mut stream).await.0, every_kind());
    assert_eq!(*next_transaction(&mut stream).await.0, unseen);
}

fn check_counts(records: &[OwnedMessage], markers: &str, counted: &HashMap<(String, String), u64>) {
    let mut promised = HashMap::new();
    for record in records.iter().filter(|record| record.topic() == markers) {
        let marker = json(record.payload().unwrap());
        let collections = marker["data_collections"].as_array().into_iter().flatten();
        let mut total = 0;
        for collection in collections {
            let count = collection["event_count"].as_u64().unwrap();
            total += count;
            let name = collection["data_collection"].as_str().unwrap().to_owned();
            promised.insert((marker["id"].as_str().unwrap().to_owned(), name), count);
        }
        assert_eq!(marker["event_count"].as_u64().unwrap_or(0), total);
    }
    assert_eq!(&promised, counted);
}

fn check_headers(records: &[OwnedMessage], topic: &str, old: &str, new: &str) {
    let headers: Vec<_> = records
        .iter()
        .filter(|record| record.topic() == topic)
        .filter_map(|record| record.headers())
        .map(|headers| (headers.get(0).key.to_owned(), json(headers.get(0).value.unwrap())))
        .collect();
    let parsed = |text: &str| json(text.as_bytes());
    assert_eq!(
        headers,
        [("__debezium.newkey".to_owned(), parsed(new)), ("__debezium.oldkey".to_owned(), parsed(old))]
    );
}

/// Set to write the samples anew instead of comparing them.
const UPDATE_ENV: &str = "CROSSWEAVE_UPDATE_SAMPLES";

#[test]
fn the_samples_are_what_is_written() {
    let sample = every_kind();
    let mut found = Vec::new();
    for_each_record(&sample, &[true, true], "shop", 1_700_000_001_234, &mut |record| {
        let topic = feed_topic("shop", &sample.tables[record.table].id);
        let header = record.header.map(|(name, key)| json!({ name: json(key) }));
        found.push(json!({
            "topic": topic, "headers": header, "key": record.key.map(json), "value": record.value.map(json),
        }));
        Ok(())
    })
    .unwrap();
    let marker = markers(&sample, &[true, true]).unwrap().unwrap();
    for value in [&marker.begin, &marker.end] {
        let topic = markers_topic("shop");
        found.push(json!({ "topic": topic, "headers": null, "key": json(&marker.key), "value": json(value) }));
    }
    let names = [
        "feed-insert",
        "feed-update",
        "feed-insert-two-column-key",
        "feed-key-change-delete",
        "feed-key-change-tombstone",
        "feed-key-change-create",
        "feed-delete",
        "feed-delete-tombstone",
        "marker-begin",
        "marker-end",
    ];
    assert_eq!(found.len(), names.len());
    for (name, found) in names.iter().zip(&found) {
        let path = folder().join(format!("samples/{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(found).unwrap());
        if std::env::var_os(UPDATE_ENV).is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{} is not current: set {UPDATE_ENV}=1 to write it", path.display());
    }
}
