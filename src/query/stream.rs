//! The rows of an answer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};

use super::QueryError;

/// Record batches as they are made; ends after the first error. Dropping it ends the query: its plan, and the
/// statements that still run on sources.
pub struct RowStream {
    /// What each batch holds.
    pub schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
}

impl RowStream {
    /// `batches`, each of `schema`.
    pub fn new(
        schema: SchemaRef,
        batches: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
    ) -> Self {
        Self { schema, batches: batches.boxed() }
    }

    /// No rows and no columns: the answer to a statement that has none.
    pub fn empty() -> Self {
        Self::new(Arc::new(Schema::empty()), futures::stream::empty())
    }

    /// The rows of one batch.
    pub fn once(batch: RecordBatch) -> Self {
        Self::new(batch.schema(), futures::stream::iter([Ok(batch)]))
    }

    /// All batches; for answers that are known to be small, and for tests.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}
