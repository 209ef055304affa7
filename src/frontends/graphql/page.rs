//! GraphiQL, for a browser.
//!
//! The page and its assets hold no data, so they are served without a token: who has one puts it into the page's
//! Headers tab. That a request is for the page, and never for data, is decided here, in one place.

use axum::Router;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Where GraphQL is served.
pub(super) const PATHS: [&str; 2] = ["/graphql", "/v1/graphql"];

const ASSETS_PATH: &str = "/graphql/assets/";
const PAGE: &str = include_str!("graphiql/index.html");
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const ASSETS: &[(&str, &str, &str)] = &[
    ("graphiql.min.js", JAVASCRIPT, include_str!("graphiql/graphiql.min.js")),
    ("graphiql.min.css", "text/css; charset=utf-8", include_str!("graphiql/graphiql.min.css")),
    ("react.production.min.js", JAVASCRIPT, include_str!("graphiql/react.production.min.js")),
    ("react-dom.production.min.js", JAVASCRIPT, include_str!("graphiql/react-dom.production.min.js")),
];

/// Whether a request is answered with GraphiQL or one of its assets, whatever its query: no data is in the answer.
pub fn is_page(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let path = uri.path();
    let asset = || {
        let name = path.strip_prefix(ASSETS_PATH);
        name.is_some_and(|name| ASSETS.iter().any(|(asset, ..)| *asset == name))
    };
    *method == Method::GET && (PATHS.contains(&path) && accepts(headers, "text/html") || asset())
}

/// The page. It takes a query from the URL by itself.
pub(super) fn page() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

/// The page's assets.
pub(super) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, (name, content_type, text)| {
        let asset = ([(CONTENT_TYPE, *content_type), (CACHE_CONTROL, "max-age=3600")], *text);
        router.route(&format!("{ASSETS_PATH}{name}"), get(async move || asset))
    })
}

/// Whether the client names `media_type` among what it accepts.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(media_type)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_browser_that_looks_gets_the_page() {
        let check = |method: Method, uri: &'static str, accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            is_page(&method, &Uri::from_static(uri), &headers)
        };
        assert!(check(Method::GET, "/graphql", "text/html,*/*;q=0.8"));
        assert!(check(Method::GET, "/v1/graphql?query={users{id}}", "text/html"));
        assert!(check(Method::GET, "/graphql/assets/graphiql.min.js", "*/*"));
        assert!(!check(Method::GET, "/graphql?query={users{id}}", "application/json"));
        assert!(!check(Method::GET, "/graphql?query={users{id}}", "*/*"));
        assert!(!check(Method::POST, "/graphql", "text/html"));
        assert!(!check(Method::GET, "/graphql/assets/../../sql", "text/html"));
        assert!(!check(Method::GET, "/schema.graphql", "text/html"));
        assert!(!check(Method::GET, "/sql", "text/html"));
    }
}
