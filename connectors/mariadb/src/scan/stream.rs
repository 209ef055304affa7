//! Running a statement: rows into batches, as they come off the wire.

use std::mem::replace;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use crossweave_contract::{ConnectorError, ErrorKind, Result, RowsBuilder, ScanWork};
use mysql_async::Params;

use super::Statement;
use crate::connection::{Endpoint, describe, heard};
use crate::decode::RowDecoder;
use crate::wire::Conn;

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

/// Runs `statement` on `conn` and hands its rows to `sink`, counted in `work`. After an error rows may be left on the
/// wire.
pub(crate) async fn run(
    conn: &mut Conn,
    endpoint: &Endpoint,
    statement: Statement,
    decoder: &RowDecoder,
    work: &ScanWork,
    sink: &mut dyn Sink,
) -> Result<()> {
    let failed = |error| describe(endpoint, "reading rows", error);
    let params = if statement.params.is_empty() { Params::Empty } else { statement.params.into() };
    work.statements.fetch_add(1, Ordering::Relaxed);
    let mut since = Instant::now();
    let mut rows = heard(conn.rows(&statement.sql, params)).await.map_err(failed)?;
    decoder.check_width(rows.width())?;
    let (mut builder, mut bytes, mut waits) = (decoder.builder(BATCH_ROWS), 0, true);
    while let Some(row) = rows.next().await.map_err(failed)? {
        if replace(&mut waits, false) {
            count_time(&work.waited, &mut since);
        }
        bytes += row.bytes();
        decoder.append(row, &mut builder, endpoint)?;
        if builder.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
            work.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            count_time(&work.read, &mut since);
            sink.push(finished(&mut builder, endpoint)?).await?;
            // Waiting for whoever takes the rows is no time of the server's.
            since = Instant::now();
            (builder, bytes) = (decoder.builder(BATCH_ROWS), 0);
        }
    }
    work.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    count_time(if waits { &work.waited } else { &work.read }, &mut since);
    if !builder.is_empty() {
        sink.push(finished(&mut builder, endpoint)?).await?;
    }
    Ok(())
}

/// Adds the time since `since`, which is now after that.
fn count_time(time: &AtomicU64, since: &mut Instant) {
    let now = Instant::now();
    let micros = u64::try_from((now - *since).as_micros()).unwrap_or(u64::MAX);
    time.fetch_add(micros, Ordering::Relaxed);
    *since = now;
}

fn finished(builder: &mut RowsBuilder, endpoint: &Endpoint) -> Result<RecordBatch> {
    // A NULL where none may be, after what is known of the columns.
    builder.finish().map_err(|error| {
        let message = format!("{endpoint}: the server sent rows that its definitions do not allow: {error}");
        ConnectorError::new(ErrorKind::Protocol, message)
    })
}
