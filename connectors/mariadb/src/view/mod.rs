//! A consistent view: one read-only transaction on one connection, and the scans that go through it.
//!
//! Why can scans that are started in any order and read alternately not wait for each other for ever? One task
//! owns the connection and runs the statements in the order in which their first rows were asked for. A
//! statement whose rows nobody takes waits ([`buffer`]) only as long as no other statement wants the
//! connection; when one does, the rest of its rows is read into memory at once. That memory is bounded by the
//! view's budget, and a view that would exceed it fails with [`ErrorKind::Limit`]. So a statement waits for a
//! reader, or fails, but never waits for another statement's reader.
//!
//! Why does an open view not keep the owner from changing a table? See [`giving_way`].
//!
//! Why does nothing stay behind on the server? A reader that goes away ends its statement (KILL QUERY); when the
//! view and all its streams are gone, the task ends the transaction and gives the connection back, or closes it
//! if it cannot be sure of its state.

mod admission;
mod bounds;
mod buffer;
mod estimate;
mod explained;
mod giving_way;
mod open;
mod reading;
mod snapshot;
mod task;

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use crossweave_contract::{
    BatchStream, BooleanColumns, ConnectorError, ErrorKind, Estimate, Position, RemoteQuery, Result,
    SourceView, TableDef, TableId,
};
use futures::StreamExt as _;
use futures::stream;
use tokio::sync::{mpsc, oneshot, watch};

use crate::decode::RowDecoder;
use crate::scan;
pub(crate) use admission::Known;
pub(crate) use bounds::Bounds;
use buffer::Budget;
pub(crate) use open::{LastPlace, open};
use task::{Asked, Definition, Request, Scan};

/// Requests that may wait for the connection of one view; one more fails with [`ErrorKind::Limit`].
const MOST_WAITING: usize = 256;

/// The handle that queries hold.
pub(crate) struct View {
    position: Option<Position>,
    queue: Queue,
}

/// Where requests wait for the task. Clones keep the view open.
#[derive(Clone)]
struct Queue {
    requests: mpsc::Sender<Request>,
    /// How many requests wait; the task reads on without its reader while there are any.
    waiting: Arc<watch::Sender<usize>>,
    budget: Arc<Budget>,
}

impl Queue {
    fn send(&self, request: Request) -> Result<()> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.requests.try_send(request).map_err(|error| {
            self.waiting.send_modify(|waiting| *waiting -= 1);
            match error {
                mpsc::error::TrySendError::Full(_) => ConnectorError::new(
                    ErrorKind::Limit,
                    format!("more than {MOST_WAITING} scans of one service wait for its connection"),
                ),
                mpsc::error::TrySendError::Closed(_) => {
                    ConnectorError::new(ErrorKind::Cancelled, "the view of the service has ended")
                }
            }
        })
    }
}

#[async_trait]
impl SourceView for View {
    fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    async fn definition(&self, table: &TableId, database: &str, booleans: &BooleanColumns) -> Result<TableDef> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Definition(Definition {
            table: table.clone(),
            database: database.to_owned(),
            booleans: booleans.clone(),
            reply,
        }))?;
        answer.await.unwrap_or_else(|_| Err(buffer::ended()))
    }

    async fn estimate(&self, query: &RemoteQuery) -> Result<Option<Estimate>> {
        let statement = scan::statement(query)?;
        let table = RowDecoder::new(query)?.table().clone();
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Estimate(Asked { statement, table, reply }))?;
        answer.await.unwrap_or_else(|_| Err(buffer::ended()))
    }

    /// Asks for the connection when the stream is first polled, so that a scan whose turn in a plan comes later
    /// does not make an earlier one read ahead.
    fn scan(&self, query: RemoteQuery) -> BatchStream {
        let queue = self.queue.clone();
        let started = async move {
            let statement = scan::statement(&query)?;
            let decoder = RowDecoder::new(&query)?;
            let tables = query.tables().into_iter().cloned().collect();
            let (writer, reader) = buffer::channel(Arc::clone(&queue.budget), queue.waiting.subscribe());
            queue.send(Request::Scan(Scan { tables, statement, decoder, writer }))?;
            Ok(reader)
        };
        let batches = stream::once(started).flat_map(|started: Result<buffer::Reader>| match started {
            Ok(reader) => stream::unfold(reader, |mut reader| async move {
                let batch = reader.next().await?;
                Some((batch, reader))
            })
            .boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        batches.boxed()
    }
}
