//! The members of ENUM and SET columns that `information_schema` cannot show: it has no characters beyond the basic plane
//! (emoji, say), and a question mark in place of each.
//!
//! How can they be had without reading a row? A recursive query whose anchor is the column, joined on FALSE, has the
//! column's type, so that numbers which it adds are shown as the members of that number.

use crossweave_contract::{ErrorKind, Result};

use super::read::{RawColumn, RawTable};
use super::types::members;
use crate::connection::Session;
use crate::identifiers::{TableRef, quote};

/// Character sets that hold what `information_schema` does not show.
const BEYOND: [&str; 4] = ["utf8mb4", "utf16", "utf16le", "utf32"];

/// The server keeps so many members of a SET in such a query.
const MOST_IN_SET: usize = 8;

/// Asks for the members of those columns of `table` that may have other ones than are shown.
pub(super) async fn complete(session: &mut Session, database: &str, table: &mut RawTable) -> Result<()> {
    let reference = TableRef { database, table: &table.name };
    for column in table.columns.iter_mut().filter(|column| is_unclear(column)) {
        // What is of unknown form is refused later.
        let Ok(shown) = members(&column.column_type) else { continue };
        let Some(statement) = statement(reference, column, shown.len()) else {
            let reason = format!(
                "its list of values may hold characters that information_schema does not show, and a SET of more than \
                 {MOST_IN_SET} members has no other way to tell them"
            );
            column.members = Some(Err(reason));
            continue;
        };
        let doing = format!("reading the values of {database}.{}.{}", table.name, column.name);
        column.members = match session.rows::<(u64, String)>(&doing, &statement, ()).await {
            Ok(rows) => Some(checked(&shown, rows.into_iter().map(|(_, member)| member).collect())),
            Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Query) => {
                Some(Err(error.message))
            }
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

fn is_unclear(column: &RawColumn) -> bool {
    let charset = column.charset.as_deref().unwrap_or_default();
    matches!(column.data_type.as_str(), "enum" | "set")
        && column.column_type.contains('?')
        && BEYOND.contains(&charset)
}

/// A statement that shows each member with its number, in order.
fn statement(table: TableRef<'_>, column: &RawColumn, count: usize) -> Option<String> {
    let name = quote(&column.name);
    // From one number on to the double and the one after it, or to the next bit: far fewer steps than the server allows.
    let (next, while_) = match column.data_type.as_str() {
        "enum" => (
            "IF(m.v IS NULL, 1, 2 * (m.v + 0) + k.k)",
            format!("IF(m.v IS NULL, k.k = 0, 2 * (m.v + 0) + k.k <= {count})"),
        ),
        _ if count > MOST_IN_SET => return None,
        _ => (
            "IF(m.v IS NULL, 1, 2 * (m.v + 0))",
            format!("k.k = 0 AND (m.v IS NULL OR m.v + 0 < {})", 1_u64 << (count.max(1) - 1)),
        ),
    };
    Some(format!(
        "WITH RECURSIVE m AS (SELECT t.{name} AS v FROM (SELECT 1) AS one LEFT JOIN {table} AS t ON FALSE \
         UNION ALL SELECT {next} FROM m JOIN (SELECT 0 AS k UNION ALL SELECT 1) AS k WHERE {while_}) \
         SELECT CAST(v + 0 AS UNSIGNED), CAST(v AS CHAR) FROM m WHERE v IS NOT NULL ORDER BY 1"
    ))
}

/// `found`, if it is `shown` but for characters in place of question marks.
fn checked(shown: &[String], found: Vec<String>) -> Result<Vec<String>, String> {
    let is_shown_as = |found: &String, shown: &String| {
        let as_shown = found.chars().map(|c| if c > '\u{ffff}' { '?' } else { c });
        as_shown.eq(shown.chars())
    };
    if found.len() == shown.len() && found.iter().zip(shown).all(|(found, shown)| is_shown_as(found, shown)) {
        return Ok(found);
    }
    Err(format!("its values are {shown:?} in information_schema and {found:?} when asked for"))
}
