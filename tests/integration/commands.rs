//! The commands as a terminal runs them, against a running server.

use std::process::Output;

use crate::support::{self, Seed, Server, TestResult};

async fn run(server: &Server, arguments: &[&str]) -> TestResult<(Output, String)> {
    let output = support::output(server.command(arguments)).await?;
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8(text)?;
    Ok((output, text))
}

#[tokio::test]
async fn check_sql_and_status_say_what_there_is() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&format!("\n{}", shop.config("cached")), shop.environment())?;

    let (output, text) = run(&server, &["check"]).await?;
    assert_eq!(output.status.code(), Some(0), "{text}");

    let (output, text) = run(&server, &["sql", "SELECT 1"]).await?;
    assert_eq!(output.status.code(), Some(1), "nothing runs yet: {text}");

    server.start().await?;
    let question = "SELECT COUNT(*) AS n FROM orders.orders o JOIN users.users u ON u.id = o.user_id";
    let (output, text) = run(&server, &["sql", "--output", "csv", question]).await?;
    assert_eq!((output.status.code(), text.lines().collect()), (Some(0), vec!["n", "300"]), "{text}");

    let (output, text) = run(&server, &["status"]).await?;
    assert_eq!(output.status.code(), Some(0), "{text}");
    for name in ["users", "addresses", "items", "categories", "stock", "orders", "order_items"] {
        assert!(text.contains(name), "{name}: {text}");
    }

    let (output, text) = run(&server, &["sql", "SELECT nme FROM items.categories"]).await?;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("name"), "the nearest column: {text}");
    Ok(())
}

#[tokio::test]
async fn check_tells_a_service_without_tables() -> TestResult {
    let database = support::database("users").await?;
    database.execute("CREATE TABLE t (a INT PRIMARY KEY)").await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let config = format!("\n{}\nexclude = [\"t\"]\n", database.config("cached").trim_end());
    let server = support::crossweave(&config, environment)?;
    let (output, text) = run(&server, &["check"]).await?;
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("nothing of database {} is served", database.database)), "{text}");
    Ok(())
}

/// What `check` finds wrong it says with the statement that mends it, and its exit status tells.
#[tokio::test]
async fn check_names_a_missing_grant_and_what_mends_it() -> TestResult {
    let database = support::database("users").await?;
    database.execute("CREATE TABLE t (a INT PRIMARY KEY)").await?;
    let name = &database.database;
    database.execute(&format!("REVOKE SELECT ON {name}.* FROM 'crossweave'@'127.0.0.1'")).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let server = support::crossweave(&format!("\n{}", database.config("cached")), environment)?;
    let (output, text) = run(&server, &["check"]).await?;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("GRANT SELECT ON"), "{text}");
    Ok(())
}

/// What the binlog does not have is not in the caches until a table is loaded anew.
#[tokio::test]
async fn reload_reads_a_table_anew_and_waits_for_it() -> TestResult {
    let database = support::database("users").await?;
    database.execute("CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1)").await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&format!("\n{}", database.config("cached")), environment)?;
    server.start().await?;
    let value = async |server: &Server| -> TestResult<String> {
        let question = ["sql", "--route", "cached", "--output", "csv", "SELECT b FROM users.t"];
        Ok(run(server, &question).await?.1.lines().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(value(&server).await?, "b 1");
    database.execute("SET sql_log_bin = 0; UPDATE t SET b = 2").await?;
    let (output, text) = run(&server, &["reload", "users.t"]).await?;
    assert_eq!((output.status.code(), text.as_str()), (Some(0), "users.t: loaded anew, 1 rows\n"));
    assert_eq!(value(&server).await?, "b 2");

    for (name, expected) in
        [("users.nope", "users.nope is not there"), ("t", "expected service.table"), ("shop.t", "no service")]
    {
        let (output, text) = run(&server, &["reload", "users.t", name]).await?;
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(expected) && text.contains("hint"), "{text}");
    }
    let (_, status) = run(&server, &["status", "--json"]).await?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    assert_eq!(status["services"][0]["tables"][0]["loads"], 2, "all or none: {status}");
    Ok(())
}
