//! One connection: its session, and the two ways to ask.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use futures::stream::{self, StreamExt};
use futures::{Sink, Stream};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::DataRow;
use tokio::sync::Mutex;

use super::cancel::{Running, Slot};
use super::encode;
use super::error::{cancelled, wire_error};
use crate::query::{Answer, Prepared, QueryError, QueryErrorKind, Session};

/// Answers one client.
pub(super) struct Connection {
    session: Arc<Mutex<Session>>,
    slot: Arc<Slot>,
}

impl Connection {
    pub(super) fn new(session: Session, slot: Arc<Slot>) -> Self {
        Self { session: Arc::new(Mutex::new(session)), slot }
    }

    async fn run(
        &self,
        prepared: &Prepared,
        parameters: ParamValues,
        format: &Format,
        running: &Arc<Running>,
    ) -> PgWireResult<Response> {
        let ParamValues::List(parameters) = parameters else {
            let message = "parameters are numbered: $1, $2, …";
            return Err(wire_error(QueryError::new(QueryErrorKind::Invalid, message)));
        };
        let parameters = parameters.into_iter().map(|parameter| parameter.value).collect();
        let mut session = self.session.lock().await;
        let answer = tokio::select! {
            biased;
            () = running.token.cancelled() => return Err(cancelled()),
            answer = session.execute(prepared, parameters) => answer.map_err(wire_error)?,
        };
        respond(answer, format, Arc::clone(running))
    }
}

/// The answer as a response: rows, or the tag of a statement without any.
fn respond(answer: Answer, format: &Format, running: Arc<Running>) -> PgWireResult<Response> {
    let Answer { tag, rows, .. } = answer;
    match tag {
        "BEGIN" | "START TRANSACTION" => return Ok(Response::TransactionStart(Tag::new("BEGIN"))),
        "COMMIT" | "ROLLBACK" => return Ok(Response::TransactionEnd(Tag::new(tag))),
        "" => return Ok(Response::EmptyQuery),
        _ if rows.schema.fields().is_empty() && tag != "SELECT" => {
            return Ok(Response::Execution(Tag::new(tag)));
        }
        _ => {}
    }
    let fields = Arc::new(encode::fields(&rows.schema, format)?);
    let stream = wire_rows(rows, Arc::clone(&fields));
    let token = running.token.clone();
    let end = async move { running.token.is_cancelled().then(|| Err(cancelled())) };
    // Either every row arrives, or the client is told that some did not.
    let stream =
        stream.take_until(token.cancelled_owned()).chain(stream::once(end).filter_map(futures::future::ready));
    let mut response = QueryResponse::new(fields, stream);
    response.set_command_tag(if tag.is_empty() { "SELECT" } else { tag });
    Ok(Response::Query(response))
}

fn wire_rows(
    rows: crate::query::RowStream,
    fields: Arc<Vec<FieldInfo>>,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    rows.flat_map(move |batch| {
        let rows: Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send> = match batch {
            Ok(batch) => Box::new(encode::rows(Arc::clone(&fields), batch)),
            Err(error) => Box::new(std::iter::once(Err(wire_error(error)))),
        };
        stream::iter(rows)
    })
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let running = self.slot.start();
        let mut responses = Vec::new();
        for statement in statements(query).map_err(wire_error)? {
            let prepared = self.session.lock().await.prepare(statement).await;
            let response = match prepared.map_err(wire_error) {
                Ok(prepared) => {
                    self.run(&prepared, ParamValues::List(Vec::new()), &Format::UnifiedText, &running).await
                }
                Err(error) => Err(error),
            };
            match response {
                Ok(response) => responses.push(response),
                // What came before the failing statement is still answered.
                Err(PgWireError::UserError(info)) if !responses.is_empty() => {
                    responses.push(Response::Error(info));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if responses.is_empty() { vec![Response::EmptyQuery] } else { responses })
    }
}

/// The statements of a simple query, which may hold several, separated by semicolons.
fn statements(query: &str) -> Result<Vec<&str>, QueryError> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, query)
        .tokenize_with_location()
        .map_err(|error| QueryError::new(QueryErrorKind::Syntax, error.to_string()))?;
    let mut lines = vec![0];
    lines.extend(query.match_indices('\n').map(|(at, _)| at + 1));
    let offset = |location: Location| {
        let start = usize::try_from(location.line).ok().and_then(|line| lines.get(line.saturating_sub(1)));
        let line = &query[*start.unwrap_or(&query.len())..];
        let column = usize::try_from(location.column).unwrap_or(usize::MAX).saturating_sub(1);
        let within = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        query.len() - line.len() + within
    };
    let mut statements = Vec::new();
    let mut begin = 0;
    for token in tokens.iter().filter(|token| token.token == Token::SemiColon) {
        let end = offset(token.span.start);
        statements.push(&query[begin..end]);
        begin = end + 1;
    }
    statements.push(&query[begin..]);
    statements.retain(|statement| !statement.trim().is_empty());
    Ok(statements)
}

/// A statement as the extended protocol keeps it.
pub(super) type Statement = Arc<Prepared>;

/// Prepares statements for the extended protocol.
pub(super) struct Parser {
    session: Arc<Mutex<Session>>,
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Statement;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let prepared = self.session.lock().await.prepare(sql).await.map_err(wire_error)?;
        Ok(Some(Arc::new(prepared)))
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        let pg_type = |data_type: &Option<_>| match data_type {
            Some(data_type) => arrow_pg::datatypes::into_pg_type(data_type),
            None => Ok(Type::UNKNOWN),
        };
        statement.parameter_types.iter().map(pg_type).collect()
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        encode::fields(&statement.schema, format.unwrap_or(&Format::UnifiedBinary))
    }
}

#[async_trait]
impl ExtendedQueryHandler for Connection {
    type Statement = Statement;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser { session: Arc::clone(&self.session) })
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
        let prepared = &portal.statement.statement;
        let types: Vec<_> = prepared.parameter_types.iter().map(Option::as_ref).collect();
        let parameters = arrow_pg::datatypes::df::deserialize_parameters(portal, &types)?;
        self.run(prepared, parameters, &portal.result_column_format, &running).await
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
    }
}
