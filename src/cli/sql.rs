//! `crossweave sql`.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;

use super::args::{Output, SqlArguments};
use super::client::{Client, of_json};
use super::failure::{self, Failure, print};
use super::route::Route;
use super::table;
use crate::frontends::routes::READS_HEADER;
use crate::query::split;

/// Runs the statement, or those of standard input.
pub(super) async fn run(arguments: &SqlArguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.server)?;
    let mut route = Route::parse(arguments.route.as_deref().unwrap_or_default());
    if let Some(statement) = &arguments.statement {
        answer_all(&client, &statements(statement)?, &mut route, arguments.output).await?;
    } else if std::io::stdin().is_terminal() {
        prompt(&client, &mut route, arguments.output).await?;
    } else {
        let mut script = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut script);
        read.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
        answer_all(&client, &statements(&script)?, &mut route, arguments.output).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn statements(script: &str) -> Result<Vec<String>, Failure> {
    let found = split(script).map_err(|error| Failure::new(error.message).with_hint(error.hint))?;
    Ok(found.into_iter().filter(|statement| !statement.trim().is_empty()).collect())
}

/// Reads statements from a terminal until its end. One that fails is told, and the prompt comes again.
async fn prompt(client: &Client, route: &mut Route, output: Output) -> Result<(), Failure> {
    print("Statements end with ;   \\route live|cached|auto|users=live,…   \\q leaves\n")?;
    let mut statement = String::new();
    loop {
        print(if statement.is_empty() { "crossweave> " } else { "        -> " })?;
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|bytes| (bytes > 0).then_some(line))
        });
        let line = line.await.map_err(|error| Failure::new(error.to_string()))?;
        let Some(line) = line.map_err(|error| Failure::new(format!("the terminal cannot be read: {error}")))?
        else {
            return print("\n");
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["\\q"] => return Ok(()),
            ["exit" | "quit"] if statement.is_empty() => return Ok(()),
            ["\\route", asked] if statement.is_empty() => *route = Route::parse(asked),
            [] if statement.is_empty() => {}
            _ => statement.push_str(&line),
        }
        if !statement.trim_end().ends_with(';') {
            continue;
        }
        let done = match statements(&statement) {
            Ok(statements) => answer_all(client, &statements, route, output).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = done {
            failure::tell(&failure);
        }
        statement.clear();
    }
}

async fn answer_all(client: &Client, all: &[String], route: &mut Route, output: Output) -> Result<(), Failure> {
    for statement in all {
        if route.take(statement)? {
            if output == Output::Table {
                print(&format!("route: {route}\n"))?;
            }
            continue;
        }
        answer(client, statement, route.header().as_deref(), output).await?;
    }
    Ok(())
}

async fn answer(client: &Client, sql: &str, route: Option<&str>, output: Output) -> Result<(), Failure> {
    let started = Instant::now();
    match output {
        Output::Csv => {
            let response = client.sql(sql, route, "text/csv").await?;
            let mut pieces = response.bytes_stream();
            let mut out = std::io::stdout().lock();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|error| client.lost(&error))?;
                if out.write_all(&piece).is_err() {
                    return Ok(()); // The reader has left.
                }
            }
            Ok(())
        }
        Output::Json | Output::Table => {
            let response = client.sql(sql, route, "application/json").await?;
            let reads = response.headers().get(READS_HEADER).and_then(|value| value.to_str().ok());
            let reads = reads.map(ToOwned::to_owned).unwrap_or_default();
            let body = client.text(response).await?;
            let json: Value = serde_json::from_str(&body)
                .map_err(|error| Failure::new(format!("the answer is not JSON: {error}")))?;
            if output == Output::Json {
                print(&body)?;
            } else {
                print(&as_table(&json, &reads, started.elapsed())?)?;
            }
            of_json(&json["error"]).map_or(Ok(()), Err)
        }
    }
}

/// The answer as a table, with a line that says how many rows, how long it took and what was read.
fn as_table(answer: &Value, reads: &str, took: Duration) -> Result<String, Failure> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let columns = list(&answer["columns"]);
    let names: Vec<String> =
        columns.iter().map(|column| column["name"].as_str().unwrap_or_default().to_owned()).collect();
    let rows: Vec<Vec<String>> =
        list(&answer["rows"]).iter().map(|row| list(row).iter().map(cell).collect()).collect();
    let mut text = table::format(&names, &rows)?;
    let count = if names.is_empty() {
        "done".to_owned()
    } else if rows.len() == 1 {
        "1 row".to_owned()
    } else {
        format!("{} rows", rows.len())
    };
    text.push_str(&format!("{count}, {:.0} ms", took.as_secs_f64() * 1000.0));
    let reads: Value = serde_json::from_str(reads).unwrap_or_default();
    for (service, read) in reads.as_object().into_iter().flatten() {
        text.push_str(&format!("; {service} {}", read["route"].as_str().unwrap_or_default()));
        if let Some(age) = read["age"].as_f64() {
            text.push_str(&format!(", {age} s old"));
        }
    }
    text.push('\n');
    Ok(text)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_a_table_and_a_line_of_what_was_read() {
        let answer = json!({
            "columns": [{ "name": "id", "type": "int64" }, { "name": "name", "type": "text" }],
            "rows": [[1, "日本"], ["18446744073709551615", null]],
        });
        let reads = r#"{"users":{"route":"cached","position":"0-1-2","age":0.25},"orders":{"route":"live","age":null}}"#;
        let expected = "\
+----------------------+------+
| id                   | name |
+----------------------+------+
| 1                    | 日本 |
| 18446744073709551615 | NULL |
+----------------------+------+
2 rows, 12 ms; users cached, 0.25 s old; orders live
";
        assert_eq!(as_table(&answer, reads, Duration::from_millis(12)).unwrap(), expected);
        let empty = json!({ "columns": [], "rows": [] });
        assert_eq!(as_table(&empty, "", Duration::from_millis(1)).unwrap(), "done, 1 ms\n");
    }
}
