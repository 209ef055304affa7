//! The PostgreSQL wire with a real client library: simple and prepared statements, errors, cancelling.

use std::time::{Duration, Instant};

use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::support::{self, Seed, TestResult};

#[tokio::test]
async fn a_client_library_asks_simply_and_prepared_and_cancels() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    server.start().await?;
    let parameters = format!("host=127.0.0.1 port={} user=analyst dbname=crossweave", server.postgres_port());
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    let connection = tokio::spawn(connection);

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
    assert_eq!((error.code().code(), error.message().contains("nope")), ("42P01", true), "{error}");
    let tables = client
        .query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'users' ORDER BY 1", &[])
        .await?;
    assert_eq!(tables.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["addresses", "users"]);

    let cancel = client.cancel_token();
    let long = client.simple_query(
        "SELECT count(*) FROM orders.order_items a, orders.order_items b, orders.order_items c \
         WHERE a.lineNo + b.lineNo + c.lineNo > 1",
    );
    let started = Instant::now();
    let (result, ()) = tokio::join!(long, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(NoTls).await.expect("the cancel request is taken");
    });
    let error = result.expect_err("it was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(client.query_one("SELECT 1 + 1", &[]).await?.get::<_, i64>(0), 2);

    drop(client);
    connection.await??;
    server.terminate().await?;
    Ok(())
}
