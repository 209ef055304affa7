//! Statements and sources that would do harm: statements of very many tables, sources that change or go away while they
//! are read. Each is answered, or refused in words, in time, and the next one is answered.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::{self, Client, MariaDb, MariaDbOptions, Server, ServiceDatabase, Statement, TestResult};

const SOON: Duration = Duration::from_secs(30);

/// A count of `tables` tables, each joined with the one before it by its key.
fn chain(tables: usize) -> String {
    let joins = (1..tables).map(|n| format!(" JOIN s.t a{n} ON a{n}.id = a{}.id", n - 1));
    format!("SELECT count(*) FROM s.t a0{}", joins.collect::<String>())
}

async fn count(client: &Client, sql: impl Into<String>) -> TestResult<Value> {
    let answer = client.sql(&Statement::new(sql)).await?;
    Ok(answer.rows[0][0].clone())
}

/// A service `s` with a table `t` of two rows, read live.
async fn served() -> TestResult<(ServiceDatabase, Server, Client)> {
    let database = support::database("s").await?;
    let rows = "CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1), (2, 2)";
    database.execute(&format!("{rows}; CREATE TABLE other (id INT PRIMARY KEY)")).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    Ok((database, server, client))
}

#[tokio::test]
async fn more_tables_than_one_mariadb_joins_are_joined_here_and_too_many_refused() -> TestResult {
    let (_database, mut server, client) = served().await?;
    for tables in [61, 62, 70, 100] {
        assert_eq!(count(&client, chain(tables)).await?, json!(2), "{tables} tables");
        let explained = client.sql(&Statement::new(format!("EXPLAIN {}", chain(tables)))).await?;
        let text = explained.rows.iter().map(|row| row[1].to_string()).collect::<String>();
        let said = "in one statement no more than 61 tables are joined there";
        assert_eq!(text.contains(said), tables > 61, "{tables} tables: {text}");
    }
    let listed = (0..2_000).map(|n| format!("s.t a{n}")).collect::<Vec<_>>().join(", ");
    for sql in [chain(101), chain(1_000), format!("SELECT 1 FROM {listed}")] {
        let start = Instant::now();
        let error = count(&client, &sql).await.expect_err("it is refused");
        let said = format!("{error:?}");
        assert!(said.contains("\"limit\""), "{} bytes: {said}", sql.len());
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}: {said}", start.elapsed());
    }
    assert_eq!(count(&client, "SELECT count(*) FROM s.t").await?, json!(2));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_changes_or_goes_after_a_statement_was_prepared_is_told() -> TestResult {
    let (database, mut server, client) = served().await?;
    let parameters = format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
    let (analyst, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    tokio::spawn(connection);
    let prepared = analyst.prepare("SELECT id, n FROM s.t ORDER BY id").await?;
    assert_eq!(analyst.query(&prepared, &[]).await?.len(), 2);
    // The columns stay what they were.
    database.execute("ALTER TABLE t ADD COLUMN more INT FIRST, ALGORITHM = COPY").await?;
    let rows = analyst.query(&prepared, &[]).await?;
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 2]);
    for (change, code, words) in [
        // By these words drivers know that they have to prepare it again.
        ("ALTER TABLE t MODIFY n VARCHAR(20)", "0A000", "cached plan must not change result type"),
        ("ALTER TABLE t DROP COLUMN n", "42703", "n"),
        ("DROP TABLE t", "42P01", "s.t"),
    ] {
        database.execute(change).await?;
        let error = analyst.query(&prepared, &[]).await.expect_err("it is not what was promised");
        let error = error.as_db_error().ok_or(format!("{change}: {error}"))?;
        assert!(error.message().contains(words), "{change}: {error}");
        assert_eq!(error.code().code(), code, "{change}: {error}");
        let is_outdated =
            error.detail().is_some_and(|detail| detail.contains("altered after the statement was prepared"));
        assert_eq!(is_outdated, code == "0A000", "{change}: {error:?}");
        assert_eq!(count(&client, "SELECT count(*) FROM s.other").await?, json!(0), "after {change}");
    }
    let mut owner = database.connect().await?;
    let open = "SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist \
                ON id = trx_mysql_thread_id WHERE db = DATABASE()";
    assert_eq!(owner.query_first(open).await?, Some(0));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn who_prepared_nothing_is_answered_by_a_changed_table_and_soon_by_a_new_column() -> TestResult {
    let (database, mut server, client) = served().await?;
    let parameters = format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
    let (analyst, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    tokio::spawn(connection);
    let rows = async |sql: &str| {
        let messages = analyst.simple_query(sql).await.map_err(|error| format!("{sql}: {error:?}"))?;
        let rows = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_)));
        Ok::<_, support::Failure>(rows.count())
    };
    assert_eq!(rows("SELECT id, n FROM s.t").await?, 2);
    database.execute("ALTER TABLE t MODIFY n VARCHAR(20)").await?;
    assert_eq!(rows("SELECT id, n FROM s.t").await?, 2);
    assert_eq!(rows("SELECT id FROM s.t WHERE n IS NOT NULL").await?, 2);
    database.execute("ALTER TABLE t ADD COLUMN more INT").await?;
    let ask = Statement::new("SELECT count(more) FROM s.t");
    let error = client.sql(&ask).await.expect_err("it is new").to_string();
    assert!(error.contains("more"), "{error}");
    // Without that question it would be half a minute.
    support::eventually("the column is known", Duration::from_secs(12), async || {
        client.sql(&ask).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await?;
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_collation_that_no_column_has_is_asked_for_when_a_query_chooses_it() -> TestResult {
    let (database, mut server, client) = served().await?;
    let words = ["cz", "ch", "hz", "Č", "c", "d"];
    let rows = words.map(|word| format!("('{word}')")).join(", ");
    database
        .execute(&format!(
            "CREATE TABLE words (w VARCHAR(9) CHARACTER SET utf8mb4); INSERT INTO words VALUES {rows}"
        ))
        .await?;
    let ask =
        Statement::new("SELECT w FROM s.words ORDER BY w COLLATE utf8mb4_czech_ci, w COLLATE utf8mb4_bin");
    let said = std::sync::Mutex::new(Vec::new());
    let answer = support::eventually("its weights are known", Duration::from_secs(20), async || {
        client.sql(&ask).await.map_err(|error| {
            said.lock().unwrap().push(error.to_string());
            error.to_string()
        })
    });
    let found: Vec<String> =
        answer.await?.rows.iter().map(|row| row[0].as_str().unwrap_or_default().into()).collect();
    let said = said.into_inner().unwrap();
    assert!(said.iter().any(|error| error.contains("are being asked for")), "{said:?}");
    let mut owner = database.connect().await?;
    owner.query_drop("SET NAMES utf8mb4").await?;
    let there: Vec<String> =
        owner.query("SELECT w FROM words ORDER BY w COLLATE utf8mb4_czech_ci, w COLLATE utf8mb4_bin").await?;
    assert_eq!(found, there);
    let misspelt = Statement::new("SELECT w FROM s.words ORDER BY w COLLATE utf8mb4_klingon_ci");
    support::eventually("it is told that there is none", Duration::from_secs(20), async || {
        let error = client.sql(&misspelt).await.expect_err("there is none").to_string();
        if error.contains("utf8mb4_klingon_ci") && !error.contains("are being asked for") {
            Ok(())
        } else {
            Err(error)
        }
    })
    .await?;
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_restarted_in_the_middle_of_an_answer_is_told_and_read_again() -> TestResult {
    let mut mariadb =
        MariaDb::start(support::sandbox(), MariaDbOptions::new(&support::unique("restarted"), 3)).await?;
    let database = ServiceDatabase::create(&mariadb, "s", "s").await?;
    let rows = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_400";
    database.execute(&format!("{rows}; CREATE VIEW sleeps AS SELECT id, SLEEP(0.1) AS slept FROM t")).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.sql(&Statement::new("SELECT id, slept FROM s.sleeps")).await.map(|_| ()) }
    });
    let mut owner = database.connect().await?;
    let running = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%`sleeps`%' AND \
                   ID <> CONNECTION_ID() AND INFO NOT LIKE 'EXPLAIN%'";
    let start = Instant::now();
    while owner.query_first::<u64, _>(running).await? == Some(0) {
        assert!(start.elapsed() < SOON, "no statement runs");
    }
    mariadb.kill();
    let error = tokio::time::timeout(SOON, asking).await??.expect_err("its server has gone").to_string();
    assert!(error.contains("\"unavailable\"") && error.contains("127.0.0.1"), "{error}");
    mariadb.resume().await?;
    let counted = support::eventually("it is read again", SOON, async || {
        count(&client, "SELECT count(*) FROM s.t").await.map_err(|error| format!("{error:?}"))
    });
    assert_eq!(counted.await?, json!(400));
    server.terminate().await?;
    Ok(())
}
