//! The concrete connectors, made from the config. Nothing else names them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{Capture, Source, SourceId, TableId};
use crossweave_kafka::{KafkaLog, KafkaOptions};
use crossweave_mariadb::{
    CaptureLimits, Limits, MariaDbCapture, MariaDbSource, Password, ReplicaOptions, SourceOptions, Tls,
};

use crate::config::{
    ChangeLogForm, Config, LimitSettings, Mode, ReplicaSettings, Retention, ServiceSettings, TopicSettings,
};

/// Bound on one attempt to connect to a database.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The sources of all services.
pub fn sources(config: &Config) -> HashMap<SourceId, Arc<dyn Source>> {
    let source = |options: SourceOptions| Arc::new(MariaDbSource::new(options)) as Arc<dyn Source>;
    options(config).map(|options| (options.id.clone(), source(options))).collect()
}

/// Captures of all sources.
pub fn captures(config: &Config) -> HashMap<SourceId, Arc<dyn Capture>> {
    let limits =
        CaptureLimits { transaction_bytes: config.change_log.max_transaction, ..CaptureLimits::default() };
    let capture = |options: SourceOptions| {
        Arc::new(MariaDbCapture::new(options).with_limits(limits.clone())) as Arc<dyn Capture>
    };
    options(config).map(|options| (options.id.clone(), capture(options))).collect()
}

/// The change log in Kafka, where the config asks for it. It is not contacted yet.
pub fn kafka(config: &Config) -> Option<crossweave_contract::Result<KafkaLog>> {
    match &config.change_log.form {
        ChangeLogForm::Direct => None,
        ChangeLogForm::Kafka { brokers, prefix, topics } => {
            let mut options = KafkaOptions::new(brokers.clone(), prefix.clone());
            options.max_transaction_bytes = config.change_log.max_transaction;
            options.topics = crossweave_kafka::TopicsOptions {
                transactions: topic_options(&topics.transactions),
                markers: topic_options(&topics.markers),
                feeds: topic_options(&topics.feeds),
            };
            // What was declared to be served from a cache. Live tables are captured only for their cascades.
            let services = config.services.clone();
            let has_feed = move |table: &TableId| {
                services.get(&table.service).is_some_and(|service| {
                    service.includes(&table.table) && service.mode_of(&table.table) == Mode::Cached
                })
            };
            Some(KafkaLog::new(options).map(|log| log.feeding(has_feed)))
        }
    }
}

fn topic_options(settings: &TopicSettings) -> crossweave_kafka::TopicOptions {
    let TopicSettings { partitions, replication, retention, compact } = *settings;
    let retention = retention.map(|retention| match retention {
        Retention::Forever => crossweave_kafka::Retention::Forever,
        Retention::For(duration) => crossweave_kafka::Retention::For(duration),
    });
    crossweave_kafka::TopicOptions { partitions, replication, retention, compact }
}

/// Zero dates that were read as NULL since the process started.
pub fn zero_dates_read() -> u64 {
    crossweave_mariadb::zero_dates_read()
}

fn options(config: &Config) -> impl Iterator<Item = SourceOptions> {
    config.sources().into_values().filter_map(|services| source_options(&services))
}

/// How to reach the server of `services`, which agree on everything but their names.
fn source_options(services: &[&ServiceSettings]) -> Option<SourceOptions> {
    let service = services.first()?;
    let tls = service.tls.as_ref().map(|tls| Tls {
        ca_file: tls.ca_file.clone(),
        server_name: tls.server_name.clone(),
        client: tls.client.clone(),
    });
    Some(SourceOptions {
        id: service.source.clone(),
        services: services.iter().map(|service| service.name.clone()).collect(),
        host: service.host.clone(),
        port: service.port,
        user: service.user.clone(),
        password: match &service.password_file {
            Some(file) => Password::File(file.clone()),
            None => Password::Fixed(service.password.clone()),
        },
        tls,
        connect_timeout: CONNECT_TIMEOUT,
        limits: limits(&service.limits),
        server_id: service.server_id,
        replicas: service.replicas.iter().map(replica).collect(),
        replica_lag: service.replica_lag,
    })
}

fn replica(settings: &ReplicaSettings) -> ReplicaOptions {
    ReplicaOptions {
        host: settings.host.clone(),
        port: settings.port,
        server_name: settings.server_name.clone(),
    }
}

fn limits(settings: &LimitSettings) -> Limits {
    Limits {
        connections: settings.connections as usize,
        connections_per_query: settings.connections_per_query as usize,
        queue: settings.queue as usize,
        queue_wait: settings.queue_wait,
        statements_per_second: settings.statements_per_second,
        rows: settings.rows,
        bytes: settings.bytes,
        time: settings.time,
        rows_examined: settings.rows_examined,
    }
}
