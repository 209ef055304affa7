//! A client's session: its parameters, its prepared statements, and the life of each statement.
//!
//! A statement that reads is planned when it is prepared, against the definitions of the route it would take then.
//! When it is executed, routes are settled anew; if a definition differs from the one it was planned with, it
//! is planned again, so that it never reads one column for another.

mod action;
mod catalog_rows;
mod known;
mod parameters;
mod promise;
mod read;
mod transaction;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use crossweave_contract::ServiceName;
use datafusion::scalar::ScalarValue;

use action::Action;
pub(super) use known::Known;
use transaction::{Transaction, Values};

use super::engine::Engine;
use super::settings::Settings;
use super::{QueryError, QueryErrorKind, Reason, RouteSettings, RowStream, ServiceRead};
use crate::policy::Identity;

/// One client's state. Statements of one session run one after the other.
#[derive(Debug)]
pub struct Session {
    /// The routes asked for; set by `SET crossweave.route`, or by the frontend.
    pub routes: RouteSettings,
    /// Who asks.
    pub identity: Identity,
    engine: Engine,
    settings: Settings,
    /// What RESET goes back to: what came with the connection.
    defaults: Values,
    /// By `PREPARE`, by name.
    prepared: HashMap<String, Prepared>,
    transaction: Option<Transaction>,
    /// What the last statement that read saw of each service.
    reads: Vec<ServiceRead>,
}

/// A statement that was parsed, checked and, if it reads, planned.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The columns of the answer; none for statements without rows.
    pub schema: SchemaRef,
    /// The types of `$1`, `$2`, …; `None` where it could not be told, and text is as good as any.
    pub parameter_types: Vec<Option<DataType>>,
    /// What PostgreSQL's clients are told was done: `SELECT`, `SET`, …; empty for an empty statement.
    pub tag: &'static str,
    action: Action,
}

/// What a statement answered.
#[derive(Debug)]
pub struct Answer {
    /// As [`Prepared::tag`].
    pub tag: &'static str,
    /// The rows; without columns for statements that have none.
    pub rows: RowStream,
    /// What was seen of each service that was read.
    pub reads: Vec<ServiceRead>,
}

/// The most statements that one session may keep by name.
const MAX_PREPARED: usize = 1_000;

impl Session {
    pub(super) fn new(engine: Engine, identity: Identity) -> Self {
        Self {
            routes: RouteSettings::default(),
            identity,
            engine,
            settings: Settings::default(),
            defaults: Values::default(),
            prepared: HashMap::new(),
            transaction: None,
            reads: Vec::new(),
        }
    }

    /// The engine that answers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a transaction was begun and not ended.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Notes that the rows of a statement failed after [`execute`](Self::execute) had answered: in a transaction,
    /// nothing but its end is answered from here on.
    pub fn fail_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
    }

    /// Sets the parameter `name`, as SET does, and what RESET sets it to; for parameters that come with a
    /// connection or a request.
    ///
    /// # Errors
    ///
    /// `Name` for an unknown parameter, `Invalid` for a value it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        let catalog = self.engine.catalog();
        self.settings.set(&mut self.routes, &self.defaults, &catalog, name, Some(value))?;
        self.defaults = (self.settings.clone(), self.routes.clone());
        Ok(())
    }

    /// The value of the parameter `name`, as SHOW shows it.
    pub fn show(&self, name: &str) -> Result<String, QueryError> {
        let shown = self.settings.show(&self.routes, &self.engine.catalog(), name)?;
        Ok(shown.1)
    }

    /// Parses, checks and plans `sql`: one statement, or none.
    ///
    /// # Errors
    ///
    /// `Syntax`, `Name`, `Invalid`, `Unsupported`; `Unavailable` for tables of a service that was never reached.
    pub async fn prepare(&mut self, sql: &str) -> Result<Prepared, QueryError> {
        self.prepare_declared(sql, Vec::new()).await
    }

    /// As [`prepare`](Self::prepare), for a client that says of what type its values for `$1`, `$2`, … will be:
    /// the columns are those that such values give.
    pub async fn prepare_declared(
        &mut self,
        sql: &str,
        declared: Vec<Option<DataType>>,
    ) -> Result<Prepared, QueryError> {
        let prepared = action::prepare(self, sql, declared).await;
        prepared.inspect_err(|error| {
            if matches!(error.kind, QueryErrorKind::Name | QueryErrorKind::Invalid) {
                self.doubt_what_is_in(sql);
            }
            self.engine.counters().refused();
            self.fail_transaction();
        })
    }

    /// What a statement speaks of that is not there may be new.
    fn doubt_what_is_in(&self, sql: &str) {
        let (catalog, path) = (self.engine.catalog(), self.settings.search_path());
        let text = sql.to_lowercase();
        let is_part = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
        let is_word = |name: &str| {
            let mut found = text.match_indices(name);
            found.any(|(at, _)| {
                let (before, after) = (&text[..at], &text[at + name.len()..]);
                !is_part(before.chars().next_back()) && !is_part(after.chars().next())
            })
        };
        let is_named = |service: &&ServiceName| {
            is_word(service.as_str()) || path.iter().any(|name| name == service.as_str())
        };
        let named: Vec<_> = catalog.services.keys().filter(is_named).collect();
        let doubted = if named.is_empty() { catalog.services.keys().collect() } else { named };
        self.engine.inner.parts.catalog.doubt(doubted);
    }

    /// Executes `prepared` with values for its placeholders, each as a literal in its place would be. The columns
    /// are those of [`Prepared::schema`], but for the precision of decimals and the layout of texts.
    ///
    /// # Errors
    ///
    /// `Invalid` for values that do not fit; those of [`Engine::pin`] and [`Engine::run`].
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        params: Vec<ScalarValue>,
    ) -> Result<Answer, QueryError> {
        action::execute(self, prepared, params, true).await.inspect_err(|_| self.fail_transaction())
    }

    /// [`prepare`](Self::prepare) and [`execute`](Self::execute) in one. The columns are those of
    /// [`Answer::rows`]: tables that are altered just then give the new ones, not an error.
    pub async fn query(&mut self, sql: &str, params: Vec<ScalarValue>) -> Result<Answer, QueryError> {
        let prepared = self.prepare(sql).await?;
        self.execute_anew(&prepared, params).await
    }

    /// As [`execute`](Self::execute), for a client that was not told the columns yet: they are those of
    /// [`Answer::rows`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn execute_anew(
        &mut self,
        prepared: &Prepared,
        params: Vec<ScalarValue>,
    ) -> Result<Answer, QueryError> {
        action::execute(self, prepared, params, false).await.inspect_err(|_| self.fail_transaction())
    }

    /// How long planning a statement may take, and how long running it.
    fn timeout(&self) -> Duration {
        self.settings.timeout().unwrap_or(self.engine.inner.options.timeout)
    }

    fn keep(&mut self, name: String, prepared: Prepared) -> Result<(), QueryError> {
        if self.prepared.contains_key(&name) {
            let message = format!("prepared statement {name} exists already");
            return Err(QueryError::new(QueryErrorKind::Invalid, message)
                .because(Reason::TakenName)
                .with_hint(format!("DEALLOCATE {name}")));
        }
        if self.prepared.len() >= MAX_PREPARED {
            let message = format!("{MAX_PREPARED} statements are prepared, the most for one session");
            return Err(QueryError::new(QueryErrorKind::Limit, message).with_hint("DEALLOCATE some, or all"));
        }
        self.prepared.insert(name, prepared);
        Ok(())
    }

    fn kept(&self, name: &str) -> Result<&Prepared, QueryError> {
        self.prepared.get(name).ok_or_else(|| {
            QueryError::new(QueryErrorKind::Name, format!("there is no prepared statement {name}"))
                .because(Reason::UnknownStatement)
        })
    }
}

impl Answer {
    fn done(tag: &'static str) -> Self {
        Self { tag, rows: RowStream::empty(), reads: Vec::new() }
    }
}

/// Tables that a statement reads.
type Tables = BTreeSet<crossweave_contract::TableId>;

fn no_columns() -> SchemaRef {
    Arc::new(arrow::datatypes::Schema::empty())
}
