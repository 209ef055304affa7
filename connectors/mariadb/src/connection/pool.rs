//! The connections that queries and loads share.
//!
//! Why does a busy server never see more of them than its owner allowed? Each holds a permit of a semaphore with as
//! many as the limits say, from before it is opened until after it is closed. Who finds the queue full, or waits too
//! long in it, is refused ([`Guard`]). A server that does not answer is not asked ([`Breaker`]).
//!
//! Why is a connection never handed on with something left over? It goes back only if its last statement was
//! read to the end and no transaction is open ([`Session::settle`]); any other is closed, and what the server
//! still does for it is killed.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossweave_contract::{Circuit, ConnectorError, Protection, Result};
use mysql_async::prelude::FromRow;
use mysql_async::{Params, Row};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::aside::{Aside, Kill, Killed};
use super::breaker::{Attempt, Breaker, Turned};
use super::guard::{Guard, Limit};
use super::{Endpoint, SHORT_STATEMENT, connect, describe, heard, no_answer};
use crate::identifiers::TableRef;
use crate::view::Known;
use crate::wire::Conn;
use crate::{Limits, SourceOptions};

/// How long the one that tries a server waits while another does, or all connections are in use.
const PROBE_PAUSE: Duration = Duration::from_millis(200);

/// How long a question of our own waits for a connection, at least.
const OWN_WAIT: Duration = Duration::from_secs(60);

/// What helps where connections are wanting.
const FEWER: &str = "Run fewer queries at the same time";

/// How long an idle connection may take to prove that it is alive.
const PING: Duration = Duration::from_secs(2);

/// How long a connection is tried to be ended, and holds a place among the connections, after the time that its statement
/// may take.
const ENDING: Duration = Duration::from_secs(5);

/// Connections to one server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    options: SourceOptions,
    endpoint: Endpoint,
    guard: Guard,
    known: Known,
    breaker: Breaker,
    place_turn: tokio::sync::Mutex<()>,
    permits: Arc<Semaphore>,
    /// Places to wait for a permit.
    queue: Semaphore,
    idle: Mutex<Vec<Conn>>,
    killer: Aside,
    prober: Aside,
    watcher: Aside,
}

impl Pool {
    /// A pool that opens nothing yet.
    pub(crate) fn new(options: SourceOptions) -> Self {
        Self(Arc::new(Inner {
            endpoint: Endpoint::of(&options),
            guard: Guard::new(&options),
            known: Known::default(),
            breaker: Breaker::default(),
            place_turn: tokio::sync::Mutex::default(),
            permits: Arc::new(Semaphore::new(options.limits.connections.max(1))),
            queue: Semaphore::new(options.limits.queue),
            idle: Mutex::new(Vec::new()),
            killer: Aside::new(options.clone()),
            prober: Aside::new(options.clone()),
            watcher: Aside::new(options.clone()),
            options,
        }))
    }

    /// Which server.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// What its owner allows.
    pub(crate) fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// What was found of its tables a moment ago.
    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    /// Held while a connection asks where in the binlog its snapshot is: one at a time is told the truth.
    pub(crate) fn place_turn(&self) -> &tokio::sync::Mutex<()> {
        &self.0.place_turn
    }

    /// What keeps the server safe, as it stands.
    pub(crate) fn protection(&self) -> Protection {
        let (circuit, denied) = (self.circuit(), self.0.breaker.denied());
        Protection { circuit, denied, refusals: self.0.guard.refusals(), ..Protection::default() }
    }

    /// Whether connections are attempted.
    pub(crate) fn circuit(&self) -> Circuit {
        self.0.breaker.circuit()
    }

    /// Connections that are in use or waited for.
    pub(crate) fn load(&self) -> usize {
        let Limits { connections, queue, .. } = *self.guard().limits();
        let in_use = connections.max(1).saturating_sub(self.0.permits.available_permits());
        in_use + queue.saturating_sub(self.0.queue.available_permits())
    }

    /// Whether all of them are in use.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.0.permits.available_permits() == 0
    }

    /// A connection nobody else uses, in autocommit, with the pinned settings.
    pub(crate) async fn acquire(&self) -> Result<Session> {
        let attempt = self.0.breaker.admit(&self.0.endpoint)?;
        let permit = self.permit().await?;
        self.with_permit(attempt, permit).await
    }

    /// As [`acquire`](Self::acquire), for what no query asks: of such questions there are a few for each service. They take
    /// no place in the queue, so that they are not refused for each other, nor queries for them.
    pub(crate) async fn acquire_for_ourselves(&self) -> Result<Session> {
        let attempt = self.0.breaker.admit(&self.0.endpoint)?;
        let permit = self.permit_within(self.0.guard.limits().queue_wait.max(OWN_WAIT)).await?;
        self.with_permit(attempt, permit).await
    }

    /// As [`acquire`](Self::acquire), if more than half of them are free.
    pub(crate) async fn try_acquire(&self) -> Result<Option<Session>> {
        let attempt = self.0.breaker.admit(&self.0.endpoint)?;
        if self.0.permits.available_permits() <= self.0.guard.limits().connections / 2 {
            return Ok(None);
        }
        match Arc::clone(&self.0.permits).try_acquire_owned() {
            Ok(permit) => self.with_permit(attempt, permit).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn with_permit(&self, attempt: Attempt<'_>, permit: OwnedSemaphorePermit) -> Result<Session> {
        while let Some(mut conn) = self.pop_idle() {
            match tokio::time::timeout(PING, heard(conn.ping())).await {
                Ok(Ok(())) => {
                    self.note_turned(attempt.answered(), None);
                    return Ok(Session::new(conn, self.clone(), permit));
                }
                Ok(Err(_)) => {}
                // The others are as old, and would each be waited for.
                Err(_) => self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            }
        }
        self.0.breaker.admit_login()?;
        let conn = connect(&self.0.options).await;
        self.note(attempt, &conn);
        Ok(Session::new(conn?, self.clone(), permit))
    }

    /// Leave to open a connection.
    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let (guard, endpoint) = (&self.0.guard, &self.0.endpoint);
        let Limits { connections, queue, queue_wait, .. } = *guard.limits();
        let Ok(_place) = self.0.queue.try_acquire() else {
            let found = format!(
                "{endpoint}: all {connections} connections are in use, and {queue} wait for one, as many as may"
            );
            return Err(guard.refuse(Limit::Queue, None, found, FEWER));
        };
        self.permit_within(queue_wait).await
    }

    /// Leave to open a connection, if one ends within `wait`.
    async fn permit_within(&self, wait: Duration) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout(wait, Arc::clone(&self.0.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let (endpoint, connections) = (&self.0.endpoint, self.0.guard.limits().connections);
                let found = format!("{endpoint}: all {connections} connections were in use for {wait:?}");
                Err(self.0.guard.refuse(Limit::QueueWait, None, found, FEWER))
            }
        }
    }

    /// Counts how `attempt` ended; where that opens the breaker, the server is tried from now on until it answers.
    fn note<T>(&self, attempt: Attempt<'_>, outcome: &Result<T>) {
        self.note_turned(attempt.ended(outcome), outcome.as_ref().err());
    }

    fn note_turned(&self, turned: Turned, error: Option<&ConnectorError>) {
        let reason = error.map(ToString::to_string);
        match turned {
            Turned::Nothing => {}
            Turned::Closed => tracing::info!(server = %self.0.endpoint, "answers again"),
            Turned::Accepted => tracing::info!(server = %self.0.endpoint, "lets the account log in again"),
            Turned::Denied => {
                tracing::warn!(server = %self.0.endpoint, reason, "does not let the account log in");
            }
            Turned::Opened => {
                tracing::warn!(server = %self.0.endpoint, reason, "does not answer, and is not asked until it does");
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(probe(Arc::downgrade(&self.0)));
                }
            }
        }
    }

    /// Counts a statement that had no answer within `most`: its error.
    pub(crate) fn note_silence(&self, doing: &str, most: Duration) -> ConnectorError {
        let error = no_answer(self.endpoint(), doing, most);
        let outcome: Result<()> = Err(error.clone());
        self.note(self.0.breaker.attempt(false), &outcome);
        error
    }

    /// The most connections that it opens: those of its limits, and one each to end statements, to look for who waits, and to
    /// ask beside them.
    pub(crate) fn most_connections(&self) -> usize {
        self.guard().limits().connections + 3
    }

    /// Ends what connection `id` does, over a connection that does not count.
    pub(crate) async fn kill(&self, what: Kill, id: u32) -> Result<()> {
        match self.0.killer.kill(what, id).await? {
            Killed::Marked => Ok(()),
            Killed::Refused(error) => Err(error),
        }
    }

    /// Whether somebody waits for a lock on the definition of one of `tables`, behind which all others now queue.
    pub(crate) async fn is_waited_for(&self, tables: &[TableRef<'_>]) -> Result<bool> {
        self.0.prober.is_waited_for(tables).await
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

/// Tries the server until it answers, or nobody needs it any more.
async fn probe(pool: Weak<Inner>) {
    loop {
        let Some(at) = pool.upgrade().and_then(|pool| pool.breaker.probe_at()) else { return };
        tokio::time::sleep_until(at).await;
        let Some(pool) = pool.upgrade().map(Pool) else { return };
        let attempt = pool.0.breaker.admit(&pool.0.endpoint);
        let (Ok(attempt), Ok(permit)) = (attempt, Arc::clone(&pool.0.permits).try_acquire_owned()) else {
            tokio::time::sleep(PROBE_PAUSE).await;
            continue;
        };
        let conn = connect(&pool.0.options).await;
        pool.note(attempt, &conn);
        if let Ok(conn) = conn {
            drop(Session::new(conn, pool.clone(), permit));
        }
    }
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

    /// Closes the connection and ends what the server still does for it. Nothing may be asked of the session after it.
    pub(crate) fn give_up(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let (id, since) = (conn.id(), conn.since());
        drop(conn);
        // The server notices a closed socket only when it next writes; until it is told, the permit is kept.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (pool, permit) = (self.pool.clone(), self.permit.take());
            runtime.spawn(async move {
                let most = pool.0.options.limits.time.saturating_add(ENDING);
                if let Err(error) = pool.0.killer.end(id, since, most).await {
                    tracing::warn!(%error, "a statement could not be ended; the server ends it at its time limit");
                }
                drop(permit);
            });
        }
    }

    /// Whether it was [given up](Self::give_up).
    pub(crate) fn is_given_up(&self) -> bool {
        self.conn.is_none()
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
        let params = params.into();
        self.shortly(doing, async |conn| conn.exec(sql, params).await).await
    }

    /// As [`rows`](Self::rows), by the text protocol: for statements that cannot be prepared.
    pub(crate) async fn run(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.run_all(doing, &[sql]).await
    }

    /// As [`run`](Self::run), several that are sent together; the first error is told.
    pub(crate) async fn run_all(&mut self, doing: &str, statements: &[&str]) -> Result<()> {
        self.shortly(doing, async |conn| conn.query_drop_all(statements).await).await
    }

    /// What each of some statements gives that are sent together, by the text protocol.
    pub(crate) async fn rows_of_each(
        &mut self,
        doing: &str,
        statements: &[&str],
    ) -> Result<Vec<std::result::Result<Vec<Row>, mysql_async::Error>>> {
        self.shortly(doing, async |conn| conn.query_each(statements).await).await
    }

    /// What is asked shortly. Leaves the connection as settled as it was.
    async fn shortly<T>(
        &mut self,
        doing: &str,
        asked: impl AsyncFnOnce(&mut Conn) -> std::result::Result<T, mysql_async::Error>,
    ) -> Result<T> {
        let was_open = self.open;
        self.unsettle();
        match tokio::time::timeout(SHORT_STATEMENT, heard(asked(self))).await {
            Ok(Ok(told)) => {
                self.open = was_open;
                Ok(told)
            }
            Ok(Err(error)) => {
                self.open = was_open || error.is_fatal();
                Err(describe(self.pool.endpoint(), doing, error))
            }
            Err(_) => Err(self.pool.note_silence(doing, SHORT_STATEMENT)),
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
        if !self.open
            && let Some(conn) = self.conn.take_if(|conn| conn.is_settled())
        {
            self.pool.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            return;
        }
        self.give_up();
    }
}

#[cfg(test)]
mod tests;
