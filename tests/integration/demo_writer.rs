//! The writer that tests of caches run beside: what it may change, and what it never does.

use std::time::Duration;

use crossweave::demo::writer::{Writer, WriterOptions};
use mysql_async::prelude::Queryable;

use crate::support::{self, MariaDb, MariaDbOptions, Sandbox, Seed, Shop, TestResult};

async fn one(shop: &Shop, service: usize, sql: &str) -> TestResult<String> {
    let mut conn = shop.databases()[service].connect().await?;
    let value: Option<String> = conn.query_first(sql).await?;
    Ok(value.ok_or("no row")?)
}

async fn after(writer: &Writer, steps: u64) -> TestResult {
    support::eventually("the writer's steps", Duration::from_secs(60), || async {
        match (writer.has_ended(), writer.steps()) {
            (false, done) if done < steps => Err(format!("{done} of {steps}")),
            _ => Ok(()),
        }
    })
    .await
}

#[tokio::test]
async fn it_changes_every_table_and_keeps_the_sum_of_the_balances() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let sum = "SELECT CAST(SUM(balance) AS CHAR) FROM users";
    let before = one(&shop, 0, sum).await?;
    let writer = Writer::start(&shop, WriterOptions { seed: 3, pause: Duration::ZERO });
    after(&writer, 400).await?;
    assert!(writer.stop().await? >= 400);
    assert_eq!(one(&shop, 0, sum).await?, before);
    for (service, changed) in [
        (0, "SELECT COUNT(*) > 0 FROM users WHERE loginName LIKE 'w%'"),
        (0, "SELECT COUNT(*) < 100 FROM users WHERE id <= 100"),
        (1, "SELECT COUNT(*) > 0 FROM items WHERE title LIKE 'Renamed%'"),
        (1, "SELECT COUNT(*) < 50 FROM items WHERE id <= 50"),
        (1, "SELECT COUNT(*) > 0 FROM stock WHERE warehouse IN ('West', 'Öst')"),
        (2, "SELECT COUNT(*) > 0 FROM orders WHERE id > 300"),
        (2, "SELECT COUNT(*) < 300 FROM orders WHERE id <= 300"),
        // Cascades have left no line without its order.
        (
            2,
            "SELECT COUNT(*) = 0 FROM order_items l LEFT JOIN orders o ON o.id = l.order_id WHERE o.id IS NULL",
        ),
    ] {
        assert_eq!(one(&shop, service, changed).await?, "1", "{changed}");
    }
    Ok(())
}

#[tokio::test]
async fn it_waits_for_a_server_that_is_killed_and_goes_on() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-writer")?;
    let mut server = MariaDb::start(&sandbox, MariaDbOptions::new("one", 1)).await?;
    let shop = Shop::create([&server; 3], "", Seed::SMALL).await?;
    let writer = Writer::start(&shop, WriterOptions { seed: 4, pause: Duration::from_millis(1) });
    after(&writer, 20).await?;
    server.kill();
    server.resume().await?;
    let before = writer.steps();
    after(&writer, before + 20).await?;
    assert!(writer.stop().await? >= before + 20);
    Ok(())
}
