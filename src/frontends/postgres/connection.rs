//! One connection: the two ways to ask.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use futures::{Sink, SinkExt};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_execution_response, send_query_response,
    send_ready_for_query,
};
use pgwire::api::results::{FieldInfo, Response};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{Execute, Sync as Synchronize};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;

use super::cancel::Slot;
use super::conversation::{Conversation, Sealed, Statement};
use super::error::{protocol_violation, wire_error_in};
use super::{encode, parameters};
use crate::query::{MAX_STATEMENT, Place, QueryError, QueryErrorKind};

/// Answers one client.
pub(super) struct Connection {
    conversation: Sealed<Conversation>,
    slot: Arc<Slot>,
}

impl Connection {
    pub(super) fn new(conversation: Sealed<Conversation>, slot: Arc<Slot>) -> Self {
        Self { conversation, slot }
    }

    /// Passes on to the session what only the wire knows: that its transaction failed. The status is then what holds
    /// if the next statement is answered, for such a statement ends the transaction or goes back before the failure.
    async fn pass_on_failure<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo,
    {
        if client.transaction_status() == TransactionStatus::Error {
            self.conversation.fail_transaction().await?;
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        Ok(())
    }
}

/// Ends what was executed in part, unless a transaction goes on: as in PostgreSQL, no portal outlives its transaction.
fn close_portals<C>(client: &mut C)
where
    C: ClientInfo + ClientPortalStore,
    C::PortalStore: PortalStore,
{
    if client.transaction_status() == TransactionStatus::Idle {
        client.portal_store().clear_portals();
    }
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.pass_on_failure(client).await?;
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let running = self.slot.start();
        let query = &query.query;
        let statements = statements(query).map_err(|error| wire_error_in(error, query, 0))?;
        if statements.is_empty() {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        // One is answered before the next one runs: none waits for the others with its place and its rows.
        for statement in statements {
            let start = statement.as_ptr().addr() - query.as_ptr().addr();
            match self.conversation.answer(statement, query, start, &running).await? {
                Response::Query(rows) => send_query_response(client, rows, true).await?,
                Response::Execution(tag) => send_execution_response(client, tag).await?,
                Response::TransactionStart(tag) => {
                    send_execution_response(client, tag).await?;
                    client.set_transaction_status(client.transaction_status().to_in_transaction_state());
                }
                Response::TransactionEnd(tag) => {
                    send_execution_response(client, tag).await?;
                    client.set_transaction_status(client.transaction_status().to_idle_state());
                }
                Response::EmptyQuery => {
                    client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                }
                Response::Error(info) => return Err(PgWireError::UserError(info)),
                Response::CopyIn(_) | Response::CopyOut(_) | Response::CopyBoth(_) => {
                    return Err(protocol_violation("COPY is not served".to_owned()));
                }
            }
        }
        close_portals(client);
        client.set_state(PgWireConnectionState::ReadyForQuery);
        send_ready_for_query(client, client.transaction_status()).await
    }

    /// Not called: [`on_query`](Self::on_query) answers.
    async fn do_query<C>(&self, _client: &mut C, _query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(protocol_violation("a query was to be answered as a whole".to_owned()))
    }
}

/// Bytes of a simple query, all its statements together.
const MAX_QUERY: usize = 4 * MAX_STATEMENT;

/// The statements of a simple query, which may hold several, separated by semicolons.
fn statements(query: &str) -> Result<Vec<&str>, QueryError> {
    if query.len() > MAX_QUERY {
        let message = format!("the query has {} bytes; {MAX_QUERY} are the most", query.len());
        return Err(QueryError::new(QueryErrorKind::Limit, message).with_hint("Send its statements apart"));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, query).tokenize_with_location().map_err(|error| {
        let place = Place { line: error.location.line, column: error.location.column };
        QueryError::new(QueryErrorKind::Syntax, error.to_string()).at((place.line > 0).then_some(place))
    })?;
    let mut semicolons =
        tokens.iter().filter(|token| token.token == Token::SemiColon).map(|token| token.span.start).peekable();
    let mut statements = Vec::new();
    let (mut begin, mut here) = (0, Location { line: 1, column: 1 });
    // They come in the order of the text, so one walk finds them all.
    for (at, char) in query.char_indices() {
        if semicolons.next_if_eq(&here).is_some() {
            statements.push(&query[begin..at]);
            begin = at + 1;
        }
        here = match char {
            '\n' => Location { line: here.line + 1, column: 1 },
            _ => Location { column: here.column + 1, ..here },
        };
    }
    statements.push(&query[begin..]);
    statements.retain(|statement| !statement.trim().is_empty());
    Ok(statements)
}

/// Prepares statements for the extended protocol.
pub(super) struct Parser {
    conversation: Sealed<Conversation>,
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Statement;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        if client.transaction_status() == TransactionStatus::Error {
            self.conversation.fail_transaction().await?;
        }
        let declared = types.iter().map(|wire| wire.as_ref().and_then(parameters::arrow_type)).collect();
        self.conversation.prepare(sql, declared).await.map(Some)
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        Ok(statement.parameter_types.iter().map(|inferred| parameters::announced(inferred.as_ref())).collect())
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        // A statement has no formats yet: they come with the values, and text stands for that.
        encode::fields(&statement.schema, format.unwrap_or(&Format::UnifiedText))
    }
}

#[async_trait]
impl ExtendedQueryHandler for Connection {
    type Statement = Statement;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser { conversation: self.conversation.clone() })
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.pass_on_failure(client).await?;
        self._on_execute(client, message).await
    }

    async fn on_sync<C>(&self, client: &mut C, _message: Synchronize) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        client.portal_store().rm_portal(DEFAULT_NAME);
        close_portals(client);
        send_ready_for_query(client, client.transaction_status()).await
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        portal: &Portal<Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let running = self.slot.start();
        let values = parameters::values(portal)?;
        self.conversation.run(&portal.statement.statement, values, &portal.result_column_format, &running).await
    }
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn splits_at_semicolons_outside_of_strings_and_comments() {
        let query = "SELECT ';';\n SELECT 'é;' -- ; not here\n; /* ; */ SELECT 3;;";
        let found: Vec<_> = statements(query).unwrap().into_iter().map(str::trim).collect();
        assert_eq!(found, ["SELECT ';'", "SELECT 'é;' -- ; not here", "/* ; */ SELECT 3"]);
        assert!(statements("  ;; ").unwrap().is_empty());
        let started = std::time::Instant::now();
        assert!(statements(&";".repeat(1 << 20)).unwrap().is_empty());
        assert!(started.elapsed() < std::time::Duration::from_secs(10));
        assert!(statements(&" ".repeat(super::MAX_QUERY + 1)).is_err());
    }
}
