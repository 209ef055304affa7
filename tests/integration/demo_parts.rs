//! The demo's servers and data, which all other tests stand on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crossweave::demo::federated::Federated;
use crossweave::demo::parts::MariaDbParts;
use crossweave::demo::questions::QUESTIONS;
use mysql_async::Params;
use mysql_async::prelude::Queryable;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::support::{self, Failure, Kafka, MariaDb, MariaDbOptions, Sandbox, Seed, Shop, TestResult};

fn is_running(process_id: u32) -> bool {
    // A process that has ended but was not waited for yet is a zombie: it has no memory any more.
    std::fs::read_to_string(format!("/proc/{process_id}/status"))
        .is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}

async fn gone(process_id: u32, folder: &Path) -> TestResult {
    support::eventually("the process and its folder are gone", Duration::from_secs(10), || async {
        match (is_running(process_id), folder.exists()) {
            (false, false) => Ok(()),
            (running, folder) => Err(format!("running: {running}, folder there: {folder}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process_and_no_folder() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-drop")?;
    let folder = sandbox.dir().to_owned();
    let server = MariaDb::start(&sandbox, MariaDbOptions::new("one", 1)).await?;
    let process_id = server.process_id().ok_or("the server has no process")?;
    assert!(is_running(process_id));
    drop(sandbox);
    drop(server);
    assert!(!is_running(process_id));
    assert!(!folder.exists());
    Ok(())
}

/// What stands in for us being killed: a process that starts a server in a sandbox and is then killed itself.
/// It is this test binary once more, which runs [`holds_a_server_until_it_is_killed`] only.
#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_folder() -> TestResult {
    let outer = Sandbox::temporary("crossweave-killed")?;
    let report = outer.dir().join("report");
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "demo_parts::holds_a_server_until_it_is_killed", "--nocapture"])
        .env("CROSSWEAVE_TEST_REPORT", &report);
    let mut holder = outer.spawn("the holder", command, &outer.dir().join("log"))?;
    let text = support::eventually("the server in the other process", Duration::from_secs(60), || async {
        match std::fs::read_to_string(&report) {
            Ok(text) if text.ends_with('\n') => Ok(text),
            _ => Err(support_tail(&outer)),
        }
    })
    .await?;
    let (process_id, folder) = text.trim().split_once(' ').ok_or("no report")?;
    let process_id: u32 = process_id.parse()?;
    assert!(is_running(process_id));
    holder.kill();
    gone(process_id, Path::new(folder)).await
}

fn support_tail(outer: &Sandbox) -> String {
    crossweave::demo::process::log_tail(&outer.dir().join("log"), 10)
}

/// Does nothing by itself; see [`a_killed_process_leaves_no_server_and_no_folder`].
#[tokio::test]
async fn holds_a_server_until_it_is_killed() -> TestResult {
    let Some(report) = std::env::var_os("CROSSWEAVE_TEST_REPORT") else { return Ok(()) };
    let sandbox = Sandbox::temporary("crossweave-held")?;
    let server = MariaDb::start(&sandbox, MariaDbOptions::new("held", 1)).await?;
    let process_id = server.process_id().ok_or("the server has no process")?;
    std::fs::write(report, format!("{process_id} {}\n", sandbox.dir().display()))?;
    tokio::time::sleep(Duration::from_secs(120)).await;
    Err(Failure::from("nobody has killed this process"))
}

#[tokio::test]
async fn a_server_keeps_port_data_and_binlog_over_a_kill_and_a_stop() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-resume")?;
    let mut server = MariaDb::start(&sandbox, MariaDbOptions::new("one", 7)).await?;
    let port = server.port();
    server.execute(None, "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)").await?;
    server.execute(Some("d"), "INSERT INTO t VALUES (1)").await?;
    server.kill();
    server.resume().await?;
    server.execute(Some("d"), "INSERT INTO t VALUES (2)").await?;
    server.stop().await?;
    assert_eq!(server.process_id(), None);
    server.resume().await?;
    assert_eq!(server.port(), port);
    let mut conn = server.connect(Some("d")).await?;
    let rows: Vec<i64> = conn.query("SELECT a FROM t ORDER BY a").await?;
    assert_eq!(rows, [1, 2]);
    let position: Option<String> = conn.query_first("SELECT @@gtid_binlog_pos").await?;
    assert_eq!(position.as_deref(), Some("0-7-4"), "two statements of DDL and two inserts");
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-wrong")?;
    let options = MariaDbOptions::new("wrong", 1).arg("--no-such-option=1");
    let error = MariaDb::start(&sandbox, options).await.err().ok_or("it has started")?.to_string();
    assert!(error.contains("MariaDB \"wrong\" ended with"), "{error}");
    assert!(error.contains("no-such-option"), "{error}");
    Ok(())
}

/// Every table with its rows' checksum, as MariaDB computes it.
async fn checksums(shop: &Shop) -> TestResult<Vec<(String, Option<u64>)>> {
    let mut all = Vec::new();
    for database in shop.databases() {
        let mut conn = database.connect().await?;
        let tables: Vec<String> = conn.query("SHOW TABLES").await?;
        for table in tables {
            let row: Option<(String, Option<u64>)> =
                conn.query_first(format!("CHECKSUM TABLE {table}")).await?;
            let (_, sum) = row.ok_or("no checksum")?;
            all.push((format!("{}.{table}", database.service), sum));
        }
    }
    Ok(all)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_rows() -> TestResult {
    let (one, two) = (support::shop(Seed::SMALL).await?, support::shop(Seed::SMALL).await?);
    let sums = checksums(&one).await?;
    assert_eq!(sums.len(), 7);
    assert!(sums.iter().all(|(_, sum)| sum.is_some_and(|sum| sum != 0)), "{sums:?}");
    assert_eq!(sums, checksums(&two).await?);
    let other = support::shop(Seed { seed: 1, ..Seed::SMALL }).await?;
    assert_ne!(sums, checksums(&other).await?);
    Ok(())
}

#[tokio::test]
async fn the_demo_has_the_data_that_its_questions_need() -> TestResult {
    let shop = support::shop(Seed::DEMO).await?;
    let count = async |database: &support::ServiceDatabase, condition: &str| -> TestResult<i64> {
        let mut conn = database.connect().await?;
        let count: Option<i64> = conn.query_first(format!("SELECT COUNT(*) FROM {condition}")).await?;
        Ok(count.ok_or("no count")?)
    };
    assert_eq!(count(&shop.users, "users").await?, 1_000);
    assert_eq!(count(&shop.items, "items").await?, 500);
    assert_eq!(count(&shop.orders, "orders").await?, 5_000);
    let lines = count(&shop.orders, "order_items").await?;
    assert!((14_500..=15_500).contains(&lines), "{lines} lines");
    for (database, condition) in [
        (&shop.users, "users WHERE email IS NULL"),
        (&shop.users, "users WHERE balance = 0"),
        (&shop.users, "users WHERE balance < 0"),
        (&shop.users, "users WHERE displayName LIKE '% '"),
        (&shop.users, "users WHERE displayName LIKE '%🦊%' COLLATE utf8mb4_bin"),
        (&shop.users, "users WHERE isActive = 0"),
        (&shop.items, "items WHERE price = 0"),
        (&shop.items, "items WHERE seller_id = 11"),
        (&shop.items, "stock WHERE quantity = 0"),
        (&shop.orders, "orders WHERE note = ''"),
        (&shop.orders, "orders WHERE user_id = 11"),
        (&shop.orders, "order_items WHERE discount = 0.3333"),
    ] {
        assert!(count(database, condition).await? > 0, "no row in {condition}");
    }
    // The total of an order is the sum of its lines, each rounded.
    let wrong = "orders o WHERE o.total <> (SELECT SUM(ROUND(l.quantity * l.unitPrice * (1 - COALESCE(l.discount, 0)), 2)) \
                 FROM order_items l WHERE l.order_id = o.id)";
    assert_eq!(count(&shop.orders, wrong).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_reader_reads_its_own_database_alone_and_writes_nothing() -> TestResult {
    let (mine, other) = (support::database("mine").await?, support::database("other").await?);
    mine.execute("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    other.execute("CREATE TABLE t (a INT PRIMARY KEY)").await?;
    let mut reader = mysql_async::Conn::new(mine.reader_opts()).await?;
    let rows: Vec<i64> = reader.query("SELECT a FROM t").await?;
    assert_eq!(rows, [1]);
    let refused = reader.query_drop("INSERT INTO t VALUES (2)").await;
    assert!(refused.is_err_and(|e| e.to_string().contains("denied")));
    Ok(())
}

#[tokio::test]
async fn kafka_starts_and_keeps_its_topics_over_a_kill() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-kafka")?;
    let mut kafka = Kafka::start(&sandbox, "kafka", &[]).await?;
    let kept = |bootstrap: String, create: &'static str| async move {
        let topics = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &bootstrap)
                .set("allow.auto.create.topics", create)
                .create()?;
            let of = if create == "true" { Some("kept") } else { None };
            let found = consumer.fetch_metadata(of, Duration::from_secs(20))?;
            Ok::<_, rdkafka::error::KafkaError>(found.topics().iter().any(|topic| {
                topic.name() == "kept" && topic.error().is_none() && !topic.partitions().is_empty()
            }))
        });
        match topics.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())? {
            true => Ok(()),
            false => Err("no topic \"kept\"".to_owned()),
        }
    };
    let limit = Duration::from_secs(30);
    support::eventually("the topic is made", limit, || kept(kafka.bootstrap(), "true")).await?;
    kafka.kill();
    assert_eq!(kafka.process_id(), None);
    kafka.resume().await?;
    support::eventually("the topic is still there", limit, || kept(kafka.bootstrap(), "false")).await?;
    Ok(())
}

/// Every question of the demo has an answer in one MariaDB that holds all the tables, which is what Crossweave's
/// answers are held against; and FEDERATED can be asked the same, where MariaDB came with it.
#[tokio::test]
async fn one_mariadb_answers_every_question() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-questions")?;
    let server = MariaDb::start(&sandbox, MariaDbOptions::new("all", 1)).await?;
    Shop::create([&server; 3], "", Seed::SMALL).await?;
    let mut conn = server.connect(None).await?;
    for question in QUESTIONS {
        let params: Vec<mysql_async::Value> = question.user.map(Into::into).into_iter().collect();
        let params = if params.is_empty() { Params::Empty } else { Params::Positional(params) };
        let rows: Vec<mysql_async::Row> = conn.exec(question.for_mariadb(), params).await?;
        assert!(!rows.is_empty(), "{}", question.title);
    }
    let named = [("users", &server), ("items", &server), ("orders", &server)];
    if let Some(mut federated) = Federated::start(&sandbox, named).await? {
        assert!(federated.time(&QUESTIONS[0]).await?.is_some());
    } else {
        assert!(MariaDbParts::find()?.federated.is_none());
    }
    Ok(())
}
