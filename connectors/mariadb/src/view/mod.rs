//! A consistent view: one read-only transaction on one connection, and the scans that go through it. So that several
//! run side by side, further connections join it ([`joining`]): for statements that wait, and for the parts in which
//! a large table is read ([`spread`]).
//!
//! Why can scans that are started in any order and read alternately not wait for each other for ever? Each connection
//! has a task that runs one statement at a time, of those that wait in one [`queue`]. A statement whose rows nobody
//! takes waits ([`buffer`]) only as long as no other one waits for a connection; when one does, the rest of its rows
//! is read into memory at once. That memory is bounded by the view's budget, and a view that would exceed it fails
//! with [`Limit`](crossweave_contract::ErrorKind::Limit). So a statement waits for a reader, or fails, but never
//! waits for another statement's reader. It does not take more than the one connection for that; others but make it
//! faster.
//!
//! Why does an open view not keep the owner from changing a table? See [`giving_way`].
//!
//! Why does nothing stay behind on the server? A reader that goes away ends its statement (KILL QUERY); when the
//! view and all its streams are gone, the task ends the transaction and gives the connection back, or closes it
//! if it cannot be sure of its state.

mod admission;
mod ahead;
mod asking;
mod bounds;
mod buffer;
mod definition;
mod estimate;
mod expecting;
mod explained;
mod giving_way;
mod joining;
mod lanes;
mod open;
mod ordered;
mod queue;
mod reading;
mod snapshot;
mod spread;
mod task;

#[cfg(test)]
mod expecting_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod grouping_tests;
#[cfg(test)]
mod lanes_tests;
#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod ordered_tests;
#[cfg(test)]
mod spread_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use crossweave_contract::{
    BatchStream, BooleanColumns, Estimate, Expectation, Position, RemoteQuery, Result, ScanWork, ServerRead,
    SourceView, TableDef, TableId, TableWanted,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::oneshot;

use crate::decode::RowDecoder;
use crate::replicas::Server;
use crate::scan::{self, Part, Statement};
pub(crate) use admission::Known;
use ahead::{Prepare, Question};
pub(crate) use bounds::Bounds;
use expecting::Expecting;
use lanes::Lanes;
pub(crate) use open::{Begun, LastPlace, begin, open};
use ordered::{Ordered, ordered_of};
use queue::Group;
use spread::split_of;
use task::{Asked, Definitions, Request, Scan};

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
        let (table, database, booleans) = (table.clone(), database.to_owned(), booleans.clone());
        let mut found = self.definitions(&[TableWanted { table, database, booleans }]).await?;
        found.pop().ok_or_else(buffer::ended)
    }

    async fn definitions(&self, tables: &[TableWanted]) -> Result<Vec<TableDef>> {
        let (reply, answer) = oneshot::channel();
        self.lanes.send(Request::Definitions(Definitions { tables: tables.to_vec(), reply }))?;
        let found = answer.await.unwrap_or_else(|_| Err(buffer::ended()));
        self.server.judge_all(tables, found)
    }

    async fn estimate(&self, query: &RemoteQuery) -> Result<Option<Estimate>> {
        let statement = scan::statement(query)?;
        let table = RowDecoder::new(query)?.table().clone();
        let (reply, answer) = oneshot::channel();
        self.lanes.send(Request::Estimate(Asked { statement, table, reply }))?;
        answer.await.unwrap_or_else(|_| Err(buffer::ended()))
    }

    fn statements(&self) -> usize {
        self.lanes.statements()
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
        if let Err(error) = prepare(&self.lanes, query).await {
            // The statement itself will tell.
            tracing::debug!(%error, "no more connections could be had for a question");
        }
    }

    fn scan_counted(&self, query: RemoteQuery, work: Arc<ScanWork>) -> BatchStream {
        self.scan_all(vec![query], work)
    }

    /// Asks for a connection when the stream is first polled, so that a scan whose turn in a plan comes later
    /// does not make an earlier one read ahead.
    fn scan_all(&self, queries: Vec<RemoteQuery>, work: Arc<ScanWork>) -> BatchStream {
        let reading = Reading { group: self.lanes.group(), lanes: Arc::clone(&self.lanes), work };
        let (most, alone) = (self.lanes.most_beside(), queries.len() == 1);
        let scans = stream::iter(queries).map(move |query| {
            let reading = reading.clone();
            stream::once(reading.begin(query, alone)).try_flatten().boxed()
        });
        scans.flatten_unordered(most).boxed()
    }
}

/// Has connections join that `query` will need.
async fn prepare(lanes: &Lanes, query: &RemoteQuery) -> Result<()> {
    let tables = query.tables().into_iter().cloned().collect();
    let question = Question { tables, split: split_of(query), statement: scan::statement(query)? };
    let (reply, answer) = oneshot::channel();
    lanes.send(Request::Prepare(Prepare { question, reply }))?;
    answer.await.unwrap_or_else(|_| Err(buffer::ended()))
}

/// Statements of a view whose rows one stream gives.
#[derive(Clone)]
struct Reading {
    lanes: Arc<Lanes>,
    group: Group,
    work: Arc<ScanWork>,
}

impl Reading {
    /// Asks for the rows of `query`. The connection that takes it up gives none where they are best read in parts,
    /// but tells these, and they are asked for then. It does not look whether they are unless it is `alone`: several
    /// run side by side as it is.
    async fn begin(self, query: RemoteQuery, alone: bool) -> Result<BatchStream> {
        let whole = scan::statement(&query)?;
        if let Some(ordered) = ordered_of(&query)
            && self.is_better_by_two(&query, &ordered, &whole).await?
        {
            return ordered.rows(move |query, statement| self.rows(query, statement));
        }
        self.whole_or_parts(query, whole, alone)
    }

    async fn is_better_by_two(
        &self,
        query: &RemoteQuery,
        ordered: &Ordered,
        whole: &Statement,
    ) -> Result<bool> {
        if let Some(known) = self.lanes.is_better_by_two(whole) {
            return Ok(known);
        }
        let (statements, table) = (ordered.statements(whole.clone())?, RowDecoder::new(query)?.table().clone());
        let (reply, answer) = oneshot::channel();
        self.lanes.send(Request::Ordered(Box::new(ordered::Question { statements, table, reply })))?;
        Ok(answer.await.unwrap_or_else(|_| Err(buffer::ended()))?.is_some())
    }

    /// The rows that `statement`, which asks for `query`, gives.
    fn rows(&self, query: &RemoteQuery, statement: Statement) -> Result<BatchStream> {
        let tables: Arc<[Arc<TableDef>]> = query.tables().into_iter().cloned().collect();
        let (decoder, work) = (Arc::new(RowDecoder::new(query)?), Arc::clone(&self.work));
        let scan = |writer| Scan { tables, statement, decoder, admitted: false, split: None, work, writer };
        Ok(batches(self.lanes.scan(self.group, scan)?, Arc::clone(&self.lanes)))
    }

    /// The rows of `query`, which `whole` asks for.
    fn whole_or_parts(self, query: RemoteQuery, whole: Statement, alone: bool) -> Result<BatchStream> {
        let decoder = Arc::new(RowDecoder::new(&query)?);
        let tables: Arc<[Arc<TableDef>]> = query.tables().into_iter().cloned().collect();
        let (told, parts) = oneshot::channel();
        let split = split_of(&query).filter(|_| alone).map(|split| (split, told));
        let most = self.lanes.most();
        let rows = move |statement, split, admitted| -> Result<BatchStream> {
            let (tables, decoder, work) = (Arc::clone(&tables), Arc::clone(&decoder), Arc::clone(&self.work));
            let scan = |writer| Scan { tables, statement, decoder, admitted, split, work, writer };
            let reader = self.lanes.scan(self.group, scan)?;
            Ok(batches(reader, Arc::clone(&self.lanes)))
        };
        let whole = rows(whole, split, false)?;
        let rows_of = move |part: Part| {
            let rows = scan::statement_of_part(&query, &part).and_then(|statement| rows(statement, None, true));
            rows.unwrap_or_else(|error| stream::iter([Err(error)]).boxed())
        };
        let parts = stream::once(async move { stream::iter(parts.await.unwrap_or_default()) }).flatten();
        Ok(whole.chain(parts.map(rows_of).flatten_unordered(most)).boxed())
    }
}

/// The rows that `reader` is given. They hold the view open.
fn batches(reader: buffer::Reader, lanes: Arc<Lanes>) -> BatchStream {
    let batches = stream::unfold((reader, lanes), |(mut reader, lanes)| async move {
        let batch = reader.next().await?;
        Some((batch, (reader, lanes)))
    });
    batches.boxed()
}
