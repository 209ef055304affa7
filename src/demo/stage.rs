//! Everything that runs during the demo, and the order in which it starts and ends.

use std::path::Path;

use super::client::Client;
use super::error::Result;
use super::federated::Federated;
use super::kafka::Kafka;
use super::mariadb::{MariaDb, MariaDbOptions};
use super::process::Sandbox;
use super::run::LogKind;
use super::seed::Seed;
use super::server::Server;
use super::shop::{SERVICES, Shop};

/// The prefix of the demo's topics in Kafka.
pub(super) const TOPIC_PREFIX: &str = "shop";

/// The running parts, in the order in which they end: whoever reads ends before whom it reads from.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) federated: Option<Federated>,
    pub(super) kafka: Option<Kafka>,
    /// In the order of [`SERVICES`].
    pub(super) databases: [MariaDb; 3],
    pub(super) shop: Shop,
}

/// The sources and the broker, before Crossweave is there.
pub(super) struct Sources {
    pub(super) sandbox: Sandbox,
    pub(super) databases: [MariaDb; 3],
    pub(super) kafka: Option<Kafka>,
}

impl Sources {
    /// Starts three MariaDB servers and, where asked for, Kafka, all at the same time.
    pub(super) async fn start(log: LogKind) -> Result<Self> {
        let sandbox = Sandbox::temporary("crossweave-demo")?;
        let database = |at: u32| MariaDb::start(&sandbox, MariaDbOptions::new(SERVICES[at as usize], at + 1));
        let broker = async {
            match log {
                LogKind::Direct => Ok(None),
                LogKind::Kafka => Kafka::start(&sandbox, "kafka", &[]).await.map(Some),
            }
        };
        let (users, items, orders, kafka) = tokio::try_join!(database(0), database(1), database(2), broker)?;
        Ok(Self { databases: [users, items, orders], kafka, sandbox })
    }

    /// Fills the databases.
    pub(super) async fn fill(&self) -> Result<Shop> {
        Shop::create(self.databases.each_ref(), "", Seed::DEMO).await
    }

    /// Starts Crossweave from a config file and waits until it is ready; the server for comparison beside it.
    pub(super) async fn open(self, shop: Shop, executable: &Path) -> Result<Stage> {
        let Self { sandbox, databases, kafka } = self;
        let config = change_log(kafka.as_ref()) + &shop.config("cached");
        let mut server = Server::prepare(executable, &sandbox, "crossweave", &config, shop.environment())?;
        let named = [(SERVICES[0], &databases[0]), (SERVICES[1], &databases[1]), (SERVICES[2], &databases[2])];
        let (client, federated) = tokio::try_join!(server.start(), Federated::start(&sandbox, named))?;
        Ok(Stage { client, server, federated, kafka, databases, shop })
    }
}

fn change_log(kafka: Option<&Kafka>) -> String {
    let kind = match kafka {
        Some(kafka) => {
            format!("kind = \"kafka\"\nbrokers = [\"{}\"]\nprefix = \"{TOPIC_PREFIX}\"", kafka.bootstrap())
        }
        None => "kind = \"direct\"".to_owned(),
    };
    format!("\n[change_log]\n{kind}\n\n")
}

impl Stage {
    /// Ends Crossweave in good order. The rest holds nothing worth keeping, and is killed.
    pub(super) async fn end(mut self) -> Result<()> {
        let status = self.server.terminate().await?;
        if status.success() { Ok(()) } else { Err(self.server.ended_with(status)) }
    }
}
