//! Tables, rows and transactions for tests.

use std::sync::Arc;

use crossweave_contract::{
    Change, ChangeOp, Collation, Column, ColumnType, Fingerprint, ForeignKey, Gtid, Position,
    ReferentialAction, Row, RowsBuilder, SourceId, TableDef, TableId, TableKind, Transaction, Value,
};

use crate::{Published, ServiceCache, ServiceSnapshot, ServiceWriter, TableSnapshot};

/// A column that may be NULL.
pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type, nullable: true, binlog_index: Some(0), max_chars: None }
}

pub(crate) fn number(name: &str) -> Column {
    column(name, ColumnType::BigInt { unsigned: false })
}

pub(crate) fn text(name: &str) -> Column {
    column(name, ColumnType::Text { collation: Collation::new("utf8mb4", "utf8mb4_bin") })
}

/// A table of the service and database `shop`.
pub(crate) fn table(name: &str, columns: Vec<Column>, key: &[usize]) -> TableDef {
    TableDef {
        id: TableId::new("shop", name),
        database: "shop".to_owned(),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns,
        key: key.to_vec(),
        foreign_keys: Vec::new(),
        row_end: None,
        live_only: Vec::new(),
    }
}

pub(crate) fn refers(
    mut def: TableDef,
    columns: &[&str],
    to: (&str, &[&str]),
    on_delete: ReferentialAction,
    on_update: ReferentialAction,
) -> TableDef {
    let names = |columns: &[&str]| columns.iter().map(|&name| name.to_owned()).collect();
    def.foreign_keys.push(ForeignKey {
        name: format!("{}_{}", def.id.table, def.foreign_keys.len()),
        columns: names(columns),
        referenced_database: "shop".to_owned(),
        referenced_table: to.0.to_owned(),
        referenced_columns: names(to.1),
        on_delete,
        on_update,
    });
    def
}

/// A row of numbers, `None` for NULL.
pub(crate) fn row(values: &[Option<i64>]) -> Row {
    values.iter().map(|value| value.map_or(Value::Null, Value::Int)).collect()
}

pub(crate) fn numbers<const N: usize>(values: [i64; N]) -> Row {
    row(&values.map(Some))
}

pub(crate) fn insert(after: Row) -> ChangeOp {
    ChangeOp::Insert { after }
}

pub(crate) fn update(before: Row, after: Row) -> ChangeOp {
    ChangeOp::Update { before, after }
}

pub(crate) fn delete(before: Row) -> ChangeOp {
    ChangeOp::Delete { before }
}

pub(crate) fn at(sequence: u64) -> Position {
    Position::from(gtid(sequence))
}

pub(crate) fn gtid(sequence: u64) -> Gtid {
    Gtid { domain: 0, server: 1, sequence }
}

/// The transaction `sequence`, which follows the one before it.
pub(crate) fn transaction(sequence: u64, changes: Vec<(&Arc<TableDef>, ChangeOp)>) -> Arc<Transaction> {
    let mut tables: Vec<Arc<TableDef>> = Vec::new();
    let changes = changes.into_iter().map(|(def, op)| {
        let known = tables.iter().position(|table| table.id == def.id);
        let table = known.unwrap_or_else(|| {
            tables.push(Arc::clone(def));
            tables.len() - 1
        });
        Change { table: table as u32, op, cascades: true }
    });
    let changes = changes.collect();
    Arc::new(Transaction {
        source: SourceId::from("source"),
        gtid: gtid(sequence),
        previous: at(sequence - 1),
        committed_at: 0,
        fingerprint: Fingerprint::default(),
        tables,
        changes,
        schema_changes: Vec::new(),
        faults: Vec::new(),
    })
}

/// A writer of `shop` with these tables and rows installed at position 1 and published.
pub(crate) fn shop(tables: &[(&Arc<TableDef>, Vec<Row>)]) -> (Arc<ServiceCache>, ServiceWriter) {
    let (cache, mut writer) = ServiceCache::new("shop".into());
    install(&mut writer, 1, tables);
    publish(&mut writer);
    (cache, writer)
}

pub(crate) fn install(writer: &mut ServiceWriter, sequence: u64, tables: &[(&Arc<TableDef>, Vec<Row>)]) {
    let loads = tables.iter().map(|(def, rows)| {
        let mut load = writer.loader().table(Arc::clone(def)).unwrap();
        let mut builder = RowsBuilder::new(def, &(0..def.columns.len()).collect::<Vec<_>>(), rows.len());
        for chunk in rows.chunks(10_000) {
            for row in chunk {
                builder.append_row(row).unwrap();
            }
            load.push(&builder.finish().unwrap()).unwrap();
        }
        load
    });
    let loads = loads.collect();
    writer.install(loads, &at(sequence)).unwrap();
}

pub(crate) fn publish(writer: &mut ServiceWriter) -> Arc<ServiceSnapshot> {
    match writer.publish() {
        Published::Visible(snapshot) => snapshot,
        other => panic!("expected a snapshot, found {other:?}"),
    }
}

/// The rows of a snapshot's table, ordered by their debug text.
pub(crate) fn rows(snapshot: &ServiceSnapshot, name: &str) -> Vec<Row> {
    let table = snapshot.table(name).unwrap_or_else(|| panic!("{name} is not in the snapshot"));
    let mut rows = rows_of(table);
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

pub(crate) fn rows_of(table: &TableSnapshot) -> Vec<Row> {
    let batches = table.batches(None).map(Result::unwrap);
    let rows = batches.flat_map(|batch| {
        let rows = (0..batch.num_rows()).map(|row| crossweave_contract::row_values(table.def(), &batch, row));
        rows.collect::<Vec<_>>()
    });
    rows.collect()
}

/// SplitMix64: the same numbers for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len() as u64) as usize) }
    }
}
