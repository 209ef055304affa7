//! `information_schema`, as the SQL standard and PostgreSQL have it: types by PostgreSQL's names, ordinals from 1.

use std::sync::Arc;

use crossweave_contract::ReferentialAction;
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use pgwire::api::Type;

use super::batch::Kind::{Int, Text};
use super::batch::{Cell, Column, Row, table, text};
use super::objects::{Column as Shown, Foreign, Key, Objects, Table, type_name};
use super::tables::OWNER_NAME;
use crate::query::DATABASE;

const NULL: Cell = Cell::Null;
const HERE: Cell = text(DATABASE);
const NO: Cell = text("NO");

/// The tables of the schema.
pub(super) const NAMES: &[&str] = &[
    "columns",
    "constraint_column_usage",
    "key_column_usage",
    "referential_constraints",
    "schemata",
    "table_constraints",
    "tables",
    "views",
];

/// The table `name`, if it is one of these.
pub(super) fn build(name: &str, objects: &Objects) -> Result<Option<Arc<dyn TableProvider>>> {
    let (columns, rows) = match name {
        "schemata" => (SCHEMATA, schemata(objects)),
        "tables" => (TABLES, objects.tables.iter().map(one_table).collect()),
        "columns" => (COLUMNS, objects.tables.iter().flat_map(columns).collect()),
        "views" => (VIEWS, objects.tables.iter().filter(|table| table.view).map(of_table).collect()),
        "table_constraints" => (TABLE_CONSTRAINTS, table_constraints(objects)),
        "key_column_usage" => (KEY_COLUMN_USAGE, key_column_usage(objects)),
        "constraint_column_usage" => (CONSTRAINT_COLUMN_USAGE, constraint_column_usage(objects)),
        "referential_constraints" => (REFERENTIAL_CONSTRAINTS, referential_constraints(objects)),
        _ => return Ok(None),
    };
    table(columns, &rows).map(Some)
}

const SCHEMATA: &[Column] = &[
    ("catalog_name", Text, HERE),
    ("schema_name", Text, NULL),
    ("schema_owner", Text, text(OWNER_NAME)),
    ("default_character_set_catalog", Text, NULL),
    ("default_character_set_schema", Text, NULL),
    ("default_character_set_name", Text, NULL),
    ("sql_path", Text, NULL),
];

fn schemata(objects: &Objects) -> Vec<Row> {
    let own = ["pg_catalog", "information_schema"].into_iter();
    let names = own.chain(objects.schemas.iter().map(|schema| schema.name.as_str()));
    names.map(|name| vec![("schema_name", name.into())]).collect()
}

const TABLES: &[Column] = &[
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("table_type", Text, text("BASE TABLE")),
    ("self_referencing_column_name", Text, NULL),
    ("reference_generation", Text, NULL),
    ("user_defined_type_catalog", Text, NULL),
    ("user_defined_type_schema", Text, NULL),
    ("user_defined_type_name", Text, NULL),
    ("is_insertable_into", Text, NO),
    ("is_typed", Text, NO),
    ("commit_action", Text, NULL),
];

fn of_table(table: &Table) -> Row {
    vec![("table_schema", table.schema_name.as_str().into()), ("table_name", table.name.as_str().into())]
}

fn one_table(table: &Table) -> Row {
    let mut row = of_table(table);
    if table.view {
        row.push(("table_type", text("VIEW")));
    }
    row
}

const COLUMNS: &[Column] = &[
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("column_name", Text, NULL),
    ("ordinal_position", Int, NULL),
    ("column_default", Text, NULL),
    ("is_nullable", Text, NO),
    ("data_type", Text, NULL),
    ("character_maximum_length", Int, NULL),
    ("character_octet_length", Int, NULL),
    ("numeric_precision", Int, NULL),
    ("numeric_precision_radix", Int, NULL),
    ("numeric_scale", Int, NULL),
    ("datetime_precision", Int, NULL),
    ("interval_type", Text, NULL),
    ("interval_precision", Int, NULL),
    ("character_set_catalog", Text, NULL),
    ("character_set_schema", Text, NULL),
    ("character_set_name", Text, NULL),
    ("collation_catalog", Text, NULL),
    ("collation_schema", Text, NULL),
    ("collation_name", Text, NULL),
    ("domain_catalog", Text, NULL),
    ("domain_schema", Text, NULL),
    ("domain_name", Text, NULL),
    ("udt_catalog", Text, HERE),
    ("udt_schema", Text, text("pg_catalog")),
    ("udt_name", Text, NULL),
    ("scope_catalog", Text, NULL),
    ("scope_schema", Text, NULL),
    ("scope_name", Text, NULL),
    ("maximum_cardinality", Int, NULL),
    ("dtd_identifier", Text, NULL),
    ("is_self_referencing", Text, NO),
    ("is_identity", Text, NO),
    ("identity_generation", Text, NULL),
    ("identity_start", Text, NULL),
    ("identity_increment", Text, NULL),
    ("identity_maximum", Text, NULL),
    ("identity_minimum", Text, NULL),
    ("identity_cycle", Text, NO),
    ("is_generated", Text, text("NEVER")),
    ("generation_expression", Text, NULL),
    ("is_updatable", Text, NO),
];

fn columns(table: &Table) -> impl Iterator<Item = Row> {
    table.columns.iter().zip(1..).map(move |(column, ordinal): (_, i32)| {
        let mut row = of_table(table);
        row.extend([
            ("column_name", column.name.as_str().into()),
            ("ordinal_position", ordinal.into()),
            ("is_nullable", text(if column.nullable { "YES" } else { "NO" })),
            ("data_type", type_name(&column.data_type).into()),
            ("udt_name", column.data_type.name().into()),
            ("dtd_identifier", ordinal.to_string().into()),
        ]);
        row.extend(precision(column));
        row
    })
}

fn precision(column: &Shown) -> Row {
    let binary = |bits: i32, scale: Option<i32>| {
        vec![
            ("numeric_precision", bits.into()),
            ("numeric_precision_radix", 2.into()),
            ("numeric_scale", scale.into()),
        ]
    };
    match column.data_type {
        Type::INT2 => binary(16, Some(0)),
        Type::INT4 => binary(32, Some(0)),
        Type::INT8 => binary(64, Some(0)),
        Type::FLOAT4 => binary(24, None),
        Type::FLOAT8 => binary(53, None),
        Type::NUMERIC if column.modifier >= 0 => vec![
            ("numeric_precision", ((column.modifier - 4) >> 16).into()),
            ("numeric_precision_radix", 10.into()),
            ("numeric_scale", ((column.modifier - 4) & 0x7ff).into()),
        ],
        Type::NUMERIC => vec![("numeric_precision_radix", 10.into())],
        Type::DATE => vec![("datetime_precision", 0.into())],
        Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => vec![("datetime_precision", 6.into())],
        Type::TEXT | Type::VARCHAR => vec![("character_octet_length", 1_073_741_824.into())],
        _ => Vec::new(),
    }
}

const VIEWS: &[Column] = &[
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("view_definition", Text, NULL),
    ("check_option", Text, text("NONE")),
    ("is_updatable", Text, NO),
    ("is_insertable_into", Text, NO),
    ("is_trigger_updatable", Text, NO),
    ("is_trigger_deletable", Text, NO),
    ("is_trigger_insertable_into", Text, NO),
];

const TABLE_CONSTRAINTS: &[Column] = &[
    ("constraint_catalog", Text, HERE),
    ("constraint_schema", Text, NULL),
    ("constraint_name", Text, NULL),
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("constraint_type", Text, text("PRIMARY KEY")),
    ("is_deferrable", Text, NO),
    ("initially_deferred", Text, NO),
    ("enforced", Text, text("YES")),
    ("nulls_distinct", Text, NULL),
];

/// A constraint of `table`, with the table's own name.
fn constraint(table: &Table, name: &str) -> Row {
    let mut row = of_table(table);
    row.extend(named(table, name));
    row
}

fn named(table: &Table, name: &str) -> Row {
    vec![("constraint_schema", table.schema_name.as_str().into()), ("constraint_name", name.into())]
}

fn keyed(objects: &Objects) -> impl Iterator<Item = (&Table, &Key)> {
    objects.tables.iter().filter_map(|table| Some((table, table.key.as_ref()?)))
}

fn foreign(objects: &Objects) -> impl Iterator<Item = (&Foreign, &Table, &Table)> {
    objects.foreign_keys.iter().map(|key| (key, &objects.tables[key.from], &objects.tables[key.to]))
}

fn table_constraints(objects: &Objects) -> Vec<Row> {
    let primary = keyed(objects).map(|(table, key)| constraint(table, &key.name));
    let foreign = foreign(objects).map(|(key, from, _)| {
        let mut row = constraint(from, &key.name);
        row.push(("constraint_type", text("FOREIGN KEY")));
        row
    });
    primary.chain(foreign).collect()
}

const KEY_COLUMN_USAGE: &[Column] = &[
    ("constraint_catalog", Text, HERE),
    ("constraint_schema", Text, NULL),
    ("constraint_name", Text, NULL),
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("column_name", Text, NULL),
    ("ordinal_position", Int, NULL),
    ("position_in_unique_constraint", Int, NULL),
];

fn key_column_usage(objects: &Objects) -> Vec<Row> {
    let column = |table: &Table, number: i16, name: &str, ordinal: i32| {
        let mut row = constraint(table, name);
        row.push(("column_name", table.column(number).map(|column| column.name.as_str()).into()));
        row.push(("ordinal_position", ordinal.into()));
        row
    };
    let mut rows = Vec::new();
    for (table, key) in keyed(objects) {
        rows.extend(
            key.columns.iter().zip(1..).map(|(number, ordinal)| column(table, *number, &key.name, ordinal)),
        );
    }
    for (key, from, to) in foreign(objects) {
        for (place, number) in key.from_columns.iter().enumerate() {
            let mut row = column(from, *number, &key.name, place as i32 + 1);
            let unique = to.key.iter().flat_map(|unique| &unique.columns);
            let position = unique.zip(1..).find(|(unique, _)| *unique == &key.to_columns[place]);
            row.push((
                "position_in_unique_constraint",
                position.map(|(_, position): (_, i32)| position).into(),
            ));
            rows.push(row);
        }
    }
    rows
}

const CONSTRAINT_COLUMN_USAGE: &[Column] = &[
    ("table_catalog", Text, HERE),
    ("table_schema", Text, NULL),
    ("table_name", Text, NULL),
    ("column_name", Text, NULL),
    ("constraint_catalog", Text, HERE),
    ("constraint_schema", Text, NULL),
    ("constraint_name", Text, NULL),
];

/// For a foreign key, the columns that it refers to.
fn constraint_column_usage(objects: &Objects) -> Vec<Row> {
    let column = |table: &Table, number: i16, owner: &Table, name: &str| {
        let mut row = of_table(table);
        row.extend(named(owner, name));
        row.push(("column_name", table.column(number).map(|column| column.name.as_str()).into()));
        row
    };
    let mut rows = Vec::new();
    for (table, key) in keyed(objects) {
        rows.extend(key.columns.iter().map(|number| column(table, *number, table, &key.name)));
    }
    for (key, from, to) in foreign(objects) {
        rows.extend(key.to_columns.iter().map(|number| column(to, *number, from, &key.name)));
    }
    rows
}

const REFERENTIAL_CONSTRAINTS: &[Column] = &[
    ("constraint_catalog", Text, HERE),
    ("constraint_schema", Text, NULL),
    ("constraint_name", Text, NULL),
    ("unique_constraint_catalog", Text, HERE),
    ("unique_constraint_schema", Text, NULL),
    ("unique_constraint_name", Text, NULL),
    ("match_option", Text, text("NONE")),
    ("update_rule", Text, NULL),
    ("delete_rule", Text, NULL),
];

fn referential_constraints(objects: &Objects) -> Vec<Row> {
    let row = |(key, from, to): (&Foreign, &Table, &Table)| {
        let unique = to.key.as_ref().filter(|unique| unique.index == objects.supporting_index(key));
        let mut row = named(from, &key.name);
        row.extend([
            ("unique_constraint_schema", unique.map(|_| to.schema_name.as_str()).into()),
            ("unique_constraint_name", unique.map(|unique| unique.name.as_str()).into()),
            ("update_rule", text(rule(key.on_update))),
            ("delete_rule", text(rule(key.on_delete))),
        ]);
        row
    };
    foreign(objects).map(row).collect()
}

fn rule(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}
