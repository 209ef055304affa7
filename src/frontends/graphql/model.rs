//! What of the catalog GraphQL shows, and under which names.
//!
//! Hasura's conventions: an object type per table, named as the list field at the root. A table is named by
//! itself where no other service has a table of that name, else `service_table`. What has no legal GraphQL name
//! gets one by replacing each illegal character by `_`.
//!
//! What if a table is called `date`, or `users_by_pk`? All names of the schema are in one set, those that are there
//! whatever the tables are first. A table brings several; if any of them is taken it becomes `service_table`, and
//! if that does not help, that one table is left out, with a warning. Of two columns that would be named alike the
//! first keeps the name, and the other is left out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crossweave_contract::{ColumnType, TableDef, TableId};
use indexmap::IndexMap;

use super::schema::{compares, fixed_names};
use crate::catalog::{Catalog, nearest};

/// All types, by their GraphQL name.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) types: IndexMap<String, TableType>,
    names: HashMap<TableId, String>,
}

/// One table's object type.
#[derive(Debug)]
pub(super) struct TableType {
    pub(super) name: String,
    pub(super) id: TableId,
    pub(super) def: Arc<TableDef>,
    /// Columns and relationships, by field name.
    pub(super) fields: IndexMap<String, TypeField>,
}

/// A field of an object type.
#[derive(Debug, Clone)]
pub(super) enum TypeField {
    /// Index of the column in the definition.
    Column(usize),
    Relationship(Edge),
}

/// A relationship as seen from one of its ends.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) target: TableId,
    /// Columns here, and the target's columns that equal them.
    pub(super) columns: Vec<(usize, usize)>,
    /// Whether many rows of the target may match: a list field.
    pub(super) many: bool,
    /// Whether the columns are the target's key: at most one row of it matches.
    to_key: bool,
}

impl Edge {
    /// Whether rows can be ordered by the row that it leads to: only a join on a key keeps one row for each.
    pub(super) fn orders(&self) -> bool {
        !self.many && self.to_key
    }
}

impl Model {
    /// The types for `catalog`.
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut model = Self::default();
        let mut tables_named: HashMap<&str, usize> = HashMap::new();
        for (_, table) in catalog.tables() {
            *tables_named.entry(&table.def.id.table).or_default() += 1;
        }
        let mut taken: HashSet<String> = fixed_names().collect();
        for (service, table) in catalog.tables() {
            let id = &table.def.id;
            let own = legal_name(&id.table);
            let with_service = legal_name(&format!("{}_{}", service.name, id.table));
            let unique = tables_named.get(&*id.table) == Some(&1);
            let mut candidates = unique.then_some(own).into_iter().chain([with_service]);
            let free = |name: &String| names_of(name).iter().all(|name| !taken.contains(name));
            let Some(name) = candidates.find(free).filter(|_| !table.def.columns.is_empty()) else {
                tracing::warn!(table = %id, "left out of the GraphQL schema: no columns, or its name is taken");
                continue;
            };
            taken.extend(names_of(&name));
            model.names.insert(id.clone(), name.clone());
            model.types.insert(name.clone(), TableType::new(name, &table.def));
        }
        for relationship in &catalog.relationships {
            model.add_relationship(relationship);
        }
        model
    }

    /// The type of `table`.
    pub(super) fn of(&self, table: &TableId) -> Option<&TableType> {
        self.types.get(self.names.get(table)?)
    }

    fn add_relationship(&mut self, relationship: &crate::catalog::Relationship) {
        let (columns, to_key) = {
            let (Some(from), Some(to)) = (self.of(&relationship.from), self.of(&relationship.to)) else {
                return;
            };
            let pair = |(a, b): (&String, &String)| Some((from.def.column_index(a)?, to.def.column_index(b)?));
            let pairs = relationship.from_columns.iter().zip(&relationship.to_columns).map(pair);
            let Some(columns) = pairs.collect::<Option<Vec<_>>>() else { return };
            let to_key = same_columns(columns.iter().map(|(_, column)| *column), &to.def.key);
            (columns, to_key)
        };
        let object = Edge { target: relationship.to.clone(), columns: columns.clone(), many: false, to_key };
        let swapped = columns.into_iter().map(|(from, to)| (to, from)).collect();
        let list = Edge { target: relationship.from.clone(), columns: swapped, many: true, to_key: false };
        self.add_edge(&relationship.from, &relationship.field, object);
        self.add_edge(&relationship.to, &relationship.inverse, list);
    }

    fn add_edge(&mut self, table: &TableId, field: &str, edge: Edge) {
        let field = legal_name(field);
        let Some(name) = self.names.get(table) else { return };
        let Some(table_type) = self.types.get_mut(name) else { return };
        if table_type.fields.contains_key(&field) {
            tracing::warn!(%table, field, "a relationship's field is left out: a column has its name");
            return;
        }
        table_type.fields.insert(field, TypeField::Relationship(edge));
    }
}

impl TableType {
    fn new(name: String, def: &Arc<TableDef>) -> Self {
        let mut fields = IndexMap::new();
        let mut taken = HashSet::new();
        for (index, column) in def.columns.iter().enumerate() {
            let field = legal_name(&column.name);
            if taken.insert(field.clone()) {
                fields.insert(field, TypeField::Column(index));
            } else {
                tracing::warn!(table = %def.id, column = column.name, "left out of GraphQL: its name is taken");
            }
        }
        Self { name, id: def.id.clone(), def: Arc::clone(def), fields }
    }

    /// Fields that are columns, with the column's index.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, usize)> {
        self.fields.iter().filter_map(|(name, field)| match field {
            TypeField::Column(index) => Some((name.as_str(), *index)),
            TypeField::Relationship(_) => None,
        })
    }

    /// The error that there is no field of this name.
    pub(super) fn unknown_field(&self, name: &str) -> String {
        unknown("field", name, &self.name, self.fields.keys().map(String::as_str))
    }

    /// The key's columns as fields; empty where the table has no key that GraphQL can name and compare.
    pub(super) fn key(&self) -> Vec<(&str, usize)> {
        let comparable = |index: &usize| compares(scalar(&self.def.columns[*index].column_type));
        if !self.def.key.iter().all(comparable) {
            return Vec::new();
        }
        let field = |index: &usize| self.columns().find(|(_, column)| column == index);
        let key: Vec<_> = self.def.key.iter().filter_map(field).collect();
        if key.len() == self.def.key.len() { key } else { Vec::new() }
    }
}

/// All names that the type `name` brings: its own types, and its fields at the root.
fn names_of(name: &str) -> [String; 5] {
    ["", "_bool_exp", "_order_by", "_select_column", "_by_pk"].map(|suffix| format!("{name}{suffix}"))
}

fn same_columns(columns: impl Iterator<Item = usize>, key: &[usize]) -> bool {
    let (mut columns, mut key): (Vec<usize>, Vec<usize>) = (columns.collect(), key.to_vec());
    columns.sort_unstable();
    key.sort_unstable();
    columns == key
}

/// The error that `of` has no `kind` of this name, with the name that was probably meant.
pub(super) fn unknown<'a>(
    kind: &str,
    name: &str,
    of: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(name, candidates) {
        Some(meant) => format!("unknown {kind} {name:?} on {of}. Did you mean {meant:?}?"),
        None => format!("unknown {kind} {name:?} on {of}"),
    }
}

/// The GraphQL scalar of a column: Hasura's names.
pub(super) fn scalar(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean | ColumnType::Bit { width: 1 } => "Boolean",
        ColumnType::TinyInt { .. }
        | ColumnType::SmallInt { .. }
        | ColumnType::MediumInt { .. }
        | ColumnType::Int { unsigned: false }
        | ColumnType::Year => "Int",
        ColumnType::Int { unsigned: true } | ColumnType::BigInt { .. } | ColumnType::Bit { .. } => "bigint",
        ColumnType::Decimal { .. } => "numeric",
        ColumnType::Float | ColumnType::Double => "Float",
        ColumnType::Text { .. } | ColumnType::Enum { .. } | ColumnType::Set { .. } => "String",
        ColumnType::Binary { .. } => "bytea",
        ColumnType::Date => "date",
        ColumnType::DateTime { .. } => "timestamp",
        ColumnType::Timestamp { .. } => "timestamptz",
        ColumnType::Time { .. } => "time",
        ColumnType::Json { .. } => "jsonb",
        ColumnType::Uuid => "uuid",
        ColumnType::Inet4 | ColumnType::Inet6 => "inet",
        ColumnType::Geometry => "geometry",
        ColumnType::Vector { .. } => "vector",
    }
}

/// `name` with each character that GraphQL does not allow replaced by `_`.
fn legal_name(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = name.chars().map(legal).collect();
    // Two leading underscores are introspection's own.
    let name = name.trim_start_matches('_');
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name.to_owned(),
        None => "_".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::legal_name;

    #[test]
    fn makes_names_legal() {
        for (name, legal) in [
            ("createdAt", "createdAt"),
            ("order-items", "order_items"),
            ("2fa", "_2fa"),
            ("__x", "x"),
            ("😀", "_"),
        ] {
            assert_eq!(legal_name(name), legal, "{name}");
        }
    }
}
