//! Crossweave is killed at several moments while a writer changes the databases: each time it starts again, never
//! shows half a transaction, and in the end its caches equal MariaDB's tables, through both change logs.

use std::time::Duration;

use crossweave::demo::writer::{Writer, WriterOptions};
use mysql_async::prelude::Queryable;
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::support::{self, Client, Seed, Server, Shop, Statement, TestResult};

const LIMIT: Duration = Duration::from_secs(60);

/// The demo's tables with their keys.
const TABLES: [(&str, &str, &str); 7] = [
    ("users", "users", "id"),
    ("users", "addresses", "id"),
    ("items", "categories", "id"),
    ("items", "items", "id"),
    ("items", "stock", "item_id, warehouse"),
    ("orders", "orders", "id"),
    ("orders", "order_items", "order_id, lineNo"),
];

const SUM: &str = "SELECT SUM(balance) FROM users.users";

fn kafka_log(bootstrap: &str, prefix: &str) -> String {
    format!("kind = \"kafka\"\nbrokers = [\"{bootstrap}\"]\nprefix = \"{prefix}\"")
}

fn server(shop: &Shop, log: &str) -> TestResult<Server> {
    support::crossweave(&format!("\n[change_log]\n{log}\n\n{}", shop.config("cached")), shop.environment())
}

/// The sum of all balances in the cache, which no transaction of the writer changes: half a transaction would.
async fn sum(client: &Client) -> TestResult<Value> {
    let answer = client.sql(&Statement::new(SUM).on("cached")).await?;
    Ok(answer.rows[0][0].clone())
}

async fn survives_kills_under_writes(log: &str) -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut conn = shop.users.connect().await?;
    let total: Option<String> = conn.query_first("SELECT SUM(balance) FROM users").await?;
    let total = json!(total.ok_or("no sum")?);
    let mut server = server(&shop, log)?;
    let writer = Writer::start(&shop, WriterOptions { seed: 11, pause: Duration::from_millis(2) });

    // Killed while it starts and loads: nothing that is left over may be taken for whole.
    for steps in [1, 30, 60] {
        server.launch()?;
        further(&writer, steps).await?;
        server.kill();
    }
    // Killed while it follows the changes: at once when it is ready, and later.
    for steps in [0, 20, 120, 300] {
        let client = server.start().await?;
        assert_eq!(sum(&client).await?, total);
        let target = writer.steps() + steps;
        while writer.steps() < target && !writer.has_ended() {
            assert_eq!(sum(&client).await?, total);
        }
        server.kill();
    }
    let client = server.start().await?;
    further(&writer, 50).await?;
    writer.stop().await?;
    equal(&client, &shop).await?;
    // And once more without anything to catch up with, after an end in good order.
    server.terminate().await?;
    equal(&server.start().await?, &shop).await
}

async fn further(writer: &Writer, steps: u64) -> TestResult {
    let target = writer.steps() + steps;
    support::eventually("the writer's steps", LIMIT, || async {
        match (writer.has_ended(), writer.steps()) {
            (false, done) if done < target => Err(format!("{done} of {target}")),
            _ => Ok(()),
        }
    })
    .await
}

/// Every table as the cache has it, as a live read gives it, and counted by MariaDB itself.
async fn equal(client: &Client, shop: &Shop) -> TestResult {
    for (service, table, key) in TABLES {
        let database = shop.databases().into_iter().find(|one| one.service == service).ok_or("a service")?;
        let mut conn = database.connect().await?;
        let count: Option<usize> = conn.query_first(format!("SELECT COUNT(*) FROM {table}")).await?;
        let all = Statement::new(format!("SELECT * FROM {service}.{table} ORDER BY {key}"));
        let live = client.sql(&all.clone().on("live")).await?.rows;
        assert_eq!(Some(live.len()), count, "{service}.{table}, live");
        support::eventually(&format!("{service}.{table} is as in MariaDB"), LIMIT, || async {
            let cached = client.sql(&all.clone().on("cached")).await.map_err(|e| e.to_string())?.rows;
            let different = cached.iter().zip(&live).find(|(one, other)| one != other);
            match different {
                None if cached.len() == live.len() => Ok(()),
                different => Err(format!("{} and {} rows, {different:?}", cached.len(), live.len())),
            }
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn caches_survive_kills_under_writes_with_the_direct_log() -> TestResult {
    survives_kills_under_writes("kind = \"direct\"").await
}

#[tokio::test]
async fn caches_survive_kills_under_writes_through_kafka() -> TestResult {
    let log = kafka_log(&support::kafka().await?.bootstrap(), &support::unique("crash"));
    survives_kills_under_writes(&log).await
}

/// What a service of somebody else does: it reads the feed of one table, and knows nothing of Crossweave.
#[tokio::test]
async fn a_plain_consumer_reads_the_feed_of_a_table() -> TestResult {
    let bootstrap = support::kafka().await?.bootstrap();
    let prefix = support::unique("feed");
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = server(&shop, &kafka_log(&bootstrap, &prefix))?;
    server.start().await?;
    shop.users.execute("UPDATE users SET displayName = 'Zoë 🦊' WHERE id = 7").await?;

    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("group.id", &prefix)
        .set("isolation.level", "read_committed")
        .create()?;
    let topic = format!("{prefix}.users.users");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&topic, 0, Offset::Beginning)?;
    consumer.assign(&from)?;
    let event = tokio::time::timeout(LIMIT, async {
        loop {
            let message = consumer.recv().await?;
            let event: Value = serde_json::from_slice(message.payload().unwrap_or(b"null"))?;
            if event["after"]["displayName"] == "Zoë 🦊" {
                return TestResult::Ok(event);
            }
        }
    })
    .await??;
    // A BIGINT UNSIGNED is written as Debezium's `precise` mode does: the bytes of the number, in base64.
    assert_eq!((&event["op"], &event["after"]["id"]), (&json!("u"), &json!("Bw==")));
    assert_eq!(event["source"]["db"], json!(shop.users.database));
    assert!(event["source"]["gtid"].as_str().is_some_and(|gtid| gtid.starts_with("0-1-")), "{event}");
    server.terminate().await?;
    Ok(())
}
