//! A consistent view: one read-only transaction on one connection, and the scans that go through it. For the rows of
//! a large table further connections join it ([`spread`]).
//!
//! Why can scans that are started in any order and read alternately not wait for each other for ever? One task
//! owns a connection and runs the statements in the order in which their first rows were asked for. A
//! statement whose rows nobody takes waits ([`buffer`]) only as long as no other statement wants the
//! connection; when one does, the rest of its rows is read into memory at once. That memory is bounded by the
//! view's budget, and a view that would exceed it fails with [`Limit`](crossweave_contract::ErrorKind::Limit). So a
//! statement waits for a reader, or fails, but never waits for another statement's reader.
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
mod expecting;
mod explained;
mod giving_way;
mod lanes;
mod open;
mod reading;
mod snapshot;
mod spread;
mod task;

#[cfg(test)]
mod expecting_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod spread_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use crossweave_contract::{
    BatchStream, BooleanColumns, Estimate, Expectation, Position, RemoteQuery, Result, ScanWork, ServerRead,
    SourceView, TableDef, TableId,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::oneshot;

use crate::decode::RowDecoder;
use crate::replicas::Server;
use crate::scan::{self, Part, Statement};
pub(crate) use admission::Known;
pub(crate) use bounds::Bounds;
use expecting::Expecting;
use lanes::Lanes;
pub(crate) use open::{Begun, LastPlace, begin, open};
use spread::{Spreading, split_of};
use task::{Asked, Definition, Request, Scan};

/// The handle that queries hold.
pub(crate) struct View {
    lanes: Arc<Lanes>,
    server: Server,
    read: Option<ServerRead>,
}

#[async_trait]
impl SourceView for View {
    fn position(&self) -> Option<Position> {
        self.lanes.position()
    }

    fn server(&self) -> Option<&ServerRead> {
        self.read.as_ref()
    }

    async fn definition(&self, table: &TableId, database: &str, booleans: &BooleanColumns) -> Result<TableDef> {
        let (reply, answer) = oneshot::channel();
        self.lanes.send(Request::Definition(Definition {
            table: table.clone(),
            database: database.to_owned(),
            booleans: booleans.clone(),
            reply,
        }))?;
        self.server.judge(table, answer.await.unwrap_or_else(|_| Err(buffer::ended())))
    }

    async fn estimate(&self, query: &RemoteQuery) -> Result<Option<Estimate>> {
        let statement = scan::statement(query)?;
        let table = RowDecoder::new(query)?.table().clone();
        let (reply, answer) = oneshot::channel();
        self.lanes.send(Request::Estimate(Asked { statement, table, reply }))?;
        answer.await.unwrap_or_else(|_| Err(buffer::ended()))
    }

    async fn expectation(&self, query: &RemoteQuery) -> Result<Option<Expectation>> {
        let statement = scan::statement(query)?;
        let table = RowDecoder::new(query)?.table().clone();
        let (reply, answer) = oneshot::channel();
        let asked = Expecting { query: query.clone(), statement, table, reply };
        self.lanes.send(Request::Expectation(Box::new(asked)))?;
        answer.await.unwrap_or_else(|_| Err(buffer::ended()))
    }

    async fn prepare(&self, query: &RemoteQuery) {
        if let Ok(statement) = scan::statement(query)
            && let Err(error) = parts(&self.lanes, query, &statement, true).await
        {
            // The statement itself will tell.
            tracing::debug!(%error, "no more connections could be had for a large table");
        }
    }

    /// Asks for a connection when the stream is first polled, so that a scan whose turn in a plan comes later
    /// does not make an earlier one read ahead.
    fn scan_counted(&self, query: RemoteQuery, work: Arc<ScanWork>) -> BatchStream {
        stream::once(begin_scan(Arc::clone(&self.lanes), query, work)).try_flatten().boxed()
    }
}

/// Asks for the rows of `query`.
async fn begin_scan(lanes: Arc<Lanes>, query: RemoteQuery, work: Arc<ScanWork>) -> Result<BatchStream> {
    let whole = scan::statement(&query)?;
    let decoder = Arc::new(RowDecoder::new(&query)?);
    let tables: Arc<[Arc<TableDef>]> = query.tables().into_iter().cloned().collect();
    let parts = parts(&lanes, &query, &whole, false).await?;
    let rows = {
        let (lanes, work) = (Arc::clone(&lanes), Arc::clone(&work));
        move |statement: Statement, admitted: bool| -> Result<BatchStream> {
            let (tables, decoder, work) = (Arc::clone(&tables), Arc::clone(&decoder), Arc::clone(&work));
            let reader =
                lanes.scan(|writer, turn| Scan { tables, statement, decoder, admitted, work, writer, turn })?;
            Ok(batches(reader, Arc::clone(&lanes)))
        }
    };
    if parts.is_empty() {
        work.connections.fetch_max(1, Ordering::Relaxed);
        return rows(whole, false);
    }
    let side_by_side = lanes.len().min(parts.len());
    work.connections.fetch_max(side_by_side as u64, Ordering::Relaxed);
    let parts = stream::iter(parts).map(move |part| {
        let rows = scan::statement_of_part(&query, &part).and_then(|statement| rows(statement, true));
        rows.unwrap_or_else(|error| stream::iter([Err(error)]).boxed())
    });
    Ok(parts.flatten_unordered(side_by_side).boxed())
}

/// The rows that `reader` is given. They hold the view open.
fn batches(reader: buffer::Reader, lanes: Arc<Lanes>) -> BatchStream {
    let batches = stream::unfold((reader, lanes), |(mut reader, lanes)| async move {
        let batch = reader.next().await?;
        Some((batch, (reader, lanes)))
    });
    batches.boxed()
}

/// The parts in which `query`, which is asked as `statement`, is best read; none: all in one. `ahead` of reading it is but
/// seen to it that there can be any.
async fn parts(lanes: &Lanes, query: &RemoteQuery, statement: &Statement, ahead: bool) -> Result<Vec<Part>> {
    let Some((table, column)) = split_of(query) else { return Ok(Vec::new()) };
    let (reply, answer) = oneshot::channel();
    let (table, statement) = (Arc::clone(table), statement.clone());
    lanes.send(Request::Spread(Spreading { table, column, statement, ahead, reply }))?;
    answer.await.unwrap_or_else(|_| Err(buffer::ended()))
}
