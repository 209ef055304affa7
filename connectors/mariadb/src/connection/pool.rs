//! The connections that queries and loads share.
//!
//! Why does a busy server never see more of them than its owner allowed? Each holds a permit of a semaphore with
//! `max_connections`, from before it is opened until after it is closed. Who waits longer than [`POOL_WAIT`] for
//! a permit fails with [`ErrorKind::Limit`].
//!
//! Why is a connection never handed on with something left over? It goes back only if its last statement was
//! read to the end and no transaction is open ([`Session::settle`]); any other is closed, and what the server
//! still does for it is killed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result};
use futures::FutureExt as _;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Params};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::aside::{Aside, Kill};
use super::{Endpoint, SHORT_STATEMENT, connect, describe, no_answer};
use crate::SourceOptions;
use crate::identifiers::TableRef;

/// How long one waits for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(10);

/// How long an idle connection may take to prove that it is alive.
const PING: Duration = Duration::from_secs(2);

/// Connections to one server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    options: SourceOptions,
    endpoint: Endpoint,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Conn>>,
    killer: Aside,
    prober: Aside,
    watcher: Aside,
    wait: Duration,
}

impl Pool {
    /// A pool that opens nothing yet.
    pub(crate) fn new(options: SourceOptions) -> Self {
        Self::waiting(options, POOL_WAIT)
    }

    fn waiting(options: SourceOptions, wait: Duration) -> Self {
        Self(Arc::new(Inner {
            endpoint: Endpoint::of(&options),
            permits: Arc::new(Semaphore::new(options.max_connections.max(1))),
            idle: Mutex::new(Vec::new()),
            killer: Aside::new(options.clone()),
            prober: Aside::new(options.clone()),
            watcher: Aside::new(options.clone()),
            options,
            wait,
        }))
    }

    /// Which server.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// A connection nobody else uses, in autocommit, with the pinned settings.
    pub(crate) async fn acquire(&self) -> Result<Session> {
        let permit = tokio::time::timeout(self.0.wait, Arc::clone(&self.0.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let (most, wait) = (self.0.options.max_connections, self.0.wait);
            return Err(ConnectorError::new(
                ErrorKind::Limit,
                format!("{}: all {most} connections were in use for {wait:?}", self.0.endpoint),
            )
            .with_fix("Raise max_connections of the service, or run fewer queries at the same time"));
        };
        while let Some(mut conn) = self.pop_idle() {
            if matches!(tokio::time::timeout(PING, conn.ping()).await, Ok(Ok(()))) {
                return Ok(Session::new(conn, self.clone(), permit));
            }
            close(conn);
        }
        let conn = connect(&self.0.options).await?;
        Ok(Session::new(conn, self.clone(), permit))
    }

    /// Ends what connection `id` does, over a connection that does not count.
    pub(crate) async fn kill(&self, what: Kill, id: u32) -> Result<()> {
        self.0.killer.kill(what, id).await
    }

    /// Whether somebody waits for a lock on the definition of `table`, behind which all others now queue.
    pub(crate) async fn is_waited_for(&self, table: TableRef<'_>) -> Result<bool> {
        self.0.prober.is_waited_for(table).await
    }

    /// The rows of a short statement, over a connection that does not count.
    pub(crate) async fn rows_aside<R>(&self, doing: &str, sql: &str) -> Result<Vec<R>>
    where
        R: FromRow + Send + 'static,
    {
        self.0.watcher.rows(doing, sql).await
    }

    fn pop_idle(&self) -> Option<Conn> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Closes the socket without reading what is still to come (which the driver does on drop).
fn close(conn: Conn) {
    // The first poll marks the connection as closed and sends the goodbye if there is room; the rest is dropped.
    let _ = conn.disconnect().now_or_never();
}

/// A connection in use. Dropped while a statement or a transaction is open, it is closed and the server's side
/// killed; dropped otherwise, it goes back to the pool.
pub(crate) struct Session {
    conn: Option<Conn>,
    pool: Pool,
    permit: Option<OwnedSemaphorePermit>,
    open: bool,
}

impl Session {
    fn new(conn: Conn, pool: Pool, permit: OwnedSemaphorePermit) -> Self {
        Self { conn: Some(conn), pool, permit: Some(permit), open: false }
    }

    /// Says that a statement or transaction is under way: from here on, a drop closes the connection.
    pub(crate) fn unsettle(&mut self) {
        self.open = true;
    }

    /// Says that everything was read and no transaction is open.
    pub(crate) fn settle(&mut self) {
        self.open = false;
    }

    /// Whose.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs a short statement and reads its rows. Leaves the connection as settled as it was.
    pub(crate) async fn rows<R>(
        &mut self,
        doing: &str,
        sql: &str,
        params: impl Into<Params> + Send,
    ) -> Result<Vec<R>>
    where
        R: FromRow + Send + 'static,
    {
        let was_open = self.open;
        self.unsettle();
        let params = params.into();
        let rows = tokio::time::timeout(SHORT_STATEMENT, self.exec(sql, params)).await;
        let endpoint = self.pool.endpoint();
        match rows {
            Ok(Ok(rows)) => {
                self.open = was_open;
                Ok(rows)
            }
            Ok(Err(error)) => {
                self.open = was_open || error.is_fatal();
                Err(describe(endpoint, doing, error))
            }
            Err(_) => Err(no_answer(endpoint, doing)),
        }
    }

    /// As [`rows`](Self::rows), by the text protocol: for statements that cannot be prepared.
    pub(crate) async fn run(&mut self, doing: &str, sql: &str) -> Result<()> {
        let was_open = self.open;
        self.unsettle();
        match tokio::time::timeout(SHORT_STATEMENT, self.query_drop(sql)).await {
            Ok(Ok(())) => {
                self.open = was_open;
                Ok(())
            }
            Ok(Err(error)) => {
                self.open = was_open || error.is_fatal();
                Err(describe(self.pool.endpoint(), doing, error))
            }
            Err(_) => Err(no_answer(self.pool.endpoint(), doing)),
        }
    }
}

impl Deref for Session {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_ref().expect("a session has its connection until it is dropped")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("a session has its connection until it is dropped")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if !self.open && !conn.is_disconnected() {
            self.pool.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            return;
        }
        let id = conn.id();
        close(conn);
        // The server notices a closed socket only when it next writes; until it is told, the permit is kept.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (pool, permit) = (self.pool.clone(), self.permit.take());
            runtime.spawn(async move {
                if let Err(error) = pool.kill(Kill::Connection, id).await {
                    tracing::warn!(%error, "a statement could not be ended; the server ends it at its time limit");
                }
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::server;

    #[tokio::test]
    async fn pins_what_changes_an_answer() {
        server().run("mysql", &["SET GLOBAL sql_select_limit = 1000"]).await;
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        let pinned: Vec<(String, String, String, String, u64)> = session
            .rows(
                "a test",
                "SELECT @@time_zone, @@sql_mode, @@collation_connection, @@tx_isolation, @@sql_select_limit",
                (),
            )
            .await
            .unwrap();
        let (zone, mode, collation, isolation, limit) = &pinned[0];
        assert_eq!((zone.as_str(), mode.as_str()), ("+00:00", ""));
        assert_eq!((collation.as_str(), isolation.as_str()), ("utf8mb4_general_ci", "REPEATABLE-READ"));
        assert_eq!(*limit, u64::MAX);
        server().run("mysql", &["SET GLOBAL sql_select_limit = DEFAULT"]).await;
    }

    #[tokio::test]
    async fn waiting_for_a_connection_is_bounded() {
        let options = SourceOptions { max_connections: 2, ..server().root() };
        let pool = Pool::waiting(options, Duration::from_millis(50));
        let first = pool.acquire().await.unwrap();
        let second = pool.acquire().await.unwrap();
        let error = pool.acquire().await.err().expect("there is no third");
        assert_eq!(error.kind, ErrorKind::Limit);
        assert!(error.to_string().contains("max_connections"), "{error}");
        let id = first.id();
        drop(first);
        assert_eq!(pool.acquire().await.unwrap().id(), id, "the free one is used again");
        drop(second);
    }

    #[tokio::test]
    async fn an_open_connection_is_not_handed_on() {
        let pool = Pool::new(SourceOptions { max_connections: 1, ..server().root() });
        let mut session = pool.acquire().await.unwrap();
        let id = session.id();
        session.run("a test", "START TRANSACTION").await.unwrap();
        session.unsettle();
        drop(session);
        assert_ne!(pool.acquire().await.unwrap().id(), id);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_replaced() {
        let pool = Pool::new(server().root());
        let session = pool.acquire().await.unwrap();
        let id = session.id();
        drop(session);
        pool.kill(Kill::Connection, id).await.unwrap();
        let mut session = pool.acquire().await.unwrap();
        assert_ne!(session.id(), id);
        assert_eq!(session.rows::<u8>("a test", "SELECT 1", ()).await.unwrap(), [1]);
    }
}
