//! GraphQL against the demo's three services: what it answers, what it refuses, and what it costs the sources.

use serde_json::{Value, json};

use super::support::{self, Client, Seed, Statement, TestResult};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/demo/schema.graphql");

async fn statements_sent(client: &Client) -> TestResult<f64> {
    let (_, metrics) = client.get("/metrics").await?;
    let line = metrics.lines().find(|line| line.starts_with("crossweave_source_statements_total"));
    let value = line.and_then(|line| line.rsplit(' ').next());
    Ok(value.ok_or("no crossweave_source_statements_total in /metrics")?.parse()?)
}

#[tokio::test]
async fn answers_nest_across_services_and_cost_as_many_statements_as_the_document_has_lists() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    let client = server.start().await?;

    let (_, sdl) = client.get("/schema.graphql").await?;
    if std::env::var_os("CROSSWEAVE_UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &sdl)?;
    }
    assert!(sdl == std::fs::read_to_string(GOLDEN)?, "{GOLDEN} is out of date: set CROSSWEAVE_UPDATE_GOLDEN=1");

    let document = "query q($n: Int!) {
        users(order_by: {id: asc}, limit: $n) { id orders(order_by: {id: asc}) { id lines(order_by: {lineNo: asc}) { lineNo item { title } } } } }";
    let mut costs = Vec::new();
    for (route, rows) in [("live", 2), ("live", 60), ("cached", 60)] {
        let before = statements_sent(&client).await?;
        let answer = client.graphql(document, &json!({ "n": rows }), Some(route)).await?;
        costs.push(statements_sent(&client).await? - before);
        let users = answer["users"].as_array().ok_or("users is not a list")?;
        assert_eq!(users.len(), rows, "{route}");
        let sql = Statement::new(
            "SELECT u.id, o.id, l.lineNo, i.title FROM users.users u JOIN orders.orders o ON o.user_id = u.id \
             JOIN orders.order_items l ON l.order_id = o.id JOIN items.items i ON i.id = l.item_id \
             WHERE u.id IN (SELECT id FROM users.users ORDER BY id LIMIT $1) ORDER BY u.id, o.id, l.lineNo",
        );
        let sql = Statement { params: vec![json!(rows)], ..sql };
        assert_eq!(flat(users), client.sql(&sql).await?.rows, "{route}, {rows} users");
    }
    assert_eq!(costs[0], costs[1], "statements for 2 and for 60 users");
    assert_eq!(costs[2], 0.0, "the cached route asks no source");
    server.terminate().await?;
    Ok(())
}

/// The lines of a nested answer, one row each.
fn flat(users: &[Value]) -> Vec<Vec<Value>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for user in users {
        for order in list(&user["orders"]) {
            for line in list(&order["lines"]) {
                let title = line["item"]["title"].clone();
                rows.push(vec![user["id"].clone(), order["id"].clone(), line["lineNo"].clone(), title]);
            }
        }
    }
    rows
}

#[tokio::test]
async fn what_is_malformed_too_deep_or_of_the_wrong_type_is_refused_with_its_place() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    let client = server.start().await?;
    let deep = "{ orders { user ".repeat(10);
    let cases = [
        ("{ users { id }".to_owned(), "expected"),
        ("{ users { nope } }".to_owned(), "nope"),
        ("{ users(limit: \"x\") { id } }".to_owned(), "limit"),
        ("{ users(where: {id: {_eq: \"seven\"}}) { id } }".to_owned(), "seven"),
        ("{ users(where: {id: {_eq: null}}) { id } }".to_owned(), "_is_null"),
        (format!("{{ users {deep} {{ id }} {} }}", "} }".repeat(10)), "deeper"),
        ("{a".repeat(40_000), "deeper"),
        ("mutation { x }".to_owned(), "utation"),
    ];
    for (document, says) in cases {
        let answer = client.graphql_raw(&document, &json!({}), None).await?;
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{}: {answer}", document.chars().take(80).collect::<String>());
        assert!(answer.get("data").is_none_or(Value::is_null), "{answer}");
    }
    let page =
        client.http().get(client.url("/graphql")).header("accept", "text/html").send().await?.text().await?;
    assert!(page.contains("GraphiQL") && !page.contains("//cdn") && !page.contains("https://"), "{page}");
    server.terminate().await?;
    Ok(())
}
