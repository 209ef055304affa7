//! How an answer goes back: its rows, or the tag of a statement without any.

use std::sync::Arc;

use futures::Stream;
use futures::stream::{self, StreamExt};
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::cancel::Running;
use super::encode;
use super::error::{cancelled, wire_error};
use crate::query::{Answer, RowStream};

/// The answer as a response: rows, or the tag of a statement without any.
pub(super) fn respond(
    answer: Answer,
    in_transaction: bool,
    format: &Format,
    running: Arc<Running>,
) -> PgWireResult<Response> {
    let Answer { tag, rows, .. } = answer;
    match tag {
        "BEGIN" | "START TRANSACTION" => return Ok(Response::TransactionStart(Tag::new("BEGIN"))),
        // ROLLBACK TO a savepoint ends nothing.
        "COMMIT" | "ROLLBACK" if !in_transaction => return Ok(Response::TransactionEnd(Tag::new(tag))),
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

fn wire_rows(rows: RowStream, fields: Arc<Vec<FieldInfo>>) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    rows.flat_map(move |batch| {
        let rows = batch.map_err(wire_error).and_then(|batch| encode::rows(Arc::clone(&fields), &batch));
        let rows: Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send> = match rows {
            Ok(rows) => Box::new(rows),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        stream::iter(rows)
    })
}
