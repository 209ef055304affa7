//! The log by itself: order, resumption, bounds, fencing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossweave_contract::{
    ChangeLog, ErrorKind, KnownTransaction, LogEntry, LogOffset, LogPlace, LogStart, Position, Publisher,
};
use futures::StreamExt;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::fixtures::{
    end_position, gtid, insert, log, next, next_transaction, options, position, simple, source, transaction,
    user, users,
};
use crate::writer::ms;
use crate::{KafkaOptions, record, transactions_topic};

fn config(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", options.broker_list());
    config
}

/// Writes `payload` to the topic of transactions as somebody else would, outside a Kafka transaction.
fn write_raw(options: &KafkaOptions, payload: &[u8]) {
    let producer: BaseProducer = config(options).create().unwrap();
    let topic = transactions_topic(&options.prefix, &source());
    producer
        .send(BaseRecord::<(), _>::to(&topic).partition(0).payload(payload))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_come_back_whole_in_order_and_from_any_offset() {
    const COUNT: u64 = 2500;
    let log = log(&options("order"));
    assert_eq!(end_position(&log).await, None, "a log that was never written");
    let mut publisher = log.publisher(&source()).await.unwrap();
    assert_eq!(end_position(&log).await, None, "an empty log");
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    for sequence in 1..=COUNT {
        publisher.publish(simple(sequence)).await.unwrap();
    }
    publisher.heartbeat(position(COUNT), SystemTime::now()).await.unwrap();
    assert_eq!(end_position(&log).await, Some(position(COUNT)));

    let mut places = Vec::new();
    for sequence in 1..=COUNT {
        let (transaction, place) = next_transaction(&mut stream).await;
        assert_eq!(transaction, simple(sequence));
        places.push(place);
    }
    assert!(
        matches!(next(&mut stream).await, LogEntry::Heartbeat { position: at, .. } if at == position(COUNT))
    );
    let batches = places.windows(2).filter(|pair| pair[1].offset.0 - pair[0].offset.0 > 1).count();
    assert!(batches < 500, "{COUNT} transactions in {batches} Kafka transactions");

    for resume in [0, 999, COUNT as usize - 2] {
        let mut stream = log.subscribe(&source(), LogStart::After(places[resume])).await.unwrap();
        assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(resume as u64 + 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_reach_subscribers_of_an_idle_source_at_most_once_a_second() {
    let log = log(&options("idle"));
    let mut publisher = log.publisher(&source()).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    for sequence in 2..=50 {
        publisher.heartbeat(position(sequence), SystemTime::now()).await.unwrap();
    }
    let (_, place) = next_transaction(&mut stream).await;
    assert!(matches!(next(&mut stream).await, LogEntry::Heartbeat { position: at, .. } if at == position(2)));
    // One record more than the 48 that came too early.
    let waited = Instant::now();
    loop {
        publisher.heartbeat(position(60), SystemTime::now()).await.unwrap();
        if end_position(&log).await == Some(position(60)) {
            break;
        }
        assert!(waited.elapsed() < Duration::from_secs(10));
    }
    assert!(matches!(next(&mut stream).await, LogEntry::Heartbeat { position: at, .. } if at == position(60)));
    let mut later = log.subscribe(&source(), LogStart::After(place)).await.unwrap();
    assert!(
        matches!(next(&mut later).await, LogEntry::Heartbeat { position: at, .. } if at == position(60)),
        "only the last counts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_says_something_about_its_own_moment_and_none_that_is_to_come() {
    let options = options("old");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    let now = Duration::from_millis(ms(SystemTime::now()) as u64);
    let hour = Duration::from_secs(3600);
    let ago = SystemTime::UNIX_EPOCH + now - hour;
    publisher.heartbeat(position(9), ago).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let LogEntry::Heartbeat { position: found, at, place: Some(place) } = next(&mut stream).await else {
        panic!("a heartbeat");
    };
    assert_eq!((found, at), (position(9), ago));
    // By a clock that is ahead of this one.
    let ahead = (now + hour).as_millis() as i64;
    write_raw(&options, &record::encode_heartbeat(place.log, &position(10), ahead, None).unwrap());
    let LogEntry::Heartbeat { position: found, at, .. } = next(&mut stream).await else {
        panic!("a heartbeat")
    };
    assert_eq!(found, position(10));
    assert!(at <= SystemTime::now() && at > ago + hour - Duration::from_secs(1), "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transactions_go_through_and_larger_ones_are_refused() {
    let mut options = options("large");
    options.max_transaction_bytes = 8 << 20;
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    let rows = |count: i64, length: usize| (0..count).map(move |id| insert(0, user(id, &"é".repeat(length))));
    let large = Arc::new(transaction(1, vec![users()], rows(5000, 500).collect()));
    let wide = Arc::new(transaction(2, vec![users()], rows(1, 3 << 20).collect()));
    publisher.publish(Arc::clone(&large)).await.unwrap();
    publisher.publish(Arc::clone(&wide)).await.unwrap();
    publisher.heartbeat(position(2), SystemTime::now()).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    assert_eq!(next_transaction(&mut stream).await.0, large);
    assert_eq!(next_transaction(&mut stream).await.0, wide);

    let too_large = Arc::new(transaction(3, vec![users()], rows(1, 5 << 20).collect()));
    // Publishing may return before it fails; the heartbeat cannot.
    let _ = publisher.publish(too_large).await;
    let error = publisher.heartbeat(position(3), SystemTime::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(
        error.to_string().contains("0-13301-3") && error.to_string().contains("max_transaction"),
        "{error}"
    );
    assert_eq!(end_position(&log).await, Some(position(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_publisher_fences_the_earlier_and_nothing_is_published_twice() {
    let log = log(&options("fence"));
    let mut first = log.publisher(&source()).await.unwrap();
    first.publish(simple(1)).await.unwrap();
    first.heartbeat(position(1), SystemTime::now()).await.unwrap();
    let mut second = log.publisher(&source()).await.unwrap();

    let _ = first.publish(simple(2)).await;
    let error = first.heartbeat(position(2), SystemTime::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings, "{error}");
    assert!(error.message.contains("another process has become the publisher"), "{error}");
    assert_eq!(first.publish(simple(3)).await.unwrap_err().message, error.message, "it stays failed");

    for sequence in 1..=3 {
        second.publish(simple(sequence)).await.unwrap();
    }
    second.heartbeat(position(3), SystemTime::now()).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    for sequence in 1..=3 {
        assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(sequence));
    }
    assert!(matches!(next(&mut stream).await, LogEntry::Heartbeat { .. }), "nothing more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_committed_when_the_publisher_is_dropped() {
    let mut options = options("drop");
    options.commit_interval = Duration::from_secs(60);
    let log = log(&options);
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    drop(publisher);
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_the_log_does_not_have_are_gone() {
    let options = options("gone");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    let mut first = None;
    for sequence in 1..=3 {
        publisher.publish(simple(sequence)).await.unwrap();
        publisher.heartbeat(position(sequence), SystemTime::now()).await.unwrap();
        first = first.or(end_position(&log).await);
    }
    assert_eq!(first, Some(position(1)));
    let admin: AdminClient<DefaultClientContext> = config(&options).create().unwrap();
    let mut cut = TopicPartitionList::new();
    let topic = transactions_topic(&options.prefix, &source());
    cut.add_partition_offset(&topic, 0, Offset::Offset(3)).unwrap();
    admin.delete_records(&cut, &AdminOptions::new()).await.unwrap();

    let end = log.end(&source()).await.unwrap().unwrap();
    for offset in [0, 1, 1000] {
        let place = LogPlace { offset: LogOffset(offset), ..end.place };
        let error = log.subscribe(&source(), LogStart::After(place)).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::PositionGone, "{error}");
        assert!(error.message.contains(&topic), "{error}");
    }
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_ours_ends_the_stream_in_its_place() {
    let options = options("broken");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
    write_raw(&options, b"{}");
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    next_transaction(&mut stream).await;
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    let topic = transactions_topic(&options.prefix, &source());
    for part in [topic.as_str(), "partition 0", "offset 3"] {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(stream.next().await.is_none());
    assert_eq!(log.end(&source()).await.unwrap_err().kind, ErrorKind::Protocol);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_several_partitions_is_refused() {
    let options = options("partitions");
    let admin: AdminClient<DefaultClientContext> = config(&options).create().unwrap();
    let topic = transactions_topic(&options.prefix, &source());
    let several = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    let created = admin.create_topics([&several], &AdminOptions::new()).await.unwrap();
    assert!(created[0].is_ok(), "{created:?}");
    let consumer: BaseConsumer = config(&options).create().unwrap();
    // A broker that has just made a topic refuses to answer for its partitions until they have a leader.
    let deadline = Instant::now() + Duration::from_secs(30);
    for partition in 0..2 {
        while let Err(error) = consumer.fetch_watermarks(&topic, partition, Duration::from_secs(5)) {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let log = log(&options);
    let errors = [
        log.end(&source()).await.err(),
        log.publisher(&source()).await.err(),
        log.subscribe(&source(), LogStart::Oldest).await.err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!(error.kind, ErrorKind::Settings);
        assert!(error.message.contains("must have one partition") && error.message.contains(&topic), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_publisher_waits_for_no_record() {
    let log = log(&options("origin"));
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.heartbeat(Position::origin(), SystemTime::now()).await.unwrap();
    assert_eq!(end_position(&log).await, Some(Position::origin()));
    let mut publisher: Box<dyn Publisher> = publisher;
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
    assert_eq!(end_position(&log).await, Some(position(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_starts_over_takes_numbers_that_it_had_before() {
    let log = log(&options("over"));
    let mut publisher = log.publisher(&source()).await.unwrap();
    for sequence in 1..=5 {
        publisher.publish(simple(sequence)).await.unwrap();
    }
    let before = KnownTransaction { committed_at: 5, ..(&*simple(1)).into() };
    for (start, last) in [(Position::origin(), None), (position(1), Some(before))] {
        publisher.start_over(start.clone(), last.clone()).await.unwrap();
        let end = log.end(&source()).await.unwrap().unwrap();
        assert_eq!((end.position, end.last), (start, last));
        // Who reads on from the end sees what comes after it, and who began before is told in its place.
        let mut later = log.subscribe(&source(), LogStart::After(end.place)).await.unwrap();
        publisher.publish(simple(2)).await.unwrap();
        publisher.heartbeat(position(2), SystemTime::now()).await.unwrap();
        assert_eq!(next_transaction(&mut later).await.0.gtid, gtid(2));
    }
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 9 {
        match next(&mut stream).await {
            LogEntry::Transaction { transaction, .. } => seen.push(transaction.gtid.sequence),
            LogEntry::StartsOver { position, .. } => {
                seen.push(100 + position.gtids().next().map_or(0, |gtid| gtid.sequence));
            }
            LogEntry::Heartbeat { .. } => {}
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 100, 2, 101, 2]);
    // A publisher that opens later goes on from there as well.
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(3)).await.unwrap();
    publisher.heartbeat(position(3), SystemTime::now()).await.unwrap();
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_log_says_which_is_the_last_transaction_that_is_known() {
    let log = log(&options("known"));
    let mut publisher = log.publisher(&source()).await.unwrap();
    let known = KnownTransaction::from(&*simple(3));
    publisher.follows(known.clone()).await.unwrap();
    publisher.heartbeat(position(3), SystemTime::now()).await.unwrap();
    let last = async || log.end(&source()).await.unwrap().unwrap().last;
    assert_eq!(last().await.as_ref(), Some(&known));
    // A later publisher knows it from there.
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.heartbeat(position(3), SystemTime::now()).await.unwrap();
    assert_eq!(last().await, Some(known));
    publisher.publish(simple(4)).await.unwrap();
    for _ in 0..2 {
        publisher.heartbeat(position(4), SystemTime::now()).await.unwrap();
        assert_eq!(last().await, Some((&*simple(4)).into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_commits_what_is_waiting_at_once() {
    let mut options = options("soon");
    options.commit_interval = Duration::from_secs(60);
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let mut fastest = Duration::MAX;
    for sequence in 1..=20 {
        let started = Instant::now();
        publisher.publish(simple(sequence)).await.unwrap();
        publisher.heartbeat(position(sequence), SystemTime::now()).await.unwrap();
        assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(sequence));
        fastest = fastest.min(started.elapsed());
    }
    // Some 12 ms; a wait in steps of 100 ms anywhere on the way would show.
    assert!(fastest < Duration::from_millis(80), "{fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_another_log() {
    let options = options("anew");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
    let mut open = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    next_transaction(&mut open).await;
    let before = log.end(&source()).await.unwrap().unwrap();
    make_anew(&options).await;

    // Who wrote to the old one cannot commit under its name to the new one.
    let _ = publisher.publish(simple(2)).await;
    let error = publisher.heartbeat(position(2), SystemTime::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    drop(publisher);
    assert_eq!(end_position(&log).await, None);
    let mut publisher = log.publisher(&source()).await.unwrap();
    for sequence in 3..=9 {
        publisher.publish(simple(sequence)).await.unwrap();
    }
    publisher.heartbeat(position(9), SystemTime::now()).await.unwrap();
    let after = log.end(&source()).await.unwrap().unwrap();
    assert_ne!(before.place.log, after.place.log);
    assert!(after.place.offset > before.place.offset, "its place is in the new one as well");

    let mut resumed = log.subscribe(&source(), LogStart::After(before.place)).await.unwrap();
    for stream in [&mut resumed, &mut open] {
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(30), stream.next()).await.unwrap().unwrap() {
                Ok(entry) => assert_eq!(entry.place().unwrap().log, before.place.log, "{entry:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, ErrorKind::PositionGone, "{error}");
    }
    let mut later = log.subscribe(&source(), LogStart::After(after.place)).await.unwrap();
    publisher.publish(simple(10)).await.unwrap();
    assert_eq!(next_transaction(&mut later).await.0.gtid, gtid(10));
}

/// Deletes the topic of transactions, and makes it anew.
async fn make_anew(options: &KafkaOptions) {
    let admin: AdminClient<DefaultClientContext> = config(options).create().unwrap();
    let topic = transactions_topic(&options.prefix, &source());
    let deleted = admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted[0].is_ok(), "{deleted:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let again = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
        match admin.create_topics([&again], &AdminOptions::new()).await.unwrap().remove(0) {
            Ok(_) => return,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
