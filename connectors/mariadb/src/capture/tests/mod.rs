//! Capture against a real server.
//!
//! The server is shared with other tests, so each test looks at its own database only: transactions without
//! anything of it are passed over, but for the tests that are about them.

mod damaged;
mod replica;
mod server;
mod statements;
mod transactions;
mod types;
mod xa;

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    Capture as _, CaptureEvent, CaptureStream, CaptureTables, Column, ColumnType, ConnectorError, Position,
    Result, Row, ServiceName, TableDef, TableId, TableKind, Transaction, Value,
};
use futures::StreamExt as _;
use mysql_async::prelude::Queryable as _;
use tokio::sync::watch;

use crate::testing::TestServer;
use crate::{CaptureLimits, MariaDbCapture};

/// Bound on waiting for the server in a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A capture of some tables from a position on.
struct Captured {
    stream: CaptureStream,
    /// Replaces the definitions.
    tables: watch::Sender<Arc<CaptureTables>>,
}

impl Captured {
    /// Captures `tables` of `database` from the server's position now on.
    async fn start(server: &TestServer, database: &str, tables: &[TableDef]) -> Self {
        let from = position(server).await;
        Self::start_at(server, database, tables, from).await.expect("it starts")
    }

    async fn start_at(
        server: &TestServer,
        database: &str,
        tables: &[TableDef],
        from: Position,
    ) -> Result<Self, ConnectorError> {
        Self::start_with(server, database, tables, from, CaptureLimits::default()).await
    }

    async fn start_with(
        server: &TestServer,
        database: &str,
        tables: &[TableDef],
        from: Position,
        limits: CaptureLimits,
    ) -> Result<Self, ConnectorError> {
        let (sender, receiver) = watch::channel(capture_tables(database, tables));
        let capture = MariaDbCapture::new(server.root()).with_limits(limits);
        Ok(Self { stream: capture.start(from, receiver).await?, tables: sender })
    }

    async fn event(&mut self) -> Result<CaptureEvent> {
        let event = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("an event in time");
        event.expect("the stream ends with an error only")
    }

    /// The next transaction, whatever it holds.
    async fn any(&mut self) -> Arc<Transaction> {
        loop {
            if let CaptureEvent::Transaction(transaction) = self.event().await.expect("no error") {
                return transaction;
            }
        }
    }

    /// The next transaction that holds something.
    async fn next(&mut self) -> Arc<Transaction> {
        loop {
            let next = self.any().await;
            let named = next.schema_changes.iter().any(|change| !change.tables.is_empty());
            if named || !next.changes.is_empty() || !next.faults.is_empty() {
                return next;
            }
        }
    }

    /// The error that ends the stream.
    async fn error(&mut self) -> ConnectorError {
        loop {
            if let Err(error) = self.event().await {
                assert!(self.stream.next().await.is_none(), "an error is the end");
                return error;
            }
        }
    }
}

fn capture_tables(database: &str, tables: &[TableDef]) -> Arc<CaptureTables> {
    Arc::new(CaptureTables {
        tables: tables.iter().cloned().map(Arc::new).collect(),
        databases: vec![(database.to_owned(), ServiceName::new("s"))],
    })
}

/// The server's position now.
async fn position(server: &TestServer) -> Position {
    let mut conn = server.connect(None).await;
    let text: Option<String> = conn.query_first("SELECT @@gtid_binlog_pos").await.expect("a position");
    conn.disconnect().await.expect("goodbye");
    text.unwrap_or_default().parse().expect("a position")
}

/// A definition with the first column as its key.
fn table(database: &str, name: &str, columns: &[(&str, ColumnType)]) -> TableDef {
    let column = |(at, (name, column_type)): (usize, &(&str, ColumnType))| Column {
        name: (*name).to_owned(),
        column_type: column_type.clone(),
        nullable: at > 0,
        binlog_index: Some(at),
        max_chars: None,
    };
    TableDef {
        id: TableId::new("s", name),
        database: database.to_owned(),
        kind: TableKind::Base,
        columns: columns.iter().enumerate().map(column).collect(),
        key: vec![0],
        foreign_keys: Vec::new(),
        binlog_columns: columns.len(),
        row_end: None,
        live_only: Vec::new(),
    }
}

/// `id INT PRIMARY KEY, a INT`.
fn pair(database: &str, name: &str) -> TableDef {
    table(database, name, &[("id", INT), ("a", INT)])
}

const INT: ColumnType = ColumnType::Int { unsigned: false };

/// The changes in short: table, and the rows before and after.
fn changes(transaction: &Transaction) -> Vec<(&str, Option<&Row>, Option<&Row>)> {
    let of = |change| transaction.table_of(change).id.table.as_ref();
    transaction.changes.iter().map(|change| (of(change), change.op.before(), change.op.after())).collect()
}

/// A row of integers.
fn row(values: &[i64]) -> Row {
    values.iter().map(|value| Value::Int(*value)).collect()
}
