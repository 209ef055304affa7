//! What all clients of the broker share: settings, where librdkafka's log goes, and what its errors mean here.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crossweave_contract::{ConnectorError, ErrorKind, Result};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::KafkaOptions;

/// The largest record that is written or taken: a feed event with a 16 MiB value before and after, in base64.
pub(crate) const MAX_RECORD_BYTES: &str = "67108864";

/// One contact attempt within a probe.
const PROBE_SLICE: Duration = Duration::from_secs(1);

/// How long brokers that all refuse are asked again before a probe gives up early.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Takes librdkafka's log into `tracing`, and keeps what explains a failure best.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The last error of a connection, in librdkafka's words.
    last_error: Mutex<Option<String>>,
    all_down: Mutex<bool>,
    /// The first record that could not be delivered: topic and reason.
    undelivered: Mutex<Option<(String, RDKafkaErrorCode)>>,
    /// The topic whose offsets only grow as long as it is the same one.
    grows: Option<Growing>,
}

#[derive(Debug)]
struct Growing {
    topic: String,
    last: AtomicI64,
    went_back: AtomicBool,
}

impl Context {
    /// The first failed delivery since this was last asked.
    pub(crate) fn take_undelivered(&self) -> Option<(String, RDKafkaErrorCode)> {
        self.undelivered.lock().take()
    }

    /// For a producer that is the only one to write to `topic`.
    pub(crate) fn only_writer_of(topic: &str) -> Self {
        let grows = Growing { topic: topic.to_owned(), last: (-1).into(), went_back: false.into() };
        Self { grows: Some(grows), ..Self::default() }
    }

    /// Nothing was written to that topic yet but what others wrote up to `last`.
    pub(crate) fn goes_on_after(&self, last: i64) {
        if let Some(grows) = &self.grows {
            grows.last.store(last, Ordering::Relaxed);
        }
    }

    /// Whether a record was written before one that was there already: the topic was deleted and made anew, or has lost its end.
    pub(crate) fn went_back(&self) -> bool {
        self.grows.as_ref().is_some_and(|grows| grows.went_back.load(Ordering::Relaxed))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "crossweave_kafka::librdkafka", facility, "{message}");
            }
            // librdkafka repeats a refused connection at this level every few seconds; whether it matters is
            // decided, and said, where the connection is used.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::info!(target: "crossweave_kafka::librdkafka", facility, "{message}");
            }
            _ => tracing::debug!(target: "crossweave_kafka::librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "crossweave_kafka::librdkafka", %error, "{reason}");
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => *self.all_down.lock() = true,
            _ => *self.last_error.lock() = Some(reason.to_owned()),
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                // One that a retry had written already comes without an offset.
                let grows = self.grows.as_ref().filter(|_| message.offset() >= 0);
                if let Some(grows) = grows.filter(|grows| grows.topic == message.topic()) {
                    let last = grows.last.swap(message.offset(), Ordering::Relaxed);
                    grows.went_back.fetch_or(message.offset() <= last, Ordering::Relaxed);
                }
            }
            Err((error, message)) => {
                if let Some(code) = error.rdkafka_error_code() {
                    // The first says why; those after it were purged because of it.
                    self.undelivered.lock().get_or_insert_with(|| (message.topic().to_owned(), code));
                }
            }
        }
    }
}

/// Settings that every client needs.
pub(crate) fn base_config(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", options.broker_list())
        .set("client.id", "crossweave")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false");
    config
}

/// A consumer for one partition from explicit offsets. It joins no group and commits no offset.
pub(crate) fn consumer(options: &KafkaOptions) -> Result<BaseConsumer<Context>> {
    base_config(options)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        // An offset that is gone is an error, never a silent jump.
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "32768")
        // librdkafka demands a group's name; none is joined as the partition is assigned.
        .set("group.id", format!("{}.crossweave", options.prefix))
        .create_with_context(Context::default())
        .map_err(|error| failure(options, "Opening a Kafka consumer", &error))
}

/// Asks the brokers for their metadata (all topics). Blocks, at most for the connect timeout; ends early when
/// every broker refuses.
pub(crate) fn probe(options: &KafkaOptions) -> Result<Metadata> {
    let producer: BaseProducer<Context> = base_config(options)
        .create_with_context(Context::default())
        .map_err(|error| failure(options, "Opening a Kafka client", &error))?;
    let context = producer.context();
    let started = Instant::now();
    loop {
        let left = options.connect_timeout.saturating_sub(started.elapsed());
        let error = match producer.client().fetch_metadata(None, left.min(PROBE_SLICE)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        producer.poll(Duration::ZERO);
        let hopeless = *context.all_down.lock() && started.elapsed() >= PROBE_PATIENCE;
        if hopeless || started.elapsed() >= options.connect_timeout {
            let reason = context.last_error.lock().take().unwrap_or_else(|| error.to_string());
            return Err(unreachable(options, &reason));
        }
    }
}

/// Nobody answers.
pub(crate) fn unreachable(options: &KafkaOptions, reason: &str) -> ConnectorError {
    let message = format!("No Kafka broker answers at {}: {reason}", options.broker_list());
    ConnectorError::new(ErrorKind::Unreachable, message).with_fix(
        "Check that brokers in [change_log] is right, that the broker runs, and that its advertised.listeners can \
         be reached from here",
    )
}

/// What `error` means, which came of `doing` something.
pub(crate) fn failure(options: &KafkaOptions, doing: &str, error: &KafkaError) -> ConnectorError {
    match error.rdkafka_error_code() {
        Some(code) => failure_of(options, doing, code),
        None => ConnectorError::new(ErrorKind::Bug, format!("{doing} failed: {error}")),
    }
}

/// What the error `code` means, which came of `doing` something.
pub(crate) fn failure_of(options: &KafkaOptions, doing: &str, code: RDKafkaErrorCode) -> ConnectorError {
    use RDKafkaErrorCode as Code;
    let brokers = options.broker_list();
    let prefix = &options.prefix;
    let error = |kind| ConnectorError::new(kind, format!("{doing} failed at {brokers}: {code}"));
    match code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::TransactionCoordinatorFenced => {
            let message = format!("{doing} failed: another process has become the publisher of this source");
            ConnectorError::new(ErrorKind::Settings, message).with_fix(format!(
                "Run one Crossweave that captures per source and prefix, or give each its own prefix in \
                 [change_log]; here it is {prefix:?}"
            ))
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed => error(ErrorKind::Denied).with_fix(format!(
            "Allow Crossweave to read, write and create topics, and to use transactional ids, that begin with \
             {prefix:?}"
        )),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => error(ErrorKind::Settings)
            .with_fix(format!("Raise the topic's max.message.bytes to {MAX_RECORD_BYTES}")),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
            error(ErrorKind::Settings).with_fix("The topic was deleted: it is made anew with the next attempt")
        }
        Code::InvalidReplicationFactor | Code::PolicyViolation | Code::InvalidTopic => {
            error(ErrorKind::Settings)
                .with_fix("Create the topic by hand; topics that exist are used as they are")
        }
        code if is_transient(code) => error(ErrorKind::Unreachable).with_fix("Check that the broker runs"),
        _ => error(ErrorKind::Protocol),
    }
}

/// Whether librdkafka, left alone, will go on once the brokers are back.
pub(crate) fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::BrokerNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::Fail
            | Code::LeaderNotAvailable
            | Code::MessageTimedOut
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotLeaderForPartition
            | Code::OperationTimedOut
            | Code::PreferredLeaderNotAvailable
            | Code::PurgeInflight
            | Code::PurgeQueue
            | Code::QueueFull
            | Code::ReplicaNotAvailable
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::TimedOutQueue
    )
}
