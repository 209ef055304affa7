//! Which table a name means.

use crossweave_contract::TableId;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

use super::{Context, place};
use crate::catalog::{Catalog, Service, nearest};
use crate::query::{DATABASE, QueryError, QueryErrorKind};

/// What a table's name means.
#[derive(Debug)]
pub(super) enum Named {
    /// A service's table.
    Table(TableId),
    /// A system schema's table.
    System { schema: String, table: String },
}

pub(super) fn find(name: &ObjectName, context: &Context<'_>) -> Result<Named, QueryError> {
    let parts = parts(name)?;
    match parts.as_slice() {
        [table] => {
            if let Some(first) = context.system.schemas.first()
                && context.system.get(first, &table.value.to_lowercase()).is_some()
            {
                return Ok(Named::System { schema: (*first).to_owned(), table: table.value.to_lowercase() });
            }
            unqualified(context.catalog, context.path, table).map(Named::Table)
        }
        [schema, table] => in_schema(context, schema, table),
        [database, schema, table] if database.value.eq_ignore_ascii_case(DATABASE) => {
            in_schema(context, schema, table)
        }
        _ => Err(not_a_name(name)),
    }
}

/// The service's table that `name` means.
pub(in crate::query) fn service_table(
    catalog: &Catalog,
    path: &[String],
    name: &ObjectName,
) -> Result<TableId, QueryError> {
    match parts(name)?.as_slice() {
        [table] => unqualified(catalog, path, table),
        [service, table] => in_service(find_service(catalog, service, &[])?, table),
        [database, service, table] if database.value.eq_ignore_ascii_case(DATABASE) => {
            in_service(find_service(catalog, service, &[])?, table)
        }
        _ => Err(not_a_name(name)),
    }
}

fn parts(name: &ObjectName) -> Result<Vec<&Ident>, QueryError> {
    name.0.iter().map(|part| part.as_ident()).collect::<Option<_>>().ok_or_else(|| not_a_name(name))
}

fn not_a_name(name: &ObjectName) -> QueryError {
    QueryError::new(QueryErrorKind::Name, format!("{name} does not name a table"))
        .with_hint("Tables are named service.table")
}

const TABLES: &str = "SHOW TABLES lists the tables; one that was made just now is among them in some seconds";

fn in_schema(context: &Context<'_>, schema: &Ident, table: &Ident) -> Result<Named, QueryError> {
    let lower = schema.value.to_lowercase();
    let is_service = context.catalog.services.keys().any(|name| name.as_str() == schema.value);
    if !is_service && context.system.schemas.contains(&lower.as_str()) {
        let table = table.value.to_lowercase();
        return match context.system.get(&lower, &table) {
            Some(_) => Ok(Named::System { schema: lower, table }),
            None => {
                let message = format!("table {lower}.{table} is not there");
                Err(QueryError::new(QueryErrorKind::Name, message).at(place(schema)))
            }
        };
    }
    in_service(find_service(context.catalog, schema, &context.system.schemas)?, table).map(Named::Table)
}

fn find_service<'a>(catalog: &'a Catalog, name: &Ident, others: &[&str]) -> Result<&'a Service, QueryError> {
    let names: Vec<&str> = catalog.services.keys().map(|service| service.as_str()).collect();
    match pick(&name.value, &names) {
        Picked::One(index) => Ok(&catalog.services[index]),
        Picked::Several(candidates) => Err(ambiguous("service", name, &candidates)),
        Picked::None => {
            let error = QueryError::new(QueryErrorKind::Name, format!("service {} is not there", name.value))
                .at(place(name));
            Err(match nearest(&name.value, names.iter().copied().chain(others.iter().copied())) {
                Some(name) => error.with_hint(format!("Did you mean {name}?")),
                None => error.with_hint(format!("There are {}", names.join(", "))),
            })
        }
    }
}

fn in_service(service: &Service, table: &Ident) -> Result<TableId, QueryError> {
    let names: Vec<&str> = service.tables.keys().map(|name| &**name).collect();
    match pick(&table.value, &names) {
        Picked::One(index) => Ok(TableId::new(service.name.clone(), names[index])),
        Picked::Several(candidates) => Err(ambiguous("table", table, &candidates)),
        Picked::None => {
            if let Some(reason) = &service.unreachable {
                return Err(unknown_yet(service, reason, ""));
            }
            let message = format!("table {}.{} is not there", service.name, table.value);
            let error = QueryError::new(QueryErrorKind::Name, message).at(place(table));
            Err(match nearest(&table.value, names) {
                Some(name) => error.with_hint(format!("Did you mean {}.{name}?", service.name)),
                None => error.with_hint(TABLES),
            })
        }
    }
}

fn unqualified(catalog: &Catalog, path: &[String], table: &Ident) -> Result<TableId, QueryError> {
    for schema in path {
        let service =
            catalog.services.values().find(|service| service.name.as_str().eq_ignore_ascii_case(schema));
        if let Some(service) = service
            && let Ok(found) = in_service(service, table)
        {
            return Ok(found);
        }
    }
    let all: Vec<(&Service, &str)> =
        catalog.tables().map(|(service, found)| (service, &*found.def.id.table)).collect();
    let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
    let (exact, alike) = matches(&table.value, &names);
    let candidates = if exact.is_empty() { alike } else { exact };
    match candidates.as_slice() {
        [index] => Ok(TableId::new(all[*index].0.name.clone(), names[*index])),
        [] => {
            let near = nearest(&table.value, names.iter().copied());
            let near = near.and_then(|name| names.iter().position(|other| *other == name));
            let meant = near.map(|index| format!("{}.{}", all[index].0.name, names[index]));
            let unknown = catalog.services.values().find_map(|service| {
                let reason = service.unreachable.as_ref().filter(|_| service.tables.is_empty())?;
                Some((service, reason))
            });
            // It may be there, so that a name alike is the lesser guess.
            if let Some((service, reason)) = unknown {
                let or = meant.map_or_else(String::new, |meant| format!(". Or did you mean {meant}?"));
                return Err(unknown_yet(service, reason, &or));
            }
            let error = QueryError::new(QueryErrorKind::Name, format!("table {} is not there", table.value))
                .at(place(table));
            Err(match meant {
                Some(meant) => error.with_hint(format!("Did you mean {meant}?")),
                None => error.with_hint(TABLES),
            })
        }
        several => {
            let candidates: Vec<String> =
                several.iter().map(|index| format!("{}.{}", all[*index].0.name, names[*index])).collect();
            Err(ambiguous("table", table, &candidates))
        }
    }
}

fn unknown_yet(service: &Service, reason: &str, or: &str) -> QueryError {
    let message = format!("the tables of service {} are not known: {reason}", service.name);
    QueryError::new(QueryErrorKind::Unavailable, message)
        .with_hint(format!("It is tried again; ask again later{or}"))
}

fn ambiguous(what: &str, name: &Ident, candidates: &[String]) -> QueryError {
    let message = format!("{what} {} is ambiguous: {}", name.value, candidates.join(", "));
    QueryError::new(QueryErrorKind::Name, message).with_hint("Name one of them in full").at(place(name))
}

enum Picked {
    One(usize),
    Several(Vec<String>),
    None,
}

/// The name that is `word`, else the only one that is `word` in another case.
fn pick(word: &str, names: &[&str]) -> Picked {
    let (exact, alike) = matches(word, names);
    match (exact.as_slice(), alike.as_slice()) {
        ([index, ..], _) | ([], [index]) => Picked::One(*index),
        ([], []) => Picked::None,
        ([], several) => Picked::Several(several.iter().map(|index| names[*index].to_owned()).collect()),
    }
}

/// Indices of names that are `word`, and that are so in any case.
fn matches(word: &str, names: &[&str]) -> (Vec<usize>, Vec<usize>) {
    let exact = (0..names.len()).filter(|index| names[*index] == word).collect();
    let lower = word.to_lowercase();
    let alike = (0..names.len()).filter(|index| names[*index].to_lowercase() == lower).collect();
    (exact, alike)
}
