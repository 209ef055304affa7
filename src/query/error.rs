//! Why a query failed, split by who can act; frontends map the kind to their codes in one place each.

use crossweave_contract::{ConnectorError, ErrorKind, ServiceName};

use super::RouteChoice;

/// Who can act on a failed query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The statement cannot be parsed.
    Syntax,
    /// A name that is not there, or is ambiguous.
    Name,
    /// Types, collations or values that do not fit.
    Invalid,
    /// A kind of statement that is not served.
    Unsupported,
    /// Refused by policy or by a route that the table does not have.
    Refused,
    /// A bound was reached: time, memory, rows.
    Limit,
    /// Ended by the client.
    Cancelled,
    /// A service cannot be read now.
    Unavailable,
    /// A fault in this program.
    Internal,
}

/// Which failure of its kind it is, where clients of the PostgreSQL wire act on the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A column that is not there.
    UnknownColumn,
    /// A column's name that means several.
    AmbiguousColumn,
    /// A function that is not there, or not for what it is given.
    UnknownFunction,
    /// A table that is not there any more.
    UnknownTable,
    /// A table was altered since the statement was prepared: it is to be prepared again.
    Outdated,
    /// A table was altered while it was to be read: the same question may be answered.
    Altered,
    /// A column that is neither grouped by nor aggregated.
    Ungrouped,
    /// A session parameter that is not there.
    UnknownParameter,
    /// A prepared statement that is not there.
    UnknownStatement,
    /// A savepoint that is not there.
    UnknownSavepoint,
    /// A database that is not there.
    UnknownDatabase,
    /// The name of a prepared statement that is there already.
    TakenName,
    /// A value that a session parameter does not take.
    Setting,
    /// A text or bytes that are no value of a type.
    Value,
    /// A number that a type does not hold.
    OutOfRange,
    /// A division by zero.
    DivisionByZero,
    /// The query's time is up.
    Timeout,
    /// More than the owner of a service's server allows.
    SourceLimit,
    /// A statement of the transaction failed, so it can only be ended.
    FailedTransaction,
    /// What only makes sense within a transaction.
    NoTransaction,
    /// What makes no sense within a transaction.
    InTransaction,
}

/// A place in a statement's text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

/// A failed query: the thing, what was expected, what was found, and what mends it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Who can act.
    pub kind: QueryErrorKind,
    /// One or two sentences.
    pub message: String,
    /// What mends it, where that is known.
    pub hint: Option<String>,
    /// Which of its kind, where that is told apart.
    pub reason: Option<Reason>,
    /// Where in the statement, where that is known.
    pub place: Option<Place>,
    /// The service it is about, where it is about one.
    pub service: Option<ServiceName>,
    /// The route of that service that may do, where another one was asked for: `hint` says it in SQL, which not
    /// every client speaks.
    pub route: Option<RouteChoice>,
}

impl QueryError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        let (hint, reason, place) = (None, None, None);
        Self { kind, message: shortened(message.into()), hint, reason, place, service: None, route: None }
    }

    /// Adds what mends it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds which failure of its kind it is.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds where in the statement it is.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Names the service it is about.
    #[must_use]
    pub fn of_service(mut self, service: ServiceName) -> Self {
        self.service = Some(service);
        self
    }

    /// Names the route of its service that may do.
    #[must_use]
    pub(super) fn with_route(mut self, route: RouteChoice) -> Self {
        self.route = Some(route);
        self
    }
}

/// The most bytes of a message: past them is what a plan or a value looks like inside, which is of no use.
const MAX_MESSAGE: usize = 2_000;

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let length = message.len();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push_str(&format!("… ({length} bytes in all)"));
    }
    message
}

impl From<ConnectorError> for QueryError {
    fn from(error: ConnectorError) -> Self {
        let kind = match error.kind {
            ErrorKind::Unreachable | ErrorKind::Denied | ErrorKind::Settings => QueryErrorKind::Unavailable,
            ErrorKind::PositionGone | ErrorKind::DefinitionChanged => QueryErrorKind::Unavailable,
            ErrorKind::Limit => QueryErrorKind::Limit,
            ErrorKind::Cancelled => QueryErrorKind::Cancelled,
            ErrorKind::Value | ErrorKind::Query => QueryErrorKind::Invalid,
            ErrorKind::Protocol | ErrorKind::Bug => QueryErrorKind::Internal,
        };
        let service = error.table.map(|table| table.service);
        let reason = match error.kind {
            _ if error.limit.is_some() => Some(Reason::SourceLimit),
            ErrorKind::DefinitionChanged if error.gone => Some(Reason::UnknownTable),
            ErrorKind::DefinitionChanged => Some(Reason::Altered),
            _ => None,
        };
        Self { hint: error.fix, service, reason, ..Self::new(kind, error.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_of_a_length_to_read() {
        let error = |length| QueryError::new(QueryErrorKind::Internal, "é".repeat(length)).message;
        assert_eq!(error(1_000).len(), 2_000);
        let long = error(2_000_000);
        assert!(long.len() < 2_100 && long.ends_with("é… (4000000 bytes in all)"), "{long}");
    }
}
