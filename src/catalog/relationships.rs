//! Relationships: those that the config declares, and one for each foreign key inside a service.
//!
//! A declared relationship that cannot be is an error. An inferred one never is: where its field's name is taken
//! it gets another.
//!
//! **Why must what is referred to be unique?** The field of a relationship gives one object. Of several rows each route
//! would give the one that it comes upon. As a key can be dropped while all runs, that is no error of the config: the
//! relationship is left out, and comes when the key does.

use std::collections::HashSet;

use crossweave_contract::{
    Collation, CollationFamily, ColumnType, ForeignKey, ServiceName, TableDef, TableId, TableKind,
};
use indexmap::IndexMap;

use super::{Relationship, Service, Table};
use crate::config::{ColumnList, DeclaredRelationship, Problem, is_graphql_name};

type Services = IndexMap<ServiceName, Service>;

/// What came of all relationships.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) relationships: Vec<Relationship>,
    /// What is wrong with declared ones.
    pub(super) problems: Vec<Problem>,
    /// Declared ones that are left out, for what they refer to is not unique.
    pub(super) left_out: Vec<Problem>,
}

/// Why a declared relationship is not there.
enum Refused {
    Wrong(Vec<Problem>),
    NotUnique(Problem),
}

/// The relationships between the tables of `services`, and what is wrong with the declared ones. A declared one
/// is left out while a service of it is not reached.
pub(super) fn resolve(services: &Services, declared: &[DeclaredRelationship]) -> Resolved {
    let mut fields = Fields::of(services);
    let mut relationships = Vec::new();
    let (mut problems, mut left_out) = (Vec::new(), Vec::new());
    for declaration in declared {
        match declare(services, declaration, &mut fields) {
            Ok(relationship) => relationships.extend(relationship),
            Err(Refused::Wrong(found)) => problems.extend(found),
            Err(Refused::NotUnique(found)) => left_out.push(found),
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
    Resolved { relationships, problems, left_out }
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
    let target = service.tables.get(key.referenced_table.as_str())?;
    let to = &target.def;
    let places: Option<Vec<usize>> = key.referenced_columns.iter().map(|name| to.column_index(name)).collect();
    if !target.is_unique(&places?) {
        tracing::warn!(table = %def.id, key = key.name, "the foreign key refers to columns that are not unique: it is no \
            relationship");
        return None;
    }
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
) -> Result<Option<Relationship>, Refused> {
    let (from, to) = match (columns(services, &declared.from), columns(services, &declared.to)) {
        (Ok(from), Ok(to)) => (from, to),
        (from, to) => return Err(Refused::Wrong(from.err().into_iter().chain(to.err()).collect())),
    };
    let (Some((from, from_columns)), Some((to, to_columns))) = (from, to) else { return Ok(None) };
    for (from_column, to_column) in from_columns.iter().zip(&to_columns) {
        let (left, right) = (&from.def.columns[*from_column], &to.def.columns[*to_column]);
        if let Err(reason) = comparable(&left.column_type, &right.column_type) {
            let message = format!(
                "{}.{} and {}.{} cannot be compared: {reason}",
                from.def.id, left.name, to.def.id, right.name
            );
            return Err(Refused::Wrong(vec![Problem::new(declared.place.clone(), message)]));
        }
    }
    if !to.is_unique(&to_columns) {
        return Err(Refused::NotUnique(not_unique(declared, from, to)));
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
        return Err(Refused::Wrong(problems));
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

/// That a row of `from` may refer to several of `to`, and what mends it.
fn not_unique(declared: &DeclaredRelationship, from: &Table, to: &Table) -> Problem {
    let (service, columns) = (&to.def.id.service, declared.to.columns.join(", "));
    let message = format!(
        "the relationship from {} ({}) to {} ({columns}) is left out: {columns} has no unique key in {}, so that a row \
         may refer to several",
        from.def.id,
        declared.from.columns.join(", "),
        to.def.id,
        to.def.id
    );
    let hint = match to.def.kind {
        TableKind::View => "a view has no keys: refer to its table, or swap `from` and `to`".to_owned(),
        TableKind::Base => {
            let quoted: Vec<String> =
                declared.to.columns.iter().map(|column| format!("`{}`", column.replace('`', "``"))).collect();
            let table = to.def.id.table.replace('`', "``");
            format!(
                "make it unique in the database of {service}, with ALTER TABLE `{table}` ADD UNIQUE ({}), or swap \
                 `from` and `to`",
                quoted.join(", ")
            )
        }
    };
    Problem::new(declared.to.place.clone(), message).with_hint(hint)
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
