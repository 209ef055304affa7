//! From what the server says about a table to its definition.

use crossweave_contract::{
    BooleanColumns, Column, ForeignKey, LiveOnlyReason, ReferentialAction, ServiceName, ServiceTables,
    TableDef, TableId, TableKind, TableProblem,
};

use super::create_table::CreateTable;
use super::read::{RawColumn, RawIndex, RawTable};
use super::referenced::Referenced;
use super::types::{Reading, column_type};

/// Engines whose rows a consistent snapshot shows as they were.
const ENGINES_WITH_SNAPSHOTS: [&str; 2] = ["InnoDB", "ROCKSDB"];

/// Adds the definition of `raw` to `found`, with the problems it has.
pub(super) fn table(
    service: &ServiceName,
    database: &str,
    raw: &RawTable,
    referenced: &Referenced,
    booleans: &BooleanColumns,
    found: &mut ServiceTables,
) {
    let id = TableId::new(service.clone(), raw.name.as_str());
    let mut report = |column: Option<&str>, reason: String| {
        let column = column.map(str::to_owned);
        found.problems.push(TableProblem { table: id.clone(), column, reason });
    };
    if raw.columns.is_empty() {
        report(None, "the server shows no columns of it: it is broken, or the account may not read it".into());
        return;
    }
    let unknown = CreateTable::default();
    let create = raw.create.as_ref().unwrap_or(&unknown);
    let columns = columns(raw, create, booleans, &mut report);
    let row_end = row_end(raw, create);
    let key = key(raw, &columns, row_end);
    let mut live_only = live_only(raw, &key);
    live_only.extend(create.foreign_keys.iter().filter_map(|key| without_index(key, referenced)));
    found.unique.insert(id.clone(), unique_keys(raw, row_end));
    found.tables.push(TableDef {
        id,
        database: database.to_owned(),
        kind: if raw.kind == "VIEW" { TableKind::View } else { TableKind::Base },
        columns,
        key,
        foreign_keys: create.foreign_keys.clone(),
        binlog_columns: shown_columns(raw, create) + hidden_columns(raw),
        row_end,
        live_only,
    });
}

fn columns(
    raw: &RawTable,
    create: &CreateTable,
    booleans: &BooleanColumns,
    report: &mut impl FnMut(Option<&str>, String),
) -> Vec<Column> {
    let mut columns = Vec::with_capacity(raw.columns.len());
    for column in raw.columns.iter().filter(|column| !is_invisible(column)) {
        let reading = Reading {
            json: create.json.contains(&column.name),
            boolean: is_declared_boolean(booleans, &raw.name, &column.name),
        };
        match column_type(column, reading) {
            Ok(column_type) => columns.push(Column {
                name: column.name.clone(),
                nullable: column.nullable || column_type.may_hold_zero_date(),
                column_type,
                binlog_index: (raw.kind != "VIEW").then_some(column.ordinal - 1),
                max_chars: column.length.and_then(|length| u32::try_from(length).ok()),
            }),
            Err(reason) => report(Some(&column.name), reason),
        }
    }
    for name in &create.columns {
        if !raw.columns.iter().any(|column| column.name == *name) {
            report(Some(name), "the account may not read it".into());
        }
    }
    columns
}

fn is_invisible(column: &RawColumn) -> bool {
    column.extra.split(", ").any(|extra| extra.eq_ignore_ascii_case("INVISIBLE"))
}

fn is_declared_boolean(booleans: &BooleanColumns, table: &str, column: &str) -> bool {
    let named = booleans.columns.get(&(table.to_lowercase(), column.to_lowercase()));
    named.copied().unwrap_or(booleans.by_default)
}

/// Columns that the definition shows.
fn shown_columns(raw: &RawTable, create: &CreateTable) -> usize {
    raw.columns.len().max(create.columns.len())
}

/// Columns that the definition does not show but the binlog has: the two of an implicit system versioning, and
/// one for each unique index by hash.
fn hidden_columns(raw: &RawTable) -> usize {
    let versioning = if is_versioned(raw) && explicit_row_end(raw).is_none() { 2 } else { 0 };
    let innodb = raw.engine.as_deref().is_some_and(|engine| engine != "MEMORY");
    let hashes = raw.indexes.iter().filter(|index| index.unique && index.kind == "HASH" && innodb).count();
    versioning + hashes
}

fn is_versioned(raw: &RawTable) -> bool {
    raw.kind == "SYSTEM VERSIONED"
}

fn explicit_row_end(raw: &RawTable) -> Option<usize> {
    let row_end = raw.columns.iter().find(|column| column.generation.as_deref() == Some("ROW END"));
    row_end.map(|column| column.ordinal - 1)
}

/// Where the binlog has the column that tells current rows: hidden ones come after all others.
fn row_end(raw: &RawTable, create: &CreateTable) -> Option<usize> {
    is_versioned(raw).then(|| explicit_row_end(raw).unwrap_or(shown_columns(raw, create) + 1))
}

/// The primary key, else the first unique one that is never NULL. Among current rows the end of a row's life
/// tells nothing apart, so a key goes without it.
fn key(raw: &RawTable, columns: &[Column], row_end: Option<usize>) -> Vec<usize> {
    let candidates = raw.indexes.iter().filter(|index| index.unique);
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let usable = |index: &RawIndex| -> Option<Vec<usize>> {
        let counting = index.columns.iter().filter(|part| !ends_rows(raw, row_end, &part.name));
        let places = counting.map(|part| {
            let whole = !part.beginning && !part.nullable;
            columns.iter().position(|column| whole && same(&column.name, &part.name))
        });
        places.collect::<Option<Vec<usize>>>().filter(|key| !key.is_empty())
    };
    let (primary, others): (Vec<_>, Vec<_>) = candidates.partition(|index| index.name == "PRIMARY");
    primary.into_iter().chain(others).find_map(usable).unwrap_or_default()
}

/// The columns of all unique keys. One of beginnings of values makes whole values unique all the more.
fn unique_keys(raw: &RawTable, row_end: Option<usize>) -> Vec<Vec<String>> {
    let counts = |name: &String| !ends_rows(raw, row_end, name);
    let columns =
        |index: &RawIndex| index.columns.iter().map(|part| part.name.clone()).filter(counts).collect();
    let keys = raw.indexes.iter().filter(|index| index.unique).map(columns);
    keys.filter(|key: &Vec<String>| !key.is_empty()).collect()
}

/// Whether the column says until when a row of a system-versioned table was current.
fn ends_rows(raw: &RawTable, row_end: Option<usize>, name: &str) -> bool {
    row_end.is_some_and(|end| {
        raw.columns.iter().any(|c| c.ordinal - 1 == end && c.name.eq_ignore_ascii_case(name))
    })
}

fn live_only(raw: &RawTable, key: &[usize]) -> Vec<LiveOnlyReason> {
    if raw.kind == "VIEW" {
        return vec![LiveOnlyReason::View];
    }
    let mut reasons = Vec::new();
    if key.is_empty() {
        reasons.push(LiveOnlyReason::NoKey);
    }
    let engine = raw.engine.as_deref().unwrap_or("unknown");
    if !ENGINES_WITH_SNAPSHOTS.contains(&engine) {
        reasons.push(LiveOnlyReason::Engine(engine.to_owned()));
    }
    match &raw.create {
        Err(reason) => reasons.push(LiveOnlyReason::Definition(reason.clone())),
        Ok(create) => reasons.extend(generated_from_cascades(raw, create)),
    }
    reasons.extend(generated_without_log(raw));
    if raw.columns.iter().any(|column| column.bounds_a_row() && column.data_type == "bigint") {
        reasons.push(LiveOnlyReason::VersionedByTransaction);
    }
    reasons
}

/// Nothing depends on a column that is not shown.
fn generated_without_log(raw: &RawTable) -> Option<LiveOnlyReason> {
    let mut generated = raw.columns.iter().filter(|column| column.is_generated() && !is_invisible(column));
    let column = generated.next().filter(|_| !raw.logs_generated)?;
    Some(LiveOnlyReason::GeneratedNotLogged { column: column.name.clone() })
}

/// A cascade changes a referencing column without a word in the binlog; what is generated from that column then
/// changes with it, by an expression that only the server can compute.
fn generated_from_cascades(raw: &RawTable, create: &CreateTable) -> Option<LiveOnlyReason> {
    let follows = |key: &&ForeignKey| key.on_delete == ReferentialAction::SetNull || key.on_update.acts();
    let mut followed = create.foreign_keys.iter().filter(follows).flat_map(|key| &key.columns);
    let from = |name: &String| {
        let name = name.to_lowercase();
        // Looked for as text: a hit too many makes a table live only, a missed one would make a cache wrong.
        raw.columns.iter().find(|column| {
            column.generation.as_ref().is_some_and(|expression| expression.to_lowercase().contains(&name))
        })
    };
    let (name, generated) = followed.find_map(|name| Some((name, from(name)?)))?;
    Some(LiveOnlyReason::Generated { column: generated.name.clone(), from: name.clone() })
}

/// A foreign key that would act, if its referenced table had an index for it.
fn without_index(key: &ForeignKey, referenced: &Referenced) -> Option<LiveOnlyReason> {
    if !key.acts() || referenced.lets_act(key) {
        return None;
    }
    let columns = key.referenced_columns.join(", ");
    Some(LiveOnlyReason::NoReferencedIndex {
        referenced: format!("{}.{} ({columns})", key.referenced_database, key.referenced_table),
        foreign_key: key.name.clone(),
    })
}
