//! Large live tables: read side by side, at one position, and said so.

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
        "statements=6,",
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
