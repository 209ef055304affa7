//! What a request to `/sql` asks.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use crossweave_contract::Consistency;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use serde_json::{Map, Value};

use super::HttpError;
use crate::catalog::{Catalog, nearest};
use crate::frontends::routes::{ROUTE_HEADER, routes_of_header, routes_of_json};
use crate::query::RouteSettings;

/// The largest body, in bytes; a larger one is refused.
pub(super) const MAX_BODY: usize = 4 << 20;

/// Up to here a body that is too large is read all the same.
const MAX_THROWN_AWAY: usize = 8 * MAX_BODY;

/// One statement with what belongs to it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) sql: String,
    pub(super) params: Vec<ScalarValue>,
    pub(super) routes: RouteSettings,
}

/// The body, if it is not too large. What is sent beyond the bound is read and thrown away, up to another bound:
/// a client that is still sending would see its connection cut off, and not the answer.
async fn read_body(body: Body) -> Result<Vec<u8>, HttpError> {
    let (mut kept, mut seen) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| bad(format!("the body could not be read: {error}")))?;
        seen += chunk.len();
        if seen <= MAX_BODY {
            kept.extend_from_slice(&chunk);
        } else if seen > MAX_THROWN_AWAY {
            break;
        }
    }
    if seen > MAX_BODY {
        let message = format!("the body is larger than {MAX_BODY} bytes");
        return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "limit", message));
    }
    Ok(kept)
}

/// Reads a request.
pub(super) async fn read(headers: &HeaderMap, body: Body, catalog: &Catalog) -> Result<Request, HttpError> {
    let json = is_json(headers)?;
    let body = read_body(body).await?;
    let text = std::str::from_utf8(&body).map_err(|error| bad(format!("the body is not UTF-8: {error}")))?;
    let routes = match headers.get(ROUTE_HEADER) {
        Some(value) => {
            let text = value.to_str().map_err(|_| bad(format!("{ROUTE_HEADER}: expected ASCII")))?;
            routes_of_header(text, catalog)?
        }
        None => RouteSettings::default(),
    };
    let mut request = Request { sql: text.to_owned(), params: Vec::new(), routes };
    if json {
        let value =
            serde_json::from_str(text).map_err(|error| bad(format!("the body is not JSON: {error}")))?;
        read_json(value, catalog, &mut request)?;
    }
    if request.sql.trim().is_empty() {
        return Err(bad("there is no statement: expected SQL as the body".to_owned()));
    }
    Ok(request)
}

fn bad(message: String) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, "invalid", message)
}

/// Whether the body is JSON; else it is the statement itself, also under the type that curl's `-d` states.
fn is_json(headers: &HeaderMap) -> Result<bool, HttpError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let name =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "application/json" => Ok(true),
        "" | "text/plain" | "application/sql" | "application/x-www-form-urlencoded" => Ok(false),
        _ => {
            let message =
                format!("Content-Type: expected text/plain, application/sql or application/json, found {name}");
            Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", message))
        }
    }
}

fn read_json(value: Value, catalog: &Catalog, request: &mut Request) -> Result<(), HttpError> {
    const MEMBERS: [&str; 5] = ["sql", "params", "route", "pushdown", "live_consistency"];
    let Value::Object(members) = value else {
        return Err(bad("expected an object with the member sql".to_owned()));
    };
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        let error = bad(format!(
            "unknown member {unknown:?}: expected sql, params, route, pushdown and live_consistency"
        ));
        return Err(match nearest(unknown, MEMBERS) {
            Some(meant) => error.with_hint(format!("Did you mean {meant}?")),
            None => error,
        });
    }
    request.sql = match members.get("sql") {
        Some(Value::String(sql)) => sql.clone(),
        Some(other) => return Err(bad(format!("sql: expected a string, found {other}"))),
        None => return Err(bad("the member sql is missing".to_owned())),
    };
    request.params = params(&members)?;
    if let Some(route) = members.get("route").filter(|route| !route.is_null()) {
        request.routes = routes_of_json(route, catalog)?;
    }
    match members.get("pushdown") {
        None | Some(Value::Null) => {}
        Some(Value::String(kinds)) => {
            request.routes.push_down = kinds.parse().map_err(|error| bad(format!("pushdown: {error}")))?;
        }
        Some(other) => return Err(bad(format!("pushdown: expected a string, found {other}"))),
    }
    let consistency = match members.get("live_consistency") {
        None | Some(Value::Null) => Some(Consistency::default()),
        Some(word) => word.as_str().and_then(Consistency::called),
    };
    request.routes.live_consistency = consistency.ok_or_else(|| {
        let found = &members["live_consistency"];
        bad(format!("live_consistency: expected \"snapshot\" or \"statement\", found {found}"))
    })?;
    Ok(())
}

fn params(members: &Map<String, Value>) -> Result<Vec<ScalarValue>, HttpError> {
    match members.get("params") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().enumerate().map(param).collect(),
        Some(other) => Err(bad(format!("params: expected a list of values for $1, $2, …, found {other}"))),
    }
}

/// A value as its JSON says; the engine casts it to the type of its placeholder.
fn param((index, value): (usize, &Value)) -> Result<ScalarValue, HttpError> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(flag) => ScalarValue::Boolean(Some(*flag)),
        Value::String(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                ScalarValue::Int64(Some(number))
            } else if let Some(number) = number.as_u64() {
                ScalarValue::UInt64(Some(number))
            } else {
                ScalarValue::Float64(number.as_f64())
            }
        }
        Value::Array(_) | Value::Object(_) => {
            let message =
                format!("params: ${} is {value}: expected null, true, false, a number or a string", index + 1);
            return Err(bad(message));
        }
    })
}
