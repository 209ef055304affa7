//! What is done once per row, measured alone: applying changes to a cache, and keys of collations.
//!
//! `cargo bench --bench kernels`. Each group has its floor in it, measured in the same run: for applying, the same
//! rows put into a hash map; for keys, the same texts copied.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crossweave::federation::collation::KeyEncoder;
use crossweave_cache::{ServiceCache, ServiceWriter};
use crossweave_contract::{
    Change, ChangeOp, Collation, CollationWeights, Column, ColumnType, Fingerprint, Gtid, LevelWeights,
    Position, Row, RowsBuilder, SourceId, TableDef, TableId, TableKind, Transaction, UnitWidth, Value,
};

/// Rows in the table at the start.
const ROWS: i64 = 200_000;
/// Transactions in one measurement, and changes in each.
const TRANSACTIONS: u64 = 1_000;
const CHANGES: u64 = 10;

fn table() -> Arc<TableDef> {
    let column = |index: usize, name: &str, column_type| Column {
        name: name.to_owned(),
        column_type,
        nullable: index > 0,
        binlog_index: Some(index),
        max_chars: None,
    };
    let collation = Collation::new("utf8mb4", "utf8mb4_general_ci");
    let columns = vec![
        column(0, "id", ColumnType::BigInt { unsigned: false }),
        column(1, "balance", ColumnType::Decimal { precision: 12, scale: 2 }),
        column(2, "name", ColumnType::Text { collation }),
        column(3, "at", ColumnType::DateTime { fsp: 6 }),
    ];
    Arc::new(TableDef {
        id: TableId::new("shop", "accounts"),
        database: "shop".to_owned(),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns,
        key: vec![0],
        foreign_keys: Vec::new(),
        row_end: None,
        live_only: Vec::new(),
    })
}

fn row(id: i64, version: u64) -> Row {
    let name = format!("customer number {id}").into_boxed_str();
    [Value::Int(id), Value::Decimal(i128::from(version)), Value::Text(name), Value::Micros(id * 1_000)].into()
}

fn at(sequence: u64) -> Gtid {
    Gtid { domain: 0, server: 1, sequence }
}

/// A writer whose table is loaded and published.
fn loaded(def: &Arc<TableDef>) -> ServiceWriter {
    let (_, mut writer) = ServiceCache::new("shop".into());
    let mut load = writer.load(Arc::clone(def)).expect("a load");
    let all: Vec<usize> = (0..def.columns.len()).collect();
    let mut builder = RowsBuilder::new(def, &all, ROWS as usize);
    (0..ROWS).for_each(|id| builder.append_row(&row(id, 0)).expect("a row of the table"));
    load.push(&builder.finish().expect("a batch")).expect("a batch of the table");
    writer.install(vec![load], &Position::from(at(1))).expect("the load is installed");
    writer.publish();
    writer
}

/// Updates of rows all over the table.
fn transactions(def: &Arc<TableDef>) -> Vec<Arc<Transaction>> {
    let mut versions: HashMap<i64, u64> = HashMap::new();
    let mut random = 88_172_645_463_325_252_u64;
    let mut change = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let id = (random % ROWS as u64) as i64;
        let version = versions.entry(id).or_default();
        *version += 1;
        let op = ChangeOp::Update { before: row(id, *version - 1), after: row(id, *version) };
        Change { table: 0, op, cascades: false }
    };
    let transaction = |sequence| {
        Arc::new(Transaction {
            source: SourceId::from("source"),
            gtid: at(sequence),
            previous: Position::from(at(sequence - 1)),
            committed_at: 0,
            fingerprint: Fingerprint::default(),
            tables: vec![Arc::clone(def)],
            changes: (0..CHANGES).map(&mut change).collect(),
            schema_changes: Vec::new(),
            faults: Vec::new(),
        })
    };
    (2..TRANSACTIONS + 2).map(transaction).collect()
}

fn apply(criterion: &mut Criterion) {
    let def = table();
    let transactions = transactions(&def);
    let mut group = criterion.benchmark_group("apply");
    group.sample_size(10).throughput(Throughput::Elements(TRANSACTIONS * CHANGES));
    group.bench_function("updates by key, published every 100 transactions", |bench| {
        bench.iter_batched(
            || loaded(&def),
            |mut writer| {
                for (index, transaction) in transactions.iter().enumerate() {
                    writer.apply(transaction, None).expect("the transaction follows");
                    if index % 100 == 99 {
                        black_box(writer.publish());
                    }
                }
                writer
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("floor: the rows put into a hash map", |bench| {
        bench.iter_batched(
            || (0..ROWS).map(|id| (id, row(id, 0))).collect::<HashMap<i64, Row>>(),
            |mut map| {
                for change in transactions.iter().flat_map(|transaction| &transaction.changes) {
                    if let (Some(after), Some(Value::Int(id))) =
                        (change.op.after(), change.op.after().map(|row| &row[0]))
                    {
                        map.insert(*id, after.clone());
                    }
                }
                map
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Weights like those of `general_ci`: a letter weighs as much as its upper case.
fn weights() -> CollationWeights {
    let weight = |character: char| {
        let upper = character.to_uppercase().next().map_or(0, u32::from);
        vec![if upper < 0x1_0000 { upper } else { 0xFFFD }]
    };
    let level = LevelWeights::of_characters(0x1_0000, weight);
    CollationWeights::new(Collation::new("utf8mb4", "utf8mb4_general_ci"), UnitWidth::Fixed(2), vec![level])
}

fn keys(criterion: &mut Criterion) {
    let encoder = KeyEncoder::weighted(Arc::new(weights()));
    let texts: [(&str, Vec<String>); 2] = [
        ("ASCII", (0..8192).map(|n| format!("Customer Number {n}")).collect()),
        ("Cyrillic", (0..8192).map(|n| format!("Покупатель {n}")).collect()),
    ];
    let mut group = criterion.benchmark_group("collation keys");
    for (script, texts) in &texts {
        let bytes = texts.iter().map(String::len).sum::<usize>() as u64;
        group.throughput(Throughput::Bytes(bytes));
        let mut out = Vec::new();
        group.bench_function(*script, |bench| {
            bench.iter(|| {
                out.clear();
                texts.iter().for_each(|text| encoder.encode(black_box(text), &mut out));
                black_box(out.len())
            });
        });
        group.bench_function(format!("floor: {script}, copied"), |bench| {
            bench.iter(|| {
                out.clear();
                texts.iter().for_each(|text| out.extend_from_slice(black_box(text).as_bytes()));
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, apply, keys);
criterion_main!(benches);
