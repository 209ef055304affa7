//! The PostgreSQL wire with a real client library: simple and prepared statements, errors.

use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::support::{self, Seed, TestResult};

#[tokio::test]
async fn a_client_library_asks_simply_and_prepared() -> TestResult {
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

    drop(client);
    connection.await??;
    server.terminate().await?;
    Ok(())
}
