//! One service: the tables that its server has, held against what the config says of them.

use std::sync::Arc;

use crossweave_contract::{CollationFamily, ColumnType, ServiceTables, TableDef, TableProblem};
use indexmap::IndexMap;

use super::{Service, Table, TableMode};
use crate::config::{Mode, Named, Problem, ServiceSettings};

/// The service while nothing is known of its tables, for `reason`.
pub(super) fn unknown(settings: &ServiceSettings, reason: String) -> Service {
    Service {
        name: settings.name.clone(),
        source: settings.source.clone(),
        database: settings.database.clone(),
        tables: IndexMap::new(),
        unreachable: Some(reason),
    }
}

/// The service with the tables `found`, and what in the config does not fit them.
pub(super) fn assemble(settings: &ServiceSettings, mut found: ServiceTables) -> (Service, Vec<Problem>) {
    let problems = misfits(settings, &found.tables);
    let mut service = unknown(settings, String::new());
    service.unreachable = None;
    for def in found.tables.into_iter().filter(|def| settings.includes(&def.id.table)) {
        let own: Vec<&TableProblem> = found.problems.iter().filter(|problem| problem.table == def.id).collect();
        let hidden = own.iter().filter_map(|p| p.column.clone().map(|column| (column, p.reason.clone())));
        let table = Table {
            mode: mode(settings.mode_of(&def.id.table), &def),
            hidden: hidden.collect(),
            unique: found.unique.remove(&def.id).unwrap_or_default(),
            def: Arc::new(def),
        };
        service.tables.insert(Arc::clone(&table.def.id.table), table);
    }
    (service, problems)
}

/// Where the table's rows come from: a table that is to be cached must have what capture and the cache need.
fn mode(wanted: Mode, def: &TableDef) -> TableMode {
    if wanted == Mode::Live {
        return TableMode::Live;
    }
    live_only(def).map_or(TableMode::Cached, TableMode::LiveOnly)
}

/// Why a cache cannot keep the rows of `def`, if it cannot.
pub(crate) fn live_only(def: &TableDef) -> Option<String> {
    def.live_only.first().map(ToString::to_string).or_else(|| inexact_cascade(def))
}

/// Why changes that the server makes to the table by itself cannot be followed. They are not in the binlog; they
/// are derived by comparing keys byte by byte, which text under other collations does not allow.
fn inexact_cascade(def: &TableDef) -> Option<String> {
    for key in def.acting_keys() {
        for name in &key.columns {
            let column = &def.columns[def.column_index(name)?];
            if let Some(collation) = column.column_type.collation()
                && collation.family() != CollationFamily::Binary
            {
                return Some(format!(
                    "its foreign key {} cascades over the text column {name}, whose collation {} is not binary",
                    key.name, collation.name
                ));
            }
        }
    }
    None
}

/// What the config says of tables and columns that the server does not have.
fn misfits(settings: &ServiceSettings, tables: &[TableDef]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let names = || tables.iter().map(|def| &*def.id.table);
    let no_table = |name: &str, place: &crate::config::Place| {
        let message = format!("service `{}` has no table `{name}` in its database", settings.name);
        Problem::new(place.clone(), message).with_nearest(name, names())
    };
    let plain = |pattern: &&Named| !pattern.name.contains('*');
    for Named { name, place } in settings.include.iter().chain(&settings.exclude).filter(plain) {
        if !names().any(|table| table == name) {
            problems.push(no_table(name, place));
        }
    }
    for Named { name, place } in settings.include.iter().filter(|pattern| !plain(pattern)) {
        if !names().any(|table| crate::config::fits(name, table)) {
            let message = format!("`include`: no table of service `{}` fits `{name}`", settings.name);
            problems.push(Problem::new(place.clone(), message));
        }
    }
    for table in &settings.tables {
        let Some(def) = tables.iter().find(|def| *def.id.table == *table.name) else {
            problems.push(no_table(&table.name, &table.place));
            continue;
        };
        if !settings.includes(&table.name) {
            let message = format!("table `{}` has settings, but is left out by `include` or `exclude`", def.id);
            problems.push(Problem::new(table.place.clone(), message));
        }
        for (column, _) in &table.booleans {
            problems.extend(not_boolean(def, column));
        }
    }
    problems
}

fn not_boolean(def: &TableDef, column: &Named) -> Option<Problem> {
    let Some(index) = def.column_index(&column.name) else {
        let problem =
            Problem::new(column.place.clone(), format!("table `{}` has no column `{}`", def.id, column.name));
        return Some(problem.with_nearest(&column.name, def.columns.iter().map(|c| c.name.as_str())));
    };
    match def.columns[index].column_type {
        ColumnType::Boolean | ColumnType::TinyInt { unsigned: false } => None,
        _ => {
            let message = format!("`booleans`: column `{}` of `{}` is not a TINYINT(1)", column.name, def.id);
            Some(Problem::new(column.place.clone(), message))
        }
    }
}
