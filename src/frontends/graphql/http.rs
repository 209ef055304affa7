//! GraphQL over HTTP: the transport as the GraphQL-over-HTTP draft has it, GraphiQL and the SDL.

use std::sync::Arc;

use async_graphql::{Request, Variables};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::page;
use super::page::accepts;
use super::service::{Answer, Service};
use crate::frontends::routes::{ROUTE_HEADER, routes_of_header};
use crate::policy::Identity;
use crate::query::{Engine, RouteSettings};

const RESPONSE_JSON: &str = "application/graphql-response+json";
/// Bytes of a request's body; a longer one is refused.
const MAX_BODY: usize = 2 << 20;

/// `/graphql` and `/v1/graphql` (which Hasura's clients ask), with GraphiQL for a browser; `/schema.graphql`.
pub fn router(engine: Engine) -> Router {
    let service = Arc::new(Service::new(engine));
    let mut router = page::assets();
    for path in page::PATHS {
        router = router.route(path, get(get_query).post(post_query));
    }
    router.route("/schema.graphql", get(get_sdl)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(service)
}

/// A request, in a body or in a URL.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<V> {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<V>,
}

async fn get_query(State(service): State<Arc<Service>>, headers: HeaderMap, uri: Uri) -> Response {
    if page::is_page(&Method::GET, &uri, &headers) {
        return page::page();
    }
    let parameters = match Query::<Parameters<String>>::try_from_uri(&uri) {
        Ok(Query(parameters)) => parameters,
        Err(error) => return bad_request(&headers, &format!("the URL is not a GraphQL request: {error}")),
    };
    let variables = match parameters.variables.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => match serde_json::from_str(text) {
            Ok(variables) => Some(variables),
            Err(error) => return bad_request(&headers, &format!("variables is not a JSON object: {error}")),
        },
        None => None,
    };
    let parameters =
        Parameters { query: parameters.query, operation_name: parameters.operation_name, variables };
    respond(&service, &headers, parameters).await
}

async fn post_query(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!("content-type has to be application/json, found {content_type:?}");
        return failure(&headers, StatusCode::UNSUPPORTED_MEDIA_TYPE, &message);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body has more than {MAX_BODY} bytes, the most that one may have");
            return failure(&headers, StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Err(rejection) => return failure(&headers, rejection.status(), &rejection.body_text()),
    };
    match parameters_of(&body) {
        Ok(parameters) => respond(&service, &headers, parameters).await,
        Err(message) => bad_request(&headers, &message),
    }
}

fn parameters_of(body: &[u8]) -> Result<Parameters<serde_json::Value>, String> {
    use serde_json::Value;
    let expected = "expected {\"query\": \"…\", \"variables\": {…}}";
    match serde_json::from_slice::<Value>(body) {
        Ok(body @ Value::Object(_)) => serde_json::from_value(body)
            .map_err(|error| format!("the body is not a GraphQL request: {error}; {expected}")),
        Ok(Value::Array(_)) => {
            Err(format!("batches are not served: {expected} in a request of its own for each"))
        }
        Ok(_) => Err(format!("the body is not a GraphQL request: {expected}, found another JSON value")),
        Err(error) => Err(format!("the body is not JSON: {error}; {expected}")),
    }
}

async fn respond(
    service: &Arc<Service>,
    headers: &HeaderMap,
    parameters: Parameters<serde_json::Value>,
) -> Response {
    let Some(query) = parameters.query else {
        return bad_request(headers, "query is missing: expected {\"query\": \"…\", \"variables\": {…}}");
    };
    let mut request = Request::new(query);
    match parameters.variables {
        Some(variables @ serde_json::Value::Object(_)) => {
            request = request.variables(Variables::from_json(variables))
        }
        None | Some(serde_json::Value::Null) => {}
        Some(other) => return bad_request(headers, &format!("variables has to be an object, found {other}")),
    }
    if let Some(name) = parameters.operation_name.filter(|name| !name.is_empty()) {
        request = request.operation_name(name);
    }
    let routes = match headers.get(ROUTE_HEADER).map(|value| routes_of(value, service)).transpose() {
        Ok(routes) => routes.unwrap_or_default(),
        Err(message) => return bad_request(headers, &message),
    };
    let Answer { json, request_error } = service.answer(request, Identity::default(), routes).await;
    // A client that knows only application/json reads errors from the body, not from the status.
    let status =
        if request_error && speaks_graphql(headers) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, [(CONTENT_TYPE, content_type(headers))], json).into_response()
}

fn routes_of(header: &HeaderValue, service: &Service) -> Result<RouteSettings, String> {
    let text = header.to_str().map_err(|_| {
        let found = String::from_utf8_lossy(header.as_bytes());
        format!("{ROUTE_HEADER}: expected live, cached or auto, or these by service, found {found:?}")
    })?;
    routes_of_header(text, &service.catalog()).map_err(|error| match error.hint {
        Some(hint) => format!("{ROUTE_HEADER}: {}. {hint}", error.message),
        None => format!("{ROUTE_HEADER}: {}", error.message),
    })
}

async fn get_sdl(State(service): State<Arc<Service>>) -> Response {
    match service.served() {
        Ok(served) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], served.sdl()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn bad_request(headers: &HeaderMap, message: &str) -> Response {
    failure(headers, StatusCode::BAD_REQUEST, message)
}

fn failure(headers: &HeaderMap, status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "message": message }] }).to_string();
    (status, [(CONTENT_TYPE, content_type(headers))], body).into_response()
}

fn speaks_graphql(headers: &HeaderMap) -> bool {
    accepts(headers, RESPONSE_JSON)
}

fn content_type(headers: &HeaderMap) -> &'static str {
    if speaks_graphql(headers) {
        "application/graphql-response+json; charset=utf-8"
    } else {
        "application/json; charset=utf-8"
    }
}
