//! `/reload`: tables are loaded anew because somebody says so.
//!
//! **Request.** `POST`, with `{"tables": ["orders.orders"]}`. **Answer.** 202 with the same tables: they are asked for, and
//! `/status` tells how far they are. One that is not cached is an error that names it, and none is asked for then.
//!
//! **What if somebody asks for it without end?** The pace at which a table is read does not change: it waits, with the rows that
//! it has.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crossweave_contract::TableId;
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::frontends::http::HttpError;

/// Which tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Each as `service.table`.
    pub tables: Vec<String>,
}

/// `POST /reload`.
pub(super) async fn reload(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match ask(&shared, &body) {
        Ok(request) => (StatusCode::ACCEPTED, Json(request)).into_response(),
        Err(error) => error.into_response(),
    }
}

fn ask(shared: &Shared, body: &[u8]) -> Result<ReloadRequest, HttpError> {
    let request: ReloadRequest = serde_json::from_slice(body).map_err(|error| {
        HttpError::new(StatusCode::BAD_REQUEST, "invalid", format!("the body cannot be read: {error}"))
            .with_hint(r#"Send {"tables": ["service.table"]}"#)
    })?;
    let tables = request.tables.iter().map(|name| table(shared, name)).collect::<Result<Vec<_>, _>>()?;
    for table in &tables {
        shared.ingest.reload(table).map_err(|reason| {
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("{table}: {reason}"))
        })?;
    }
    Ok(request)
}

/// The cached table called `name`.
fn table(shared: &Shared, name: &str) -> Result<TableId, HttpError> {
    let missing = |what: String| {
        HttpError::new(StatusCode::NOT_FOUND, "name", what).with_hint("/status lists services and tables")
    };
    let (service, table) =
        name.split_once('.').ok_or_else(|| missing(format!("expected service.table, found {name:?}")))?;
    let status = shared.services().find(|known| known.as_str() == service);
    let Some(status) = status.and_then(|service| shared.ingest.status(service)) else {
        return Err(missing(format!("there is no service {service:?}")));
    };
    let id = TableId::new(service, table);
    if status.tables.contains_key(table) {
        return Ok(id);
    }
    if shared.engine.catalog().table(&id).is_none() {
        return Err(missing(format!("table {id} is not there")));
    }
    let message = format!("table {id} is not cached: there is nothing to load");
    Err(HttpError::new(StatusCode::CONFLICT, "invalid", message)
        .with_hint("mode = \"cached\" in its service's section caches it"))
}
