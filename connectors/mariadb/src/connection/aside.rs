//! Statements beside the pool: ending what nobody waits for any more, asking whether we are in the way, and where the
//! server is.
//!
//! Why can a cancel never wait for the pool it is to free, and a cache not look old because queries keep the pool full?
//! Each has a connection of its own, which is opened when first needed and does not count against the limit.
//! There are three of them per source, and each does one thing at a time.

use std::time::{Duration, Instant};

use mysql_async::prelude::FromRow;
use mysql_async::{Error, Row};
use tokio::sync::Mutex;

use crossweave_contract::{ConnectorError, Result};

use super::{Endpoint, SHORT_STATEMENT, connect, describe, heard, no_answer, server_code};
use crate::SourceOptions;
use crate::identifiers::TableRef;
use crate::wire::Conn;

/// What to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// The statement that the connection runs; its transaction goes on.
    Query,
    /// The connection with all that it has open.
    Connection,
}

/// The server's `no such thread`: it has ended by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// The server's `you are not owner of thread`.
const NOT_OWNER: u16 = 1095;

/// What became of a KILL.
#[derive(Debug)]
pub(super) enum Killed {
    /// It has ended, or is about to.
    Marked,
    /// The connection is another account's: that of the definer of a function that it runs.
    Refused(ConnectorError),
}

/// The server's `lock wait timeout exceeded`.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// How long it may take to end a statement. Whoever waits for that holds a place among the connections.
const KILLING: Duration = Duration::from_secs(2);

/// How long it may take to look whether somebody waits for us, who is to wait for no more than a second.
const LOOKING: Duration = Duration::from_millis(500);

/// How long who ends a connection waits after the first refusal, and how long at last.
const TRY_AGAIN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// One connection beside the pool, opened when first needed.
pub(super) struct Aside {
    options: SourceOptions,
    conn: Mutex<Option<Conn>>,
}

impl Aside {
    pub(super) fn new(options: SourceOptions) -> Self {
        Self { options, conn: Mutex::new(None) }
    }

    /// Ends what connection `id` does. When this returns, the server has marked it, and the marked one notices
    /// within its next rows; or refuses, for the connection is another account's just now.
    pub(super) async fn kill(&self, what: Kill, id: u32) -> Result<Killed> {
        let statement = match what {
            Kill::Query => format!("KILL QUERY {id}"),
            Kill::Connection => format!("KILL CONNECTION {id}"),
        };
        let (doing, endpoint) = ("ending a statement", Endpoint::of(&self.options));
        match self.promptly::<Row>(doing, &statement, KILLING).await? {
            Ok(_) => Ok(Killed::Marked),
            Err(error) => match server_code(&error) {
                Some(NO_SUCH_THREAD) => Ok(Killed::Marked),
                Some(NOT_OWNER) => Ok(Killed::Refused(describe(&endpoint, doing, error))),
                _ => Err(describe(&endpoint, doing, error)),
            },
        }
    }

    /// Ends connection `id`, which was opened at `since`, until the server has let go of it. While a function runs that has
    /// its definer's rights, the connection is the definer's, and the server lets nobody else end it: it is ours again
    /// between two calls. It is tried for `most`, by when the server has ended the statement itself.
    pub(super) async fn end(&self, id: u32, since: Instant, most: Duration) -> Result<()> {
        let (start, [mut pause, longest]) = (Instant::now(), TRY_AGAIN);
        let mut is_known = false;
        loop {
            let refusal = match self.kill(Kill::Connection, id).await? {
                Killed::Marked => return Ok(()),
                Killed::Refused(refusal) => refusal,
            };
            // Of a server that was started since, another has the number now.
            if !is_known && self.uptime().await? < since.elapsed() {
                return Ok(());
            }
            is_known = true;
            if start.elapsed() >= most {
                return Err(refusal);
            }
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.1).min(longest);
        }
    }

    /// How long the server runs.
    async fn uptime(&self) -> Result<Duration> {
        let doing = "reading since when the server runs";
        let outcome =
            self.promptly::<(String, u64)>(doing, "SHOW GLOBAL STATUS LIKE 'Uptime'", KILLING).await?;
        let found = outcome.map_err(|error| describe(&Endpoint::of(&self.options), doing, error))?;
        // In whole seconds.
        Ok(found.first().map_or(Duration::MAX, |(_, seconds)| Duration::from_secs(seconds + 1)))
    }

    /// The rows of a short statement.
    pub(super) async fn rows<R: FromRow + Send + 'static>(
        &self,
        doing: &str,
        statement: &str,
    ) -> Result<Vec<R>> {
        let endpoint = Endpoint::of(&self.options);
        match tokio::time::timeout(SHORT_STATEMENT, self.run(doing, statement)).await {
            Ok(outcome) => outcome?.map_err(|error| describe(&endpoint, doing, error)),
            Err(_) => Err(no_answer(&endpoint, doing, SHORT_STATEMENT)),
        }
    }

    /// Whether a statement on one of `tables` would have to wait for a lock on its definition.
    pub(super) async fn is_waited_for(&self, tables: &[TableRef<'_>]) -> Result<bool> {
        let is_waited_for = |outcome: &std::result::Result<Vec<Row>, Error>| match outcome {
            Err(error) if server_code(error) == Some(LOCK_WAIT_TIMEOUT) => Some(true),
            Err(_) => None,
            Ok(_) => Some(false),
        };
        let doing = "looking for who waits";
        let outcome = self.promptly::<Row>(doing, &looking_at(tables), LOOKING).await?;
        if let (None, [_, _, ..]) = (is_waited_for(&outcome), tables) {
            // One that is no longer there hides the others.
            for table in tables {
                let outcome = self.promptly::<Row>(doing, &looking_at(&[*table]), LOOKING).await?;
                if is_waited_for(&outcome) == Some(true) {
                    return Ok(true);
                }
            }
        }
        Ok(is_waited_for(&outcome) == Some(true))
    }

    /// As [`run`](Self::run), once more if there is no answer `within` this time from when it is its turn: a connection that is
    /// dead and has not said so is dropped with the first try.
    async fn promptly<R: FromRow + Send + 'static>(
        &self,
        doing: &str,
        statement: &str,
        within: Duration,
    ) -> Result<std::result::Result<Vec<R>, Error>> {
        let mut kept = self.conn.lock().await;
        let mut outcome = tokio::time::timeout(within, self.run_on(&mut kept, doing, statement)).await;
        let mut waited = within;
        if outcome.is_err() {
            // It opens another one.
            waited += self.options.connect_timeout;
            outcome = tokio::time::timeout(waited, self.run_on(&mut kept, doing, statement)).await;
        }
        outcome.unwrap_or_else(|_| Err(no_answer(&Endpoint::of(&self.options), doing, waited)))
    }

    /// Runs `statement`; the inner error is the server's.
    async fn run<R: FromRow + Send + 'static>(
        &self,
        doing: &str,
        statement: &str,
    ) -> Result<std::result::Result<Vec<R>, Error>> {
        let mut kept = self.conn.lock().await;
        self.run_on(&mut kept, doing, statement).await
    }

    /// As [`run`](Self::run), on the connection that is `kept`, or another one.
    async fn run_on<R: FromRow + Send + 'static>(
        &self,
        kept: &mut Option<Conn>,
        doing: &str,
        statement: &str,
    ) -> Result<std::result::Result<Vec<R>, Error>> {
        // The server may have closed an idle connection meanwhile; a new one tells for certain.
        let fresh = kept.is_none();
        let mut conn = match kept.take() {
            Some(conn) => conn,
            None => connect(&self.options).await?,
        };
        let mut outcome = heard(conn.query(statement)).await;
        if !fresh && outcome.as_ref().is_err_and(Error::is_fatal) {
            conn = connect(&self.options).await?;
            outcome = heard(conn.query(statement)).await;
        }
        if outcome.as_ref().is_err_and(Error::is_fatal) {
            return outcome.map(Ok).map_err(|error| describe(&Endpoint::of(&self.options), doing, error));
        }
        *kept = Some(conn);
        Ok(outcome)
    }
}

/// A statement that reads nothing of `tables`, and does not wait for them.
fn looking_at(tables: &[TableRef<'_>]) -> String {
    let each: Vec<String> = tables.iter().map(|table| format!("(SELECT 1 FROM {table} LIMIT 0)")).collect();
    format!("SET STATEMENT lock_wait_timeout = 0 FOR {}", each.join(" UNION ALL "))
}
