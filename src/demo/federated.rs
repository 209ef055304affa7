//! What people use today: a MariaDB with tables of the FEDERATED engine, which reads the services' servers.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row};

use super::error::{DemoError, Result};
use super::mariadb::{MariaDb, MariaDbOptions, OWNER};
use super::process::Sandbox;
use super::questions::Question;

/// How long a question may take here. Some would take minutes.
pub const LIMIT: Duration = Duration::from_secs(2);

/// A server without data of its own. Its databases and tables are called like the services and their tables,
/// so the questions can be asked as they are.
pub struct Federated {
    conn: Conn,
    // Dropped after the connection.
    server: MariaDb,
}

impl Federated {
    /// Starts it over the services' servers, in the order of [`SERVICES`](super::shop::SERVICES), each with a
    /// database of the service's name; `None` where MariaDB came without the engine.
    ///
    /// # Errors
    /// When the server does not start, or refuses the tables.
    pub async fn start(sandbox: &Sandbox, services: [(&str, &MariaDb); 3]) -> Result<Option<Self>> {
        let mut options = MariaDbOptions::new("federated", 100);
        options.federated = true;
        options.log_bin = false;
        let server = MariaDb::start(sandbox, options).await?;
        if !server.has_federated() {
            return Ok(None);
        }
        let mut conn = server.connect(None).await?;
        for (service, remote) in services {
            let mut there = remote.connect(Some(service)).await?;
            let tables: Vec<String> =
                there.query("SHOW TABLES").await.map_err(|e| DemoError::sql(format!("list {service}"), e))?;
            let (port, password) = (remote.port(), remote.password());
            let mut statements = format!("CREATE DATABASE {service} CHARACTER SET utf8mb4");
            for table in tables {
                statements.push_str(&format!(
                    ";\nCREATE TABLE {service}.{table} ENGINE = FEDERATED CONNECTION = \
                     'mysql://{OWNER}:{password}@127.0.0.1:{port}/{service}/{table}'"
                ));
            }
            conn.query_drop(statements).await.map_err(|e| DemoError::sql("create FEDERATED tables", e))?;
        }
        Ok(Some(Self { conn, server }))
    }

    /// The server, for questions of other kinds.
    pub fn server(&mut self) -> &mut MariaDb {
        &mut self.server
    }

    /// Asks a question: the best of three times, or `None` if it takes longer than [`LIMIT`].
    ///
    /// # Errors
    /// MariaDB's.
    pub async fn time(&mut self, question: &Question) -> Result<Option<Duration>> {
        // ER_STATEMENT_TIMEOUT
        const TIMED_OUT: u16 = 1969;
        let limit = format!("SET max_statement_time = {}", LIMIT.as_secs());
        self.conn.query_drop(limit).await.map_err(|e| DemoError::sql("limit a statement's time", e))?;
        let params: Vec<mysql_async::Value> = question.user.map(Into::into).into_iter().collect();
        let params = if params.is_empty() { Params::Empty } else { Params::Positional(params) };
        let mut best = LIMIT;
        for _ in 0..3 {
            let start = Instant::now();
            let rows: std::result::Result<Vec<Row>, _> =
                self.conn.exec(question.for_mariadb(), params.clone()).await;
            match rows {
                Ok(_) => best = best.min(start.elapsed()),
                Err(mysql_async::Error::Server(e)) if e.code == TIMED_OUT => return Ok(None),
                Err(e) => {
                    return Err(DemoError::sql(format!("answer \"{}\" through FEDERATED", question.title), e));
                }
            }
        }
        Ok(Some(best))
    }
}
