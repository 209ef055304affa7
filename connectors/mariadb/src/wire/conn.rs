//! One connection: statements, and their rows.

use std::sync::Arc;
use std::time::Instant;

use mysql_async::consts::Command;
use mysql_async::prelude::FromRow;
use mysql_async::{Column, DriverError, Error, Params, Row, Value};
use mysql_common::io::ParseBuf;
use mysql_common::proto::{Binary, Text};
use mysql_common::row::RowDeserializer;
use mysql_common::value::ServerSide;

use super::answers::{Answers, Asked, Event, Format};
use super::cell::BinaryRow;
use super::execute::{self, LONGEST_AHEAD};
use super::packets::Packets;
use super::prepared::{Prepared, Statements};

/// A connection to a server.
pub(crate) struct Conn {
    id: u32,
    since: Instant,
    statements: Statements,
    answers: Answers,
}

impl Conn {
    pub(super) fn new(packets: Box<Packets>, id: u32, marks_ends: bool) -> Self {
        let answers = Answers::new(packets, marks_ends);
        Self { id, since: Instant::now(), statements: Statements::default(), answers }
    }

    /// The server's number for it.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// When it was opened.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// How many warnings the last statement gave that was read to its end.
    pub(crate) fn warnings(&self) -> u16 {
        self.answers.warnings()
    }

    /// Whether nothing can be asked on it any more.
    #[cfg(test)]
    pub(super) fn is_disconnected(&self) -> bool {
        self.answers.are_broken()
    }

    /// Whether it can be asked, and all answers were read.
    pub(crate) fn is_settled(&self) -> bool {
        !self.answers.are_broken() && !self.answers.are_to_come()
    }

    /// Whether the server answers.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.command(&[Command::COM_PING as u8]).await
    }

    /// Sends a command that the server does, and says that it is done.
    pub(super) async fn command(&mut self, message: &[u8]) -> Result<(), Error> {
        self.ask(&[(message, Asked::Result(Format::Text))]).await?;
        self.answers.rest().await
    }

    /// Sends a command that the server answers with events.
    pub(super) async fn command_for_events(&mut self, message: &[u8]) -> Result<(), Error> {
        self.ask(&[(message, Asked::Events)]).await
    }

    /// The next event.
    pub(super) async fn next_event(&mut self) -> Result<Option<&[u8]>, Error> {
        match self.next_row().await? {
            true => Ok(Some(self.answers.message())),
            false => Ok(None),
        }
    }

    /// Runs a statement and forgets its rows.
    pub(crate) async fn query_drop(&mut self, sql: impl AsRef<str>) -> Result<(), Error> {
        self.query_drop_all(&[sql.as_ref()]).await
    }

    /// Runs short statements that are sent together and forgets their rows; the first error is told.
    pub(crate) async fn query_drop_all(&mut self, statements: &[&str]) -> Result<(), Error> {
        self.send(statements).await?;
        self.answers.rest().await
    }

    /// The rows of a statement, by the text protocol.
    pub(crate) async fn query<R: FromRow>(&mut self, sql: &str) -> Result<Vec<R>, Error> {
        self.send(&[sql]).await?;
        self.collect().await
    }

    /// What each of some short statements gives, which are sent together; the outer error is the connection's.
    pub(crate) async fn query_each(
        &mut self,
        statements: &[&str],
    ) -> Result<Vec<Result<Vec<Row>, Error>>, Error> {
        self.send(statements).await?;
        let mut results = Vec::with_capacity(statements.len());
        for _ in statements {
            match self.collect().await {
                Err(error) if error.is_fatal() => return Err(error),
                result => results.push(result),
            }
        }
        Ok(results)
    }

    async fn send(&mut self, statements: &[&str]) -> Result<(), Error> {
        let messages: Vec<_> = statements.iter().map(|sql| command(Command::COM_QUERY, sql)).collect();
        let asked = Asked::Result(Format::Text);
        self.ask(&messages.iter().map(|message| (message.as_slice(), asked)).collect::<Vec<_>>()).await
    }

    /// The rows of a prepared statement.
    pub(crate) async fn exec<R: FromRow>(
        &mut self,
        sql: &str,
        params: impl Into<Params>,
    ) -> Result<Vec<R>, Error> {
        self.execute(sql, params.into()).await?;
        self.collect().await
    }

    /// The first row of a prepared statement.
    pub(crate) async fn exec_first<R: FromRow>(
        &mut self,
        sql: &str,
        params: impl Into<Params>,
    ) -> Result<Option<R>, Error> {
        Ok(self.exec(sql, params).await?.into_iter().next())
    }

    /// Runs a prepared statement and forgets its rows.
    pub(crate) async fn exec_drop(&mut self, sql: &str, params: impl Into<Params>) -> Result<(), Error> {
        self.execute(sql, params.into()).await?;
        self.answers.rest().await
    }

    /// Runs a prepared statement; its rows are read through what is given.
    pub(crate) async fn rows(&mut self, sql: &str, params: impl Into<Params>) -> Result<Rows<'_>, Error> {
        self.execute(sql, params.into()).await?;
        loop {
            match self.answers.next().await? {
                Event::Columns | Event::Done => return Ok(Rows(self)),
                Event::Failed(error) => return Err(error),
                Event::Prepared(_) | Event::Row | Event::Nothing => {}
            }
        }
    }

    /// Asks for the result of `sql`, which is to come then.
    async fn execute(&mut self, sql: &str, params: Params) -> Result<(), Error> {
        let params: Vec<Value> = match params {
            Params::Empty => Vec::new(),
            Params::Positional(params) => params,
            Params::Named(_) => return Err(DriverError::MixedParams.into()),
        };
        if params.len() > usize::from(u16::MAX) {
            return Err(DriverError::StmtParamsNumberExceedsLimit { supplied: params.len() }.into());
        }
        let result = Asked::Result(Format::Binary);
        if let Some(prepared) = self.statements.get(sql) {
            check_params(prepared, &params)?;
            return self.ask(&[(&execute::message(prepared.id, &params), result)]).await;
        }
        let prepare = command(Command::COM_STMT_PREPARE, sql);
        let expected = self.statements.next();
        let execute = execute::message(expected, &params);
        let mut messages = vec![(prepare.as_slice(), Asked::Preparation)];
        // More would have to be read there while what is answered to the first is not read here.
        if execute.len() <= LONGEST_AHEAD {
            messages.push((&execute, result));
        }
        self.ask(&messages).await?;
        let prepared = self.preparation().await;
        self.statements.prepared(prepared.as_ref().ok());
        let executes_it = prepared.as_ref().is_ok_and(|prepared| prepared.id == expected);
        if !executes_it {
            // No statement has that number: the server says so, if it was asked.
            let _ = self.answers.rest().await;
        }
        let prepared = prepared?;
        let outcome = match check_params(prepared, &params) {
            Ok(()) if executes_it && messages.len() > 1 => Ok(()),
            Ok(()) => self.ask(&[(&execute::message(prepared.id, &params), result)]).await,
            Err(error) => Err(error),
        };
        // What is not kept is given up with the next message.
        self.statements.keep(sql, prepared);
        outcome
    }

    async fn preparation(&mut self) -> Result<Prepared, Error> {
        loop {
            match self.answers.next().await? {
                Event::Prepared(prepared) => return Ok(prepared),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
    }

    /// Sends messages that are an exchange each, once what is left of earlier answers is read.
    async fn ask(&mut self, messages: &[(&[u8], Asked)]) -> Result<(), Error> {
        while self.answers.are_to_come() {
            // Whoever asked for it is gone, and its errors are nobody's.
            if let Event::Prepared(prepared) = self.answers.next().await? {
                self.statements.prepared(Some(&prepared));
                self.statements.forget(prepared);
            }
        }
        self.answers.ask(self.statements.unneeded(), messages).await
    }

    /// Reads the rows of the next result.
    async fn collect<R: FromRow>(&mut self) -> Result<Vec<R>, Error> {
        let (mut rows, mut columns) = (Vec::new(), Arc::default());
        loop {
            match self.answers.next().await? {
                Event::Done => return Ok(rows),
                Event::Failed(error) => return Err(error),
                Event::Columns => columns = self.answers.columns().into(),
                Event::Row => {
                    let row = self.whole_row(Arc::clone(&columns))?;
                    rows.push(R::from_row_opt(row).map_err(|error| DriverError::FromRow { row: error.0 })?);
                }
                Event::Prepared(_) | Event::Nothing => {}
            }
        }
    }

    fn whole_row(&self, columns: Arc<[Column]>) -> Result<Row, Error> {
        let message = ParseBuf(self.answers.message());
        Ok(match self.answers.format() {
            Format::Text => { message }.parse::<RowDeserializer<ServerSide, Text>>(columns)?.into(),
            Format::Binary => { message }.parse::<RowDeserializer<ServerSide, Binary>>(columns)?.into(),
        })
    }

    /// Whether one more row came; it is the message of the last event.
    async fn next_row(&mut self) -> Result<bool, Error> {
        while self.answers.are_to_come() {
            match self.answers.next().await? {
                Event::Row => return Ok(true),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// The rows of a statement that runs.
pub(crate) struct Rows<'a>(&'a mut Conn);

impl Rows<'_> {
    /// How many values each has; none where the statement has no rows.
    pub(crate) fn width(&self) -> usize {
        self.0.answers.layouts().len()
    }

    /// The next one. Dropped before it is done, it has lost none.
    #[inline]
    pub(crate) async fn next(&mut self) -> Result<Option<BinaryRow<'_>>, Error> {
        let answers = match self.0.next_row().await? {
            true => &self.0.answers,
            false => return Ok(None),
        };
        Ok(Some(BinaryRow::new(answers.message(), answers.layouts())))
    }
}

fn command(command: Command, sql: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 + sql.len());
    message.push(command as u8);
    message.extend_from_slice(sql.as_bytes());
    message
}

fn check_params(prepared: Prepared, params: &[Value]) -> Result<(), Error> {
    let (required, supplied) = (prepared.params, params.len());
    if usize::from(required) == supplied {
        return Ok(());
    }
    Err(DriverError::StmtParamsMismatch { required, supplied }.into())
}
