//! The task that owns one connection of a view and serves requests on it, one after the other.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    ConnectorError, ErrorKind, Estimate, Result, ScanWork, TableDef, TableId, TableWanted,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::ahead::{Ahead, Prepare};
use super::asking::{After, Answer, Asking, Doing, ENDING, lost};
use super::buffer::Writer;
use super::definition::{Knowing, define};
use super::expecting::{self, Expecting};
use super::explained::Explained;
use super::joining::Shared;
use super::open;
use super::ordered::{self, ordered_of};
use super::queue::Lane;
use super::reading::{Reading, Running};
use super::snapshot::{Given, Snapshot};
use super::spread::Split;
use crate::connection::{Session, server_code};
use crate::decode::RowDecoder;
use crate::identifiers::TableRef;
use crate::scan::{Part, Statement};

/// How long the server's own bound on a statement's time is given to work before ours does.
const GRACE: Duration = Duration::from_secs(2);

/// The shortest time after which a view that nobody reads through is ended.
const IDLE: Duration = Duration::from_secs(10);

/// What the task is asked for.
pub(super) enum Request {
    Definitions(Definitions),
    Scan(Box<Scan>),
    Estimate(Asked),
    Expectation(Box<Expecting>),
    Prepare(Prepare),
    Ordered(Box<ordered::Question>),
}

/// A question for an estimate.
pub(super) struct Asked {
    pub(super) statement: Statement,
    /// That errors name.
    pub(super) table: TableId,
    pub(super) reply: oneshot::Sender<Result<Option<Estimate>>>,
}

pub(super) struct Definitions {
    pub(super) tables: Vec<TableWanted>,
    pub(super) reply: oneshot::Sender<Result<Vec<TableDef>>>,
}

pub(super) struct Scan {
    pub(super) tables: Arc<[Arc<TableDef>]>,
    pub(super) statement: Statement,
    pub(super) decoder: Arc<RowDecoder>,
    /// The server was asked already whether it may examine so much.
    pub(super) admitted: bool,
    /// How it may be read in parts: where that is best, they are told, and no rows are given.
    pub(super) split: Option<(Split, oneshot::Sender<Vec<Part>>)>,
    pub(super) work: Arc<ScanWork>,
    pub(super) writer: Writer,
}

impl Request {
    /// Whether the connection that the view was opened on has to serve it.
    pub(super) fn is_for_the_first(&self) -> bool {
        matches!(self, Self::Definitions(_) | Self::Prepare(_))
    }

    pub(super) fn refuse(self, error: ConnectorError) {
        match self {
            // Who asked may be gone; then nobody needs the answer.
            Self::Definitions(asked) => drop(asked.reply.send(Err(error))),
            Self::Scan(scan) => scan.writer.finish(Err(error)),
            Self::Estimate(asked) => drop(asked.reply.send(Err(error))),
            Self::Expectation(asked) => drop(asked.reply.send(Err(error))),
            Self::Prepare(asked) => drop(asked.reply.send(Err(error))),
            Self::Ordered(asked) => drop(asked.reply.send(Err(error))),
        }
    }

    #[cfg(test)]
    pub(super) fn nothing_for_the_first() -> Self {
        Self::Definitions(Definitions { tables: Vec::new(), reply: oneshot::channel().0 })
    }

    /// One that asks for nothing.
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        let statement = Statement {
            sql: String::new(),
            params: Vec::new(),
            limit: crate::scan::Limited::No,
            unordered: None,
        };
        Self::Estimate(Asked { statement, table: TableId::new("s", "t"), reply: oneshot::channel().0 })
    }
}

/// Serves requests on one connection of a view.
pub(super) struct Task {
    pub(super) session: Session,
    pub(super) snapshot: Snapshot,
    pub(super) shared: Shared,
    pub(super) explained: Explained,
    pub(super) ahead: Ahead,
    /// The view was opened on it, and ends with it.
    first: bool,
}

impl Task {
    /// For the connection that the view is opened on.
    pub(super) fn first(session: Session, snapshot: Snapshot, shared: Shared) -> Self {
        Self { first: true, ..Self::joined(session, snapshot, shared) }
    }

    /// For one that joins it.
    pub(super) fn joined(session: Session, snapshot: Snapshot, shared: Shared) -> Self {
        let (explained, ahead) = (Explained::default(), Ahead::default());
        Self { session, snapshot, shared, explained, ahead, first: false }
    }

    /// Serves requests as `lane`, on a task of its own: until the view and its streams are gone, or it is not needed.
    pub(super) fn start(self, lane: Lane) {
        // Its type is told here: a task starts others.
        let task: BoxFuture<'static, ()> = self.run(lane).boxed();
        tokio::spawn(task);
    }

    async fn run(mut self, lane: Lane) {
        let queue = Arc::clone(&self.shared.queue);
        let in_the_way = self.shared.watch.in_the_way();
        let end = loop {
            let next = tokio::select! {
                next = queue.next(self.first) => next,
                () = in_the_way.cancelled() => break Some(self.gave_way()),
                () = self.has_idled(), if self.first => break Some(self.idled()),
                () = self.unneeded(), if !self.first => None,
            };
            let Some((request, taken)) = next else { break None };
            let outcome = self.serve(request).await;
            drop(taken);
            if let Err(error) = outcome {
                break Some(error);
            }
        };
        let Self { mut session, first, .. } = self;
        match end {
            None => {
                drop(lane);
                open::end(&mut session).await;
            }
            Some(error) => {
                drop(session);
                // What has joined ends alone.
                if first {
                    queue.fail(&error);
                }
                drop(lane);
            }
        }
    }

    /// Returns once nothing was asked of the view for so long that it is ended.
    async fn has_idled(&self) {
        let most = self.shared.bounds.limit().max(IDLE);
        loop {
            let since = self.shared.queue.idle_since().unwrap_or_else(Instant::now);
            if since.elapsed() >= most {
                return;
            }
            sleep_until(since + most).await;
        }
    }

    /// An error means that the connection is lost, and with it the view, if it was opened on it.
    async fn serve(&mut self, request: Request) -> Result<()> {
        match request {
            Request::Definitions(asked) => self.definitions(asked).await,
            Request::Scan(scan) => self.scan(*scan).await,
            Request::Estimate(asked) => self.estimate(asked).await,
            Request::Expectation(asked) => self.expectation(*asked).await,
            Request::Prepare(prepare) => self.prepare(prepare).await,
            Request::Ordered(question) => self.ordered(*question).await,
        }
    }

    /// How a short question is asked.
    pub(super) fn asking(&self) -> Asking {
        Asking { in_the_way: self.shared.watch.in_the_way(), until: Instant::now() + ENDING }
    }

    async fn estimate(&mut self, request: Asked) -> Result<()> {
        let Asked { statement, table, mut reply } = request;
        let (asking, doing) = (self.asking(), Doing::of(&self.session));
        let work = self.explained.estimate(&mut self.session, &statement);
        let answer = asking.run(work, reply.closed(), || doing.kill()).await;
        let (outcome, view) = self.settle(answer, &table, Self::silent).await;
        let _ = reply.send(outcome);
        view
    }

    async fn expectation(&mut self, request: Expecting) -> Result<()> {
        let Expecting { query, statement, table, mut reply } = request;
        let (asking, doing) = (self.asking(), Doing::of(&self.session));
        let work = async {
            let expected =
                expecting::expectation(&mut self.session, &mut self.explained, &query, &statement).await?;
            let Some(mut expected) = expected else { return Ok(None) };
            if let (Some(examined), Some(ordered)) = (&mut expected.examined, ordered_of(&query))
                && let Some(rows) = self.examined_by_two(&ordered.statements(statement.clone())?).await?
            {
                examined.rows = rows;
            }
            Ok(Some(expected))
        };
        let answer = asking.run(work, reply.closed(), || doing.kill()).await;
        let (outcome, view) = self.settle(answer, &table, Self::silent).await;
        let _ = reply.send(outcome);
        view
    }

    async fn definitions(&mut self, request: Definitions) -> Result<()> {
        let Definitions { tables, mut reply } = request;
        let Some(first) = tables.first().map(|wanted| wanted.table.clone()) else {
            let _ = reply.send(Ok(Vec::new()));
            return Ok(());
        };
        for TableWanted { table, database, .. } in &tables {
            self.shared.watch.touch(TableRef { database, table: &table.table });
        }
        // It may wait for a lock as long as a statement may take.
        let asking = Asking { until: self.shared.bounds.end() + ENDING, ..self.asking() };
        let doing = Doing::of(&self.session);
        // What a load keeps for long is to be true of all that a definition is made of, other tables included.
        let known = if self.shared.bounds.is_load() { Knowing::Nothing } else { Knowing::OfItself };
        let work = define(&mut self.session, &tables, known);
        let answer = asking.run(work, reply.closed(), || doing.kill()).await;
        let (outcome, view) = self.settle(answer, &first, Self::silent).await;
        for (wanted, def) in tables.into_iter().zip(outcome.iter().flatten()) {
            let given = Arc::new(Given { wanted, def: def.clone() });
            self.snapshot.given(Arc::clone(&given));
            self.shared.shown().given(given);
        }
        let _ = reply.send(outcome);
        view
    }

    /// What is told of an answer about `table`, and whether the connection is of use after it. One that was not in
    /// time is `late`.
    pub(super) async fn settle<T>(
        &mut self,
        answer: Answer<T>,
        table: &TableId,
        late: impl FnOnce(&Self, &TableId) -> ConnectorError,
    ) -> (Result<T>, Result<()>) {
        let pool = self.session.pool().clone();
        let (outcome, killed) = match answer {
            Answer::Told { outcome, killed } => (outcome, killed),
            Answer::InTheWay => {
                let error = self.gave_way();
                return (Err(error.clone().with_table(table.clone())), Err(error));
            }
            Answer::Late => {
                // Where it was left does not matter: the connection is closed.
                self.session.give_up();
                return (Err(late(self, table)), Err(lost(&pool, None)));
            }
        };
        let after = After::of(&outcome, killed);
        let outcome = outcome.map_err(|error| self.named(error, table));
        let view = match after {
            _ if self.session.is_given_up() => Err(lost(&pool, outcome.as_ref().err())),
            After::Settled => Ok(()),
            After::Unread if !killed && Doing::of(&self.session).kill().await.is_err() => {
                Err(lost(&pool, outcome.as_ref().err()))
            }
            After::Unread => self.absorb().await,
            After::Lost => Err(lost(&pool, outcome.as_ref().err())),
        };
        (outcome, view)
    }

    pub(super) fn silent(&self, table: &TableId) -> ConnectorError {
        let endpoint = self.session.pool().endpoint();
        let message = format!("{endpoint}: no answer in time to what was asked about {table}");
        ConnectorError::new(ErrorKind::Unreachable, message).with_table(table.clone())
    }

    async fn scan(&mut self, scan: Scan) -> Result<()> {
        let Scan { tables, statement, decoder, admitted, split, work, mut writer } = scan;
        let table = decoder.table().clone();
        let gone = writer.gone();
        if gone.is_cancelled() {
            return Ok(());
        }
        if let Some((split, told)) = split {
            match self.parts(&split, &statement, &gone).await {
                (Ok(parts), Ok(())) if parts.is_empty() => {}
                (Ok(_), Err(error)) => {
                    writer.finish(Err(error.clone()));
                    return Err(error);
                }
                (Ok(parts), Ok(())) => {
                    let _ = told.send(parts);
                    writer.finish(Ok(()));
                    return Ok(());
                }
                // What takes the place of the connection reads all.
                (Err(error), Err(_)) if self.may_be_replaced(&error) => {}
                (Err(error), view) => {
                    writer.finish(Err(error));
                    return view;
                }
            }
        }
        tables.iter().for_each(|table| self.shared.watch.touch(TableRef::of(table)));
        let shared = self.shared.clone();
        let running = Running::of(&self.session, &shared.watch);
        let mut reading = Reading {
            tables: &tables,
            service: &table.service,
            decoder: &decoder,
            writer: &mut writer,
            bounds: &shared.bounds,
            explained: &mut self.explained,
            admitted,
            work: &work,
            given: false,
        };
        let asking = Asking { in_the_way: shared.watch.in_the_way(), until: shared.bounds.end() + GRACE };
        let reading = reading.run(&mut self.session, &mut self.snapshot, &running, statement);
        let answer = asking.run(reading, gone.cancelled(), || running.kill()).await;
        let (outcome, view) = self.settle(answer, &table, Self::overdue).await;
        writer.finish(outcome);
        view
    }

    /// Whether another connection may take the place of this one, which failed with `error` before it gave anything.
    pub(super) fn may_be_replaced(&self, error: &ConnectorError) -> bool {
        error.kind == ErrorKind::Unreachable && self.snapshot.may_reopen() && !self.session.is_given_up()
    }

    /// Reads what an ended statement left on the wire, and takes up a KILL that came too late for it.
    async fn absorb(&mut self) -> Result<()> {
        let attempts = async {
            for _ in 0..3 {
                match self.session.query_drop("DO 0").await {
                    Ok(()) => return true,
                    Err(error) if server_code(&error).is_some() => {}
                    Err(_) => return false,
                }
            }
            false
        };
        match timeout(ENDING, attempts).await {
            Ok(true) => Ok(()),
            _ => Err(lost(self.session.pool(), None)),
        }
    }

    fn named(&self, error: ConnectorError, table: &TableId) -> ConnectorError {
        let error = match error.kind {
            // The server says only that a time has passed.
            ErrorKind::Limit if error.message.contains("error 1969") => self.overdue(table),
            _ => error,
        };
        if error.table.is_some() { error } else { error.with_table(table.clone()) }
    }

    fn overdue(&self, table: &TableId) -> ConnectorError {
        if let Some(error) = self.shared.bounds.overdue(self.session.pool().guard(), &table.service) {
            return error;
        }
        let message = format!(
            "{}: the statement was ended after the {:?} that it may take",
            self.session.pool().endpoint(),
            self.shared.bounds.limit()
        );
        ConnectorError::new(ErrorKind::Limit, message).with_fix("Ask for less, or raise the time limit")
    }

    fn idled(&self) -> ConnectorError {
        let message = format!(
            "{}: the view was ended, for nothing was read through it for {:?}",
            self.session.pool().endpoint(),
            self.shared.bounds.limit().max(IDLE)
        );
        ConnectorError::new(ErrorKind::Limit, message)
    }

    /// The table is about to change: who plans again, after that, gets its answer.
    fn gave_way(&self) -> ConnectorError {
        let message = format!(
            "{}: the view gave way to a statement that waits to change the definition of one of its tables",
            self.session.pool().endpoint()
        );
        ConnectorError::new(ErrorKind::DefinitionChanged, message)
    }
}
