//! [`KafkaLog`]: the change log's face.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use crossweave_contract::{
    ChangeLog, ConnectorError, ErrorKind, LogEnd, LogStart, LogStream, Publisher, Result, SourceId, TableId,
};
use rdkafka::admin::AdminClient;

use crate::client::{self, Context};
use crate::options::KafkaOptions;
use crate::publisher::KafkaPublisher;
use crate::topics::{self, TopicKind, transactions_topic};
use crate::{reader, tail};

/// The change log in Kafka.
pub struct KafkaLog {
    options: KafkaOptions,
    feeds: Feeds,
}

/// Which tables have feeds. Others are captured as well, for what changes in them may cascade.
pub(crate) type Feeds = Arc<dyn Fn(&TableId) -> bool + Send + Sync>;

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaLog({}, {})", self.options.broker_list(), self.options.prefix)
    }
}

impl KafkaLog {
    /// A log at the brokers of `options`, which are not contacted yet. Fails with
    /// [`ErrorKind::Settings`] for what cannot work.
    pub fn new(options: KafkaOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { options, feeds: Arc::new(|_| true) })
    }

    /// The same with feeds of those tables alone that `feeds` names.
    #[must_use]
    pub fn feeding(self, feeds: impl Fn(&TableId) -> bool + Send + Sync + 'static) -> Self {
        Self { feeds: Arc::new(feeds), ..self }
    }

    /// Whether a broker answers. Fails within the connect timeout with
    /// [`ErrorKind::Unreachable`], naming the brokers.
    pub async fn check(&self) -> Result<()> {
        let options = self.options.clone();
        blocking(move || client::probe(&options).map(|_| ())).await
    }
}

#[async_trait]
impl ChangeLog for KafkaLog {
    fn stays(&self) -> bool {
        true
    }

    async fn end(&self, source: &SourceId) -> Result<Option<LogEnd>> {
        let options = self.options.clone();
        let topic = transactions_topic(&options.prefix, source);
        blocking(move || {
            let metadata = client::probe(&options)?;
            match topics::partitions(&options, &metadata, &topic)? {
                None => Ok(None),
                Some(partitions) => {
                    topics::check_single(&topic, partitions)?;
                    tail::end(&options, &topic)
                }
            }
        })
        .await
    }

    async fn publisher(&self, source: &SourceId) -> Result<Box<dyn Publisher>> {
        let admin = self.ready_topic(source).await?;
        Ok(Box::new(
            KafkaPublisher::open(self.options.clone(), Arc::clone(&self.feeds), source.clone(), admin).await?,
        ))
    }

    async fn subscribe(&self, source: &SourceId, start: LogStart) -> Result<LogStream> {
        self.ready_topic(source).await?;
        let (options, source) = (self.options.clone(), source.clone());
        blocking(move || reader::subscribe(options, source, start)).await
    }
}

impl KafkaLog {
    /// Sees to it that `source`'s topic of transactions is there and has one partition.
    async fn ready_topic(&self, source: &SourceId) -> Result<AdminClient<Context>> {
        let topic = transactions_topic(&self.options.prefix, source);
        let options = self.options.clone();
        let metadata = blocking(move || client::probe(&options)).await?;
        let admin: AdminClient<Context> = client::base_config(&self.options)
            .create_with_context(Context::default())
            .map_err(|error| client::failure(&self.options, "Opening a Kafka client", &error))?;
        match topics::partitions(&self.options, &metadata, &topic)? {
            Some(partitions) => topics::check_single(&topic, partitions)?,
            None => topics::ensure(&self.options, &admin, &topic, TopicKind::Transactions).await?,
        }
        Ok(admin)
    }
}

/// Runs what waits for librdkafka off the threads that serve I/O.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(ConnectorError::new(ErrorKind::Bug, format!("Work on the change log ended: {error}")))
        }
    }
}
