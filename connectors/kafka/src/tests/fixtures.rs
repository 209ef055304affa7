//! Tables and transactions for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossweave_contract::{
    Change, ChangeLog, ChangeOp, Collation, Column, ColumnType, Fingerprint, Gtid, LogEntry, LogPlace,
    LogStream, Position, SourceId, TableDef, TableId, TableKind, Transaction, Value,
};
use futures::StreamExt;

use super::broker;
use crate::{KafkaLog, KafkaOptions};

/// Options for the shared broker, with a prefix that no other test has.
pub(super) fn options(test: &str) -> KafkaOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    KafkaOptions::new(vec![broker::shared().to_owned()], format!("{test}-{}-{number}", std::process::id()))
}

pub(super) fn log(options: &KafkaOptions) -> KafkaLog {
    KafkaLog::new(options.clone()).unwrap()
}

pub(super) fn source() -> SourceId {
    SourceId::new("shop")
}

fn table(service: &str, table: &str, columns: Vec<(&str, ColumnType)>, key: Vec<usize>) -> Arc<TableDef> {
    let column = |(index, (name, column_type)): (usize, (&str, ColumnType))| Column {
        name: name.to_owned(),
        column_type,
        nullable: !key.contains(&index),
        binlog_index: Some(index),
        max_chars: None,
    };
    Arc::new(TableDef {
        id: TableId::new(service, table),
        database: format!("{service}_db"),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns: columns.into_iter().enumerate().map(column).collect(),
        key,
        foreign_keys: Vec::new(),
        row_end: None,
        live_only: Vec::new(),
    })
}

fn collation() -> Collation {
    Collation::new("utf8mb4", "utf8mb4_general_ci")
}

/// `users.users`: id, name, balance, state, created.
pub(super) fn users() -> Arc<TableDef> {
    let values = vec!["new".to_owned(), "active".to_owned()];
    let columns = vec![
        ("id", ColumnType::BigInt { unsigned: false }),
        ("name", ColumnType::Text { collation: collation() }),
        ("balance", ColumnType::Decimal { precision: 12, scale: 2 }),
        ("state", ColumnType::Enum { values, collation: collation() }),
        ("created", ColumnType::Timestamp { fsp: 6 }),
    ];
    table("users", "users", columns, vec![0])
}

/// `orders.order lines`: a key of two columns, in an order of its own.
pub(super) fn lines() -> Arc<TableDef> {
    let columns = vec![
        ("line", ColumnType::Int { unsigned: false }),
        ("orderId", ColumnType::BigInt { unsigned: true }),
        ("note", ColumnType::Text { collation: collation() }),
    ];
    table("orders", "order lines", columns, vec![1, 0])
}

pub(super) fn user(id: i64, name: &str) -> Box<[Value]> {
    Box::new([
        Value::Int(id),
        Value::Text(name.into()),
        Value::Decimal(12_345),
        Value::Enum(2),
        Value::Micros(1_700_000_000_123_456),
    ])
}

pub(super) fn line(line: i64, order: u64, note: Option<&str>) -> Box<[Value]> {
    let note = note.map_or(Value::Null, |note| Value::Text(note.into()));
    Box::new([Value::Int(line), Value::UInt(order), note])
}

pub(super) fn insert(table: u32, after: Box<[Value]>) -> Change {
    Change { table, op: ChangeOp::Insert { after }, cascades: true }
}

pub(super) fn update(table: u32, before: Box<[Value]>, after: Box<[Value]>) -> Change {
    Change { table, op: ChangeOp::Update { before, after }, cascades: true }
}

pub(super) fn delete(table: u32, before: Box<[Value]>) -> Change {
    Change { table, op: ChangeOp::Delete { before }, cascades: true }
}

pub(super) fn gtid(sequence: u64) -> Gtid {
    Gtid { domain: 0, server: 13_301, sequence }
}

pub(super) fn position(sequence: u64) -> Position {
    Position::from(gtid(sequence))
}

/// Transaction number `sequence` of [`source`], after the one before.
pub(super) fn transaction(sequence: u64, tables: Vec<Arc<TableDef>>, changes: Vec<Change>) -> Transaction {
    Transaction {
        source: source(),
        gtid: gtid(sequence),
        previous: if sequence > 1 { position(sequence - 1) } else { Position::origin() },
        committed_at: 1_700_000_001_000_000,
        fingerprint: Fingerprint::default(),
        tables,
        changes,
        schema_changes: Vec::new(),
        faults: Vec::new(),
    }
}

/// Inserts the user `sequence`.
pub(super) fn simple(sequence: u64) -> Arc<Transaction> {
    let row = user(sequence as i64, &format!("user {sequence}"));
    Arc::new(transaction(sequence, vec![users()], vec![insert(0, row)]))
}

/// The position after what `log` has of [`source`].
pub(super) async fn end_position(log: &KafkaLog) -> Option<Position> {
    log.end(&source()).await.unwrap().map(|end| end.position)
}

/// The next entry; a test that waits this long for one has failed.
pub(super) async fn next(stream: &mut LogStream) -> LogEntry {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next()).await;
    next.expect("an entry within 30 s").expect("the stream goes on").expect("no error")
}

/// The next transaction, heartbeats aside.
pub(super) async fn next_transaction(stream: &mut LogStream) -> (Arc<Transaction>, LogPlace) {
    loop {
        if let LogEntry::Transaction { transaction, place } = next(stream).await {
            return (transaction, place.expect("Kafka has places"));
        }
    }
}
