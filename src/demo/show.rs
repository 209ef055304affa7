//! What the demo shows, part by part. Each checks what it claims: a wrong answer ends the demo with an error.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::Value;

use super::client::{Answer, Statement};
use super::database::ServiceDatabase;
use super::error::{DemoError, Result};
use super::federated;
use super::print::{heading, indented, line, table, time};
use super::questions::{QUESTIONS, Question};
use super::stage::Stage;

/// How the executable was built, which the times depend on.
pub(super) fn profile() -> String {
    let profile = if cfg!(debug_assertions) {
        "dev (optimised where rows go through, with debug assertions; a release build is faster)"
    } else {
        "release"
    };
    format!("Build profile: {profile}. All times are seen by an HTTP client on this machine.")
}

fn statement(question: &Question) -> Statement {
    Statement { sql: question.sql.to_owned(), params: question.params(), ..Statement::default() }
}

/// Asks every question in SQL, and in GraphQL where it has that form.
pub(super) async fn questions(stage: &Stage) -> Result<()> {
    for question in QUESTIONS {
        heading(question.title)?;
        indented(question.sql)?;
        if let Some(user) = question.user {
            line(format!("    with $1 = {user}"))?;
        }
        let start = Instant::now();
        let answer = stage.client.sql(&statement(question)).await?;
        let took = start.elapsed();
        if answer.rows.is_empty() {
            let detail = "no rows, and the data has some".to_owned();
            return Err(DemoError::Answer { action: question.sql.to_owned(), detail });
        }
        line(format!("\n{}{} rows in {}", table(&answer), answer.rows.len(), time(took)))?;
        if let Some(document) = question.graphql {
            line("\n  The same in GraphQL:")?;
            indented(document)?;
            let start = Instant::now();
            let data = stage.client.graphql(document, &question.variables(), None).await?;
            let took = start.elapsed();
            line("")?;
            indented(&beginning(&data))?;
            line(format!("  in {}", time(took)))?;
        }
    }
    Ok(())
}

/// The first lines of a JSON document.
fn beginning(data: &Value) -> String {
    const LINES: usize = 16;
    let text = format!("{data:#}");
    let all = text.lines().count();
    if all <= LINES + 1 {
        return text;
    }
    let shown: Vec<&str> = text.lines().take(LINES).collect();
    format!("{}\n… and {} more lines", shown.join("\n"), all - LINES)
}

/// Asks every question on both routes, requires equal answers, and prints the times beside FEDERATED's.
pub(super) async fn comparison(stage: &mut Stage) -> Result<()> {
    heading("The same questions, cached and live: equal answers, and their times")?;
    for question in QUESTIONS {
        let (cached, cached_time) = best(stage, question, "cached").await?;
        let (live, live_time) = best(stage, question, "live").await?;
        equal(question, &cached, &live)?;
        let there = match &mut stage.federated {
            None => "not present".to_owned(),
            Some(server) => match server.time(question).await? {
                Some(took) => time(took),
                None => format!("more than {}", time(federated::LIMIT)),
            },
        };
        line(format!(
            "  equal, {:>4} rows: cached {:>8}, live {:>8}, MariaDB's FEDERATED {there:>8}   {}",
            cached.rows.len(),
            time(cached_time),
            time(live_time),
            question.title
        ))?;
    }
    stage.federated = None;
    Ok(())
}

/// The answer on a route and the best of three times.
async fn best(stage: &Stage, question: &Question, route: &str) -> Result<(Answer, Duration)> {
    let statement = statement(question).on(route);
    let mut best: Option<(Answer, Duration)> = None;
    for _ in 0..3 {
        let start = Instant::now();
        let answer = stage.client.sql(&statement).await?;
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(_, before)| took < *before) {
            best = Some((answer, took));
        }
    }
    best.ok_or_else(|| DemoError::Answer {
        action: question.sql.to_owned(),
        detail: "it was not asked".to_owned(),
    })
}

fn equal(question: &Question, cached: &Answer, live: &Answer) -> Result<()> {
    if (&cached.columns, &cached.rows) == (&live.columns, &live.rows) {
        return Ok(());
    }
    let detail = match cached.rows.iter().zip(&live.rows).find(|(one, other)| one != other) {
        Some((one, other)) => format!("{one:?} and {other:?}"),
        None => format!(
            "{} and {} rows; columns {:?} and {:?}",
            cached.rows.len(),
            live.rows.len(),
            cached.columns,
            live.columns
        ),
    };
    Err(DemoError::Different { question: question.title, left: "cached", right: "live", detail })
}

/// Stops the database of `users` and shows who still answers, and how old that answer is.
pub(super) async fn outage(stage: &mut Stage) -> Result<()> {
    heading("The database of `users` is stopped")?;
    stage.databases[0].stop().await?;
    for question in QUESTIONS.iter().filter(|question| !question.services.contains(&"users")) {
        let start = Instant::now();
        let answer = stage.client.sql(&statement(question).on("live")).await?;
        let took = time(start.elapsed());
        line(format!("  live, from the others: {} rows in {took}   {}", answer.rows.len(), question.title))?;
    }
    let sql = "SELECT COUNT(*) AS users FROM users.users";
    let answer = stage.client.sql(&Statement::new(sql)).await?;
    let read = answer.reads.get("users").and_then(|read| Some((read.age?, read.position.as_ref()?)));
    let Some((age, position)) = read else {
        let detail = format!("no age and position of `users` with the answer: {:?}", answer.reads);
        return Err(DemoError::Answer { action: sql.to_owned(), detail });
    };
    line(format!("  cached: {} users, as of {age:.1} s ago (position {position})", answer.rows[0][0]))?;
    let refused = stage.client.sql(&Statement::new(sql).on("live")).await;
    match refused {
        Err(DemoError::Answer { detail, .. }) => line(format!("  live, from the stopped one: {detail}"))?,
        Err(e) => return Err(e),
        Ok(_) => {
            let detail = "an answer, though the database is stopped".to_owned();
            return Err(DemoError::Answer { action: format!("{sql} (live)"), detail });
        }
    }
    stage.databases[0].resume().await?;
    let took = until_seen(stage, &stage.shop.users, "users", "preferences", "{\"back\": true}").await?;
    line(format!("  Started again: a change made then shows in the cache after {}.", time(took)))
}

/// Commits changes and measures until a cached query shows each.
pub(super) async fn change(stage: &Stage) -> Result<()> {
    const CHANGES: u32 = 5;
    heading("A change is committed in MariaDB: when does a cached query show it?")?;
    let mut times = Vec::new();
    for number in 1..=CHANGES {
        let note = format!("change {number}");
        times.push(until_seen(stage, &stage.shop.orders, "orders", "note", &note).await?);
    }
    times.sort();
    let shown: Vec<String> = times.iter().map(|took| time(*took)).collect();
    line(format!("  after {} (median {})", shown.join(", "), time(times[times.len() / 2])))
}

/// Changes a text column of the first row of a table: the time from the commit until a cached query shows it.
async fn until_seen(
    stage: &Stage,
    database: &ServiceDatabase,
    table: &'static str,
    column: &'static str,
    value: &str,
) -> Result<Duration> {
    const LIMIT: Duration = Duration::from_secs(20);
    let read =
        Statement::new(format!("SELECT {column} FROM {}.{table} WHERE id = 1", database.service)).on("cached");
    let mut conn = database.connect().await?;
    conn.exec_drop(format!("UPDATE {table} SET {column} = ? WHERE id = 1"), (value,))
        .await
        .map_err(|e| DemoError::sql(format!("change a row of {table}"), e))?;
    let committed = Instant::now();
    loop {
        let answer = stage.client.sql(&read).await?;
        let seen = answer.rows.first().and_then(|row| row.first());
        if seen.is_some_and(|seen| *seen == value) {
            return Ok(committed.elapsed());
        }
        if committed.elapsed() > LIMIT {
            let detail = format!("{value:?} is not there {LIMIT:?} after its commit, but {seen:?}");
            return Err(DemoError::Answer { action: read.sql, detail });
        }
    }
}

/// How many orders the cache holds.
pub(super) async fn count_of_orders(stage: &Stage) -> Result<Value> {
    let answer = stage.client.sql(&Statement::new("SELECT COUNT(*) FROM orders.orders").on("cached")).await?;
    Ok(answer.rows.into_iter().flatten().next().unwrap_or(Value::Null))
}
