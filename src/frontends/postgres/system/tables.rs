//! `pg_catalog`'s tables about what is served: schemas, tables, columns, the database, its one role, parameters.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use pgwire::api::Type;

use super::batch::Kind::{Bool, Double, Int, Oid, Small, Text, Texts};
use super::batch::{Cell, Column, Row, table, text};
use super::objects::{Objects, Table};
use crate::query::{DATABASE, default_parameters};

/// The role that owns everything.
pub(super) const OWNER: i32 = 10;
/// Its name.
pub(super) const OWNER_NAME: &str = "crossweave";
/// PostgreSQL's number of the schema `pg_catalog`; its own types refer to it.
const PG_CATALOG: i32 = 11;
/// A number under those of users, as `information_schema` has in PostgreSQL.
const INFORMATION_SCHEMA: i32 = 13_000;
/// PostgreSQL's number of the access method `btree`.
const BTREE: i32 = 403;
/// PostgreSQL's number of the collation `default`.
const DEFAULT_COLLATION: i32 = 100;

const ZERO: Cell = Cell::Number(0);
const MINUS: Cell = Cell::Number(-1);
const NO: Cell = Cell::Bool(false);
const YES: Cell = Cell::Bool(true);
const NULL: Cell = Cell::Null;

/// The table `name`, if it is one of these.
pub(super) fn build(name: &str, objects: &Objects) -> Result<Option<Arc<dyn TableProvider>>> {
    let (columns, rows) = match name {
        "pg_namespace" => (NAMESPACE, namespaces(objects)),
        "pg_class" => (CLASS, classes(objects)),
        "pg_attribute" => (ATTRIBUTE, attributes(objects)),
        "pg_database" => (DATABASES, vec![vec![("oid", objects.database.into())]]),
        "pg_roles" => (ROLES, vec![Vec::new()]),
        "pg_settings" => (SETTINGS, settings()),
        "pg_tables" => (TABLES, named(objects, false, "tablename")),
        "pg_views" => (VIEWS, named(objects, true, "viewname")),
        _ => return Ok(None),
    };
    table(columns, &rows).map(Some)
}

const NAMESPACE: &[Column] = &[
    ("oid", Oid, NULL),
    ("nspname", Text, NULL),
    ("nspowner", Oid, Cell::Number(OWNER)),
    ("nspacl", Texts, NULL),
    ("options", Text, NULL),
];

fn namespaces(objects: &Objects) -> Vec<Row> {
    let own = [(PG_CATALOG, "pg_catalog"), (INFORMATION_SCHEMA, "information_schema")];
    let own = own.into_iter().map(|(oid, name)| vec![("oid", oid.into()), ("nspname", text(name))]);
    let schemas = objects.schemas.iter();
    own.chain(schemas.map(|schema| vec![("oid", schema.oid.into()), ("nspname", schema.name.as_str().into())]))
        .collect()
}

const CLASS: &[Column] = &[
    ("oid", Oid, NULL),
    ("relname", Text, NULL),
    ("relnamespace", Oid, NULL),
    ("reltype", Oid, ZERO),
    ("reloftype", Oid, ZERO),
    ("relowner", Oid, Cell::Number(OWNER)),
    ("relam", Oid, ZERO),
    ("relfilenode", Oid, ZERO),
    ("reltablespace", Oid, ZERO),
    ("relpages", Int, ZERO),
    ("reltuples", Double, MINUS),
    ("relallvisible", Int, ZERO),
    ("reltoastrelid", Oid, ZERO),
    ("relhasindex", Bool, NO),
    ("relisshared", Bool, NO),
    ("relpersistence", Text, text("p")),
    ("relkind", Text, text("r")),
    ("relnatts", Small, ZERO),
    ("relchecks", Small, ZERO),
    ("relhasrules", Bool, NO),
    // psql asks for foreign keys of such tables only: in PostgreSQL, triggers keep them.
    ("relhastriggers", Bool, NO),
    ("relhassubclass", Bool, NO),
    ("relrowsecurity", Bool, NO),
    ("relforcerowsecurity", Bool, NO),
    ("relispopulated", Bool, YES),
    ("relreplident", Text, text("d")),
    ("relispartition", Bool, NO),
    ("relrewrite", Oid, ZERO),
    ("relfrozenxid", Int, ZERO),
    ("relminmxid", Int, ZERO),
    ("relacl", Texts, NULL),
    ("reloptions", Texts, NULL),
    ("relpartbound", Text, NULL),
];

fn classes(objects: &Objects) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in &objects.tables {
        rows.push(vec![
            ("oid", table.oid.into()),
            ("relname", table.name.as_str().into()),
            ("relnamespace", table.schema.into()),
            ("relfilenode", if table.view { ZERO } else { table.oid.into() }),
            ("relhasindex", table.key.is_some().into()),
            ("relkind", text(if table.view { "v" } else { "r" })),
            ("relnatts", (table.columns.len() as i16).into()),
            ("relhastriggers", table.linked.into()),
        ]);
        if let Some(key) = &table.key {
            rows.push(vec![
                ("oid", key.index.into()),
                ("relname", key.name.as_str().into()),
                ("relnamespace", table.schema.into()),
                ("relam", BTREE.into()),
                ("relfilenode", key.index.into()),
                ("relkind", text("i")),
                ("relnatts", (key.columns.len() as i16).into()),
            ]);
        }
    }
    rows
}

const ATTRIBUTE: &[Column] = &[
    ("attrelid", Oid, NULL),
    ("attname", Text, NULL),
    ("atttypid", Oid, NULL),
    ("attstattarget", Int, MINUS),
    ("attlen", Small, NULL),
    ("attnum", Small, NULL),
    ("attndims", Int, ZERO),
    ("attcacheoff", Int, MINUS),
    ("atttypmod", Int, MINUS),
    ("attbyval", Bool, NO),
    ("attalign", Text, text("i")),
    ("attstorage", Text, text("p")),
    ("attcompression", Text, text("")),
    ("attnotnull", Bool, NO),
    ("atthasdef", Bool, NO),
    ("atthasmissing", Bool, NO),
    ("attidentity", Text, text("")),
    ("attgenerated", Text, text("")),
    ("attisdropped", Bool, NO),
    ("attislocal", Bool, YES),
    ("attinhcount", Int, ZERO),
    ("attcollation", Oid, ZERO),
    ("attacl", Texts, NULL),
    ("attoptions", Texts, NULL),
    ("attfdwoptions", Texts, NULL),
    ("attmissingval", Text, NULL),
];

fn attributes(objects: &Objects) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in &objects.tables {
        let all = 1..=table.columns.len() as i16;
        rows.extend(all.filter_map(|number| attribute(table.oid, number, table, number)));
        if let Some(key) = &table.key {
            let columns = key.columns.iter().zip(1..);
            rows.extend(columns.filter_map(|(column, number)| attribute(key.index, number, table, *column)));
        }
    }
    rows
}

/// The column `column` of `table`, as the column `number` of the relation `relation`.
fn attribute(relation: i32, number: i16, table: &Table, column: i16) -> Option<Row> {
    let column = table.column(column)?;
    let (length, by_value) = width(&column.data_type);
    Some(vec![
        ("attrelid", relation.into()),
        ("attname", column.name.as_str().into()),
        ("atttypid", (column.data_type.oid() as i32).into()),
        ("attlen", length.into()),
        ("attnum", number.into()),
        ("atttypmod", column.modifier.into()),
        ("attbyval", by_value.into()),
        ("attstorage", text(if length < 0 { "x" } else { "p" })),
        ("attnotnull", (!column.nullable).into()),
        ("attcollation", if column.data_type == Type::TEXT { DEFAULT_COLLATION } else { 0 }.into()),
    ])
}

/// A type's length in bytes, -1 where it varies, and whether values of it are passed as they are.
fn width(data_type: &Type) -> (i16, bool) {
    match *data_type {
        Type::BOOL => (1, true),
        Type::INT2 => (2, true),
        Type::INT4 | Type::FLOAT4 | Type::DATE => (4, true),
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => (8, true),
        Type::UUID => (16, false),
        _ => (-1, false),
    }
}

const DATABASES: &[Column] = &[
    ("oid", Oid, NULL),
    ("datname", Text, text(DATABASE)),
    ("datdba", Oid, Cell::Number(OWNER)),
    // UTF8
    ("encoding", Int, Cell::Number(6)),
    ("datlocprovider", Text, text("c")),
    ("datistemplate", Bool, NO),
    ("datallowconn", Bool, YES),
    ("datconnlimit", Int, MINUS),
    ("datlastsysoid", Oid, ZERO),
    ("datfrozenxid", Int, ZERO),
    ("datminmxid", Int, ZERO),
    ("dattablespace", Oid, Cell::Number(1_663)),
    ("datcollate", Text, text("C.UTF-8")),
    ("datctype", Text, text("C.UTF-8")),
    ("daticulocale", Text, NULL),
    ("daticurules", Text, NULL),
    ("datlocale", Text, NULL),
    ("datcollversion", Text, NULL),
    ("datacl", Texts, NULL),
];

const ROLES: &[Column] = &[
    ("rolname", Text, text(OWNER_NAME)),
    ("rolsuper", Bool, NO),
    ("rolinherit", Bool, YES),
    ("rolcreaterole", Bool, NO),
    ("rolcreatedb", Bool, NO),
    ("rolcanlogin", Bool, YES),
    ("rolreplication", Bool, NO),
    ("rolconnlimit", Int, MINUS),
    ("rolpassword", Text, text("********")),
    ("rolvaliduntil", Text, NULL),
    ("rolbypassrls", Bool, NO),
    ("rolconfig", Texts, NULL),
    ("oid", Oid, Cell::Number(OWNER)),
];

const SETTINGS: &[Column] = &[
    ("name", Text, NULL),
    ("setting", Text, NULL),
    ("unit", Text, NULL),
    ("category", Text, text("Crossweave")),
    ("short_desc", Text, NULL),
    ("extra_desc", Text, NULL),
    ("context", Text, text("user")),
    ("vartype", Text, text("string")),
    ("source", Text, text("default")),
    ("min_val", Text, NULL),
    ("max_val", Text, NULL),
    ("enumvals", Texts, NULL),
    ("boot_val", Text, NULL),
    ("reset_val", Text, NULL),
    ("sourcefile", Text, NULL),
    ("sourceline", Int, NULL),
    ("pending_restart", Bool, NO),
];

/// Facts of PostgreSQL that clients ask for and that no statement can set.
const FIXED: &[(&str, &str)] =
    &[("block_size", "8192"), ("default_table_access_method", "heap"), ("max_index_keys", "32")];

/// The parameters as a session begins with them: SHOW shows what a session made of them.
fn settings() -> Vec<Row> {
    let row = |(name, value): (&str, &str)| {
        let value = Cell::from(value);
        vec![
            ("name", name.into()),
            ("setting", value.clone()),
            ("boot_val", value.clone()),
            ("reset_val", value),
        ]
    };
    parameters().map(row).collect()
}

/// All parameters with their values at first.
pub(super) fn parameters() -> impl Iterator<Item = (&'static str, &'static str)> {
    default_parameters().chain(FIXED.iter().copied())
}

const TABLES: &[Column] = &[
    ("schemaname", Text, NULL),
    ("tablename", Text, NULL),
    ("tableowner", Text, text(OWNER_NAME)),
    ("tablespace", Text, NULL),
    ("hasindexes", Bool, NO),
    ("hasrules", Bool, NO),
    ("hastriggers", Bool, NO),
    ("rowsecurity", Bool, NO),
];

const VIEWS: &[Column] = &[
    ("schemaname", Text, NULL),
    ("viewname", Text, NULL),
    ("viewowner", Text, text(OWNER_NAME)),
    ("definition", Text, NULL),
];

fn named(objects: &Objects, views: bool, column: &'static str) -> Vec<Row> {
    let row = |table: &Table| {
        let mut row =
            vec![("schemaname", table.schema_name.as_str().into()), (column, table.name.as_str().into())];
        if !views {
            row.push(("hasindexes", table.key.is_some().into()));
            row.push(("hastriggers", table.linked.into()));
        }
        row
    };
    objects.tables.iter().filter(|table| table.view == views).map(row).collect()
}
