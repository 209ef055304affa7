//! What tests share. A test with the demo's three services, small, and Crossweave beside them:
//!
//! ```ignore
//! #[tokio::test]
//! async fn joins_two_services() -> support::TestResult {
//!     let shop = support::shop(Seed::SMALL).await?;              // fresh databases on a shared server
//!     let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
//!     let client = server.start().await?;                        // waits for /readyz
//!     let answer = client.sql(&Statement::new("SELECT COUNT(*) FROM users.users").on("cached")).await?;
//!     assert_eq!(answer.rows, [[json!(100)]]);
//!     server.terminate().await?;
//!     Ok(())
//! }
//! ```
//!
//! - [`mariadb`] and [`kafka`] are started once for all tests, at first use. They must not be stopped, and
//!   global settings must not be changed: a test that needs that starts its own with [`MariaDb::start`] or
//!   [`Kafka::start`] in the [`sandbox`]. Each takes 0.3 s and 3 s.
//! - [`database`] gives a fresh, empty database on the shared server for a service of any name; its `execute`
//!   takes DDL and data, `connect` gives a connection of its owner. [`shop`] gives the demo's three.
//! - [`crossweave`] prepares a server: config file (`[listen]` and `[state]` are put before the given text),
//!   free ports, state directory. `start`, `kill`, `terminate` and `start` again, as often as wanted; `command`
//!   runs the other subcommands with the same config, see [`output`].
//! - [`Analyst`] asks a shop, cached, over the PostgreSQL wire.
//! - [`eventually`] waits for something that has no event to wait for, within a bound.
//!
//! Everything lives under one temporary folder. It goes, and every process with it, when the test process ends,
//! also by a panic or a signal.

use std::future::Future;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

pub(crate) use crossweave::demo::client::{Client, Statement};
pub(crate) use crossweave::demo::database::ServiceDatabase;
pub(crate) use crossweave::demo::kafka::Kafka;
pub(crate) use crossweave::demo::mariadb::{MariaDb, MariaDbOptions};
pub(crate) use crossweave::demo::process::Sandbox;
pub(crate) use crossweave::demo::seed::Seed;
pub(crate) use crossweave::demo::server::Server;
pub(crate) use crossweave::demo::shop::Shop;

/// What a test returns; any error fails it, shown as its author wrote it.
pub(crate) type TestResult<T = ()> = Result<T, Failure>;

/// Any error, shown by its text: the default shows an error's structure, and not what to do about it.
pub(crate) struct Failure(String);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The folder of this test process.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::temporary("crossweave-tests").expect("a temporary folder for the tests"))
}

/// A name that no other test of this process is given: `<hint>_<number>`.
pub(crate) fn unique(hint: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{hint}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The shared MariaDB server, with a binlog as capture needs it and the FEDERATED engine where it is present.
pub(crate) async fn mariadb() -> TestResult<&'static MariaDb> {
    static SERVER: OnceCell<MariaDb> = OnceCell::const_new();
    let mut options = MariaDbOptions::new("shared", 1).arg("--max-connections=500");
    options.federated = true;
    Ok(SERVER.get_or_try_init(|| MariaDb::start(sandbox(), options)).await?)
}

/// The shared Kafka broker. Take topic prefixes from [`unique`].
pub(crate) async fn kafka() -> TestResult<&'static Kafka> {
    static BROKER: OnceCell<Kafka> = OnceCell::const_new();
    Ok(BROKER.get_or_try_init(|| Kafka::start(sandbox(), "kafka", &[])).await?)
}

/// A fresh database on the shared server for a service.
pub(crate) async fn database(service: &str) -> TestResult<ServiceDatabase> {
    Ok(ServiceDatabase::create(mariadb().await?, service, &unique("test")).await?)
}

/// Fresh databases of the demo's three services on the shared server, filled.
pub(crate) async fn shop(seed: Seed) -> TestResult<Shop> {
    let server = mariadb().await?;
    Ok(Shop::create([server; 3], &unique(""), seed).await?)
}

/// A Crossweave server that is configured, but not started. `config` follows `[state]` in the file.
pub(crate) fn crossweave(config: &str, environment: Vec<(String, String)>) -> TestResult<Server> {
    Ok(Server::prepare(executable(), sandbox(), &unique("crossweave"), config, environment)?)
}

/// The executable under test.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_crossweave"))
}

/// Runs a command to its end, off the test's own thread.
pub(crate) async fn output(mut command: Command) -> TestResult<Output> {
    command.stdin(Stdio::null());
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// Calls `probe` until it gives `Ok`, for at most `limit`; the last `Err` is then the test's failure.
pub(crate) async fn eventually<T, E, F>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> F,
) -> TestResult<T>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() > deadline => {
                return Err(Failure(format!("{what}: not within {limit:?}: {last}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A PostgreSQL client that is logged in to Crossweave, which caches a shop.
pub(crate) struct Analyst {
    pub(crate) shop: Shop,
    pub(crate) client: tokio_postgres::Client,
    server: Server,
    connection: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Analyst {
    pub(crate) async fn of(shop: Shop) -> TestResult<Self> {
        let mut server = crossweave(&shop.config("cached"), shop.environment())?;
        server.start().await?;
        let parameters =
            format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
        let (client, connection) = tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await?;
        Ok(Self { shop, client, server, connection: tokio::spawn(connection) })
    }

    /// Says goodbye, and stops the server.
    pub(crate) async fn leave(self) -> TestResult {
        let Self { client, mut server, connection, .. } = self;
        drop(client);
        connection.await??;
        server.terminate().await?;
        Ok(())
    }
}
