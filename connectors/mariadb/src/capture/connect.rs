//! Asking a server for its binlog from a position on, and saying clearly why it does not give it.
//!
//! The position goes to the server as `@slave_connect_state`, one GTID per domain, and the server finds the place
//! in its files. `@mariadb_slave_capability=4` makes it send GTIDs at all. `@slave_gtid_strict_mode` makes it
//! refuse a position that its binlog has a hole at.

use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Position, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, Error, ServerError};

use crate::SourceOptions;

/// How long the server waits for us to read before it gives up: a load that makes the stream wait may take long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// From these on server ids are chosen: replicas are numbered from below by their owners.
const SERVER_IDS: std::ops::Range<u32> = 0x7000_0000..0xffff_0000;

const ER_ACCESS_DENIED: u16 = 1227;
const ER_FATAL_READING_BINLOG: u16 = 1236;

/// What the stream needs to know of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// Whether the case of tables' names is ignored (`lower_case_table_names` is not 0).
    pub(super) fold_case: bool,
}

/// Opens the binlog after `from`; the server sends a heartbeat whenever it was silent for `heartbeat`.
pub(super) async fn open(
    options: &SourceOptions,
    from: &Position,
    heartbeat: Duration,
) -> Result<(BinlogStream, ServerFacts)> {
    let mut conn = connect(options).await?;
    let prepared = tokio::time::timeout(options.connect_timeout, prepare(options, &mut conn, from, heartbeat));
    let facts = prepared.await.map_err(|_| no_answer(options))??;
    let server_id = options.server_id.unwrap_or_else(|| rand::random_range(SERVER_IDS));
    let request = BinlogStreamRequest::new(server_id).with_hostname(b"crossweave");
    let stream = tokio::time::timeout(options.connect_timeout, conn.get_binlog_stream(request));
    let stream = stream.await.map_err(|_| no_answer(options))?;
    Ok((stream.map_err(|error| describe(options, error))?, facts))
}

async fn connect(options: &SourceOptions) -> Result<Conn> {
    let driver = mysql_async::OptsBuilder::default()
        .ip_or_hostname(&options.host)
        .tcp_port(options.port)
        .user(Some(&options.user))
        .pass(Some(options.password.reveal()).filter(|password| !password.is_empty()))
        .prefer_socket(false)
        .max_allowed_packet(Some(1 << 30));
    let conn = tokio::time::timeout(options.connect_timeout, Conn::new(driver));
    conn.await.map_err(|_| no_answer(options))?.map_err(|error| describe(options, error))
}

fn no_answer(options: &SourceOptions) -> ConnectorError {
    let message = format!("source {}: no answer within {:?}", options.id, options.connect_timeout);
    ConnectorError::new(ErrorKind::Unreachable, message)
}

/// Looks at the settings that capture depends on, and tells the session where to start.
async fn prepare(
    options: &SourceOptions,
    conn: &mut Conn,
    from: &Position,
    heartbeat: Duration,
) -> Result<ServerFacts> {
    type Settings = (String, bool, String, String, u8, Option<String>);
    let failed = |error| describe(options, error);
    let settings: Option<Settings> = conn
        .query_first(
            "SELECT VERSION(), @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.binlog_row_image, \
             @@GLOBAL.lower_case_table_names, @@GLOBAL.gtid_binlog_state",
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
    if !matches!(image.to_ascii_uppercase().as_str(), "FULL" | "FULL_NODUP") {
        let fix =
            "SET GLOBAL binlog_row_image = 'FULL', and in my.cnf; sessions take it over when they reconnect";
        return Err(setting(format!("source {id}: binlog_row_image is {image}, expected FULL"), fix));
    }
    check_position(options, from, state.as_deref().unwrap_or_default())?;
    conn.exec_drop(
        "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, \
         @slave_connect_state = ?, @master_heartbeat_period = ?, SESSION net_write_timeout = ?",
        (from.to_string(), nanos(heartbeat), WRITE_TIMEOUT.as_secs()),
    )
    .await
    .map_err(failed)?;
    Ok(ServerFacts { fold_case: lower_case != 0 })
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
    let known: Vec<crossweave_contract::Gtid> =
        state.split(',').filter_map(|gtid| gtid.trim().parse().ok()).collect();
    let reached = |gtid: &crossweave_contract::Gtid| {
        known.iter().any(|known| {
            known.domain == gtid.domain && known.server == gtid.server && known.sequence >= gtid.sequence
        })
    };
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

/// What went wrong with the server, before or within the stream.
pub(super) fn describe(options: &SourceOptions, error: Error) -> ConnectorError {
    let id = &options.id;
    match error {
        Error::Server(error) => of_server(options, &error),
        Error::Io(error) => {
            ConnectorError::new(ErrorKind::Unreachable, format!("source {id}: the server went away: {error}"))
        }
        Error::Driver(mysql_async::DriverError::ConnectionClosed) => ConnectorError::new(
            ErrorKind::Unreachable,
            format!("source {id}: the server closed the connection"),
        ),
        other => ConnectorError::new(ErrorKind::Protocol, format!("source {id}: {other}")),
    }
}

fn of_server(options: &SourceOptions, error: &ServerError) -> ConnectorError {
    let (id, user) = (&options.id, &options.user);
    let said = format!("source {id}: the server does not send its binlog: {} ({})", error.message, error.code);
    match error.code {
        ER_ACCESS_DENIED => ConnectorError::new(ErrorKind::Denied, said)
            .with_fix(format!("GRANT REPLICATION SLAVE ON *.* TO {user}")),
        ER_FATAL_READING_BINLOG => fatal(error, said),
        1040 | 1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 => {
            ConnectorError::new(ErrorKind::Unreachable, said)
        }
        1044 | 1045 | 1130 | 1698 => ConnectorError::new(ErrorKind::Denied, said),
        _ => ConnectorError::new(ErrorKind::Protocol, said),
    }
}

/// The server gives one number to all that keeps it from sending; the text tells them apart.
fn fatal(error: &ServerError, said: String) -> ConnectorError {
    let text = error.message.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    if has("same server_uuid/server_id") || has("slave with the same") {
        let fix = "Another replica uses the server id: configure a different one, or none";
        return ConnectorError::new(ErrorKind::Settings, said).with_fix(fix);
    }
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
