//! Looking at a server: how far a replica has come, what it replicates, and whether it tells the position of a view.
//!
//! All of it is open to an account that may only SELECT: global variables, and of `mysql.gtid_slave_pos` whether it may
//! be read. SHOW SLAVE STATUS is not.

use crossweave_contract::{ConnectorError, ErrorKind, Gtid, Position, PositionParseError, Result};
use mysql_async::Row;

use crate::connection::{Pool, Session};

/// How a replica knows the position of a view that is opened on it.
///
/// Tried on 10.11 at 5,000 commits a second with parallel replication: each of the two was exact in 206 views of 206,
/// while `@@gtid_slave_pos` as read before and after the view was opened did not tell it (it moves after the commit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// By its binlog, which has what it applies.
    ByBinlog,
    /// By `mysql.gtid_slave_pos`, which changes within each transaction that it applies.
    ByTable,
    /// It does not.
    Not,
}

/// What was found of a replica.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// What it has applied of other servers' transactions, and shows to everybody.
    pub(super) applied: Position,
    /// The last transactions in its own binlog.
    pub(super) logged: Position,
    /// The last one of each domain that was made on it, not applied.
    pub(super) own: Vec<Gtid>,
    pub(super) told: Told,
    /// Settings that keep part of what happens on the primary from it.
    pub(super) filters: Option<String>,
}

const FILTERS: [&str; 6] = [
    "replicate_do_db",
    "replicate_ignore_db",
    "replicate_do_table",
    "replicate_ignore_table",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
];

type FoundRow = (String, String, bool, bool, Option<String>, String, u32);

/// Where a primary is.
#[derive(Debug)]
pub(super) struct Place {
    /// Everything that anybody sees there is at or before it.
    pub(super) position: Position,
    /// The last transaction of each server in each domain that it knows.
    pub(super) known: Vec<Gtid>,
}

impl Place {
    /// A transaction that the replica of `found` has, in a domain that is known here, and that is not known here: one that the
    /// primary has not come to, or one that was made on the replica, which stays there however far the primary comes. Other
    /// domains are the replica's own, or of another primary that it has as well.
    pub(super) fn lacks<'f>(&self, found: &'f Found) -> Option<&'f Gtid> {
        let has_domain = |gtid: &&Gtid| self.position.gtids().any(|known| known.domain == gtid.domain);
        let has = found.applied.gtids().chain(found.logged.gtids());
        let beyond = has.filter(has_domain).find(|gtid| !self.position.contains(gtid));
        beyond.or_else(|| self.lacks_own(&found.own))
    }

    /// One of `own`, made on a replica, in a domain that is known here, and that is not known here.
    pub(super) fn lacks_own<'o>(&self, own: &'o [Gtid]) -> Option<&'o Gtid> {
        let has_domain = |gtid: &Gtid| self.position.gtids().any(|known| known.domain == gtid.domain);
        let knows = |gtid: &Gtid| self.known.iter().any(|known| known.is_at_or_past(gtid));
        own.iter().find(|own| has_domain(own) && !knows(own))
    }
}

/// Looks at the replica of `pool`, over a connection that does not count.
pub(super) async fn replica(pool: &Pool) -> Result<Found> {
    let filters =
        FILTERS.map(|name| format!("IF(@@GLOBAL.{name} = '', NULL, CONCAT('{name} = ', @@GLOBAL.{name}))"));
    let sql = format!(
        "SELECT @@GLOBAL.gtid_slave_pos, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates, \
         @@GLOBAL.gtid_pos_auto_engines = '' AND EXISTS (SELECT 1 FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'gtid_slave_pos' AND ENGINE = 'InnoDB'), \
         NULLIF(CONCAT_WS(', ', {}), ''), @@GLOBAL.gtid_binlog_state, @@GLOBAL.server_id",
        filters.join(", ")
    );
    let rows: Vec<FoundRow> = pool.rows_aside("looking at the replica", &sql).await?;
    let (applied, logged, by_binlog, by_table, filters, state, server) =
        rows.into_iter().next().ok_or_else(|| silent(pool))?;
    let own = made_on(pool, server, &state)?;
    let told = match (by_binlog, by_table) {
        (true, _) => Told::ByBinlog,
        (false, true) => Told::ByTable,
        (false, false) => Told::Not,
    };
    Ok(Found { applied: parse(pool, &applied)?, logged: parse(pool, &logged)?, own, told, filters })
}

/// Asks for what was made on a server itself. A transaction that is logged is in the binlog before it can be seen: asked
/// after a snapshot was opened, all is told that the snapshot shows and that any binlog has.
pub(super) const OWN: &str = "SELECT @@GLOBAL.gtid_binlog_state, @@GLOBAL.server_id";

/// The last transaction of each domain that was made on the server of `pool`, which answers [`OWN`] with `row`.
pub(super) fn own(pool: &Pool, row: Option<&Row>) -> Result<Vec<Gtid>> {
    let told =
        row.and_then(|row| Some((row.get_opt::<String, usize>(0)?.ok()?, row.get_opt::<u32, usize>(1)?.ok()?)));
    let (state, server) = told.ok_or_else(|| silent(pool))?;
    made_on(pool, server, &state)
}

fn made_on(pool: &Pool, server: u32, state: &str) -> Result<Vec<Gtid>> {
    let mut own = gtids(pool, state)?;
    own.retain(|gtid| gtid.server == server);
    Ok(own)
}

/// Where the primary of `pool` is. `None` without a binlog.
pub(super) async fn primary(pool: &Pool) -> Result<Option<Place>> {
    let sql = "SELECT @@GLOBAL.log_bin, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_slave_pos, @@GLOBAL.gtid_binlog_state";
    let rows: Vec<(bool, String, String, String)> = pool.rows_aside("reading the position", sql).await?;
    let (log_bin, logged, applied, state) = rows.into_iter().next().ok_or_else(|| silent(pool))?;
    if !log_bin {
        return Ok(None);
    }
    let mut position = parse(pool, &logged)?;
    let mut known = gtids(pool, &state)?;
    // Where it is itself a replica, or was one before it was promoted.
    known.extend(gtids(pool, &applied)?);
    position.merge(&parse(pool, &applied)?);
    Ok(Some(Place { position, known }))
}

/// What the replica of `session` has applied, and whether its binlog has it.
pub(crate) async fn applied(session: &mut Session) -> Result<(Position, bool)> {
    let sql = "SELECT @@GLOBAL.gtid_slave_pos, @@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates";
    let rows: Vec<(String, bool)> = session.rows("looking at the replica", sql, ()).await?;
    let (applied, logs) = rows.into_iter().next().ok_or_else(|| silent(session.pool()))?;
    Ok((parse(session.pool(), &applied)?, logs))
}

/// Whether two snapshots of the server of `session`, which has a binlog, are the same if they are at one place in it: not
/// where it applies what others have logged without logging that again, and not of a Galera cluster.
pub(crate) async fn places_tell_snapshots(session: &mut Session) -> Result<bool> {
    let sql = "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES WHERE VARIABLE_NAME IN \
               ('LOG_SLAVE_UPDATES', 'GTID_SLAVE_POS', 'WSREP_ON') UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE \
               FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'SLAVES_RUNNING'";
    let found: Vec<(String, String)> = session.rows("looking at the binlog's settings", sql, ()).await?;
    let value = |name: &str| {
        let found = found.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    };
    let applies = !value("GTID_SLAVE_POS").is_empty() || !matches!(value("SLAVES_RUNNING"), "" | "0");
    Ok(value("WSREP_ON") != "ON" && (!applies || value("LOG_SLAVE_UPDATES") == "ON"))
}

/// The position of the view that `session` has open, as its `mysql.gtid_slave_pos` has it.
pub(crate) async fn position_by_table(session: &mut Session) -> Result<Position> {
    let doing = "reading the view's position";
    // Going back to before it gives up the lock on the table's definition: SET GLOBAL gtid_slave_pos does not wait.
    session.run(doing, "SAVEPOINT before_position").await?;
    // Rows of before are removed later: the last one of a domain counts.
    let sql = "SELECT domain_id, server_id, seq_no FROM mysql.gtid_slave_pos AS here WHERE NOT EXISTS (SELECT 1 \
               FROM mysql.gtid_slave_pos AS later WHERE later.domain_id = here.domain_id AND later.sub_id > here.sub_id)";
    let rows: Vec<(u32, u32, u64)> = session.rows(doing, sql, ()).await?;
    session.run(doing, "ROLLBACK TO SAVEPOINT before_position").await?;
    let mut position = Position::origin();
    for (domain, server, sequence) in rows {
        position.advance(Gtid { domain, server, sequence });
    }
    Ok(position)
}

fn parse(pool: &Pool, text: &str) -> Result<Position> {
    text.parse().map_err(|error| unreadable(pool, &error))
}

/// Those of `text`, which may have several of a domain.
fn gtids(pool: &Pool, text: &str) -> Result<Vec<Gtid>> {
    Gtid::list(text).map_err(|error| unreadable(pool, &error))
}

fn unreadable(pool: &Pool, error: &PositionParseError) -> ConnectorError {
    ConnectorError::new(ErrorKind::Protocol, format!("{}: {error}", pool.endpoint()))
}

fn silent(pool: &Pool) -> ConnectorError {
    ConnectorError::new(ErrorKind::Protocol, format!("{}: no answer to where it is", pool.endpoint()))
}
