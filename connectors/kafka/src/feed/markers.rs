//! Markers: where a transaction begins and ends in the feeds, and how many events it has in each.

use crossweave_contract::{ChangeOp, Transaction};
use serde::Serialize;

use super::event::{changes_key, id};

/// The two markers of a transaction, and their common key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Markers {
    /// `{"id": …}`.
    pub(crate) key: Vec<u8>,
    /// `BEGIN`.
    pub(crate) begin: Vec<u8>,
    /// `END`, with counts.
    pub(crate) end: Vec<u8>,
}

#[derive(Serialize)]
struct Key<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Begin<'a> {
    status: &'static str,
    id: &'a str,
    ts_ms: i64,
}

#[derive(Serialize)]
struct End<'a> {
    status: &'static str,
    id: &'a str,
    event_count: u64,
    data_collections: Vec<DataCollection>,
    ts_ms: i64,
}

#[derive(Serialize)]
struct DataCollection {
    data_collection: String,
    event_count: u64,
}

/// The markers of `transaction`; `None` if it has no change of a table that is `fed`, by its place in it. Tombstones are not
/// counted, a changed key counts as two events.
pub(crate) fn markers(transaction: &Transaction, fed: &[bool]) -> Result<Option<Markers>, serde_json::Error> {
    let mut counts = vec![0; transaction.tables.len()];
    for change in transaction.changes.iter().filter(|change| fed[change.table as usize]) {
        let table = transaction.table_of(change);
        counts[change.table as usize] += match &change.op {
            ChangeOp::Update { before, after } if changes_key(table, before, after) => 2,
            _ => 1,
        };
    }
    let event_count: u64 = counts.iter().sum();
    if event_count == 0 {
        return Ok(None);
    }
    let collections = transaction.tables.iter().zip(counts).filter(|(_, count)| *count > 0);
    let data_collections = collections.map(|(table, event_count)| DataCollection {
        data_collection: format!("{}.{}", table.database, table.id.table),
        event_count,
    });
    let id = &*id(transaction);
    let ts_ms = transaction.committed_at.div_euclid(1000);
    let end = End { status: "END", id, event_count, data_collections: data_collections.collect(), ts_ms };
    Ok(Some(Markers {
        key: serde_json::to_vec(&Key { id })?,
        begin: serde_json::to_vec(&Begin { status: "BEGIN", id, ts_ms })?,
        end: serde_json::to_vec(&end)?,
    }))
}
