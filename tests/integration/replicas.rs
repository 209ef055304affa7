//! Read replicas: what is read where, what answers say of it, and what is told of replicas that are not fit.

use std::collections::BTreeSet;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::support::{
    self, Client, MariaDb, MariaDbOptions, Server, ServiceDatabase, Statement, TestResult, eventually,
};

const SOON: Duration = Duration::from_secs(60);

/// How old what is read may be: enough for a busy machine.
const BOUND: f64 = 3.0;

/// The service `orders` on a primary with two replicas. Live tables: `who`, with the number of the server that is read,
/// and `t`; `kept` is cached, with the same as `who`.
struct Group {
    primary: MariaDb,
    replicas: Vec<MariaDb>,
    orders: ServiceDatabase,
    server: Server,
}

impl Group {
    async fn new(name: &str) -> TestResult<Self> {
        let start = async |number: u32| {
            let options = MariaDbOptions::new(&support::unique(name), number).arg("--log-slave-updates");
            MariaDb::start(support::sandbox(), options).await
        };
        let primary = start(90).await?;
        let replicas = vec![start(91).await?, start(92).await?];
        for replica in &replicas {
            let follow = format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'owner', \
                 MASTER_PASSWORD = '{}', MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos; START SLAVE",
                primary.port(),
                primary.password()
            );
            replica.execute(None, &follow).await?;
        }
        let orders = ServiceDatabase::create(&primary, "orders", "orders").await?;
        let who = "CREATE TABLE who (id INT PRIMARY KEY); INSERT INTO who VALUES (90)";
        let rest = format!("{}; CREATE TABLE t (id INT PRIMARY KEY)", who.replace("who", "kept"));
        orders.execute(&format!("{who}; {rest}")).await?;
        for (at, replica) in replicas.iter().enumerate() {
            caught_up(&primary, replica).await?;
            let own =
                format!("SET sql_log_bin = 0; UPDATE who SET id = {0}; UPDATE kept SET id = {0}", 91 + at);
            replica.execute(Some("orders"), &own).await?;
        }
        let addresses: Vec<String> = replicas.iter().map(address).collect();
        let config = orders.config("live").trim_end().to_owned()
            + &format!("\nreplicas = {addresses:?}\nreplica_lag = \"{BOUND:.0}s\"\n")
            + "[services.orders.tables.kept]\nmode = \"cached\"\n";
        let environment = vec![(orders.password_variable(), orders.reader_password.clone())];
        let server = support::crossweave(&config, environment)?;
        Ok(Self { primary, replicas, orders, server })
    }

    /// Crossweave, once it reads both replicas.
    async fn started(&mut self) -> TestResult<Client> {
        let client = self.server.start().await?;
        for replica in &self.replicas {
            fit(&client, &address(replica)).await?;
        }
        Ok(client)
    }
}

fn address(server: &MariaDb) -> String {
    format!("127.0.0.1:{}", server.port())
}

async fn caught_up(primary: &MariaDb, replica: &MariaDb) -> TestResult {
    let position = async |server: &MariaDb, variable: &str| -> TestResult<String> {
        let mut conn = server.connect(None).await?;
        Ok(conn.query_first(format!("SELECT @@GLOBAL.{variable}")).await?.unwrap_or_default())
    };
    let end = position(primary, "gtid_binlog_pos").await?;
    eventually("the replica follows", SOON, async || match position(replica, "gtid_slave_pos").await {
        Ok(found) if found == end => Ok(()),
        Ok(found) => Err(found),
        Err(error) => Err(format!("{error:?}")),
    })
    .await
}

/// What the status says of the replica at `address`.
async fn replica(client: &Client, address: &str) -> TestResult<Value> {
    let status: Value = serde_json::from_str(&client.get("/status").await?.1)?;
    let replicas = status["services"][0]["replicas"].as_array().cloned().unwrap_or_default();
    Ok(replicas.into_iter().find(|replica| replica["server"] == address).unwrap_or_default())
}

async fn fit(client: &Client, address: &str) -> TestResult {
    eventually("the replica is fit", SOON, async || match replica(client, address).await {
        Ok(found) if found["fit"] == true => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

async fn unfit(client: &Client, address: &str, reason: &str) -> TestResult {
    eventually("the replica is not fit", SOON, async || match replica(client, address).await {
        Ok(found) if found["reason"].as_str().is_some_and(|found| found.contains(reason)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// The number of the server that a query read, which is the one that its answer names.
async fn who(client: &Client, group: &Group) -> TestResult<i64> {
    let answer = client.sql(&Statement::new("SELECT id FROM orders.who")).await?;
    let who = answer.rows[0][0].as_i64().unwrap_or_default();
    let read = &answer.reads["orders"];
    let server = match who {
        90 => &group.primary,
        number => &group.replicas[number as usize - 91],
    };
    assert_eq!(read.server, Some(address(server)));
    match who {
        90 => assert_eq!(read.age, None),
        _ => assert!(read.age.is_some_and(|age| age <= BOUND), "{read:?}"),
    }
    Ok(who)
}

#[tokio::test]
async fn queries_are_spread_each_reads_one_server_and_says_which() -> TestResult {
    let mut group = Group::new("spread").await?;
    let output = support::output(group.server.command(&["check"])).await?;
    let text = String::from_utf8(output.stdout)?;
    for replica in &group.replicas {
        let line = format!("ok       replica {}: follows, with the same tables", address(replica));
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    let client = group.started().await?;
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        seen.insert(who(&client, &group).await?);
    }
    assert_eq!(seen, BTreeSet::from([91, 92]));
    // Three statements, at the same time as others that do so.
    let many = "SELECT a.id, b.id, c.n FROM orders.who a CROSS JOIN orders.who b \
                CROSS JOIN (SELECT max(id) AS n FROM orders.who) c";
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.sql(&Statement::new(many).pushing_down("none")).await })
        })
        .collect();
    for answer in asking {
        let answer = answer.await??;
        let row = &answer.rows[0];
        assert!(row[0] == row[1] && row[1] == row[2] && row[0] != 90, "{row:?}");
    }
    // The position is the primary's, though another server told it.
    let end: Option<String> =
        group.primary.connect(None).await?.query_first("SELECT @@GLOBAL.gtid_binlog_pos").await?;
    let answer = client.sql(&Statement::new("SELECT count(*) FROM orders.t")).await?;
    assert_eq!(answer.reads["orders"].position, end);
    let explained = client.sql(&Statement::new("EXPLAIN SELECT * FROM orders.t")).await?;
    let routes = explained.rows[0][1].as_str().unwrap_or_default();
    assert!(routes.contains("s old, from the replica 127.0.0.1:"), "{routes}");
    // What is cached is what the primary has.
    let kept = client.sql(&Statement::new("SELECT id FROM orders.kept").on("cached")).await?;
    assert_eq!(kept.rows, [[json!(90)]]);
    let status = support::output(group.server.command(&["status"])).await?;
    let text = String::from_utf8(status.stdout)?;
    assert!(text.contains(&format!("orders: {}", address(&group.replicas[0]))), "{text}");
    Ok(())
}

#[tokio::test]
async fn where_no_replica_is_fit_the_primary_is_read_until_they_come_back() -> TestResult {
    let mut group = Group::new("fallback").await?;
    let client = group.started().await?;
    let addresses: Vec<String> = group.replicas.iter().map(address).collect();
    // One is stopped, the other one killed, while queries come one after the other.
    group.replicas[0].execute(None, "STOP SLAVE SQL_THREAD").await?;
    group.orders.execute("INSERT INTO t VALUES (1)").await?;
    caught_up(&group.primary, &group.replicas[1]).await?;
    unfit(&client, &addresses[0], "replica_lag").await?;
    for _ in 0..3 {
        assert_eq!(who(&client, &group).await?, 92);
    }
    group.replicas[1].kill();
    for _ in 0..20 {
        assert_eq!(who(&client, &group).await?, 90, "nobody notices");
    }
    let count = Statement::new("SELECT count(*) FROM orders.t");
    assert_eq!(client.sql(&count).await?.rows, [[json!(1)]]);
    unfit(&client, &addresses[1], "cannot be reached").await?;
    let (_, metrics) = client.get("/metrics").await?;
    let value = |name: &str| {
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or(-1.0)
    };
    assert!(value("crossweave_service_replica_fallbacks_total{service=\"orders\"}") >= 21.0, "{metrics}");
    for address in &addresses {
        let labels = format!("{{service=\"orders\",server=\"{address}\"}}");
        assert_eq!(value(&format!("crossweave_replica_fit{labels}")), 0.0, "{metrics}");
    }
    assert!(value("crossweave_service_circuit_open{service=\"orders\"}") == 0.0, "{metrics}");
    let status = support::output(group.server.command(&["status"])).await?;
    let text = String::from_utf8(status.stdout)?;
    assert!(text.contains("queries read the primary, for no replica was fit"), "{text}");
    // They come back.
    group.replicas[0].execute(None, "START SLAVE SQL_THREAD").await?;
    group.replicas[1].resume().await?;
    for address in &addresses {
        fit(&client, address).await?;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        assert_eq!(client.sql(&count).await?.rows, [[json!(1)]]);
    }
    for _ in 0..6 {
        seen.insert(who(&client, &group).await?);
    }
    assert_eq!(seen, BTreeSet::from([91, 92]));
    Ok(())
}

#[tokio::test]
async fn a_replica_that_defines_a_table_otherwise_does_not_fail_a_query() -> TestResult {
    let mut group = Group::new("differs").await?;
    let client = group.started().await?;
    for replica in &group.replicas {
        replica.execute(Some("orders"), "SET sql_log_bin = 0; ALTER TABLE t MODIFY id BIGINT").await?;
    }
    for _ in 0..6 {
        let answer = client.sql(&Statement::new("SELECT id FROM orders.t")).await?;
        assert_eq!(answer.columns[0].data_type, "int32");
        assert_eq!(answer.reads["orders"].server, Some(address(&group.primary)));
    }
    let output = support::output(group.server.command(&["check"])).await?;
    let text = String::from_utf8(output.stdout)?;
    assert!(
        output.status.code() == Some(1) && text.contains("other definitions than on the primary: t"),
        "{text}"
    );
    Ok(())
}
