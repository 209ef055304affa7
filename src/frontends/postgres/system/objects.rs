//! What PostgreSQL would number: schemas, tables, their key and foreign keys.
//!
//! Clients take an object's number from one query and ask for it in the next. So an object keeps its number from
//! one catalog to the next, for as long as it is there.

use std::collections::HashMap;
use std::fmt::Write;

use crossweave_contract::{ForeignKey, ReferentialAction, ServiceName, TableDef, TableKind};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use pgwire::api::Type;

use super::super::forms;
use crate::catalog::{Catalog, Service};

/// The first number that PostgreSQL gives to objects of users.
const FIRST: i32 = 16_384;

/// Numbers that were given.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next: i32,
    known: HashMap<String, i32>,
}

impl Numbers {
    /// The number of the object `key`, remembered in `kept`.
    fn number(&mut self, key: String, kept: &mut HashMap<String, i32>) -> i32 {
        let number = self.known.get(&key).copied().unwrap_or_else(|| {
            self.next = self.next.max(FIRST) + 1;
            self.next
        });
        kept.insert(key, number);
        number
    }
}

/// The objects of one catalog.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) database: i32,
    pub(super) schemas: Vec<Schema>,
    pub(super) tables: Vec<Table>,
    pub(super) foreign_keys: Vec<Foreign>,
}

/// A service.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) oid: i32,
    pub(super) name: String,
}

/// A service's table or view.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) oid: i32,
    pub(super) schema: i32,
    pub(super) schema_name: String,
    pub(super) name: String,
    pub(super) view: bool,
    pub(super) columns: Vec<Column>,
    pub(super) key: Option<Key>,
    /// Whether foreign keys begin or end here.
    pub(super) linked: bool,
}

/// A column as the wire shows it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: Type,
    /// Precision and scale, as PostgreSQL packs them; -1 for none.
    pub(super) modifier: i32,
    pub(super) nullable: bool,
}

/// A table's key, which is an index and a constraint to PostgreSQL.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) index: i32,
    pub(super) constraint: i32,
    pub(super) name: String,
    /// Numbers of columns, from 1.
    pub(super) columns: Vec<i16>,
}

/// A foreign key between two tables that are served.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) oid: i32,
    pub(super) name: String,
    /// Places in [`Objects::tables`].
    pub(super) from: usize,
    pub(super) to: usize,
    /// Numbers of columns, from 1.
    pub(super) from_columns: Vec<i16>,
    pub(super) to_columns: Vec<i16>,
    pub(super) on_update: ReferentialAction,
    pub(super) on_delete: ReferentialAction,
}

impl Objects {
    /// The objects of `catalog`, with the numbers that they had before.
    pub(super) fn of(catalog: &Catalog, numbers: &mut Numbers) -> Self {
        let mut kept = HashMap::new();
        let mut number = |key: String| numbers.number(key, &mut kept);
        let database = number("database".to_owned());
        let mut objects = Self { database, schemas: Vec::new(), tables: Vec::new(), foreign_keys: Vec::new() };
        let mut places = HashMap::new();
        for service in catalog.services.values() {
            let schema = number(format!("schema {}", service.name));
            objects.schemas.push(Schema { oid: schema, name: service.name.to_string() });
            for (name, table) in &service.tables {
                places.insert((&service.name, &**name), objects.tables.len());
                objects.tables.push(Table::of(schema, &table.def, &mut number));
            }
        }
        for (service, table) in catalog.tables() {
            let Some(&from) = places.get(&(&service.name, &*table.def.id.table)) else { continue };
            for key in &table.def.foreign_keys {
                let Some(to) = referenced(catalog, service, key).and_then(|id| places.get(&id)) else {
                    continue;
                };
                let oid = number(format!("foreign {}.{}.{}", service.name, table.def.id.table, key.name));
                objects.foreign_keys.extend(objects.foreign(oid, from, *to, key));
            }
        }
        for foreign in &objects.foreign_keys {
            for place in [foreign.from, foreign.to] {
                objects.tables[place].linked = true;
            }
        }
        numbers.known = kept;
        objects
    }

    fn foreign(&self, oid: i32, from: usize, to: usize, key: &ForeignKey) -> Option<Foreign> {
        Some(Foreign {
            oid,
            name: key.name.clone(),
            from,
            to,
            from_columns: self.tables[from].numbers(&key.columns)?,
            to_columns: self.tables[to].numbers(&key.referenced_columns)?,
            on_update: key.on_update,
            on_delete: key.on_delete,
        })
    }

    /// The table or index `oid`, as a statement would name it.
    pub(super) fn relation_name(&self, oid: i32) -> Option<String> {
        self.tables.iter().find_map(|table| {
            if table.oid == oid {
                return Some(table.full_name());
            }
            let key = table.key.as_ref().filter(|key| key.index == oid)?;
            Some(format!("{}.{}", quoted(&table.schema_name), quoted(&key.name)))
        })
    }

    /// The number of the table or index `name`, with or without its schema.
    pub(super) fn relation(&self, name: &str) -> Option<i32> {
        let parts = parts(name)?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema), name),
            [_, schema, name] => (Some(schema), name),
            _ => return None,
        };
        let find = |same: fn(&str, &str) -> bool| {
            let here = |table: &&Table| schema.is_none_or(|schema| same(&table.schema_name, schema));
            self.tables.iter().filter(here).find_map(|table| match &table.key {
                _ if same(&table.name, name) => Some(table.oid),
                Some(key) if same(&key.name, name) => Some(key.index),
                _ => None,
            })
        };
        // As it is written, else whatever its case, as statements find tables.
        find(|a, b| a == b).or_else(|| find(|a, b| a.to_lowercase() == b.to_lowercase()))
    }

    /// The constraint `oid`, as it would be declared.
    pub(super) fn constraint(&self, oid: i32) -> Option<String> {
        if let Some(foreign) = self.foreign_keys.iter().find(|foreign| foreign.oid == oid) {
            return Some(self.declared(foreign));
        }
        self.tables.iter().find_map(|table| {
            let key = table.key.as_ref().filter(|key| key.constraint == oid)?;
            Some(format!("PRIMARY KEY ({})", table.names(&key.columns)))
        })
    }

    fn declared(&self, foreign: &Foreign) -> String {
        let (from, to) = (&self.tables[foreign.from], &self.tables[foreign.to]);
        let mut text = format!(
            "FOREIGN KEY ({}) REFERENCES {}({})",
            from.names(&foreign.from_columns),
            to.full_name(),
            to.names(&foreign.to_columns)
        );
        for (event, action) in [("UPDATE", foreign.on_update), ("DELETE", foreign.on_delete)] {
            let action = match action {
                ReferentialAction::Restrict => continue,
                ReferentialAction::Cascade => "CASCADE",
                ReferentialAction::SetNull => "SET NULL",
                ReferentialAction::SetDefault => "SET DEFAULT",
            };
            // Writing into a String cannot fail.
            let _ = write!(text, " ON {event} {action}");
        }
        text
    }

    /// The index `oid`, as it would be declared; with a `column` from 1, that column of it.
    pub(super) fn index(&self, oid: i32, column: i32) -> Option<String> {
        let (table, key) = self
            .tables
            .iter()
            .find_map(|table| table.key.as_ref().filter(|key| key.index == oid).map(|key| (table, key)))?;
        if column > 0 {
            let number = key.columns.get(usize::try_from(column).ok()?.checked_sub(1)?)?;
            return Some(table.names(&[*number]));
        }
        Some(format!(
            "CREATE UNIQUE INDEX {} ON {} USING btree ({})",
            quoted(&key.name),
            table.full_name(),
            table.names(&key.columns)
        ))
    }

    /// The index that a foreign key rests on: 0 if it refers to other columns than the key.
    pub(super) fn supporting_index(&self, foreign: &Foreign) -> i32 {
        let sorted = |columns: &[i16]| {
            let mut columns = columns.to_vec();
            columns.sort_unstable();
            columns
        };
        let key = self.tables[foreign.to].key.as_ref();
        key.filter(|key| sorted(&key.columns) == sorted(&foreign.to_columns)).map_or(0, |key| key.index)
    }
}

/// The table that `key` of a table of `service` refers to, if it is served.
fn referenced<'c>(
    catalog: &'c Catalog,
    service: &Service,
    key: &ForeignKey,
) -> Option<(&'c ServiceName, &'c str)> {
    let same_server = catalog
        .services
        .values()
        .filter(|other| other.source == service.source && other.database == key.referenced_database);
    same_server.into_iter().find_map(|other| {
        let (name, _) = other.tables.get_key_value(&*key.referenced_table)?;
        Some((&other.name, &**name))
    })
}

impl Table {
    fn of(schema: i32, def: &TableDef, number: &mut impl FnMut(String) -> i32) -> Self {
        let arrow = def.schema();
        let column = |field: &FieldRef| Column {
            name: field.name().clone(),
            // The wire's own mapping, so that what is announced here is what arrives.
            data_type: forms::announced(field.data_type()),
            modifier: modifier(field.data_type()),
            nullable: field.is_nullable(),
        };
        let columns: Vec<Column> = arrow.fields().iter().map(column).collect();
        let key = (!def.key.is_empty()).then(|| Key {
            index: number(format!("index {}", def.id)),
            constraint: number(format!("constraint {}", def.id)),
            name: format!("{}_pkey", def.id.table),
            columns: def.key.iter().map(|index| *index as i16 + 1).collect(),
        });
        Self {
            oid: number(format!("table {}", def.id)),
            schema,
            schema_name: def.id.service.to_string(),
            name: def.id.table.to_string(),
            view: def.kind == TableKind::View,
            columns,
            key,
            linked: false,
        }
    }

    fn full_name(&self) -> String {
        format!("{}.{}", quoted(&self.schema_name), quoted(&self.name))
    }

    /// The columns `numbers`, as a statement would name them.
    fn names(&self, numbers: &[i16]) -> String {
        let names: Vec<String> = numbers
            .iter()
            .filter_map(|number| self.column(*number))
            .map(|column| quoted(&column.name))
            .collect();
        names.join(", ")
    }

    /// The column `number`, from 1.
    pub(super) fn column(&self, number: i16) -> Option<&Column> {
        self.columns.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The numbers of the columns `names`; `None` if one is not shown.
    fn numbers(&self, names: &[String]) -> Option<Vec<i16>> {
        let number = |name: &String| {
            let found =
                self.columns.iter().position(|column| column.name.to_lowercase() == name.to_lowercase());
            found.map(|index| index as i16 + 1)
        };
        names.iter().map(number).collect()
    }
}

fn modifier(data_type: &DataType) -> i32 {
    let (precision, scale) = match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => (*precision, *scale),
        DataType::UInt64 => (20, 0),
        _ => return -1,
    };
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// `name` in double quotes, if PostgreSQL would read it otherwise without.
fn quoted(name: &str) -> String {
    const RESERVED: &[&str] = &[
        "all",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "default",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "foreign",
        "from",
        "grant",
        "group",
        "having",
        "in",
        "into",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "primary",
        "references",
        "select",
        "some",
        "table",
        "then",
        "to",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "when",
        "where",
        "window",
        "with",
    ];
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.chars().next().is_some_and(|c| plain(c) && !c.is_ascii_digit());
    if starts && name.chars().all(plain) && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The parts of a name as a statement would write it: `a."B".c`.
pub(super) fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut within = false;
    let mut characters = name.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let part = parts.last_mut()?;
        match character {
            '"' if within && characters.peek() == Some(&'"') => {
                part.push('"');
                characters.next();
            }
            '"' => within = !within,
            '.' if !within => parts.push(String::new()),
            other if within => part.push(other),
            other => part.extend(other.to_lowercase()),
        }
    }
    (!within && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// What `format_type` calls a type without its modifiers.
pub(super) fn type_name(data_type: &Type) -> &str {
    match *data_type {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::VARCHAR => "character varying",
        Type::BPCHAR => "character",
        Type::CHAR => "\"char\"",
        Type::VARBIT => "bit varying",
        Type::TIMETZ => "time with time zone",
        Type::TIME => "time without time zone",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        _ => data_type.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_as_postgresql_does() {
        assert_eq!(parts(r#"Users."Big.One""#), Some(vec!["users".to_owned(), "Big.One".to_owned()]));
        assert_eq!(parts("a..b"), None);
        assert_eq!(parts("\"open"), None);
        assert_eq!(
            (quoted("users"), quoted("userId"), quoted("order")),
            ("users".to_owned(), "\"userId\"".to_owned(), "\"order\"".to_owned())
        );
    }

    #[test]
    fn an_object_keeps_its_number() {
        let mut numbers = Numbers::default();
        let mut kept = HashMap::new();
        let first = numbers.number("a".to_owned(), &mut kept);
        let second = numbers.number("b".to_owned(), &mut kept);
        numbers.known = kept;
        let mut kept = HashMap::new();
        assert_eq!(numbers.number("b".to_owned(), &mut kept), second);
        let third = numbers.number("c".to_owned(), &mut kept);
        assert!(third > second && second > first, "a number is not given twice");
    }
}
