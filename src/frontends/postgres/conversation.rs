//! One client's session, and what is asked of it once the wire is taken off.
//!
//! Why are its futures boxed, and itself behind [`Sealed`]? The wire's traits are generic over the client, and in
//! each of their functions the compiler proves anew that whatever the future may hold can cross threads. For a
//! session, whose plans may hold all of SQL's syntax, that takes seconds for each function. Nothing here is generic,
//! so that one proof serves all; into a box or a trait object it does not look again.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::future::BoxFuture;
use pgwire::api::portal::Format;
use pgwire::api::results::Response;
use pgwire::error::{PgWireError, PgWireResult};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::answer::respond;
use super::cancel::Running;
use super::error::{cancelled, fatal, not_logged_in, wire_error, wire_error_in};
use super::options::{apply, check_database};
use crate::query::{Prepared, Session};

/// A shared value that is known to be `Send` and `Sync` without a look at what it holds.
pub(super) struct Sealed<T>(Arc<dyn Deref<Target = T> + Send + Sync>);

impl<T: Send + Sync + 'static> Sealed<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(Box::new(value)))
    }
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Sealed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A statement as the extended protocol keeps it.
pub(super) type Statement = Sealed<Prepared>;

/// What one client asks of its session.
pub(super) struct Conversation {
    seat: Mutex<Seat>,
}

struct Seat {
    session: Session,
    /// The client has logged in; before that the session answers nothing.
    admitted: bool,
}

impl Conversation {
    pub(super) fn new(session: Session) -> Self {
        Self { seat: Mutex::new(Seat { session, admitted: false }) }
    }

    /// Whether the client has logged in.
    pub(super) fn has_admitted(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.seat.lock().await.admitted })
    }

    async fn session(&self) -> PgWireResult<MappedMutexGuard<'_, Session>> {
        MutexGuard::try_map(self.seat.lock().await, |seat| seat.admitted.then_some(&mut seat.session))
            .map_err(|_| not_logged_in())
    }

    /// Opens the session to its client, which has shown that it may ask and said `wishes` as it connected. Gives
    /// what each of `reported` is then.
    pub(super) fn admit<'a>(
        &'a self,
        wishes: &'a HashMap<String, String>,
        reported: &'a [&str],
    ) -> BoxFuture<'a, PgWireResult<HashMap<String, String>>> {
        Box::pin(async move {
            let mut seat = self.seat.lock().await;
            if seat.admitted {
                return Err(PgWireError::InvalidStartupMessage);
            }
            check_database(wishes).map_err(fatal)?;
            apply(wishes, &mut seat.session).map_err(fatal)?;
            let shown = reported.iter().map(|name| Ok(((*name).to_owned(), seat.session.show(name)?)));
            let shown = shown.collect::<Result<_, _>>().map_err(fatal)?;
            seat.admitted = true;
            Ok(shown)
        })
    }

    /// Tells the session what only the connection knows: that a statement of its transaction failed as its rows
    /// were sent, or as it was cancelled.
    pub(super) fn fail_transaction(&self) -> BoxFuture<'_, PgWireResult<()>> {
        Box::pin(async move {
            self.session().await?.fail_transaction();
            Ok(())
        })
    }

    /// Prepares `sql`, whose parameters' types the client declares as far as it knows them.
    pub(super) fn prepare<'a>(
        &'a self,
        sql: &'a str,
        declared: Vec<Option<DataType>>,
    ) -> BoxFuture<'a, PgWireResult<Statement>> {
        Box::pin(async move {
            let prepared = self.session().await?.prepare_declared(sql, declared).await;
            Ok(Sealed::new(prepared.map_err(|error| wire_error_in(error, sql, 0))?))
        })
    }

    /// Answers `statement`, which begins at byte `start` of `query`.
    pub(super) fn answer<'a>(
        &'a self,
        statement: &'a str,
        query: &'a str,
        start: usize,
        running: &'a Arc<Running>,
    ) -> BoxFuture<'a, PgWireResult<Response>> {
        Box::pin(async move {
            let mut session = self.session().await?;
            let prepared = unless_cancelled(running, session.prepare(statement)).await?;
            let prepared = prepared.map_err(|error| wire_error_in(error, query, start))?;
            let answer = unless_cancelled(running, session.execute_anew(&prepared, Vec::new())).await?;
            let answer = answer.map_err(wire_error)?;
            respond(answer, session.in_transaction(), &Format::UnifiedText, Arc::clone(running))
        })
    }

    /// Runs `prepared`, of which the client knows the columns, with values for its parameters.
    pub(super) fn run<'a>(
        &'a self,
        prepared: &'a Prepared,
        parameters: Vec<ScalarValue>,
        format: &'a Format,
        running: &'a Arc<Running>,
    ) -> BoxFuture<'a, PgWireResult<Response>> {
        Box::pin(async move {
            let mut session = self.session().await?;
            let answer = unless_cancelled(running, session.execute(prepared, parameters)).await?;
            let answer = answer.map_err(wire_error)?;
            respond(answer, session.in_transaction(), format, Arc::clone(running))
        })
    }
}

/// What comes of `work`, unless its client has it ended before.
async fn unless_cancelled<T>(running: &Running, work: impl Future<Output = T>) -> PgWireResult<T> {
    tokio::select! {
        biased;
        () = running.token.cancelled() => Err(cancelled()),
        done = work => Ok(done),
    }
}
