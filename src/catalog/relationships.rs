//! Relationships: those that the config declares, and one for each foreign key inside a service.
//!
//! A declared relationship that cannot be is an error. An inferred one never is: where its field's name is taken
//! it gets another.

use std::collections::HashSet;

use crossweave_contract::{Collation, CollationFamily, ColumnType, ForeignKey, ServiceName, TableDef, TableId};
use indexmap::IndexMap;

use super::{Relationship, Service, Table};
use crate::config::{ColumnList, DeclaredRelationship, Problem, is_graphql_name};

type Services = IndexMap<ServiceName, Service>;

/// The relationships between the tables of `services`, and what is wrong with the declared ones. A declared one
/// is left out while a service of it is not reached.
pub(super) fn resolve(
    services: &Services,
    declared: &[DeclaredRelationship],
) -> (Vec<Relationship>, Vec<Problem>) {
    let mut fields = Fields::of(services);
    let mut relationships = Vec::new();
    let mut problems = Vec::new();
    for declaration in declared {
        match declare(services, declaration, &mut fields) {
            Ok(relationship) => relationships.extend(relationship),
            Err(found) => problems.extend(found),
        }
    }
    for service in services.values() {
        for table in service.tables.values() {
            for key in &table.def.foreign_keys {
                let inferred = infer(service, &table.def, key);
                let known = |new: &Relationship| relationships.iter().any(|old| same_link(old, new));
                if let Some(mut relationship) = inferred.filter(|new| !known(new)) {
                    fields.name(&mut relationship);
                    relationships.push(relationship);
                }
            }
        }
    }
    (relationships, problems)
}

fn same_link(a: &Relationship, b: &Relationship) -> bool {
    let pairs = |r: &Relationship| -> HashSet<(String, String)> {
        r.from_columns.iter().cloned().zip(r.to_columns.iter().cloned()).collect()
    };
    a.from == b.from && a.to == b.to && pairs(a) == pairs(b)
}

/// The names that are taken as fields, by table: columns and other relationships' fields.
struct Fields(HashSet<(TableId, String)>);

impl Fields {
    fn of(services: &Services) -> Self {
        let tables = services.values().flat_map(|service| service.tables.values());
        let columns = tables.flat_map(|table| {
            let names = table.def.columns.iter().map(|column| column.name.clone());
            names.map(|name| (table.def.id.clone(), name))
        });
        Self(columns.collect())
    }

    /// Takes `name` on `table`, unless it is taken.
    fn take(&mut self, table: &TableId, name: &str) -> bool {
        self.0.insert((table.clone(), name.to_owned()))
    }

    /// Gives an inferred relationship names that are free.
    fn name(&mut self, relationship: &mut Relationship) {
        let by =
            relationship.from_columns.iter().map(|column| identifier(column)).collect::<Vec<_>>().join("_");
        let mut free = |table: &TableId, name: &str, longer: String| {
            let numbered = (2..).map(|number| format!("{longer}_{number}"));
            let mut names = [name.to_owned(), longer.clone()].into_iter().chain(numbered);
            let found = names.find(|name| self.take(table, name)).unwrap_or_default();
            if found != name {
                tracing::warn!(%table, field = found, taken = name, "a foreign key's field got another name; \
                    declare the relationship to choose one");
            }
            found
        };
        let to_table = identifier(&relationship.to.table);
        relationship.field = free(&relationship.from, &relationship.field, format!("{to_table}_by_{by}"));
        let from_table = identifier(&relationship.from.table);
        relationship.inverse = free(&relationship.to, &relationship.inverse, format!("{from_table}_by_{by}"));
    }
}

/// The relationship of a foreign key inside `service`, with the names that it gets where they are free.
fn infer(service: &Service, def: &TableDef, key: &ForeignKey) -> Option<Relationship> {
    if key.referenced_database != service.database {
        return None;
    }
    let to = &service.tables.get(key.referenced_table.as_str())?.def;
    let spelled = |def: &TableDef, names: &[String]| -> Option<Vec<String>> {
        names.iter().map(|name| Some(def.columns[def.column_index(name)?].name.clone())).collect()
    };
    let from_columns = spelled(def, &key.columns)?;
    Some(Relationship {
        field: field_of(&from_columns, &to.id.table),
        inverse: identifier(&def.id.table),
        from: def.id.clone(),
        to_columns: spelled(to, &key.referenced_columns)?,
        to: to.id.clone(),
        from_columns,
    })
}

/// `user_id` and `userId` give `user`; what says nothing gives the name of the table referred to.
fn field_of(columns: &[String], table: &str) -> String {
    if let [column] = columns {
        let short = ["_id", "Id", "_ID"].iter().find_map(|suffix| column.strip_suffix(suffix));
        if let Some(short) = short.filter(|short| is_graphql_name(short)) {
            return short.to_owned();
        }
    }
    identifier(table)
}

/// `name` with what GraphQL does not allow replaced.
fn identifier(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    if out.starts_with("__") { format!("x{out}") } else { out }
}

/// The declared relationship, its names as the server spells them; `None` while it is not known.
fn declare(
    services: &Services,
    declared: &DeclaredRelationship,
    fields: &mut Fields,
) -> Result<Option<Relationship>, Vec<Problem>> {
    let (from, to) = match (columns(services, &declared.from), columns(services, &declared.to)) {
        (Ok(from), Ok(to)) => (from, to),
        (from, to) => return Err(from.err().into_iter().chain(to.err()).collect()),
    };
    let (Some((from, from_columns)), Some((to, to_columns))) = (from, to) else { return Ok(None) };
    for (from_column, to_column) in from_columns.iter().zip(&to_columns) {
        let (left, right) = (&from.def.columns[*from_column], &to.def.columns[*to_column]);
        if let Err(reason) = comparable(&left.column_type, &right.column_type) {
            let message = format!(
                "{}.{} and {}.{} cannot be compared: {reason}",
                from.def.id, left.name, to.def.id, right.name
            );
            return Err(vec![Problem::new(declared.place.clone(), message)]);
        }
    }
    let spelled = |table: &Table, columns: &[usize]| -> Vec<String> {
        columns.iter().map(|&column| table.def.columns[column].name.clone()).collect()
    };
    let from_columns = spelled(from, &from_columns);
    let field =
        declared.field.as_ref().map_or_else(|| field_of(&from_columns, &to.def.id.table), |f| f.name.clone());
    let inverse = declared.inverse.as_ref().map_or_else(|| identifier(&from.def.id.table), |f| f.name.clone());
    let mut problems = Vec::new();
    let ends = [(from, &field, &declared.field, "field"), (to, &inverse, &declared.inverse, "inverse")];
    for (table, name, given, setting) in ends {
        if !fields.take(&table.def.id, name) {
            let place = given.as_ref().map_or(&declared.place, |given| &given.place).clone();
            let message = format!(
                "the field `{name}` is there already on {}: a column, or another relationship's field",
                table.def.id
            );
            problems.push(Problem::new(place, message).with_hint(format!("choose another `{setting}`")));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Some(Relationship {
        to_columns: spelled(to, &to_columns),
        from: from.def.id.clone(),
        to: to.def.id.clone(),
        from_columns,
        field,
        inverse,
    }))
}

/// The table and the indices of the columns that `list` names; `None` while its service is not reached.
fn columns<'a>(services: &'a Services, list: &ColumnList) -> Result<Option<(&'a Table, Vec<usize>)>, Problem> {
    let Some(service) = services.get(&list.service).filter(|service| service.unreachable.is_none()) else {
        return Ok(None);
    };
    let Some(table) = service.tables.get(list.table.as_str()) else {
        let message = format!("service `{}` has no table `{}`, or it is left out", list.service, list.table);
        let names = service.tables.keys().map(|name| &**name);
        return Err(Problem::new(list.place.clone(), message).with_nearest(&list.table, names));
    };
    let found = list.columns.iter().map(|name| {
        table.def.column_index(name).ok_or_else(|| {
            let names = table.def.columns.iter().map(|column| column.name.as_str());
            let message = format!("table `{}` has no column `{name}`", table.def.id);
            Problem::new(list.place.clone(), message).with_nearest(name, names)
        })
    });
    Ok(Some((table, found.collect::<Result<_, _>>()?)))
}

/// Whether values of two columns can be compared for equality so that the answer is MariaDB's.
fn comparable(left: &ColumnType, right: &ColumnType) -> Result<(), String> {
    if let (Some(a), Some(b)) = (left.collation(), right.collation()) {
        let binary = |collation: &Collation| collation.family() == CollationFamily::Binary;
        return if a.name == b.name || binary(a) || binary(b) {
            Ok(())
        } else {
            Err(format!("their collations {} and {} differ, and neither is binary", a.name, b.name))
        };
    }
    let (left_kind, right_kind) = (kind(left), kind(right));
    if left_kind == right_kind { Ok(()) } else { Err(format!("one is {left_kind}, the other {right_kind}")) }
}

fn kind(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean
        | ColumnType::TinyInt { .. }
        | ColumnType::SmallInt { .. }
        | ColumnType::MediumInt { .. }
        | ColumnType::Int { .. }
        | ColumnType::BigInt { .. }
        | ColumnType::Bit { .. }
        | ColumnType::Decimal { .. }
        | ColumnType::Float
        | ColumnType::Double
        | ColumnType::Year => "a number",
        ColumnType::Text { .. }
        | ColumnType::Enum { .. }
        | ColumnType::Set { .. }
        | ColumnType::Json { .. } => "a text",
        ColumnType::Binary { .. } | ColumnType::Geometry => "binary",
        ColumnType::Date | ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => "a date",
        ColumnType::Time { .. } => "a time",
        ColumnType::Uuid => "a UUID",
        ColumnType::Inet4 | ColumnType::Inet6 => "a network address",
        ColumnType::Vector { .. } => "a vector",
    }
}
