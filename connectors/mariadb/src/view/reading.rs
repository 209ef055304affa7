//! One statement of a view: within what the server's owner allows, its rows to their reader; run once more where its
//! connection is lost before its first row.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crossweave_contract::{ConnectorError, ErrorKind, Result, ScanWork, ServiceName, TableDef};

use super::admission::{Admission, admit, complete};
use super::bounds::Bounds;
use super::buffer::Writer;
use super::explained::Explained;
use super::giving_way::Watch;
use super::snapshot::Snapshot;
use crate::connection::{Kill, Pool, Session};
use crate::decode::RowDecoder;
use crate::identifiers::TableRef;
use crate::scan::{self, Statement};

/// The connection that a statement runs on: another one, once it has taken the place of one that was lost.
pub(super) struct Running<'a> {
    watch: &'a Watch,
    connection: Mutex<(Pool, u32)>,
}

impl<'a> Running<'a> {
    pub(super) fn of(session: &Session, watch: &'a Watch) -> Self {
        Self { watch, connection: Mutex::new((session.pool().clone(), session.id())) }
    }

    fn moved(&self, session: &Session) {
        self.watch.also(session.pool());
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) =
            (session.pool().clone(), session.id());
    }

    /// Ends the statement.
    pub(super) async fn kill(&self) -> Result<()> {
        let (pool, id) = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        pool.kill(Kill::Query, id).await
    }
}

/// What is read, and where it goes.
pub(super) struct Reading<'a> {
    /// The tables that the statement reads, one at least.
    pub(super) tables: &'a [Arc<TableDef>],
    /// For whom.
    pub(super) service: &'a ServiceName,
    pub(super) decoder: &'a RowDecoder,
    pub(super) writer: &'a mut Writer,
    pub(super) bounds: &'a Bounds,
    pub(super) explained: &'a mut Explained,
    /// The server was asked already whether it may examine so much.
    pub(super) admitted: bool,
    /// What it takes.
    pub(super) work: &'a ScanWork,
    /// Rows have gone to the reader.
    pub(super) given: bool,
}

impl Reading<'_> {
    /// Runs `statement` on `session`, or on one that takes its place, of which `running` is told.
    pub(super) async fn run(
        &mut self,
        session: &mut Session,
        snapshot: &mut Snapshot,
        running: &Running<'_>,
        statement: Statement,
    ) -> Result<()> {
        let again = snapshot.may_reopen().then(|| statement.clone());
        let mut outcome = self.once(session, statement).await;
        if let (Err(error), Some(statement), false) = (&outcome, again, self.given)
            && error.kind == ErrorKind::Unreachable
        {
            session.give_up();
            *session = snapshot.reopen(self.bounds.limit(), error).await?;
            running.moved(session);
            self.work.retries.fetch_add(1, Ordering::Relaxed);
            outcome = self.once(session, statement).await;
        }
        if outcome.is_ok() || self.given {
            snapshot.read();
        }
        outcome
    }

    /// `statement`, without the order of an index for its groups where the server would go by one that leads all over the
    /// table.
    async fn grouped(&mut self, session: &mut Session, mut statement: Statement) -> Result<Statement> {
        if statement.unordered.is_some()
            && let Some(estimate) = self.explained.of(session, &statement).await?
            && estimate.leaps()
            && let Some(unordered) = statement.unordered.take()
        {
            statement.sql = unordered;
        }
        Ok(statement)
    }

    async fn once(&mut self, session: &mut Session, statement: Statement) -> Result<()> {
        let pool = session.pool().clone();
        let (service, guard) = (self.service, pool.guard());
        let admission = if self.bounds.is_load() {
            Admission::Free
        } else {
            let wait = guard.turn(service)?;
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match self.admitted {
                true => Admission::Free,
                false => {
                    let tables: Vec<TableRef<'_>> =
                        self.tables.iter().map(|table| TableRef::of(table)).collect();
                    admit(session, &tables, service, &statement, self.explained).await?
                }
            }
        };
        let statement = self.grouped(session, statement).await?;
        let statement = match admission {
            Admission::Free => statement,
            Admission::Counted => statement.counted(guard.limits().rows_examined),
        };
        if self.writer.gone().is_cancelled() {
            // What ended the questions before it does not end it.
            return Err(ConnectorError::new(ErrorKind::Cancelled, "nobody reads the rows any more"));
        }
        let mut metered = self.bounds.metered(guard, service, self.writer);
        let outcome =
            scan::run(session, pool.endpoint(), statement, self.decoder, self.work, &mut metered).await;
        self.given |= metered.has_given();
        match admission {
            Admission::Free => outcome,
            Admission::Counted => complete(session, service, outcome).await,
        }
    }
}
