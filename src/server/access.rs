//! Who may ask over HTTP: the token, and the pages that may call.
//!
//! Why is a browser on this machine not a way in, where no token is asked for? A page of a foreign site is known by
//! its `Origin`, which has to be allowed or be the server's own; and a foreign name that was made to lead to this
//! machine is known by `Host`, which has to be an address, localhost, or the host of an allowed origin.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use crossweave_contract::Secret;
use url::Url;

use super::Shared;
use crate::config::{Cors, Listen};
use crate::frontends::graphql;
use crate::frontends::http::HttpError;
use crate::frontends::routes::READS_HEADER;

/// What probes ask, who have no token; what it says without one is no secret.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Lets a request through to its handler, or not.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let listen = &shared.config.listen;
    let headers = request.headers();
    let origin = match allowed_origin(listen, headers) {
        Ok(origin) => origin,
        Err(error) => return error.into_response(),
    };
    if request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return preflight(headers, origin);
    }
    let mut response = if is_open(request.method(), request.uri(), headers) || authorized(listen, headers) {
        next.run(request).await
    } else {
        let error =
            HttpError::new(StatusCode::UNAUTHORIZED, "refused", "the token is missing or is not the right one")
                .with_hint("Send the header `Authorization: Bearer …` with the token of `listen.token_file`");
        let mut response = error.into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READS_HEADER));
    }
    response
}

/// Whether anyone may ask: probes, and browsers for a page that holds no data, into which a token can then be put.
fn is_open(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    PROBES.contains(&uri.path()) || graphql::is_page(method, uri, headers)
}

/// Whether `headers` show the token, where one is asked for.
pub(super) fn authorized(listen: &Listen, headers: &HeaderMap) -> bool {
    let Some(token) = &listen.token else { return true };
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(rest.trim())
    });
    shown.is_some_and(|shown| same(token, shown))
}

/// Compares in a time that does not depend on where the two differ.
fn same(token: &Secret, shown: &str) -> bool {
    let (token, shown) = (token.reveal().as_bytes(), shown.as_bytes());
    let mut difference = token.len() ^ shown.len();
    for (index, byte) in shown.iter().enumerate() {
        difference |= usize::from(std::hint::black_box(byte ^ token[index % token.len().max(1)]));
    }
    std::hint::black_box(difference) == 0
}

/// The request's origin, where it has one and may call.
fn allowed_origin(listen: &Listen, headers: &HeaderMap) -> Result<Option<HeaderValue>, HttpError> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if listen.token.is_none() && !is_local(host) && !is_listed(listen, host) {
        let message =
            format!("no token is asked for here, so Host has to be this machine's address, found {host:?}");
        return Err(HttpError::new(StatusCode::FORBIDDEN, "refused", message).with_hint(
            "Use 127.0.0.1 or localhost, add the page's origin to `listen.cors`, or set `listen.token_file`",
        ));
    }
    let Some(value) = headers.get(ORIGIN) else { return Ok(None) };
    let origin = value.to_str().unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host));
    let allowed = own
        || match &listen.cors {
            Cors::Any => true,
            Cors::Origins(origins) => origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
            Cors::Localhost => Url::parse(origin).is_ok_and(|url| url.host_str().is_some_and(is_local)),
        };
    if allowed {
        Ok(Some(value.clone()))
    } else {
        let message = format!("pages of {origin:?} may not call");
        let hint = "Add the origin to `listen.cors`";
        Err(HttpError::new(StatusCode::FORBIDDEN, "refused", message).with_hint(hint))
    }
}

/// Whether `host`, with or without a port, is an address or localhost.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
}

fn is_listed(listen: &Listen, host: &str) -> bool {
    match &listen.cors {
        Cors::Any => true,
        Cors::Localhost => false,
        Cors::Origins(origins) => origins
            .iter()
            .any(|origin| origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host))),
    }
}

fn preflight(headers: &HeaderMap, origin: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        // Nothing rests on cookies, so any header may be sent: the x-hasura-… of GraphQL clients, say.
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::http::HeaderName;

    use super::*;
    use crate::config::Config;

    fn listen(cors: &str) -> Listen {
        let text = format!("[listen]\n{cors}\n[services.a]\nurl = \"mysql://u@h/d\"\n");
        Config::parse(&text, Path::new("c.toml"), &|_| None).unwrap().listen
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn pages_of_other_sites_may_not_call() {
        let check = |cors: &str, host: &str, origin: &str| {
            let headers = headers(&[("host", host), ("origin", origin)]);
            allowed_origin(&listen(cors), &headers).is_ok()
        };
        let listed = "cors = [\"https://app.example.com\"]";
        for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:9", "http://app.localhost"] {
            assert!(check("", "localhost:8080", origin), "{origin}");
        }
        for origin in
            ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.nip.io"]
        {
            assert!(!check("", "localhost:8080", origin), "{origin}");
        }
        assert!(check(listed, "127.0.0.1:8080", "https://app.example.com"));
        assert!(!check(listed, "127.0.0.1:8080", "http://localhost:3000"));
        assert!(check(listed, "127.0.0.1:8080", "http://127.0.0.1:8080"), "the server's own page");
        assert!(check("cors = [\"*\"]", "127.0.0.1", "https://any.example"));
    }

    #[test]
    fn without_a_token_a_foreign_name_for_this_machine_is_refused() {
        let check = |host: &str| allowed_origin(&listen(""), &headers(&[("host", host)])).is_ok();
        assert!(check("127.0.0.1:8080") && check("[::1]:8080") && check("localhost") && check("10.0.0.1"));
        assert!(!check("rebound.example:8080"));
        let listed = listen("cors = [\"https://app.example.com\"]");
        assert!(allowed_origin(&listed, &headers(&[("host", "app.example.com")])).is_ok());
        let mut with_token = listen("");
        with_token.token = Some(Secret::new("t"));
        assert!(allowed_origin(&with_token, &headers(&[("host", "rebound.example")])).is_ok());
    }

    #[test]
    fn without_the_token_there_are_probes_and_the_page_but_no_data() {
        let check = |method: Method, uri: &'static str, accept: &str| {
            is_open(&method, &Uri::from_static(uri), &headers(&[("accept", accept)]))
        };
        assert!(check(Method::GET, "/healthz", "*/*") && check(Method::GET, "/readyz", "*/*"));
        assert!(check(Method::GET, "/graphql", "text/html"));
        assert!(!check(Method::GET, "/graphql?query={users{id}}", "application/json"));
        for path in ["/graphql", "/sql"] {
            assert!(!check(Method::POST, path, "text/html"), "{path}");
        }
        for path in ["/sql", "/schema.graphql", "/status", "/metrics"] {
            assert!(!check(Method::GET, path, "text/html"), "{path}");
        }
    }

    #[test]
    fn only_the_token_is_let_through() {
        let mut listen = listen("");
        assert!(authorized(&listen, &headers(&[])));
        listen.token = Some(Secret::new("s3cret"));
        for good in ["Bearer s3cret", "bearer  s3cret"] {
            assert!(authorized(&listen, &headers(&[("authorization", good)])), "{good}");
        }
        for bad in ["Bearer s3cre", "Bearer s3crets", "Bearer s3creT", "Basic s3cret", "s3cret", "Bearer "] {
            assert!(!authorized(&listen, &headers(&[("authorization", bad)])), "{bad}");
        }
        assert!(!authorized(&listen, &headers(&[])));
    }
}
