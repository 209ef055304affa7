//! A server's binlog, as it sends it to its replicas.

use mysql_async::binlog::events::Event;
use mysql_async::{Error, binlog::BinlogVersion};
use mysql_common::binlog::EventStreamReader;
use mysql_common::packets::{ComBinlogDump, ComRegisterSlave};
use mysql_common::proto::MySerialize as _;

use super::conn::Conn;
use super::packets::unreadable;

/// What is asked for.
pub(crate) struct BinlogRequest<'a> {
    /// The number under which the server knows who reads.
    pub(crate) server_id: u32,
    /// The file and the offset to begin at; `None` where the session says after which position.
    pub(crate) from: Option<(&'a str, u32)>,
}

/// The events that a server sends.
pub(crate) struct Binlog {
    conn: Conn,
    reader: EventStreamReader,
}

impl Binlog {
    /// Has `conn` send its binlog, and nothing else from then on.
    pub(crate) async fn open(mut conn: Conn, request: BinlogRequest<'_>) -> Result<Self, Error> {
        conn.query_drop("SET @master_binlog_checksum='ALL'").await?;
        let mut register = Vec::new();
        ComRegisterSlave::new(request.server_id).with_hostname(b"crossweave").serialize(&mut register);
        conn.command(&register).await?;
        let (file, offset) = request.from.unwrap_or(("", 4));
        // It waits for more at the end.
        let mut dump = Vec::new();
        ComBinlogDump::new(request.server_id)
            .with_pos(offset)
            .with_filename(file.as_bytes())
            .serialize(&mut dump);
        conn.command_for_events(&dump).await?;
        Ok(Self { conn, reader: EventStreamReader::new(BinlogVersion::Version4) })
    }

    /// The next event; `None` where the server has ended them. Dropped before it is done, it has lost none.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Error> {
        let Some(message) = self.conn.next_event().await? else { return Ok(None) };
        let [0x00, event @ ..] = message else { return Err(unreadable("an event of the binlog that is none")) };
        // What reads it makes room for as many bytes as it says that it has.
        let length = event.get(9..13).and_then(|length| Some(u32::from_le_bytes(length.try_into().ok()?)));
        if length.is_none_or(|length| length as usize != event.len()) {
            return Err(unreadable("an event of the binlog that has another length than it says"));
        }
        Ok(self.reader.read(event)?)
    }
}
