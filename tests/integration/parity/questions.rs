//! Each question of the demo, on every route, against one MariaDB that holds all the tables.

use crossweave::demo::questions::{QUESTIONS, Question};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value as MyValue};
use serde_json::{Value, json};

use crate::support::{self, Client, Seed, Shop, Statement, TestResult};

/// Of one service cached and of the others live, the other way round, and all of one kind.
fn routes() -> Vec<Value> {
    let mixed = |cached: &str| {
        let of = |service: &str| if service == cached { "cached" } else { "live" };
        json!({"users": of("users"), "items": of("items"), "orders": of("orders")})
    };
    vec![json!("live"), json!("cached"), mixed("users"), mixed("items"), mixed("orders")]
}

/// A number without the zeros that do not count; a moment as MariaDB writes it; else the text.
fn text(value: Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) if text.len() == 26 && text.as_bytes()[10] == b'T' => text.replacen('T', " ", 1),
        Value::String(text) => super::plain(&text),
        other => super::plain(&other.to_string()),
    }
}

fn mariadb_text(value: MyValue) -> String {
    match value {
        MyValue::NULL => "NULL".to_owned(),
        MyValue::Bytes(bytes) => super::plain(&String::from_utf8_lossy(&bytes)),
        MyValue::Date(year, month, day, hour, minute, second, micros) => {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
        }
        other => super::plain(&other.as_sql(true)),
    }
}

/// What one MariaDB answers, in which the services' databases have names of their own.
async fn expected(connection: &mut Conn, shop: &Shop, question: &Question) -> TestResult<Vec<Vec<String>>> {
    let mut sql = question.for_mariadb();
    for database in shop.databases() {
        // The questions' aliases are single letters, so this finds nothing but services.
        sql = sql.replace(&format!("{}.", database.service), &format!("{}.", database.database));
    }
    let params: Vec<MyValue> = question.user.map(Into::into).into_iter().collect();
    let params = if params.is_empty() { Params::Empty } else { Params::Positional(params) };
    let rows: Vec<mysql_async::Row> = connection.exec(sql, params).await?;
    Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(mariadb_text).collect()).collect())
}

async fn differences(client: &Client, shop: &Shop) -> TestResult<Vec<String>> {
    let mut connection = support::mariadb().await?.connect(None).await?;
    connection.query_drop("SET NAMES utf8mb4, time_zone = '+00:00'").await?;
    let mut different = Vec::new();
    for question in QUESTIONS {
        let expected = expected(&mut connection, shop, question).await?;
        assert!(!expected.is_empty(), "{} has no answer", question.title);
        for route in routes() {
            let asked = Statement::new(question.sql).on(route.clone());
            let answer = client.sql(&Statement { params: question.params(), ..asked }).await?;
            let rows = answer.rows.into_iter().map(|row| row.into_iter().map(text).collect::<Vec<_>>());
            let found: Vec<_> = rows.collect();
            if found != expected {
                let title = question.title;
                different.push(format!("{title} on {route}\n  expected {expected:?}\n  found    {found:?}"));
            }
        }
    }
    Ok(different)
}

#[tokio::test]
async fn each_question_of_the_demo_has_mariadbs_answer_on_every_route() -> TestResult {
    let shop = support::shop(Seed::DEMO).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    let client = server.start().await?;
    let different = differences(&client, &shop).await?;
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));

    for question in QUESTIONS {
        let Some(document) = question.graphql else { continue };
        let cached = client.graphql(document, &question.variables(), Some("cached")).await?;
        assert!(cached["users_by_pk"]["displayName"].is_string(), "{cached}");
        for route in ["live", "users=live,items=cached,orders=cached", "users=cached,items=live,orders=live"] {
            let found = client.graphql(document, &question.variables(), Some(route)).await?;
            assert_eq!(found, cached, "{} on {route}", question.title);
        }
    }
    server.terminate().await?;
    Ok(())
}
