//! SQL over HTTP: `POST /sql`.
//!
//! **Request.** The statement as text, or JSON: `{"sql": "… $1 …", "params": [7], "route": "live"}`, where `params`
//! and `route` may be missing and `route` may be an object by service. The header `crossweave-route` asks for
//! routes too; the member wins over it. One request is one statement in a session of its own.
//!
//! **Answer.** By `Accept`: JSON, NDJSON, CSV or an Arrow IPC stream ([`accept`]); values as
//! [`cells`](super::cells) has them. It is streamed: nothing waits for the last row. The header `crossweave-reads`
//! states what was read of each service.
//!
//! **What if an error comes after the first row?** The status is sent by then. NDJSON ends with a line
//! `{"error":…}`, JSON with a member `error` after `rows`; CSV and Arrow cannot say it, so their body is cut off,
//! which clients see as a failed transfer, never as a complete answer. An error before that has its status and
//! a JSON body `{"error":{"kind","message","hint"}}`, whatever `Accept` says.

mod accept;
mod answer;
mod error;
mod formats;
mod request;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

pub use error::{HttpError, error_json, error_kind};

use self::accept::Format;
use super::routes::{READS_HEADER, reads_header};
use crate::policy::Identity;
use crate::query::{Engine, QueryError};

/// The routes of this frontend, over `engine`.
pub fn router(engine: Engine) -> Router {
    let refuse = async || HttpError::method("POST, with the statement as the body");
    Router::new().route("/sql", post(sql).fallback(refuse)).with_state(engine)
}

async fn sql(State(engine): State<Engine>, headers: HeaderMap, body: axum::body::Body) -> Response {
    match run(&engine, &headers, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn run(engine: &Engine, headers: &HeaderMap, body: axum::body::Body) -> Result<Response, HttpError> {
    let format = Format::negotiate(headers)?;
    let request = request::read(headers, body, &engine.catalog()).await?;
    let mut session = engine.session(Identity::default());
    session.routes = request.routes;
    let answer = session.query(&request.sql, request.params).await?;
    let reads = reads_header(&answer.reads);
    let body = answer::body(answer.rows, format).await?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Ok(reads) = HeaderValue::from_str(&reads) {
        headers.insert(READS_HEADER, reads);
    }
    Ok(response)
}

impl From<QueryError> for HttpError {
    fn from(error: QueryError) -> Self {
        Self::of_query(&error)
    }
}
