//! Asking Crossweave over HTTP, as any program would.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{DemoError, Result};

/// The answer to a statement: the JSON form of `POST /sql`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    /// What the columns are called and which type they have.
    pub columns: Vec<AnswerColumn>,
    /// The rows, each with a value for each column. Decimals and large integers are strings.
    pub rows: Vec<Vec<Value>>,
    /// What was read of each service, from the header `crossweave-reads`.
    #[serde(skip)]
    pub reads: BTreeMap<String, Read>,
}

/// What an answer saw of one service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Read {
    /// `live` or `cached`.
    pub route: String,
    /// The position of what was seen, where the source has a binlog.
    pub position: Option<String>,
    /// For caches: how many seconds ago that position was known to be current. For a replica, how old at most it is.
    pub age: Option<f64>,
    /// `statement` where each statement saw an instant of its own.
    pub consistency: Option<String>,
    /// The server that was read, where the source has replicas.
    pub server: Option<String>,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// Its type's name.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A statement with what belongs to it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Statement {
    /// The text, with placeholders `$1`, `$2`.
    pub sql: String,
    /// The placeholders' values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Value>,
    /// `"live"`, `"cached"`, `"auto"`, or an object of these by service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Value>,
    /// What sources that are read live may compute: `"all"`, `"none"`, or kinds of operators with commas in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushdown: Option<String>,
    /// `"snapshot"` or `"statement"`: whether all that is read live of a source is of one instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_consistency: Option<String>,
}

impl Statement {
    /// A statement without parameters, on the default route.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    /// The same on a route.
    #[must_use]
    pub fn on(mut self, route: impl Into<Value>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// The same with sources that compute only this.
    #[must_use]
    pub fn pushing_down(mut self, kinds: impl Into<String>) -> Self {
        self.pushdown = Some(kinds.into());
        self
    }
}

/// A client of one Crossweave server.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server that listens on `port` of 127.0.0.1.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(port: u16) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .no_proxy()
            .build()
            .map_err(|e| failed("for a client", &e))?;
        Ok(Self { base: format!("http://127.0.0.1:{port}"), http })
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The HTTP client, for requests of other shapes.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// GETs a path: the status and the body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let response = self.http.get(self.url(path)).send().await.map_err(|e| failed(path, &e))?;
        let status = response.status();
        Ok((status, response.text().await.map_err(|e| failed(path, &e))?))
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// Crossweave's error text, or that there was no answer.
    pub async fn sql(&self, statement: &Statement) -> Result<Answer> {
        let response = self
            .http
            .post(self.url("/sql"))
            .header(ACCEPT, "application/json")
            .json(statement)
            .send()
            .await
            .map_err(|e| failed(&statement.sql, &e))?;
        let reads = match response.headers().get("crossweave-reads") {
            Some(header) => {
                serde_json::from_slice(header.as_bytes()).map_err(|e| failed(&statement.sql, &e))?
            }
            None => BTreeMap::new(),
        };
        let body = accepted(&statement.sql, response).await?;
        let value: Value = serde_json::from_str(&body).map_err(|e| failed(&statement.sql, &e))?;
        if let Some(error) = value.get("error") {
            return Err(DemoError::Answer { action: statement.sql.clone(), detail: error.to_string() });
        }
        let answer: Answer = serde_json::from_value(value).map_err(|e| failed(&statement.sql, &e))?;
        Ok(Answer { reads, ..answer })
    }

    /// Runs a GraphQL document: the member `data` of the answer.
    ///
    /// # Errors
    /// When the answer has errors, or there was none.
    pub async fn graphql(&self, document: &str, variables: &Value, route: Option<&str>) -> Result<Value> {
        let answer = self.graphql_raw(document, variables, route).await?;
        match answer.get("errors") {
            Some(errors) => Err(DemoError::Answer { action: document.to_owned(), detail: errors.to_string() }),
            None => Ok(answer.get("data").cloned().unwrap_or(Value::Null)),
        }
    }

    /// Runs a GraphQL document: the whole answer, whatever the HTTP status is.
    ///
    /// # Errors
    /// When there was no answer, or not one in JSON.
    pub async fn graphql_raw(&self, document: &str, variables: &Value, route: Option<&str>) -> Result<Value> {
        let mut request = self
            .http
            .post(self.url("/graphql"))
            .header(CONTENT_TYPE, "application/json")
            .json(&json!({ "query": document, "variables": variables }));
        if let Some(route) = route {
            request = request.header("crossweave-route", route);
        }
        let response = request.send().await.map_err(|e| failed(document, &e))?;
        let status = response.status();
        let body = response.text().await.map_err(|e| failed(document, &e))?;
        serde_json::from_str(&body).map_err(|_| DemoError::Answer {
            action: document.to_owned(),
            detail: format!("expected JSON, got status {status}: {body}"),
        })
    }
}

async fn accepted(action: &str, response: Response) -> Result<String> {
    let status = response.status();
    let body = response.text().await.map_err(|e| failed(action, &e))?;
    if status.is_success() {
        return Ok(body);
    }
    Err(DemoError::Answer { action: action.to_owned(), detail: format!("status {status}: {body}") })
}

fn failed(action: &str, error: &dyn std::error::Error) -> DemoError {
    let mut detail = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        detail.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    DemoError::Answer { action: action.to_owned(), detail }
}
