//! Whether a server, its account and a service's tables are as Crossweave needs them.
//!
//! What is really needed, as tried on 10.11: to read, SELECT on the database; to capture, REPLICATION SLAVE as
//! well. Positions, the binlog's settings and the place of a snapshot are open to every account, so BINLOG
//! MONITOR (REPLICATION CLIENT) is not asked for.

mod tables;

use crossweave_contract::{Finding, FindingLevel, Result, TableId};

use crate::capture::has_whole_rows;
use crate::connection::{Pool, Session};
use crate::identifiers::quote;

pub(crate) use tables::sample_booleans;

/// What mends a server without a binlog.
pub(crate) const LOG_BIN_FIX: &str = "Set in the server's configuration, under [mariadb]: log_bin = mariadb-bin, binlog_format = ROW; restart it";

/// The oldest version that is tested.
const OLDEST: (u16, u16) = (10, 6);

/// Looks at everything; the first finding tells whether the server could be reached at all.
pub(crate) async fn check(pool: &Pool, database: &str, cached: Option<&[TableId]>) -> Vec<Finding> {
    let captured = cached.is_some();
    let cached = cached.unwrap_or_default();
    let mut findings = Vec::new();
    let mut session = match pool.acquire_for_ourselves().await {
        Ok(session) => session,
        Err(error) => {
            let found = error.message.clone();
            let finding = Finding {
                level: FindingLevel::Error,
                subject: format!("server {}", pool.endpoint()),
                found,
                needed: "a connection".into(),
                fix: error.fix,
            };
            return vec![finding];
        }
    };
    let mut note = |outcome: Result<Vec<Finding>>, subject: &str| match outcome {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding {
            level: FindingLevel::Error,
            subject: subject.to_owned(),
            found: error.message,
            needed: "an answer".into(),
            fix: error.fix,
        }),
    };
    note(version(&mut session).await, "version");
    note(encryption(&mut session).await, "encryption");
    note(connections(&mut session, captured).await, "max_user_connections");
    if captured {
        note(replication_grant(&mut session).await, "grant REPLICATION SLAVE");
    }
    note(binlog(&mut session, captured).await, "binlog");
    note(tables::check(&mut session, database, cached).await, &format!("database {database}"));
    findings
}

pub(crate) fn finding(
    level: FindingLevel,
    subject: &str,
    found: &str,
    needed: &str,
    fix: Option<String>,
) -> Finding {
    // What is as needed needs no mending.
    let fix = fix.filter(|_| level != FindingLevel::Good);
    Finding { level, subject: subject.into(), found: found.into(), needed: needed.into(), fix }
}

async fn version(session: &mut Session) -> Result<Vec<Finding>> {
    let found: Vec<String> = session.rows("reading the version", "SELECT VERSION()", ()).await?;
    let found = found.into_iter().next().unwrap_or_default();
    let mut numbers = found.split(['.', '-']).map_while(|part| part.parse::<u16>().ok());
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let level = match found.contains("MariaDB") && number >= OLDEST {
        true => FindingLevel::Good,
        false => FindingLevel::Error,
    };
    let (major, minor) = OLDEST;
    let needed = format!("MariaDB {major}.{minor} or later");
    Ok(vec![finding(level, "version", &found, &needed, Some(format!("Upgrade the server to {needed}")))])
}

/// How the connection is encrypted, where it is.
async fn encryption(session: &mut Session) -> Result<Vec<Finding>> {
    let sql = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')";
    let found: Vec<(String, String)> = session.rows("reading the encryption", sql, ()).await?;
    let mut found: Vec<&str> =
        found.iter().map(|(_, value)| value.as_str()).filter(|v| !v.is_empty()).collect();
    found.sort_unstable_by_key(|value| std::cmp::Reverse(value.starts_with("TLSv")));
    Ok(match found.as_slice() {
        [] => Vec::new(),
        found => vec![finding(FindingLevel::Good, "encryption", &found.join(", "), "", None)],
    })
}

/// Whether the server lets the account have as many connections as may be opened.
async fn connections(session: &mut Session, captured: bool) -> Result<Vec<Finding>> {
    let found: Vec<u64> =
        session.rows("reading the account's limit", "SELECT @@max_user_connections", ()).await?;
    let found = found.into_iter().next().unwrap_or(0);
    let ours = (session.pool().most_connections() + usize::from(captured)) as u64;
    // 0 is no limit.
    if found == 0 || found >= ours {
        return Ok(Vec::new());
    }
    let fix = format!(
        "ALTER USER {} WITH MAX_USER_CONNECTIONS {ours}, or lower connections in the limits of its services",
        account(session).await?
    );
    let needed = format!("{ours}, or queries fail while others run");
    let subject = "max_user_connections";
    Ok(vec![finding(FindingLevel::Warning, subject, &found.to_string(), &needed, Some(fix))])
}

/// The account as the server knows it, quoted: `'crossweave'@'10.%'`.
pub(crate) async fn account(session: &mut Session) -> Result<String> {
    let found: Vec<String> = session.rows("reading the account", "SELECT CURRENT_USER()", ()).await?;
    let found = found.into_iter().next().unwrap_or_default();
    let (user, host) = found.rsplit_once('@').unwrap_or((&found, "%"));
    let quoted = |name: &str| format!("'{}'", name.replace('\'', "''"));
    Ok(format!("{}@{}", quoted(user), quoted(host)))
}

async fn replication_grant(session: &mut Session) -> Result<Vec<Finding>> {
    let grants: Vec<String> = session.rows("reading the grants", "SHOW GRANTS", ()).await?;
    let globally = |privilege: &str| {
        grants.iter().any(|grant| {
            let Some((privileges, place)) =
                grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON "))
            else {
                return false;
            };
            place.starts_with("*.*") && privileges.split(", ").any(|granted| granted == privilege)
        })
    };
    let granted = globally("ALL PRIVILEGES") || globally("REPLICATION SLAVE");
    let account = account(session).await?;
    let (level, found) = match granted {
        true => (FindingLevel::Good, "granted"),
        false => (FindingLevel::Error, "not granted"),
    };
    let fix = format!("GRANT REPLICATION SLAVE ON *.* TO {account}");
    Ok(vec![finding(level, "grant REPLICATION SLAVE", found, "granted, to read the binlog", Some(fix))])
}

/// The binlog's settings. Without cached tables only the positions of answers depend on it.
async fn binlog(session: &mut Session, captured: bool) -> Result<Vec<Finding>> {
    let rows: Vec<(bool, String, String, u64)> = session
        .rows(
            "reading the binlog's settings",
            "SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.binlog_row_image, @@GLOBAL.sync_binlog",
            (),
        )
        .await?;
    let Some((log_bin, format, image, sync)) = rows.into_iter().next() else { return Ok(Vec::new()) };
    let lacking = if captured { FindingLevel::Error } else { FindingLevel::Warning };
    let level = |good: bool, lacking| if good { FindingLevel::Good } else { lacking };
    let needed = if captured { "ON, to capture changes" } else { "ON, or answers state no position" };
    let found = if log_bin { "ON" } else { "OFF" };
    let mut findings =
        vec![finding(level(log_bin, lacking), "log_bin", found, needed, Some(LOG_BIN_FIX.into()))];
    if captured && log_bin {
        let set = |name: &str, value: &str| {
            let remark = "-- counts for new connections; put it into the server's configuration as well";
            Some(format!("SET GLOBAL {name} = {value};\n{remark}"))
        };
        let row = level(format == "ROW", FindingLevel::Error);
        findings.push(finding(row, "binlog_format", &format, "ROW", set("binlog_format", "'ROW'")));
        let whole = level(has_whole_rows(&image), FindingLevel::Error);
        let needed = "FULL or FULL_NODUP";
        findings.push(finding(whole, "binlog_row_image", &image, needed, set("binlog_row_image", "'FULL'")));
        let safe = level(sync == 1, FindingLevel::Warning);
        let needed = "1, or a power loss of the server can give its GTIDs to other transactions";
        findings.push(finding(safe, "sync_binlog", &sync.to_string(), needed, set("sync_binlog", "1")));
    }
    Ok(findings)
}

/// The statement that lets `account` read `database`.
fn grant_select(database: &str, account: &str) -> String {
    // In a grant, a database's name is a pattern.
    let exactly = database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%");
    format!("GRANT SELECT ON {}.* TO {account}", quote(&exactly))
}

#[cfg(test)]
mod tests;
