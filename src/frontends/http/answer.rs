//! An answer's body: rows as they come, a bounded piece at a time.
//!
//! The client pulls: while it reads nothing, no batch is asked of the query. When it leaves, the body is dropped,
//! and with it the query.

use std::collections::VecDeque;
use std::io;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use axum::body::{Body, Bytes};
use futures::StreamExt;
use futures::stream::try_unfold;

use super::HttpError;
use super::accept::Format;
use super::formats::{Writer, writer};
use crate::query::{QueryError, QueryErrorKind, RowStream};

/// Rows that are encoded in one piece.
const ROWS_A_PIECE: usize = 1024;

struct Pieces {
    rows: RowStream,
    writer: Box<dyn Writer>,
    /// Rows that were read and not written yet.
    waiting: VecDeque<RecordBatch>,
    /// Written and not sent yet.
    head: Option<Vec<u8>>,
    ended: bool,
}

/// The body with `rows` in `format`. It waits for the first rows, so that an error before them has its status.
pub(super) async fn body(mut rows: RowStream, format: Format) -> Result<Body, HttpError> {
    let mut waiting = VecDeque::new();
    let mut ended = false;
    while waiting.is_empty() && !ended {
        match rows.next().await.transpose()? {
            Some(batch) => split(&batch, &mut waiting),
            None => ended = true,
        }
    }
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

fn split(batch: &RecordBatch, waiting: &mut VecDeque<RecordBatch>) {
    for offset in (0..batch.num_rows()).step_by(ROWS_A_PIECE) {
        waiting.push_back(batch.slice(offset, ROWS_A_PIECE.min(batch.num_rows() - offset)));
    }
}

type Next = Result<Option<(Bytes, Option<Pieces>)>, io::Error>;

impl Pieces {
    async fn next(mut self) -> Next {
        let mut out = self.head.take().unwrap_or_default();
        while self.waiting.is_empty() && !self.ended {
            if !out.is_empty() {
                return Ok(Some((out.into(), Some(self))));
            }
            match self.rows.next().await {
                Some(Ok(batch)) => split(&batch, &mut self.waiting),
                Some(Err(error)) => return self.failed(out, &error),
                None => self.ended = true,
            }
        }
        let written = match self.waiting.pop_front() {
            Some(batch) => self.writer.rows(&batch),
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
