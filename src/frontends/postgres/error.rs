//! Query errors as PostgreSQL's, with its codes.

use pgwire::error::{ErrorInfo, PgWireError};

use crate::query::{QueryError, QueryErrorKind};

/// The SQLSTATE of each kind.
fn sqlstate(kind: QueryErrorKind) -> &'static str {
    match kind {
        QueryErrorKind::Syntax => "42601",
        QueryErrorKind::Name => "42P01",
        QueryErrorKind::Invalid => "22000",
        QueryErrorKind::Unsupported => "0A000",
        QueryErrorKind::Refused => "42501",
        QueryErrorKind::Limit => "54000",
        QueryErrorKind::Cancelled => "57014",
        QueryErrorKind::Unavailable => "08006",
        QueryErrorKind::Internal => "XX000",
    }
}

/// `error` for the wire.
pub(super) fn wire_error(error: QueryError) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), sqlstate(error.kind).to_owned(), error.message);
    info.hint = error.hint;
    PgWireError::UserError(Box::new(info))
}

/// The query was ended by a cancel request.
pub(super) fn cancelled() -> PgWireError {
    wire_error(QueryError::new(QueryErrorKind::Cancelled, "the query was cancelled by its client"))
}
