//! Who is asked: Crossweave as a process of its own, one MariaDB that holds all, and a MariaDB with FEDERATED tables.

use std::path::Path;
use std::time::{Duration, Instant};

use crossweave::demo::client::{Client, Statement};
use crossweave::demo::error::DemoError;
use crossweave::demo::mariadb::MariaDb;
use crossweave::demo::server::Server;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::Result;
use super::answers::{self, Rows};
use super::report::progress;
use super::stage::Stage;

/// What came of a question.
pub(super) enum Outcome {
    Answered(Rows, Duration),
    /// Not within the time.
    Late(Duration),
    Failed(String),
}

/// How much longer than its limit a server may take to notice.
const GRACE: Duration = Duration::from_secs(20);

/// Crossweave over the three services.
pub(super) struct Crossweave {
    server: Server,
    client: Client,
    limit: Duration,
}

impl Crossweave {
    /// Starts it; with all tables cached as well, where told so.
    pub(super) async fn start(stage: &Stage, limit: Duration, cached: bool) -> Result<Self> {
        let seconds = limit.as_secs();
        let mode = if cached { "cached" } else { "live" };
        let mut config =
            format!("\n[change_log]\nkind = \"direct\"\n\n[queries]\ntimeout = \"{seconds}s\"\n\n");
        for database in &stage.databases {
            config.push_str(&database.config(mode));
            // What protects an owner's server is no matter here, and TPC-H examines more than owners like.
            let service = &database.service;
            config.push_str(&format!(
                "[services.{service}.limits]\nseconds = {seconds}\nrows_examined = 1_000_000_000_000\n\n"
            ));
        }
        let one = |at: usize| {
            let database = &stage.databases[at];
            (database.password_variable(), database.reader_password.clone())
        };
        let executable = Path::new(env!("CARGO_BIN_EXE_crossweave"));
        let environment = vec![one(0), one(1), one(2)];
        let mut server = Server::prepare(executable, &stage.sandbox, "crossweave", &config, environment)?;
        let client = server.start().await?;
        Ok(Self { server, client, limit })
    }

    /// Its process's id.
    pub(super) fn process(&mut self) -> Option<u32> {
        self.server.process().map(|process| process.id())
    }

    pub(super) async fn ask(&mut self, sql: &str, route: &str) -> Outcome {
        let begun = Instant::now();
        let answer = self.client.sql(&Statement::new(sql).on(route)).await;
        let took = begun.elapsed();
        match answer {
            Ok(answer) => Outcome::Answered(answers::of_json(answer.rows), took),
            Err(_) if took >= self.limit => Outcome::Late(self.limit),
            Err(DemoError::Answer { detail, .. }) => Outcome::Failed(detail),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// Rows of tables that it reads from the services for a statement, as it counts them itself.
    pub(super) async fn fetched(&self, sql: &str) -> Option<f64> {
        let explain = Statement::new(format!("EXPLAIN ANALYZE {sql}")).on("live");
        let answer = self.client.sql(&explain).await.ok()?;
        let rows = |line: &str| -> Option<f64> {
            // Many are rounded, as in `output_rows=7.57 K, `.
            let printed = line.split_once("output_rows=")?.1.split([',', ']']).next()?;
            let (number, unit) = printed.split_once(' ').unwrap_or((printed, ""));
            let unit = match unit {
                "" => 1.0,
                "K" => 1e3,
                "M" => 1e6,
                _ => return None,
            };
            Some(number.parse::<f64>().ok()? * unit)
        };
        let lines = answer.rows.iter().flatten().filter_map(serde_json::Value::as_str).flat_map(str::lines);
        lines.filter(|line| line.contains("LiveScan")).map(rows).sum()
    }

    /// Starts it again, should it have ended.
    pub(super) async fn revive(&mut self) -> Result {
        let ended = self.server.process().and_then(crossweave::demo::process::Process::ended);
        if let Some(status) = ended {
            progress(&self.server.ended_with(status).to_string());
            self.client = self.server.start().await?;
        }
        Ok(())
    }
}

/// A MariaDB that answers by itself, or by FEDERATED tables.
pub(super) struct Asked {
    connection: Option<Conn>,
}

impl Asked {
    pub(super) fn new() -> Self {
        Self { connection: None }
    }

    /// Asks `server`, which is started anew when it does not stop by itself.
    pub(super) async fn ask(&mut self, server: &mut MariaDb, sql: &str, limit: Duration) -> Result<Outcome> {
        // ER_STATEMENT_TIMEOUT
        const TIMED_OUT: u16 = 1969;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => server.connect(None).await?,
        };
        connection.query_drop(format!("SET max_statement_time = {}", limit.as_secs())).await?;
        let begun = Instant::now();
        let answer = tokio::time::timeout(limit + GRACE, connection.query::<Row, _>(sql)).await;
        let took = begun.elapsed();
        Ok(match answer {
            Ok(Ok(rows)) => {
                self.connection = Some(connection);
                Outcome::Answered(answers::of_mariadb(rows), took)
            }
            Ok(Err(mysql_async::Error::Server(error))) => {
                self.connection = Some(connection);
                match error.code {
                    TIMED_OUT => Outcome::Late(limit),
                    _ => Outcome::Failed(error.to_string()),
                }
            }
            Ok(Err(error)) => Outcome::Failed(error.to_string()),
            Err(_) => {
                progress(&format!("\"{}\" goes on after its time, and is started anew", server.name()));
                drop(connection);
                server.resume().await?;
                Outcome::Late(limit)
            }
        })
    }
}
