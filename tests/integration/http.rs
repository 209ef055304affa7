//! `POST /sql` and what surrounds it, as any HTTP client meets it.

use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, ORIGIN};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    self, Client, MariaDb, MariaDbOptions, Seed, Server, ServiceDatabase, Statement, TestResult, shop,
};

/// Crossweave over the demo's services, all live.
async fn live() -> TestResult<(Server, Client)> {
    let shop = shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    let client = server.start().await?;
    Ok((server, client))
}

async fn post(client: &Client, headers: &[(&str, &str)], body: &str) -> TestResult<Response> {
    let mut request = client.http().post(client.url("/sql")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?)
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_answer_has_the_form_that_accept_asks_for_and_states_what_it_read() -> TestResult {
    let (_server, client) = live().await?;
    let sql = "SELECT id, loginName, balance, createdAt FROM users.users ORDER BY id LIMIT 2";
    let ask = async |accept: &str| post(&client, &[(ACCEPT.as_str(), accept)], sql).await;

    let response = ask("*/*").await?;
    assert_eq!(header(response.headers(), "content-type"), "application/json");
    let reads: Value = serde_json::from_str(&header(response.headers(), "crossweave-reads"))?;
    assert_eq!((&reads["users"]["route"], &reads["users"]["age"]), (&json!("live"), &Value::Null));
    assert!(
        reads["users"]["position"].as_str().is_some_and(|position| position.starts_with("0-1-")),
        "{reads}"
    );
    let json: Value = response.json().await?;
    let types: Vec<&str> =
        json["columns"].as_array().into_iter().flatten().filter_map(|c| c["type"].as_str()).collect();
    assert_eq!(types, ["uint64", "text", "decimal(14,2)", "datetime"]);
    let row = &json["rows"][0];
    assert_eq!(row[0], json!(1));
    assert!(
        row[2].is_string() && row[3].as_str().is_some_and(|at| at.len() == "2024-01-01T00:00:00.000000".len())
    );

    let lines = ask("application/x-ndjson").await?.text().await?;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap_or_default())?;
    assert_eq!((lines.lines().count(), &first["loginName"]), (2, &row[1]));

    let response = ask("text/csv;q=0.9, application/json;q=0.1").await?;
    assert!(header(response.headers(), "content-type").starts_with("text/csv"));
    let csv = response.text().await?;
    assert_eq!(csv.lines().next(), Some("id,loginName,balance,createdAt"));
    assert_eq!(csv.lines().count(), 3);

    let arrow = ask("application/vnd.apache.arrow.stream").await?.bytes().await?;
    let rows: usize =
        StreamReader::try_new(&*arrow, None)?.map(|batch| batch.map_or(0, |b| b.num_rows())).sum();
    assert_eq!(rows, 2);
    Ok(())
}

#[tokio::test]
async fn parameters_are_bound_and_cast_to_what_they_are_compared_with() -> TestResult {
    let (_server, client) = live().await?;
    let ask = async |sql: &str, params: Value| {
        let statement = Statement {
            sql: sql.to_owned(),
            params: params.as_array().cloned().unwrap_or_default(),
            route: None,
            ..Statement::default()
        };
        client.sql(&statement).await.map(|answer| answer.rows)
    };
    let one = ask("SELECT loginName FROM users.users WHERE id = $1", json!([7])).await?;
    assert_eq!(one, ask("SELECT loginName FROM users.users WHERE id = $1", json!(["7"])).await?);
    assert_eq!(one.len(), 1);
    let name = one[0][0].clone();
    assert_eq!(ask("SELECT id FROM users.users WHERE loginName = $1", json!([name])).await?, [[json!(7)]]);
    let hostile = "x' OR '1'='1\\";
    assert!(ask("SELECT id FROM users.users WHERE loginName = $1", json!([hostile])).await?.is_empty());
    assert_eq!(ask("SELECT $1 || 'é'", json!([hostile])).await?, [[json!(format!("{hostile}é"))]]);
    let page = ask("SELECT id FROM users.users ORDER BY id LIMIT $1 OFFSET $2", json!(["2", 1])).await?;
    assert_eq!(page, [[json!(2)], [json!(3)]]);
    let few = ask("SELECT id FROM users.users WHERE id = ANY($1) ORDER BY id", json!(["{3,1}"])).await?;
    assert_eq!(few, [[json!(1)], [json!(3)]]);
    let refused = ask("SELECT id FROM users.users WHERE id = $1", json!(["seven"])).await.unwrap_err();
    assert!(refused.to_string().contains("status 400"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn errors_say_the_kind_the_thing_and_what_mends_it() -> TestResult {
    let (_server, client) = live().await?;
    let cases = [
        ("SELEC 1", 400, "syntax", ""),
        ("SELECT * FROM users.user", 400, "name", "users"),
        ("SELECT logginName FROM users.users", 400, "name", "loginName"),
        ("INSERT INTO users.users (id) VALUES (1)", 400, "unsupported", ""),
        ("SELECT 1; SELECT 2", 400, "", ""),
        ("SELECT * FROM userz.users", 400, "name", "users"),
    ];
    for (sql, status, kind, hint) in cases {
        let response = post(&client, &[], sql).await?;
        assert_eq!(response.status().as_u16(), status, "{sql}");
        let error: Value = response.json().await?;
        let error = &error["error"];
        assert!(kind.is_empty() || error["kind"] == kind, "{sql}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{sql}: {error}");
        let says = format!("{} {}", error["message"], error["hint"]);
        assert!(says.contains(hint), "{sql}: {error}");
    }
    let refuse = async |headers: &[(&str, &str)], body: &str, status: u16| {
        let response = post(&client, headers, body).await?;
        let found = response.status().as_u16();
        let error: Value = response.json().await?;
        assert_eq!(found, status, "{error}");
        TestResult::Ok(error["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    refuse(&[(ACCEPT.as_str(), "text/html")], "SELECT 1", 406).await?;
    refuse(&[(CONTENT_TYPE.as_str(), "image/png")], "SELECT 1", 415).await?;
    refuse(&[], &" ".repeat(5 << 20), 413).await?;
    refuse(&[("crossweave-route", "fast")], "SELECT 1", 400).await?;
    let message = refuse(&[("crossweave-route", "user=live")], "SELECT 1", 400).await?;
    assert!(message.contains("no service user"), "{message}");
    let message = refuse(&[("crossweave-route", "cached")], "SELECT id FROM users.users", 403).await?;
    assert!(message.contains("users.users"), "{message}");
    let (status, body) = client.get("/sql").await?;
    assert_eq!((status, body.contains("expected POST")), (StatusCode::METHOD_NOT_ALLOWED, true));
    let (status, body) = client.get("/nothing").await?;
    assert_eq!((status, body.contains("/healthz")), (StatusCode::NOT_FOUND, true));
    Ok(())
}

#[tokio::test]
async fn rows_come_while_the_query_runs_and_a_client_that_leaves_ends_it() -> TestResult {
    let (_server, client) = live().await?;
    let sql = "SELECT a.id, b.id, c.id FROM orders.orders a, orders.orders b, orders.orders c";
    let response = post(&client, &[(ACCEPT.as_str(), "application/x-ndjson")], sql).await?;
    let mut pieces = response.bytes_stream();
    let first = pieces.next().await.ok_or("no rows")??;
    assert!(!first.is_empty());
    drop(pieces);
    support::eventually("the query has ended", Duration::from_secs(10), async || {
        let (_, metrics) = client.get("/metrics").await.map_err(|error| error.to_string())?;
        let ended = |line: &&str| line.starts_with("crossweave_queries_total{") && !line.ends_with(" 0");
        metrics.lines().find(ended).map(|_| ()).ok_or("no query has ended yet".to_owned())
    })
    .await
}

async fn until_no_transaction_is_open(database: &ServiceDatabase) -> TestResult {
    support::eventually("no transaction is open", Duration::from_secs(20), async || {
        // What is asked for more often is not looked up anew.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut conn = database.connect().await.map_err(|error| error.to_string())?;
        let open = "SELECT user, command, time, state FROM information_schema.innodb_trx \
                    JOIN information_schema.processlist ON id = trx_mysql_thread_id";
        let open: Vec<(String, String, i64, String)> =
            conn.query(open).await.map_err(|error| error.to_string())?;
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
    })
    .await
}

#[tokio::test]
async fn what_computes_on_keeps_no_transaction_open_at_a_source() -> TestResult {
    let mariadb = MariaDb::start(support::sandbox(), MariaDbOptions::new("computing", 4)).await?;
    let database = ServiceDatabase::create(&mariadb, "shop", "shop").await?;
    database.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_60").await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    let sql = "SELECT count(*) FROM shop.t JOIN generate_series(1, 4000000000) n ON n.value % 60 = t.id";
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.sql(&Statement::new(sql)).await.map(|_| ()) }
    });
    let read = "crossweave_source_statements_total ";
    support::eventually("the table is read", Duration::from_secs(20), async || {
        let (_, metrics) = client.get("/metrics").await.map_err(|error| error.to_string())?;
        let told = metrics.lines().find(|line| line.starts_with(read)).ok_or("there is no such metric")?;
        if told.ends_with(" 0") { Err(told.to_owned()) } else { Ok(()) }
    })
    .await?;
    until_no_transaction_is_open(&database).await?;
    assert!(!asking.is_finished(), "{:?}", asking.await);
    asking.abort();
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_client_keeps_no_transaction_open_at_a_source_and_gets_its_rows() -> TestResult {
    let mariadb = MariaDb::start(support::sandbox(), MariaDbOptions::new("slow_client", 3)).await?;
    let database = ServiceDatabase::create(&mariadb, "shop", "shop").await?;
    database.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, s LONGTEXT NOT NULL)").await?;
    database.execute(&"INSERT INTO t (s) VALUES (REPEAT('x', 1000000));".repeat(80)).await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    let rows = post(&client, &[(ACCEPT.as_str(), "application/x-ndjson")], "SELECT id, s FROM shop.t").await?;
    until_no_transaction_is_open(&database).await?;
    // More than sockets and what waits in memory can hold.
    let lines = rows.text().await?;
    let ids = lines.lines().map(|line| serde_json::from_str::<Value>(line).map(|row| row["id"].as_u64()));
    assert_eq!(ids.collect::<Result<Vec<_>, _>>()?, (1..=80).map(Some).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn who_has_no_token_is_told_nothing_but_whether_the_server_is_well() -> TestResult {
    let shop = shop(Seed::SMALL).await?;
    let mut server = support::crossweave("", shop.environment())?;
    let config = shop.config("live");
    server.configure(&format!("[services.x]\nurl = \"mysql://u@127.0.0.1:1/x\"\n{config}"))?;
    let file = server.config_file();
    let text = std::fs::read_to_string(&file)?.replace("[listen]\n", "[listen]\ntoken_file = \"token\"\n");
    std::fs::write(&file, text)?;
    std::fs::write(file.with_file_name("token"), "s3cret\n")?;
    let client = server.start().await?;

    let response = post(&client, &[], "SELECT 1").await?;
    assert_eq!(
        (response.status(), header(response.headers(), "www-authenticate")),
        (StatusCode::UNAUTHORIZED, "Bearer".to_owned())
    );
    assert_eq!(client.get("/metrics").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/status").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/healthz").await?.0, StatusCode::OK);
    let (status, body) = client.get("/readyz").await?;
    assert_eq!(
        (status, body.contains("unreachable"), body.contains("reason")),
        (StatusCode::OK, true, false),
        "{body}"
    );
    let wrong = post(&client, &[(AUTHORIZATION.as_str(), "Bearer s3cre")], "SELECT 1").await?;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let right = post(&client, &[(AUTHORIZATION.as_str(), "Bearer s3cret")], "SELECT 1").await?;
    assert_eq!(right.status(), StatusCode::OK);
    // The command line takes the token from the same file.
    let output = support::output(server.command(&["sql", "SELECT 1 + 1", "--output", "csv"])).await?;
    assert!(output.status.success() && String::from_utf8(output.stdout)?.ends_with("2\r\n"));
    Ok(())
}

#[tokio::test]
async fn pages_of_this_machine_may_call_and_those_of_other_sites_may_not() -> TestResult {
    let (_server, client) = live().await?;
    let response = post(&client, &[(ORIGIN.as_str(), "http://localhost:3000")], "SELECT 1").await?;
    assert_eq!(header(response.headers(), "access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(header(response.headers(), "access-control-expose-headers"), "crossweave-reads");
    let response = post(&client, &[(ORIGIN.as_str(), "https://evil.example")], "SELECT 1").await?;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let preflight = client
        .http()
        .request(reqwest::Method::OPTIONS, client.url("/sql"))
        .header(ORIGIN, "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-hasura-role")
        .send()
        .await?;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(preflight.headers(), "access-control-allow-headers"), "authorization,x-hasura-role");
    let rebound = post(&client, &[("host", "rebound.example")], "SELECT 1").await?;
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    Ok(())
}
