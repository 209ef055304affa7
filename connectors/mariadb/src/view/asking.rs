//! Asking a question on a view's connection: for somebody who may leave, within a time, and in nobody's way.

use std::future::Future;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::connection::{Kill, Limit, Pool, Session};

/// How long an ended statement may take to end; then the connection is closed instead.
pub(super) const ENDING: Duration = Duration::from_secs(5);

/// How long it may take until it is killed again.
const KILL_AGAIN: Duration = Duration::from_millis(200);

/// How asking has ended.
pub(super) enum Answer<T> {
    /// With an answer. Where whoever waits had left, what the connection does was killed before.
    Told { outcome: Result<T>, killed: bool },
    /// Others wait for the view; the question was left where it was.
    InTheWay,
    /// Not in time, or it did not end though it was killed; it was left where it was.
    Late,
}

/// How a question is asked.
pub(super) struct Asking {
    /// Cancelled once others wait for the view.
    pub(super) in_the_way: CancellationToken,
    /// When it has to be over.
    pub(super) until: Instant,
}

impl Asking {
    /// Does `work`, unless its reader is `gone`: then it is ended by `kill`.
    pub(super) async fn run<T, K>(
        self,
        work: impl Future<Output = Result<T>>,
        gone: impl Future<Output = ()>,
        kill: impl Fn() -> K,
    ) -> Answer<T>
    where
        K: Future<Output = Result<()>>,
    {
        let asked = unless(timeout_at(self.until, work), gone, kill);
        match self.in_the_way.run_until_cancelled(asked).await {
            Some((Some(Ok(outcome)), killed)) => Answer::Told { outcome, killed },
            Some(_) => Answer::Late,
            None => Answer::InTheWay,
        }
    }
}

/// What the connection of `session` does now, to be ended.
pub(super) struct Doing(Pool, u32);

impl Doing {
    pub(super) fn of(session: &Session) -> Self {
        Self(session.pool().clone(), session.id())
    }

    pub(super) async fn kill(&self) -> Result<()> {
        self.0.kill(Kill::Query, self.1).await
    }
}

/// What an answer says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Read to its end, or refused by the server: the next may follow.
    Settled,
    /// Rows may be left, or the statement may still run.
    Unread,
    /// The connection is of no use any more.
    Lost,
}

impl After {
    pub(super) fn of<T>(outcome: &Result<T>, killed: bool) -> Self {
        match outcome {
            Ok(_) if killed => Self::Unread,
            Ok(_) => Self::Settled,
            Err(error) => match error.kind {
                ErrorKind::Unreachable | ErrorKind::Protocol => Self::Lost,
                // Only the server says these, and nothing follows what it says.
                ErrorKind::DefinitionChanged | ErrorKind::Query | ErrorKind::Denied | ErrorKind::Settings
                    if !killed =>
                {
                    Self::Settled
                }
                ErrorKind::Limit if !killed && Limit::is_of_whole_statements(error.limit) => Self::Settled,
                _ => Self::Unread,
            },
        }
    }
}

/// Runs `work`; once `cancelled` comes first, `kill`s it and gives it [`ENDING`] to end. The outcome is `None` if
/// it did not, and the flag says whether it was killed. One that goes on is killed again: the first may have come
/// between two of its statements.
async fn unless<T, K>(
    work: impl Future<Output = T>,
    cancelled: impl Future<Output = ()>,
    kill: impl Fn() -> K,
) -> (Option<T>, bool)
where
    K: Future<Output = Result<()>>,
{
    tokio::pin!(work);
    tokio::select! {
        biased;
        outcome = &mut work => return (Some(outcome), false),
        () = cancelled => {}
    }
    let ending = async {
        loop {
            if let Err(error) = kill().await {
                tracing::warn!(%error, "a statement could not be ended");
                return None;
            }
            if let Ok(outcome) = timeout(KILL_AGAIN, &mut work).await {
                return Some(outcome);
            }
        }
    };
    (timeout(ENDING, ending).await.ok().flatten(), true)
}

/// The error of a connection that is of no use any more, for this reason if it is known.
pub(super) fn lost(pool: &Pool, cause: Option<&ConnectorError>) -> ConnectorError {
    match cause {
        Some(error) if error.kind == ErrorKind::Unreachable => error.clone(),
        _ => ConnectorError::new(
            ErrorKind::Unreachable,
            format!("{}: the view's connection was closed", pool.endpoint()),
        ),
    }
}
