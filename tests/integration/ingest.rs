//! Caches under writes, kills and changes of definition: they come to equal their tables.

use std::time::Duration;

use crossweave::demo::writer::{Writer, WriterOptions};
use serde_json::json;

use crate::support::{self, Client, Seed, ServiceDatabase, Statement, TestResult};

/// The demo's tables, with their keys.
const SHOP: [(&str, &str); 7] = [
    ("users.users", "id"),
    ("users.addresses", "id"),
    ("items.items", "id"),
    ("items.categories", "id"),
    ("items.stock", "item_id, warehouse"),
    ("orders.orders", "id"),
    ("orders.order_items", "order_id, lineNo"),
];

/// Waits until each table is the same in the cache as on its server, row by row. Nobody may write meanwhile.
async fn come_to_equal(client: &Client, tables: &[(&str, &str)]) -> TestResult {
    for (table, key) in tables {
        let all = format!("SELECT * FROM {table} ORDER BY {key}");
        support::eventually(&format!("{table} equal in the cache"), Duration::from_secs(30), || async {
            let (cached, live) = (Statement::new(&all).on("cached"), Statement::new(&all).on("live"));
            let cached = client.sql(&cached).await.map_err(|error| error.to_string())?;
            let live = client.sql(&live).await.map_err(|error| error.to_string())?;
            if cached.rows == live.rows && cached.columns == live.columns {
                Ok(())
            } else {
                Err(format!("{} rows in the cache, {} on the server", cached.rows.len(), live.rows.len()))
            }
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_any_time_under_writes_the_caches_come_back_equal() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    let writer = Writer::start(&shop, WriterOptions { seed: 5, pause: Duration::from_millis(1) });
    // While it starts and loads, soon after that, and after it has stored checkpoints.
    for milliseconds in [100, 500, 1_500, 6_500, 300] {
        server.launch()?;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        server.kill();
    }
    let client = server.start().await?;
    writer.stop().await?;
    come_to_equal(&client, &SHOP).await?;
    server.terminate().await?;
    Ok(())
}

/// A chain of cascades, and a table beside it.
const CHAIN: &str = "
    CREATE TABLE top (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40) NOT NULL);
    CREATE TABLE mid (id INT PRIMARY KEY, top_id BIGINT UNSIGNED NULL,
        FOREIGN KEY (top_id) REFERENCES top (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE leaf (id INT PRIMARY KEY, mid_id INT NULL,
        FOREIGN KEY (mid_id) REFERENCES mid (id) ON DELETE SET NULL);
    CREATE TABLE tree (id INT PRIMARY KEY, up INT NULL,
        FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE);
    CREATE TABLE log (id INT PRIMARY KEY, line VARCHAR(40) NOT NULL);
    INSERT INTO top VALUES (1, 'one'), (2, 'two'), (18446744073709551615, 'last');
    INSERT INTO mid VALUES (10, 1), (11, 1), (20, 2), (30, 18446744073709551615);
    INSERT INTO leaf VALUES (100, 10), (101, 11), (200, 20), (300, 30);
    INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, NULL);
    INSERT INTO log VALUES (1, 'a'), (2, 'b')";

const CHAINED: [(&str, &str); 5] =
    [("chain.top", "id"), ("chain.mid", "id"), ("chain.leaf", "id"), ("chain.tree", "id"), ("chain.log", "id")];

async fn chain(mode: &str) -> TestResult<(ServiceDatabase, support::Server)> {
    let database = support::database("chain").await?;
    database.execute(CHAIN).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let server = support::crossweave(&database.config(mode), environment)?;
    Ok((database, server))
}

#[tokio::test]
async fn cascades_and_key_changes_reach_the_caches() -> TestResult {
    let (database, mut server) = chain("cached").await?;
    let client = server.start().await?;
    come_to_equal(&client, &CHAINED).await?;
    for statement in [
        "UPDATE top SET id = 7 WHERE id = 2",
        "DELETE FROM top WHERE id = 1",
        "DELETE FROM top WHERE id = 18446744073709551615",
        "DELETE FROM tree WHERE id = 1",
        "UPDATE log SET id = id + 10 ORDER BY id DESC",
        "SET foreign_key_checks = 0; DELETE FROM mid WHERE id = 20; SET foreign_key_checks = 1",
        "BEGIN; INSERT INTO mid VALUES (70, 7); UPDATE top SET id = 8 WHERE id = 7; COMMIT",
    ] {
        database.execute(statement).await?;
        come_to_equal(&client, &CHAINED).await?;
    }
    let status = client.get("/status").await?.1;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    for table in status["services"][0]["tables"].as_array().ok_or("no tables")? {
        assert_eq!(table["loads"], json!(1), "nothing was loaded anew: {table}");
    }
    server.terminate().await?;
    Ok(())
}

/// A parent without its index: MariaDB then cascades no more, and does again once there is an index.
#[tokio::test]
async fn cascades_rest_while_their_parent_has_no_index_for_them() -> TestResult {
    let (database, mut server) = chain("cached").await?;
    let client = server.start().await?;
    come_to_equal(&client, &CHAINED).await?;
    let mode = async |wanted: &'static str| {
        support::eventually(&format!("chain.mid {wanted}"), Duration::from_secs(30), || async {
            let (_, status) = client.get("/status").await.map_err(|error| error.to_string())?;
            let status: serde_json::Value = serde_json::from_str(&status).map_err(|error| error.to_string())?;
            let tables = status["services"][0]["tables"].as_array().ok_or("no tables")?;
            let mid = tables.iter().find(|table| table["table"] == json!("mid")).ok_or("no mid")?;
            let state =
                format!("{} {}", mid["mode"].as_str().unwrap_or(""), mid["reason"].as_str().unwrap_or(""));
            if state.starts_with(wanted) { Ok(state) } else { Err(state) }
        })
        .await
    };
    let all = "SELECT count(*), (SELECT count(*) FROM chain.mid WHERE top_id IS NULL OR top_id NOT IN \
               (SELECT id FROM chain.top)) FROM chain.mid";
    let lose = "ALTER TABLE top DROP PRIMARY KEY, ADD nid INT NOT NULL AUTO_INCREMENT PRIMARY KEY; \
                DELETE FROM top WHERE id = 1";
    database.execute(lose).await?;
    let reason = mode("live only").await?;
    assert!(reason.contains("no InnoDB table") && reason.contains("top (id)"), "{reason}");
    assert_eq!(client.sql(&Statement::new(all)).await?.rows, [[json!(4), json!(2)]]);
    // Those beside it are cached as before, and what depends on it is not read again and again.
    come_to_equal(&client, &[("chain.tree", "id"), ("chain.log", "id")]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status: serde_json::Value = serde_json::from_str(&client.get("/status").await?.1)?;
    for table in status["services"][0]["tables"].as_array().ok_or("no tables")? {
        assert!(table["loads"].as_u64() <= Some(3), "{table}");
    }

    database.execute("CREATE INDEX again ON top (id); DELETE FROM top WHERE id = 2").await?;
    mode("cached").await?;
    come_to_equal(&client, &CHAINED).await?;
    assert_eq!(client.sql(&Statement::new(all)).await?.rows, [[json!(3), json!(2)]]);
    database.execute("DELETE FROM top").await?;
    come_to_equal(&client, &CHAINED).await?;
    assert_eq!(client.sql(&Statement::new(all)).await?.rows, [[json!(2), json!(2)]]);
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn tables_are_altered_truncated_made_and_dropped_without_a_restart() -> TestResult {
    let (database, mut server) = chain("cached").await?;
    let client = server.start().await?;
    come_to_equal(&client, &CHAINED).await?;
    for statement in [
        "ALTER TABLE log ADD COLUMN mark CHAR(36) NOT NULL DEFAULT (UUID())",
        "INSERT INTO log (id, line) VALUES (50, 'after')",
        "TRUNCATE log",
        "INSERT INTO log (id, line) VALUES (51, 'after that')",
        "ALTER TABLE log DROP COLUMN line",
    ] {
        database.execute(statement).await?;
        come_to_equal(&client, &CHAINED).await?;
    }
    database.execute("CREATE TABLE late (id INT PRIMARY KEY); INSERT INTO late VALUES (1), (2)").await?;
    come_to_equal(&client, &[("chain.late", "id")]).await?;
    database.execute("DROP TABLE late; INSERT INTO log VALUES (60, 'x')").await?;
    come_to_equal(&client, &CHAINED).await?;
    support::eventually("the table to be forgotten", Duration::from_secs(30), || async {
        match client.sql(&Statement::new("SELECT * FROM chain.late")).await {
            Ok(answer) => Err(format!("{} rows", answer.rows.len())),
            Err(_) => Ok(()),
        }
    })
    .await?;
    server.terminate().await?;
    // What is stored is of the new definitions.
    let client = server.start().await?;
    come_to_equal(&client, &CHAINED).await?;
    server.terminate().await?;
    Ok(())
}
