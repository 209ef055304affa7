//! One statement of a view: within what the server's owner allows, its rows to their reader; run once more where its
//! connection is lost before its first row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossweave_contract::{ConnectorError, ErrorKind, Result, ScanWork, ServiceName, TableDef};

use super::admission::{Admission, admit, check_complete};
use super::bounds::Bounds;
use super::buffer::Writer;
use super::explained::Explained;
use super::snapshot::Snapshot;
use crate::connection::Session;
use crate::decode::RowDecoder;
use crate::identifiers::TableRef;
use crate::scan::{self, Statement};

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
    /// Runs `statement` on `session`, or on one that takes its place, whose number is then `id`.
    pub(super) async fn run(
        &mut self,
        session: &mut Session,
        snapshot: &mut Snapshot,
        id: &AtomicU32,
        statement: Statement,
    ) -> Result<()> {
        let again = snapshot.may_reopen().then(|| statement.clone());
        let mut outcome = self.once(session, statement).await;
        if let (Err(error), Some(statement), false) = (&outcome, again, self.given)
            && error.kind == ErrorKind::Unreachable
        {
            let pool = session.pool().clone();
            session.give_up();
            *session = snapshot.reopen(&pool, self.bounds.limit(), error).await?;
            id.store(session.id(), Ordering::Release);
            self.work.retries.fetch_add(1, Ordering::Relaxed);
            outcome = self.once(session, statement).await;
        }
        if outcome.is_ok() || self.given {
            snapshot.read();
        }
        outcome
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
        outcome?;
        match admission {
            Admission::Free => Ok(()),
            Admission::Counted => check_complete(session, service).await,
        }
    }
}
