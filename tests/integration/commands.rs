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
