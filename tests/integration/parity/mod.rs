//! One answer (I3): each statement on the live, the cached and the mixed routes gives what MariaDB gives.
//!
//! Two services, `left` and `right`, own a database each. Both databases are on one server, which can therefore
//! run the same statements itself: its answer is the expected one. Statements name databases by service; the
//! reference gets the databases' real names in their place. Where SQL leaves an answer open (which of several
//! equal texts stands for a group) the statements do not ask for it. `questions` does the same with the demo's.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value as MyValue};
use serde_json::{Value, json};

use self::statements::{CHANGES, LEFT, RIGHT, STATEMENTS, TEXTS, WITH_ZERO_DATES};
use super::support::{self, Client, ServiceDatabase, Statement, TestResult};

mod generated;
mod questions;
mod statements;

struct Databases {
    left: ServiceDatabase,
    right: ServiceDatabase,
}

impl Databases {
    async fn create() -> TestResult<Self> {
        let databases =
            Self { left: support::database("left").await?, right: support::database("right").await? };
        let mut connection = databases.left.connect().await?;
        connection.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, sql_mode = ''").await?;
        for statement in LEFT.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            connection.query_drop(statement).await?;
        }
        let insert = "INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        for (index, text) in TEXTS.iter().enumerate() {
            let e = ["low", "High", "mid"][index % 3];
            let s = ["", "x", "x,y", "z", "y,z"][index % 5];
            connection
                .exec_drop(insert, (index, text, text, text, text, text.get(..8).unwrap_or(text), e, s))
                .await?;
        }
        connection.query_drop("INSERT INTO texts (id) VALUES (1000), (18446744073709551615)").await?;
        databases.right.execute(RIGHT).await?;
        Ok(databases)
    }

    /// A connection that answers as a MariaDB that holds both services would.
    async fn reference(&self) -> TestResult<Conn> {
        let mut connection = support::mariadb().await?.connect(None).await?;
        let settings = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, time_zone = '+00:00', \
            sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'";
        connection.query_drop(settings).await?;
        Ok(connection)
    }

    fn expected(&self, statement: &str) -> String {
        statement
            .replace("left.", &format!("`{}`.", self.left.database))
            .replace("right.", &format!("`{}`.", self.right.database))
    }
}

/// Rows as text, sorted unless the statement orders them.
pub(super) fn rows(statement: &str, mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    if !statement.contains("ORDER BY") || statement.contains("OVER (") {
        rows.sort();
    }
    rows
}

/// A number without the zeros that do not count, or the text itself.
fn plain(text: &str) -> String {
    let number = text.strip_prefix('-').unwrap_or(text);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.to_owned();
    }
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

async fn ask_mariadb(
    connection: &mut Conn,
    statement: &str,
    databases: &Databases,
) -> TestResult<Vec<Vec<String>>> {
    let found: Vec<mysql_async::Row> = connection.query(databases.expected(statement)).await?;
    Ok(found.into_iter().map(plain_row).collect())
}

/// What MariaDB gave, as text.
pub(super) fn plain_row(row: mysql_async::Row) -> Vec<String> {
    let text = |value: MyValue| match value {
        MyValue::NULL => "NULL".to_owned(),
        MyValue::Bytes(bytes) => plain(&String::from_utf8_lossy(&bytes)),
        other => plain(&other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}

pub(super) async fn ask(client: &Client, statement: &str, route: &Value) -> Result<Vec<Vec<String>>, String> {
    let request = Statement::new(statement).on(route.clone());
    let answer = client.sql(&request).await.map_err(|error| error.to_string())?;
    let text = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => u8::from(truth).to_string(),
        Value::String(text) => plain(&text),
        other => plain(&other.to_string()),
    };
    Ok(answer.rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

/// Compares all statements on all routes, and returns what differs.
async fn differences(client: &Client, databases: &Databases) -> TestResult<Vec<String>> {
    let routes = [
        json!("live"),
        json!("cached"),
        json!({"left": "live", "right": "cached"}),
        json!({"left": "cached", "right": "live"}),
    ];
    let mut reference = databases.reference().await?;
    let mut different = Vec::new();
    let same = STATEMENTS.iter().map(|statement| (*statement, *statement));
    for (statement, in_mariadb) in same.chain(WITH_ZERO_DATES.iter().copied()) {
        let expected = rows(statement, ask_mariadb(&mut reference, in_mariadb, databases).await?);
        for route in &routes {
            match ask(client, statement, route).await {
                Ok(found) if rows(statement, found.clone()) == expected => {}
                Ok(found) => different.push(format!(
                    "{statement} on {route}\n  expected {expected:?}\n  found    {:?}",
                    rows(statement, found)
                )),
                Err(error) => different.push(format!("{statement} on {route}\n  {error}")),
            }
        }
    }
    Ok(different)
}

#[tokio::test]
async fn every_route_gives_what_one_mariadb_gives() -> TestResult {
    let databases = Databases::create().await?;
    let config = databases.left.config("cached") + &databases.right.config("cached");
    let environment = [&databases.left, &databases.right]
        .map(|database| (database.password_variable(), database.reader_password.clone()));
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;

    let loaded = differences(&client, &databases).await?;
    assert!(loaded.is_empty(), "after the first load, {} differ:\n{}", loaded.len(), loaded.join("\n"));

    databases.left.execute(CHANGES).await?;
    let expected = vec![vec!["18446744073709551614".to_owned()]];
    support::eventually("the last change is in the cache", std::time::Duration::from_secs(20), || async {
        let found = ask(&client, "SELECT big FROM left.numbers WHERE id = 7", &json!("cached")).await?;
        let texts = ask(&client, "SELECT id FROM left.texts WHERE b = 'b'", &json!("cached")).await?;
        if found == expected && !texts.is_empty() { Ok(()) } else { Err(format!("found {found:?}")) }
    })
    .await?;
    let changed = differences(&client, &databases).await?;
    assert!(changed.is_empty(), "after changes, {} differ:\n{}", changed.len(), changed.join("\n"));

    server.terminate().await?;
    Ok(())
}
