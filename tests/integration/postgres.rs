//! The PostgreSQL wire with a real client library: logging in, simple and prepared statements, transactions, errors,
//! cancelling.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::{ErrorPosition, SqlState};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::support::{self, Analyst, Seed, TestResult};

#[tokio::test]
async fn a_client_library_asks_simply_and_prepared() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;

    let messages = client.simple_query("BEGIN; SELECT id FROM users.users ORDER BY id LIMIT 2; COMMIT").await?;
    let rows = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
    assert_eq!(rows, 2);

    let statement = client
        .prepare("SELECT u.id, u.displayName, u.balance FROM users.users u WHERE u.displayName = $1")
        .await?;
    let name: String =
        client.query_one("SELECT displayName FROM users.users ORDER BY id LIMIT 1", &[]).await?.get(0);
    let found = client.query(&statement, &[&name.to_uppercase()]).await?;
    assert!(!found.is_empty(), "the column's collation ignores case");

    let error = client.query("SELECT nope FROM users.users", &[]).await.expect_err("there is no such column");
    let error = error.as_db_error().ok_or("not a database error")?;
    assert_eq!((error.code().code(), error.message().contains("nope")), ("42703", true), "{error}");
    let tables = client
        .query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'users' ORDER BY 1", &[])
        .await?;
    assert_eq!(tables.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["addresses", "users"]);

    analyst.leave().await
}

/// The code of the error that `asked` must be.
fn code<T: std::fmt::Debug>(asked: Result<T, tokio_postgres::Error>) -> TestResult<String> {
    let error = asked.expect_err("an error is expected");
    Ok(error.as_db_error().ok_or(error.to_string())?.code().code().to_owned())
}

#[tokio::test]
async fn what_comes_with_the_log_in_holds_for_the_session() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    server.start().await?;
    let connect = async |parameters: &str| {
        let parameters = format!("host=127.0.0.1 port={} user=analyst {parameters}", server.postgres_port());
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
        tokio::spawn(connection);
        Ok::<_, tokio_postgres::Error>(client)
    };
    let options = "dbname=crossweave application_name=report options='-c statement_timeout=1234 \
                   -c search_path=users -c crossweave.route=live'";
    let client = connect(options).await?;
    client.batch_execute("SET statement_timeout = 0; DISCARD ALL").await?;
    for (name, expect) in [
        ("statement_timeout", "1234"),
        ("search_path", "users"),
        ("crossweave.route", "live"),
        ("application_name", "report"),
    ] {
        let row = client.query_one(&format!("SHOW {name}"), &[]).await?;
        assert_eq!(row.get::<_, &str>(0), expect, "{name}");
    }
    // One version, wherever it is asked for.
    let shown = client.query_one("SHOW server_version", &[]).await?;
    let said = client.query_one("SELECT version()", &[]).await?;
    assert_eq!(said.get::<_, &str>(0), format!("PostgreSQL {}", shown.get::<_, &str>(0)));

    for (parameters, expect) in [
        ("dbname=shop", "3D000"),
        ("dbname=crossweave options='-c statement_timeout=soon'", "22023"),
        ("dbname=crossweave options='-c nosuch=1'", "42704"),
        ("dbname=crossweave options='-z'", "42601"),
    ] {
        assert_eq!(code(connect(parameters).await.map(drop))?, expect, "{parameters}");
    }
    // As clients do that name no database: it is their user's name.
    connect("").await?;
    connect("dbname=analyst").await?;
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_failed_transaction_answers_nothing_but_its_end() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    let select = "SELECT count(*) FROM users.users";
    let prepared = client.prepare(select).await?;
    // Fails as it is planned, as its rows are sent, and with values that do not fit.
    let late = "SELECT CAST(CASE id WHEN 3 THEN 'x' ELSE '1' END AS BIGINT) FROM users.users ORDER BY id";
    for fails in ["SELECT nope FROM users.users", late] {
        client.batch_execute("BEGIN; SET application_name = inside; SAVEPOINT a").await?;
        assert!(client.simple_query(fails).await.is_err());
        assert_eq!(code(client.simple_query(select).await)?, "25P02", "{fails}");
        assert_eq!(code(client.query(&prepared, &[]).await)?, "25P02", "{fails}");
        assert_eq!(code(client.query("SELECT 1", &[]).await)?, "25P02", "{fails}");
        client.batch_execute("ROLLBACK TO SAVEPOINT a").await?;
        client.query(&prepared, &[]).await?;
        assert!(client.query(fails, &[]).await.is_err());
        assert_eq!(code(client.query(&prepared, &[]).await)?, "25P02", "{fails}");
        client.batch_execute("COMMIT").await?;
        let name = client.query_one("SHOW application_name", &[]).await?;
        assert_ne!(name.get::<_, &str>(0), "inside", "COMMIT of what failed is a ROLLBACK");
    }
    assert_eq!(code(client.batch_execute("SAVEPOINT a").await)?, "25P01");
    assert_eq!(code(client.batch_execute("BEGIN; ROLLBACK TO SAVEPOINT nope").await)?, "3B001");
    client.batch_execute("ABORT; BEGIN READ ONLY, NOT DEFERRABLE; CLOSE ALL; UNLISTEN *; COMMIT").await?;
    analyst.leave().await
}

#[tokio::test]
async fn errors_have_postgresqls_codes_and_places() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    for (sql, expect) in [
        ("SELECT * FROM users.nope", "42P01"),
        ("SELECT nope(1)", "42883"),
        ("SELECT displayName, count(*) FROM users.users", "42803"),
        ("SELECT 1 FROM users.users GROUP BY balance HAVING displayName = ''", "42803"),
        ("SELECT -abs(CAST('-9223372036854775808' AS BIGINT))", "22003"),
        ("SELECT CAST(displayName AS BIGINT) FROM users.users", "22P02"),
        ("SELEC 1", "42601"),
        ("DELETE FROM users.users", "0A000"),
        ("SET nosuch = 1", "42704"),
        ("SET statement_timeout = soon", "22023"),
    ] {
        assert_eq!(code(client.query(sql, &[]).await)?, expect, "{sql}");
        assert_eq!(code(client.simple_query(sql).await)?, expect, "{sql}");
    }
    // At the word in brackets.
    for sql in [
        "SELECT 'é';\nSELECT 1 [1]",
        "SELECT 'é',\n [nope] FROM users.users",
        "SELECT 'é', u.[nope] FROM users.users u",
        "SELECT 'é', [nope].id FROM users.users",
        "SELECT 'é' FROM users.[nope]",
        "SELECT 'é'; SELECT 1 FROM [nope].users",
        "SELECT 'é' FROM [nope]",
        "SELECT 'é' FROM users.users WHERE id IN (SELECT [nope] FROM orders.orders)",
    ] {
        let place = sql.chars().position(|char| char == '[').ok_or("no brackets")? + 1;
        let error = client.simple_query(&sql.replace(['[', ']'], "")).await.expect_err(sql);
        let error = error.as_db_error().ok_or("not a database error")?;
        assert_eq!(error.position(), Some(&ErrorPosition::Original(place as u32)), "{sql}: {error:?}");
    }
    analyst.leave().await
}

#[tokio::test]
async fn a_statement_ends_at_its_timeout() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    client.batch_execute("SET statement_timeout = 300").await?;
    let busy = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let start = Instant::now();
    assert_eq!(code(client.query(busy, &[]).await)?, "57014");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    analyst.leave().await
}

/// Far longer than any test waits, and far from what cancelling takes.
const SLEEPS: &str = "CREATE VIEW sleeps AS SELECT id, SLEEP(30) AS slept FROM users";

/// How many statements over that view run in `database`.
async fn sleeping(owner: &mut mysql_async::Conn, database: &str) -> TestResult<usize> {
    // By its text, as connections to a source have no database of their own.
    let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE LOCATE(CONCAT('`', ?, '`.`sleeps`'), INFO) \
               AND ID <> CONNECTION_ID() AND COMMAND <> 'Sleep'";
    let statements: Option<usize> = owner.exec_first(sql, (database,)).await?;
    Ok(statements.unwrap_or_default())
}

/// Waits until a statement over that view runs in `database`, or until none does. Either takes far less than one that
/// comes to its end by itself.
async fn until_sleeping(owner: &mut mysql_async::Conn, database: &str, expected: bool) -> TestResult {
    let start = Instant::now();
    while (sleeping(owner, database).await? > 0) != expected {
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "a statement runs at the source: not {expected} after {waited:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_request_ends_the_query_and_its_statement_on_the_source() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    shop.users.execute(SLEEPS).await?;
    let analyst = Analyst::of(shop).await?;
    let (client, shop) = (&analyst.client, &analyst.shop);
    let mut owner = shop.users.connect().await?;

    // One that works here, and one whose work is done by the source.
    let busy = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    for (sql, on_source) in [(busy, false), ("SELECT id, slept FROM users.sleeps", true)] {
        let token = client.cancel_token();
        let answer = client.query(sql, &[]);
        tokio::pin!(answer);
        if on_source {
            // Cancelled while it certainly runs.
            tokio::select! {
                biased;
                answer = &mut answer => return Err(format!("{sql} came to an end: {answer:?}").into()),
                running = until_sleeping(&mut owner, &shop.users.database, true) => running?,
            }
        }
        // A request that comes before the query runs has nothing to cancel, so that there another may be needed.
        let patience = Duration::from_secs(if on_source { 5 } else { 1 });
        let last = Instant::now() + Duration::from_secs(20);
        let answer = loop {
            token.cancel_query(NoTls).await?;
            if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
                break answer;
            }
            assert!(!on_source && Instant::now() < last, "{sql}: it goes on after a request to cancel it");
        };
        let error = answer.expect_err("the query cannot come to its end");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{sql}: {error}");
        assert_eq!(client.query_one("SELECT 1::bigint", &[]).await?.get::<_, i64>(0), 1, "the session goes on");
    }
    until_sleeping(&mut owner, &shop.users.database, false).await?;
    analyst.leave().await
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_statement_on_the_source() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    shop.users.execute(SLEEPS).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    server.start().await?;
    let mut owner = shop.users.connect().await?;
    let parameters = format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
    for prepared in [false, true] {
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
        let connection = tokio::spawn(connection);
        let asked = tokio::spawn(async move {
            let sql = "SELECT id, slept FROM users.sleeps";
            if prepared {
                client.query(sql, &[]).await.map(|_| ())
            } else {
                client.simple_query(sql).await.map(|_| ())
            }
        });
        until_sleeping(&mut owner, &shop.users.database, true).await?;
        connection.abort();
        until_sleeping(&mut owner, &shop.users.database, false).await?;
        assert!(asked.await?.is_err());
    }
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_shorter_than_it_says_is_answered_and_leaves_no_backtrace_in_the_log() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    server.start().await?;
    let mut socket = TcpStream::connect(("127.0.0.1", server.postgres_port())).await?;
    socket.write_all(b"\0\0\0\x10\0\x03\0\0user\0a\0\0B\0\0\0\x04").await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("FATAL") && answer.contains("08P01"), "{answer:?}");
    server.terminate().await?;
    let log = std::fs::read_to_string(server.log())?;
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}
