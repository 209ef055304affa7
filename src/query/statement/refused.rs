//! Statements that are not served, by kind.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::query::{QueryError, QueryErrorKind};

/// First words of statements that change something, or that only make sense where something can be changed.
const REFUSED: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "ASSERT",
    "ATTACH",
    "BINLOG",
    "CACHE",
    "CALL",
    "CHANGE",
    "CHECKPOINT",
    "CLUSTER",
    "COMMENT",
    "COPY",
    "CREATE",
    "DECLARE",
    "DELETE",
    "DETACH",
    "DO",
    "DROP",
    "EXPORT",
    "FETCH",
    "FLUSH",
    "GRANT",
    "HANDLER",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "KILL",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "MSCK",
    "NOTIFY",
    "OPEN",
    "OPTIMIZE",
    "PRAGMA",
    "PURGE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "REVOKE",
    "SECURITY",
    "TRUNCATE",
    "UNCACHE",
    "UNLOAD",
    "UNLOCK",
    "UPDATE",
    "UPSERT",
    "USE",
    "VACUUM",
    "XA",
];

/// Words between a first word and the kind of thing it is about.
const BETWEEN: &[&str] = &[
    "OR",
    "REPLACE",
    "TEMP",
    "TEMPORARY",
    "UNIQUE",
    "UNLOGGED",
    "GLOBAL",
    "LOCAL",
    "RECURSIVE",
    "IF",
    "NOT",
    "EXISTS",
    "DEFAULT",
];

/// The error for a statement whose first word says that it is not served.
pub(super) fn by_first_word(tokens: &[TokenWithSpan]) -> Option<QueryError> {
    let first = words(tokens).next()?;
    REFUSED.contains(&first.as_str()).then(|| error(&kind(tokens)))
}

/// The kind of statement, as its author would call it: `INSERT`, `CREATE TABLE`.
pub(super) fn kind(tokens: &[TokenWithSpan]) -> String {
    let mut words = words(tokens);
    let first = words.next().unwrap_or_else(|| "statement".to_owned());
    if !["ALTER", "CREATE", "DROP", "REFRESH", "LOCK", "IMPORT", "LOAD"].contains(&first.as_str()) {
        return first;
    }
    let mut kind = first;
    for word in words.take(6) {
        if BETWEEN.contains(&word.as_str()) {
            continue;
        }
        kind = format!("{kind} {word}");
        if !["EXTERNAL", "MATERIALIZED", "FOREIGN", "EVENT", "VIRTUAL"].contains(&word.as_str()) {
            break;
        }
    }
    kind
}

/// The error for a statement of `kind`.
pub(super) fn error(kind: &str) -> QueryError {
    let (message, hint) = match kind {
        "DECLARE" | "FETCH" | "MOVE" => (
            "there are no cursors",
            "Clients fetch a number of rows at a time with the protocol's own portals; in psql, \\unset FETCH_COUNT",
        ),
        "COPY" => (
            "rows come as the answer of a SELECT",
            "For a file: psql --csv, crossweave sql --output csv, or POST /sql with Accept: text/csv",
        ),
        "USE" => {
            ("there is one database", "Put the service's name before the table's: SELECT * FROM users.users")
        }
        _ => return reads_only(kind),
    };
    QueryError::new(QueryErrorKind::Unsupported, format!("{kind} is not served: {message}")).with_hint(hint)
}

fn reads_only(kind: &str) -> QueryError {
    QueryError::new(QueryErrorKind::Unsupported, format!("{kind} is not served: Crossweave only reads"))
        .with_hint("Served are SELECT, WITH, VALUES, TABLE, EXPLAIN, SHOW, SET, RESET, BEGIN, COMMIT, ROLLBACK, PREPARE, EXECUTE, DEALLOCATE and DISCARD")
}

/// The error for a part of a reading statement that is not served.
pub(super) fn part(what: &str) -> QueryError {
    QueryError::new(QueryErrorKind::Unsupported, format!("{what} is not served"))
}

fn words(tokens: &[TokenWithSpan]) -> impl Iterator<Item = String> {
    tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    })
}
