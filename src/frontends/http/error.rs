//! Errors over HTTP: status and body.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::query::{QueryError, QueryErrorKind};

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// Its status.
    pub status: StatusCode,
    /// As [`error_kind`].
    pub kind: &'static str,
    /// The thing, what was expected, what was found.
    pub message: String,
    /// What mends it.
    pub hint: Option<String>,
}

impl HttpError {
    /// An error without a hint.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), hint: None }
    }

    /// Adds what mends it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A method that the path does not take; `expected` is what it takes.
    pub fn method(expected: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid",
            format!("the method is not served here: expected {expected}"),
        )
    }

    /// What the answer says.
    pub fn body(&self) -> Value {
        json!({ "error": { "kind": self.kind, "message": self.message, "hint": self.hint } })
    }

    /// A failed query.
    pub fn of_query(error: &QueryError) -> Self {
        Self {
            status: status(error.kind),
            kind: error_kind(error.kind),
            message: error.message.clone(),
            hint: error.hint.clone(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

/// The member `error` of an answer that failed.
pub fn error_json(error: &QueryError) -> Value {
    json!({ "kind": error_kind(error.kind), "message": error.message, "hint": error.hint })
}

/// The kind's name in answers.
pub fn error_kind(kind: QueryErrorKind) -> &'static str {
    match kind {
        QueryErrorKind::Syntax => "syntax",
        QueryErrorKind::Name => "name",
        QueryErrorKind::Invalid => "invalid",
        QueryErrorKind::Unsupported => "unsupported",
        QueryErrorKind::Refused => "refused",
        QueryErrorKind::Limit => "limit",
        QueryErrorKind::Cancelled => "cancelled",
        QueryErrorKind::Unavailable => "unavailable",
        QueryErrorKind::Internal => "internal",
    }
}

/// A query past its bounds is not 503: sent again as it is, it would fail again.
fn status(kind: QueryErrorKind) -> StatusCode {
    match kind {
        QueryErrorKind::Syntax
        | QueryErrorKind::Name
        | QueryErrorKind::Invalid
        | QueryErrorKind::Unsupported => StatusCode::BAD_REQUEST,
        QueryErrorKind::Refused => StatusCode::FORBIDDEN,
        QueryErrorKind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
        QueryErrorKind::Cancelled | QueryErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        QueryErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
