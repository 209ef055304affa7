//! What the tables of a service allow.

use crossweave_contract::{
    BooleanColumns, ErrorKind, Finding, FindingLevel, ForeignKey, LiveOnlyReason, Result, ServiceName,
    ServiceTables, TableDef, TableId, TableProblem,
};
use mysql_async::Row;

use super::{account, finding, grant_select};
use crate::connection::Session;
use crate::identifiers::{TableRef, quote};
use crate::introspect;

/// Rows of a table that are looked at for booleans that are none.
const SAMPLE_ROWS: u32 = 1_000;

/// Looks at each table of `database`, more closely at those that are `cached`.
pub(super) async fn check(session: &mut Session, database: &str, cached: &[TableId]) -> Result<Vec<Finding>> {
    let subject = format!("grant SELECT on {database}");
    let account = account(session).await?;
    let grant = grant_select(database, &account);
    let service = cached.first().map_or_else(|| ServiceName::new(database), |id| id.service.clone());
    let found = match introspect::tables(session, &service, database, &BooleanColumns::default()).await {
        Ok(found) => found,
        Err(error) if error.kind == ErrorKind::Denied => {
            let denied = finding(FindingLevel::Error, &subject, &error.message, "granted", Some(grant));
            return Ok(vec![denied]);
        }
        Err(error) => return Err(error),
    };
    let mut findings = vec![select_grant(session, &found, &subject, &grant).await?];
    for id in cached {
        if !found.tables.iter().any(|table| table.id == *id) {
            let subject = format!("table {id}");
            let missing = finding(
                FindingLevel::Error,
                &subject,
                "not there",
                "a table that the account may read",
                Some(grant.clone()),
            );
            findings.push(missing);
        }
    }
    findings.extend(found.problems.iter().map(|problem| unreadable(problem, cached)));
    for table in &found.tables {
        findings.extend(table.live_only.iter().map(|reason| restriction(table, reason, cached)));
    }
    for table in found.tables.iter().filter(|table| cached.contains(&table.id)) {
        for key in &table.foreign_keys {
            findings.extend(underivable(table, key, &found));
        }
    }
    Ok(findings)
}

/// Whether each table can be read: `information_schema` shows tables to an account that may only write them too.
async fn select_grant(
    session: &mut Session,
    found: &ServiceTables,
    subject: &str,
    grant: &str,
) -> Result<Finding> {
    for table in &found.tables {
        let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        let columns = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
        let statement = format!("SELECT {columns} FROM {} LIMIT 0", TableRef::of(table));
        if let Err(error) = session.rows::<Row>(&format!("reading {}", table.id), &statement, ()).await {
            match error.kind {
                ErrorKind::Denied => {
                    let fix = Some(grant.to_owned());
                    return Ok(finding(FindingLevel::Error, subject, &error.message, "granted", fix));
                }
                // Dropped meanwhile, or a view that is broken: not a matter of grants.
                ErrorKind::DefinitionChanged | ErrorKind::Query => {}
                _ => return Err(error),
            }
        }
    }
    if found.tables.is_empty() {
        // To an account that holds a global privilege, a database that it may not read only looks empty.
        let needed = "granted, on a database that has tables";
        return Ok(finding(
            FindingLevel::Error,
            subject,
            "no table can be seen",
            needed,
            Some(grant.to_owned()),
        ));
    }
    let tables = format!("granted, {} tables and views", found.tables.len());
    Ok(finding(FindingLevel::Good, subject, &tables, "granted", None))
}

/// What cannot be read, as a finding.
fn unreadable(problem: &TableProblem, cached: &[TableId]) -> Finding {
    let (subject, needed) = match &problem.column {
        Some(column) => (format!("column {}.{column}", problem.table), "a column that can be read"),
        None if cached.contains(&problem.table) => {
            (format!("table {}", problem.table), "a table that can be read")
        }
        None => (format!("table {}", problem.table), "nothing, while nobody asks for it"),
    };
    finding(FindingLevel::Warning, &subject, &problem.reason, needed, None)
}

/// Why a table can be read live only, with the statement that mends it where there is one. A view, and a table that
/// is read live anyway, work as they are.
fn restriction(table: &TableDef, reason: &LiveOnlyReason, cached: &[TableId]) -> Finding {
    let wanted = cached.contains(&table.id);
    let needed = if wanted { "what lets it be cached" } else { "nothing, while it is read live" };
    let level = if wanted { FindingLevel::Warning } else { FindingLevel::Good };
    let reference = TableRef::of(table);
    let fix = match reason {
        LiveOnlyReason::NoKey => {
            let name = new_column(table);
            let key = "BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY";
            Some(format!("ALTER TABLE {reference} ADD COLUMN {name} {key}"))
        }
        LiveOnlyReason::Engine(_) => Some(format!("ALTER TABLE {reference} ENGINE = InnoDB")),
        LiveOnlyReason::NoReferencedIndex { foreign_key, .. } => {
            let key = table.foreign_keys.iter().find(|key| key.name == *foreign_key);
            key.map(|key| {
                let columns: Vec<String> = key.referenced_columns.iter().map(|name| quote(name)).collect();
                let of = TableRef { database: &key.referenced_database, table: &key.referenced_table };
                format!("CREATE INDEX {} ON {of} ({})", quote(foreign_key), columns.join(", "))
            })
        }
        LiveOnlyReason::View
        | LiveOnlyReason::Definition(_)
        | LiveOnlyReason::Generated { .. }
        | LiveOnlyReason::GeneratedNotLogged { .. }
        | LiveOnlyReason::VersionedByTransaction => None,
    };
    finding(level, &format!("table {}", table.id), &format!("live only: {reason}"), needed, fix)
}

/// A name for a key of the table's own: whether a column that it has could be one, only its owner knows.
fn new_column(table: &TableDef) -> &'static str {
    ["id", "row_id", "crossweave_id"].into_iter().find(|name| table.column_index(name).is_none()).unwrap_or("…")
}

/// The finding for a cascade whose effect on the cached `table` cannot be known from the binlog.
fn underivable(table: &TableDef, key: &ForeignKey, found: &ServiceTables) -> Option<Finding> {
    if !key.acts() {
        return None;
    }
    let parent = found
        .tables
        .iter()
        .find(|parent| parent.database == key.referenced_database && *parent.id.table == *key.referenced_table);
    let hidden = |table: &TableDef, columns: &[String]| {
        columns.iter().find(|column| table.column_index(column).is_none()).cloned()
    };
    let reason = match parent {
        None => format!(
            "its cascades come from {}.{}, which is not among the service's tables",
            key.referenced_database, key.referenced_table
        ),
        Some(parent) => {
            let unseen = hidden(table, &key.columns).or_else(|| hidden(parent, &key.referenced_columns));
            format!("its cascades go by the column {}, which is hidden", unseen?)
        }
    };
    let subject = format!("foreign key {} of {}", key.name, table.id);
    let fix = format!(
        "Read the table live: [services.{}.tables.{}] mode = \"live\"",
        table.id.service,
        quote(&table.id.table)
    );
    let needed = "cascades that can be derived, for the binlog does not carry them";
    Some(finding(FindingLevel::Error, &subject, &reason, needed, Some(fix)))
}

/// TINYINT(1) columns in which the first rows hold a value other than 0 and 1: table, column, the value.
pub(crate) async fn sample_booleans(
    session: &mut Session,
    database: &str,
) -> Result<Vec<(String, String, i64)>> {
    const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS \
         JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) \
         WHERE TABLE_SCHEMA = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND DATA_TYPE = 'tinyint' \
         ORDER BY TABLE_NAME, ORDINAL_POSITION";
    let doing = format!("sampling the TINYINT(1) columns of {database}");
    let columns: Vec<(String, String, String)> = session.rows(&doing, COLUMNS, (database,)).await?;
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for (table, column, _) in columns.into_iter().filter(|column| introspect::is_tinyint_1(&column.2)) {
        match tables.last_mut().filter(|last| last.0 == table) {
            Some(last) => last.1.push(column),
            None => tables.push((table, vec![column])),
        }
    }
    let mut found = Vec::new();
    for (table, columns) in tables {
        let list: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        let reference = TableRef { database, table: &table };
        let statement = format!("SELECT {} FROM {reference} LIMIT ?", list.join(", "));
        let rows: Vec<Row> = session.rows(&doing, &statement, (SAMPLE_ROWS,)).await?;
        for (place, column) in columns.into_iter().enumerate() {
            let mut values = rows.iter().filter_map(|row| row.get_opt::<Option<i64>, _>(place)?.ok().flatten());
            if let Some(value) = values.find(|value| !matches!(value, 0 | 1)) {
                found.push((table.clone(), column, value));
            }
        }
    }
    Ok(found)
}
