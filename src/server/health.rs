//! `/healthz`: the process answers. `/readyz`: queries should be sent here.
//!
//! A database that is down makes neither fail: the other services answer, and a cache goes on with its last state.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::status::{ServiceReport, TableReport};
use super::{Shared, access};

/// `GET /healthz`.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: 200 once each cached table is loaded or its first attempt has failed, 503 before that and
/// while stopping. The body lists the cached tables, and services that were not reached; reasons only to
/// clients that may know them.
pub(super) async fn readyz(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let status = shared.status();
    let reasons = access::authorized(&shared.config.listen, &headers);
    let with_reason = |mut value: Value, reason: &Option<String>| {
        if let (true, Some(reason), Some(members)) = (reasons, reason, value.as_object_mut()) {
            members.insert("reason".to_owned(), json!(reason));
        }
        value
    };
    let table = |service: &ServiceReport, table: &TableReport| {
        let name = format!("{}.{}", service.service, table.table);
        with_reason(json!({ "table": name, "state": table.state }), &table.reason)
    };
    let services = status.services.iter();
    let tables = services.clone().flat_map(|service| {
        let cached = service.tables.iter().filter(|table| table.mode == "cached");
        cached.map(move |found| table(service, found))
    });
    let tables: Vec<Value> = tables.collect();
    let failing = services.filter(|service| service.state != "ok").map(|service| {
        with_reason(json!({ "service": service.service, "state": service.state }), &service.reason)
    });
    let body = json!({ "status": status.state, "services": failing.collect::<Vec<_>>(), "tables": tables });
    let code = if status.state == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}
