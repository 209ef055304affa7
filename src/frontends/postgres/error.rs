//! Query errors as PostgreSQL's, with its codes.

use std::time::Duration;

use pgwire::error::{ErrorInfo, PgWireError};

use crate::query::{Place, QueryError, QueryErrorKind, Reason};

/// The SQLSTATE of an error: of its reason, else of its kind.
fn sqlstate(error: &QueryError) -> &'static str {
    match error.reason {
        Some(Reason::UnknownColumn) => "42703",
        Some(Reason::AmbiguousColumn) => "42702",
        Some(Reason::UnknownFunction) => "42883",
        Some(Reason::UnknownTable) => "42P01",
        Some(Reason::Outdated) => "0A000",
        Some(Reason::Altered) => "40001",
        Some(Reason::Ungrouped) => "42803",
        Some(Reason::UnknownParameter) => "42704",
        Some(Reason::UnknownStatement) => "26000",
        Some(Reason::UnknownSavepoint) => "3B001",
        Some(Reason::UnknownDatabase) => "3D000",
        Some(Reason::TakenName) => "42P05",
        Some(Reason::Setting) => "22023",
        Some(Reason::Value) => "22P02",
        Some(Reason::OutOfRange) => "22003",
        Some(Reason::DivisionByZero) => "22012",
        Some(Reason::Timeout) => "57014",
        Some(Reason::SourceLimit) => "53400",
        Some(Reason::FailedTransaction) => "25P02",
        Some(Reason::NoTransaction) => "25P01",
        Some(Reason::InTransaction) => "25001",
        None => match error.kind {
            QueryErrorKind::Syntax => "42601",
            QueryErrorKind::Name => "42P01",
            QueryErrorKind::Invalid => "22000",
            QueryErrorKind::Unsupported => "0A000",
            QueryErrorKind::Refused => "42501",
            QueryErrorKind::Limit => "54000",
            QueryErrorKind::Cancelled => "57014",
            QueryErrorKind::Unavailable => "08006",
            QueryErrorKind::Internal => "XX000",
        },
    }
}

/// What PostgreSQL says of a prepared statement whose columns are others now, and where it says it: by the code and by one
/// of these, drivers know that they have to prepare it again.
const OUTDATED: (&str, &str) = ("cached plan must not change result type", "RevalidateCachedQuery");

fn info(error: QueryError, severity: &str) -> ErrorInfo {
    let code = sqlstate(&error).to_owned();
    let mut info = match error.reason {
        Some(Reason::Outdated) => {
            let (message, routine) = OUTDATED;
            let mut info = ErrorInfo::new(severity.to_owned(), code, message.to_owned());
            info.detail = Some(error.message);
            info.routine = Some(routine.to_owned());
            info
        }
        _ => ErrorInfo::new(severity.to_owned(), code, error.message),
    };
    info.severity_nonlocalized = Some(severity.to_owned());
    info.hint = error.hint;
    info
}

/// `error` for the wire.
pub(super) fn wire_error(error: QueryError) -> PgWireError {
    PgWireError::UserError(Box::new(info(error, "ERROR")))
}

/// `error` of a statement that begins at byte `start` of `query`, with its place in it, where that is known.
pub(super) fn wire_error_in(error: QueryError, query: &str, start: usize) -> PgWireError {
    let position = error.place.and_then(|place| position(place, query, start));
    let mut info = info(error, "ERROR");
    info.position = position.map(|position| position.to_string());
    PgWireError::UserError(Box::new(info))
}

/// Characters up to and including the one at `place`.
fn position(place: Place, query: &str, start: usize) -> Option<usize> {
    let (before, statement) = query.split_at_checked(start)?;
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let lines = statement.split_inclusive('\n').take(line).map(|line| line.chars().count());
    Some(before.chars().count() + lines.sum::<usize>() + usize::try_from(place.column).ok()?)
}

/// `error` ends the connection.
pub(super) fn fatal(error: QueryError) -> PgWireError {
    PgWireError::UserError(Box::new(info(error, "FATAL")))
}

/// The client broke the protocol.
pub(super) fn protocol_violation(message: String) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), "08P01".to_owned(), message)))
}

/// Nobody has logged in on this connection.
pub(super) fn not_logged_in() -> PgWireError {
    let message = "the connection is not logged in".to_owned();
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), "28000".to_owned(), message)))
}

/// All `places` for connections are taken.
pub(super) fn too_many(places: usize) -> ErrorInfo {
    let mut info = farewell("53300", "sorry, too many clients already".to_owned());
    info.hint = Some(format!(
        "At most {places} connections are served at the same time: close those that are idle, or share them in a pool"
    ));
    info
}

/// The client did not log in within `limit`.
pub(super) fn login_timeout(limit: Duration) -> ErrorInfo {
    farewell("57014", format!("canceling authentication due to timeout: it has to end within {limit:?}"))
}

/// No client is served any more.
pub(super) fn shutting_down() -> ErrorInfo {
    farewell("57P03", "the server is shutting down".to_owned())
}

/// The server ends the connection as it ends itself.
pub(super) fn terminated() -> ErrorInfo {
    farewell("57P01", "terminating connection due to administrator command".to_owned())
}

fn farewell(code: &str, message: String) -> ErrorInfo {
    ending(ErrorInfo::new(String::new(), code.to_owned(), message))
}

/// `info` as the last that a connection says.
pub(super) fn ending(mut info: ErrorInfo) -> ErrorInfo {
    info.severity = "FATAL".to_owned();
    info.severity_nonlocalized = Some(info.severity.clone());
    info
}

/// The query was ended by a cancel request.
pub(super) fn cancelled() -> PgWireError {
    wire_error(QueryError::new(QueryErrorKind::Cancelled, "the query was cancelled by its client"))
}

#[cfg(test)]
mod tests {
    use crossweave_contract::{ConnectorError, ErrorKind};

    use super::*;

    #[test]
    fn codes_tell_reasons_apart_and_places_count_characters() {
        let error = QueryError::new(QueryErrorKind::Limit, "late").because(Reason::Timeout);
        assert_eq!(sqlstate(&error), "57014");
        assert_eq!(sqlstate(&QueryError::new(QueryErrorKind::Limit, "much")), "54000");
        // None of these is of the connection, which a pool would throw away.
        let altered = || ConnectorError::new(ErrorKind::DefinitionChanged, "t was altered");
        for (error, code) in [
            (altered(), "40001"),
            (altered().of_gone_table(), "42P01"),
            (ConnectorError::new(ErrorKind::Unreachable, "nobody is there"), "08006"),
        ] {
            assert_eq!(sqlstate(&error.into()), code);
        }
        let query = "SELECT 'é';\nSELECT\n 1 FROM";
        let start = query.find('\n').unwrap();
        let place = Place { line: 3, column: 4 };
        assert_eq!(position(place, query, start), Some(query.chars().position(|c| c == 'F').unwrap() + 1));
    }
}
