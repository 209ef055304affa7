//! Asking a server for its binlog from a position on, and saying clearly why it does not give it.
//!
//! The position goes to the server as `@slave_connect_state`, one GTID per domain, and the server finds the place
//! in its files. `@mariadb_slave_capability=4` makes it send GTIDs at all. `@slave_gtid_strict_mode` makes it
//! refuse a position that its binlog has a hole at. Where numbers went back a position names more than one place; then
//! a capture starts at the file and the offset where the binlog ends.

use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Gtid, Position, Result};
use mysql_async::{Error, ServerError};

use crate::SourceOptions;
use crate::connection::{self, Endpoint};
use crate::wire::{Binlog, BinlogRequest, Conn};

/// How long the server waits for us to read before it gives up: a load that makes the stream wait may take long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// From these on server ids are chosen: replicas are numbered from below by their owners.
const SERVER_IDS: std::ops::Range<u32> = 0x7000_0000..0xffff_0000;

const ER_LOGIN_DENIED: u16 = 1045;
const ER_ACCESS_DENIED: u16 = 1227;
const ER_FATAL_READING_BINLOG: u16 = 1236;
const ER_GTID_NOT_IN_BINLOG: u16 = 1945;
const ER_GTID_IN_HOLE: u16 = 1951;
const ER_GTID_NOT_IN_BINLOG_2: u16 = 1955;
const ER_SAME_SERVER_ID: u16 = 4052;

/// What the stream needs to know of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// Whether the case of tables' names is ignored (`lower_case_table_names` is not 0).
    pub(super) fold_case: bool,
}

/// Where a binlog is opened.
pub(super) enum Place {
    /// After this position.
    After(Position),
    /// Where it ends.
    End,
}

/// What was opened.
pub(super) struct Opened {
    pub(super) stream: Binlog,
    pub(super) facts: ServerFacts,
    /// The position that the stream begins after.
    pub(super) from: Position,
}

/// Opens the binlog; the server sends a heartbeat whenever it was silent for `heartbeat`.
pub(super) async fn open(options: &SourceOptions, place: Place, heartbeat: Duration) -> Result<Opened> {
    let mut conn = connection::connect(options).await?;
    let prepared = tokio::time::timeout(options.connect_timeout, prepare(options, &mut conn, place, heartbeat));
    let Prepared { facts, from: after, file } = prepared.await.map_err(|_| no_answer(options))??;
    let server_id = options.server_id.unwrap_or_else(|| rand::random_range(SERVER_IDS));
    let from = file.as_ref().map(|(name, offset)| (name.as_str(), *offset));
    let stream = Binlog::open(conn, BinlogRequest { server_id, from });
    let stream = tokio::time::timeout(options.connect_timeout, stream);
    let stream = stream.await.map_err(|_| no_answer(options))?;
    Ok(Opened { stream: stream.map_err(|error| describe(options, error))?, facts, from: after })
}

struct Prepared {
    facts: ServerFacts,
    from: Position,
    /// The file and the offset to begin at, where that is not for the server to find by the position.
    file: Option<(String, u32)>,
}

fn no_answer(options: &SourceOptions) -> ConnectorError {
    let message = format!("source {}: no answer within {:?}", options.id, options.connect_timeout);
    ConnectorError::new(ErrorKind::Unreachable, message)
}

/// Looks at the settings that capture depends on, and tells the session where to start.
async fn prepare(
    options: &SourceOptions,
    conn: &mut Conn,
    place: Place,
    heartbeat: Duration,
) -> Result<Prepared> {
    type Settings = (String, bool, String, String, u8, Option<String>);
    let failed = |error| describe(options, error);
    let settings: Option<Settings> = conn
        .exec_first(
            "SELECT VERSION(), @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.binlog_row_image, \
             @@GLOBAL.lower_case_table_names, @@GLOBAL.gtid_binlog_state",
            (),
        )
        .await
        .map_err(failed)?;
    let Some((version, log_bin, format, image, lower_case, state)) = settings else {
        let message = format!("source {}: the server does not tell its settings", options.id);
        return Err(ConnectorError::new(ErrorKind::Protocol, message));
    };
    let id = &options.id;
    if !version.contains("MariaDB") {
        return Err(setting(
            format!("source {id}: version {version}, expected MariaDB"),
            "Point it at MariaDB",
        ));
    }
    if !log_bin {
        let fix = "Add log_bin = binlog and binlog_format = ROW to [mariadbd] in its my.cnf and restart it";
        return Err(setting(format!("source {id}: log_bin is OFF, expected ON"), fix));
    }
    if !format.eq_ignore_ascii_case("ROW") {
        let fix = "SET GLOBAL binlog_format = 'ROW', and in my.cnf; sessions take it over when they reconnect";
        return Err(setting(format!("source {id}: binlog_format is {format}, expected ROW"), fix));
    }
    if !has_whole_rows(&image) {
        let fix =
            "SET GLOBAL binlog_row_image = 'FULL', and in my.cnf; sessions take it over when they reconnect";
        return Err(setting(format!("source {id}: binlog_row_image is {image}, expected FULL"), fix));
    }
    let (from, file) = match place {
        Place::After(from) => {
            check_position(options, &from, state.as_deref().unwrap_or_default())?;
            conn.exec_drop("SET @slave_connect_state = ?", (from.to_string(),)).await.map_err(failed)?;
            (from, None)
        }
        Place::End => {
            let (position, file) = end(options, conn).await?;
            (position, Some(file))
        }
    };
    conn.exec_drop(
        "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, \
         @master_heartbeat_period = ?, SESSION net_write_timeout = ?",
        (nanos(heartbeat), WRITE_TIMEOUT.as_secs()),
    )
    .await
    .map_err(failed)?;
    Ok(Prepared { facts: ServerFacts { fold_case: lower_case != 0 }, from, file })
}

/// Whether by `binlog_row_image` = `image` the binlog has all columns of changed rows. FULL_NODUP leaves those out of an update's
/// row as it is that the row as it was has.
pub(crate) fn has_whole_rows(image: &str) -> bool {
    matches!(image.to_ascii_uppercase().as_str(), "FULL" | "FULL_NODUP")
}

/// Where the binlog ends: the position, and the file and offset, of one point between two commits.
async fn end(options: &SourceOptions, conn: &mut Conn) -> Result<(Position, (String, u32))> {
    let failed = |error| describe(options, error);
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await.map_err(failed)?;
    let status: Vec<(String, String)> =
        conn.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await.map_err(failed)?;
    conn.query_drop("COMMIT").await.map_err(failed)?;
    let value =
        |name: &str| status.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone());
    let file = value("binlog_snapshot_file").unwrap_or_default();
    let offset = value("binlog_snapshot_position").and_then(|offset| offset.parse().ok()).unwrap_or(0_u64);
    let Ok(begin) = u32::try_from(offset) else {
        let found = format!(
            "source {}: {file} is longer than 4 GiB, and ends where it cannot be asked for",
            options.id
        );
        return Err(setting(found, "FLUSH BINARY LOGS, which begins another file"));
    };
    let gtids: Option<Option<String>> =
        conn.exec_first("SELECT BINLOG_GTID_POS(?, ?)", (&file, offset)).await.map_err(failed)?;
    let position = gtids.flatten().and_then(|gtids| gtids.parse().ok());
    position.map(|position| (position, (file.clone(), begin))).ok_or_else(|| {
        // A file that was purged a moment ago, say.
        let message =
            format!("source {}: the server does not tell its position at {file} {offset}", options.id);
        ConnectorError::new(ErrorKind::PositionGone, message)
    })
}

fn nanos(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)
}

fn setting(message: String, fix: &str) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message).with_fix(fix)
}

/// Refuses a position that the server's binlog never reached. The server itself takes a domain that it does not
/// know for one that begins later, so a binlog that was reset would pass; its transactions would then count as
/// seen until their numbers were past the position.
fn check_position(options: &SourceOptions, from: &Position, state: &str) -> Result<()> {
    let known = Gtid::list(state).map_err(|error| {
        ConnectorError::new(ErrorKind::Protocol, format!("source {}: gtid_binlog_state: {error}", options.id))
    })?;
    let reached = |gtid: &Gtid| known.iter().any(|known| known.is_at_or_past(gtid));
    let Some(missing) = from.gtids().find(|gtid| !reached(gtid)) else { return Ok(()) };
    let message = format!(
        "source {}: its binlog does not have transaction {missing}, which was seen before; it has {state:?}. The \
         binlog was reset, the server restored from a backup, or this is another server",
        options.id
    );
    Err(position_gone(message))
}

fn position_gone(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::PositionGone, message).with_fix("Load the cached tables anew")
}

/// What went wrong with the server after logging in, before or within the stream.
pub(super) fn describe(options: &SourceOptions, error: Error) -> ConnectorError {
    let Error::Server(server) = &error else {
        return connection::describe(&Endpoint::of(options), "reading the binlog", error);
    };
    let said = || {
        format!(
            "source {}: the server does not send its binlog: {} ({})",
            options.id, server.message, server.code
        )
    };
    match server.code {
        // The server says the former to who has logged in, but may not read the binlog.
        ER_LOGIN_DENIED | ER_ACCESS_DENIED => ConnectorError::new(ErrorKind::Denied, said())
            .with_fix(format!("GRANT REPLICATION SLAVE ON *.* TO {}", options.user)),
        ER_FATAL_READING_BINLOG => fatal(server, said()),
        ER_GTID_NOT_IN_BINLOG | ER_GTID_IN_HOLE | ER_GTID_NOT_IN_BINLOG_2 => position_gone(said()),
        ER_SAME_SERVER_ID => match options.server_id {
            Some(id) => ConnectorError::new(ErrorKind::Settings, said())
                .with_fix(format!("Another replica uses server id {id}: configure a different one, or none")),
            // Chosen at random, and differently next time.
            None => ConnectorError::new(ErrorKind::Unreachable, said()),
        },
        _ => connection::describe(&Endpoint::of(options), "reading the binlog", error),
    }
}

/// The server gives one number to all that keeps it from sending; the text tells them apart.
fn fatal(error: &ServerError, said: String) -> ConnectorError {
    let text = error.message.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    if has("binary log is not open") || has("server_id was not set") {
        let fix = "Add log_bin and server_id to [mariadbd] in its my.cnf and restart it";
        return ConnectorError::new(ErrorKind::Settings, said).with_fix(fix);
    }
    if has("max_allowed_packet") {
        let fix = "SET GLOBAL max_allowed_packet = 1073741824, and slave_max_allowed_packet as well";
        return ConnectorError::new(ErrorKind::Settings, said).with_fix(fix);
    }
    if has("gtid") || has("could not find") || has("purged") || has("missing") || has("impossible position") {
        return position_gone(said);
    }
    ConnectorError::new(ErrorKind::Protocol, said)
}
