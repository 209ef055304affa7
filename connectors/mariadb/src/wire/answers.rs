//! What a server answers, message by message.
//!
//! Why can the answer to one statement not be taken for that to the next? [`Answers`] knows which are to come, and
//! where within one it stands; it reads on from there, whoever asks.

use std::collections::VecDeque;

use futures::FutureExt as _;
use mysql_async::consts::Command;
use mysql_async::{Column, DriverError, Error};
use mysql_common::io::ParseBuf;

use super::cell::Layout;
use super::packets::{MOST, Packets, frame, refusal, unreadable};
use super::prepared::Prepared;

/// Columns that a row may have: as many as the server's own bound.
const MOST_COLUMNS: u64 = 4_096;

/// Bytes that the definitions of a row's columns may have.
const LONGEST_DEFINITIONS: usize = 16 << 20;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// That a statement is prepared.
    Preparation,
    /// The result of a statement: rows, or that it is done.
    Result(Format),
    /// Events of the binlog, in the place of rows.
    Events,
}

/// How values lie in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

/// Where in an answer it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the next, if one is to come.
    Between,
    /// So many definitions come, of parameters and of columns, which nobody needs; then what was prepared is told.
    Skipping(usize, Prepared),
    /// So many definitions of columns come, and a mark at their end where `marks_ends`.
    Columns(usize),
    Rows,
}

/// What a message says.
pub(super) enum Event {
    /// A statement was prepared.
    Prepared(Prepared),
    /// Rows of the columns follow.
    Columns,
    /// A row, or an event of the binlog.
    Row,
    /// The answer has ended.
    Done,
    /// So has it, with the server's error.
    Failed(Error),
    /// More is needed.
    Nothing,
}

/// The answers of one server, to what it is asked.
pub(super) struct Answers {
    /// The server marks the end of definitions and of rows as it did before it was asked not to.
    marks_ends: bool,
    /// What is to be answered yet, with the number of the first packet of each answer.
    to_come: VecDeque<(Asked, u8)>,
    stage: Stage,
    /// Of the rows that come, or came last.
    format: Format,
    columns: Vec<Column>,
    layouts: Vec<Layout>,
    /// Bytes of the columns' definitions.
    defined: usize,
    /// Of the last statement that was done.
    warnings: u16,
    /// A message was sent or received in part only.
    broken: bool,
    packets: Box<Packets>,
}

impl Answers {
    pub(super) fn new(packets: Box<Packets>, marks_ends: bool) -> Self {
        Self {
            marks_ends,
            to_come: VecDeque::new(),
            stage: Stage::Between,
            format: Format::Text,
            columns: Vec::new(),
            layouts: Vec::new(),
            defined: 0,
            warnings: 0,
            broken: false,
            packets,
        }
    }

    /// Whether nothing can be asked any more.
    pub(super) fn are_broken(&self) -> bool {
        self.broken
    }

    /// How many warnings the last statement gave that was read to its end.
    pub(super) fn warnings(&self) -> u16 {
        self.warnings
    }

    /// Of the rows that come, or came last.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How the values of these rows lie, where they are binary.
    pub(super) fn layouts(&self) -> &[Layout] {
        &self.layouts
    }

    /// How the values of these rows are written.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The message of the last event.
    pub(super) fn message(&self) -> &[u8] {
        self.packets.last()
    }

    /// Sends messages that are an exchange each, behind `before`, which is not answered. No earlier answer may be to come.
    pub(super) async fn ask(&mut self, mut before: Vec<u8>, messages: &[(&[u8], Asked)]) -> Result<(), Error> {
        debug_assert!(!self.are_to_come(), "an answer is to come yet");
        if self.broken {
            return Err(DriverError::ConnectionClosed.into());
        }
        let numbers: Vec<u8> = messages.iter().map(|(message, _)| frame(&mut before, message, 0)).collect();
        self.broken = true;
        self.packets.send_framed(&before).await?;
        self.broken = false;
        self.to_come.extend(messages.iter().map(|(_, asked)| *asked).zip(numbers));
        self.await_next();
        Ok(())
    }

    /// Whether more is to come.
    pub(super) fn are_to_come(&self) -> bool {
        self.stage != Stage::Between || !self.to_come.is_empty()
    }

    fn await_next(&mut self) {
        let Some((asked, number)) = self.to_come.front() else { return };
        self.packets.expect(*number);
        if *asked == Asked::Events {
            // They come without anything before them.
            self.to_come.pop_front();
            self.stage = Stage::Rows;
        }
    }

    /// Reads all that is to come; the first error in it.
    pub(super) async fn rest(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while self.are_to_come() {
            if let Event::Failed(error) = self.next().await?
                && outcome.is_ok()
            {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// What the next message says. Dropped before it is done, it has lost nothing.
    pub(super) async fn next(&mut self) -> Result<Event, Error> {
        if self.broken {
            return Err(DriverError::ConnectionClosed.into());
        }
        loop {
            // Also where what reads it panics.
            self.broken = true;
            let told = self.buffered()?;
            self.broken = false;
            if let Some(event) = told {
                return Ok(event);
            }
            if let Err(error) = self.packets.fill().await {
                self.broken = true;
                return Err(error);
            }
        }
    }

    /// As [`next`](Self::next), if the message is there.
    #[inline]
    fn buffered(&mut self) -> Result<Option<Event>, Error> {
        let Some(message) = self.packets.buffered()? else { return Ok(None) };
        let &[first, ..] = message else { return Err(unreadable("an empty message")) };
        let event = match self.stage {
            // A statement may fail in the midst of its rows.
            _ if first == 0xff => self.failed()?,
            Stage::Rows if first == 0xfe && is_end(message, self.marks_ends) => {
                self.warnings = warnings(message, self.marks_ends).unwrap_or(0);
                self.end();
                Event::Done
            }
            Stage::Rows => Event::Row,
            Stage::Columns(0) => self.rows(),
            Stage::Columns(left) => {
                self.defined += message.len();
                if self.defined > LONGEST_DEFINITIONS {
                    return Err(unreadable("definitions of columns that have no end"));
                }
                let column: Column = ParseBuf(message).parse(())?;
                self.layouts.push(Layout::of(&column));
                self.columns.push(column);
                self.stage = Stage::Columns(left - 1);
                if left == 1 && !self.marks_ends { self.rows() } else { Event::Nothing }
            }
            Stage::Skipping(left, prepared) => self.skip(left - 1, prepared),
            Stage::Between => match self.to_come.pop_front() {
                None => return Err(unreadable("a message that nobody asked for")),
                Some((Asked::Preparation, _)) => self.prepared()?,
                Some((Asked::Result(format), _)) => self.result(format)?,
                Some((Asked::Events, _)) => return Err(unreadable("an event before the others")),
            },
        };
        Ok(Some(event))
    }

    fn failed(&mut self) -> Result<Event, Error> {
        let Some(error) = refusal(self.packets.last()) else { return Err(unreadable("an error that is none")) };
        if self.stage == Stage::Between && self.to_come.pop_front().is_none() {
            // As a server says goodbye.
            return Err(error);
        }
        self.end();
        Ok(Event::Failed(error))
    }

    fn rows(&mut self) -> Event {
        self.stage = Stage::Rows;
        Event::Columns
    }

    /// The answer has ended.
    fn end(&mut self) {
        self.stage = Stage::Between;
        self.await_next();
        if self.to_come.is_empty() {
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
        (self.defined, self.warnings, self.format) = (0, 0, format);
        match self.packets.last() {
            done @ [0x00, ..] => {
                self.warnings = warnings(done, false).unwrap_or(0);
                self.end();
                Ok(Event::Done)
            }
            [0xfb, ..] => Err(unreadable("the server asks for a file of ours")),
            message => match ParseBuf(message).checked_eat_lenenc_int() {
                Some(count @ 1..=MOST_COLUMNS) => {
                    self.stage = Stage::Columns(count as usize);
                    Ok(Event::Nothing)
                }
                Some(count) => Err(unreadable(&format!("rows of {count} columns"))),
                None => Err(unreadable("an answer that is none")),
            },
        }
    }
}

impl Drop for Answers {
    /// Says goodbye, if there is room for it: a server counts, and logs, who leaves without.
    fn drop(&mut self) {
        if !self.broken {
            let mut goodbye = Vec::new();
            frame(&mut goodbye, &[Command::COM_QUIT as u8], 0);
            let _ = self.packets.send_framed(&goodbye).now_or_never();
        }
    }
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
