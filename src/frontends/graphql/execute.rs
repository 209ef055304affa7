//! Runs a document: level by level, one plan per selected list or object field.
//!
//! The number of plans, and of statements that reach a source, is the number of such fields in the document,
//! never the number of rows. All plans of a document run under one pin, so they see one state of each service.
//!
//! Rows are kept until the answer is written. How many is bounded while they come: every row becomes an object of
//! the answer, most often several, so what passes the answer's bounds here passes them there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::{Response, Value};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, try_join_all};
use parking_lot::Mutex;

use super::document::{Node, Output};
use super::error::Failure;
use super::model::Edge;
use super::plan::{Keys, Planner, needed_columns};
use super::response::{check_bytes, check_objects};
use crate::frontends::cells::Style;
use crate::query::{Engine, Pinned, QueryError, QueryErrorKind, RouteTaken};

/// The rows of one node, with those of its nested fields.
pub(super) struct Level {
    /// The node's [`needed_columns`]; for a nested node, the ordinal is one more, the last.
    pub(super) rows: RecordBatch,
    /// How each column's values are written.
    pub(super) styles: Vec<Style>,
    /// Where each ordinal's rows begin and end, for a nested node.
    pub(super) ranges: Vec<(usize, usize)>,
    /// One for each [`Output::Edge`], in order.
    pub(super) nested: Vec<Nested>,
}

/// A nested level, and to which of its ordinals each row above leads.
pub(super) struct Nested {
    pub(super) level: Level,
    pub(super) ordinals: Vec<Option<u32>>,
}

/// Runs the plans of one document.
pub(super) struct Executor<'a> {
    engine: &'a Engine,
    pinned: &'a Pinned,
    planner: Mutex<Planner<'a>>,
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

impl<'a> Executor<'a> {
    pub(super) fn new(engine: &'a Engine, pinned: &'a Pinned, planner: Planner<'a>) -> Self {
        let (rows, bytes) = Default::default();
        Self { engine, pinned, planner: Mutex::new(planner), rows, bytes }
    }

    /// The rows of a root field, with everything below.
    pub(super) async fn root(&self, node: &Node<'_>) -> Result<Level, Failure> {
        let plan = self.planner.lock().root(node);
        let rows = self.run(plan).await.map_err(|error| failed(error, node))?;
        self.level(node, rows, Vec::new()).await
    }

    fn nested<'s>(
        &'s self,
        node: &'s Node<'_>,
        edge: &'s Edge,
        above: &'s RecordBatch,
        columns: &'s [usize],
    ) -> BoxFuture<'s, Result<Nested, Failure>> {
        async move {
            let (keys, ordinals) = distinct_keys(edge, above, columns).map_err(internal)?;
            let count = keys.columns.first().map_or(0, |(_, array)| array.len());
            let live = self
                .pinned
                .reads()
                .iter()
                .any(|read| read.service == node.table.id.service && read.route == RouteTaken::Live);
            let plan = self.planner.lock().nested(node, edge, &keys, live);
            let rows = self.run(plan).await.map_err(|error| failed(error, node))?;
            let ranges = ranges(&rows, count)?;
            Ok(Nested { level: self.level(node, rows, ranges).await?, ordinals })
        }
        .boxed()
    }

    async fn level(
        &self,
        node: &Node<'_>,
        rows: RecordBatch,
        ranges: Vec<(usize, usize)>,
    ) -> Result<Level, Failure> {
        let columns = needed_columns(node);
        let edges = node.outputs.iter().filter_map(|output| match output {
            Output::Edge { edge, node, .. } => Some(self.nested(node, edge, &rows, &columns)),
            _ => None,
        });
        let nested = try_join_all(edges.collect::<Vec<_>>()).await?;
        let styles = rows.schema_ref().fields().iter().map(|field| Style::of(field).embed_json()).collect();
        Ok(Level { rows, styles, ranges, nested })
    }

    async fn run(&self, plan: Result<LogicalPlan, DataFusionError>) -> Result<RecordBatch, QueryError> {
        let mut stream = self.engine.run(self.pinned, plan?).await?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let rows = self.rows.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows();
            check_objects(rows as u64)?;
            let bytes = batch.columns().iter().map(text_bytes).sum::<usize>();
            check_bytes(self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)?;
            batches.push(batch);
        }
        concat_batches(&stream.schema, &batches).map_err(internal)
    }
}

/// A failure at `node`. What cannot be read is of its service, unless its plan reads others too.
fn failed(mut error: QueryError, node: &Node<'_>) -> Failure {
    let service = &node.table.id.service;
    if error.kind == QueryErrorKind::Unavailable
        && node.own_tables().iter().all(|table| table.service == *service)
    {
        error.service.get_or_insert_with(|| service.clone());
    }
    Failure { error, place: Some(node.place.clone()) }
}

/// Bytes of the texts in `array`, each of which is written at least once. Of numbers, their count is bound enough.
fn text_bytes(array: &ArrayRef) -> usize {
    // The length of a view is its lower half.
    let length = |view: &u128| *view as u32 as usize;
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().views().iter().map(length).sum(),
        DataType::BinaryView => array.as_binary_view().views().iter().map(length).sum(),
        _ => 0,
    }
}

/// The distinct keys among the rows above, and each row's ordinal among them; `None` where a part is NULL.
fn distinct_keys(
    edge: &Edge,
    above: &RecordBatch,
    columns: &[usize],
) -> Result<(Keys, Vec<Option<u32>>), ArrowError> {
    let place = |column: usize| columns.iter().position(|c| *c == column).unwrap_or_default();
    let places: Vec<usize> = edge.columns.iter().map(|(here, _)| place(*here)).collect();
    let arrays: Vec<ArrayRef> = places.iter().map(|place| Arc::clone(above.column(*place))).collect();
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&arrays)?;
    let mut seen = HashMap::new();
    let mut first_rows = Vec::new();
    let mut ordinals = Vec::with_capacity(above.num_rows());
    for index in 0..above.num_rows() {
        if arrays.iter().any(|array| array.is_null(index)) {
            ordinals.push(None);
            continue;
        }
        let next = first_rows.len() as u32;
        let ordinal = *seen.entry(rows.row(index).owned()).or_insert_with(|| {
            first_rows.push(index as u32);
            next
        });
        ordinals.push(Some(ordinal));
    }
    let indices = UInt32Array::from(first_rows);
    let schema = above.schema();
    let columns = places
        .iter()
        .zip(&arrays)
        .map(|(place, array)| Ok((Arc::new(schema.field(*place).clone()), take(array, &indices, None)?)))
        .collect::<Result<_, ArrowError>>()?;
    Ok((Keys { columns }, ordinals))
}

/// Where each of `count` ordinals begins and ends in `rows`, which are sorted by their last column.
fn ranges(rows: &RecordBatch, count: usize) -> Result<Vec<(usize, usize)>, QueryError> {
    let ordinals = rows.columns().last().and_then(|array| array.as_any().downcast_ref::<UInt32Array>());
    let ordinals = ordinals.ok_or_else(|| internal("nested rows came without their ordinals"))?;
    let mut ranges = vec![(0, 0); count];
    for (row, ordinal) in ordinals.values().iter().enumerate() {
        let range = ranges.get_mut(*ordinal as usize).ok_or_else(|| internal("an ordinal is out of range"))?;
        if range.1 == 0 {
            range.0 = row;
        }
        range.1 = row + 1;
    }
    Ok(ranges)
}

fn internal(error: impl std::fmt::Display) -> QueryError {
    QueryError::new(QueryErrorKind::Internal, error.to_string())
}

/// Keeps async-graphql from running what it has validated.
pub(super) struct NothingRuns;

impl ExtensionFactory for NothingRuns {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for NothingRuns {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}
