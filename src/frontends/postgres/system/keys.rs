//! `pg_constraint` and `pg_index`: the tables' keys, and the foreign keys between tables that are served.

use std::sync::Arc;

use crossweave_contract::ReferentialAction;
use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use super::batch::Kind::{Bool, Int, Ints, Oid, Small, Smalls, Text};
use super::batch::{Cell, Column, Row, table, text};
use super::objects::{Key, Objects, Table};

const ZERO: Cell = Cell::Number(0);
const NO: Cell = Cell::Bool(false);
const YES: Cell = Cell::Bool(true);
const NULL: Cell = Cell::Null;

/// The table `name`, if it is one of these.
pub(super) fn build(name: &str, objects: &Objects) -> Result<Option<Arc<dyn TableProvider>>> {
    let (columns, rows) = match name {
        "pg_constraint" => (CONSTRAINT, constraints(objects)),
        "pg_index" => (INDEX, keyed(objects).map(|(table, key)| index(table, key)).collect()),
        _ => return Ok(None),
    };
    table(columns, &rows).map(Some)
}

/// The tables that have a key.
fn keyed(objects: &Objects) -> impl Iterator<Item = (&Table, &Key)> {
    objects.tables.iter().filter_map(|table| Some((table, table.key.as_ref()?)))
}

const CONSTRAINT: &[Column] = &[
    ("oid", Oid, NULL),
    ("conname", Text, NULL),
    ("connamespace", Oid, NULL),
    ("contype", Text, text("p")),
    ("condeferrable", Bool, NO),
    ("condeferred", Bool, NO),
    ("conenforced", Bool, YES),
    ("convalidated", Bool, YES),
    ("conrelid", Oid, NULL),
    ("contypid", Oid, ZERO),
    ("conindid", Oid, ZERO),
    ("conparentid", Oid, ZERO),
    ("confrelid", Oid, ZERO),
    ("confupdtype", Text, text(" ")),
    ("confdeltype", Text, text(" ")),
    ("confmatchtype", Text, text(" ")),
    ("conislocal", Bool, YES),
    ("coninhcount", Small, ZERO),
    ("connoinherit", Bool, YES),
    ("conkey", Smalls, NULL),
    ("confkey", Smalls, NULL),
    ("conpfeqop", Ints, NULL),
    ("conppeqop", Ints, NULL),
    ("conffeqop", Ints, NULL),
    ("confdelsetcols", Smalls, NULL),
    ("conexclop", Ints, NULL),
    ("conbin", Text, NULL),
];

fn constraints(objects: &Objects) -> Vec<Row> {
    let primary = keyed(objects).map(|(table, key)| {
        vec![
            ("oid", key.constraint.into()),
            ("conname", key.name.as_str().into()),
            ("connamespace", table.schema.into()),
            ("conrelid", table.oid.into()),
            ("conindid", key.index.into()),
            ("conkey", key.columns.as_slice().into()),
        ]
    });
    let foreign = objects.foreign_keys.iter().map(|foreign| {
        let (from, to) = (&objects.tables[foreign.from], &objects.tables[foreign.to]);
        vec![
            ("oid", foreign.oid.into()),
            ("conname", foreign.name.as_str().into()),
            ("connamespace", from.schema.into()),
            ("contype", text("f")),
            ("conrelid", from.oid.into()),
            ("conindid", objects.supporting_index(foreign).into()),
            ("confrelid", to.oid.into()),
            ("confupdtype", text(action(foreign.on_update))),
            ("confdeltype", text(action(foreign.on_delete))),
            ("confmatchtype", text("s")),
            ("conkey", foreign.from_columns.as_slice().into()),
            ("confkey", foreign.to_columns.as_slice().into()),
        ]
    });
    primary.chain(foreign).collect()
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::Restrict => "r",
        ReferentialAction::Cascade => "c",
        ReferentialAction::SetNull => "n",
        ReferentialAction::SetDefault => "d",
    }
}

const INDEX: &[Column] = &[
    ("indexrelid", Oid, NULL),
    ("indrelid", Oid, NULL),
    ("indnatts", Small, NULL),
    ("indnkeyatts", Small, NULL),
    ("indisunique", Bool, YES),
    ("indnullsnotdistinct", Bool, NO),
    // A unique key without NULLs that stands for a missing primary key identifies rows as one does.
    ("indisprimary", Bool, YES),
    ("indisexclusion", Bool, NO),
    ("indimmediate", Bool, YES),
    ("indisclustered", Bool, NO),
    ("indisvalid", Bool, YES),
    ("indcheckxmin", Bool, NO),
    ("indisready", Bool, YES),
    ("indislive", Bool, YES),
    ("indisreplident", Bool, NO),
    ("indkey", Smalls, NULL),
    ("indcollation", Ints, NULL),
    ("indclass", Ints, NULL),
    ("indoption", Smalls, NULL),
    ("indexprs", Text, NULL),
    ("indpred", Text, NULL),
    ("xmin", Int, ZERO),
];

fn index(table: &Table, key: &Key) -> Row {
    let width = key.columns.len();
    vec![
        ("indexrelid", key.index.into()),
        ("indrelid", table.oid.into()),
        ("indnatts", (width as i16).into()),
        ("indnkeyatts", (width as i16).into()),
        ("indkey", key.columns.as_slice().into()),
        ("indcollation", Cell::Numbers(vec![0; width])),
        ("indclass", Cell::Numbers(vec![0; width])),
        ("indoption", Cell::Numbers(vec![0; width])),
    ]
}
