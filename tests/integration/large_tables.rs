//! Large live tables: read side by side, at one position, and said so.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{self, Statement, TestResult};

#[tokio::test]
async fn large_tables_are_read_over_several_connections_and_explain_says_so() -> TestResult {
    let database = support::database("s").await?;
    for statement in [
        "CREATE TABLE large (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO large SELECT seq, seq % 10 FROM seq_1_to_150000",
        "CREATE TABLE small (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO small SELECT seq, seq % 10 FROM seq_1_to_100",
        "ANALYZE TABLE large, small",
    ] {
        database.execute(statement).await?;
    }
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    // What keeps the sum from being computed there.
    let sum = |table: &str| format!("SELECT count(*), sum(CAST(n AS DOUBLE)) FROM s.{table} WHERE id > $1");
    let ask = |sql: String, consistency: Option<&str>| {
        let live_consistency = consistency.map(str::to_owned);
        Statement { sql, params: vec![json!(0)], live_consistency, ..Statement::default() }
    };
    let answer = client.sql(&ask(sum("large"), None)).await?;
    assert_eq!(answer.rows, [[json!(150_000), json!(675_000)]]);
    let read = &answer.reads["s"];
    assert!(read.position.is_some() && read.consistency.is_none(), "{read:?}");
    let answer = client.sql(&ask(sum("large"), Some("statement"))).await?;
    assert_eq!(answer.rows, [[json!(150_000), json!(675_000)]]);
    let read = &answer.reads["s"];
    assert_eq!((&read.position, read.consistency.as_deref()), (&None, Some("statement")));

    let analyzed = async |table: &str| -> TestResult<String> {
        let answer = client.sql(&ask(format!("EXPLAIN ANALYZE {}", sum(table)), None)).await?;
        let plan = answer.rows[0][1].as_str().ok_or("a plan")?;
        let scan = plan.lines().find(|line| line.contains("LiveScan")).ok_or_else(|| plan.to_owned())?;
        Ok(scan.to_owned())
    };
    let scan = analyzed("large").await?;
    for said in [
        "connections=4",
        "output_rows=150.0 K",
        "parameters=[BIGINT]",
        "bytes=",
        "retries=0",
        "time_to_first_row=",
        "time_reading=",
        "output_batches=",
    ] {
        assert!(scan.contains(said), "{said} is not in {scan}");
    }
    // One for each range, of which the server's estimate says how many there are, and that goes up and down a little.
    let statements = scan.split("statements=").nth(1).and_then(|rest| rest.split(',').next());
    let statements: usize = statements.ok_or("statements")?.parse()?;
    assert!((4..=8).contains(&statements), "{scan}");
    let whole =
        client.sql(&Statement::new("EXPLAIN ANALYZE SELECT id FROM s.small WHERE sin(id) > 2")).await?.rows;
    let told = |kind: &str| whole.iter().find(|row| row[0] == kind).map(|row| row[1].to_string());
    assert!(told("routes").is_some_and(|routes| routes.contains("s: live, position")), "{whole:?}");
    assert!(
        told("not_pushed_down")
            .is_some_and(|kept| kept.contains(": sin(") && kept.contains(" is computed here")),
        "{whole:?}"
    );
    let scan = analyzed("small").await?;
    assert!(scan.contains("connections=1") && scan.contains("statements=1,"), "{scan}");

    for (values, pushed) in [(20_000, true), (50_001, false)] {
        let list: Vec<String> = (1..=values).map(|value| (value * 2).to_string()).collect();
        let sql = format!("SELECT count(*), min(id), max(id) FROM s.large WHERE id IN ({})", list.join(", "));
        let found = client.sql(&Statement::new(&sql)).await?.rows;
        assert_eq!(found, [[json!(values), json!(2), json!(2 * values)]]);
        let plan = client.sql(&Statement::new(format!("EXPLAIN {sql}"))).await?.rows;
        let plan = plan.iter().map(|row| row[1].to_string()).collect::<String>();
        assert_eq!(plan.contains("IN (?, ?"), pushed, "{values} values: {}", &plan[..1_000]);
    }

    let error = client.sql(&ask(sum("small"), Some("none"))).await.unwrap_err().to_string();
    assert!(error.contains("live_consistency: expected \\\"snapshot\\\" or \\\"statement\\\""), "{error}");
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn statements_of_one_query_run_side_by_side() -> TestResult {
    let (users, orders) = (support::database("u").await?, support::database("o").await?);
    users
        .execute("CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users SELECT seq FROM seq_1_to_1500")
        .await?;
    for statement in [
        "CREATE TABLE t (id INT PRIMARY KEY, user_id INT NOT NULL, KEY (user_id))",
        "INSERT INTO t SELECT seq, seq FROM seq_1_to_1500",
        // A millisecond and a bit for each row that is given: half a second for 500.
        "CREATE VIEW slow AS SELECT id, user_id, SLEEP(0.001) AS slept FROM t",
        "ANALYZE TABLE t",
    ] {
        orders.execute(statement).await?;
    }
    let environment = [&users, &orders].map(|d| (d.password_variable(), d.reader_password.clone()));
    // Another name for the address is another source.
    let config = users.config("live") + &orders.config("live").replace("127.0.0.1", "localhost");
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let analyzed = async |sql: &str| -> TestResult<Vec<String>> {
        let answer = client.sql(&Statement::new(format!("EXPLAIN ANALYZE {sql}"))).await?;
        let plan = answer.rows[0][1].as_str().ok_or("a plan")?.to_owned();
        Ok(plan.lines().filter(|line| line.contains("o.slow")).map(str::to_owned).collect())
    };

    // Lists of keys.
    let join = "SELECT count(*), sum(s.slept) FROM u.users u LEFT JOIN o.slow s ON s.user_id = u.id";
    assert_eq!(client.sql(&Statement::new(join)).await?.rows, [[json!(1_500), json!(0)]]);
    let scans = analyzed(join).await?;
    assert!(scans[0].contains("statements=3,") && scans[0].contains("connections=3"), "{scans:?}");

    // Questions that know nothing of each other.
    let part = |number: u32| {
        format!("SELECT CAST(id AS DOUBLE) + slept AS n FROM o.slow WHERE id % 3 = {number} AND slept < 1")
    };
    let parts = [part(0), part(1), part(2)].join(" UNION ALL ");
    let took = async |sql: &str| -> TestResult<Duration> {
        let start = Instant::now();
        client.sql(&Statement::new(sql)).await?;
        Ok(start.elapsed())
    };
    let (one, all) = (took(&part(1)).await?, took(&parts).await?);
    assert!(all < one * 2, "one takes {one:?}, three take {all:?}");
    server.terminate().await?;
    Ok(())
}
