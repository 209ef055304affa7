//! GraphQL against the demo's three services: what it answers, what it refuses, and what it costs the sources.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{
    self, Client, MariaDb, MariaDbOptions, Seed, ServiceDatabase, Statement, TestResult, database,
};

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

/// The ids that `document` selects of `root`, on each route.
async fn ids(client: &Client, root: &str, document: &str) -> TestResult<[Vec<Value>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for (ids, route) in found.iter_mut().zip(["live", "cached"]) {
        let answer = client.graphql(document, &json!({}), Some(route)).await?;
        let rows = answer[root].as_array().ok_or("not a list")?;
        ids.extend(rows.iter().map(|row| row["id"].clone()));
    }
    Ok(found)
}

#[tokio::test]
async fn values_compare_by_what_they_say_as_in_sql() -> TestResult {
    let sample = database("sample").await?;
    sample
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY, price DECIMAL(14,2), day DATE, code BINARY(2), flag BIT(1), \
             weight DOUBLE, big BIGINT UNSIGNED, data JSON);\
             INSERT INTO t VALUES (1, 50.37, '2006-01-15', x'00ff', 1, 1.5, 18446744073709551615, '{\"a\":1}'),\
             (2, 50.38, '2006-01-16', x'0100', 0, 2, 7, 'true'), (3, NULL, '9999-12-31', NULL, NULL, NULL, 1, NULL);\
             CREATE TABLE k (id BINARY(2) PRIMARY KEY); INSERT INTO k VALUES (x'00ff')",
        )
        .await?;
    let environment = vec![(sample.password_variable(), sample.reader_password.clone())];
    let mut server = support::crossweave(&sample.config("cached"), environment)?;
    let client = server.start().await?;
    for (condition, sql) in [
        ("price: {_gt: 50.375}", "price > 50.375"),
        ("price: {_eq: 50.370001}", "price = 50.370001"),
        ("price: {_lte: \"50.379\"}", "price <= 50.379"),
        ("price: {_in: [\"50.374\", 50.38]}", "price IN (50.374, 50.38)"),
        ("price: {_nin: [50.374]}", "price NOT IN (50.374)"),
        ("price: {_lt: 1000000000000000}", "price < 1000000000000000"),
        ("price: {_gt: \"-1e400\"}", "price IS NOT NULL"),
        ("price: {_lt: \"1e2\"}", "price < 100"),
        ("day: {_eq: \"2006-01-15\"}", "day = DATE '2006-01-15'"),
        ("day: {_eq: \"2006-01-15T12:00:00\"}", "id = 0"),
        ("day: {_gt: \"2006-01-15T12:00:00\"}", "id > 1"),
        ("day: {_in: [\"2006-01-16\", \"2006-01-15 01:00:00\"]}", "id = 2"),
        ("code: {_eq: \"AP8=\"}", "id = 1"),
        ("code: {_gt: \"AP8=\"}", "id = 2"),
        ("flag: {_eq: 1}", "id = 1"),
        ("flag: {_neq: \"true\"}", "id = 2"),
        ("weight: {_gt: \"1.5\"}", "id = 2"),
        ("big: {_in: [18446744073709551615, -1, \"7.0\", 9.5]}", "id < 3"),
        ("big: {_eq: \"18446744073709551616\"}", "id = 0"),
        ("data: {_eq: {a: 1}}", "id = 1"),
        ("data: {_eq: true}", "id = 2"),
    ] {
        let document = format!("{{ t(where: {{{condition}}}, order_by: {{id: asc}}) {{ id }} }}");
        let expected =
            client.sql(&Statement::new(format!("SELECT id FROM sample.t WHERE {sql} ORDER BY id"))).await?;
        let expected: Vec<Value> = expected.rows.into_iter().flatten().collect();
        let [live, cached] = ids(&client, "t", &document).await?;
        assert_eq!(live, expected, "live: {condition}");
        assert_eq!(cached, expected, "cached: {condition}");
    }
    let by_key = "query q($id: String!) { k_by_pk(id: $id) { id } }";
    let answer = client.graphql(by_key, &json!({"id": "AP8="}), None).await?;
    assert_eq!(answer, json!({"k_by_pk": {"id": "AP8="}}));
    // What is shown of a type is the type, however freely its values are taken.
    let mixed = "{ t_by_pk(id: \"1\") { id } __type(name: \"Int_comparison_exp\") { inputFields { name type { name } } } }";
    let answer = client.graphql(mixed, &json!({}), None).await?;
    assert_eq!(answer["t_by_pk"], json!({"id": 1}));
    assert_eq!(answer["__type"]["inputFields"][0], json!({"name": "_eq", "type": {"name": "Int"}}));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn limits_and_distinct_without_an_order_keep_the_same_rows_on_every_route() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    let client = server.start().await?;
    let nested = "{ users(order_by: {id: asc}) { id orders(limit: 2, offset: 1) { id } } }";
    let expected = client
        .sql(&Statement::new(
            "SELECT u.id, o.id FROM users.users u JOIN (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY id) \
             AS n FROM orders.orders) o ON o.user_id = u.id WHERE o.n IN (2, 3) ORDER BY u.id, o.id",
        ))
        .await?;
    for route in ["live", "cached"] {
        let answer = client.graphql(nested, &json!({}), Some(route)).await?;
        let users = answer["users"].as_array().ok_or("users is not a list")?;
        let pairs = users.iter().flat_map(|user| {
            let orders = user["orders"].as_array().cloned().unwrap_or_default();
            orders.into_iter().map(|order| vec![user["id"].clone(), order["id"].clone()])
        });
        assert_eq!(pairs.collect::<Vec<_>>(), expected.rows, "{route}");
    }
    for (document, sql) in [
        (
            "{ users(distinct_on: tier) { id } }",
            "SELECT min(id) AS id FROM users.users GROUP BY tier ORDER BY id",
        ),
        ("{ users(limit: 3, offset: 1) { id } }", "SELECT id FROM users.users ORDER BY id LIMIT 3 OFFSET 1"),
        (
            "{ users(order_by: {tier: asc}, limit: 30) { id } }",
            "SELECT id FROM users.users ORDER BY tier, id LIMIT 30",
        ),
    ] {
        let expected: Vec<Value> = client.sql(&Statement::new(sql)).await?.rows.into_iter().flatten().collect();
        let [live, cached] = ids(&client, "users", document).await?;
        assert_eq!(live, expected, "live: {document}");
        assert_eq!(cached, expected, "cached: {document}");
    }
    // Where there is no key, nothing settles which rows are kept, but so many are.
    let keyless = database("keyless").await?;
    keyless.execute("CREATE TABLE log (line INT); INSERT INTO log VALUES (1), (1), (2)").await?;
    let environment = vec![(keyless.password_variable(), keyless.reader_password.clone())];
    let mut other = support::crossweave(&keyless.config("live"), environment)?;
    let answer = other.start().await?.graphql("{ log(distinct_on: line) { line } }", &json!({}), None).await?;
    assert_eq!(answer["log"].as_array().map(Vec::len), Some(2), "{answer}");
    server.terminate().await?;
    other.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn what_would_keep_the_server_busy_is_refused_at_once_and_it_goes_on() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("cached"), shop.environment())?;
    let client = server.start().await?;
    let bomb: String =
        (0..22).map(|i| format!("fragment f{i} on users {{ ...f{0} ...f{0} }} ", i + 1)).collect();
    let bomb = format!("{{ users(limit: 1) {{ ...f0 }} }} {bomb} fragment f22 on users {{ id }}");
    let multiplied = format!("{{ users {{ {} id {} }} }}", "orders { user { ".repeat(6), "} }".repeat(6));
    let or = |condition: &str| {
        format!("{{ users(limit: 2, where: {{_or: [{}]}}) {{ id }} }}", condition.repeat(10_000))
    };
    for (document, says) in [
        (bomb, "more than 2000 fields"),
        (multiplied, "more than 1000000 objects"),
        (or("{displayName: {_eq: \"x\"}}"), "more than 1000 comparisons"),
    ] {
        let started = Instant::now();
        let answer = client.graphql_raw(&document, &json!({}), None).await?;
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{message}");
        assert!(started.elapsed() < Duration::from_secs(5), "{says}: {:?}", started.elapsed());
    }
    let answer = client.graphql(&or("{}"), &json!({}), None).await?;
    assert_eq!(answer["users"].as_array().map(Vec::len), Some(2));
    // As many comparisons as are allowed, of texts, in good time.
    let names = vec![json!({"displayName": {"_eq": "x"}}); 1_000];
    let many = "query q($w: users_bool_exp) { users(where: $w) { id } }";
    let started = Instant::now();
    for route in ["live", "cached"] {
        let answer = client.graphql(many, &json!({"w": {"_or": names}}), Some(route)).await?;
        assert_eq!(answer, json!({"users": []}));
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_failure_names_the_service_and_its_place_and_what_mends_it_over_graphql() -> TestResult {
    let mut mariadb = MariaDb::start(support::sandbox(), MariaDbOptions::new("lost", 4)).await?;
    let lost = ServiceDatabase::create(&mariadb, "lost", "lost").await?;
    lost.execute("CREATE TABLE parts (id INT PRIMARY KEY, whole_id INT)").await?;
    let up = database("up").await?;
    up.execute("CREATE TABLE wholes (id INT PRIMARY KEY); INSERT INTO wholes VALUES (1)").await?;
    let relationship = "[[relationships]]\nfrom = \"lost.parts.whole_id\"\nto = \"up.wholes.id\"\n\
                        field = \"whole\"\ninverse = \"parts\"\n";
    let environment = [&lost, &up].map(|d| (d.password_variable(), d.reader_password.clone()));
    let config = lost.config("live") + &up.config("live") + relationship;
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let document = "{ w: wholes { id all: parts { id } } }";
    assert_eq!(client.graphql(document, &json!({}), None).await?, json!({"w": [{"id": 1, "all": []}]}));
    let refused = client.graphql_raw(document, &json!({}), Some("up=cached")).await?;
    let hint = refused["errors"][0]["extensions"]["hint"].as_str().unwrap_or_default();
    assert_eq!(hint, "Send the header `crossweave-route: up=auto`", "{refused}");
    mariadb.kill();
    let answer = client.graphql_raw(document, &json!({}), None).await?;
    let error = &answer["errors"][0];
    assert_eq!(error["path"], json!(["w", "all"]), "{answer}");
    assert_eq!(error["locations"], json!([{"line": 1, "column": 18}]), "{answer}");
    assert_eq!(error["extensions"]["service"], json!("lost"), "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("service lost: ")), "{answer}");
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn requests_that_are_none_are_refused_in_graphqls_own_form() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    let client = server.start().await?;
    let post = async |body: String, route: &[u8]| -> TestResult<(StatusCode, String)> {
        let request = client.http().post(client.url("/graphql")).header("content-type", "application/json");
        let route = reqwest::header::HeaderValue::from_bytes(route)?;
        let response = request.header("crossweave-route", route).body(body).send().await?;
        let (status, body) = (response.status(), response.text().await?);
        let answer: Value = serde_json::from_str(&body)?;
        Ok((status, answer["errors"][0]["message"].as_str().unwrap_or_default().to_owned()))
    };
    let valid = json!({"query": "{ __typename }"}).to_string();
    for (body, route, status, says) in [
        ("[\"{__typename}\", null, null]".to_owned(), &b"auto"[..], 400, "batches are not served"),
        (format!("[{valid}]"), b"auto", 400, "batches are not served"),
        ("5".to_owned(), b"auto", 400, "expected {\"query\""),
        ("{\"query\": 5}".to_owned(), b"auto", 400, "invalid type"),
        (valid.clone(), "ü".as_bytes(), 400, "crossweave-route: expected live, cached or auto"),
        (valid.clone(), b"user=live", 400, "Did you mean users?"),
        (" ".repeat((2 << 20) + 1), b"auto", 413, "more than 2097152 bytes"),
    ] {
        let (found, message) = post(body, route).await?;
        assert_eq!(found.as_u16(), status, "{message}");
        assert!(message.contains(says), "{message}");
    }
    let (_, message) = post(json!({"query": "mutation { x }"}).to_string(), b"auto").await?;
    assert!(message.starts_with("a mutation is not served"), "{message}");
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn without_the_token_a_browser_gets_the_page_and_nothing_else() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    server.configure_listening("drain_delay = \"0s\"\ntoken_file = \"token\"", &shop.config("live"))?;
    std::fs::write(server.config_file().with_file_name("token"), "s3cret\n")?;
    let client = server.start().await?;
    let get = async |path: &str, accept: &str| -> TestResult<(StatusCode, String)> {
        let response = client.http().get(client.url(path)).header("accept", accept).send().await?;
        Ok((response.status(), response.text().await?))
    };
    let asked = "/graphql?query=%7Busers%7Bid%7D%7D";
    for path in ["/graphql", asked, "/v1/graphql"] {
        let (status, page) = get(path, "text/html").await?;
        assert!(status == StatusCode::OK && page.contains("GraphiQL.createFetcher"), "{path}: {status}");
        assert!(page.contains("rel=\"icon\" href=\"data:,\""), "no icon is asked for");
    }
    assert_eq!(get("/graphql/assets/graphiql.min.js", "*/*").await?.0, StatusCode::OK);
    for (path, accept) in [(asked, "application/json"), ("/schema.graphql", "text/html"), ("/sql", "text/html")]
    {
        assert_eq!(get(path, accept).await?.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn an_enum_is_asked_for_where_there_is_no_row() -> TestResult {
    let database = database("s").await?;
    database
        .execute(
            "CREATE TABLE en (id INT PRIMARY KEY, e ENUM('a', 'b')); INSERT INTO en VALUES (1, 'b'), (2, NULL); \
             CREATE TABLE refers (id INT PRIMARY KEY, en_id INT, FOREIGN KEY (en_id) REFERENCES en (id)); \
             INSERT INTO refers VALUES (1, NULL)",
        )
        .await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    let document = "{
        none: en(where: {id: {_eq: 9}}) { id e }
        nobody: en_by_pk(id: 77) { id e }
        null: en_by_pk(id: 2) { id e }
        refers { id en { e } } }";
    let expected = json!({
        "none": [], "nobody": null, "null": { "id": 2, "e": null }, "refers": [{ "id": 1, "en": null }]
    });
    assert_eq!(client.graphql(document, &json!({}), None).await?, expected);
    server.terminate().await?;
    Ok(())
}
