//! The servers: three with a service each, one that holds all, and one that reads the three by FEDERATED tables.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crossweave::demo::database::ServiceDatabase;
use crossweave::demo::federated::Federated;
use crossweave::demo::mariadb::{MariaDb, MariaDbOptions};
use crossweave::demo::process::Sandbox;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use tokio::sync::mpsc;

use super::Result;
use super::report::progress;
use super::tables::{SERVICES, Table};

/// All servers, with the data. Dropping it kills them.
pub(super) struct Stage {
    /// In the order of [`SERVICES`].
    pub(super) databases: [ServiceDatabase; 3],
    pub(super) servers: [MariaDb; 3],
    pub(super) one: MariaDb,
    /// None where MariaDB came without the engine, or was told to do without.
    pub(super) federated: Option<Federated>,
    pub(super) sandbox: Sandbox,
}

impl Stage {
    /// Starts the servers and fills them, all at the same time.
    pub(super) async fn open(scale: f64, with_federated: bool) -> Result<Self> {
        let sandbox = Sandbox::temporary("crossweave-bench")?;
        let begun = Instant::now();
        let server = |name, id, share: f64| {
            // All of its data, with the indexes.
            let pool = 64 + (share * scale * 1024.0).ceil() as u64;
            let options = MariaDbOptions::new(name, id)
                .arg(&format!("--innodb-buffer-pool-size={pool}M"))
                // What has to be written while the tables are filled.
                .arg("--innodb-log-file-size=512M");
            MariaDb::start(&sandbox, options)
        };
        let [customers, orders, parts] = SERVICES.map(|(service, _)| service);
        let (customers, orders, parts, one) = tokio::try_join!(
            server(customers, 1, 0.25),
            server(orders, 2, 3.0),
            server(parts, 3, 0.5),
            server("one", 4, 3.75)
        )?;
        let servers = [customers, orders, parts];
        progress(&format!("four MariaDB servers run; filling them with TPC-H at scale {scale}"));
        let [customers, orders, parts] = [0, 1, 2].map(|at| filled(&servers[at], at, scale));
        let whole = async {
            for at in [1, 0, 2] {
                filled(&one, at, scale).await?;
            }
            Ok(())
        };
        let (customers, orders, parts, ()) = tokio::try_join!(customers, orders, parts, whole)?;
        progress(&format!("filled after {:.0} s", begun.elapsed().as_secs_f64()));
        let federated = match with_federated {
            true => {
                let services = [0, 1, 2].map(|at| (SERVICES[at].0, &servers[at]));
                Federated::start(&sandbox, services).await?
            }
            false => None,
        };
        Ok(Self { databases: [customers, orders, parts], servers, one, federated, sandbox })
    }
}

/// The database of the service at `at`, created on `server` with all its rows.
async fn filled(server: &MariaDb, at: usize, scale: f64) -> Result<ServiceDatabase> {
    let (service, tables) = SERVICES[at];
    let database = ServiceDatabase::create(server, service, service).await?;
    // The largest last, so that its pages stay.
    for table in tables {
        let begun = Instant::now();
        fill(&database, *table, scale).await?;
        let took = begun.elapsed();
        if took > Duration::from_secs(5) {
            progress(&format!("{}: {} after {:.0} s", server.name(), table.name(), took.as_secs_f64()));
        }
    }
    Ok(database)
}

/// One statement into an empty table that nobody else looks at, which MariaDB fills by sorting and not row by row.
async fn fill(database: &ServiceDatabase, table: Table, scale: f64) -> Result {
    let name = table.name();
    let mut connection = database.connect().await?;
    // What was there from the start is nobody's change.
    let settings = "SET sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0";
    connection.query_drop(settings).await?;
    connection.query_drop(table.ddl()).await?;
    // When the server is slower than the generator, that waits.
    let (rows, taken) = mpsc::channel::<Bytes>(16);
    let made = tokio::task::spawn_blocking(move || table.rows(scale, &rows));
    let chunks = futures::stream::unfold(taken, |mut taken| async move {
        let chunk = taken.recv().await?;
        Some((Ok(chunk), taken))
    });
    connection.set_infile_handler(async move { Ok(chunks.boxed()) });
    let load = format!(
        "LOAD DATA LOCAL INFILE '{name}' INTO TABLE {name} CHARACTER SET utf8mb4 \
         FIELDS TERMINATED BY '|' ESCAPED BY '' LINES TERMINATED BY '|\\n'"
    );
    connection.query_drop(load).await?;
    made.await?;
    if let Some(warning) = connection.query_first::<mysql_async::Row, _>("SHOW WARNINGS LIMIT 1").await? {
        return Err(
            format!("filling {name}: {}", mysql_async::from_row::<(String, u32, String)>(warning).2).into()
        );
    }
    if let Some(indexes) = table.indexes() {
        connection.query_drop(format!("ALTER TABLE {name} {indexes}")).await?;
    }
    connection.query_drop(format!("ANALYZE TABLE {name}")).await?;
    connection.disconnect().await?;
    Ok(())
}
