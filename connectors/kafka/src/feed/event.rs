//! Events: one change as one record, or as two or three.
//!
//! | change | records of the table's feed |
//! | --- | --- |
//! | insert | `c` |
//! | update | `u` |
//! | update of the key | `d` under the old key, a tombstone, `c` under the new key; headers link them |
//! | delete | `d`, a tombstone |
//!
//! A tombstone is a record with a key and no value: compaction then forgets the key. It is no event: neither
//! `total_order` nor the markers count it.

use std::collections::HashMap;

use crossweave_contract::{
    ChangeOp, Column, ConnectorError, ErrorKind, Gtid, Result, TableDef, Transaction, Value,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::value::FeedValue;

/// Debezium's header on the delete of a changed key: the key that follows.
const NEW_KEY: &str = "__debezium.newkey";
/// Debezium's header on the create of a changed key: the key before.
const OLD_KEY: &str = "__debezium.oldkey";

/// One record of a feed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeedRecord<'a> {
    /// Index of the table in the transaction.
    pub(crate) table: usize,
    /// JSON object of the key's columns; `None` for a table without a key.
    pub(crate) key: Option<&'a [u8]>,
    /// The event; `None` makes a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// A header's name and the key it holds.
    pub(crate) header: Option<(&'static str, &'a [u8])>,
}

impl<'a> FeedRecord<'a> {
    fn new(
        table: usize,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        header: Option<(&'static str, &'a [u8])>,
    ) -> Self {
        Self { table, key, value, header }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    before: Option<FeedRow<'a>>,
    after: Option<FeedRow<'a>>,
    source: Source<'a>,
    transaction: TransactionBlock<'a>,
    op: &'static str,
    ts_ms: i64,
}

#[derive(Serialize)]
struct Source<'a> {
    version: &'static str,
    connector: &'static str,
    name: &'a str,
    ts_ms: i64,
    snapshot: &'static str,
    db: &'a str,
    table: &'a str,
    server_id: u32,
    gtid: &'a str,
    file: Option<&'a str>,
    pos: Option<u64>,
    row: u32,
}

#[derive(Serialize)]
struct TransactionBlock<'a> {
    id: &'a str,
    total_order: u64,
    data_collection_order: u64,
}

/// The columns of a row, or those of its key.
struct FeedRow<'a> {
    table: &'a TableDef,
    row: &'a [Value],
    key_only: bool,
}

impl Serialize for FeedRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { table, row, key_only } = self;
        let mut map = serializer.serialize_map(None)?;
        let mut entry = |(column, value): (&Column, &Value)| {
            map.serialize_entry(&column.name, &FeedValue(&column.column_type, value))
        };
        if *key_only {
            table.key.iter().try_for_each(|&at| entry((&table.columns[at], &row[at])))?;
        } else {
            table.columns.iter().zip(*row).try_for_each(entry)?;
        }
        map.end()
    }
}

/// What `transaction` is called in markers and events. Numbers are those of one source: of another one they may be the
/// same.
pub(super) fn id(transaction: &Transaction) -> String {
    format!("{}:{}", transaction.source, transaction.gtid)
}

/// Hands the records of `transaction`'s changes of the tables that are `fed`, by their place in it, to `take`, in order. `name`
/// is `source.name`; `now` is the envelope's `ts_ms`.
pub(crate) fn for_each_record(
    transaction: &Transaction,
    fed: &[bool],
    name: &str,
    now: i64,
    take: &mut dyn FnMut(FeedRecord<'_>) -> Result<()>,
) -> Result<()> {
    let mut writer = EventWriter {
        transaction,
        name,
        now,
        id: id(transaction),
        gtid: transaction.gtid.to_string(),
        total: 0,
        by_table: HashMap::new(),
        value: Vec::new(),
    };
    for (ordinal, change) in transaction.changes.iter().enumerate() {
        if fed[change.table as usize] {
            writer.change(ordinal, take)?;
        }
    }
    Ok(())
}

struct EventWriter<'a> {
    transaction: &'a Transaction,
    name: &'a str,
    now: i64,
    id: String,
    gtid: String,
    total: u64,
    by_table: HashMap<usize, u64>,
    /// Reused from event to event.
    value: Vec<u8>,
}

impl EventWriter<'_> {
    fn change(&mut self, ordinal: usize, take: &mut dyn FnMut(FeedRecord<'_>) -> Result<()>) -> Result<()> {
        let change = &self.transaction.changes[ordinal];
        let index = change.table as usize;
        let table = &**self.transaction.table_of(change);
        let old_key =
            change.op.before().map(|row| key(self.transaction.gtid, table, row)).transpose()?.flatten();
        let new_key =
            change.op.after().map(|row| key(self.transaction.gtid, table, row)).transpose()?.flatten();
        let (old_key, new_key) = (old_key.as_deref(), new_key.as_deref());
        match &change.op {
            ChangeOp::Insert { after } => {
                let value = self.event(ordinal, "c", None, Some(after))?;
                take(FeedRecord::new(index, new_key, Some(value), None))
            }
            ChangeOp::Update { before, after } if !changes_key(table, before, after) => {
                let value = self.event(ordinal, "u", Some(before), Some(after))?;
                take(FeedRecord::new(index, new_key, Some(value), None))
            }
            ChangeOp::Update { before, after } => {
                let value = self.event(ordinal, "d", Some(before), None)?;
                take(FeedRecord::new(index, old_key, Some(value), new_key.map(|key| (NEW_KEY, key))))?;
                take(FeedRecord::new(index, old_key, None, None))?;
                let value = self.event(ordinal, "c", None, Some(after))?;
                take(FeedRecord::new(index, new_key, Some(value), old_key.map(|key| (OLD_KEY, key))))
            }
            ChangeOp::Delete { before } => {
                let value = self.event(ordinal, "d", Some(before), None)?;
                take(FeedRecord::new(index, old_key, Some(value), None))?;
                // A record with neither key nor value would say nothing.
                if old_key.is_some() { take(FeedRecord::new(index, old_key, None, None)) } else { Ok(()) }
            }
        }
    }

    fn event(
        &mut self,
        ordinal: usize,
        op: &'static str,
        before: Option<&[Value]>,
        after: Option<&[Value]>,
    ) -> Result<&[u8]> {
        let Transaction { gtid, committed_at, changes, .. } = self.transaction;
        let change = &changes[ordinal];
        let table = &**self.transaction.table_of(change);
        let in_table = self.by_table.entry(change.table as usize).or_default();
        *in_table += 1;
        self.total += 1;
        let row = |row| FeedRow { table, row, key_only: false };
        let envelope = Envelope {
            before: before.map(row),
            after: after.map(row),
            source: Source {
                version: env!("CARGO_PKG_VERSION"),
                connector: "mariadb",
                name: self.name,
                ts_ms: committed_at.div_euclid(1000),
                snapshot: "false",
                db: &table.database,
                table: &table.id.table,
                server_id: gtid.server,
                gtid: &self.gtid,
                file: None,
                pos: None,
                row: ordinal as u32,
            },
            transaction: TransactionBlock {
                id: &self.id,
                total_order: self.total,
                data_collection_order: *in_table,
            },
            op,
            ts_ms: self.now,
        };
        self.value.clear();
        serde_json::to_writer(&mut self.value, &envelope).map_err(|error| not_encoded(*gtid, table, &error))?;
        Ok(&self.value)
    }
}

/// Whether an update gives a row another key, which makes two events of it.
pub(super) fn changes_key(table: &TableDef, before: &[Value], after: &[Value]) -> bool {
    table.key.iter().any(|&at| before[at] != after[at])
}

fn key(gtid: Gtid, table: &TableDef, row: &[Value]) -> Result<Option<Vec<u8>>> {
    if table.key.is_empty() {
        return Ok(None);
    }
    let row = FeedRow { table, row, key_only: true };
    serde_json::to_vec(&row).map(Some).map_err(|error| not_encoded(gtid, table, &error))
}

fn not_encoded(gtid: Gtid, table: &TableDef, error: &serde_json::Error) -> ConnectorError {
    let message =
        format!("A change of {} in transaction {gtid} cannot be written to its feed: {error}", table.id);
    ConnectorError::new(ErrorKind::Bug, message).with_table(table.id.clone())
}
