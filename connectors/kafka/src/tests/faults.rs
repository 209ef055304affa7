//! Faults: brokers that are not there, go away and come back; a publisher that is killed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crossweave_contract::{ChangeLog, ErrorKind, LogStart};
use futures::StreamExt;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::broker::Broker;
use super::fixtures::{end_position, gtid, log, next_transaction, options, position, simple, source};
use crate::{KafkaLog, KafkaOptions, transactions_topic};

/// Where nobody listens.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_address_is_said_soon_and_by_name() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in
        [free_address(), "no-such-host.invalid:9092".to_owned(), silent.local_addr().unwrap().to_string()]
    {
        let log = KafkaLog::new(KafkaOptions::new(vec![address.clone()], "bad")).unwrap();
        let (started, source) = (Instant::now(), source());
        let (end, publisher, stream, check) = tokio::join!(
            log.end(&source),
            log.publisher(&source),
            log.subscribe(&source, LogStart::Oldest),
            log.check()
        );
        assert!(started.elapsed() < Duration::from_secs(10), "{address}: {:?}", started.elapsed());
        for error in [end.err(), publisher.err(), stream.err(), check.err()] {
            let error = error.unwrap();
            assert_eq!(error.kind, ErrorKind::Unreachable);
            assert!(error.message.contains(&address), "{error}");
            assert!(error.fix.as_ref().unwrap().contains("advertised.listeners"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_publishers_outlive_a_short_absence_of_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path(), false);
    let mut options = KafkaOptions::new(vec![broker.address.clone()], "away");
    options.connect_timeout = Duration::from_secs(2);
    let patient = log(&options);
    options.away_timeout = Duration::from_secs(3);
    let hasty = log(&options);
    let mut publisher = patient.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
    let mut stream = patient.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let mut hasty_stream = hasty.subscribe(&source(), LogStart::Oldest).await.unwrap();
    let (_, last) = next_transaction(&mut hasty_stream).await;

    broker.kill();
    publisher.publish(simple(2)).await.unwrap();
    let gone = async {
        loop {
            if let Err(error) = hasty_stream.next().await.unwrap() {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(15), gone).await.unwrap();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.message.contains(&broker.address), "{error}");

    let _broker = Broker::start(folder.path(), false);
    publisher.heartbeat(position(2), SystemTime::now()).await.unwrap();
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(1));
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(2));
    let mut resumed = hasty.subscribe(&source(), LogStart::After(last)).await.unwrap();
    assert_eq!(next_transaction(&mut resumed).await.0.gtid, gtid(2));
}

/// Prefix and broker of the process that [`a_publisher_killed_before_its_commit_leaves_no_trace`] kills.
const VICTIM_ENV: &str = "CROSSWEAVE_TEST_VICTIM";

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_killed_before_its_commit_leaves_no_trace() {
    if let Ok(victim) = std::env::var(VICTIM_ENV) {
        return publish_and_wait_to_be_killed(&victim).await;
    }
    let options = options("killed");
    let log = log(&options);
    let mut publisher = log.publisher(&source()).await.unwrap();
    publisher.publish(simple(1)).await.unwrap();
    publisher.heartbeat(position(1), SystemTime::now()).await.unwrap();
    let mut stream = log.subscribe(&source(), LogStart::Oldest).await.unwrap();
    assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(1));

    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "tests::faults::a_publisher_killed_before_its_commit_leaves_no_trace"])
        .env(VICTIM_ENV, format!("{} {}", options.broker_list(), options.prefix))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("published, not committed")));
    victim.kill().unwrap();
    victim.wait().unwrap();

    assert_eq!(end_position(&log).await, Some(position(1)), "what was not committed is not there");
    let mut successor = log.publisher(&source()).await.unwrap();
    assert_eq!(end_position(&log).await, Some(position(1)));
    for sequence in 2..=3 {
        successor.publish(simple(sequence)).await.unwrap();
    }
    successor.heartbeat(position(3), SystemTime::now()).await.unwrap();
    for sequence in 2..=3 {
        assert_eq!(next_transaction(&mut stream).await.0.gtid, gtid(sequence), "once each");
    }
}

/// Publishes two transactions and lets them reach the broker, without a commit.
async fn publish_and_wait_to_be_killed(victim: &str) {
    let (broker, prefix) = victim.split_once(' ').unwrap();
    let mut options = KafkaOptions::new(vec![broker.to_owned()], prefix);
    options.commit_interval = Duration::from_secs(600);
    let mut publisher = log(&options).publisher(&source()).await.unwrap();
    let everything: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "victim")
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap();
    let topic = transactions_topic(prefix, &source());
    let high = || everything.fetch_watermarks(&topic, 0, Duration::from_secs(10)).unwrap().1;
    let before = high();
    for sequence in 2..=3 {
        publisher.publish(simple(sequence)).await.unwrap();
    }
    while high() < before + 2 {}
    print_line("published, not committed");
    std::future::pending::<()>().await;
}

fn print_line(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
