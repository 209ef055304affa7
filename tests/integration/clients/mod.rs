//! What analysts' clients do with default settings: psql's `\d`, pgjdbc's metadata, SQLAlchemy's reflection.
//!
//! The clients are real ones; `tools/parts.sh clients` gets them. What psql shows is kept in `psql.txt`: with
//! `CROSSWEAVE_UPDATE_GOLDEN=1` the test writes it anew.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{self, Seed, Server, TestResult};
use crossweave::demo::parts::parts_dir;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration/clients")
}

/// A file of a client; without it the test fails, and says how to get it.
fn part(path: &str) -> TestResult<PathBuf> {
    let found = parts_dir().join("clients").join(path);
    match found.exists() {
        true => Ok(std::path::absolute(found)?),
        false => Err(format!("{} is not there: run tools/parts.sh clients", found.display()).into()),
    }
}

/// What `command` prints; its failure is the test's.
async fn printed(command: Command) -> TestResult<String> {
    let shown = format!("{command:?}");
    let output = support::output(command)
        .await
        .map_err(|error| format!("{shown} cannot be run, run tools/parts.sh clients: {error:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || errors.contains("ERROR") {
        return Err(format!("{shown}: {}\n{errors}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

async fn server() -> TestResult<(support::Shop, Server)> {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    server.start().await?;
    Ok((shop, server))
}

#[tokio::test]
async fn psql_lists_and_describes() -> TestResult {
    let (_shop, mut server) = server().await?;
    let mut commands = vec!["\\l".to_owned(), "\\dn".to_owned(), "\\dt orders.*".to_owned(), "\\d".to_owned()];
    let tables = [
        "users.users",
        "users.addresses",
        "items.items",
        "items.categories",
        "items.stock",
        "orders.orders",
        "orders.order_items",
    ];
    commands.extend(tables.iter().map(|table| format!("\\d {table}")));
    commands.extend(
        ["\\d+ users.users", "\\d+ orders.order_items", "\\di items.*", "\\d users.users_pkey", "\\du"]
            .map(str::to_owned),
    );
    let mut shown = String::new();
    for command in &commands {
        let port = server.postgres_port().to_string();
        let mut psql = Command::new("psql");
        psql.args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "analyst", "crossweave", "-c", command]);
        psql.env("PAGER", "").env("LC_ALL", "C.UTF-8");
        shown.push_str(&format!("$ {command}\n{}\n", printed(psql).await?));
    }
    server.terminate().await?;
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
    let golden = folder().join("psql.txt");
    if std::env::var_os("CROSSWEAVE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, lines(&shown) + "\n")?;
    }
    let expected = std::fs::read_to_string(&golden)?;
    assert_eq!(lines(&shown), lines(&expected), "set CROSSWEAVE_UPDATE_GOLDEN=1 to keep it");
    Ok(())
}

#[tokio::test]
async fn pgjdbc_reads_metadata_prepares_fetches_and_cancels() -> TestResult {
    let jars = part("pgjdbc")?.join("*");
    let (_shop, mut server) = server().await?;
    let mut java = Command::new("java");
    java.arg("-cp").arg(jars).arg(folder().join("Ask.java")).arg(server.postgres_port().to_string());
    let shown = printed(java).await?;
    server.terminate().await?;
    let expected = [
        "catalogs: crossweave",
        "schemas: information_schema items orders pg_catalog users",
        "tables: order_items/TABLE orders/TABLE",
        "columns: id/int8/0 user_id/numeric/0 kind/text/0 street/text/0 city/text/0 postalCode/text/1 \
         country/text/0 latitude/float8/1 longitude/float8/1",
        "key: order_id/1/order_items_pkey lineNo/2/order_items_pkey",
        "imported: order_items/order_id/orders/id/1/orderOfLine/orders_pkey/0",
        "exported: addresses/user_id",
        "index: order_items_pkey/f/1/order_id/A order_items_pkey/f/2/lineNo/A",
        "row identifier: id",
        "types: true",
        "prepared: numeric, text, numeric, timestamp",
        "fetched by sevens: 50",
        "cancelled: 57014",
        "after that: 1",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[tokio::test]
async fn python_asks_lists_and_reflects() -> TestResult {
    let python = part("python/bin/python")?;
    let (_shop, mut server) = server().await?;
    let mut ask = Command::new(python);
    ask.arg(folder().join("ask.py")).arg(server.postgres_port().to_string());
    let shown: Value = serde_json::from_str(&printed(ask).await?)?;
    server.terminate().await?;
    assert_eq!(shown["psycopg"]["types"], json!(["Decimal", "str", "Decimal", "datetime"]));
    assert_eq!(shown["psycopg"]["binary_is_the_same"], json!(true));
    let counts: Vec<u64> = serde_json::from_value(shown["psycopg"]["counts"].clone())?;
    assert!(counts.is_sorted() && counts.len() == 7, "{counts:?}");
    let columns = json!([
        ["order_id", "NUMERIC(20, 0)", false],
        ["lineNo", "INTEGER", false],
        ["item_id", "NUMERIC(20, 0)", false],
        ["quantity", "BIGINT", false],
        ["unitPrice", "NUMERIC(10, 2)", false],
        ["discount", "NUMERIC(5, 4)", true],
    ]);
    let foreign_key = json!({
        "name": "orderOfLine",
        "constrained_columns": ["order_id"],
        "referred_schema": "orders",
        "referred_table": "orders",
        "referred_columns": ["id"],
        "options": {"ondelete": "CASCADE"},
        "comment": null,
    });
    let expected = json!({
        "schemas": ["information_schema", "items", "orders", "users"],
        "tables": ["order_items", "orders"],
        "columns": columns,
        "reflected": {"tables": ["orders.order_items", "orders.orders"], "links": ["orders.orders.id"]},
        "unique": [],
        "key": ["order_id", "lineNo"],
        "foreign_keys": [foreign_key],
        "indexes": [],
        "counted": 10,
    });
    assert_eq!(shown["sqlalchemy"], expected);
    Ok(())
}
