//! An answer's body: rows as they come, a bounded piece at a time.
//!
//! The client pulls: while it reads nothing, no batch is asked of the query. When it leaves, the body is dropped,
//! and with it the query.

use std::io;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use axum::body::{Body, Bytes};
use futures::StreamExt;
use futures::stream::try_unfold;

use super::HttpError;
use super::accept::Format;
use super::formats::{Writer, writer};
use crate::query::{QueryError, QueryErrorKind, RowStream, bytes_of_rows};

/// The most rows that are encoded in one piece.
const ROWS_A_PIECE: usize = 1024;
/// Bytes of the values in a piece, if it has more than one row: what the client does not take is held encoded.
const PIECE: usize = 256 << 10;

struct Pieces {
    rows: RowStream,
    writer: Box<dyn Writer>,
    /// Rows that were read and not written yet.
    waiting: Option<RecordBatch>,
    /// Written and not sent yet.
    head: Option<Vec<u8>>,
    ended: bool,
}

/// The body with `rows` in `format`. It waits for the first rows, so that an error before them has its status.
pub(super) async fn body(mut rows: RowStream, format: Format) -> Result<Body, HttpError> {
    let waiting = some_rows(&mut rows).await?;
    let ended = waiting.is_none();
    let mut writer =
        writer(format, rows.schema.clone()).map_err(|error| HttpError::of_query(&unwritable(&error)))?;
    let head = writer.start().map_err(|error| HttpError::of_query(&unwritable(&error)))?;
    let pieces = Pieces { rows, writer, waiting, head: Some(head), ended };
    let next = |pieces: Option<Pieces>| async move {
        match pieces {
            None => Ok(None),
            Some(pieces) => pieces.next().await,
        }
    };
    Ok(Body::from_stream(try_unfold(Some(pieces), next)))
}

fn unwritable(error: &ArrowError) -> QueryError {
    QueryError::new(QueryErrorKind::Internal, format!("the rows cannot be written: {error}"))
}

/// The next batch that has rows.
async fn some_rows(rows: &mut RowStream) -> Result<Option<RecordBatch>, QueryError> {
    while let Some(batch) = rows.next().await.transpose()? {
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

type Next = Result<Option<(Bytes, Option<Pieces>)>, io::Error>;

impl Pieces {
    async fn next(mut self) -> Next {
        let mut out = self.head.take().unwrap_or_default();
        while self.waiting.is_none() && !self.ended {
            if !out.is_empty() {
                return Ok(Some((out.into(), Some(self))));
            }
            match some_rows(&mut self.rows).await {
                Ok(batch) => {
                    self.ended = batch.is_none();
                    self.waiting = batch;
                }
                Err(error) => return self.failed(out, &error),
            }
        }
        let written = match self.waiting.take() {
            Some(batch) => self.piece(&batch),
            None => match self.writer.end() {
                Ok(end) => {
                    out.extend(end);
                    return Ok(Some((out.into(), None)));
                }
                Err(error) => Err(error),
            },
        };
        match written {
            Ok(rows) => {
                out.extend(rows);
                Ok(Some((out.into(), Some(self))))
            }
            Err(error) => {
                let error = unwritable(&error);
                self.failed(out, &error)
            }
        }
    }

    /// The first rows of `batch`; the others wait.
    fn piece(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut rows = ROWS_A_PIECE.min(batch.num_rows());
        while rows > 1 && bytes_of_rows(batch, 0..rows) > PIECE {
            rows /= 2;
        }
        if rows < batch.num_rows() {
            self.waiting = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        self.writer.rows(&batch.slice(0, rows))
    }

    fn failed(&mut self, mut out: Vec<u8>, error: &QueryError) -> Next {
        tracing::warn!(error = error.message, "a query failed after its first rows were sent");
        match self.writer.fail(error) {
            Some(end) => {
                out.extend(end);
                Ok(Some((out.into(), None)))
            }
            None => Err(io::Error::other(error.message.clone())),
        }
    }
}
