//! `[[relationships]]`: names split, services known, fields unique. Tables and columns are looked up later, in
//! the catalog.

use std::collections::HashMap;

use crossweave_contract::ServiceName;
use indexmap::IndexMap;

use super::check::Checker;
use super::document::Path;
use super::file::{Columns, RelationshipOptions, ServiceOptions};
use super::names::{is_graphql_name, split_column};
use super::problem::{Place, Problem};
use super::settings::{ColumnList, DeclaredRelationship, Named};

/// Checks all relationships.
pub(crate) fn check(
    checker: &mut Checker<'_>,
    relationships: &[RelationshipOptions],
    services: &IndexMap<String, ServiceOptions>,
) -> Vec<DeclaredRelationship> {
    let checked = relationships.iter().enumerate().filter_map(|(index, options)| {
        relationship(checker, &Path::of(["relationships"]).join(index), options, services)
    });
    let checked: Vec<_> = checked.collect();
    let mut fields: HashMap<(String, String, String), Place> = HashMap::new();
    for relationship in &checked {
        let ends = [(&relationship.from, &relationship.field), (&relationship.to, &relationship.inverse)];
        for (columns, field) in ends {
            let Some(field) = field else { continue };
            let key = (columns.service.to_string(), columns.table.to_lowercase(), field.name.clone());
            if let Some(earlier) = fields.insert(key, field.place.clone()) {
                let message = format!(
                    "two relationships have the field `{}` on {}.{}; the other one is at {earlier}",
                    field.name, columns.service, columns.table
                );
                let problem = Problem::new(field.place.clone(), message);
                checker.add(problem.with_hint("give one of them another `field` or `inverse`"));
            }
        }
    }
    checked
}

fn relationship(
    checker: &mut Checker<'_>,
    path: &Path,
    options: &RelationshipOptions,
    services: &IndexMap<String, ServiceOptions>,
) -> Option<DeclaredRelationship> {
    let field = field(checker, &path.join("field"), options.field.as_deref());
    let inverse = self::field(checker, &path.join("inverse"), options.inverse.as_deref());
    let from = columns(checker, &path.join("from"), &options.from, services);
    let to = columns(checker, &path.join("to"), &options.to, services);
    let (from, to) = (from?, to?);
    if from.columns.len() != to.columns.len() {
        let message = format!(
            "a relationship from {} to {}: expected as many columns on both sides",
            count(from.columns.len()),
            count(to.columns.len())
        );
        checker.problem(path, message);
    }
    Some(DeclaredRelationship { from, to, field, inverse, place: checker.place(path) })
}

fn count(columns: usize) -> String {
    if columns == 1 { "1 column".to_owned() } else { format!("{columns} columns") }
}

fn field(checker: &mut Checker<'_>, path: &Path, name: Option<&str>) -> Option<Named> {
    let name = name?;
    if !is_graphql_name(name) {
        let message = format!(
            "{name:?} cannot be a field: expected letters, digits and `_`, beginning with no digit and no `__`"
        );
        checker.problem(path, message);
    }
    Some(Named { name: name.to_owned(), place: checker.place(path) })
}

fn columns(
    checker: &mut Checker<'_>,
    path: &Path,
    columns: &Columns,
    services: &IndexMap<String, ServiceOptions>,
) -> Option<ColumnList> {
    if columns.as_slice().is_empty() {
        checker.problem(path, "the list is empty: expected at least one column, as \"service.table.column\"");
        return None;
    }
    let mut list: Option<ColumnList> = None;
    let mut good = true;
    for (index, text) in columns.as_slice().iter().enumerate() {
        let place = path.join(index);
        let [service, table, column] = match split_column(text) {
            Ok(parts) => parts,
            Err(found) => {
                checker.problem(&place, format!("expected \"service.table.column\", but {found}"));
                good = false;
                continue;
            }
        };
        if !services.contains_key(&service) {
            let problem =
                Problem::new(checker.place(&place), format!("{text:?}: there is no service `{service}`"));
            checker.add(problem.with_nearest(&service, services.keys().map(String::as_str)));
            good = false;
            continue;
        }
        let list = list.get_or_insert_with(|| ColumnList {
            service: ServiceName::from(service.as_str()),
            table: table.clone(),
            columns: Vec::new(),
            place: checker.place(path),
        });
        if list.service.as_str() != service || list.table != table {
            let message = format!(
                "{text:?} is of another table than {}.{}: expected columns of one table",
                list.service, list.table
            );
            checker.problem(&place, message);
            good = false;
        }
        list.columns.push(column);
    }
    list.filter(|_| good)
}
