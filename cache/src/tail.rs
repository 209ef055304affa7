//! The rows appended since a table was last frozen: not yet Arrow, so that a row that is changed again and again
//! between two publishes costs no more than its last state.

use std::sync::Arc;

use crossweave_contract::{Row, RowsBuilder, Transaction, Value};
use hashbrown::HashTable;

use crate::error::RowError;
use crate::index::{Place, PlaceIndex};
use crate::key::hash;
use crate::run::{Layout, Run, segment_view};
use crate::segment::{SEGMENT_ROWS, SegmentIds};

/// A row to append: the new row of a logged change is kept by reference to its transaction.
#[derive(Debug, Clone)]
pub(crate) enum NewRow {
    /// The `after` of this change of the transaction.
    Logged(Arc<Transaction>, usize),
    /// What a cascade made of a row.
    Derived(Row),
}

impl NewRow {
    /// Its values.
    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Self::Logged(transaction, change) => transaction.changes[*change].op.after().map_or(&[], |row| row),
            Self::Derived(row) => row,
        }
    }
}

#[derive(Debug)]
struct TailRow {
    row: NewRow,
    hash: u32,
    deleted: bool,
}

/// Rows that are referred to by number, in the order in which they were appended.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    rows: Vec<TailRow>,
    by_key: HashTable<u32>,
    /// By foreign key: rows by their referencing values, and how many rows were entered so far.
    by_reference: Vec<(HashTable<(u32, u32)>, usize)>,
}

impl Tail {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= SEGMENT_ROWS
    }

    pub(crate) fn values(&self, number: u32) -> &[Value] {
        self.rows[number as usize].row.values()
    }

    /// Appends `row`, whose key has this hash. The caller freezes a full tail before.
    pub(crate) fn push(&mut self, row: NewRow, hash: u32) {
        let number = self.rows.len() as u32;
        self.rows.push(TailRow { row, hash, deleted: false });
        let rows = &self.rows;
        self.by_key.insert_unique(spread(hash), number, |number| spread(rows[*number as usize].hash));
    }

    /// The live row whose key is `encoded`.
    pub(crate) fn find(
        &self,
        layout: &Layout,
        hash: u32,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<u32> {
        let found = self.by_key.find(spread(hash), |number| {
            let row = &self.rows[*number as usize];
            row.hash == hash && {
                layout.key.encode_row(row.row.values(), scratch);
                scratch.as_slice() == encoded
            }
        });
        found.copied()
    }

    /// Deletes a live row.
    pub(crate) fn delete(&mut self, number: u32) {
        let row = &mut self.rows[number as usize];
        row.deleted = true;
        if let Ok(entry) = self.by_key.find_entry(spread(row.hash), |other| *other == number) {
            entry.remove();
        }
    }

    /// The live rows whose foreign key `reference` refers to `encoded`.
    pub(crate) fn find_references(
        &mut self,
        layout: &Layout,
        reference: usize,
        wanted: u32,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Vec<u32> {
        let Some(columns) = &layout.references[reference] else { return Vec::new() };
        self.by_reference.resize_with(layout.references.len(), Default::default);
        let (table, entered) = &mut self.by_reference[reference];
        for (number, row) in self.rows.iter().enumerate().skip(*entered) {
            columns.encode_row(row.row.values(), scratch);
            let hash = hash(scratch);
            table.insert_unique(spread(hash), (hash, number as u32), |(hash, _)| spread(*hash));
        }
        *entered = self.rows.len();
        let numbers = table.iter_hash(spread(wanted)).filter(|(hash, _)| *hash == wanted);
        let rows = &self.rows;
        let live = numbers.map(|(_, number)| *number).filter(|number| {
            let row = &rows[*number as usize];
            !row.deleted && {
                columns.encode_row(row.row.values(), scratch);
                scratch.as_slice() == encoded
            }
        });
        live.collect()
    }

    /// Makes a run of the live rows and starts anew; `None` if there are none.
    pub(crate) fn freeze(&mut self, layout: &Layout, ids: &SegmentIds) -> Result<Option<Run>, RowError> {
        let tail = std::mem::take(self);
        let live: Vec<&TailRow> = tail.rows.iter().filter(|row| !row.deleted).collect();
        if live.is_empty() {
            return Ok(None);
        }
        let columns: Vec<usize> = (0..layout.def.columns.len()).collect();
        let mut builder = RowsBuilder::new(&layout.def, &columns, live.len());
        for row in &live {
            builder.append_row(row.row.values()).map_err(|error| RowError::Value(error.to_string()))?;
        }
        let batch = builder.finish().map_err(|error| RowError::Value(error.to_string()))?;
        let entries = live.iter().enumerate().map(|(row, tail)| (tail.hash, Place::new(0, row)));
        let index = PlaceIndex::build(entries, live.len());
        let segments = vec![segment_view(ids.next(), batch)];
        Ok(Some(Run::new(segments, index, layout.references.iter().map(|_| None).collect())))
    }
}

/// hashbrown takes the top bits for its tags and the low ones for the slot.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
