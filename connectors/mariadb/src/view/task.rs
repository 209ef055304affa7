//! The task that owns a view's connection and runs its statements, one after the other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    BooleanColumns, ConnectorError, ErrorKind, Estimate, Result, ScanWork, TableDef, TableId,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mysql_async::prelude::Queryable;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{timeout, timeout_at};

use super::bounds::Bounds;
use super::buffer::Writer;
use super::expecting::{self, Expecting};
use super::explained::Explained;
use super::giving_way::Watch;
use super::lanes::Turn;
use super::open;
use super::reading::{Reading, Running};
use super::snapshot::{Given, Snapshot};
use super::spread::{Spread, Spreading};
use crate::connection::{Kill, Limit, Session, describe, heard, server_code};
use crate::decode::RowDecoder;
use crate::identifiers::TableRef;
use crate::introspect;
use crate::scan::{Part, Statement};

/// How long the server's own bound on a statement's time is given to work before ours does.
const GRACE: Duration = Duration::from_secs(2);

/// How long an ended statement may take to end; then the connection is closed instead.
const ENDING: Duration = Duration::from_secs(5);

/// How long it may take until it is killed again.
const KILL_AGAIN: Duration = Duration::from_millis(200);

/// The shortest time after which a view that nobody reads through is ended.
const IDLE: Duration = Duration::from_secs(10);

/// What the task is asked for.
pub(super) enum Request {
    Definition(Definition),
    Scan(Box<Scan>),
    Estimate(Asked),
    Expectation(Box<Expecting>),
    Spread(Spreading),
}

/// A question for an estimate.
pub(super) struct Asked {
    pub(super) statement: Statement,
    /// That errors name.
    pub(super) table: TableId,
    pub(super) reply: oneshot::Sender<Result<Option<Estimate>>>,
}

pub(super) struct Definition {
    pub(super) table: TableId,
    pub(super) database: String,
    pub(super) booleans: BooleanColumns,
    pub(super) reply: oneshot::Sender<Result<TableDef>>,
}

pub(super) struct Scan {
    pub(super) tables: Arc<[Arc<TableDef>]>,
    pub(super) statement: Statement,
    pub(super) decoder: Arc<RowDecoder>,
    /// The server was asked already whether it may examine so much.
    pub(super) admitted: bool,
    pub(super) work: Arc<ScanWork>,
    pub(super) writer: Writer,
    pub(super) turn: Turn,
}

impl Request {
    fn refuse(self, error: ConnectorError) {
        match self {
            // Who asked may be gone; then nobody needs the answer.
            Self::Definition(definition) => drop(definition.reply.send(Err(error))),
            Self::Scan(scan) => scan.writer.finish(Err(error)),
            Self::Estimate(asked) => drop(asked.reply.send(Err(error))),
            Self::Expectation(asked) => drop(asked.reply.send(Err(error))),
            Self::Spread(asked) => drop(asked.reply.send(Err(error))),
        }
    }
}

/// Serves the requests to one connection of a view.
pub(super) struct Task {
    pub(super) session: Session,
    pub(super) snapshot: Snapshot,
    requests: mpsc::Receiver<Request>,
    pub(super) shared: Shared,
    pub(super) explained: Explained,
    /// `None` for connections that have joined.
    pub(super) spread: Option<Spread>,
}

/// What the connections of a view share, but for `waiting`.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) bounds: Arc<Bounds>,
    pub(super) watch: Arc<Watch>,
    /// How many requests wait for this one.
    pub(super) waiting: Arc<watch::Sender<usize>>,
}

/// How a statement ended on the connection.
enum After {
    /// Read to its end, or refused by the server: the next may follow.
    Settled,
    /// Rows may be left, or the statement may still run.
    Unread,
    /// The connection is of no use any more.
    Lost,
}

impl After {
    /// Whether the next statement would not find the connection clean.
    fn is_lost(&self) -> bool {
        !matches!(self, Self::Settled)
    }
}

impl Task {
    pub(super) fn new(
        session: Session,
        snapshot: Snapshot,
        requests: mpsc::Receiver<Request>,
        shared: Shared,
        spread: Option<Spread>,
    ) -> Self {
        Self { session, snapshot, requests, shared, explained: Explained::default(), spread }
    }

    /// Serves requests, on a task of its own, until the view and its streams are gone.
    pub(super) fn start(self) {
        // Its type is told here: a task starts others.
        let task: BoxFuture<'static, ()> = self.run().boxed();
        tokio::spawn(task);
    }

    async fn run(mut self) {
        let in_the_way = self.shared.watch.in_the_way();
        let end = loop {
            let next = tokio::select! {
                next = timeout(self.shared.bounds.limit().max(IDLE), self.requests.recv()) => next,
                () = in_the_way.cancelled() => break Some(self.gave_way()),
            };
            match next {
                Ok(Some(request)) => {
                    self.shared.waiting.send_modify(|waiting| *waiting -= 1);
                    if let Err(error) = self.serve(request).await {
                        break Some(error);
                    }
                }
                Ok(None) => break None,
                Err(_) => break Some(self.idled()),
            }
        };
        let Self { mut session, mut requests, shared: Shared { waiting, watch, .. }, .. } = self;
        drop(watch);
        match end {
            None => open::end(&mut session).await,
            Some(error) => {
                drop(session);
                while let Some(request) = requests.recv().await {
                    waiting.send_modify(|waiting| *waiting -= 1);
                    request.refuse(error.clone());
                }
            }
        }
    }

    /// An error means that the connection is lost, and with it the view.
    async fn serve(&mut self, request: Request) -> Result<()> {
        match request {
            Request::Definition(definition) => self.definition(definition).await,
            Request::Scan(scan) => self.scan(*scan).await,
            Request::Estimate(asked) => self.estimate(asked).await,
            Request::Expectation(asked) => self.expectation(*asked).await,
            Request::Spread(asked) => self.parts(asked).await,
        }
    }

    async fn estimate(&mut self, request: Asked) -> Result<()> {
        let Asked { statement, table, reply } = request;
        let in_the_way = self.shared.watch.in_the_way();
        let asking = timeout(ENDING, self.explained.estimate(&mut self.session, &statement));
        let Some(outcome) = in_the_way.run_until_cancelled(asking).await else {
            return self.give_way(table, reply);
        };
        self.told(outcome.unwrap_or_else(|_| Err(self.silent(table))), reply)
    }

    async fn expectation(&mut self, asked: Expecting) -> Result<()> {
        let in_the_way = self.shared.watch.in_the_way();
        let asking = timeout(ENDING, expecting::expectation(&mut self.session, &mut self.explained, &asked));
        let Some(outcome) = in_the_way.run_until_cancelled(asking).await else {
            return self.give_way(asked.table, asked.reply);
        };
        self.told(outcome.unwrap_or_else(|_| Err(self.silent(asked.table))), asked.reply)
    }

    async fn parts(&mut self, asked: Spreading) -> Result<()> {
        let in_the_way = self.shared.watch.in_the_way();
        let Some(outcome) = in_the_way.run_until_cancelled(self.spread(&asked)).await else {
            return self.give_way(asked.table.id.clone(), asked.reply);
        };
        self.told(outcome, asked.reply)
    }

    /// The parts in which `asked` is best read. An error is one of the view's own connection; others that were to join may
    /// take too long or fail, and are then done without.
    async fn spread(&mut self, asked: &Spreading) -> Result<Vec<Part>> {
        if asked.reply.is_closed() {
            return Ok(Vec::new());
        }
        let silent = self.silent(asked.table.id.clone());
        let own = async {
            let rows = self.splits(asked).await?;
            Ok(if rows.is_some() && self.places_tell().await? { rows } else { None })
        };
        let Some(rows) = timeout(ENDING, own).await.unwrap_or_else(|_| Err(silent.clone()))? else {
            return Ok(Vec::new());
        };
        let _ = timeout(ENDING, self.widen(asked.ahead)).await;
        timeout(ENDING, self.parts_of(asked, rows)).await.unwrap_or(Err(silent))
    }

    /// Leaves a question about `table` where it is: the connection is closed.
    fn give_way<T>(&self, table: TableId, reply: oneshot::Sender<Result<T>>) -> Result<()> {
        let error = self.gave_way();
        let _ = reply.send(Err(error.clone().with_table(table)));
        Err(error)
    }

    /// Tells what the server says of a statement; an error means that the connection is lost.
    fn told<T>(&self, outcome: Result<T>, reply: oneshot::Sender<Result<T>>) -> Result<()> {
        let lost = match &outcome {
            Err(error) if after(&Err(error.clone()), false).is_lost() => Err(self.lost(Some(error))),
            _ => Ok(()),
        };
        // Who asked may be gone.
        let _ = reply.send(outcome);
        lost
    }

    fn silent(&self, table: TableId) -> ConnectorError {
        let endpoint = self.session.pool().endpoint();
        let message = format!("{endpoint}: no answer within {ENDING:?} what is expected of a statement");
        ConnectorError::new(ErrorKind::Unreachable, message).with_table(table)
    }

    async fn definition(&mut self, request: Definition) -> Result<()> {
        let Definition { table, database, booleans, mut reply } = request;
        self.shared.watch.touch(TableRef { database: &database, table: &table.table });
        let id = self.session.id();
        let pool = self.session.pool().clone();
        let session = &mut self.session;
        let work = define(session, &table, &database, &booleans);
        let in_the_way = self.shared.watch.in_the_way();
        let asking = unless(work, reply.closed(), || pool.kill(Kill::Query, id));
        let Some((outcome, killed)) = in_the_way.run_until_cancelled(asking).await else {
            return self.give_way(table, reply);
        };
        let lost = match &outcome {
            Some(Err(error)) => matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Protocol),
            Some(Ok(_)) => false,
            None => true,
        };
        let error = if lost { Err(self.lost(outcome.as_ref().and_then(|o| o.as_ref().err()))) } else { Ok(()) };
        if let Some(outcome) = outcome {
            if let Ok(def) = &outcome {
                self.snapshot.given(Given { database, booleans, def: def.clone() });
            }
            let _ = reply.send(outcome);
        }
        if error.is_ok() && killed { self.absorb().await } else { error }
    }

    async fn scan(&mut self, scan: Scan) -> Result<()> {
        let Scan { tables, statement, decoder, admitted, work, mut writer, turn } = scan;
        let _turn = turn;
        let table = decoder.table().clone();
        let gone = writer.gone();
        if gone.is_cancelled() {
            return Ok(());
        }
        tables.iter().for_each(|table| self.shared.watch.touch(TableRef::of(table)));
        let in_the_way = self.shared.watch.in_the_way();
        let running = Running::of(&self.session, &self.shared.watch);
        let kill = || running.kill();
        let deadline = self.shared.bounds.end() + GRACE;
        let bounds = &*self.shared.bounds;
        let mut reading = Reading {
            tables: &tables,
            service: &table.service,
            decoder: &decoder,
            writer: &mut writer,
            bounds,
            explained: &mut self.explained,
            admitted,
            work: &work,
            given: false,
        };
        let reading = reading.run(&mut self.session, &mut self.snapshot, &running, statement);
        let bounded = timeout_at(deadline, reading);
        let ended = tokio::select! {
            ended = unless(bounded, gone.cancelled(), kill) => ended,
            () = in_the_way.cancelled() => {
                // Where the statement was left does not matter: the connection is closed.
                let error = self.gave_way();
                writer.finish(Err(error.clone().with_table(table.clone())));
                return Err(error);
            }
        };
        let (outcome, killed) = ended;
        let (outcome, after) = match outcome {
            Some(Ok(outcome)) => {
                let after = after(&outcome, killed);
                (outcome, after)
            }
            // The statement was left in the middle of something.
            Some(Err(_)) => (Err(self.overdue(&table)), After::Lost),
            None => (Err(self.lost(None)), After::Lost),
        };
        let outcome = outcome.map_err(|error| self.named(error, &table));
        let view = match after {
            After::Settled => Ok(()),
            After::Unread => {
                if !killed && kill().await.is_err() {
                    Err(self.lost(outcome.as_ref().err()))
                } else {
                    self.absorb().await
                }
            }
            After::Lost => Err(self.lost(outcome.as_ref().err())),
        };
        writer.finish(outcome);
        view
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
            _ => Err(self.lost(None)),
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

    fn lost(&self, cause: Option<&ConnectorError>) -> ConnectorError {
        match cause {
            Some(error) if error.kind == ErrorKind::Unreachable => error.clone(),
            _ => ConnectorError::new(
                ErrorKind::Unreachable,
                format!("{}: the view's connection was closed", self.session.pool().endpoint()),
            ),
        }
    }
}

/// What an outcome says about the connection.
fn after(outcome: &Result<()>, killed: bool) -> After {
    match outcome {
        Ok(()) if killed => After::Unread,
        Ok(()) => After::Settled,
        Err(error) => match error.kind {
            ErrorKind::Unreachable | ErrorKind::Protocol => After::Lost,
            // Only the server says these, and nothing follows what it says.
            ErrorKind::DefinitionChanged | ErrorKind::Query | ErrorKind::Denied | ErrorKind::Settings
                if !killed =>
            {
                After::Settled
            }
            ErrorKind::Limit if !killed && Limit::is_of_whole_statements(error.limit) => After::Settled,
            _ => After::Unread,
        },
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

/// Takes the lock on the definition, by reading from the table, and reads the definition under it.
pub(super) async fn define(
    session: &mut Session,
    table: &TableId,
    database: &str,
    booleans: &BooleanColumns,
) -> Result<TableDef> {
    let reference = TableRef { database, table: &table.table };
    let touch = format!("SELECT 1 FROM {reference} LIMIT 1");
    let touched = heard(session.exec_drop(touch, ())).await;
    if let Err(error) = touched {
        let doing = format!("reading {table}");
        return Err(describe(session.pool().endpoint(), &doing, error).with_table(table.clone()));
    }
    let found = introspect::table(session, table, database, booleans).await?;
    found.tables.into_iter().next().ok_or_else(|| {
        let message = format!("{table} is not there any more");
        ConnectorError::new(ErrorKind::DefinitionChanged, message).with_table(table.clone())
    })
}
