//! Asking a running server.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde_json::Value;

use super::args::ServerArguments;
use super::failure::Failure;
use crate::config::{ConfigError, listen_of};
use crate::frontends::routes::ROUTE_HEADER;

/// Where a server listens if nothing says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that can be asked.
pub(super) struct Client {
    url: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Client {
    /// The server that `arguments` name. The configuration is read for its address and token alone, so that
    /// asking needs no database's password.
    pub(super) fn new(arguments: &ServerArguments) -> Result<Self, Failure> {
        let listen = match listen_of(&arguments.config.config) {
            Ok(listen) => Some(listen),
            Err(_) if arguments.url.is_some() => None,
            // The default file need not be there; one that was named has to be.
            Err(error) if is_missing(&error) && arguments.config.is_default() => None,
            Err(error) => return Err(error.into()),
        };
        let url = match (&arguments.url, &listen) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(listen)) => local_url(listen.http.socket),
            (None, None) => DEFAULT_URL.to_owned(),
        };
        let token = match &arguments.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Failure::new(format!("the token file {} cannot be read: {error}", file.display()))
                })?;
                Some(text.trim().to_owned())
            }
            None => listen.and_then(|listen| listen.token).map(|token| token.reveal().to_owned()),
        };
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy().build();
        let http = http.map_err(|error| Failure::new(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self { url, token, http })
    }

    /// The text at `path`, with its status.
    pub(super) async fn get(&self, path: &str) -> Result<String, Failure> {
        let response = self.send(self.http.get(format!("{}{path}", self.url))).await?;
        self.text(response).await
    }

    /// Sends `body` as JSON to `path`.
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await.map(|_| ())
    }

    /// The answer to `sql` in the form `accept`.
    pub(super) async fn sql(&self, sql: &str, route: Option<&str>, accept: &str) -> Result<Response, Failure> {
        let mut request = self
            .http
            .post(format!("{}/sql", self.url))
            .header(CONTENT_TYPE, "application/sql")
            .header(ACCEPT, accept)
            .body(sql.to_owned());
        if let Some(route) = route {
            request = request.header(ROUTE_HEADER, route);
        }
        self.send(request).await
    }

    /// The body of `response`, all of it.
    pub(super) async fn text(&self, response: Response) -> Result<String, Failure> {
        response.text().await.map_err(|error| self.lost(&error))
    }

    /// The failure that the connection was lost in the middle of an answer.
    pub(super) fn lost(&self, error: &reqwest::Error) -> Failure {
        Failure::new(format!("the answer of {} was cut off", self.url))
            .with_detail(chain(error))
            .with_hint(Some("the query failed after its first rows; --output table says why"))
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, Failure> {
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = request.send().await.map_err(|error| {
            Failure::new(format!("no server answers at {}", self.url))
                .with_detail(chain(&error))
                .with_hint(Some("start it with `crossweave serve`, or name it with --url"))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.text(response).await?;
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        Err(of_json(&json["error"]).unwrap_or_else(|| {
            Failure::new(format!("{} answers with status {status}", self.url)).with_detail(body)
        }))
    }
}

/// The failure that the member `error` of an answer states.
pub(super) fn of_json(error: &Value) -> Option<Failure> {
    let message = error["message"].as_str()?;
    Some(Failure::new(message).with_hint(error["hint"].as_str()))
}

fn is_missing(error: &ConfigError) -> bool {
    error.problems.iter().all(|problem| problem.place.line.is_none() && !problem.place.file.exists())
}

/// Where a server that listens on `socket` is found from this machine.
fn local_url(mut socket: std::net::SocketAddr) -> String {
    if socket.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if socket.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        socket.set_ip(loopback);
    }
    format!("http://{socket}")
}

/// What happened, with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_asked_on_this_machine() {
        let check = |socket: &str| local_url(socket.parse().unwrap());
        assert_eq!(check("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(check("[::]:8080"), "http://[::1]:8080");
        assert_eq!(check("10.0.0.5:1"), "http://10.0.0.5:1");
    }
}
