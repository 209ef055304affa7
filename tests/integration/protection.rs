//! Nothing of Crossweave hurts a database: limits, admission, the circuit breaker, and statements that end.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::support::{
    self, Client, MariaDb, MariaDbOptions, Server, ServiceDatabase, Statement, TestResult, database,
};

const SOON: Duration = Duration::from_secs(30);

/// Bound on how long a statement goes on at a source that nobody waits for any more.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

fn environment(databases: &[&ServiceDatabase]) -> Vec<(String, String)> {
    databases.iter().map(|d| (d.password_variable(), d.reader_password.clone())).collect()
}

async fn asked(client: &Client, statement: Statement) -> Result<Value, String> {
    let answer = client.sql(&statement).await;
    answer.map(|answer| answer.rows[0][0].clone()).map_err(|error| error.to_string())
}

async fn metric(client: &Client, line: &str) -> TestResult<Option<String>> {
    let (_, metrics) = client.get("/metrics").await?;
    Ok(metrics.lines().find_map(|found| Some(found.strip_prefix(line)?.trim().to_owned())))
}

#[tokio::test]
async fn what_costs_a_source_too_much_is_refused_counted_and_told_with_the_way_round_it() -> TestResult {
    let orders = database("orders").await?;
    orders
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY, b INT); INSERT INTO t SELECT seq, seq FROM seq_1_to_20000; \
             CREATE TABLE live_only (id INT, b INT); INSERT INTO live_only SELECT seq, seq FROM seq_1_to_20000; \
             ANALYZE TABLE t, live_only",
        )
        .await?;
    let config = orders.config("cached")
        + "[services.orders.limits]\nconnections = 3\nrows_examined = 5000\nrows = 100\nseconds = 5\n";
    let mut server = support::crossweave(&config, environment(&[&orders]))?;
    let client = server.start().await?;
    let sum = "SELECT sum(b) FROM orders.t WHERE b > 5";
    // The cache asks nothing of the database: its load is no query.
    assert_eq!(asked(&client, Statement::new(sum)).await?, json!(200_009_985));
    let error = asked(&client, Statement::new(sum).on("live")).await.unwrap_err();
    for part in ["422", "service orders", "rows_examined", "5000", "crossweave.route.orders = 'cached'"] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
    // EXPLAIN tells beforehand, and costs nothing.
    let explained = client.sql(&Statement::new(format!("EXPLAIN {sum}")).on("live")).await?.rows;
    let explained = explained.iter().map(|row| row[1].to_string()).collect::<String>();
    assert!(
        explained.contains("estimated_rows=1, examined_rows=")
            && explained.contains("(refused: at most 5000 may be)")
    );
    // Without a cache there is no such way.
    let error = asked(&client, Statement::new("SELECT sum(b) FROM orders.live_only")).await.unwrap_err();
    assert!(error.contains("rows_examined") && !error.contains("crossweave.route"), "{error}");
    let one = "SELECT b FROM orders.t WHERE id = 7";
    assert_eq!(asked(&client, Statement::new(one).on("live")).await?, json!(7));
    let many = "SELECT b FROM orders.t WHERE id < 1000";
    let error = asked(&client, Statement::new(many).on("live")).await.unwrap_err();
    assert!(error.contains("999 rows, of the 100 that one may"), "{error}");

    let parameters = format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
    let (analyst, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    let connection = tokio::spawn(connection);
    analyst.batch_execute("SET crossweave.route = 'live'").await?;
    let error = analyst.simple_query(sum).await.expect_err("it is refused");
    assert_eq!(error.code().map(|code| code.code()), Some("53400"), "{error}");
    drop(analyst);
    connection.await??;

    let refusals =
        |limit: &str| format!("crossweave_service_refusals_total{{service=\"orders\",limit=\"{limit}\"}}");
    assert_eq!(metric(&client, &refusals("rows_examined")).await?.as_deref(), Some("3"));
    assert_eq!(metric(&client, &refusals("rows")).await?.as_deref(), Some("1"));
    let status: Value = serde_json::from_str(&client.get("/status").await?.1)?;
    assert_eq!(status["services"][0]["refusals"], json!({"rows": 1, "rows_examined": 3}));
    Ok(())
}

#[tokio::test]
async fn a_database_that_refuses_is_told_and_one_that_is_down_is_not_asked_until_it_answers() -> TestResult {
    let mut mariadb = MariaDb::start(support::sandbox(), MariaDbOptions::new("breaker", 3)).await?;
    let down = ServiceDatabase::create(&mariadb, "down", "down").await?;
    let up = database("up").await?;
    for database in [&down, &up] {
        database.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    }
    let config = down.config("live") + &up.config("live");
    let mut server = support::crossweave(&config, environment(&[&down, &up]))?;
    let client = server.start().await?;
    let count = |service: &str| Statement::new(format!("SELECT count(*) FROM {service}.t"));
    assert_eq!(asked(&client, count("down")).await?, json!(1));
    let open = "crossweave_service_circuit_open{service=\"down\"}";
    assert_eq!(metric(&client, open).await?.as_deref(), Some("0"));

    // An account that may not log in any more is told each time, and tried again a second later.
    let identified = |by: &str| format!("ALTER USER crossweave@'127.0.0.1' IDENTIFIED BY '{by}'");
    down.execute(&format!("{}; KILL HARD USER crossweave@'127.0.0.1'", identified("another"))).await?;
    let error = asked(&client, count("down")).await.unwrap_err();
    assert!(error.contains("1045"), "{error}");
    let failing = "crossweave_service_state{service=\"down\",state=\"failing\"}";
    assert_eq!(metric(&client, failing).await?.as_deref(), Some("1"));
    let status: Value = serde_json::from_str(&client.get("/status").await?.1)?;
    let reason = status["services"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("1045") && !reason.contains(&down.reader_password), "{status}");
    down.execute(&identified(&down.reader_password)).await?;
    support::eventually("the account logs in again", SOON, async || {
        asked(&client, count("down")).await.map(|rows| assert_eq!(rows, json!(1)))
    })
    .await?;
    assert_eq!(metric(&client, failing).await?.as_deref(), Some("0"));

    mariadb.kill();
    support::eventually("the breaker opens", SOON, async || {
        let error = asked(&client, count("down")).await.expect_err("nobody is there");
        if error.contains("not asked, for it did not answer") { Ok(()) } else { Err(error) }
    })
    .await?;
    let error = asked(&client, count("down")).await.unwrap_err();
    assert!(error.contains("503") && error.contains("down") && error.contains("tried"), "{error}");
    assert_eq!(metric(&client, open).await?.as_deref(), Some("1"));
    assert_eq!(metric(&client, "crossweave_service_circuit_open{service=\"up\"}").await?.as_deref(), Some("0"));
    let status: Value = serde_json::from_str(&client.get("/status").await?.1)?;
    let reason = status["services"][0]["reason"].as_str().unwrap_or_default();
    assert!(status["services"][0]["state"] == "failing" && reason.contains("tried again"), "{status}");
    assert_eq!(asked(&client, count("up")).await?, json!(1));

    mariadb.resume().await?;
    // By itself: nobody asks for it.
    support::eventually("the breaker closes", SOON, async || match metric(&client, open).await {
        Ok(Some(value)) if value == "0" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    assert_eq!(asked(&client, count("down")).await?, json!(1));
    Ok(())
}

/// Two services: `a` with a view that takes minutes, `b` with a table of which little may be read.
struct Slow {
    a: ServiceDatabase,
    server: Server,
    client: Client,
    owner: mysql_async::Conn,
}

impl Slow {
    async fn new() -> TestResult<Self> {
        let (a, b) = (database("a").await?, database("b").await?);
        let rows = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_2000";
        a.execute(&format!("{rows}; CREATE VIEW sleeps AS SELECT id, SLEEP(0.1) AS slept FROM t")).await?;
        b.execute(rows).await?;
        // With an account of its own, so that its limits are not those of both.
        let accounts = format!(
            "CREATE OR REPLACE USER 'narrow'@'127.0.0.1' IDENTIFIED BY 'pw'; \
             GRANT SELECT ON {}.* TO 'narrow'@'127.0.0.1'",
            b.database
        );
        support::mariadb().await?.execute(None, &accounts).await?;
        let config = format!(
            "{}[services.b]\nurl = \"mysql://narrow:pw@127.0.0.1:{}/{}\"\nlimits = {{ rows_examined = 100 }}\n",
            a.config("live"),
            b.port,
            b.database
        );
        let mut server = support::crossweave(&config, environment(&[&a]))?;
        let client = server.start().await?;
        let owner = a.connect().await?;
        Ok(Self { a, server, client, owner })
    }

    async fn running(&mut self) -> TestResult<u64> {
        let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE LOCATE(CONCAT('`', ?, '`.`sleeps`'), INFO) \
                   AND ID <> CONNECTION_ID() AND COMMAND <> 'Sleep'";
        Ok(self.owner.exec_first(sql, (&self.a.database,)).await?.unwrap_or(0))
    }

    async fn until_running(&mut self) -> TestResult {
        let start = Instant::now();
        while self.running().await? == 0 {
            assert!(start.elapsed() < SOON, "no statement runs");
        }
        Ok(())
    }

    /// How long statements go on from now on.
    async fn goes_on_for(&mut self) -> TestResult<Duration> {
        let start = Instant::now();
        while self.running().await? > 0 {
            assert!(start.elapsed() < SOON, "a statement goes on");
        }
        Ok(start.elapsed())
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_deadline_and_an_error_end_the_statements_at_once() -> TestResult {
    let mut slow = Slow::new().await?;
    // A client that leaves, over HTTP.
    let (client, sql) = (slow.client.clone(), "SELECT sum(id + slept) FROM a.sleeps");
    let asking = tokio::spawn(async move { client.sql(&Statement::new(sql)).await.map(|_| ()) });
    slow.until_running().await?;
    asking.abort();
    let took = slow.goes_on_for().await?;
    assert!(took < ENDS_WITHIN, "after its client left, the statement went on for {took:?}");

    // A deadline.
    let parameters =
        format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", slow.server.postgres_port());
    let (analyst, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    let connection = tokio::spawn(connection);
    analyst.batch_execute("SET statement_timeout = 2000").await?;
    let asking = tokio::spawn(async move { (analyst.simple_query(sql).await.map(|_| ()), analyst) });
    slow.until_running().await?;
    let (answer, analyst) = asking.await?;
    assert_eq!(answer.expect_err("it is late").code().map(|code| code.code()), Some("57014"));
    let took = slow.goes_on_for().await?;
    assert!(took < ENDS_WITHIN, "after its deadline, the statement went on for {took:?}");

    // An error of another part of the query, once the statement runs.
    analyst.batch_execute("SET statement_timeout = 60000").await?;
    let sql = "SELECT id FROM a.sleeps UNION ALL SELECT id FROM b.t";
    let error = analyst.simple_query(sql).await.expect_err("b is refused");
    assert_eq!(error.code().map(|code| code.code()), Some("53400"), "{error}");
    let took = slow.goes_on_for().await?;
    assert!(took < ENDS_WITHIN, "after another part failed, the statement went on for {took:?}");

    // A client that leaves, on the PostgreSQL wire.
    let asking = tokio::spawn(async move { analyst.simple_query("SELECT * FROM a.sleeps").await.map(|_| ()) });
    slow.until_running().await?;
    connection.abort();
    let took = slow.goes_on_for().await?;
    assert!(took < ENDS_WITHIN, "after its client left, the statement went on for {took:?}");
    assert!(asking.await?.is_err());
    // All connections are clean and there: one after the other answers.
    for _ in 0..10 {
        assert_eq!(asked(&slow.client, Statement::new("SELECT count(*) FROM a.t")).await?, json!(2000));
    }
    Ok(())
}
