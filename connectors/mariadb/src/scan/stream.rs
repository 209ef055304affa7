//! Running a statement: rows into batches, as they come off the wire.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{ConnectorError, ErrorKind, Result, RowsBuilder};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::Statement;
use crate::connection::{Endpoint, describe};
use crate::decode::RowDecoder;

/// Rows of a batch, where their bytes allow.
const BATCH_ROWS: usize = 8_192;

/// Bytes on the wire after which a batch is handed over, however few its rows.
const BATCH_BYTES: usize = 2 << 20;

/// Where batches go.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Takes a batch; waits or fails when it is full, fails when nobody reads any more.
    async fn push(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Runs `statement` on `conn` and hands its rows to `sink`. After an error rows may be left on the wire.
pub(crate) async fn run(
    conn: &mut Conn,
    endpoint: &Endpoint,
    statement: Statement,
    decoder: &RowDecoder,
    sink: &mut dyn Sink,
) -> Result<()> {
    let failed = |error| describe(endpoint, "reading rows", error);
    let params = if statement.params.is_empty() { Params::Empty } else { statement.params.into() };
    let mut rows = conn.exec_iter(statement.sql, params).await.map_err(failed)?;
    let (mut builder, mut bytes) = (decoder.builder(BATCH_ROWS), 0);
    while let Some(row) = rows.next().await.map_err(failed)? {
        bytes += decoder.append(&row, &mut builder)?;
        if builder.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
            sink.push(finished(&mut builder)?).await?;
            (builder, bytes) = (decoder.builder(BATCH_ROWS), 0);
        }
    }
    if !builder.is_empty() {
        sink.push(finished(&mut builder)?).await?;
    }
    Ok(())
}

fn finished(builder: &mut RowsBuilder) -> Result<RecordBatch> {
    builder.finish().map_err(|error| ConnectorError::new(ErrorKind::Bug, format!("a batch of rows: {error}")))
}
