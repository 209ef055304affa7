//! GTIDs that go back: after `RESET MASTER`, or at a number that somebody chose, a source's positions mean other
//! transactions than before. The caches are loaded anew, and their positions start over.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::support::{self, Client, MariaDb, MariaDbOptions, Server, ServiceDatabase, Statement, TestResult};

const LIMIT: Duration = Duration::from_secs(60);

/// A server of its own, for its binlog is reset, and Crossweave with a cache of one table.
struct Rig {
    mariadb: MariaDb,
    database: ServiceDatabase,
    server: Server,
}

async fn rig(name: &str, log: &str, options: &[&str]) -> TestResult<Rig> {
    let options = options.iter().fold(MariaDbOptions::new(name, 7), |options, arg| options.arg(arg));
    let mariadb = MariaDb::start(support::sandbox(), options).await?;
    let database = ServiceDatabase::create(&mariadb, "shop", "shop").await?;
    database.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL)").await?;
    // Numbers that a binlog that begins anew does not reach soon.
    database.execute(&"INSERT INTO t (n) VALUES (1);".repeat(60)).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let config = format!("\n[change_log]\n{log}\n\n{}", database.config("cached"));
    let server = support::crossweave(&config, environment)?;
    Ok(Rig { mariadb, database, server })
}

impl Rig {
    async fn insert(&self, rows: usize) -> TestResult {
        Ok(self.database.execute(&"INSERT INTO t (n) VALUES (2);".repeat(rows)).await?)
    }

    /// Waits until the cache is as its table, current, and said to be at the position where the server is.
    async fn comes_to_equal(&self, client: &Client) -> TestResult {
        let all = Statement::new("SELECT * FROM shop.t ORDER BY id");
        let live = client.sql(&all.clone().on("live")).await?.rows;
        let mut conn = self.database.connect().await?;
        let position: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_binlog_pos").await?;
        let position = position.filter(|position| !position.is_empty());
        conn.disconnect().await?;
        support::eventually("the cache as its table", LIMIT, || async {
            let cached = client.sql(&all.clone().on("cached")).await.map_err(|e| e.to_string())?.rows;
            let status = service(client).await.map_err(|failure| format!("{failure:?}"))?;
            let right = cached == live && status["position"].as_str() == position.as_deref();
            if right && status["state"] == "ok" && status["tables"][0]["state"] == "ready" {
                return Ok(());
            }
            Err(format!("{} rows of {} at {position:?}, status {status}", cached.len(), live.len()))
        })
        .await
    }
}

async fn service(client: &Client) -> TestResult<serde_json::Value> {
    let status: serde_json::Value = serde_json::from_str(&client.get("/status").await?.1)?;
    Ok(status["services"][0].clone())
}

async fn loads(client: &Client) -> TestResult<u64> {
    Ok(service(client).await?["tables"][0]["loads"].as_u64().ok_or("no loads")?)
}

async fn a_reset_while_running(name: &str, log: &str) -> TestResult {
    let mut rig = rig(name, log, &[]).await?;
    let client = rig.server.start().await?;
    rig.comes_to_equal(&client).await?;
    rig.mariadb.execute(None, "RESET MASTER").await?;
    rig.comes_to_equal(&client).await?;
    for rows in [1, 3] {
        rig.insert(rows).await?;
        rig.comes_to_equal(&client).await?;
    }
    // The same numbers of another server id.
    rig.mariadb.execute(None, "SET GLOBAL server_id = 88; RESET MASTER").await?;
    rig.insert(4).await?;
    rig.comes_to_equal(&client).await?;
    // As many transactions as before, and that before the next heartbeat; then one fewer.
    for transactions in [4, 3, 1] {
        rig.mariadb.execute(None, "RESET MASTER").await?;
        rig.insert(transactions).await?;
        rig.comes_to_equal(&client).await?;
        let again = "INSERT INTO shop.t (n) VALUES (3);".repeat(transactions);
        rig.mariadb.execute(None, &format!("RESET MASTER; {again}")).await?;
        rig.comes_to_equal(&client).await?;
    }
    let said = std::fs::read_to_string(rig.server.log())?;
    assert!(said.contains("the service is loaded anew"), "{said}");
    // What is stored is of the new history, and enough to go on from.
    rig.server.terminate().await?;
    rig.insert(1).await?;
    let client = rig.server.start().await?;
    rig.comes_to_equal(&client).await?;
    assert_eq!(loads(&client).await?, 0, "{}", std::fs::read_to_string(rig.server.log())?);
    rig.server.terminate().await?;
    Ok(())
}

async fn a_reset_while_down(name: &str, log: &str) -> TestResult {
    let mut rig = rig(name, log, &[]).await?;
    let mut client = rig.server.start().await?;
    // The second time the new numbers come past the old ones.
    for rows in [3, 100] {
        rig.comes_to_equal(&client).await?;
        rig.insert(2).await?;
        rig.comes_to_equal(&client).await?;
        rig.server.terminate().await?;
        if log.contains("kafka") {
            // Its records keep the second of a transaction, not what was in it.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        rig.mariadb.execute(None, "RESET MASTER").await?;
        rig.insert(rows).await?;
        client = rig.server.start().await?;
    }
    rig.comes_to_equal(&client).await?;
    rig.server.terminate().await?;
    // One without caches, which a log that stays shows transactions of both histories.
    std::fs::remove_dir_all(rig.server.state_dir())?;
    let client = rig.server.start().await?;
    rig.insert(1).await?;
    rig.comes_to_equal(&client).await?;
    assert_eq!(loads(&client).await?, 1, "{}", std::fs::read_to_string(rig.server.log())?);
    rig.server.terminate().await?;
    Ok(())
}

async fn kafka(hint: &str) -> TestResult<String> {
    let (broker, prefix) = (support::kafka().await?.bootstrap(), support::unique(hint));
    Ok(format!("kind = \"kafka\"\nbrokers = [\"{broker}\"]\nprefix = \"{prefix}\""))
}

#[tokio::test]
async fn after_a_reset_the_running_caches_are_loaded_anew() -> TestResult {
    a_reset_while_running("reset", "kind = \"direct\"").await
}

#[tokio::test]
async fn after_a_reset_the_running_caches_are_loaded_anew_through_kafka() -> TestResult {
    a_reset_while_running("reset_kafka", &kafka("reset").await?).await
}

#[tokio::test]
async fn after_a_reset_while_down_the_caches_are_loaded_anew() -> TestResult {
    a_reset_while_down("reset_down", "kind = \"direct\"").await
}

#[tokio::test]
async fn after_a_reset_while_down_the_caches_are_loaded_anew_through_kafka() -> TestResult {
    a_reset_while_down("reset_down_kafka", &kafka("reset_down").await?).await
}

#[tokio::test]
async fn a_number_chosen_lower_than_the_last_means_a_load_anew() -> TestResult {
    let mut rig = rig("chosen", "kind = \"direct\"", &["--gtid-strict-mode=0"]).await?;
    let client = rig.server.start().await?;
    rig.comes_to_equal(&client).await?;
    rig.database.execute("SET SESSION gtid_seq_no = 5; INSERT INTO t (n) VALUES (3)").await?;
    rig.comes_to_equal(&client).await?;
    for rows in [1, 3] {
        rig.insert(rows).await?;
        rig.comes_to_equal(&client).await?;
    }
    rig.server.terminate().await?;
    rig.insert(1).await?;
    let client = rig.server.start().await?;
    rig.comes_to_equal(&client).await?;
    Ok(())
}
