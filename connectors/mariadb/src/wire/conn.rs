//! One connection, and where in the answers to what was asked it stands.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::FutureExt as _;
use mysql_async::consts::Command;
use mysql_async::prelude::FromRow;
use mysql_async::{Column, DriverError, Error, Params, Row, ServerError, Value};
use mysql_common::io::ParseBuf;
use mysql_common::proto::{Binary, Text};
use mysql_common::row::RowDeserializer;
use mysql_common::value::ServerSide;

use super::cell::{BinaryRow, Layout};
use super::execute::{self, LAST_PREPARED};
use super::packets::{MOST, Packets, frame, unreadable};
use super::prepared::{Prepared, Statements};

/// Columns that a row may have: as many as the server's own bound.
const MOST_COLUMNS: u64 = 4_096;

/// An answer that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Of preparing a statement.
    Preparation,
    /// Of a statement: rows of texts or of binary values, or that it is done.
    Result(Format),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Binary,
    /// Events of the binlog in the place of rows.
    Event,
}

/// Where in an answer a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the next, if one is awaited.
    Between,
    /// So many definitions come, of parameters and of columns, which nobody needs; then what was prepared is told.
    Skipping(usize, Prepared),
    /// So many definitions of columns come, and a mark at their end where `marks_ends`.
    Columns {
        left: usize,
        format: Format,
    },
    Rows(Format),
}

/// What a message says.
enum Event {
    /// A statement was prepared.
    Prepared(Prepared),
    /// Rows of the columns follow.
    Columns,
    Row,
    /// The answer has ended.
    Done,
    /// So has it, with the server's error.
    Failed(Error),
    /// More is needed.
    Nothing,
}

/// A connection to a server.
pub(crate) struct Conn {
    id: u32,
    /// The server marks the end of definitions and of rows as it did before it was asked not to.
    marks_ends: bool,
    statements: Statements,
    awaited: VecDeque<Awaited>,
    stage: Stage,
    /// A message was sent or received in part only.
    broken: bool,
    /// Of the last statement that was done.
    warnings: u16,
    columns: Vec<Column>,
    layouts: Vec<Layout>,
    packets: Box<Packets>,
}

impl Conn {
    pub(super) fn new(packets: Box<Packets>, id: u32, marks_ends: bool) -> Self {
        Self {
            id,
            marks_ends,
            statements: Statements::default(),
            awaited: VecDeque::new(),
            stage: Stage::Between,
            broken: false,
            warnings: 0,
            columns: Vec::new(),
            layouts: Vec::new(),
            packets,
        }
    }

    /// The server's number for it.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How many warnings the last statement gave that was read to its end.
    pub(crate) fn warnings(&self) -> u16 {
        self.warnings
    }

    /// Whether nothing can be asked on it any more.
    pub(crate) fn is_disconnected(&self) -> bool {
        self.broken
    }

    /// Closes it without waiting for anything.
    pub(crate) fn close(mut self) {
        if !self.broken {
            let mut goodbye = Vec::new();
            frame(&mut goodbye, &[Command::COM_QUIT as u8], 0);
            // If there is room for it.
            let _ = self.packets.send_framed(&goodbye).now_or_never();
        }
    }

    /// Whether the server answers.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.command(&[Command::COM_PING as u8]).await
    }

    /// Sends a command that the server does, and says that it is done.
    pub(super) async fn command(&mut self, message: &[u8]) -> Result<(), Error> {
        self.ask(&[message], &[Awaited::Result(Format::Text)]).await?;
        self.rest().await
    }

    /// Sends a command that the server answers with events.
    pub(super) async fn command_for_events(&mut self, message: &[u8]) -> Result<(), Error> {
        self.ask(&[message], &[]).await?;
        self.stage = Stage::Rows(Format::Event);
        Ok(())
    }

    /// The next event.
    pub(super) async fn next_event(&mut self) -> Result<Option<&[u8]>, Error> {
        while self.is_awaited() {
            match self.event().await? {
                Event::Row => return Ok(Some(self.packets.last())),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Runs a statement and forgets its rows.
    pub(crate) async fn query_drop(&mut self, sql: impl AsRef<str>) -> Result<(), Error> {
        self.query_drop_all(&[sql.as_ref()]).await
    }

    /// Runs statements that are sent together and forgets their rows; the first error is told.
    pub(crate) async fn query_drop_all(&mut self, statements: &[&str]) -> Result<(), Error> {
        let messages: Vec<_> = statements.iter().map(|sql| command(Command::COM_QUERY, sql)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        self.ask(&messages, &vec![Awaited::Result(Format::Text); statements.len()]).await?;
        self.rest().await
    }

    /// The rows of a statement, by the text protocol.
    pub(crate) async fn query<R: FromRow>(&mut self, sql: &str) -> Result<Vec<R>, Error> {
        let message = command(Command::COM_QUERY, sql);
        self.ask(&[&message], &[Awaited::Result(Format::Text)]).await?;
        self.collect().await
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
        self.rest().await
    }

    /// Runs a prepared statement; its rows are read through what is given.
    pub(crate) async fn rows(&mut self, sql: &str, params: impl Into<Params>) -> Result<Rows<'_>, Error> {
        self.execute(sql, params.into()).await?;
        loop {
            match self.event().await? {
                Event::Columns | Event::Done => return Ok(Rows(self)),
                Event::Failed(error) => return Err(error),
                Event::Prepared(_) | Event::Row | Event::Nothing => {}
            }
        }
    }

    /// Asks for the result of `sql`, which is awaited then.
    async fn execute(&mut self, sql: &str, params: Params) -> Result<(), Error> {
        let params: Vec<Value> = match params {
            Params::Empty => Vec::new(),
            Params::Positional(params) => params,
            Params::Named(_) => return Err(DriverError::MixedParams.into()),
        };
        if params.len() > usize::from(u16::MAX) {
            return Err(DriverError::StmtParamsNumberExceedsLimit { supplied: params.len() }.into());
        }
        let result = Awaited::Result(Format::Binary);
        if let Some(prepared) = self.statements.get(sql) {
            check_params(prepared, &params)?;
            return self.ask(&[&execute::message(prepared.id, &params)], &[result]).await;
        }
        let (prepare, execute) =
            (command(Command::COM_STMT_PREPARE, sql), execute::message(LAST_PREPARED, &params));
        self.ask(&[&prepare, &execute], &[Awaited::Preparation, result]).await?;
        loop {
            match self.event().await? {
                Event::Prepared(prepared) => {
                    self.statements.keep(sql, prepared);
                    return check_params(prepared, &params);
                }
                Event::Failed(error) => {
                    // What was not prepared cannot be executed: the server says so too.
                    let _ = self.rest().await;
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// Sends messages of one exchange each, after all that was asked before has been answered.
    async fn ask(&mut self, messages: &[&[u8]], awaited: &[Awaited]) -> Result<(), Error> {
        if self.broken {
            return Err(DriverError::ConnectionClosed.into());
        }
        // The errors of what nobody waits for any more are nobody's.
        while self.is_awaited() {
            self.event().await?;
        }
        let mut bytes = Vec::new();
        self.statements.give_up(&mut bytes);
        messages.iter().for_each(|message| {
            frame(&mut bytes, message, 0);
        });
        self.broken = true;
        self.packets.send_framed(&bytes).await?;
        self.broken = false;
        self.awaited.extend(awaited);
        self.packets.answer();
        Ok(())
    }

    fn is_awaited(&self) -> bool {
        self.stage != Stage::Between || !self.awaited.is_empty()
    }

    /// Reads what is awaited; the first error in it.
    async fn rest(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while self.is_awaited() {
            if let Event::Failed(error) = self.event().await?
                && outcome.is_ok()
            {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Reads the rows that are awaited.
    async fn collect<R: FromRow>(&mut self) -> Result<Vec<R>, Error> {
        let (mut rows, mut columns) = (Vec::new(), Arc::default());
        while self.is_awaited() {
            let format = self.stage;
            match self.event().await? {
                Event::Failed(error) => return Err(error),
                Event::Columns => columns = self.columns.clone().into(),
                Event::Row => {
                    let row = whole_row(self.packets.last(), format, Arc::clone(&columns))?;
                    rows.push(R::from_row_opt(row).map_err(|error| DriverError::FromRow { row: error.0 })?);
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    /// What the next message says. Dropped before it is done, it has lost nothing.
    async fn event(&mut self) -> Result<Event, Error> {
        if self.broken {
            return Err(DriverError::ConnectionClosed.into());
        }
        let told = loop {
            match self.buffered() {
                Ok(None) => {}
                told => break told,
            }
            if let Err(error) = self.packets.fill().await {
                break Err(error);
            }
        };
        self.broken = told.is_err();
        Ok(told?.unwrap_or(Event::Nothing))
    }

    /// As [`event`](Self::event), if the message is there.
    #[inline]
    fn buffered(&mut self) -> Result<Option<Event>, Error> {
        let Some(message) = self.packets.buffered()? else { return Ok(None) };
        let &[first, ..] = message else { return Err(unreadable("an empty message")) };
        // What a statement fails with, also in the midst of its rows.
        if first == 0xff {
            let error = refusal(message).unwrap_or_else(|| unreadable("an error that is none"));
            if !matches!(error, Error::Server(_)) {
                return Err(error);
            }
            if self.stage == Stage::Between {
                self.awaited.pop_front();
            }
            self.end();
            return Ok(Some(Event::Failed(error)));
        }
        let event = match self.stage {
            Stage::Rows(_) if first == 0xfe && is_end(message, self.marks_ends) => {
                self.warnings = warnings(message, self.marks_ends).unwrap_or(0);
                self.end();
                Event::Done
            }
            Stage::Rows(_) => Event::Row,
            Stage::Columns { left: 0, format } => {
                self.stage = Stage::Rows(format);
                Event::Columns
            }
            Stage::Columns { left, format } => {
                let column: Column = ParseBuf(message).parse(())?;
                self.layouts.push(Layout::of(&column));
                self.columns.push(column);
                let done = left == 1 && !self.marks_ends;
                self.stage = if done { Stage::Rows(format) } else { Stage::Columns { left: left - 1, format } };
                if done { Event::Columns } else { Event::Nothing }
            }
            Stage::Skipping(left, prepared) => self.skip(left - 1, prepared),
            Stage::Between => match self.awaited.pop_front() {
                None => return Err(unreadable("a message that nobody asked for")),
                Some(Awaited::Preparation) => self.prepared()?,
                Some(Awaited::Result(format)) => self.result(format)?,
            },
        };
        Ok(Some(event))
    }

    /// The answer has ended.
    fn end(&mut self) {
        self.stage = Stage::Between;
        // That of the next command begins anew.
        self.packets.answer();
        if self.awaited.is_empty() {
            self.packets.shrink();
        }
    }

    /// So many definitions are left to skip.
    fn skip(&mut self, left: usize, prepared: Prepared) -> Event {
        if left > 0 {
            self.stage = Stage::Skipping(left, prepared);
            return Event::Nothing;
        }
        self.end();
        Event::Prepared(prepared)
    }

    fn prepared(&mut self) -> Result<Event, Error> {
        let &[0, a, b, c, d, e, f, g, h, ..] = self.packets.last() else {
            return Err(unreadable("an answer to a statement to prepare that is none"));
        };
        let prepared = Prepared { id: u32::from_le_bytes([a, b, c, d]), params: u16::from_le_bytes([g, h]) };
        let definitions = |count: [u8; 2]| match usize::from(u16::from_le_bytes(count)) {
            0 => 0,
            count => count + usize::from(self.marks_ends),
        };
        let left = definitions([e, f]) + definitions([g, h]);
        Ok(self.skip(left, prepared))
    }

    fn result(&mut self, format: Format) -> Result<Event, Error> {
        self.columns.clear();
        self.layouts.clear();
        match self.packets.last() {
            done @ [0x00, ..] => {
                self.warnings = warnings(done, false).unwrap_or(0);
                self.end();
                Ok(Event::Done)
            }
            [0xfb, ..] => Err(unreadable("the server asks for a file of ours")),
            message => match length(message) {
                Some(count @ 1..=MOST_COLUMNS) => {
                    self.stage = Stage::Columns { left: count as usize, format };
                    Ok(Event::Nothing)
                }
                found => Err(unreadable(&match found {
                    Some(count) => format!("rows of {count} columns"),
                    None => "an answer that is none".to_owned(),
                })),
            },
        }
    }
}

/// The rows of a statement that runs.
pub(crate) struct Rows<'a>(&'a mut Conn);

impl Rows<'_> {
    /// How many values each has; none where the statement has no rows.
    pub(crate) fn width(&self) -> usize {
        self.0.layouts.len()
    }

    /// The next one. Dropped before it is done, it has lost none.
    #[inline]
    pub(crate) async fn next(&mut self) -> Result<Option<BinaryRow<'_>>, Error> {
        while self.0.is_awaited() {
            match self.0.event().await? {
                Event::Row => return Ok(Some(BinaryRow::new(self.0.packets.last(), &self.0.layouts))),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
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

/// Whether a message that begins with `0xfe` is the end of rows; a row of texts may begin so too.
fn is_end(message: &[u8], marks_ends: bool) -> bool {
    message.len() < if marks_ends { 9 } else { MOST }
}

/// The warnings that a message counts which says that a statement is done, or only marks the end of its rows.
fn warnings(message: &[u8], is_mark: bool) -> Option<u16> {
    let mut rest = ParseBuf(message.get(1..)?);
    if !is_mark {
        // Rows changed, the last number given, the state of the session.
        rest.checked_eat_lenenc_int()?;
        rest.checked_eat_lenenc_int()?;
        rest.checked_eat_u16_le()?;
    }
    rest.checked_eat_u16_le()
}

fn whole_row(message: &[u8], stage: Stage, columns: Arc<[Column]>) -> Result<Row, Error> {
    Ok(match stage {
        Stage::Rows(Format::Text) => {
            ParseBuf(message).parse::<RowDeserializer<ServerSide, Text>>(columns)?.into()
        }
        _ => ParseBuf(message).parse::<RowDeserializer<ServerSide, Binary>>(columns)?.into(),
    })
}

/// A length in one byte, or after one that says in how many.
fn length(message: &[u8]) -> Option<u64> {
    ParseBuf(message).checked_eat_lenenc_int()
}

/// The server's error that `message` is, if it is one.
pub(super) fn refusal(message: &[u8]) -> Option<Error> {
    let [0xff, low, high, rest @ ..] = message else { return None };
    // Before the login it says no state.
    let (state, text) = match rest {
        [b'#', a, b, c, d, e, text @ ..] => (&[*a, *b, *c, *d, *e][..], text),
        text => (&b"HY000"[..], text),
    };
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let code = u16::from_le_bytes([*low, *high]);
    Some(ServerError { code, message: lossy(text), state: lossy(state) }.into())
}
