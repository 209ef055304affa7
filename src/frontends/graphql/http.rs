//! GraphQL over HTTP: the transport as the GraphQL-over-HTTP draft has it, GraphiQL and the SDL.

use std::sync::Arc;

use async_graphql::{Request, Variables};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::service::{Answer, Service};
use crate::frontends::routes::{ROUTE_HEADER, routes_of_header};
use crate::policy::Identity;
use crate::query::Engine;

const RESPONSE_JSON: &str = "application/graphql-response+json";

const PAGE: &str = include_str!("graphiql/index.html");
const ASSETS: &[(&str, &str, &str)] = &[
    ("graphiql.min.js", "text/javascript; charset=utf-8", include_str!("graphiql/graphiql.min.js")),
    ("graphiql.min.css", "text/css; charset=utf-8", include_str!("graphiql/graphiql.min.css")),
    (
        "react.production.min.js",
        "text/javascript; charset=utf-8",
        include_str!("graphiql/react.production.min.js"),
    ),
    (
        "react-dom.production.min.js",
        "text/javascript; charset=utf-8",
        include_str!("graphiql/react-dom.production.min.js"),
    ),
];

/// `/graphql` and `/v1/graphql` (which Hasura's clients ask), with GraphiQL for a browser; `/schema.graphql`.
pub fn router(engine: Engine) -> Router {
    let service = Arc::new(Service::new(engine));
    let mut router = Router::new()
        .route("/graphql", get(get_query).post(post_query))
        .route("/v1/graphql", get(get_query).post(post_query))
        .route("/schema.graphql", get(get_sdl));
    for (name, content_type, text) in ASSETS {
        let asset = ([(CONTENT_TYPE, *content_type), (CACHE_CONTROL, "max-age=3600")], *text);
        router = router.route(&format!("/graphql/assets/{name}"), get(async move || asset));
    }
    router.with_state(service)
}

/// A request, in a body or in a URL.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<V> {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<V>,
}

async fn get_query(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters<String>>,
) -> Response {
    if parameters.query.is_none() && accepts(&headers, "text/html") {
        return ([(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response();
    }
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

async fn post_query(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!("content-type has to be application/json, found {content_type:?}");
        return failure(&headers, StatusCode::UNSUPPORTED_MEDIA_TYPE, &message);
    }
    match serde_json::from_slice::<Parameters<serde_json::Value>>(&body) {
        Ok(parameters) => respond(&service, &headers, parameters).await,
        Err(error) => bad_request(&headers, &format!("the body is not a GraphQL request in JSON: {error}")),
    }
}

async fn respond(
    service: &Service,
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
    let asked = headers.get(ROUTE_HEADER).map(|value| value.to_str().unwrap_or_default());
    let routes = match asked.map(|text| routes_of_header(text, &service.catalog())).transpose() {
        Ok(routes) => routes.unwrap_or_default(),
        Err(error) => return bad_request(headers, &error.message),
    };
    let Answer { json, request_error } = service.answer(request, &Identity::default(), &routes).await;
    // A client that knows only application/json reads errors from the body, not from the status.
    let status =
        if request_error && speaks_graphql(headers) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, [(CONTENT_TYPE, content_type(headers))], json).into_response()
}

async fn get_sdl(State(service): State<Arc<Service>>) -> Response {
    match service.served() {
        Ok(served) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], served.schema.sdl()).into_response(),
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

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(media_type)))
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
